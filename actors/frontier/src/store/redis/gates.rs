//! The gates of shards: closed while a shard's keys move between servers, open while they are all in one place.
//!
//! Owns the order of an operator over them, and what a shard is shown as. A closed gate refuses every script on its shard;
//! whoever asked asks again, and what was settled waits with its node. It knows no topology ([`super::moves`] does).
//! Invariant: a shard's time never goes back, on whichever server its gate is opened. Start at [`close`].

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use contract::fleet::CrawlNumber;
use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::{RedisError, Script};

use super::shape::Shape;
use crate::error::StoreError;
use crate::fleet::deployment::Deployment;

/// Slots of a cluster (redis.io/docs/reference/cluster-spec).
pub const SLOTS: u16 = 16_384;

/// How a shard stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardNow {
    pub shard: u16,
    /// Of a cluster.
    pub slot: u16,
    pub state: GateState,
    /// URLs, over the crawls that were asked for.
    pub queued: u64,
    pub leases: u64,
}

/// Whether a shard answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    Open,
    Closed,
    /// There is no gate where it should be.
    Missing,
    /// Its server does not answer.
    Away,
}

impl GateState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "run",
            Self::Closed => "moving",
            Self::Missing => "missing",
            Self::Away => "away",
        }
    }
}

/// Closes a shard's gate and returns the shard's time, in microseconds. Scripts that were running are over then: a server
/// runs one at a time. May be repeated.
///
/// # Errors
/// A server that does not answer, or a shard that is not there.
pub async fn close(conn: &mut (impl ConnectionLike + Send), shard: u16) -> Result<u64, StoreError> {
    turn(conn, shard, "moving", 0).await
}

/// Opens a shard's gate. `time_us` is the shard's time now, where it has come to another server, whose clock is another.
/// May be repeated.
///
/// # Errors
/// As [`close`].
pub async fn open(
    conn: &mut (impl ConnectionLike + Send),
    shard: u16,
    time_us: Option<u64>,
) -> Result<(), StoreError> {
    turn(conn, shard, "run", time_us.unwrap_or(0))
        .await
        .map(drop)
}

async fn turn(
    conn: &mut (impl ConnectionLike + Send),
    shard: u16,
    state: &str,
    time_us: u64,
) -> Result<u64, StoreError> {
    static GATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/gate.lua")));
    let mut gate = GATE.key(Shape::gate(shard));
    gate.arg(state).arg(time_us);
    let turned = gate.invoke_async(conn).await;
    turned.map_err(|error: RedisError| match error.code() {
        Some("NOGATE") => StoreError::NoShard { shard },
        _ => StoreError::Away(error),
    })
}

/// All shards, with what these crawls have there.
pub async fn list(
    conn: &(impl ConnectionLike + Clone + Send),
    deployment: &Deployment,
    crawls: &[CrawlNumber],
) -> Vec<ShardNow> {
    let all = (0..deployment.shards).map(|shard| async move {
        let mut now = ShardNow {
            shard,
            slot: slot_of(shard),
            state: GateState::Away,
            queued: 0,
            leases: 0,
        };
        let _what_is_known = look(conn.clone(), crawls, &mut now).await;
        now
    });
    join_all(all).await
}

async fn look(
    mut conn: impl ConnectionLike + Send,
    crawls: &[CrawlNumber],
    now: &mut ShardNow,
) -> Result<(), RedisError> {
    let mut get = redis::cmd("HGET");
    get.arg(Shape::gate(now.shard)).arg("st");
    let state: Option<String> = get.query_async(&mut conn).await?;
    for crawl in crawls {
        let mut get = redis::cmd("HMGET");
        get.arg(format!("{{s{}}}:{crawl}:m", now.shard))
            .arg("queued")
            .arg("leases");
        let (queued, leases): (Option<u64>, Option<u64>) = get.query_async(&mut conn).await?;
        now.queued += queued.unwrap_or(0);
        now.leases += leases.unwrap_or(0);
    }
    now.state = match state.as_deref() {
        Some("run") => GateState::Open,
        Some(_) => GateState::Closed,
        None => GateState::Missing,
    };
    Ok(())
}

/// The shards whose slots these are.
pub fn shards_in(deployment: &Deployment, slots: &RangeInclusive<u16>) -> Vec<u16> {
    (0..deployment.shards)
        .filter(|shard| slots.contains(&slot_of(*shard)))
        .collect()
}

/// The slot of a shard: of the text within the braces, CRC-16/XMODEM modulo 16,384 (cluster specification).
pub fn slot_of(shard: u16) -> u16 {
    let crc = format!("s{shard}").bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

//! What the store is asked about itself, and told for good: figures over all shards, orders.
//!
//! None of it is on the hot path. Figures are sums over the shards, asked at once; no shard waits for another.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::control::{FrontierStats, GaveUp};
use contract::crawl::CrawlConfig;
use contract::host::Host;
use contract::lease::{Queued, Token};
use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, RedisError, Value};

use super::Core;
use super::moving::IMPORT;
use super::scripts::odd;
use super::shape::Shape;
use crate::error::StoreError;
use crate::fleet::configs;
use crate::fleet::crawls::Crawl;
use crate::store::StoredConfig;
use crate::store::element::decode_alone;

/// URLs given up that are told at once, about.
const TOLD_TOGETHER: usize = 256;
/// Who changes a configuration here, in its history.
const BY: &str = "crawl";

pub(super) async fn ask<T: FromRedisValue>(core: &Core, cmd: Cmd) -> Result<T, StoreError> {
    core.plain(cmd).await.map_err(StoreError::from)
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Away(error)
    }
}

pub(super) async fn last_token(core: &Core, host: &Host) -> Result<Option<Token>, StoreError> {
    let mut get = redis::cmd("HGET");
    let shard = core.shape.shard(host.area());
    get.arg(format!("{{s{shard}}}:h")).arg(host.as_str());
    let shared: Option<Vec<u8>> = ask(core, get).await?;
    let token = shared.map(|shared| shared_number(&shared, 1).ok_or(odd("record")));
    Ok(token.transpose()?.map(Token))
}

/// A whole number of what all crawls share of a host. As `lua/head.lua` packs it: version, token (at 1), lease's end (9),
/// next allowed time (17).
pub(super) fn shared_number(shared: &[u8], at: usize) -> Option<u64> {
    let bytes = shared.get(at..at + 8)?.try_into().ok()?;
    // Far below 2^53.
    Some(f64::from_le_bytes(bytes) as u64)
}

/// The same question of every shard, in their order.
async fn ask_shards<T: FromRedisValue>(
    core: &Core,
    question: impl Fn(u16) -> Cmd,
) -> Result<Vec<T>, StoreError> {
    let questions = (0..core.shape.shards).map(question).collect();
    core.plain_each(questions).await.map_err(StoreError::from)
}

/// Makes the crawl's part of every shard, where it is missing.
async fn begin(core: &Core) -> Result<(), StoreError> {
    let gates = ask_shards::<Option<String>>(core, |shard| {
        let mut gate = redis::cmd("HGET");
        gate.arg(Shape::gate(shard)).arg("v");
        gate
    });
    for (shard, version) in (0..).zip(gates.await?) {
        if version.as_deref() != Some("1") {
            return Err(StoreError::NoShard { shard });
        }
    }
    let begun = ask_shards::<u8>(core, |shard| {
        let mut state = redis::cmd("HSETNX");
        state.arg(core.shape.key(shard, "m")).arg("st").arg("run");
        state
    });
    begun.await.map(drop)
}

/// `run` or `paused`, in every shard; not while a crawl is taken in.
pub(super) async fn set_state(core: &Core, state: &str) -> Result<(), StoreError> {
    if is_in_state(core, IMPORT).await? {
        return Err(StoreError::Refusing(
            "half taken in: remove the crawl, and take it in anew",
        ));
    }
    put_state(core, state).await
}

/// Whether any shard is in this state.
pub(super) async fn is_in_state(core: &Core, state: &str) -> Result<bool, StoreError> {
    let states = ask_shards::<Option<String>>(core, |shard| {
        let mut get = redis::cmd("HGET");
        get.arg(core.shape.key(shard, "m")).arg("st");
        get
    });
    let states = states.await?;
    Ok(states.iter().any(|found| found.as_deref() == Some(state)))
}

/// Puts every shard into this state.
pub(super) async fn put_state(core: &Core, state: &str) -> Result<(), StoreError> {
    let set = ask_shards::<u64>(core, |shard| {
        let mut set = redis::cmd("HSET");
        set.arg(core.shape.key(shard, "m")).arg("st").arg(state);
        set
    });
    set.await.map(drop)
}

/// The figures of all shards together.
pub(super) async fn stats(core: &Core) -> Result<FrontierStats, StoreError> {
    const COUNTS: [&str; 7] = [
        "known", "queued", "done", "kept", "bytes", "leases", "active",
    ];
    let count_of = |shard, set| {
        let mut count = redis::cmd("ZCARD");
        count.arg(core.shape.key(shard, set));
        count
    };
    let figures = (0..core.shape.shards).flat_map(|shard| {
        let mut get = redis::cmd("HMGET");
        get.arg(core.shape.key(shard, "m")).arg("st").arg(&COUNTS);
        [get, count_of(shard, "z"), count_of(shard, "zs")]
    });
    let answers = core.plain_each::<Value>(figures.collect()).await?;
    let mut stats = FrontierStats::default();
    let mut answers = answers.into_iter();
    while let (Some(record), Some(waiting), Some(suspects)) =
        (answers.next(), answers.next(), answers.next())
    {
        let record = redis::from_redis_value::<Vec<Option<String>>>(record);
        let mut record = record.map_err(|_| odd("figures"))?.into_iter();
        stats.paused |= record.next().flatten().as_deref() == Some("paused");
        let mut count = || {
            let text = record.next().flatten();
            text.and_then(|text| text.parse::<u64>().ok())
                .unwrap_or_default()
        };
        stats.known += count();
        stats.queued += count();
        stats.done += count();
        stats.kept += count();
        stats.bytes += count();
        stats.leases += count();
        stats.hosts_active += count();
        for hosts in [waiting, suspects] {
            stats.hosts_waiting +=
                redis::from_redis_value::<u64>(hosts).map_err(|_| odd("figures"))?;
        }
    }
    let limit = core.rules().limit;
    stats.limit_reached = limit.is_some_and(|most| stats.kept >= most);
    stats.ran = Duration::from_micros(core.ran.load(Ordering::Relaxed));
    core.permits.look(core, &stats).await?;
    Ok(stats)
}

/// The crawl's configuration as the fleet keeps it.
pub(super) async fn config(core: &Core) -> Result<Option<StoredConfig>, StoreError> {
    let current = configs::current(&mut core.link.clone(), core.shape.crawl).await?;
    let bytes = serde_json::to_vec(&current.config).map_err(|_| odd("configuration"))?;
    Ok(Some(StoredConfig {
        version: current.version,
        bytes,
    }))
}

pub(super) async fn set_config(core: &Core, bytes: &[u8]) -> Result<u64, StoreError> {
    let config: CrawlConfig = serde_json::from_slice(bytes).map_err(|_| odd("configuration"))?;
    let mut link = core.link.clone();
    let base = configs::current(&mut link, core.shape.crawl).await?.version;
    Ok(configs::set(&mut link, core.shape.crawl, base, &config, BY).await?)
}

/// URLs given up in any shard; a number is the shard's count and the shard.
pub(super) async fn gave_up(core: &Core, told: &[u64]) -> Result<Vec<GaveUp>, StoreError> {
    let shards = u64::from(core.shape.shards);
    let mut forget: HashMap<u64, Vec<u64>> = HashMap::new();
    for number in told {
        forget
            .entry(number % shards)
            .or_default()
            .push(number / shards);
    }
    let forgotten = forget.into_iter().map(|(shard, numbers)| {
        let shard = u16::try_from(shard).unwrap_or(0);
        let mut del = redis::cmd("HDEL");
        del.arg(core.shape.key(shard, "g")).arg(numbers);
        ask::<u64>(core, del)
    });
    try_join_all(forgotten).await?;
    let asked = ask_shards::<(u64, Vec<(u64, Vec<u8>)>)>(core, |shard| {
        // A bounded look: what it does not see comes when these are told and forgotten.
        let mut scan = redis::cmd("HSCAN");
        scan.arg(core.shape.key(shard, "g"))
            .arg(0)
            .arg("COUNT")
            .arg(TOLD_TOGETHER);
        scan
    });
    let mut gave_up = Vec::new();
    for (shard, rows) in (0..shards).zip(asked.await?) {
        for (number, row) in rows.1 {
            gave_up.push(read_row(number * shards + shard, &row)?);
        }
    }
    gave_up.truncate(TOLD_TOGETHER);
    Ok(gave_up)
}

/// A version byte, the token as a number, the host with a zero behind it, the element.
pub(super) fn read_row(number: u64, row: &[u8]) -> Result<GaveUp, StoreError> {
    let parts = || {
        let (&1, rest) = row.split_first()? else {
            return None;
        };
        let (token, rest) = rest.split_at_checked(8)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        let host = std::str::from_utf8(&rest[..end]).ok()?;
        Some((
            f64::from_le_bytes(token.try_into().ok()?),
            host,
            &rest[end + 1..],
        ))
    };
    let (token, host, element) = parts().ok_or(odd("URL given up"))?;
    let queued = decode_alone(host, element).map_err(|source| StoreError::Value {
        what: "URL given up",
        source,
    })?;
    Ok(GaveUp {
        number,
        host: Host::from_stored(host),
        // Microseconds since 1970: whole, and far below 2^53.
        token: Token(token as u64),
        // Where it is gone in one store, it is in all.
        queued: Queued {
            earlier: None,
            ..queued
        },
    })
}

pub(super) async fn seeds(core: &Core) -> Result<Vec<String>, StoreError> {
    let asked = ask_shards::<HashMap<String, u8>>(core, |shard| {
        let mut all = redis::cmd("HGETALL");
        all.arg(core.shape.key(shard, "x"));
        all
    });
    let all = asked.await?.into_iter().flatten();
    let mut seeds: Vec<_> = all
        .filter(|(_, seed)| *seed == 1)
        .map(|(url, _)| url)
        .collect();
    seeds.sort_unstable();
    Ok(seeds)
}

impl Core {
    /// Makes the crawl's part of the shards, and looks at the server that holds them: one that was started a short while
    /// ago may have forgotten leases that others still work under, unless the crawl is younger than it.
    pub(super) async fn settle_in(&self, crawl: &Crawl) -> Result<(), StoreError> {
        begin(self).await?;
        // Who the servers are by now, so that another one is told from them later.
        let looked = (0..self.shape.shards).map(|shard| self.check(shard));
        try_join_all(looked).await?;
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let told: String = match ask::<Value>(self, info).await? {
            // Of a cluster's servers the youngest counts; its answers come in one.
            Value::Map(all) => all
                .into_iter()
                .filter_map(|(_, one)| redis::from_redis_value::<String>(one).ok())
                .collect(),
            one => redis::from_redis_value(one).map_err(|_| odd("server"))?,
        };
        let seconds = |field: &str| -> Option<u64> {
            let lines = told.lines().filter_map(|line| line.strip_prefix(field));
            lines.filter_map(|value| value.trim().parse().ok()).min()
        };
        let (up, now_us) = (seconds("uptime_in_seconds:"), seconds("server_time_usec:"));
        let lease = self.rules().lease;
        if let (Some(up), Some(now_us)) = (up.map(Duration::from_secs), now_us) {
            // It tells whole seconds.
            let up_most = up + Duration::from_secs(1);
            let started_ms = (now_us / 1_000).saturating_sub(contract::clock::millis(up_most));
            if up < lease && crawl.made_ms < started_ms {
                self.reach.close_all(self.clock.boot().after(lease - up));
            }
        }
        Ok(())
    }
}

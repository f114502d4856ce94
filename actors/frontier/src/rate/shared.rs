//! The rates that many nodes share, in Redis: two hashes in one slot, one script that books in both.
//!
//! Owns `{rate}:all` and `{rate}:c<c>`: v (schema), version, rate (requests an hour, 0 for no limit), burst, tat,
//! epoch, askers, before. Time is the server's. Start at [`RedisRates`].

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use contract::clock::micros;
use contract::fleet::CrawlNumber;
use contract::rate::{
    AHEAD, CHUNK, Grant, Limit, Rate, RateScope, Reserve, Reserved, Slots, StoreTime, Versions,
    WANT_MAX, WEIGHT_MAX,
};
use futures_util::future::{BoxFuture, FutureExt};
use redis::Script;
use redis::aio::ConnectionLike;
use tokio::time::timeout;

use super::{RateError, RateStore};

/// The version of the two hashes.
const SCHEMA: u64 = 1;
/// A booking that is answered later is over.
const PATIENCE: Duration = AHEAD.saturating_add(CHUNK);
/// A setting may take longer.
const PATIENCE_SET: Duration = Duration::from_secs(10);
const CLUSTER_KEY: &str = "{rate}:all";

/// What books slots.
pub(super) const RESERVE_LUA: &str = include_str!("reserve.lua");
static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(RESERVE_LUA));
static SET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("set.lua")));

/// The cluster's rate and that of one crawl. Its connection is shared with others: cloned for each call.
#[derive(Clone, Debug)]
pub struct RedisRates<C> {
    conn: C,
    crawl_key: String,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisRates<C> {
    /// Of this crawl. Nothing is asked yet.
    pub fn new(conn: C, crawl: CrawlNumber) -> Self {
        Self {
            conn,
            crawl_key: format!("{{rate}}:c{crawl}"),
        }
    }

    fn key(&self, scope: RateScope) -> &str {
        match scope {
            RateScope::Cluster => CLUSTER_KEY,
            RateScope::Crawl => &self.crawl_key,
        }
    }

    async fn set(&self, scope: RateScope, limit: Limit, when: &str) -> Result<u64, RateError> {
        let mut conn = self.conn.clone();
        let mut set = SET.key(self.key(scope));
        set.arg(SCHEMA)
            .arg(limit.rate.map_or(0, Rate::in_an_hour))
            .arg(limit.burst)
            .arg(when);
        in_time(PATIENCE_SET, set.invoke_async(&mut conn)).await
    }

    async fn read(&self, scope: RateScope) -> Result<Option<(Limit, u64)>, RateError> {
        let mut conn = self.conn.clone();
        let mut read = redis::cmd("HGETALL");
        read.arg(self.key(scope));
        let fields: HashMap<String, String> =
            in_time(PATIENCE_SET, read.query_async(&mut conn)).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let number = |field: &str| {
            let text = fields.get(field).map_or("", String::as_str);
            text.parse::<u64>()
                .map_err(|_| RateError::Unreadable(format!("{field} is {text:?}")))
        };
        let schema = number("v")?;
        if schema > SCHEMA {
            return Err(RateError::Unreadable(format!("schema {schema}")));
        }
        let limit = Limit {
            rate: Rate::per_hour(number("rate")?),
            burst: u32::try_from(number("burst")?).unwrap_or(u32::MAX),
        };
        Ok(Some((limit, number("version")?)))
    }

    /// Runs the script that books, however long it takes.
    pub(super) async fn book(&self, script: &Script, ask: Reserve) -> Result<Reserved, RateError> {
        let mut conn = self.conn.clone();
        let mut book = script.key(CLUSTER_KEY);
        book.key(&self.crawl_key)
            .arg(SCHEMA)
            .arg(ask.want.min(WANT_MAX))
            .arg(ask.weight.clamp(1, WEIGHT_MAX))
            .arg(ask.last.0)
            .arg(ask.share.0)
            .arg(micros(AHEAD))
            .arg(micros(CHUNK));
        let reply: Option<Vec<u64>> = book.invoke_async(&mut conn).await?;
        reserved(&reply.ok_or(RateError::Unset)?)
    }
}

fn reserved(reply: &[u64]) -> Result<Reserved, RateError> {
    let (now, cluster, crawl, grant) = match *reply {
        [now, cluster, crawl] => (now, cluster, crawl, Grant::Unlimited),
        [
            now,
            cluster,
            crawl,
            granted,
            start,
            step_ns,
            booked,
            booked_step_ns,
            share,
        ] => {
            let slots = Slots {
                granted: u32::try_from(granted).unwrap_or(WANT_MAX),
                start: StoreTime(start),
                step_ns,
                booked: StoreTime(booked),
                booked_step_ns,
                share: StoreTime(share),
            };
            (now, cluster, crawl, Grant::Slots(slots))
        }
        _ => return Err(RateError::Unreadable(format!("{reply:?}"))),
    };
    Ok(Reserved {
        now: StoreTime(now),
        versions: Versions { cluster, crawl },
        grant,
    })
}

async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, impl Into<RateError>>>,
) -> Result<T, RateError> {
    match timeout(limit, call).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(RateError::Late {
            ms: limit.as_millis(),
        }),
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RateStore for RedisRates<C> {
    fn reserve(&self, ask: Reserve) -> BoxFuture<'_, Result<Reserved, RateError>> {
        in_time(PATIENCE, self.book(&RESERVE, ask)).boxed()
    }

    fn set_rate(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>> {
        self.set(scope, limit, "always").boxed()
    }

    fn begin(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>> {
        self.set(scope, limit, "once").boxed()
    }

    fn limit(&self, scope: RateScope) -> BoxFuture<'_, Result<Option<(Limit, u64)>, RateError>> {
        self.read(scope).boxed()
    }
}

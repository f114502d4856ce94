//! Visits: a host leased for one request that another host's robots.txt redirects to (`lua/visit.lua`).
//!
//! Invariant: a visit keeps the host's pace like any lease, over all nodes and crawls. Start at [`visit`].

use std::time::Duration;

use contract::clock::millis;
use contract::lease::{Lease, Token, VISIT_KEPT, Visit, Visited};
use redis::Cmd;

use super::Core;
use super::claims::read_strikes;
use super::scripts::odd;
use crate::error::StoreError;

/// A lease without URLs, or why there is none. One whose answer is lost runs out.
pub(super) async fn visit(core: &Core, visit: &Visit) -> Result<Visited, StoreError> {
    let shard = core.shape.shard(visit.host.area());
    let closed = core.reach.opens(shard).since(core.clock.boot());
    if !closed.is_zero() {
        return Ok(Visited::Rests(closed));
    }
    let (host, rules) = (&visit.host, core.rules());
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0)
            .arg(host.as_str())
            .arg(host.domain().len())
            .arg(millis(rules.lease))
            .arg(millis(rules.delay))
            .arg(rules.domain_leases_max.map_or(-1, i64::from))
            .arg(millis(VISIT_KEPT));
    };
    let answer = core.ask(shard, &core.scripts.visit, None, args).await?;
    let answer = redis::from_redis_value(answer).map_err(|_| odd("visit"))?;
    let (token, number, strikes): (u64, i64, Vec<u64>) = answer;
    Ok(match (token, u64::try_from(number)) {
        (_, Err(_)) => Visited::Busy,
        (0, Ok(us)) => Visited::Rests(Duration::from_micros(us)),
        (token, Ok(delay_ms)) => Visited::Granted(Lease {
            host: host.clone(),
            token: Token(token),
            urls: Vec::new(),
            delay: Duration::from_millis(delay_ms),
            term: rules.lease,
            robots: Vec::new(),
            strikes: read_strikes(&strikes)?,
            trapped: Vec::new(),
        }),
    })
}

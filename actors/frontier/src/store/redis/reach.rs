//! Whether the shards can be reached, and whether they still know what they once answered.
//!
//! Owns the way of every call to a shard ([`Core::ask`]): its limit, a breaker for each shard, so that a server that is
//! gone stops its own shards only, and the check after each broken connection whether the servers are the same processes
//! as before. Others may have forgotten their last seconds (FRONTIER, section 8): then every lease is void, links sent to
//! other shards lately are sent once more, and nothing is claimed until the longest lease that may have been forgotten
//! has passed. Invariant: no call is answered `Ok` by a server that was not checked. Start at [`Core::ask`].

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::clock::{Boot, Clock};
use contract::pulse::Pulse;
use futures_util::future::try_join_all;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, Value};
use tokio::time::timeout;
use tracing::warn;

use super::batch::{Call, Unit, calls};
use super::scripts::{Trouble, call};
use super::shape::Shape;
use super::{Core, locked};

/// A node sends nothing later than this after its last answered question (DESIGN, Clocks).
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// A shard that takes longer is taken for gone.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// A shard that did not answer is left alone for so long.
const DOWN: Duration = Duration::from_secs(1);
/// Links to other shards are kept for so long: longer than a server that is set to sync every second can forget, and than
/// a replica that takes over can be behind.
const KEPT: Duration = Duration::from_secs(30);
/// Groups of links kept at most.
const KEPT_MAX: usize = 4_096;

/// See the module.
pub(super) struct Reach {
    pub(super) pulse: Pulse,
    /// Which processes the servers were when they were last looked at.
    known: tokio::sync::Mutex<Vec<String>>,
    /// The count of breaks at which they were.
    checked: AtomicU64,
    /// No claims before this moment.
    closed_until: AtomicU64,
    /// Each shard is left alone until then.
    down_until: Vec<AtomicU64>,
    sent: Mutex<VecDeque<(Boot, Unit)>>,
}

impl Reach {
    pub(super) fn new(shards: u16, clock: &Clock) -> Self {
        Self {
            pulse: Pulse::within(clock.clone(), SILENT_AFTER),
            known: tokio::sync::Mutex::default(),
            checked: AtomicU64::new(u64::MAX),
            closed_until: AtomicU64::new(0),
            down_until: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            sent: Mutex::default(),
        }
    }

    /// Until claims are open again; none if they are.
    pub(super) fn closed(&self, clock: &Clock) -> Option<Duration> {
        let until = Boot(self.closed_until.load(Ordering::Acquire));
        let wait = until.since(clock.boot());
        (!wait.is_zero()).then_some(wait)
    }

    /// No claims for so long.
    pub(super) fn close(&self, clock: &Clock, wait: Duration) {
        let until = clock.boot().after(wait);
        self.closed_until.fetch_max(until.0, Ordering::AcqRel);
    }

    /// Remembers links that a shard has taken, for the case that it forgets them.
    pub(super) fn keep(&self, clock: &Clock, links: impl IntoIterator<Item = Unit>) {
        let now = clock.boot();
        let mut sent = locked(&self.sent);
        sent.extend(links.into_iter().map(|unit| (now, unit)));
        while sent
            .front()
            .is_some_and(|(at, _)| now.since(*at) > KEPT || sent.len() > KEPT_MAX)
        {
            sent.pop_front();
        }
    }
}

impl Core {
    /// Calls a script on a shard. An answer that came after a break is worth nothing where it must be of the same server
    /// as those before (`since` is the count of breaks then).
    pub(super) async fn ask(
        &self,
        shard: u16,
        script: &Script,
        since: Option<u64>,
        args: impl FnOnce(&mut Cmd),
    ) -> Result<Value, Trouble> {
        let asked = self.clock.boot();
        let down = self.reach.down_until.get(usize::from(shard));
        if down.is_some_and(|until| asked < Boot(until.load(Ordering::Relaxed))) {
            return Err(lost("the shard did not answer a moment ago"));
        }
        let answer = async {
            self.check().await?;
            if since.is_some_and(|since| since != self.link.breaks()) {
                return Err(lost("the connection broke"));
            }
            let answer = call(&self.link, script, &Shape::gate(shard), args).await?;
            if since.is_some_and(|since| since != self.link.breaks()) {
                return Err(lost("the connection broke while it was asked"));
            }
            Ok(answer)
        };
        let answer = timeout(ANSWER_MAX, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(lost("the shard did not answer in time")));
        match &answer {
            Ok(_) => self.reach.pulse.beat(asked),
            Err(Trouble::Lost(_)) => {
                let until = self.clock.boot().after(DOWN);
                down.inspect(|down| down.store(until.0, Ordering::Relaxed));
            }
            Err(_) => {}
        }
        answer
    }

    /// Asks whether no connection has broken since.
    pub(super) async fn confirm(&self, since: u64) -> Result<(), Trouble> {
        let asked = self.plain::<String>(redis::cmd("PING")).await;
        asked.map_err(Trouble::Lost)?;
        match self.link.breaks() == since {
            true => Ok(()),
            false => Err(lost("the connection broke")),
        }
    }

    /// A plain command, for what is asked now and then.
    pub(super) async fn plain<T: FromRedisValue>(&self, cmd: Cmd) -> RedisResult<T> {
        let asked = self.clock.boot();
        let mut link = self.link.clone();
        let answer = timeout(ANSWER_MAX, cmd.query_async(&mut link)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "no answer in time"))))?;
        self.reach.pulse.beat(asked);
        Ok(answer)
    }

    /// After a break: are the servers the same processes?
    async fn check(&self) -> Result<(), Trouble> {
        let breaks = self.link.breaks();
        if self.reach.checked.load(Ordering::Acquire) == breaks {
            return Ok(());
        }
        let mut known = self.reach.known.lock().await;
        if self.reach.checked.load(Ordering::Acquire) == breaks {
            return Ok(());
        }
        let found = self.link.clone().identity().await.map_err(Trouble::Lost)?;
        if !known.is_empty() && *known != found {
            warn!("the shared frontier was started anew: all leases are void, claims wait");
            self.reach.pulse.void();
            self.reach.close(&self.clock, self.rules().lease);
            self.send_again().await?;
        }
        *known = found;
        self.reach.checked.store(breaks, Ordering::Release);
        Ok(())
    }

    /// Links that a shard may have forgotten, while the page that they were found on is settled in another.
    async fn send_again(&self) -> Result<(), Trouble> {
        let kept: Vec<Unit> = {
            let mut sent = locked(&self.reach.sent);
            sent.drain(..).map(|(_, unit)| unit).collect()
        };
        let all = calls(kept.into_iter().map(|unit| (0, unit)), false);
        let sent = all.iter().map(|one| self.apply_raw(one));
        let done = try_join_all(sent).await.map(drop);
        // Kept until they are answered, and longer: another server may be next.
        let units = all.into_iter().map(Call::into_links);
        self.reach.keep(&self.clock, units);
        done
    }

    async fn apply_raw(&self, one: &Call) -> Result<Value, Trouble> {
        let gate = Shape::gate(one.shard);
        call(&self.link, &self.scripts.apply, &gate, |cmd| {
            self.apply_args(one, cmd)
        })
        .await
    }
}

fn lost(why: &'static str) -> Trouble {
    Trouble::Lost(RedisError::from((ErrorKind::Io, why)))
}

#[cfg(test)]
mod tests;

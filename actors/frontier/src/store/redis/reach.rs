//! Whether the shards can be reached, and whether they still know what they once answered.
//!
//! Owns the way of every call to a shard ([`Core::ask`]): its limit, a breaker for each shard, so that a server that is
//! gone stops its own shards only, and the check after each broken connection whether a shard's server is the same process
//! as before. Another may have forgotten the last seconds (FRONTIER, section 8): then every lease is void, links sent to
//! other shards lately are sent once more, and nothing is claimed until the longest lease that may have been forgotten
//! has passed. Invariant: no call is answered `Ok` by a server that was not checked. Start at [`Core::ask`].

use std::collections::{HashSet, VecDeque};
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
use super::gates::slot_of;
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
    servers: Vec<Server>,
    /// All processes that servers ever were here.
    known: Mutex<HashSet<String>>,
    /// No claims before this moment.
    closed_until: AtomicU64,
    /// Each shard is left alone until then.
    down_until: Vec<AtomicU64>,
    sent: Mutex<VecDeque<(Boot, Unit)>>,
}

/// Of a shard: which process it was when it was last looked at, and at which count of breaks.
#[derive(Default)]
struct Server {
    process: tokio::sync::Mutex<Option<String>>,
    checked: AtomicU64,
}

impl Reach {
    pub(super) fn new(shards: u16, clock: &Clock) -> Self {
        Self {
            pulse: Pulse::within(clock.clone(), SILENT_AFTER),
            servers: (0..shards).map(|_| Server::default()).collect(),
            known: Mutex::default(),
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
            self.check(shard).await?;
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

    /// After a break: is the shard's server the same process? One that is gone keeps its own shards only; whether it has
    /// forgotten anything shows when it is back.
    pub(super) async fn check(&self, shard: u16) -> Result<(), Trouble> {
        // From one, so that nothing is checked at the start.
        let breaks = self.link.breaks() + 1;
        let Some(server) = self.reach.servers.get(usize::from(shard)) else {
            return Ok(());
        };
        if server.checked.load(Ordering::Acquire) == breaks {
            return Ok(());
        }
        let mut process = server.process.lock().await;
        if server.checked.load(Ordering::Acquire) == breaks {
            return Ok(());
        }
        let slot = slot_of(shard);
        let found = self.link.clone().identity(slot).await;
        let found = found.map_err(Trouble::Lost)?;
        let is_new = locked(&self.reach.known).insert(found.clone());
        if process.as_ref().is_some_and(|before| *before != found) {
            // Else the shard was moved, or another shard of the server was asked before this one.
            if is_new {
                warn!(
                    "a server of the shared frontier was started anew: all leases are void, claims wait"
                );
                self.reach.pulse.void();
                self.reach.close(&self.clock, self.rules().lease);
            }
            self.send_again(shard).await?;
        }
        *process = Some(found);
        server.checked.store(breaks, Ordering::Release);
        Ok(())
    }

    /// Links that the shard may have forgotten, while the page that they were found on is settled in another.
    async fn send_again(&self, shard: u16) -> Result<(), Trouble> {
        let kept: Vec<Unit> = {
            let mut sent = locked(&self.reach.sent);
            let (of_it, others) = sent.drain(..).partition(|(_, unit)| unit.shard == shard);
            *sent = others;
            let of_it: VecDeque<(Boot, Unit)> = of_it;
            of_it.into_iter().map(|(_, unit)| unit).collect()
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

//! Whether the shards can be reached, and whether they still know what they once answered.
//!
//! Owns the way of every call to a shard ([`Core::ask`]): its limit, a breaker for each shard, so that a server that is
//! gone stops its own shards only, and the check after each broken connection whether a shard's server is the same process
//! as before. Another may have forgotten the last seconds (FRONTIER, section 8): then every lease is void, links sent to
//! its shards lately are sent once more, and nothing is claimed from these until the longest lease that may have been
//! forgotten has passed. Invariants: no call is answered `Ok` by a server that was not checked; links are kept until a
//! server has answered that it has them, and longer. Start at [`Core::ask`].

use std::collections::{HashMap, VecDeque};
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
/// Links to other shards are kept until their shard has answered something so much later: longer than a server that is set
/// to sync every second can forget, and than a replica that takes over can be behind.
const KEPT: Duration = Duration::from_secs(30);
/// Groups of links kept at most.
const KEPT_MAX: usize = 4_096;

/// See the module.
pub(super) struct Reach {
    pub(super) pulse: Pulse,
    servers: Vec<Server>,
    /// All processes that servers ever were here, and until when nothing is claimed from their shards.
    known: Mutex<HashMap<String, Boot>>,
    /// No claims of the shard before this moment.
    closed_until: Vec<AtomicU64>,
    /// Each shard is left alone until then.
    down_until: Vec<AtomicU64>,
    /// When the last question was asked that the shard has answered.
    answered: Vec<AtomicU64>,
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
        let moments = || (0..shards).map(|_| AtomicU64::new(0)).collect();
        Self {
            pulse: Pulse::within(clock.clone(), SILENT_AFTER),
            servers: (0..shards).map(|_| Server::default()).collect(),
            known: Mutex::default(),
            closed_until: moments(),
            down_until: moments(),
            answered: moments(),
            sent: Mutex::default(),
        }
    }

    /// When claims of the shard are open again, or have been.
    pub(super) fn opens(&self, shard: u16) -> Boot {
        moment(&self.closed_until, shard)
    }

    /// No claims of the shard until then.
    fn close(&self, shard: u16, until: Boot) {
        if let Some(closed) = self.closed_until.get(usize::from(shard)) {
            closed.fetch_max(until.0, Ordering::AcqRel);
        }
    }

    /// No claims of any shard until then.
    pub(super) fn close_all(&self, until: Boot) {
        (0u16..)
            .zip(&self.closed_until)
            .for_each(|(shard, _)| self.close(shard, until));
    }

    /// Remembers links that a shard has taken, for the case that it forgets them.
    pub(super) fn keep(&self, clock: &Clock, links: impl IntoIterator<Item = Unit>) {
        let now = clock.boot();
        let mut sent = locked(&self.sent);
        sent.extend(links.into_iter().map(|unit| (now, unit)));
        let is_safe =
            |(at, unit): &(Boot, Unit)| moment(&self.answered, unit.shard).since(*at) > KEPT;
        while let Some(first) = sent.front()
            && now.since(first.0) > KEPT
        {
            if !is_safe(first) {
                // Of a shard that has been silent since: what others have is let go behind it.
                sent.retain(|kept| !is_safe(kept));
                break;
            }
            sent.pop_front();
        }
        let over = sent.len().saturating_sub(KEPT_MAX);
        sent.drain(..over);
    }
}

/// Of a moment that is kept for each shard.
fn moment(of: &[AtomicU64], shard: u16) -> Boot {
    let at = of.get(usize::from(shard));
    Boot(at.map_or(0, |at| at.load(Ordering::Acquire)))
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
        let answer = self.within(shard, async {
            self.check(shard).await?;
            if since.is_some_and(|since| since != self.link.breaks()) {
                return Err(lost("the connection broke"));
            }
            let answer = call(&self.link, script, &Shape::gate(shard), args).await?;
            if since.is_some_and(|since| since != self.link.breaks()) {
                return Err(lost("the connection broke while it was asked"));
            }
            Ok(answer)
        });
        let answer = answer.await?;
        self.reach.pulse.beat(asked);
        if let Some(answered) = self.reach.answered.get(usize::from(shard)) {
            answered.fetch_max(asked.0, Ordering::AcqRel);
        }
        Ok(answer)
    }

    /// Looks at the shard's server if that is due, before something that depends on what is seen.
    pub(super) async fn look(&self, shard: u16) -> Result<(), Trouble> {
        self.within(shard, self.check(shard)).await
    }

    /// The shard's answer within its limit; a shard that gives none is left alone for a while.
    async fn within<T>(
        &self,
        shard: u16,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        if self.clock.boot() < moment(&self.reach.down_until, shard) {
            return Err(lost("the shard did not answer a moment ago"));
        }
        let answer = timeout(ANSWER_MAX, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(lost("the shard did not answer in time")));
        if let Err(Trouble::Lost(_)) = answer
            && let Some(down) = self.reach.down_until.get(usize::from(shard))
        {
            down.store(self.clock.boot().after(DOWN).0, Ordering::Release);
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

    /// Plain commands for many shards.
    pub(super) async fn plain_each<T: FromRedisValue>(
        &self,
        questions: Vec<Cmd>,
    ) -> RedisResult<Vec<T>> {
        let asked = self.clock.boot();
        let answers = timeout(ANSWER_MAX, self.link.each(questions)).await;
        let answers = answers
            .unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "no answer in time"))))?;
        self.reach.pulse.beat(asked);
        answers
            .into_iter()
            .map(|answer| redis::from_redis_value(answer).map_err(RedisError::from))
            .collect()
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
        if process.as_ref().is_some_and(|before| *before != found) {
            let mut is_new = false;
            let until = *locked(&self.reach.known)
                .entry(found.clone())
                .or_insert_with(|| {
                    is_new = true;
                    self.clock.boot().after(self.rules().lease)
                });
            // Else the shard was moved, or another shard of the server was asked before this one.
            if is_new {
                warn!(
                    "a server of the shared frontier was started anew: all leases are void, claims of its shards wait"
                );
                self.reach.pulse.void();
            }
            self.reach.close(shard, until);
            self.send_again(shard).await?;
        } else {
            locked(&self.reach.known)
                .entry(found.clone())
                .or_insert(Boot(0));
        }
        *process = Some(found);
        server.checked.store(breaks, Ordering::Release);
        Ok(())
    }

    /// Links that the shard may have forgotten, while the page that they were found on is settled in another. Whoever asks
    /// may give up in between: they stay where they are until the server has them.
    async fn send_again(&self, shard: u16) -> Result<(), Trouble> {
        let kept: Vec<Unit> = locked(&self.reach.sent)
            .iter()
            .filter(|(_, unit)| unit.shard == shard)
            .map(|(_, unit)| unit.clone())
            .collect();
        let all = calls(kept.into_iter().map(|unit| (0, unit)), false);
        let sent = all.iter().map(|one| self.apply_raw(one));
        try_join_all(sent).await?;
        // As if they had been sent for the first time: another server may be next.
        let now = self.clock.boot();
        let mut sent = locked(&self.reach.sent);
        let (of_it, others): (VecDeque<_>, VecDeque<_>) =
            sent.drain(..).partition(|(_, unit)| unit.shard == shard);
        *sent = others;
        sent.extend(of_it.into_iter().map(|(_, unit)| (now, unit)));
        Ok(())
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

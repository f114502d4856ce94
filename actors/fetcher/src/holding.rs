//! A lease while it is held: may a request be sent now, and when is the next one allowed?
//!
//! Owns the two clocks of a lease: its term, by which this node alone decides that it sends nothing more (I4; the
//! token protects the queue, only this protects the site), and the host's delay, from the end of one request to
//! the start of the next (I2). It knows neither URLs nor answers. Start at [`Holding::turn`].

use std::rc::Rc;
use std::time::Duration;

use contract::clock::Boot;
use contract::host::Host;
use contract::lease::{Extend, Release, Schedule, Strikes, Token, guard};
use contract::pulse::Silence;
use tokio::time::sleep;
use tracing::warn;

use crate::judge::strikes_now;
use crate::shell::Shell;

/// Why a lease is worked on no further. What was not handed on comes back by its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The frontier has given it to somebody else, or forgotten it: there is nothing to release.
    Lost,
    /// The next request would not end within the term, or the delay is longer than it.
    Short,
    /// The host rests.
    Rest,
    /// Another node waits for a host.
    Wanted,
    /// The crawl is paused.
    Paused,
    /// No new requests are to be sent, or the running one was cancelled.
    Drained,
    /// This node cannot work.
    Ill,
    /// A neighbouring room is gone.
    Closed,
}

/// A host's lease.
pub(crate) struct Holding {
    shell: Rc<Shell>,
    pub(crate) host: Host,
    pub(crate) token: Token,
    /// The term runs from here: when the claim or the extension was sent.
    from: Boot,
    term: Duration,
    pub(crate) delay: Duration,
    /// When the last request to the host ended.
    last_end: Option<Boot>,
    /// How the host has met us, and how the frontier knows it.
    pub(crate) strikes: Strikes,
    told: Strikes,
}

/// The host shows among those that wait as long as this lives.
struct Waiting<'a>(&'a Holding);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.shell.waits.borrow_mut().remove(&self.0.host);
    }
}

impl Holding {
    pub(crate) fn new(
        shell: &Rc<Shell>,
        host: Host,
        token: Token,
        from: Boot,
        term: Duration,
        (delay, strikes): (Duration, Strikes),
    ) -> Self {
        Self {
            shell: shell.clone(),
            host,
            token,
            from,
            term,
            delay,
            last_end: None,
            strikes: strikes_now(strikes, shell.clock.wall()),
            told: strikes,
        }
    }

    /// The moment after which nothing may be sent.
    pub(crate) fn end(&self) -> Boot {
        self.from.after(self.term)
    }

    /// How long a request of this lease may take: as it is set, but never so long that a fresh lease could not hold it.
    pub(crate) fn longest(&self, answer: Duration) -> Duration {
        answer.min(self.term / 3 * 2)
    }

    /// Can a request that takes `longest` still end within the term, and does the frontier still stand behind it?
    pub(crate) fn covers(&self, longest: Duration) -> bool {
        guard(&self.shell.clock, self.from, self.term, longest)
            && self.shell.doors.pulse.allows(self.from).is_ok()
    }

    /// Waits while the frontier is out of reach, as long as the lease could still be of use.
    async fn awake(&self, needed: Duration) {
        const LOOK: Duration = Duration::from_millis(100);
        let (clock, pulse) = (&self.shell.clock, &self.shell.doors.pulse);
        while pulse.allows(self.from) == Err(Silence::Away)
            && guard(clock, self.from, self.term, needed)
            && !self.shell.drain.is_cancelled()
        {
            sleep(LOOK).await;
        }
    }

    /// Waits for the host's delay, or for `pause` where that is longer, and sees that a request of at most `longest`
    /// then fits into the lease.
    pub(crate) async fn turn(&mut self, pause: Duration, longest: Duration) -> Result<(), Stop> {
        let now = self.shell.clock.boot();
        let due = self
            .last_end
            .map_or(now, |end| end.after(self.delay.max(pause)));
        let wait = due.since(now);
        self.hold(wait.saturating_add(longest)).await?;
        if self.shell.drain.is_cancelled() {
            return Err(Stop::Drained);
        }
        if wait.is_zero() {
            return Ok(());
        }
        self.shell.waits.borrow_mut().insert(self.host.clone(), due);
        let _waiting = Waiting(self);
        tokio::select! {
            () = sleep(wait) => Ok(()),
            _ = self.shell.drain.cancelled() => Err(Stop::Drained),
        }
    }

    /// Sees that the lease holds for `needed` from now; asks for more of it where a third is used up or `needed`
    /// does not fit.
    pub(crate) async fn hold(&mut self, needed: Duration) -> Result<(), Stop> {
        // What waits longer than a lease waits in the frontier.
        if needed > self.term {
            return Err(Stop::Short);
        }
        self.awake(needed).await;
        let used = self.shell.clock.boot().since(self.from);
        if used > self.term / 3 || !self.covers(needed) {
            self.extend().await?;
        }
        if self.covers(needed) {
            Ok(())
        } else {
            Err(Stop::Short)
        }
    }

    async fn extend(&mut self) -> Result<(), Stop> {
        let sent = self.shell.clock.boot();
        let ask = Extend {
            host: self.host.clone(),
            token: self.token,
        };
        match self.shell.doors.extend.ask(ask).await {
            Ok(Ok(Some(term))) => {
                (self.from, self.term) = (sent, term);
                Ok(())
            }
            Ok(Ok(None)) => Err(Stop::Lost),
            // The term that we have still holds; whether it is enough is the caller's question.
            Ok(Err(error)) => {
                warn!(%error, host = %self.host, "cannot extend a lease");
                Ok(())
            }
            Err(error) => {
                warn!(%error, host = %self.host, "cannot ask for a longer lease");
                Ok(())
            }
        }
    }

    /// Waits for `work` (a hand-over, a turn) while keeping the lease alive, as long as the frontier grants it.
    pub(crate) async fn meanwhile<T>(&mut self, mut work: impl Future<Output = T> + Unpin) -> T {
        loop {
            // Looked at when the work turns out to take time.
            let third = async {
                let third = self.from.after(self.term / 3);
                let left = third.since(self.shell.clock.boot());
                sleep(left.max(self.term / 12)).await;
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = third => {
                    if let Err(stop) = self.extend().await {
                        warn!(?stop, host = %self.host, "the lease ended while it waited for a room or a turn");
                        return work.await;
                    }
                }
            }
        }
    }

    /// A request to the host has ended, well or not.
    pub(crate) fn request_ended(&mut self) {
        self.last_end = Some(self.shell.clock.boot());
    }

    /// The host keeps this delay from now on, here and in the frontier.
    pub(crate) async fn learn_delay(&mut self, delay: Duration) -> Result<(), Stop> {
        if delay <= self.delay {
            return Ok(());
        }
        self.delay = delay;
        self.schedule(Some(delay), None).await
    }

    /// The host is left alone for so long.
    pub(crate) async fn rest(&mut self, rest: Duration) -> Result<(), Stop> {
        self.schedule(None, Some(rest)).await
    }

    /// The frontier hears how the host has met us, unless it knows.
    pub(crate) async fn tell_strikes(&mut self) -> Result<(), Stop> {
        match self.strikes == self.told {
            true => Ok(()),
            false => self.schedule(None, None).await,
        }
    }

    async fn schedule(
        &mut self,
        delay: Option<Duration>,
        rest: Option<Duration>,
    ) -> Result<(), Stop> {
        let ask = Schedule {
            host: self.host.clone(),
            token: self.token,
            delay,
            rest,
            strikes: (self.strikes != self.told).then_some(self.strikes),
        };
        match self.shell.doors.schedule.ask(ask).await {
            Ok(Ok(())) => {
                self.told = self.strikes;
                Ok(())
            }
            // Without the frontier's word another node might be faster than the host allows: no further request.
            Ok(Err(error)) => {
                warn!(%error, host = %self.host, "cannot tell the frontier of a host's wish");
                Err(Stop::Ill)
            }
            Err(error) => {
                warn!(%error, host = %self.host, "cannot tell the frontier of a host's wish");
                Err(Stop::Closed)
            }
        }
    }

    /// Gives the lease back, of whose URLs the first `handed` are in the ring.
    pub(crate) async fn release(self, handed: usize) {
        let last_end = self.last_end;
        let ask = Release {
            host: self.host.clone(),
            token: self.token,
            handed,
            last_end,
        };
        match self.shell.doors.release.ask(ask).await {
            Ok(Ok(())) => {}
            // It runs out by itself then.
            Ok(Err(error)) => warn!(%error, host = %self.host, "cannot release a lease"),
            Err(error) => warn!(%error, host = %self.host, "cannot ask for a lease's release"),
        }
    }
}

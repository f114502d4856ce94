//! One lease's run: its URLs one after another, each to exactly one page for the parser.
//!
//! Owns the order of things for a URL: may it be dialled, does its host have room at this address, does robots.txt
//! let it, then its tries. A run works alone on its host, so that politeness needs no lock. It knows actix only as
//! doors. Invariants: a request goes out only after [`Holding::turn`] and within the lease's term; a permit is held
//! for the request and for nothing else; what is not handed on comes back with the release.
//! Start at [`work_off`], then [`Run::url`].

mod request;
mod robots;
mod tdm;
#[cfg(test)]
mod tests;
mod visit;

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use contract::Url;
use contract::cause::{Deadline, Layer};
use contract::clock::{Boot, Chance, Wall};
use contract::guarded::{Ended, Hooks, Panicked, guarded};
use contract::host::Origin;
use contract::lease::{EnterAddress, Lease, Queued};
use contract::link::LinkKind;
use contract::outcome::Outcome;
use contract::page::{Exchange, Fate, Page, PageLife, Place, Verdict};
use contract::robots::RobotsRecord;
use tracing::{debug, warn};

use crate::error::FetchError;
use crate::events;
use crate::holding::{Holding, Stop};
use crate::http::{Answered, Wanted};
use crate::judge::{Facts, HostNext, Next, Standing, given_up, judge, strikes_after};
use crate::lines::Lines;
use crate::shell::{Shell, Taken};

use request::literal;
pub(crate) use request::{may_dial, redirect_target};
use robots::Known;

/// A sitemap is read to this length (the sitemaps protocol's own limit is 50 MB).
const SITEMAP_BYTES_MAX: u64 = 50_000_000;
/// A host rests about so long when its address has no room.
const CROWDED_REST: Duration = Duration::from_secs(2);

/// Works a lease off that was claimed at `from`, and gives it back.
pub(crate) async fn work_off(shell: Rc<Shell>, lease: Lease, from: Boot) {
    let _held = shell.meters.lease_held();
    let mut run = Run::new(shell, lease, from);
    let stop = run.urls().await;
    debug!(host = %run.hold.host, handed = run.handed, of = run.urls.len(), ?stop, "lease worked off");
    run.give_back(stop).await;
}

/// A lease that is worked off.
struct Run {
    shell: Rc<Shell>,
    hold: Holding,
    urls: Vec<Queued>,
    /// Those of them that are not asked for, and the rule that decided.
    trapped: HashMap<u32, Box<str>>,
    /// URLs that went into the ring.
    handed: usize,
    /// What the frontier knew of robots.txt when it granted the lease.
    records: Vec<(Origin, RobotsRecord)>,
    known: HashMap<Origin, Rc<Known>>,
    taken: Option<Taken>,
    lines: Option<Rc<Lines>>,
    /// The host's address was looked at.
    entered: bool,
    /// The address in whose budget the host counts, if that has one.
    counted: Option<IpAddr>,
    /// The host asks for longer pauses than are kept, or cannot be reached for good: how its URLs are settled, without a
    /// request.
    parked: Option<Verdict>,
}

/// A URL whose turn it is.
struct Turn {
    position: u32,
    queued: Queued,
    url: Url,
    life: PageLife,
    begun: Begun,
}

/// When a page's work began, as far as it has.
struct Begun {
    /// Set when its first request is about to be sent.
    deadline: Option<Deadline>,
    /// When the last request was sent, or else when its turn came.
    began: Wall,
}

/// Around a page's work: a panic in it ends the page, not the lease.
struct PageHooks;

impl Hooks for PageHooks {
    fn on_panic(&mut self, panic: &Panicked) {
        events::panicked(panic);
    }

    fn on_finish(&mut self, _: Ended) {}
}

impl Run {
    fn new(shell: Rc<Shell>, lease: Lease, from: Boot) -> Self {
        let hold = Holding::new(
            &shell,
            lease.host,
            lease.token,
            from,
            lease.term,
            (lease.delay, lease.strikes),
        );
        let tries_max = shell.settings.pace.tries_max;
        let parked = given_up(&shell.config, tries_max, hold.strikes);
        Self {
            shell,
            hold,
            urls: lease.urls,
            trapped: lease.trapped.into_iter().collect(),
            handed: 0,
            records: lease.robots,
            known: HashMap::new(),
            taken: None,
            lines: None,
            entered: false,
            counted: None,
            parked,
        }
    }

    /// Ends the lease, unless it is lost; its connection is free before.
    async fn give_back(self, stop: Option<Stop>) {
        let Self {
            hold,
            handed,
            taken,
            ..
        } = self;
        drop(taken);
        if stop != Some(Stop::Lost) {
            hold.release(handed).await;
        }
    }

    /// All URLs in order, until one says that the lease is to be given back.
    async fn urls(&mut self) -> Option<Stop> {
        for position in 0..self.urls.len() {
            if self.shell.drain.is_cancelled() {
                return Some(Stop::Drained);
            }
            if self.shell.doors.halt.is_set() {
                return Some(Stop::Paused);
            }
            // Every lease brings something, or two nodes could hand a host to and fro.
            if position > 0 && self.shell.doors.wanted.take(self.shell.clock.boot()) {
                return Some(Stop::Wanted);
            }
            let done = {
                // Pinned here: a page's future is large, and each hand it went through would copy it.
                let page = pin!(self.url(position));
                guarded(PageHooks, page).await
            };
            let done = match done {
                Ok(done) => done,
                Err(panic) => self.panicked(position, &panic).await,
            };
            if let Err(stop) = done {
                return Some(stop);
            }
        }
        None
    }

    /// A panic burns a try of its URL, unless the page was handed on before.
    async fn panicked(&mut self, position: usize, panic: &Panicked) -> Result<(), Stop> {
        self.taken = None;
        if self.handed > position {
            return Ok(());
        }
        let turn = self.turn_of(position);
        let tries = turn.queued.tries.saturating_add(1);
        let fate = match tries >= self.shell.settings.pace.tries_max {
            true => Fate::Done,
            false => Fate::Retry {
                tries,
                rest: Duration::ZERO,
            },
        };
        let verdict = Verdict {
            outcome: Outcome::Panicked,
            detail: Some(panic.to_string()),
            fate,
        };
        self.settle(turn, verdict, None).await
    }

    fn turn_of(&self, position: usize) -> Turn {
        let queued = self.urls[position].clone();
        // What is in the queue was a URL when it was admitted. Were it none, the page still needs one.
        let url = Url::parse(&queued.url).or_else(|_| Url::parse("about:invalid"));
        Turn {
            // A lease holds far fewer URLs than that.
            position: u32::try_from(position).unwrap_or(u32::MAX),
            queued,
            url: url.expect("about:invalid is a URL"),
            life: PageLife::begin(&self.shell.gauge),
            begun: self.nothing_begun(),
        }
    }

    fn nothing_begun(&self) -> Begun {
        Begun {
            deadline: None,
            began: self.shell.clock.wall(),
        }
    }

    /// One URL, to its page.
    async fn url(&mut self, position: usize) -> Result<(), Stop> {
        let turn = self.turn_of(position);
        if let Some(rule) = self.trapped.remove(&turn.position) {
            let verdict = Verdict {
                outcome: Outcome::Trap,
                detail: Some(rule.into()),
                fate: Fate::Done,
            };
            return self.settle(turn, verdict, None).await;
        }
        if let Some(verdict) = self.parked.clone() {
            return self.settle(turn, verdict, None).await;
        }
        let Some(origin) = Origin::of(&turn.url) else {
            let error = FetchError::InvalidUrl(turn.queued.url.to_string());
            return self.end(turn, Facts::of_error(&error), None, 0).await;
        };
        if let Err(error) = self.may_dial(&turn.url) {
            return self.end(turn, Facts::of_error(&error), None, 0).await;
        }
        if let Err(error) = self.enter(&turn.url).await? {
            return self.end(turn, Facts::of_error(&error), None, 1).await;
        }
        let known = self.known(&origin).await?;
        if let Some(verdict) = self.forbidden(&turn.url, &known).await? {
            return self.settle(turn, verdict, None).await;
        }
        self.tries(turn, &known).await
    }

    /// Finds the host's address and has it counted in that address' budget, once a lease.
    async fn enter(&mut self, url: &Url) -> Result<Result<(), FetchError>, Stop> {
        if self.entered {
            return Ok(Ok(()));
        }
        let address = match literal(url) {
            Some(address) => Some(address),
            None => match self
                .shell
                .dns
                .lookup(url.host_str().unwrap_or_default())
                .await
            {
                Ok(found) => found.first().map(|socket| socket.ip()),
                Err(error) => return Ok(Err(error.into())),
            },
        };
        let address = address.filter(|address| !self.shell.dial.is_exempt(*address));
        if let Some(address) = address.filter(|address| self.counted != Some(*address)) {
            let ask = EnterAddress {
                host: self.hold.host.clone(),
                token: self.hold.token,
                address,
            };
            match self.shell.doors.enter.ask(ask).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    let mut chance = Chance::seeded(self.hold.token.0);
                    self.hold.rest(chance.jitter(CROWDED_REST)).await?;
                    return Err(Stop::Rest);
                }
                Ok(Err(error)) => {
                    warn!(%error, host = %self.hold.host, "cannot ask for room at an address");
                    return Err(Stop::Ill);
                }
                Err(_) => return Err(Stop::Closed),
            }
        }
        self.entered = true;
        self.counted = address;
        Ok(Ok(()))
    }

    /// The tries of a URL that may be fetched, and the redirects that lead to the same page.
    async fn tries(&mut self, mut turn: Turn, known: &Known) -> Result<(), Stop> {
        let limits = &self.shell.settings.limits;
        let body_max = match turn.queued.kind {
            LinkKind::Sitemap => limits.body_bytes_max.max(SITEMAP_BYTES_MAX),
            _ => limits.body_bytes_max,
        };
        let (mut tries_here, mut pause) = (0_u8, Duration::ZERO);
        let mut hops = turn.queued.hops;
        loop {
            let url = turn.url.clone();
            // What the queued URL was tells nothing of another spelling that it redirects to.
            let earlier = turn.queued.earlier.as_deref();
            let earlier = earlier.filter(|_| *turn.queued.url == *url.as_str());
            let result = self
                .request(
                    &url,
                    pause,
                    &mut turn.begun,
                    (Wanted::Whole(body_max), earlier),
                )
                .await?;
            tries_here = tries_here.saturating_add(1);
            let mut facts = Facts::of(&result, self.shell.clock.wall().millis());
            if let Some(target) = result
                .as_ref()
                .ok()
                .and_then(|answered| redirect_target(&url, answered))
            {
                if hops >= self.shell.settings.pace.redirects_max {
                    facts.outcome = Outcome::RedirectLimit;
                    facts.detail = Some(format!("more than {hops} redirects in a row"));
                } else if self.is_same_page(&url, &target)
                    && self.forbidden(&target, known).await?.is_none()
                {
                    hops += 1;
                    (tries_here, pause) = (0, Duration::ZERO);
                    self.beside(&turn, result).await?;
                    turn.url = target;
                    continue;
                }
            }
            match self.judged(&turn, &facts, tries_here) {
                (Next::Again(after), _) => {
                    self.shell.meters.retries.increment(1);
                    pause = after;
                }
                (Next::Settle(verdict), host) => {
                    let exchange = result.map(|answered| answered.exchange);
                    if let Err(error) = &exchange {
                        self.shell.fault(error);
                    }
                    return self.finish(turn, verdict, exchange.ok(), host).await;
                }
            }
        }
    }

    /// Ends a URL on these facts, as the `tries_here`-th try of this lease (0: nothing was tried).
    async fn end(
        &mut self,
        turn: Turn,
        facts: Facts,
        exchange: Option<Exchange>,
        tries_here: u8,
    ) -> Result<(), Stop> {
        match self.judged(&turn, &facts, tries_here) {
            (Next::Settle(verdict), host) => self.finish(turn, verdict, exchange, host).await,
            // Only what was asked for is tried again at once, and such ends do not come here.
            (Next::Again(_), _) => {
                let fate = Fate::Retry {
                    tries: turn.queued.tries.saturating_add(tries_here),
                    rest: Duration::ZERO,
                };
                let verdict = Verdict {
                    outcome: facts.outcome,
                    detail: facts.detail,
                    fate,
                };
                self.settle(turn, verdict, exchange).await
            }
        }
    }

    fn judged(&mut self, turn: &Turn, facts: &Facts, tries_here: u8) -> (Next, HostNext) {
        let shell = &self.shell;
        let strikes = strikes_after(self.hold.strikes, facts, shell.clock.wall());
        self.hold.strikes = strikes;
        let pace = &shell.settings.pace;
        let standing = Standing {
            config: &shell.config,
            retry_after_max: Duration::from_secs(pace.retry_after_s_max),
            tries_max: pace.tries_max,
            tries: turn.queued.tries.saturating_add(tries_here),
            tries_here,
            strikes,
            page_left: turn
                .begun
                .deadline
                .map_or(Duration::ZERO, |deadline| deadline.left(&shell.clock)),
        };
        judge(facts, standing)
    }

    /// Hands the page on and does what its end means for the host.
    async fn finish(
        &mut self,
        turn: Turn,
        verdict: Verdict,
        exchange: Option<Exchange>,
        host: HostNext,
    ) -> Result<(), Stop> {
        // The rest counts from now, however long the page waits for the parser.
        let rested = match host {
            HostNext::Rest(rest) => self.hold.rest(rest).await,
            HostNext::GoOn | HostNext::Park | HostNext::Stop => self.hold.tell_strikes().await,
        };
        if host == HostNext::Park {
            let tries_max = self.shell.settings.pace.tries_max;
            let given_up = given_up(&self.shell.config, tries_max, self.hold.strikes);
            let parked = given_up.unwrap_or_else(|| verdict.clone());
            let (host, detail) = (&self.hold.host, parked.detail.as_deref());
            warn!(%host, detail, "the host is given up: its URLs are settled without a request");
            self.parked = Some(parked);
        }
        self.settle(turn, verdict, exchange).await?;
        rested?;
        match host {
            HostNext::GoOn | HostNext::Park => Ok(()),
            HostNext::Rest(_) => {
                self.shell.meters.rests.increment(1);
                Err(Stop::Rest)
            }
            HostNext::Stop => Err(Stop::Ill),
        }
    }

    /// The page of a URL of the queue.
    async fn settle(
        &mut self,
        turn: Turn,
        verdict: Verdict,
        exchange: Option<Exchange>,
    ) -> Result<(), Stop> {
        let place = Place::Queue(turn.position);
        let known = Origin::of(&turn.url).and_then(|origin| self.known.get(&origin));
        let said = match (known, &exchange) {
            (Some(known), Some(_)) => known.said(&turn.url),
            _ => Vec::new(),
        };
        self.hand(Page {
            host: self.hold.host.clone(),
            token: self.hold.token,
            place,
            url: turn.url,
            queued: turn.queued,
            began: turn.begun.began,
            deadline: turn.begun.deadline.unwrap_or_else(|| self.page_deadline()),
            verdict,
            exchange: exchange.map(Box::new),
            said,
            life: turn.life,
        })
        .await
    }

    /// A redirect to the same page: archived, settles nothing.
    async fn beside(
        &mut self,
        turn: &Turn,
        result: Result<Answered, FetchError>,
    ) -> Result<(), Stop> {
        let Ok(answered) = result else { return Ok(()) };
        let verdict = Verdict {
            outcome: Outcome::Redirect,
            detail: None,
            fate: Fate::Done,
        };
        let page = Page {
            host: self.hold.host.clone(),
            token: self.hold.token,
            place: Place::Beside,
            url: turn.url.clone(),
            queued: turn.queued.clone(),
            began: turn.begun.began,
            deadline: self.page_deadline(),
            verdict,
            exchange: Some(Box::new(answered.exchange)),
            said: Vec::new(),
            life: PageLife::begin(&self.shell.gauge),
        };
        self.hand(page).await
    }

    async fn hand(&mut self, page: Page) -> Result<(), Stop> {
        let (outcome, of_queue) = (page.verdict.outcome, matches!(page.place, Place::Queue(_)));
        let door = self.shell.doors.page.clone();
        let giving = pin!(door.give(page));
        if let Err(refused) = self.hold.meanwhile(giving).await {
            warn!(error = %refused.error, "the parser takes no page");
            return Err(Stop::Closed);
        }
        self.handed += usize::from(of_queue);
        self.shell.meters.page_handed(outcome);
        Ok(())
    }

    fn page_deadline(&self) -> Deadline {
        let limit = Duration::from_millis(self.shell.settings.limits.page_ms_max);
        Deadline::new(&self.shell.clock, Layer::Page, limit)
    }
}

//! The parser actor: takes pages from the fetchers, reads them on its own thread, gives them to storage.
//!
//! Owns the lifecycle around [`Reader`]: deadline, panic, verdict. One page at a time and in order: while storage has no slot
//! the next page is not read, so that what waits is small. A page's slot is held until storage has it.
//! A page with more links than a part holds is read part by part; each goes ahead of the page as a page beside the queue, and
//! is settled before the next is read. So memory is that of one part, and all links are in before the page is settled.
//! Invariant: every page taken goes on to storage, whatever reading it does; only a storage that is closed or loses a part
//! loses it, and then its lease brings it back. Start at [`Parser::read_on`].

#[cfg(test)]
mod tests;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{self, LocalBoxActorFuture};
use actix::prelude::*;
use contract::beacon::Beacon;
use contract::canonical::Fingerprinter;
use contract::cause::{Cause, Deadline, Layer};
use contract::clock::Clock;
use contract::crawl::LimitsConfig;
use contract::fault::FailPlan;
use contract::guarded::{Ended, Hooks, guarded_sync};
use contract::keep::{Facts, Keep, ParsedPage};
use contract::link::{Link, RefusedLink};
use contract::memory::ByteBudget;
use contract::outbox::{Outbox, Slot, Work};
use contract::outcome::Outcome;
use contract::page::{Fate, Page, PageGauge, PageLife, Place, Verdict};
use contract::rights::{self, Purpose};
use contract::scope::Scope;

use crate::config::ParserConfig;
use crate::error::ParserError;
use crate::events::{Meters, PageFailed, PageParsed};
use crate::reader::{Parsed, ReadFault, Reader, Rules};
use crate::watch::Watch;

/// Between two looks whether a part is settled; a group of storage takes longer than that.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// All that the room is given.
#[derive(Debug)]
pub struct Setup {
    /// Validated.
    pub config: ParserConfig,
    pub limits: LimitsConfig,
    /// The product token that robots directives are matched with.
    pub robots_agent: String,
    /// What the content is for.
    pub purpose: Purpose,
    pub scope: Arc<Scope>,
    pub fingerprints: Fingerprinter,
    pub clock: Clock,
    /// Memory of what pages lead to, from here to the settle; shared by the parsers of a node.
    pub found: ByteBudget,
}

/// One parser; a node has several, each on an Arbiter of its own.
pub struct Parser {
    reader: Reader,
    slots_max: usize,
    tries_max: u8,
    limit: Duration,
    purpose: Purpose,
    keep: Outbox<Keep>,
    found: ByteBudget,
    clock: Clock,
    faults: FailPlan,
    death: FailPlan,
    meters: Meters,
    _beacon: Beacon,
}

/// How far a page has been read.
#[derive(Default)]
struct Progress {
    /// The number of the next part's first link.
    from: usize,
    links: usize,
    refused: usize,
    took: Duration,
}

/// What a reading gave.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it goes on at once"
)]
enum Read {
    /// The links of these numbers, which go ahead of the page.
    Part(Page, Range<usize>, Vec<Link>, Vec<RefusedLink>),
    /// The page itself, with its last links.
    Whole(ParsedPage),
}

/// A page's reading has nothing to release beyond what its values drop.
struct Nothing;

impl Hooks for Nothing {
    fn on_finish(&mut self, _: Ended) {}
}

impl Parser {
    pub fn new(setup: Setup, keep: Outbox<Keep>, beacon: Beacon) -> Self {
        let Setup {
            config,
            limits,
            robots_agent,
            purpose,
            scope,
            fingerprints,
            clock,
            found,
        } = setup;
        Self {
            slots_max: config.slots_max,
            tries_max: config.tries_max,
            limit: Duration::from_millis(limits.parse_ms_max),
            purpose,
            reader: Reader::new(Rules {
                config,
                limits,
                robots_agent,
                purpose,
                scope,
                fingerprints,
            }),
            keep,
            found,
            clock,
            faults: FailPlan::none(),
            death: FailPlan::none(),
            meters: Meters::new(),
            _beacon: beacon,
        }
    }

    /// With a plan after which reading a page panics (tests).
    pub fn with_faults(mut self, faults: FailPlan) -> Self {
        self.faults = faults;
        self
    }

    /// With a plan after which a page given to it ends the actor, not the page alone (tests).
    pub fn with_death(mut self, death: FailPlan) -> Self {
        self.death = death;
        self
    }

    /// Reads a page, part by part where it has many links, and gives it on.
    fn read_on(
        &mut self,
        page: Page,
        mut progress: Progress,
        slot: Slot,
    ) -> LocalBoxActorFuture<Self, ()> {
        match self.parse(page, &mut progress) {
            Read::Whole(parsed) => {
                let given = self.give(parsed);
                let given = async move {
                    given.await;
                    drop(slot);
                };
                Box::pin(given.into_actor(self))
            }
            Read::Part(page, numbers, links, refused) => {
                let gauge = Arc::default();
                let given = self.give(ahead_of(&page, numbers, links, refused, &gauge));
                let settled = async move {
                    given.await;
                    is_settled(&gauge).await
                };
                Box::pin(settled.into_actor(self).then(move |settled, this, _| {
                    if settled {
                        return this.read_on(page, progress, slot);
                    }
                    PageFailed {
                        url: page.url.as_str(),
                        error: &ParserError::PartLost,
                    }
                    .emit();
                    Box::pin(fut::ready(()))
                }))
            }
        }
    }

    /// Hands on to storage what was read.
    fn give(&self, mut parsed: ParsedPage) -> impl Future<Output = ()> + 'static {
        let (keep, found) = (self.keep.clone(), self.found.clone());
        async move {
            // Storage gives memory back without asking for any, so that this wait ends.
            let held = found.reserve_for(weight(&parsed)).await;
            parsed.page.life.hold(held);
            if let Err(refused) = keep.give(Keep(parsed)).await {
                let error = ParserError::HandOver(refused.error);
                PageFailed {
                    url: refused.item.0.page.url.as_str(),
                    error: &error,
                }
                .emit();
            }
        }
    }

    /// Reads a page, or its next part, and settles what that makes of it.
    fn parse(&mut self, mut page: Page, progress: &mut Progress) -> Read {
        let began = self.clock.boot();
        let deadline = page.deadline.child(&self.clock, Layer::Parse, self.limit);
        let late = |clock: &Clock| deadline.over(clock).is_some();
        let (reader, clock, faults) = (&mut self.reader, &self.clock, &self.faults);
        let from = progress.from;
        let read = guarded_sync(Nothing, || {
            if let Err(planned) = faults.step() {
                panic!("{planned}");
            }
            let over = || late(clock);
            reader.read(&page, from, &mut Watch::new(&over))
        });
        let parsed = match read {
            Ok(parsed) => parsed,
            Err(panic) => {
                self.failed(&mut page, &ParserError::Panicked(panic));
                return Read::Whole(ParsedPage {
                    page,
                    links: Vec::new(),
                    refused: Vec::new(),
                    facts: Facts::default(),
                });
            }
        };
        progress.links += parsed.links.len();
        progress.refused += parsed.refused.len();
        progress.took += self.clock.boot().since(began);
        if let Some(next) = parsed.next {
            progress.from = next;
            let (links, refused) = (parsed.links, parsed.refused);
            return Read::Part(page, from..next, links, refused);
        }
        self.told(&page, &parsed, progress);
        let Parsed {
            links,
            refused,
            facts,
            fault,
            left_out,
            ..
        } = parsed;
        match fault {
            Some(ReadFault::Late(_)) => {
                self.failed(&mut page, &ParserError::Late(cause_of(deadline)))
            }
            Some(ReadFault::Coding(error)) => self.failed(&mut page, &ParserError::Coding(error)),
            None if left_out > 0 => {
                page.verdict.detail.get_or_insert_with(|| {
                    format!("{left_out} links left out: more than are kept")
                });
            }
            None => {}
        }
        self.refused(&mut page, &facts);
        Read::Whole(ParsedPage {
            page,
            links,
            refused,
            facts,
        })
    }

    fn told(&self, page: &Page, parsed: &Parsed, progress: &Progress) {
        PageParsed {
            url: page.url.as_str(),
            kind: parsed.kind,
            bytes: parsed.bytes,
            links: progress.links,
            refused: progress.refused,
            left_out: parsed.left_out,
            took: progress.took,
        }
        .emit(&self.meters);
    }

    /// What site or page refuse to the crawl's purpose is not kept; that it was refused, and by what, is.
    fn refused(&self, page: &mut Page, facts: &Facts) {
        let answered = page
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.status.is_success());
        if !answered || page.verdict.fate != Fate::Done || !matches!(page.place, Place::Queue(_)) {
            return;
        }
        let image = facts
            .mime
            .as_deref()
            .is_some_and(|mime| mime.starts_with("image/"));
        if let Some(statement) = rights::refusing(self.purpose, &facts.rights, image) {
            page.verdict.outcome = Outcome::DirectiveRefused;
            page.verdict.detail = Some(format!("{statement} (purpose {})", self.purpose.as_str()));
        }
    }

    /// Makes the page's verdict worse by an error, never better: what is no success stays what it is.
    fn failed(&self, page: &mut Page, error: &ParserError) {
        PageFailed {
            url: page.url.as_str(),
            error,
        }
        .emit();
        page.verdict.detail.get_or_insert_with(|| error.detail());
        let Some(outcome) = error
            .outcome()
            .filter(|_| page.verdict.outcome.class().is_none())
        else {
            return;
        };
        page.verdict.outcome = outcome;
        page.verdict.detail = Some(error.detail());
        let tries = page.queued.tries.saturating_add(1);
        page.verdict.fate = match error {
            ParserError::Panicked(_) if tries < self.tries_max => Fate::Retry {
                tries,
                rest: Duration::ZERO,
            },
            // A page whose time was over before it was read is not to blame.
            ParserError::Late(cause) if *cause != Cause::Deadline(Layer::Parse) => Fate::Return,
            ParserError::Coding(_) => Fate::Return,
            _ => Fate::Done,
        };
    }
}

/// What goes ahead of a page: links of these numbers, and nothing that settles anything.
fn ahead_of(
    page: &Page,
    numbers: Range<usize>,
    links: Vec<Link>,
    refused: Vec<RefusedLink>,
    gauge: &Arc<PageGauge>,
) -> ParsedPage {
    let (first, last) = (numbers.start + 1, numbers.end);
    let page = Page {
        host: page.host.clone(),
        token: page.token,
        place: Place::Beside,
        url: page.url.clone(),
        queued: page.queued.clone(),
        began: page.began,
        deadline: page.deadline,
        verdict: Verdict {
            outcome: page.verdict.outcome,
            detail: Some(format!("links {first} to {last}, ahead of their page")),
            fate: Fate::Done,
        },
        exchange: None,
        said: Vec::new(),
        life: PageLife::begin(gauge),
    };
    ParsedPage {
        page,
        links,
        refused,
        facts: Facts::default(),
    }
}

/// Waits for the end of a part's life; true when it was settled.
async fn is_settled(part: &PageGauge) -> bool {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while part.in_ring() > 0 {
        looks.tick().await;
    }
    part.dropped() == 0
}

/// What a page's links take in memory, about; the page itself is in the byte budget of its body.
fn weight(parsed: &ParsedPage) -> u64 {
    let links = parsed
        .links
        .iter()
        .map(|link| size_of_val(link) + link.url.len());
    let refused = parsed
        .refused
        .iter()
        .map(|link| size_of_val(link) + link.url.len() + link.rule.len());
    links.chain(refused).map(|bytes| bytes as u64).sum()
}

/// The cause that `deadline` stands for, once it is over.
fn cause_of(deadline: Deadline) -> Cause {
    Cause::Deadline(deadline.layer)
}

impl Actor for Parser {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.slots_max);
    }
}

impl Handler<Work<Page>> for Parser {
    type Result = AtomicResponse<Self, ()>;

    fn handle(
        &mut self,
        Work { item: page, slot }: Work<Page>,
        _: &mut Self::Context,
    ) -> Self::Result {
        if let Err(planned) = self.death.step() {
            panic!("the actor dies as planned: {planned}");
        }
        AtomicResponse::new(self.read_on(page, Progress::default(), slot))
    }
}

//! The actor: looks at the rooms on a timer, takes orders, publishes the status, says when the crawl ends.

use std::pin::Pin;
use std::sync::Arc;

use actix::prelude::*;
use contract::admit::Admit;
use contract::beacon::Beacon;
use contract::canonical::Fingerprinter;
use contract::clock::{Boot, Clock};
use contract::control::{
    FetcherReport, FetcherStats, FrontierOrder, FrontierReport, FrontierStats, GaveUp, GivenUp,
    Order,
};
use contract::error::ErrorClass;
use contract::halt::Halt;
use contract::health::Health;
use contract::keep::Keep;
use contract::outbox::{Outbox, Work};
use contract::page::PageGauge;
use contract::rate::Reserve;
use contract::scope::Scope;
use contract::turns::Turns;
use tokio::sync::watch;

use crate::added::Added;
use crate::cadence::Cadence;
use crate::config::CoordinatorConfig;
use crate::course::{Course, End, Limits, View};
use crate::events;
use crate::given_up::HandedOver;
use crate::pace::Pace;
use crate::rate::Reserving;
use crate::status::{Errors, NodePart, RatePart, State, Status, eta_words, waiting_words};

/// Asks how many pages of this crawl other nodes have not settled yet; while there are any it is not done.
pub type Elsewhere = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = u64>>> + Send + Sync>;

/// The doors and shared values the coordinator is built with.
pub struct Doors {
    pub report: Outbox<FrontierReport>,
    pub order: Outbox<FrontierOrder>,
    pub admit: Outbox<Admit>,
    pub given_up: Outbox<GivenUp>,
    pub keep: Outbox<Keep>,
    pub reserve: Outbox<Reserve>,
    /// Where the fetchers wait for what is reserved.
    pub turns: Turns,
    pub fetchers: Vec<Outbox<FetcherReport>>,
    /// Keeps the fetchers still while the crawl is paused.
    pub halt: Halt,
    pub pages: Arc<PageGauge>,
    /// None where no other node works on the crawl. Asked only when the frontier shows nothing to do.
    pub elsewhere: Option<Elsewhere>,
    /// Pages that wait on this node's disk for a frontier that is away.
    pub unsettled: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub health: Health,
    pub scope: Arc<Scope>,
    pub fingerprints: Fingerprinter,
    /// Where the status is published.
    pub status: watch::Sender<Status>,
    /// Where the end is told, once.
    pub end: watch::Sender<Option<End>>,
}

/// One per node.
pub struct Coordinator {
    config: CoordinatorConfig,
    doors: Arc<Doors>,
    clock: Clock,
    /// Up to here the running time has been told to the frontier.
    told: Boot,
    course: Course,
    cadence: Cadence,
    /// As the last look showed it.
    frontier: Option<FrontierStats>,
    pace: Pace,
    node_pace: Pace,
    /// Of the shared rates' slots: granted and used, lapsed.
    slots_pace: (Pace, Pace),
    looking: bool,
    handed_over: HandedOver,
    _beacon: Beacon,
}

impl Coordinator {
    pub fn new(config: CoordinatorConfig, doors: Doors, clock: Clock, beacon: Beacon) -> Self {
        let told = clock.boot();
        Self {
            cadence: Cadence::every(config.frontier_every),
            config,
            frontier: None,
            doors: Arc::new(doors),
            clock,
            told,
            course: Course::default(),
            pace: Pace::default(),
            node_pace: Pace::default(),
            slots_pace: Default::default(),
            looking: false,
            handed_over: HandedOver::default(),
            _beacon: beacon,
        }
    }

    /// Asks the rooms, and the frontier if that is due; the answer is judged back in the actor. One look at a time.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        let doors = self.doors.clone();
        let now = self.clock.boot();
        if !self.cadence.is_due(now) {
            let ask = async move { ask_fetchers(&doors).await };
            ctx.spawn(ask.into_actor(self).map(|fetchers, this, _| {
                this.looking = false;
                this.cadence.here(this.is_quiet(&fetchers));
                match this.frontier.clone() {
                    Some(frontier) => this.publish(frontier, &fetchers),
                    None => this.end_on_fault(),
                }
            }));
            return;
        }
        self.cadence.asked(now);
        let ran = now.since(self.told);
        let forget = self.handed_over.told();
        let ask = async move {
            let told = doors.order.ask(FrontierOrder::Ran(ran)).await;
            let forgotten = forget.as_ref().map_or(0, Vec::len);
            let given_up = match forget {
                Some(told) => doors.given_up.ask(GivenUp { told }).await,
                None => Ok(Ok(Vec::new())),
            };
            let given_up = given_up.map(|answer| answer.map(|gave_up| (forgotten, gave_up)));
            let frontier = doors.report.ask(FrontierReport).await;
            // Before the fetchers are asked: what they then say is in flight is all that is.
            if let Ok(Ok(frontier)) = &frontier {
                doors.halt.set(frontier.paused);
            }
            let fetchers = ask_fetchers(&doors).await;
            let elsewhere = match (&frontier, &doors.elsewhere) {
                (Ok(Ok(frontier)), Some(elsewhere)) if may_be_at_end(frontier) => elsewhere().await,
                _ => 0,
            };
            (
                matches!(told, Ok(Ok(()))),
                given_up,
                frontier,
                fetchers,
                elsewhere,
            )
        };
        ctx.spawn(ask.into_actor(self).map(
            move |(told, given_up, frontier, fetchers, elsewhere), this, ctx| {
                this.looking = false;
                if told {
                    this.told = now;
                }
                if let Ok(Ok((forgotten, given_up))) = given_up {
                    this.handed_over.heard(forgotten);
                    this.pass_on(given_up, ctx);
                }
                match frontier {
                    Ok(Ok(frontier)) => {
                        this.cadence.saw(may_be_at_end(&frontier));
                        this.cadence.here(this.is_quiet(&fetchers));
                        this.judge(frontier, &fetchers, elsewhere);
                    }
                    // A frontier that cannot even report must not keep a faulty node alive.
                    Ok(Err(_)) | Err(_) => this.end_on_fault(),
                }
            },
        ));
    }

    /// Pages between fetcher and settle on this node.
    fn in_ring(&self) -> u64 {
        let in_ring = self.doors.pages.in_ring() + self.handed_over.in_ring();
        u64::try_from(in_ring).unwrap_or(0) + (self.doors.unsettled)()
    }

    /// Whether this node has nothing to do.
    fn is_quiet(&self, fetchers: &[FetcherStats]) -> bool {
        self.in_ring() == 0 && leases_of(fetchers) == 0
    }

    /// Brings what the frontier gave up to the ledger.
    fn pass_on(&mut self, given_up: Vec<GaveUp>, ctx: &mut Context<Self>) {
        let pages: Vec<_> = given_up
            .into_iter()
            .filter_map(|gave_up| self.handed_over.page(&self.clock, gave_up))
            .collect();
        if pages.is_empty() {
            return;
        }
        let doors = self.doors.clone();
        let hand = async move {
            for page in pages {
                // A closed room drops the page, which is then asked for again.
                let _refused = doors.keep.give(Keep(page)).await;
            }
        };
        ctx.spawn(hand.into_actor(self));
    }

    /// Says what a look at everything shows: whether the crawl is over, and the status.
    fn judge(&mut self, frontier: FrontierStats, fetchers: &[FetcherStats], elsewhere: u64) {
        let view = View {
            known: frontier.known,
            queued: frontier.queued,
            done: frontier.done,
            leases: frontier.leases,
            in_ring: self.in_ring() + elsewhere,
            bytes: frontier.bytes,
            limit_reached: frontier.limit_reached,
            running: frontier.ran + self.clock.boot().since(self.told),
        };
        let limits = Limits {
            time: self.config.time_limit,
            size: self.config.size_limit,
        };
        let end = self.course.look(&view, limits);
        self.frontier = Some(frontier.clone());
        self.publish(frontier, fetchers);
        if let Some(end) = end {
            self.end(end);
        }
    }

    /// The status, from the frontier as it was last seen and the rooms as they are; a node that cannot work ends.
    fn publish(&mut self, frontier: FrontierStats, fetchers: &[FetcherStats]) {
        let now = self.clock.boot();
        let running = frontier.ran + now.since(self.told);
        let in_ring = self.in_ring();
        let (pages_per_s, bytes_per_s) = self.pace.look(now, frontier.done, frontier.bytes);
        let settled = self.doors.pages.settled();
        let sum = |of: fn(&FetcherStats) -> usize| fetchers.iter().map(of).sum::<usize>() as u64;
        let node = NodePart {
            pages_per_s: self.node_pace.look(now, settled, 0).0,
            leases: leases_of(fetchers) as u64,
            rate: self.rate_part(now),
            connections_idle: sum(|fetcher| fetcher.connections_idle),
            dns_entries: sum(|fetcher| fetcher.dns_entries),
        };
        let in_flight = fetchers.iter().map(|fetcher| fetcher.in_flight).sum();
        let in_delay = fetchers
            .iter()
            .filter_map(|fetcher| fetcher.next.clone())
            .min_by_key(|(_, wait)| *wait);
        let turns = self.doors.turns.load();
        let waiting_for = match (in_flight, in_delay, &frontier.next) {
            (1.., ..) => None,
            _ if turns.held > 0 => Some(format!(
                "the rate of the crawl or the cluster, {} requests are ready",
                turns.held
            )),
            (0, Some((host, wait)), _) => Some(waiting_words(host.as_str(), wait)),
            (0, None, Some((host, wait))) => Some(waiting_words(host, *wait)),
            (0, None, None) => None,
        };
        let status = Status {
            state: if frontier.paused {
                State::Paused
            } else {
                State::Running
            },
            eta: eta_words(frontier.queued, pages_per_s),
            frontier,
            pages_per_s,
            bytes_per_s,
            errors: Errors {
                transient: self.doors.pages.errors(ErrorClass::Transient),
                permanent: self.doors.pages.errors(ErrorClass::Permanent),
                system: self.doors.pages.errors(ErrorClass::System),
            },
            node,
            in_flight,
            in_ring,
            running_ms: contract::clock::millis(running),
            waiting_for,
        };
        self.doors.status.send_replace(status);
        self.end_on_fault();
    }

    /// This node's part of the shared rates.
    fn rate_part(&mut self, now: Boot) -> Option<RatePart> {
        let Some(fared) = self.doors.turns.fared() else {
            self.slots_pace = Default::default();
            return None;
        };
        let (granted_per_s, used_per_s) = self.slots_pace.0.look(now, fared.granted, fared.used);
        let turns = self.doors.turns.load();
        Some(RatePart {
            granted_per_s,
            used_per_s,
            lapsed_per_s: self.slots_pace.1.look(now, fared.lapsed, 0).0,
            held: turns.slots as u64,
            waiting: turns.held as u64,
        })
    }

    fn end_on_fault(&self) {
        if let Some(fault) = self.doors.health.fault() {
            self.end(End::Fault(fault));
        }
    }

    fn end(&self, end: End) {
        self.doors.end.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                events::ended(&end);
                *first = Some(end);
            }
            is_first
        });
    }
}

impl Actor for Coordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.config.look_every, Self::look);
        let reserving = Reserving {
            turns: self.doors.turns.clone(),
            door: self.doors.reserve.clone(),
            clock: self.clock.clone(),
            weight: self.config.weight,
        };
        ctx.spawn(reserving.keep().into_actor(self));
    }
}

impl Handler<Work<Order>> for Coordinator {
    type Result = ResponseActFuture<Self, Result<Vec<String>, String>>;

    fn handle(&mut self, Work { item, slot }: Work<Order>, _: &mut Self::Context) -> Self::Result {
        events::ordered(&item);
        if item == Order::Stop {
            self.end(End::Stopped);
        }
        let doors = self.doors.clone();
        let obey = async move {
            let _held = slot;
            match item {
                Order::Pause => {
                    let done = pass_on(&doors, FrontierOrder::Pause, "paused").await?;
                    doors.halt.set(true);
                    Ok(done)
                }
                Order::Resume => {
                    let done = pass_on(&doors, FrontierOrder::Resume, "running").await?;
                    doors.halt.set(false);
                    Ok(done)
                }
                Order::Stop => Ok(vec!["stopping; the same command goes on later".to_owned()]),
                Order::Add(urls) => add(&doors, urls).await,
            }
        };
        Box::pin(obey.into_actor(self).map(|done, this, _| {
            // A look that was under way saw the rooms as they were before.
            this.cadence.hurry();
            done
        }))
    }
}

async fn ask_fetchers(doors: &Doors) -> Vec<FetcherStats> {
    let mut fetchers = Vec::with_capacity(doors.fetchers.len());
    for door in &doors.fetchers {
        fetchers.push(door.ask(FetcherReport).await.unwrap_or_default());
    }
    fetchers
}

fn leases_of(fetchers: &[FetcherStats]) -> usize {
    fetchers.iter().map(|fetcher| fetcher.leases).sum()
}

/// Whether nothing is left to do but what somebody holds.
fn may_be_at_end(frontier: &FrontierStats) -> bool {
    frontier.leases == 0 && (frontier.queued == 0 || frontier.limit_reached)
}

async fn pass_on(doors: &Doors, order: FrontierOrder, done: &str) -> Result<Vec<String>, String> {
    let answer = doors
        .order
        .ask(order)
        .await
        .map_err(|error| error.to_string())?;
    answer
        .map(|()| vec![done.to_owned()])
        .map_err(|error| error.to_string())
}

async fn add(doors: &Doors, urls: Vec<String>) -> Result<Vec<String>, String> {
    let mut added = Added::of(&urls, &doors.scope, doors.fingerprints);
    let admitted = doors.admit.ask(added.admit).await;
    let admitted = admitted
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    added.lines.push(Added::summary(&admitted));
    Ok(added.lines)
}

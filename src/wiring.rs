//! The ring as code: builds the rooms last to first and hands each its outboxes.
//!
//! Owns a generation: its threads, its store, its doors. Everything in it dies together, so that the next generation
//! starts as after a crash. Sizes of doors are argued where they are made. Start at [`Generation::build`].

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context};
use contract::beacon::{Beacon, Died};
use contract::clock::{Chance, Clock};
use contract::control::{Drain, FetcherReport, FrontierOrder, FrontierReport, Order, Seal};
use contract::error::chain;
use contract::fault::FailPlan;
use contract::halt::Halt;
use contract::health::Health;
use contract::keep::Keep;
use contract::lease::{Bell, Taker};
use contract::memory::ByteBudget;
use contract::outbox::{Ask, Outbox, Work};
use contract::page::{Page, PageGauge};
use contract::scope::Scope;
use contract::turns::Turns;
use coordinator::{Coordinator, CoordinatorConfig, Elsewhere, End, Status};
use fetcher::{Fetcher, FetcherConfig};
use frontier::actor::Frontier;
use frontier::config::FrontierConfig;
use frontier::store::Store;
use storage::actor::{Setup, Storage};
use storage::config::StorageConfig;
use storage::layout::Layout;
use tokio::sync::{mpsc, watch};

use crate::config::Settings;
use crate::exit::{Code, Failure};
use crate::failing::Failing;
use crate::folder::Folder;
use crate::gauges::{Bounds, Gauges, Load, Running, Watched};
use crate::home::{self, Home, Opened};
use crate::identity;
use crate::machine::Machine;
use crate::threads::Threads;

/// An answer that takes longer means that the room is gone or hangs; the generation is then rebuilt or drained.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages between fetchers and parsers, queued or being parsed: a few for each parser keep it busy. The byte budget
/// bounds their bodies, but each also holds the read buffer that its body is a part of.
const PAGE_SLOTS: usize = 64;

/// Between two looks at all shards of a shared frontier, while there is work: every node looks.
const SHARED_LOOK: Duration = Duration::from_secs(1);

/// What every generation of a run shares.
pub struct Plan {
    pub settings: Settings,
    pub folder: Folder,
    /// What the names of its WARC files begin with: no other node's do.
    pub archive_prefix: String,
    pub home: Home,
    /// What of `--max-memory` all crawls of this process share.
    pub memory: Memory,
    /// Where this process's crawls are counted.
    pub gauges: Gauges,
    pub clock: Clock,
    pub status: watch::Sender<Status>,
    /// The door for orders of the generation that runs.
    pub orders: watch::Sender<Option<Outbox<Order>>>,
    /// What is told from outside: by an operator of the fleet, or by another node.
    pub told: watch::Sender<Option<Told>>,
    /// Asks what other nodes of the crawl have not settled yet; none where there are no others.
    pub elsewhere: Option<Elsewhere>,
    /// Which generations die on purpose.
    pub failing: Failing,
}

impl Plan {
    /// What the crawl is called: in a shared store its name, else its folder's.
    fn name(&self) -> String {
        if let Home::Shared(shared) = &self.home {
            return shared.crawl.name.to_string();
        }
        let folder = self.folder.path();
        // `.` and `..` have no name of their own.
        let whole = folder.canonicalize();
        let whole = whole.as_deref().unwrap_or(folder);
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// What is told to a crawl's rooms from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    End(End),
    /// The configuration has changed: drain, somebody else builds them anew.
    Anew,
}

/// One life of the pipeline.
pub struct Generation {
    threads: Threads,
    /// Held until the threads have ended.
    store: Arc<dyn Any + Send + Sync>,
    pub orders: Outbox<Order>,
    fetchers: Vec<Outbox<Drain>>,
    seal: Outbox<Seal>,
    order: Outbox<FrontierOrder>,
    report: Outbox<FrontierReport>,
    /// How each arrow of the ring fares.
    loads: Vec<Load>,
    turns: Turns,
    /// Among the process's gauges for as long as it lives.
    watched: Watched,
    pages: Arc<PageGauge>,
    end: watch::Receiver<Option<End>>,
    status: watch::Sender<Status>,
    reports: PathBuf,
}

impl Generation {
    /// Rooms of a generation at most: 64 fetchers, as many parsers, the others once.
    pub const ACTORS_MAX: usize = 256;

    /// Opens the store and starts every room.
    ///
    /// # Errors
    /// A folder or store that cannot be used, settings that do not fit it, a room that cannot start.
    pub async fn build(plan: &Plan, died: mpsc::Sender<Died>) -> Result<Self, Failure> {
        let config = home::config(&plan.settings.node, plan.memory.frontier);
        let seed = rand::random();
        match &plan.home {
            Home::Folder { change } => {
                let opened = home::in_folder(plan, &config, *change, seed).await?;
                Self::on(plan, opened, &config, died).await
            }
            Home::Shared(crawl) => {
                let opened = home::in_store(plan, &config, crawl).await?;
                Self::on(plan, opened, &config, died).await
            }
        }
    }

    /// Starts every room over an open frontier.
    async fn on<S: Store>(
        plan: &Plan,
        frontier: Opened<S>,
        frontier_config: &FrontierConfig,
        died: mpsc::Sender<Died>,
    ) -> Result<Self, Failure> {
        let beacon = |actor: &str| Beacon::new(actor, died.clone());
        let actors = died.downgrade();
        let Settings { crawl, node, .. } = &plan.settings;
        let Opened {
            store,
            rates,
            fingerprints,
            pulse,
            wanted,
            unsettled,
        } = frontier;
        let mut chance = Chance::seeded(rand::random());
        let mut threads = Threads::default();
        let seeds = identity::seeds(&*store, &plan.settings).await?;
        let scope =
            Scope::new(&crawl.scope, &seeds).map_err(|error| Failure::input(chain(&error)))?;
        let scope = Arc::new(scope);

        // Shared by the rooms of this generation.
        let (health, bell, pages) = (
            Health::default(),
            Bell::new(node.fetchers),
            Arc::<PageGauge>::default(),
        );
        let turns = Turns::new(plan.clock.clone());
        let halt = Halt::default();
        let (budget, found) = (plan.memory.bodies.clone(), plan.memory.found.clone());

        // FRONTIER: answers and never asks. The sum of the slots below is its mailbox.
        let frontier = {
            let (store, clock, bell) = (store.clone(), plan.clock.clone(), bell.clone());
            let (slots, health, beacon) = (
                frontier_config.slots_max,
                health.clone(),
                beacon("frontier"),
            );
            threads
                .start("frontier", move || {
                    Ok::<_, Failure>(Frontier::new(
                        store, rates, clock, bell, slots, health, beacon,
                    ))
                })
                .await?
        };
        let settle = door("settle", &frontier, 8);
        let order = door("order", &frontier, 4);
        let report = door("report", &frontier, 4);
        let admit = door("admit", &frontier, 2);

        // STORAGE: one writer; its slots are the pages that are appended and not settled yet.
        let storage_config = StorageConfig::default();
        let keep_slots = storage_config.slots_max;
        let storage = {
            let setup = Setup {
                config: storage_config,
                layout: Layout::new(plan.folder.path()),
                prefix: plan.archive_prefix.clone(),
                info: identity::warc_info(&plan.settings),
                clock: plan.clock.clone(),
                chance: Chance::seeded(chance.draw()),
                faults: FailPlan::none(),
            };
            let (settle, health, beacon) = (settle.clone(), health.clone(), beacon("storage"));
            let open = move || {
                Storage::open(setup, settle, health, beacon)
                    .map_err(|error| Failure::new(Code::of_fault(error.fault()), chain(&error)))
            };
            threads.start("storage", open).await?
        };
        let keep: Outbox<Keep> = door("keep", &storage, keep_slots);

        // PARSERS: one a core, on threads of their own.
        let death = plan.failing.next_generation();
        let mut parsers = Vec::with_capacity(node.fetchers);
        for n in 0..node.fetchers {
            let setup = parser::actor::Setup {
                config: parser::config::ParserConfig {
                    tries_max: crawl.pace.tries_max,
                    slots_max: PAGE_SLOTS,
                    ..Default::default()
                },
                limits: crawl.limits.clone(),
                robots_agent: crawl.agent.robots_agent.clone(),
                purpose: crawl.agent.purpose,
                scope: scope.clone(),
                fingerprints,
                clock: plan.clock.clone(),
                found: found.clone(),
            };
            let name = format!("parser-{n}");
            let (keep, beacon, death) = (keep.clone(), beacon(&name), death.clone());
            let make = move || {
                let parser = parser::actor::Parser::new(setup, keep, beacon);
                Ok::<_, Failure>(parser.with_death(death))
            };
            parsers.push(threads.start(&name, make).await?);
        }
        let page: Outbox<Page> = Outbox::new(
            "page",
            parsers
                .iter()
                .map(|parser| parser.clone().recipient())
                .collect(),
            PAGE_SLOTS,
            PATIENCE,
        );

        // FETCHERS: one a core, each with its own connections and resolver.
        let doors = fetcher::Doors {
            claim: door("claim", &frontier, 2 * node.fetchers),
            extend: door("extend", &frontier, 64),
            release: door("release", &frontier, 64),
            schedule: door("schedule", &frontier, 64),
            enter: door("enter", &frontier, 64),
            visit: door("visit", &frontier, 64),
            page: page.clone(),
            bell: bell.clone(),
            turns: turns.clone(),
            pulse,
            halt: halt.clone(),
            wanted,
            taker: Taker::ALONE,
        };
        let fetch_config = fetcher_config(
            node.fetchers,
            crawl.pace.concurrency.unwrap_or(node.concurrency),
        )?;
        let tls = fetcher::tls::client_config(node.ca.as_slice(), fetch_config.http2);
        let tls = tls.map_err(|error| Failure::input(chain(&error)))?;
        let mut fetchers = Vec::with_capacity(node.fetchers);
        for n in 0..node.fetchers {
            let name = format!("fetcher-{n}");
            let taker = Taker {
                index: n,
                of: node.fetchers,
            };
            let parts = fetcher::Parts {
                config: fetch_config.clone(),
                crawl: Arc::new(crawl.clone()),
                dial: Arc::new(plan.settings.dial.clone()),
                dns: node.dns,
                tls: tls.clone(),
                spill: plan.folder.part("tmp"),
                doors: fetcher::Doors {
                    bell: bell.at(taker),
                    taker,
                    ..doors.clone()
                },
                clock: plan.clock.clone(),
                bytes: budget.clone(),
                gauge: pages.clone(),
                health: health.clone(),
                beacon: beacon(&name),
            };
            let started = Fetcher::start(&threads.thread(&name), parts).await;
            fetchers.push(started.map_err(|error| Failure::input(chain(&error)))?);
        }

        // COORDINATOR: looks at the others, takes orders, tells the end.
        let end = watch::Sender::new(None);
        let ended = end.subscribe();
        let config = CoordinatorConfig {
            time_limit: crawl.limits.time_limit_s.map(Duration::from_secs),
            size_limit: crawl.limits.size_limit_bytes,
            weight: crawl.pace.weight,
            frontier_every: match plan.home {
                Home::Folder { .. } => Duration::ZERO,
                Home::Shared(_) => SHARED_LOOK,
            },
            ..CoordinatorConfig::default()
        };
        let looks = coordinator::Doors {
            report: report.clone(),
            order: order.clone(),
            admit,
            given_up: door("given up", &frontier, 2),
            keep: keep.clone(),
            reserve: door("reserve", &frontier, 1),
            turns: turns.clone(),
            halt,
            fetchers: fetchers
                .iter()
                .map(|fetcher| door::<_, FetcherReport>("report", fetcher, 2))
                .collect(),
            pages: pages.clone(),
            elsewhere: plan.elsewhere.clone(),
            unsettled,
            health,
            scope,
            fingerprints,
            status: plan.status.clone(),
            end,
        };
        let (clock, last) = (plan.clock.clone(), beacon("coordinator"));
        let make = move || Ok::<_, Failure>(Coordinator::new(config, looks, clock, last));
        let coordinator = threads.start("coordinator", make).await?;

        let loads = vec![
            load_of(&doors.claim),
            load_of(&page),
            load_of(&keep),
            load_of(&settle),
        ];
        let watched = plan.gauges.watch(Running {
            crawl: plan.name(),
            status: plan.status.subscribe(),
            loads: loads.clone(),
            turns: turns.clone(),
            runtimes: threads.runtimes(),
            actors,
            bounds: Bounds {
                in_flight: node.fetchers * fetch_config.in_flight_max,
                connections: node.fetchers * fetch_config.connections_max,
                dns_entries: node.fetchers * fetcher::dns::ENTRIES_MAX as usize,
            },
        });

        Ok(Self {
            threads,
            store,
            orders: door("orders", &coordinator, 8),
            fetchers: fetchers
                .iter()
                .map(|fetcher| door("drain", fetcher, 1))
                .collect(),
            seal: door("seal", &storage, 1),
            loads,
            turns,
            watched,
            order,
            report,
            pages,
            end: ended,
            status: plan.status.clone(),
            reports: plan.folder.part("reports"),
        })
    }

    /// Waits until the coordinator tells the end.
    pub async fn ended(&mut self) -> End {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(End::Stopped),
            // The coordinator is gone without a word; its beacon says more.
            Err(_) => std::future::pending().await,
        }
    }

    /// In the ring's order: no new requests, what is under way settles, the files are sealed, the store is flushed.
    ///
    /// # Errors
    /// What did not end well.
    pub async fn drain(&mut self) -> Result<(), String> {
        for fetcher in &self.fetchers {
            fetcher
                .ask(Drain)
                .await
                .map_err(|error| error.to_string())?;
        }
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while self.pages.in_ring() > 0 {
            looks.tick().await;
        }
        self.seal
            .ask(Seal)
            .await
            .map_err(|error| error.to_string())??;
        let flushed = self
            .order
            .ask(FrontierOrder::Flush)
            .await
            .map_err(|error| error.to_string())?;
        flushed.map_err(|error| error.to_string())?;
        if let Ok(Ok(frontier)) = self.report.ask(FrontierReport).await {
            self.status.send_modify(|status| status.frontier = frontier);
        }
        let mut loads: Vec<_> = self.loads.iter().map(|load| load()).collect();
        loads.push(self.turns.load());
        let machine = Machine::read(&self.status.borrow(), &loads);
        machine
            .write(&self.reports)
            .map_err(|error| format!("reports/machine.json: {error}"))
    }

    /// Ends every thread and gives the store's folder free.
    pub async fn kill(self) {
        let Self {
            threads,
            store,
            watched,
            ..
        } = self;
        drop(watched);
        threads.end().await;
        drop(store);
    }
}

/// The shares of `--max-memory`, for all crawls of this process; the rest is for connections, parsers and the
/// allocator.
#[derive(Clone, Debug)]
pub struct Memory {
    all: u64,
    /// Of each crawl.
    frontier: u64,
    bodies: ByteBudget,
    /// Links on their way from the parsers to the frontier.
    found: ByteBudget,
}

impl Memory {
    pub fn of(bytes: u64) -> Self {
        Self {
            all: bytes,
            frontier: (bytes / 20).max(16 << 20),
            bodies: ByteBudget::new(bytes / 8),
            found: ByteBudget::new(bytes / 32),
        }
    }

    /// `--max-memory`, in bytes.
    pub fn all(&self) -> u64 {
        self.all
    }

    /// Bytes held by bodies, and how many may be.
    pub fn bodies(&self) -> (u64, u64) {
        (self.bodies.held(), self.bodies.bound())
    }

    /// Bytes held by links on their way, and how many may be.
    pub fn found(&self) -> (u64, u64) {
        (self.found.held(), self.found.bound())
    }
}

fn fetcher_config(fetchers: usize, concurrency: usize) -> Result<FetcherConfig, Failure> {
    /// Connections over the node (DESIGN.md, Transport).
    const CONNECTIONS_MAX: usize = 1_000;
    let leases_max = (concurrency * 2).max(100);
    let config = FetcherConfig {
        in_flight_max: concurrency,
        leases_max,
        connections_max: (CONNECTIONS_MAX / fetchers).max(leases_max),
        ..FetcherConfig::default()
    };
    config
        .validate()
        .map_err(|error| Failure::input(chain(&error)))
}

fn door<A, T>(arrow: &'static str, to: &Addr<A>, slots: usize) -> Outbox<T>
where
    A: Actor<Context = Context<A>> + actix::Handler<Work<T>>,
    T: Ask,
{
    Outbox::new(arrow, vec![to.clone().recipient()], slots, PATIENCE)
}

fn load_of<T: Ask>(door: &Outbox<T>) -> Load {
    let door = door.clone();
    Arc::new(move || door.load())
}

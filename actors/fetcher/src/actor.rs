//! The actor: claims leases while it has room, starts their runs on its own thread, drains and reports.
//!
//! Owns one fetcher's [`Shell`] and the runs' tasks; they end with it. Only this file knows actix. A run's panic is
//! raised again here, so that the supervisor hears of it by the beacon (a page's panic stays in its run).
//! Start at [`Fetcher::start`], then [`claim`].

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use contract::beacon::Beacon;
use contract::cause::Cancel;
use contract::clock::{Boot, Clock};
use contract::control::{Drain, FetcherReport, FetcherStats};
use contract::crawl::CrawlConfig;
use contract::guarded::{Ended, Hooks, Panicked, guarded};
use contract::health::Health;
use contract::lease::{Claim, Claimed, Lease, Release};
use contract::memory::ByteBudget;
use contract::outbox::{OutboxError, Work};
use contract::page::PageGauge;
use rustls::ClientConfig;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{info, warn};

use crate::address::Dial;
use crate::config::{ConfigError, FetcherConfig};
use crate::connector::Connector;
use crate::dns::{Dns, DnsLoad, DnsSetupError};
use crate::events::{self, LineMeters, Meters};
use crate::gather::SpillDir;
use crate::http::{Exchanger, Times};
use crate::pool::Pool;
use crate::run::work_off;
use crate::settings::Settings;
use crate::shell::{Doors, Shell};

/// Nothing due: the frontier is asked again after so long at the latest, also when no bell rang.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// What a fetcher is built from.
pub struct Parts {
    pub config: FetcherConfig,
    pub crawl: Arc<CrawlConfig>,
    pub dial: Arc<Dial>,
    /// The DNS server to ask; none: the system's.
    pub dns: Option<SocketAddr>,
    pub tls: Arc<ClientConfig>,
    /// Folder for bodies that are too large for memory; made if it is missing.
    pub spill: PathBuf,
    pub doors: Doors,
    pub clock: Clock,
    pub bytes: ByteBudget,
    pub gauge: Arc<PageGauge>,
    pub health: Health,
    pub beacon: Beacon,
}

/// Why a fetcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
    #[error("cannot make {}", .folder.display())]
    Spill { folder: PathBuf, source: io::Error },
    #[error("the fetcher's thread is gone")]
    Gone,
}

/// One fetcher.
pub struct Fetcher {
    shell: Rc<Shell>,
    /// Room for leases.
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    broken: Rc<Notify>,
    _beacon: Beacon,
}

impl Fetcher {
    /// Builds a fetcher on this Arbiter (its resolver and connections belong to that thread) and starts it.
    ///
    /// # Errors
    /// Settings that cannot be used, no resolver, or an Arbiter that has stopped.
    pub async fn start(arbiter: &ArbiterHandle, parts: Parts) -> Result<Addr<Self>, StartError> {
        let (ready, started) = oneshot::channel();
        arbiter.spawn_fn(move || {
            let fetcher = Self::build(parts).map(Actor::start);
            // Whoever asked may have given up; the fetcher stops when nobody holds its address.
            let _asker = ready.send(fetcher);
        });
        started.await.map_err(|_| StartError::Gone)?
    }

    pub(crate) fn build(parts: Parts) -> Result<Self, StartError> {
        let config = parts.config.validate()?;
        let settings = Arc::new(Settings::new(&parts.crawl)?);
        let spill_failed = |source| StartError::Spill {
            folder: parts.spill.clone(),
            source,
        };
        std::fs::create_dir_all(&parts.spill).map_err(spill_failed)?;
        let dns = Arc::new(Dns::new(parts.dns, parts.dial.clone())?);
        let connector = Connector {
            tls: parts.tls,
            dns: dns.clone(),
            dial: parts.dial.clone(),
            limit: Duration::from_millis(settings.limits.connect_ms_max),
            meters: LineMeters::new(),
        };
        let pool = Pool::new(
            parts.clock.clone(),
            config.connections_max,
            config.connection_idle(),
        );
        let exchanger = Exchanger {
            clock: parts.clock.clone(),
            connector,
            budget: parts.bytes,
            spill: SpillDir::new(parts.spill),
            times: Times::of(&settings.limits),
        };
        let room = Arc::new(Semaphore::new(config.leases_max));
        let shell = Shell {
            in_flight: Arc::new(Semaphore::new(config.in_flight_max)),
            pool: RefCell::new(pool),
            config,
            settings,
            clock: parts.clock,
            doors: parts.doors,
            gauge: parts.gauge,
            health: parts.health,
            meters: Meters::new(),
            dial: parts.dial,
            dns,
            exchanger,
            drain: Cancel::new(),
            stop: Cancel::new(),
            waits: RefCell::new(HashMap::new()),
            tdm: RefCell::new(HashMap::new()),
        };
        let (shell, broken) = (Rc::new(shell), Rc::new(Notify::new()));
        Ok(Self {
            shell,
            room,
            tasks: TaskTracker::new(),
            broken,
            _beacon: parts.beacon,
        })
    }
}

#[cfg(test)]
impl Fetcher {
    pub(crate) fn shell(&self) -> Rc<Shell> {
        self.shell.clone()
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let config = &self.shell.config;
        info!(
            leases_max = config.leases_max,
            in_flight_max = config.in_flight_max,
            "fetcher started"
        );
        let claiming = Claiming {
            shell: self.shell.clone(),
            room: self.room.clone(),
            tasks: self.tasks.clone(),
            broken: self.broken.clone(),
            _tracked: self.tasks.token(),
        };
        ctx.spawn(claim(claiming).into_actor(self));
    }
}

impl Drop for Fetcher {
    /// However it ends, its runs end too: their requests are cut off, their URLs come back with the leases.
    fn drop(&mut self) {
        self.shell.drain.cancel("fetcher gone");
        self.shell.stop.cancel("fetcher gone");
    }
}

impl Handler<Work<Drain>> for Fetcher {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, work: Work<Drain>, _: &mut Self::Context) -> ResponseFuture<()> {
        self.shell.drain.cancel("drain");
        self.tasks.close();
        let tasks = self.tasks.clone();
        Box::pin(async move {
            tasks.wait().await;
            drop(work);
        })
    }
}

impl Handler<Work<FetcherReport>> for Fetcher {
    type Result = MessageResult<Work<FetcherReport>>;

    fn handle(&mut self, _: Work<FetcherReport>, _: &mut Self::Context) -> Self::Result {
        let (shell, config) = (&self.shell, &self.shell.config);
        let held =
            |bound: usize, permits: &Semaphore| bound.saturating_sub(permits.available_permits());
        MessageResult(FetcherStats {
            leases: held(config.leases_max, &self.room),
            in_flight: held(config.in_flight_max, &shell.in_flight),
            next: shell.next_wait(),
            connections_idle: shell.pool.borrow().idle(),
            dns_entries: usize::try_from(shell.dns.load().entries_at_most).unwrap_or(usize::MAX),
        })
    }
}

/// What the claiming task holds.
struct Claiming {
    shell: Rc<Shell>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    broken: Rc<Notify>,
    /// A drain waits for this task too: it may have just been granted something.
    _tracked: TaskTrackerToken,
}

/// Around a run: its end is counted in the run, its panic goes on to the actor.
struct RunHooks(Rc<Notify>);

impl Hooks for RunHooks {
    fn on_panic(&mut self, panic: &Panicked) {
        events::panicked(panic);
        self.0.notify_one();
    }

    fn on_finish(&mut self, _: Ended) {}
}

/// Claims leases as long as there is room for them, until the drain.
async fn claim(claiming: Claiming) {
    let shell = &claiming.shell;
    let mut told = DnsLoad::default();
    loop {
        let slot = tokio::select! {
            // The semaphore is never closed.
            slot = claiming.room.clone().acquire_owned() => slot.ok(),
            _ = shell.drain.cancelled() => return,
            () = claiming.broken.notified() => raise(),
        };
        if shell.health.fault().is_some() {
            // An ill node leases nothing; the coordinator ends it.
            return;
        }
        let free = claiming.room.available_permits() + 1;
        let ask = Claim {
            taker: shell.doors.taker,
            hosts: free.min(shell.config.claim_hosts_max),
            urls_per_host: shell.config.claim_urls_max,
        };
        // The term runs from here, not from the answer: the answer may have been long on its way.
        let from = shell.clock.boot();
        let claimed = match shell.doors.claim.ask(ask).await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no leases");
                Claimed::default()
            }
            // The generation ends, and this fetcher with it.
            Err(OutboxError::Closed(_)) => return,
            Err(error) => {
                warn!(%error, "no answer to a claim");
                Claimed::default()
            }
        };
        let nothing = claimed.leases.is_empty();
        let mut slot = slot;
        for lease in claimed.leases {
            let slot = slot
                .take()
                .or_else(|| claiming.room.clone().try_acquire_owned().ok());
            claiming.begin(lease, from, slot);
        }
        if nothing {
            drop(slot);
            shell.pool.borrow_mut().sweep();
            let idle = claimed.next_due.map_or(IDLE_MAX, |due| due.min(IDLE_MAX));
            tokio::select! {
                () = shell.doors.bell.heard(idle) => {}
                _ = shell.drain.cancelled() => return,
                () = claiming.broken.notified() => raise(),
            }
        }
        let load = shell.dns.load();
        shell.meters.dns(told, load);
        told = load;
    }
}

impl Claiming {
    /// Starts a lease's run; one that came too late, or for which there is no room, goes back at once.
    fn begin(&self, lease: Lease, from: Boot, slot: Option<OwnedSemaphorePermit>) {
        let (shell, broken) = (self.shell.clone(), self.broken.clone());
        let Some(slot) = slot.filter(|_| !shell.drain.is_cancelled()) else {
            let release = Release {
                host: lease.host,
                token: lease.token,
                handed: 0,
                last_end: None,
            };
            let back = async move {
                if let Err(error) = shell.doors.release.ask(release).await {
                    warn!(%error, "cannot give a lease back");
                }
            };
            actix_rt::spawn(self.tasks.track_future(back));
            return;
        };
        let run = async move {
            // A panic has been told by the hooks.
            let _ended = guarded(RunHooks(broken), work_off(shell, lease, from)).await;
            drop(slot);
        };
        actix_rt::spawn(self.tasks.track_future(run));
    }
}

/// A run panicked outside of its pages: the fetcher's books may be wrong, so that it ends as one that panicked.
fn raise() -> ! {
    std::panic::resume_unwind(Box::new("a lease's run panicked"))
}

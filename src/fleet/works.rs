//! The crawls that this node works on: taken up when they are heard of, each with rooms and a folder of its own, let go
//! when they have ended.
//!
//! Owns one task for each crawl and what is told of it in the heartbeat. Invariants: a crawl has one task at most; one
//! that fails is tried again after a pause that grows; when the node drains, none is taken up. Start at
//! [`Works::reconcile`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use contract::clock::{Boot, Clock};
use contract::control::Order;
use contract::fleet::{
    CrawlEnd, CrawlName, CrawlNumber, CrawlOnNode, CrawlState, NodeName, RateOnNode,
};
use coordinator::{Elsewhere, End, Status};
use fetcher::address::Dial;
use frontier::fleet::nodes::{self, Heard, HeardCrawl};
use frontier::fleet::{FleetError, configs, course, crawls};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{error, info, warn};

use super::failed;
use super::store::Shared;
use crate::config::{NodeConfig, Settings};
use crate::exit::Failure;
use crate::failing::Failing;
use crate::folder::{Folder, Owner};
use crate::gauges::Gauges;
use crate::home::{Home, SharedCrawl};
use crate::run::{self, Ran};
use crate::shutdown::Signals;
use crate::supervise::Ended;
use crate::wiring::{Memory, Plan, Told};

/// Crawls that one node works on at once; each has threads of its own. Others wait for one of these to end.
pub const AT_ONCE_MAX: usize = 16;
/// The pause before a crawl that failed is tried again; doubled each time.
const BACKOFF: Duration = Duration::from_secs(2);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// What others hold of a crawl where they could not be asked.
const NOT_HEARD: u64 = 1;

/// What all crawls of this node have in common.
pub struct Bench {
    pub shared: Shared,
    pub node: NodeConfig,
    pub dial: Dial,
    pub name: NodeName,
    /// Where the crawls' folders are.
    pub output: PathBuf,
    /// Only these; all where it is empty.
    pub only: Vec<CrawlName>,
    pub memory: Memory,
    pub gauges: Gauges,
    pub clock: Clock,
    /// Brings the next heartbeat forward.
    pub hurry: Arc<Notify>,
    /// Where the one crawl of `crawl --store` is shown.
    pub shown: Option<watch::Sender<Status>>,
}

/// The crawls of this node.
pub struct Works {
    bench: Bench,
    works: Rc<RefCell<BTreeMap<CrawlNumber, Work>>>,
    tasks: JoinSet<(CrawlNumber, Result<Ran, Failure>)>,
    resting: BTreeMap<CrawlNumber, Rest>,
    /// Tells every crawl's drain to stop at once.
    stop: watch::Sender<()>,
}

impl Bench {
    /// Asks what the other nodes hold of a crawl. It is asked only when nothing is left to do, of which the others are to
    /// hear at once from this node too: they wait for it as it does for them.
    fn elsewhere(&self, crawl: CrawlNumber) -> Elsewhere {
        let (link, me, hurry) = (
            self.shared.link.clone(),
            self.name.clone(),
            self.hurry.clone(),
        );
        Arc::new(move || {
            hurry.notify_one();
            let (mut link, me) = (link.clone(), me.clone());
            Box::pin(async move {
                match nodes::list(&mut link).await {
                    Ok(nodes) => course::unsent_elsewhere(&nodes, &me, crawl),
                    Err(error) => {
                        tracing::debug!(%error, "the other nodes are not heard of");
                        NOT_HEARD
                    }
                }
            })
        })
    }
}

/// A crawl that failed.
struct Rest {
    until: Boot,
    pause: Duration,
}

/// A crawl that is worked on.
struct Work {
    name: CrawlName,
    config: u64,
    plan: Rc<Plan>,
    /// The state that its rooms were told of.
    told: Option<CrawlState>,
}

/// A task that has ended.
pub struct Joined(Result<(CrawlNumber, Result<Ran, Failure>), JoinError>);

/// What a crawl's task came to.
pub struct Came {
    pub plan: Rc<Plan>,
    is_anew: bool,
    pub to: Result<Ran, Failure>,
}

impl Came {
    /// The crawl is taken up again at once, with another configuration.
    pub fn goes_on(&self) -> bool {
        self.is_anew && self.to.is_ok()
    }
}

impl Works {
    pub fn new(bench: Bench) -> Self {
        Self {
            bench,
            works: Rc::default(),
            tasks: JoinSet::new(),
            resting: BTreeMap::new(),
            stop: watch::Sender::new(()),
        }
    }

    /// What the heartbeat tells, asked whenever it beats.
    pub fn teller(&self) -> impl Fn() -> Vec<CrawlOnNode> + use<> {
        let works = self.works.clone();
        move || {
            let works = works.borrow();
            works
                .iter()
                .map(|(number, work)| work.on_node(*number))
                .collect()
        }
    }

    /// Lets every crawl go; each drains and gives its leases back.
    pub fn drain(&self) {
        for work in self.works.borrow().values() {
            work.plan.told.send_if_modified(|told| {
                let is_first = told.is_none();
                told.get_or_insert(Told::End(End::Stopped));
                is_first
            });
        }
    }

    /// Ends the drains at once; what is under way comes again.
    pub fn stop(&self) {
        self.stop.send_replace(());
    }

    /// Does what the fleet wants: takes up, tells, lets go.
    ///
    /// # Errors
    /// Only in `crawl --store`, whose one crawl is all it is there for: a crawl that cannot be taken up.
    pub async fn reconcile(&mut self, heard: &Heard) -> Result<(), Failure> {
        self.let_go(heard).await;
        for crawl in &heard.crawls {
            let is_ours = self.bench.only.is_empty() || self.bench.only.contains(&crawl.name);
            if !is_ours || !crawl.state.is_worked_on() {
                continue;
            }
            if self.works.borrow().contains_key(&crawl.number) {
                self.tell(crawl).await;
                continue;
            }
            let now = self.bench.clock.boot();
            let rests = self
                .resting
                .get(&crawl.number)
                .is_some_and(|rest| rest.until > now);
            if rests || self.works.borrow().len() >= AT_ONCE_MAX {
                continue;
            }
            if let Err(failure) = self.take_up(crawl).await {
                if self.bench.shown.is_some() {
                    return Err(failure);
                }
                error!(crawl = crawl.name.as_str(), %failure, "the crawl cannot be taken up");
                self.rest(crawl.number);
            }
        }
        Ok(())
    }

    /// Ends what is no longer heard of.
    async fn let_go(&mut self, heard: &Heard) {
        let is_heard = |number: &CrawlNumber| {
            let mut crawls = heard.crawls.iter();
            crawls.any(|crawl| crawl.number == *number && crawl.state.is_worked_on())
        };
        let gone: Vec<_> = {
            let works = self.works.borrow();
            let gone = works.iter().filter(|(number, _)| !is_heard(number));
            gone.map(|(_, work)| (work.name.clone(), work.plan.clone()))
                .collect()
        };
        for (name, plan) in gone {
            let ended = crawls::find(&mut self.bench.shared.link, &name).await;
            let end = match ended.map(|crawl| crawl.state) {
                Ok(CrawlState::Ended(why)) => end_of(why),
                // Started again since; the next heartbeat says so.
                Ok(_) => continue,
                // It has ended and was forgotten since.
                Err(FleetError::NoCrawl(_)) => End::Stopped,
                Err(error) => {
                    warn!(crawl = name.as_str(), %error, "cannot ask how the crawl ended");
                    continue;
                }
            };
            plan.told.send_replace(Some(Told::End(end)));
        }
        self.resting.retain(|number, _| is_heard(number));
    }

    /// Tells a crawl's rooms of a pause, its end, or another configuration.
    async fn tell(&mut self, crawl: &HeardCrawl) {
        let (plan, told, config) = {
            let works = self.works.borrow();
            let Some(work) = works.get(&crawl.number) else {
                return;
            };
            (work.plan.clone(), work.told, work.config)
        };
        if config != crawl.config {
            info!(
                crawl = crawl.name.as_str(),
                from = config,
                to = crawl.config,
                "another configuration: the crawl's rooms are built anew"
            );
            plan.told.send_replace(Some(Told::Anew));
            return;
        }
        if told == Some(crawl.state) {
            return;
        }
        let order = match crawl.state {
            CrawlState::Paused => Order::Pause,
            _ => Order::Resume,
        };
        let Some(door) = plan.orders.borrow().clone() else {
            return;
        };
        match door.ask(order).await {
            Ok(Ok(_)) => {
                if let Some(work) = self.works.borrow_mut().get_mut(&crawl.number) {
                    work.told = Some(crawl.state);
                }
            }
            Ok(Err(why)) => warn!(crawl = crawl.name.as_str(), why, "an order was refused"),
            Err(error) => warn!(crawl = crawl.name.as_str(), %error, "an order was not heard"),
        }
    }

    async fn take_up(&mut self, heard: &HeardCrawl) -> Result<(), Failure> {
        let bench = &mut self.bench;
        let link = &mut bench.shared.link;
        let crawl = crawls::find(link, &heard.name).await.map_err(failed)?;
        if !crawl.state.is_worked_on() {
            // It has ended since it was heard of.
            return Ok(());
        }
        let current = configs::current(link, crawl.number).await.map_err(failed)?;
        let dir = bench
            .output
            .join(heard.name.as_str())
            .join(bench.name.as_str());
        let settings =
            Settings::shared(current.config, bench.node.clone(), bench.dial.clone(), dir)?;
        let owner = Owner::of(&crawl, &bench.name);
        let plan = Rc::new(Plan {
            folder: Folder::shared(&settings.output, &owner)?,
            archive_prefix: format!("argiope.{}.{}", heard.name, bench.name),
            settings,
            home: Home::Shared(SharedCrawl {
                link: link.clone(),
                deployment: bench.shared.deployment,
                crawl,
            }),
            elsewhere: Some(bench.elsewhere(heard.number)),
            memory: bench.memory.clone(),
            gauges: bench.gauges.clone(),
            clock: bench.clock.clone(),
            status: bench.shown.clone().unwrap_or_default(),
            orders: watch::Sender::new(None),
            told: watch::Sender::new(None),
            failing: Failing::read()?,
        });
        info!(
            crawl = heard.name.as_str(),
            config = current.version,
            folder = %plan.folder.path().display(),
            "taken up"
        );
        let work = Work {
            name: heard.name.clone(),
            config: current.version,
            plan: plan.clone(),
            told: None,
        };
        self.works.borrow_mut().insert(heard.number, work);
        let number = heard.number;
        let mut signals = Signals::relayed(&self.stop);
        let run = async move { (number, run::crawl(&plan, &mut signals).await) };
        self.tasks.spawn_local(run);
        Ok(())
    }

    /// The next task that ends; none while there are no tasks. Nothing is lost where it is not waited for.
    pub async fn next(&mut self) -> Option<Joined> {
        self.tasks.join_next().await.map(Joined)
    }

    /// What a task came to. The crawl's end is told to the fleet where it is one for all nodes.
    pub async fn came(&mut self, Joined(joined): Joined) -> Option<Came> {
        let (number, to) = match joined {
            Ok(came) => came,
            Err(error) => {
                error!(severity = "CRITICAL", %error, "a crawl's task broke down");
                return None;
            }
        };
        let work = self.works.borrow_mut().remove(&number)?;
        let is_anew = *work.plan.told.borrow() == Some(Told::Anew);
        match &to {
            Ok(ran) => {
                let (Ended::Drained(end) | Ended::Forced(end)) = &ran.ended;
                let is_told = work.plan.told.borrow().is_some();
                match (fleet_end(end).filter(|_| !is_told), end) {
                    (Some(why), _) => self.end(&work.name, why).await,
                    (None, End::Fault(fault)) => {
                        error!(
                            crawl = work.name.as_str(),
                            room = fault.room,
                            detail = fault.detail,
                            "this node cannot work on the crawl now"
                        );
                        self.rest(number);
                    }
                    (None, _) => drop(self.resting.remove(&number)),
                }
            }
            Err(failure) => {
                error!(crawl = work.name.as_str(), %failure, "the crawl's work failed");
                self.rest(number);
            }
        }
        Some(Came {
            plan: work.plan,
            is_anew,
            to,
        })
    }

    async fn end(&mut self, name: &CrawlName, why: CrawlEnd) {
        match crawls::end(&mut self.bench.shared.link, name, why).await {
            Ok(crawl) => info!(crawl = name.as_str(), state = %crawl.state, "the crawl ended"),
            // Paused meanwhile, or the store is away: whoever looks next ends it.
            Err(error) => warn!(crawl = name.as_str(), %error, "the crawl's end was not taken"),
        }
    }

    fn rest(&mut self, number: CrawlNumber) {
        let last = self.resting.get(&number).map(|rest| rest.pause);
        let pause = last.map_or(BACKOFF, |last| (last * 2).min(BACKOFF_MAX));
        let until = self.bench.clock.boot().after(pause);
        self.resting.insert(number, Rest { until, pause });
    }
}

impl Work {
    fn on_node(&self, crawl: CrawlNumber) -> CrawlOnNode {
        let status = self.plan.status.borrow();
        CrawlOnNode {
            crawl,
            config: self.config,
            millipages_per_s: (status.node.pages_per_s * 1e3) as u64,
            leases: status.node.leases,
            in_flight: status.in_flight as u64,
            unsent: status.in_ring,
            rate: status.node.rate.map(|part| RateOnNode {
                millislots_per_s: (part.granted_per_s * 1e3) as u64,
                used_millislots_per_s: (part.used_per_s * 1e3) as u64,
                lapsed_millislots_per_s: (part.lapsed_per_s * 1e3) as u64,
                held: part.held,
                waiting: part.waiting,
            }),
        }
    }
}

/// What ends the crawl for all nodes, of what ends it here.
fn fleet_end(end: &End) -> Option<CrawlEnd> {
    match end {
        End::Done => Some(CrawlEnd::Done),
        End::PageLimit => Some(CrawlEnd::PageLimit),
        End::TimeLimit => Some(CrawlEnd::TimeLimit),
        End::SizeLimit => Some(CrawlEnd::SizeLimit),
        End::Stopped | End::Fault(_) => None,
    }
}

fn end_of(why: CrawlEnd) -> End {
    match why {
        CrawlEnd::Done => End::Done,
        CrawlEnd::PageLimit => End::PageLimit,
        CrawlEnd::TimeLimit => End::TimeLimit,
        CrawlEnd::SizeLimit => End::SizeLimit,
        CrawlEnd::Stopped => End::Stopped,
    }
}

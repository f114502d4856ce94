//! Everything of this process that could leak or run full, in figures of one moment.
//!
//! Owns the list of the crawls that run in this process, each while its generation lives. From one table of rows
//! ([`table::GAUGES`]) come `/metrics`, `/health` and what `argiope doctor` says of a crawl. Figures of several crawls stand beside each other under
//! the label `crawl`; those of a crawl that has ended are gone. Start at [`Gauges::snapshot`].

mod process;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::beacon::Died;
use contract::outbox::ArrowLoad;
use contract::turns::Turns;
use coordinator::Status;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

pub use self::process::{Process, kib};
pub use self::table::{TIME_WAIT_MAX, judge, prometheus};
use crate::threads::Runtimes;
use crate::wiring::Memory;

/// How an arrow fares, whenever it is asked.
pub type Load = Arc<dyn Fn() -> ArrowLoad + Send + Sync>;

/// The one place where a process's gauges are read; clones are the same place.
#[derive(Clone)]
pub struct Gauges(Arc<Inner>);

struct Inner {
    memory: Memory,
    /// The runtime of the process's first thread.
    main: Handle,
    next: AtomicU64,
    crawls: Mutex<BTreeMap<u64, Running>>,
}

/// A generation of a crawl, as the gauges see it.
pub struct Running {
    /// The crawl's name, or that of its folder.
    pub crawl: String,
    pub status: watch::Receiver<Status>,
    pub loads: Vec<Load>,
    /// Where requests wait for the shared rate.
    pub turns: Turns,
    pub runtimes: Runtimes,
    /// Each actor that lives holds one sender.
    pub actors: mpsc::WeakSender<Died>,
    /// The fetchers' bounds, over all of them.
    pub bounds: Bounds,
}

/// What the fetchers of a crawl together hold at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub in_flight: usize,
    pub connections: usize,
    pub dns_entries: usize,
}

/// A generation is among the gauges as long as this lives.
pub struct Watched {
    gauges: Gauges,
    key: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let gone = self.gauges.crawls().remove(&self.key);
        // Its doors go with it; not under the lock.
        drop(gone);
    }
}

/// All figures of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub process: Process,
    /// `--max-memory` in bytes.
    pub memory_max: u64,
    /// Bytes of bodies, and of links on their way to the frontier: held, and at most.
    pub bodies: (u64, u64),
    pub found: (u64, u64),
    /// Tasks of all runtimes.
    pub tasks: u64,
    pub crawls: Vec<Crawl>,
}

/// One crawl's part of it.
#[derive(Debug, Default)]
pub struct Crawl {
    pub name: String,
    pub status: Status,
    pub arrows: Vec<ArrowLoad>,
    pub turns: ArrowLoad,
    pub actors: u64,
    pub bounds: Bounds,
}

impl Gauges {
    /// The gauges of a process whose crawls share this memory; made on its first thread.
    pub fn new(memory: Memory) -> Self {
        Self(Arc::new(Inner {
            memory,
            main: Handle::current(),
            next: AtomicU64::new(0),
            crawls: Mutex::default(),
        }))
    }

    fn crawls(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        // The map is whole whatever panicked beside it.
        self.0.crawls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a generation among the gauges until the answer is dropped.
    pub fn watch(&self, running: Running) -> Watched {
        let key = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.crawls().insert(key, running);
        let gauges = self.clone();
        Watched { gauges, key }
    }

    /// Reads everything now; the kernel's part on a thread that may block.
    pub async fn snapshot(&self) -> Snapshot {
        let process = tokio::task::spawn_blocking(Process::read).await;
        let running = self.crawls();
        let tasks = |handle: &Handle| handle.metrics().num_alive_tasks() as u64;
        let memory = &self.0.memory;
        Snapshot {
            process: process.unwrap_or_default(),
            memory_max: memory.all(),
            bodies: memory.bodies(),
            found: memory.found(),
            tasks: tasks(&self.0.main)
                + running
                    .values()
                    .flat_map(|running| running.runtimes.handles())
                    .map(|handle| tasks(&handle))
                    .sum::<u64>(),
            crawls: running.values().map(Running::now).collect(),
        }
    }
}

impl Running {
    fn now(&self) -> Crawl {
        Crawl {
            name: self.crawl.clone(),
            status: self.status.borrow().clone(),
            arrows: self.loads.iter().map(|load| load()).collect(),
            turns: self.turns.load(),
            actors: self.actors.strong_count() as u64,
            bounds: self.bounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Clock;

    fn running(crawl: &str, queued: u64) -> (Running, watch::Sender<Status>, mpsc::Sender<Died>) {
        let mut status = Status::default();
        status.frontier.queued = queued;
        let status = watch::Sender::new(status);
        let (actor, _) = mpsc::channel(1);
        let running = Running {
            crawl: crawl.to_owned(),
            status: status.subscribe(),
            loads: Vec::new(),
            turns: Turns::new(Clock::machine()),
            runtimes: Runtimes::default(),
            actors: actor.downgrade(),
            bounds: Bounds::default(),
        };
        (running, status, actor)
    }

    #[tokio::test]
    async fn crawls_stand_beside_each_other_and_leave_nothing() {
        let gauges = Gauges::new(Memory::of(1 << 30));
        let (one, _one, actor) = running("one", 3);
        let (other, _other, _actor) = running("other", 5);
        let one = gauges.watch(one);
        let _other = gauges.watch(other);
        let text = prometheus(&gauges.snapshot().await);
        assert!(
            text.contains("argiope_frontier_queued{crawl=\"one\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("argiope_frontier_queued{crawl=\"other\"} 5\n"),
            "{text}"
        );
        assert!(text.contains("argiope_actors{crawl=\"one\"} 1\n"), "{text}");
        drop(actor);
        let text = prometheus(&gauges.snapshot().await);
        assert!(text.contains("argiope_actors{crawl=\"one\"} 0\n"), "{text}");
        drop(one);
        let text = prometheus(&gauges.snapshot().await);
        assert!(!text.contains("crawl=\"one\""), "{text}");
        assert!(text.contains("crawl=\"other\""), "{text}");
    }

    #[tokio::test]
    async fn tasks_are_counted_while_they_live() {
        let gauges = Gauges::new(Memory::of(1 << 30));
        let before = gauges.snapshot().await.tasks;
        let task = tokio::spawn(std::future::pending::<()>());
        assert_eq!(gauges.snapshot().await.tasks, before + 1);
        task.abort();
        let _cancelled = task.await;
        assert_eq!(gauges.snapshot().await.tasks, before);
    }
}

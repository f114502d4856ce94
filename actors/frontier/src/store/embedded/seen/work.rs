//! What is done beside the store's own thread: writing runs, and merging several into one.
//!
//! Owns the threads, one for each kind of work, and their end: a job that nobody waits for any more stops at its next
//! fingerprints and is joined. It knows nothing of what is listed; a run counts once [`super::Seen`] has taken it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use contract::fault::FailPlan;

use super::Young;
use super::run::{Keys, Run, RunWriter};
use crate::error::StoreError;

/// Fingerprints between two looks whether the work is still wanted.
const LOOK_EVERY: usize = 4_096;

/// Ascending fingerprints of several ascending sources; of equal ones each.
pub(super) struct Merged<S> {
    /// The next of each source, the least first.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    sources: Vec<S>,
    failed: Option<StoreError>,
}

impl<S: Iterator<Item = Result<u64, StoreError>>> Merged<S> {
    pub(super) fn of(sources: impl IntoIterator<Item = S>) -> Self {
        let mut sources: Vec<S> = sources.into_iter().collect();
        let (mut heads, mut failed) = (BinaryHeap::new(), None);
        for (at, source) in sources.iter_mut().enumerate() {
            match source.next() {
                Some(Ok(key)) => heads.push(Reverse((key, at))),
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
        }
        Self {
            heads,
            sources,
            failed,
        }
    }
}

impl<S: Iterator<Item = Result<u64, StoreError>>> Iterator for Merged<S> {
    type Item = Result<u64, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let mut head = self.heads.peek_mut()?;
        let Reverse((key, at)) = *head;
        match self.sources[at].next() {
            Some(Ok(next)) => *head = Reverse((next, at)),
            Some(Err(error)) => {
                drop(head);
                self.failed = Some(error);
            }
            None => {
                PeekMut::pop(head);
            }
        }
        Some(Ok(key))
    }
}

/// What a run is made of.
pub(super) enum Of {
    Young(Arc<Young>),
    Runs(Vec<Arc<Run>>),
}

/// Where and how the run is made.
pub(super) struct Order {
    pub(super) folder: PathBuf,
    pub(super) number: u64,
    pub(super) sieve_bytes: u64,
    pub(super) fail: FailPlan,
}

/// One run being made.
pub(super) struct Job {
    /// Taken when it is joined.
    thread: Option<JoinHandle<Result<Run, StoreError>>>,
    unwanted: Arc<AtomicBool>,
}

impl Job {
    pub(super) fn start(order: Order, of: Of) -> Result<Self, StoreError> {
        let unwanted = Arc::new(AtomicBool::new(false));
        let told = unwanted.clone();
        let thread = thread::Builder::new()
            .name("seen".to_owned())
            .spawn(move || make(&order, of, &told))
            .map_err(StoreError::Write)?;
        Ok(Self {
            thread: Some(thread),
            unwanted,
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end.
    pub(super) fn join(mut self) -> Result<Run, StoreError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(made)) => made,
            Some(Err(payload)) => Err(StoreError::BrokeDown(
                contract::guarded::Panicked::caught(payload.as_ref()).to_string(),
            )),
            None => Err(StoreError::Broken),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nobody asks any more what became of it; its file is removed when the store is opened again.
            let _ = thread.join();
        }
    }
}

fn make(order: &Order, of: Of, unwanted: &AtomicBool) -> Result<Run, StoreError> {
    match of {
        Of::Young(young) => {
            let mut keys: Vec<u64> = young.iter().copied().collect();
            keys.sort_unstable();
            let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
            write(order, count, keys.into_iter().map(Ok), unwanted)
        }
        Of::Runs(runs) => {
            let count = runs.iter().map(|run| run.count()).sum();
            let sources = runs.into_iter().map(|run| Keys::from(run, 0));
            write(order, count, Merged::of(sources), unwanted)
        }
    }
}

fn write(
    order: &Order,
    count: u64,
    keys: impl Iterator<Item = Result<u64, StoreError>>,
    unwanted: &AtomicBool,
) -> Result<Run, StoreError> {
    order.fail.step().map_err(StoreError::Write)?;
    let mut out = RunWriter::create(&order.folder, order.number, count, order.sieve_bytes)?;
    for (at, key) in keys.enumerate() {
        if at % LOOK_EVERY == 0 && unwanted.load(Ordering::Relaxed) {
            return Err(StoreError::Broken);
        }
        out.push(key?)?;
    }
    order.fail.step().map_err(StoreError::Write)?;
    out.finish()
}

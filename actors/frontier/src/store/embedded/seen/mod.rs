//! The seen set of the embedded store.
//!
//! Fingerprints fall anywhere, so that an engine that keeps all keys in order writes what it has again and again. Here
//! the newest are a table in memory (`young`; the store's log holds them, commit by commit). When it is full it becomes
//! a sorted run in a file, once; of each size four runs are merged into one (O'Neil et al., "The log-structured
//! merge-tree", 1996; with tiers). So a fingerprint is written about log4(known / young) times, in order, and of a
//! store of 10^7 a new one costs a look into half a dozen sieves.
//!
//! Owns the folder of runs, their sieves and the threads that write them. It does not know what is committed: the
//! store says which fingerprints are ([`Seen::remember`]), and lists the runs that count. Invariants: a fingerprint
//! that was remembered is found until the store is closed, and after it if its log or a listed run holds it; a file
//! is removed only when no list that can come back names it. Bounds: two tables, one of them being written; at most
//! [`RUNS_MAX`] runs, then the store waits for the merge. Start at [`Seen::contains`] and [`Seen::made`].

mod run;
mod sieve;
#[cfg(test)]
mod tests;
mod work;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::fault::FailPlan;

use self::run::{Keys, Run};
use self::work::{Job, Merged, Of, Order};
use crate::error::StoreError;

/// Runs of one size that are merged into one.
const MERGED_TOGETHER: usize = 4;
/// Runs at once; more are not begun before a merge has ended.
const RUNS_MAX: usize = 64;

/// Fingerprints are hashes already, but for their heads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Fingerprints in memory.
pub(super) type Young = HashSet<u64, BuildHasherDefault<AsIs>>;

/// How large it may be, and what may fail.
#[derive(Clone, Debug)]
pub(super) struct SeenOptions {
    /// For the tables and sieves, in bytes.
    pub(super) memory_bytes: u64,
    pub(super) fail: FailPlan,
}

/// See the module.
pub(super) struct Seen {
    folder: PathBuf,
    options: SeenOptions,
    young: Young,
    /// Fingerprints that make the table a run.
    young_max: usize,
    /// The table that is being written, and the last entry of the log that it holds.
    ripe: Option<(Arc<Young>, u64)>,
    writing: Option<Job>,
    /// The runs that are being merged.
    merging: Option<(Job, Vec<Arc<Run>>)>,
    runs: Vec<Arc<Run>>,
    /// The next run's number.
    number: u64,
    /// The next entry's number in the store's log.
    log: u64,
    /// Room that each look uses again.
    keys: RefCell<Vec<u64>>,
}

/// A run that has been made: counts once its list is stored.
pub(super) struct Made {
    run: Arc<Run>,
    replaced: Vec<Arc<Run>>,
    /// Number and count of each run.
    pub(super) listing: Vec<(u64, u64)>,
    /// The store's log is needed no more up to this entry.
    pub(super) log_until: Option<u64>,
}

impl Seen {
    /// Opens the runs that are listed, and removes what else is in the folder.
    ///
    /// # Errors
    /// A run that is missing or spoilt: what it held is not known any more.
    pub(super) fn open(
        folder: &Path,
        listing: &[(u64, u64)],
        options: SeenOptions,
    ) -> Result<Self, StoreError> {
        let unusable = |source: io::Error| StoreError::Folder {
            path: folder.to_path_buf(),
            source,
        };
        fs::create_dir_all(folder).map_err(unusable)?;
        let listed: HashMap<PathBuf, u64> = listing
            .iter()
            .map(|&(number, _)| (run::path(folder, number), number))
            .collect();
        for entry in fs::read_dir(folder).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            if !listed.contains_key(&path) {
                // A crash came before it was listed, or before it was removed.
                fs::remove_file(&path).map_err(unusable)?;
            }
        }
        // Two tables of nine bytes a place, a power of two of places, three quarters full; and a copy to sort.
        let places = (options.memory_bytes / 2 / 26).max(16);
        let places = 1usize << places.ilog2();
        let mut seen = Self {
            folder: folder.to_path_buf(),
            young: Young::default(),
            young_max: places / 4 * 3,
            ripe: None,
            writing: None,
            merging: None,
            runs: Vec::new(),
            number: listing
                .iter()
                .map(|&(number, _)| number + 1)
                .max()
                .unwrap_or(0),
            log: 0,
            keys: RefCell::default(),
            options,
        };
        let known: u64 = listing.iter().map(|&(_, count)| count).sum();
        for &listed in listing {
            let bytes = seen.sieve_bytes(listed.1, known);
            let run = Run::open(folder, listed, bytes)?;
            seen.runs.push(Arc::new(run));
        }
        Ok(seen)
    }

    /// Takes an entry of the store's log up again.
    pub(super) fn replay(&mut self, entry: u64, fingerprints: impl Iterator<Item = u64>) {
        self.young.extend(fingerprints);
        self.log = entry + 1;
    }

    /// A run's part of the memory for sieves: as its part of what is known. Runs that were made when less was known
    /// have more than that, but never twice as much in all.
    fn sieve_bytes(&self, count: u64, known: u64) -> u64 {
        let all = u128::from(self.options.memory_bytes / 4);
        let part = all * u128::from(count) / u128::from(known.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    fn held(&self) -> u64 {
        self.runs.iter().map(|run| run.count()).sum()
    }

    /// Whether the fingerprint was remembered.
    pub(super) fn contains(&self, fingerprint: u64) -> Result<bool, StoreError> {
        if self.young.contains(&fingerprint) {
            return Ok(true);
        }
        if let Some((ripe, _)) = &self.ripe
            && ripe.contains(&fingerprint)
        {
            return Ok(true);
        }
        let mut keys = self.keys.borrow_mut();
        for run in self.runs.iter().rev() {
            if run.contains(fingerprint, &mut keys)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of the log's entry that holds what comes with this commit.
    pub(super) fn entry(&self) -> u64 {
        self.log
    }

    /// Remembers what has been committed with its entry of the log.
    pub(super) fn remember(&mut self, fingerprints: impl Iterator<Item = u64>) {
        self.young.extend(fingerprints);
        self.log += 1;
    }

    /// All fingerprints from one on, ascending, each once.
    pub(super) fn from(&self, from: u64) -> impl Iterator<Item = Result<u64, StoreError>> {
        let ripe = self.ripe.iter().flat_map(|(ripe, _)| ripe.iter());
        let young = self.young.iter().chain(ripe).copied();
        let mut young: Vec<u64> = young.filter(|&one| one >= from).collect();
        young.sort_unstable();
        let runs = self.runs.iter().map(move |run| {
            let keys = Keys::from(run.clone(), from);
            Box::new(keys) as Box<dyn Iterator<Item = Result<u64, StoreError>>>
        });
        let young: Box<dyn Iterator<Item = _>> = Box::new(young.into_iter().map(Ok));
        let mut last = None;
        Merged::of(runs.chain([young])).filter(move |key| match key {
            Ok(key) => last.replace(*key) != Some(*key),
            Err(_) => true,
        })
    }

    /// Begins what is due, and tells what has been made; waits for it only where too much has piled up.
    pub(super) fn made(&mut self) -> Result<Option<Made>, StoreError> {
        let is_full = self.young.len() >= self.young_max;
        let crowded = self.runs.len() >= RUNS_MAX;
        if let Some(job) = self.writing.take_if(|job| is_full || job.is_over()) {
            let run = Arc::new(job.join()?);
            let log_until = self.ripe.as_ref().map(|&(_, until)| until);
            return Ok(Some(self.listed(run, Vec::new(), log_until)));
        }
        if let Some((job, replaced)) = self.merging.take_if(|(job, _)| crowded || job.is_over()) {
            let run = Arc::new(job.join()?);
            return Ok(Some(self.listed(run, replaced, None)));
        }
        if is_full {
            let young = Arc::new(std::mem::take(&mut self.young));
            let count = u64::try_from(young.len()).unwrap_or(u64::MAX);
            self.ripe = Some((young.clone(), self.log - 1));
            let order = self.order(count);
            self.writing = Some(Job::start(order, Of::Young(young))?);
        }
        if self.merging.is_none()
            && let Some(runs) = self.mergeable()
        {
            let order = self.order(runs.iter().map(|run| run.count()).sum());
            self.merging = Some((Job::start(order, Of::Runs(runs.clone()))?, runs));
        }
        Ok(None)
    }

    fn order(&mut self, count: u64) -> Order {
        let number = self.number;
        self.number += 1;
        Order {
            folder: self.folder.clone(),
            number,
            sieve_bytes: self.sieve_bytes(count, self.held().max(count)),
            fail: self.options.fail.clone(),
        }
    }

    /// The runs of the least size of which there are enough.
    fn mergeable(&self) -> Option<Vec<Arc<Run>>> {
        let young = u64::try_from(self.young_max).unwrap_or(u64::MAX);
        let mut sizes: HashMap<u32, Vec<Arc<Run>>> = HashMap::new();
        for run in &self.runs {
            // Half as many again as a table's is still a table's size.
            let size = (run.count().saturating_mul(2) / young).max(1).ilog(4);
            sizes.entry(size).or_default().push(run.clone());
        }
        let enough = sizes
            .into_iter()
            .filter(|(_, runs)| runs.len() >= MERGED_TOGETHER);
        enough.min_by_key(|&(size, _)| size).map(|(_, runs)| runs)
    }

    fn listed(&self, run: Arc<Run>, replaced: Vec<Arc<Run>>, log_until: Option<u64>) -> Made {
        let stay = self.staying(&replaced);
        let listing = stay.chain([&run]).map(|run| run.listed()).collect();
        Made {
            run,
            replaced,
            listing,
            log_until,
        }
    }

    fn staying(&self, replaced: &[Arc<Run>]) -> impl Iterator<Item = &Arc<Run>> {
        self.runs
            .iter()
            .filter(move |run| !replaced.iter().any(|gone| Arc::ptr_eq(gone, run)))
    }

    /// Takes a run whose list has been stored, durably; the files that it replaces go.
    pub(super) fn take(&mut self, made: Made) -> Result<(), StoreError> {
        let mut runs: Vec<Arc<Run>> = self.staying(&made.replaced).cloned().collect();
        runs.push(made.run);
        self.runs = runs;
        if made.log_until.is_some() {
            self.ripe = None;
        }
        made.replaced.iter().try_for_each(|run| run.remove())
    }
}

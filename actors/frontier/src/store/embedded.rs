//! The store of one machine: a folder, no server.
//!
//! Owns the folder's lock, the storage engine and the small part of the frontier that is in memory: whose turn it
//! is, the leases that are out, the hosts worked on lately, and what spares a look into the seen set (fingerprints
//! seen lately, the newest of the seen set, and sieves that know what is certainly new). All else is on disk.
//! Every verb is one commit. A failure leaves memory and disk apart; then the store refuses everything until it
//! is opened again. Start reading at [`work::Work`]; [`open`] says what a restart does.
//!
//! Memory: `memory_bytes` for caches, write buffers, tables and sieves; 24 bytes for every host that waits; about 400
//! bytes and 16 for each URL of a host that is leased; nothing more for hosts with nothing queued or known URLs.

mod asked;
mod disk;
mod hosts;
mod leases;
mod moving;
mod open;
mod reopen;
mod row;
mod seen;
mod settling;
#[cfg(test)]
mod tests;
mod visits;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::canonical::Fingerprint;
use contract::clock::Clock;
use contract::control::{FrontierStats, GaveUp};
use contract::earlier::{Again, Reopened};
use contract::fault::FailPlan;
use contract::guarded::Panicked;
use contract::host::Host;
use contract::lease::{
    Claim, Claimed, EnterAddress, Extend, Release, Schedule, Token, Visit, Visited,
};
use contract::settle::Settle;

use self::open::FolderLock;
use self::work::Work;
use super::moving::{Moves, Part, RowPlace, Rows, Whole};
use super::{QueuePlace, QueuedAt, Store, StoredConfig, Taken};
use crate::config::Rules;
use crate::error::StoreError;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    pub rules: Rules,
    pub clock: Clock,
    /// For caches and write buffers.
    pub memory_bytes: u64,
    /// The seed of the fingerprints if the store is new; drawn by the caller, kept secret from sites.
    pub fingerprint_seed: u64,
    /// Which commit fails (tests).
    pub fail: FailPlan,
}

/// The embedded store.
pub struct Embedded {
    state: Mutex<State>,
    fingerprint_seed: u64,
    /// Declared last: the folder is free when everything else is closed.
    _lock: FolderLock,
}

struct State {
    work: Work,
    broken: bool,
}

impl Embedded {
    /// Opens the store in this folder, or makes one. Leases that were out are void; their hosts rest one delay.
    ///
    /// # Errors
    /// See [`StoreError`]; the folder is left as it was.
    pub fn open(folder: &Path, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let (work, facts, lock) = open::open(folder, options)?;
        Ok(Self {
            state: Mutex::new(State {
                work,
                broken: false,
            }),
            fingerprint_seed: facts.seed,
            _lock: lock,
        })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // No verb panics while it holds the lock: `run` catches.
        self.state.lock().map_err(|_| StoreError::Broken)
    }

    /// Runs one verb; an error or a panic in the middle of it breaks the store.
    fn run<T>(
        &self,
        verb: impl FnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.state()?;
        if state.broken {
            return Err(StoreError::Broken);
        }
        let work = &mut state.work;
        let done = catch_unwind(AssertUnwindSafe(|| verb(work))).unwrap_or_else(|payload| {
            let panic = Panicked::caught(payload.as_ref());
            Err(StoreError::BrokeDown(panic.to_string()))
        });
        if let Err(error) = &done {
            state.broken = !matches!(error, StoreError::Refusing(_));
        }
        done
    }
}

impl Store for Embedded {
    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        self.run(|work| work.claim(claim))
    }

    async fn visit(&self, visit: &Visit) -> Result<Visited, StoreError> {
        self.run(|work| work.visit(visit))
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Taken, StoreError> {
        self.run(|work| work.settle(settles))
    }

    async fn admit(&self, admit: &Admit) -> Result<Admitted, StoreError> {
        self.run(|work| work.admit(admit))
    }

    async fn reopen(&self, again: &[Again]) -> Result<Reopened, StoreError> {
        self.run(|work| work.reopen(again))
    }

    async fn extend(&self, lease: &Extend) -> Result<Option<Duration>, StoreError> {
        self.run(|work| work.extend(lease))
    }

    async fn release(
        &self,
        release: &Release,
        since_end: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.run(|work| work.release(release, since_end))
    }

    async fn schedule(&self, schedule: &Schedule) -> Result<(), StoreError> {
        self.run(|work| work.schedule(schedule))
    }

    async fn enter_address(&self, enter: &EnterAddress) -> Result<bool, StoreError> {
        self.run(|work| work.enter_address(enter))
    }

    async fn pause(&self) -> Result<(), StoreError> {
        self.run(|work| work.set_paused(true))
    }

    async fn resume(&self) -> Result<(), StoreError> {
        self.run(|work| work.set_paused(false))
    }

    async fn set_rules(&self, rules: Rules) -> Result<(), StoreError> {
        self.run(|work| {
            work.rules = rules;
            Ok(())
        })
    }

    async fn stats(&self) -> Result<FrontierStats, StoreError> {
        self.run(|work| work.stats())
    }

    async fn next_wake(&self) -> Result<Option<Duration>, StoreError> {
        self.run(|work| Ok(work.next_wake()))
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.run(|work| work.flush())
    }

    async fn gave_up(&self, told: &[u64]) -> Result<Vec<GaveUp>, StoreError> {
        self.run(|work| work.gave_up(told))
    }

    async fn last_token(&self, host: &Host) -> Result<Option<Token>, StoreError> {
        self.run(|work| work.last_token(host))
    }

    async fn seeds(&self) -> Result<Vec<String>, StoreError> {
        self.run(|work| work.disk.seeds())
    }

    async fn add_running_time(&self, more: Duration) -> Result<Duration, StoreError> {
        self.run(|work| work.add_running_time(more))
    }

    async fn fingerprint_seed(&self) -> Result<u64, StoreError> {
        Ok(self.fingerprint_seed)
    }

    async fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        self.run(|work| work.config())
    }

    async fn set_config(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        self.run(|work| work.set_config(bytes))
    }

    async fn known_after(
        &self,
        after: Option<Fingerprint>,
        most: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        self.run(|work| work.known_after(after, most))
    }

    async fn queued_after(
        &self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        self.run(|work| work.queued_after(after, most))
    }
}

impl Moves for Embedded {
    async fn whole(&self) -> Result<Whole, StoreError> {
        self.run(|work| work.whole(self.fingerprint_seed))
    }

    async fn rows_from(&self, from: Option<RowPlace>, most: usize) -> Result<Rows, StoreError> {
        self.run(|work| work.rows_from(from, most))
    }

    async fn take_in(&self, part: Part<'_>) -> Result<(), StoreError> {
        self.run(|work| work.take_in(part, self.fingerprint_seed))
    }
}

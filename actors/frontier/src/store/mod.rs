//! The store: the frontier's memory, behind one trait, so that nothing above knows where it lives.
//!
//! Owns the verbs ([`Store`]) and what they answer. [`embedded::Embedded`] keeps it in a folder of this machine;
//! `memory::Memory` is the slow, obviously right model that every store is held against, by one suite.
//! Invariants (FRONTIER, F1–F9), for every store: a host has at most one live lease; tokens of a host rise; a URL
//! leaves its queue only by a settle under the current token; settling twice is settling once; what is known was
//! queued in the same step; counts agree with what is there; what waits is scheduled; a host is granted again no
//! earlier than its last request's end plus its delay; a paused store grants nothing.
//! What a store has answered with `Ok` survives the end of the process.

mod element;
pub mod embedded;
pub(crate) mod machine;
#[cfg(test)]
pub(crate) mod memory;
pub mod moving;
mod recent;
pub mod redis;
#[cfg(test)]
pub(crate) mod suite;
mod time;

use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::canonical::Fingerprint;
use contract::control::{FrontierStats, GaveUp};
use contract::earlier::{Again, Reopened};
use contract::host::Host;
use contract::lease::{
    Claim, Claimed, EnterAddress, Extend, Queued, Release, Schedule, Token, Visit, Visited,
};
use contract::settle::{Settle, Settled};

use crate::config::Rules;
use crate::error::StoreError;

/// The verbs of a frontier. Each is one atomic step; each may be sent twice.
pub trait Store: Send + Sync + 'static {
    /// Leases hosts that are due. Reads their first URLs; nothing is moved, so that a crash needs no repair.
    ///
    /// # Errors
    /// [`StoreError::Refusing`] while paused.
    fn claim(&self, claim: Claim) -> impl Future<Output = Result<Claimed, StoreError>>;

    /// Leases a host without URLs, whether anything is queued for it or not. A visitor that cannot have it yet comes
    /// before every claim of it for [`contract::lease::VISIT_KEPT`]. It counts in the domain's budget and may be one
    /// more than that: a visitor's own host waits meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Refusing`] while paused.
    fn visit(&self, visit: &Visit) -> impl Future<Output = Result<Visited, StoreError>>;

    /// Admits the links of a group of pages, then settles the pages; all of it or nothing.
    fn settle(&self, settles: &[Settle]) -> impl Future<Output = Result<Taken, StoreError>>;

    /// Makes URLs known and queues those that were not.
    fn admit(&self, admit: &Admit) -> impl Future<Output = Result<Admitted, StoreError>>;

    /// Puts settled URLs back into their hosts' queues, in their order. They count as done no longer, nor as kept where
    /// they did; their hosts count as reached. One that is queued or leased, in this spelling, is left alone: to find it,
    /// its host's whole queue is read, once for each call. One that was never known becomes known. At most
    /// [`contract::earlier::REOPENED_TOGETHER`] of them.
    fn reopen(&self, again: &[Again]) -> impl Future<Output = Result<Reopened, StoreError>>;

    /// A new term from now, or none when the lease is lost or was released.
    fn extend(&self, lease: &Extend) -> impl Future<Output = Result<Option<Duration>, StoreError>>;

    /// Ends a lease for its holder. `since_end` is how long ago its last request ended; none if none was sent.
    /// The host is not granted again before what was handed on is settled, or its time in the ring is over.
    fn release(
        &self,
        release: &Release,
        since_end: Option<Duration>,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// A host wants more time. Taken from any holder: it can only make the host rest longer.
    fn schedule(&self, schedule: &Schedule) -> impl Future<Output = Result<(), StoreError>>;

    /// Counts the lease at an address, until it ends; false when the address has its fill.
    fn enter_address(&self, enter: &EnterAddress)
    -> impl Future<Output = Result<bool, StoreError>>;

    /// Refuses claims from now on, also after a restart.
    fn pause(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Ends a pause.
    fn resume(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// From now on decides by these rules.
    fn set_rules(&self, rules: Rules) -> impl Future<Output = Result<(), StoreError>>;

    /// How it stands.
    fn stats(&self) -> impl Future<Output = Result<FrontierStats, StoreError>>;

    /// Until a claim could grant something, or a lease ends; zero when one can now, none when nothing is to be
    /// waited for.
    fn next_wake(&self) -> impl Future<Output = Result<Option<Duration>, StoreError>>;

    /// Makes durable against a power loss what is durable against the end of the process.
    fn flush(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// URLs that were given up, numbered, some hundreds at most; those of the numbers `told` are forgotten first.
    fn gave_up(&self, told: &[u64]) -> impl Future<Output = Result<Vec<GaveUp>, StoreError>>;

    /// The last token given for a host; none for a host that is not known.
    fn last_token(&self, host: &Host) -> impl Future<Output = Result<Option<Token>, StoreError>>;

    /// URLs ever admitted as seeds, for rebuilding the scope.
    fn seeds(&self) -> impl Future<Output = Result<Vec<String>, StoreError>>;

    /// Adds to the crawl's running time and returns it whole.
    fn add_running_time(
        &self,
        more: Duration,
    ) -> impl Future<Output = Result<Duration, StoreError>>;

    /// The seed of the crawl's fingerprints.
    fn fingerprint_seed(&self) -> impl Future<Output = Result<u64, StoreError>>;

    /// The crawl's configuration, none before it was first set.
    fn config(&self) -> impl Future<Output = Result<Option<StoredConfig>, StoreError>>;

    /// Sets the crawl's configuration and returns its version; the same bytes make no new version.
    fn set_config(&self, bytes: &[u8]) -> impl Future<Output = Result<u64, StoreError>>;

    /// Fingerprints that are known, as far as the store keeps them, ascending, after `after`, at most about `most`.
    fn known_after(
        &self,
        after: Option<Fingerprint>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Fingerprint>, StoreError>>;

    /// Queued URLs (leased ones too), host after host, after `after`, at most about `most`; an empty answer is the end.
    fn queued_after(
        &self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<QueuedAt>, StoreError>>;
}

/// How a group of settles was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// One answer for each settle, in order.
    pub answers: Vec<Settled>,
    pub links: Admitted,
}

/// A crawl's configuration as stored: opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfig {
    /// From 1.
    pub version: u64,
    pub bytes: Vec<u8>,
}

/// Where a reading of the queues stands; means something to the store that gave it only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePlace(pub(crate) Box<[u8]>);

/// A queued URL and where it stands: within a host's class, URLs are read in the order of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedAt {
    pub at: QueuePlace,
    pub host: Host,
    /// 0 seeds and sitemaps, 1 the rest, 2 refreshes, 3 retries.
    pub class: u8,
    /// A retry is not tried before this, in ms of the store's time; 0 for the other classes.
    pub not_before: u64,
    pub queued: Queued,
}

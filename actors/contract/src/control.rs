//! What rooms publish and what the coordinator tells them. Every figure is a count since the crawl began unless
//! it says "now".

use std::time::Duration;

use serde::Serialize;

use crate::admit::FrontierError;
use crate::host::Host;
use crate::lease::{Queued, Token};
use crate::outbox::Ask;

/// "How do you stand?" to the frontier.
#[derive(Clone, Copy, Debug)]
pub struct FrontierReport;

impl Ask for FrontierReport {
    type Reply = Result<FrontierStats, FrontierError>;
}

/// The frontier in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrontierStats {
    /// URLs ever admitted.
    pub known: u64,
    /// URLs that wait now (leased ones too, until they are settled).
    pub queued: u64,
    /// URLs settled as done.
    pub done: u64,
    /// Of those, with a record in the archive.
    pub kept: u64,
    /// Bytes they added to the archive.
    pub bytes: u64,
    /// Leases that are out now.
    pub leases: u64,
    /// Hosts with something queued now.
    pub hosts_active: u64,
    /// Hosts that are not due now.
    pub hosts_waiting: u64,
    /// The host that is due next, and in how long.
    pub next: Option<(String, Duration)>,
    pub paused: bool,
    /// Running time over the crawl's life, as told by [`FrontierOrder::Ran`].
    pub ran: Duration,
    /// `--limit` is reached: nothing more is granted.
    pub limit_reached: bool,
}

/// "How do you stand?" to a fetcher.
#[derive(Clone, Copy, Debug)]
pub struct FetcherReport;

impl Ask for FetcherReport {
    type Reply = FetcherStats;
}

/// A fetcher in figures, all of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetcherStats {
    pub leases: usize,
    pub in_flight: usize,
    /// The host whose delay ends first, and in how long.
    pub next: Option<(Host, Duration)>,
    /// Connections kept for a next request.
    pub connections_idle: usize,
    pub dns_entries: usize,
}

/// An operator's order to the coordinator, the only room that takes any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Pause,
    Resume,
    /// End the crawl by a drain; the same command resumes it.
    Stop,
    /// Fetch these URLs too, if the scope lets them in.
    Add(Vec<String>),
}

impl Ask for Order {
    /// One line for each thing done or refused, or the error.
    type Reply = Result<Vec<String>, String>;
}

/// An order to the frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontierOrder {
    /// Refuse claims; settles, extends, releases and admits go on. Outlives a restart.
    Pause,
    Resume,
    /// Make everything durable (the end of a drain).
    Flush,
    /// Running time since the last such order; the store sums it over restarts.
    Ran(Duration),
}

impl Ask for FrontierOrder {
    type Reply = Result<(), FrontierError>;
}

/// "Which URLs did you give up?" Asked for the ledger, which must hear of every URL: those of the numbers `told` are
/// in the ledger and are forgotten, others are answered (at most a few hundred at once).
#[derive(Clone, Debug, Default)]
pub struct GivenUp {
    pub told: Vec<u64>,
}

impl Ask for GivenUp {
    type Reply = Result<Vec<GaveUp>, FrontierError>;
}

/// A URL that ended its lease too often and is not tried again: outcome `quarantined`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// Unique in the crawl.
    pub number: u64,
    pub host: Host,
    /// The token of the lease that ended it.
    pub token: Token,
    /// As it stood in the queue, all tries counted.
    pub queued: Queued,
}

/// An order to a fetcher: claim no more, end the running requests, release the leases. Answered when all is done.
#[derive(Clone, Copy, Debug)]
pub struct Drain;

impl Ask for Drain {
    type Reply = ();
}

/// An order to storage: write what is open, make it durable, settle it, seal the files. Answered when done.
#[derive(Clone, Copy, Debug)]
pub struct Seal;

impl Ask for Seal {
    type Reply = Result<(), String>;
}

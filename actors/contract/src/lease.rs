//! `lease`: one fetcher's right to fetch from one host until a deadline.
//!
//! The frontier answers claims at once, also with nothing; a fetcher that got nothing waits for the [`Bell`] or
//! for the next due time. The token protects the queue; only the holder's own clock protects the site (I4).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::admit::FrontierError;
use crate::clock::{Boot, Clock, Wall};
use crate::earlier::Earlier;
use crate::host::{Host, Origin};
use crate::link::LinkKind;
use crate::outbox::Ask;
use crate::robots::RobotsRecord;

/// Fencing token: grows with every lease of a host; a write under an older one is refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Token(pub u64);

/// Which of a node's fetchers asks. Hosts stay with their fetcher where they can, so that connections, names and
/// caches stay warm; it is a preference only: a host that waits in vain for its own goes to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// From 0.
    pub index: usize,
    /// Fetchers of the node, at least one.
    pub of: usize,
}

impl Taker {
    /// The only one: every host is its own.
    pub const ALONE: Self = Self { index: 0, of: 1 };
}

/// "Give me hosts to fetch from."
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub taker: Taker,
    /// At most this many hosts.
    pub hosts: usize,
    /// At most this many URLs of each.
    pub urls_per_host: usize,
}

impl Ask for Claim {
    type Reply = Result<Claimed, FrontierError>;
}

/// What is due now.
#[derive(Debug, Default)]
pub struct Claimed {
    pub leases: Vec<Lease>,
    /// Until a claim of this taker may be granted something or a lease ends; none when nothing is to be waited for.
    pub next_due: Option<Duration>,
}

/// How a host has met those who asked it lately: counts in a row, over all fetchers and nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strikes {
    /// Times that nothing of it could be reached.
    pub unreached: u8,
    /// Times that it asked to be left alone (429, 503, Retry-After).
    pub refused: u8,
    /// When the latest of them was.
    pub last: Wall,
}

/// The right to fetch these URLs of this host, one at a time.
#[derive(Debug)]
pub struct Lease {
    pub host: Host,
    pub token: Token,
    /// In the order they are to be fetched; settled by position.
    pub urls: Vec<Queued>,
    /// Pause from the end of one request to the start of the next.
    pub delay: Duration,
    /// How long the lease holds, from the moment the claim was *sent*.
    pub term: Duration,
    /// What is known of robots.txt of this host's origins.
    pub robots: Vec<(Origin, RobotsRecord)>,
    pub strikes: Strikes,
    /// URLs that are not to be asked for, by position: their family was given up as a trap, by this rule.
    pub trapped: Vec<(u32, Box<str>)>,
}

/// One URL of a host's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub url: Box<str>,
    pub kind: LinkKind,
    pub depth: u16,
    pub hops: u8,
    /// Tries that have ended so far.
    pub tries: u8,
    /// Where it was found.
    pub via: Option<Box<str>>,
    /// What it was when it was fetched before: it is to be refreshed.
    pub earlier: Option<Box<Earlier>>,
}

/// "Give me this host for one request": robots.txt of another host redirects to it (RFC 9309 section 2.3.1.2).
#[derive(Clone, Debug)]
pub struct Visit {
    pub host: Host,
}

impl Ask for Visit {
    type Reply = Result<Visited, FrontierError>;
}

/// A host that a visitor could not have is kept from claims for so long, from the moment at which it may be asked: the
/// visitor asks again by then, or it is anybody's.
pub const VISIT_KEPT: Duration = Duration::from_secs(30);

/// What a visitor gets.
#[derive(Debug)]
pub enum Visited {
    /// A lease without URLs. It is released like any other, so that the host rests before whoever comes next.
    Granted(Lease),
    /// Somebody fetches from it, or its domain has its fill: when it will be free is not known.
    Busy,
    /// It may be asked in so long.
    Rests(Duration),
}

/// "I still work on it." Answered with the new term from now, or false when the lease is lost.
#[derive(Clone, Debug)]
pub struct Extend {
    pub host: Host,
    pub token: Token,
}

impl Ask for Extend {
    type Reply = Result<Option<Duration>, FrontierError>;
}

/// "I am done with this host." URLs that were not handed on come back; those in the ring are settled by it.
#[derive(Clone, Debug)]
pub struct Release {
    pub host: Host,
    pub token: Token,
    /// How many of the lease's URLs went into the ring, from the first.
    pub handed: usize,
    /// When the last request to the host ended; none if none was sent.
    pub last_end: Option<Boot>,
}

impl Ask for Release {
    type Reply = Result<(), FrontierError>;
}

/// "This host wants more time." Answered before the next request is sent.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub host: Host,
    pub token: Token,
    /// A delay learned (Crawl-delay); the host keeps the longest of this and ours.
    pub delay: Option<Duration>,
    /// Rest the host for this long from now (Retry-After, robots unreachable).
    pub rest: Option<Duration>,
    /// How it has met us so far; none: as the lease said.
    pub strikes: Option<Strikes>,
}

impl Ask for Schedule {
    type Reply = Result<(), FrontierError>;
}

/// "May this lease's host be fetched at this address?" At most so many hosts of an address at once.
#[derive(Clone, Debug)]
pub struct EnterAddress {
    pub host: Host,
    pub token: Token,
    pub address: std::net::IpAddr,
}

impl Ask for EnterAddress {
    /// False: the address is busy; release the lease and let the host rest a little.
    type Reply = Result<bool, FrontierError>;
}

/// Rings when a host may have become due: heard by every fetcher, since only one of them may be let have it yet.
#[derive(Clone, Debug)]
pub struct Bell {
    ears: Arc<[Notify]>,
    mine: usize,
}

impl Bell {
    /// A bell that this many fetchers hear.
    pub fn new(fetchers: usize) -> Self {
        Self {
            ears: (0..fetchers.max(1)).map(|_| Notify::new()).collect(),
            mine: 0,
        }
    }

    /// The same bell as this fetcher hears it.
    pub fn at(&self, taker: Taker) -> Self {
        Self {
            ears: self.ears.clone(),
            mine: taker.index % self.ears.len(),
        }
    }

    /// Wakes every waiting fetcher; one that does not wait finds it rung when it comes to wait.
    pub fn ring(&self) {
        self.ears.iter().for_each(Notify::notify_one);
    }

    /// Waits for the bell, at most `limit`.
    pub async fn heard(&self, limit: Duration) {
        let _either = tokio::time::timeout(limit, self.ears[self.mine].notified()).await;
    }
}

/// The holder's own guard: true while a request that may take `longest` can still end inside the lease.
pub fn guard(clock: &Clock, claimed_at: Boot, term: Duration, longest: Duration) -> bool {
    clock.boot().after(longest) <= claimed_at.after(term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_closes_before_the_lease_ends() {
        let clock = Clock::manual(Wall(0));
        let claimed = clock.boot();
        let (term, longest) = (Duration::from_secs(90), Duration::from_secs(30));
        assert!(guard(&clock, claimed, term, longest));
        clock.advance(Duration::from_secs(60));
        assert!(guard(&clock, claimed, term, longest));
        clock.advance(Duration::from_millis(1));
        assert!(!guard(&clock, claimed, term, longest));
    }
}

//! `page`: one URL's journey, handed from the fetcher to the parser.
//!
//! A page is one value that moves forward; each room adds to it and keeps nothing. All pages go the whole way,
//! also those that got no answer: the ledger hears of every URL, and only the last room closes the lease.
//! Invariant: whatever becomes of it, a page's [`PageLife`] ends exactly once. Start at [`Page`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode, Version};
use url::Url;

use crate::body::Body;
use crate::cause::Deadline;
use crate::clock::Wall;
use crate::error::ErrorClass;
use crate::host::{Host, Origin};
use crate::lease::{Queued, Token};
use crate::memory::Reservation;
use crate::outbox::Ask;
use crate::outcome::Outcome;
use crate::rights::Statement;
use crate::robots::RobotsRecord;

/// A URL on its way round the ring. Handing it over means: it is yours, see that it is settled.
#[derive(Debug)]
pub struct Page {
    pub host: Host,
    pub token: Token,
    pub place: Place,
    /// The URL that was (or would have been) requested.
    pub url: Url,
    /// How it stood in the queue.
    pub queued: Queued,
    /// When its (last) request was sent, or when it was decided that none is.
    pub began: Wall,
    /// The page layer's deadline; every room bounds its work by it.
    pub deadline: Deadline,
    pub verdict: Verdict,
    /// The answer, when there was one.
    pub exchange: Option<Box<Exchange>>,
    /// What the site says of the use of this page.
    pub said: Vec<Statement>,
    pub life: PageLife,
}

impl Ask for Page {
    type Reply = ();
}

/// What of the lease this page settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The lease's URL at this position.
    Queue(u32),
    /// An origin's robots.txt, asked for beside the queue, and the sitemaps it names.
    Robots {
        origin: Origin,
        record: Box<RobotsRecord>,
        sitemaps: Vec<String>,
    },
    /// A record beside the queue: a robots.txt redirect's hop, an earlier try's answer. Archived, settles nothing.
    Beside,
}

/// What became of the page so far. A later room may make it worse, never better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// The rule or error that decided, for people.
    pub detail: Option<String>,
    pub fate: Fate,
}

/// What the frontier does with the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done: never again in this crawl.
    Done,
    /// Back to the queue as the try number `tries` that has ended, no earlier than `rest` from now.
    Retry { tries: u8, rest: Duration },
    /// Back to the queue as it was; no try is burnt (System, cancelled, host at rest).
    Return,
}

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// The request's head as sent, up to and with the empty line.
    pub request_head: Vec<u8>,
    pub version: Version,
    pub status: StatusCode,
    /// The reason phrase as received; empty where there was none.
    pub reason: Vec<u8>,
    pub headers: HeaderMap,
    pub body: Body,
    pub remote: Option<SocketAddr>,
    /// Why the body is not whole.
    pub cut: Option<Cut>,
    /// From sending the request to the head.
    pub head_after: Duration,
    /// From sending the request to the body's end.
    pub took: Duration,
}

/// Why a body ended before its end (the values of `WARC-Truncated`, ISO 28500 section 5.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Length,
    Time,
    Disconnect,
}

impl Cut {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Time => "time",
            Self::Disconnect => "disconnect",
        }
    }
}

impl Exchange {
    /// A header as text, where it is visible ASCII or UTF-8.
    pub fn header(&self, name: http::header::HeaderName) -> Option<&str> {
        self.headers
            .get(name)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

/// How many pages are in the ring, and how their lives ended.
#[derive(Debug, Default)]
pub struct PageGauge {
    in_ring: AtomicI64,
    settled: AtomicU64,
    dropped: AtomicU64,
    errors: [AtomicU64; 3],
}

impl PageGauge {
    pub fn in_ring(&self) -> i64 {
        self.in_ring.load(Ordering::Acquire)
    }

    /// Pages whose settle the frontier has taken.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Settled pages whose outcome was an error of this class, in this process.
    pub fn errors(&self, class: ErrorClass) -> u64 {
        self.errors[class as usize].load(Ordering::Relaxed)
    }

    /// Pages that vanished before (their lease brings the URL back).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A page's life: counted from the fetcher's start to the settle, whatever happens between.
#[derive(Debug)]
pub struct PageLife {
    gauge: Arc<PageGauge>,
    class: Option<ErrorClass>,
    settled: bool,
    held: Option<Reservation>,
}

impl PageLife {
    pub fn begin(gauge: &Arc<PageGauge>) -> Self {
        gauge.in_ring.fetch_add(1, Ordering::AcqRel);
        Self {
            gauge: gauge.clone(),
            class: None,
            settled: false,
            held: None,
        }
    }

    /// Pages in the ring now, this one among them.
    pub fn in_ring(&self) -> i64 {
        self.gauge.in_ring()
    }

    /// Holds memory until the page's life ends: what was read from it travels further than its body.
    pub fn hold(&mut self, held: Reservation) {
        self.held = Some(held);
    }

    /// Says what the page will be counted as once it is settled.
    pub fn judged(&mut self, outcome: Outcome) {
        self.class = outcome.class();
    }

    /// The page is settled; its life ends well.
    pub fn settle(mut self) {
        self.settled = true;
        if let Some(class) = self.class {
            self.gauge.errors[class as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for PageLife {
    fn drop(&mut self) {
        let ended = if self.settled {
            &self.gauge.settled
        } else {
            &self.gauge.dropped
        };
        ended.fetch_add(1, Ordering::Relaxed);
        self.gauge.in_ring.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_once_and_says_how() {
        let gauge = Arc::new(PageGauge::default());
        let (mut one, other) = (PageLife::begin(&gauge), PageLife::begin(&gauge));
        assert_eq!(gauge.in_ring(), 2);
        one.judged(Outcome::HeadTimeout);
        one.settle();
        assert_eq!(gauge.errors(ErrorClass::Transient), 1);
        drop(other);
        assert_eq!(
            (gauge.in_ring(), gauge.settled(), gauge.dropped()),
            (0, 1, 1)
        );
    }
}

//! What a server saw: one entry a request, with the times between which it was in work.
//!
//! Times are of the machine's monotonic clock, so that logs of several servers and the moments of a test compare.
//! Both ends err towards the crawler: `start` is stamped when the request's head has been read (later than it was
//! sent) and `end` before the answer's last bytes are written (earlier than they are received). So two entries
//! that overlap really did, and a gap shorter than a delay by more than a scheduler's hiccup really was.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Now, on the machine's monotonic clock: the time base of every log.
pub fn now() -> Duration {
    // CLOCK_MONOTONIC exists on every Linux and takes no argument that could be wrong.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the request's head had been read.
    pub start: Duration,
    /// When the answer's last bytes were about to be written, or the client was found gone; `None` while in work.
    pub end: Option<Duration>,
    /// `http` or `https`.
    pub scheme: String,
    /// The Host header without its port, in lower case; empty when there was none.
    pub host: String,
    /// The address and the port that were connected to.
    pub address: IpAddr,
    pub port: u16,
    /// The request target as sent.
    pub path: String,
    /// Who asked.
    pub peer: SocketAddr,
    /// The User-Agent header; empty when there was none.
    pub agent: String,
    /// The status answered.
    pub status: u16,
    /// Whether all of the answer was handed to the client's connection.
    pub whole: bool,
    /// The request's head as received, for tests that look at other headers. Empty in nginx' log.
    pub head: String,
}

impl Entry {
    /// The URL that was asked for, always with its port.
    pub fn url(&self) -> String {
        format!("{}://{}:{}{}", self.scheme, self.host, self.port, self.path)
    }

    /// The first header called `name` (any case).
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// When the request left the server's hands; a request still in work reaches to the end of time.
    pub fn end_or_open(&self) -> Duration {
        self.end.unwrap_or(Duration::MAX)
    }
}

/// The first header called `name` (any case) of a request's head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A log that many connections write and a test reads.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

/// An entry whose request is in work.
pub(crate) struct Open {
    log: Log,
    index: usize,
}

impl Log {
    /// A copy of all entries, in order of their start.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Requests so far.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing has been asked yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn open(&self, entry: Entry) -> Open {
        let mut entries = self.lock();
        entries.push(entry);
        Open {
            log: self.clone(),
            index: entries.len() - 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // Entries are pushed and stamped whole, so a panic elsewhere leaves them readable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Stamps the end: the answer's last bytes are about to go, or (`whole` false) will never go.
    pub(crate) fn end(&self, whole: bool) {
        let mut entries = self.log.lock();
        let entry = &mut entries[self.index];
        entry.end.get_or_insert_with(now);
        entry.whole = whole;
    }

    /// The entry as it stands.
    pub(crate) fn entry(&self) -> Entry {
        self.log.lock()[self.index].clone()
    }
}

//! A crawl that moves: read out of one store row by row, taken into another, equal (I10).
//!
//! Owns what a crawl is made of beside any store ([`Row`], [`Whole`]) and the two halves of a move ([`Moves`]); [`file`]
//! puts a file between them. Times are told as distances from the store's now, for clocks differ. A lease does not move:
//! a crawl that is being worked on is refused. Invariants: rows come in the order of their kinds, a host before what hangs
//! on it, URLs of a host's class in their queue's order; a store that has taken in a part and not the end grants nothing.
//! Start at [`Moves`].

pub mod file;
#[cfg(test)]
mod tests;

use contract::earlier::Earlier;
use contract::link::LinkKind;
use contract::robots::RobotsRecord;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::error::StoreError;

/// What a crawl is as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    pub fingerprint_seed: u64,
    /// The bits of a fingerprint that are kept.
    pub fingerprint_mask: u64,
    pub known: u64,
    pub queued: u64,
    pub done: u64,
    pub kept: u64,
    pub bytes: u64,
    /// Running time in milliseconds.
    pub ran_ms: u64,
    /// The configuration's text, if there is one.
    pub config: Option<String>,
}

/// One thing that a store knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    /// A URL that is known by its spelling; as a seed, or because it was forced in.
    Exact {
        url: String,
        seed: bool,
    },
    /// Fingerprints that are known.
    Known(Vec<u64>),
    Host(HostRow),
    Robots {
        host: String,
        https: bool,
        port: u16,
        record: RobotsRecord,
    },
    Queued {
        host: String,
        /// 0 to 3, as in [`QueuedAt`](super::QueuedAt).
        class: u8,
        /// A retry is not tried before this many milliseconds have passed; less than 0: it could be already.
        due_in_ms: i64,
        url: UrlRow,
    },
    GaveUp {
        host: String,
        token: u64,
        url: UrlRow,
    },
}

/// A host as it moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRow {
    pub host: String,
    /// The last one given; the next is larger in any store.
    pub token: u64,
    /// The delay it asked for.
    pub learned_ms: u64,
    /// It rests for so long; less than 0: it has waited for so long.
    pub due_in_ms: i64,
    /// Leases in a row that ran out.
    pub failures: u8,
    /// Leased alone, since at least two of those leases were lost.
    pub suspect: bool,
    /// URLs settled for good.
    pub done: u64,
    /// Leases given.
    pub leases: u64,
}

/// A URL as it moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRow {
    pub url: Box<str>,
    pub kind: LinkKind,
    pub depth: u16,
    pub hops: u8,
    pub tries: u8,
    pub via: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Box<Earlier>>,
}

/// Where a reading stands; means something to the store that gave it only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    pub(crate) kind: Kind,
    pub(crate) at: Box<[u8]>,
}

impl Default for RowPlace {
    /// The start.
    fn default() -> Self {
        Self {
            kind: Kind::Exact,
            at: Box::default(),
        }
    }
}

/// The kinds of rows in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exact,
    Known,
    Hosts,
    Robots,
    Queued,
    GaveUp,
}

impl Kind {
    /// The start of the next kind; none behind the last.
    pub(crate) fn next(self) -> Option<RowPlace> {
        let kind = match self {
            Self::Exact => Self::Known,
            Self::Known => Self::Hosts,
            Self::Hosts => Self::Robots,
            Self::Robots => Self::Queued,
            Self::Queued => Self::GaveUp,
            Self::GaveUp => return None,
        };
        Some(RowPlace {
            kind,
            at: Box::default(),
        })
    }
}

/// Some rows, and where the reading goes on; none at the end.
#[derive(Debug)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub next: Option<RowPlace>,
}

/// A part of what is taken in.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// First. Refused unless the store is new, has the same fingerprint seed, and needs no other bits of a fingerprint
    /// than those that are kept.
    Begin(&'a Whole),
    Rows(&'a [Row]),
    /// Last. Refused unless what came in is what the whole says.
    End(&'a Whole),
}

/// A store that crawls can move out of and into.
pub trait Moves: Store {
    /// What the crawl is as a whole.
    ///
    /// # Errors
    /// [`StoreError::Refusing`] while something is leased.
    fn whole(&self) -> impl Future<Output = Result<Whole, StoreError>>;

    /// The rows from a place on, from the start if none; about `most` of them. Exact while nobody works on the crawl.
    fn rows_from(
        &self,
        from: Option<RowPlace>,
        most: usize,
    ) -> impl Future<Output = Result<Rows, StoreError>>;

    /// Takes in a part. Not to be repeated: after an error the store is not a whole crawl, and is to be thrown away.
    ///
    /// # Errors
    /// A part that does not fit, with what is wrong with it.
    fn take_in(&self, part: Part<'_>) -> impl Future<Output = Result<(), StoreError>>;
}

/// How far a time lies from now, both in ms.
pub(crate) fn distance(at: u64, now: u64) -> i64 {
    at.cast_signed().saturating_sub(now.cast_signed())
}

/// The time at this distance from now, in ms; not before 1970.
pub(crate) fn moment(now: u64, distance: i64) -> u64 {
    now.saturating_add_signed(distance)
}

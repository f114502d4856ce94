//! Which payloads this folder holds already, and where each was stored first.
//!
//! Owns a table from a payload's digest to the record that has it. What is found there need not be stored again: a
//! revisit record names the first. It knows no files. Invariants: a payload that is found is that of a record that was
//! written; memory is bounded, and what is forgotten costs space alone. Start at [`Duplicates::find`].

use std::collections::HashMap;
use std::mem;

use contract::page::Exchange;
use serde::{Deserialize, Serialize};

use crate::ledger::Entry;
use crate::warc::digest::Digest;

/// Bytes of memory that the table takes, about. A record takes some 300 of them.
const BYTES_MAX: usize = 4 << 20;
/// What a row takes beside its texts.
const ROW_BYTES: usize = 160;
/// Shorter bodies are stored again: the revisit's own fields would take as much.
const BODY_MIN: u64 = 512;
/// So much of the ledger's end is read to fill the table: it fills it, and takes no time.
pub const LEDGER_BYTES: u64 = 8 << 20;

/// The record in which a payload was stored first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// The URL that was requested.
    pub url: Box<str>,
    /// The record's WARC-Date.
    pub ts: Box<str>,
    /// Name of the WARC file, once it is sealed.
    pub warc: Box<str>,
    pub offset: u64,
}

/// The table: what was met lately, in two halves. When the younger one is full it becomes the older one, whose rows go.
#[derive(Debug, Default)]
pub struct Duplicates {
    young: HashMap<Digest, First>,
    old: HashMap<Digest, First>,
    /// What the younger half takes.
    bytes: usize,
}

impl Duplicates {
    /// Where the payload with this digest is.
    pub fn find(&mut self, digest: &Digest) -> Option<First> {
        if let Some(first) = self.young.get(digest) {
            return Some(first.clone());
        }
        let first = self.old.remove(digest)?;
        self.add(*digest, first.clone());
        Some(first)
    }

    /// Notes where a payload was stored.
    pub fn add(&mut self, digest: Digest, first: First) {
        let bytes = ROW_BYTES + first.url.len() + first.ts.len() + first.warc.len();
        if self.bytes + bytes > BYTES_MAX / 2 {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(digest, first);
    }

    /// Notes what a line of the ledger says was stored.
    pub fn add_line(&mut self, entry: Entry) {
        let digest = entry.digest.as_deref().and_then(Digest::parse);
        let is_whole = entry.same_as.is_none()
            && entry.size.is_some_and(|size| size >= BODY_MIN)
            && !matches!(entry.outcome.as_str(), "too_large" | "truncated");
        if let (Some(digest), Some(warc), Some(offset), true) =
            (digest, entry.warc, entry.offset, is_whole)
        {
            let (url, ts, warc) = (entry.url.into(), entry.ts.into(), warc.into());
            self.add(
                digest,
                First {
                    url,
                    ts,
                    warc,
                    offset,
                },
            );
        }
    }

    /// Forgets all: nobody knows any more what is on the disk.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// True for an answer whose payload is whole and worth looking up.
pub fn is_comparable(exchange: &Exchange) -> bool {
    exchange.cut.is_none() && exchange.body.len() >= BODY_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(n: u32) -> First {
        First {
            url: format!("http://a.test/{n}").into(),
            offset: u64::from(n),
            ..First::default()
        }
    }

    #[test]
    fn what_is_met_again_stays_and_the_rest_is_forgotten() {
        let digest = |n: u32| Digest::of(&n.to_le_bytes());
        let mut table = Duplicates::default();
        for n in 0..200_000 {
            table.add(digest(n), first(n));
            assert_eq!(table.find(&digest(0)), Some(first(0)), "after {n}");
            assert!(table.bytes <= BYTES_MAX / 2);
        }
        assert_eq!(table.find(&digest(199_999)), Some(first(199_999)));
        assert_eq!(table.find(&digest(1)), None);
        assert!(table.young.len() + table.old.len() < BYTES_MAX / ROW_BYTES);
        table.clear();
        assert_eq!(table.find(&digest(0)), None);
    }

    #[test]
    fn a_line_counts_if_its_record_has_a_whole_payload() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Entry), want: bool) {
            let digest = Digest::of(b"x");
            let mut entry = Entry {
                url: "http://a.test/".to_owned(),
                outcome: "ok".to_owned(),
                size: Some(BODY_MIN),
                digest: Some(digest.to_string()),
                warc: Some("f.warc.gz".to_owned()),
                offset: Some(7),
                ..Entry::default()
            };
            change(&mut entry);
            let mut table = Duplicates::default();
            table.add_line(entry);
            assert_eq!(table.find(&digest).is_some(), want);
        }
        check(|_| {}, true);
        check(|entry| entry.size = Some(BODY_MIN - 1), false);
        check(|entry| entry.outcome = "too_large".to_owned(), false);
        check(|entry| entry.outcome = "truncated".to_owned(), false);
        check(|entry| entry.same_as = Some(first(1)), false);
        check(|entry| entry.warc = None, false);
        check(|entry| entry.digest = Some("md5:x".to_owned()), false);
    }
}

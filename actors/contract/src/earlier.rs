//! What an earlier capture of a URL was: what a refresh is asked with, and compared to.
//!
//! It travels with the URL from whoever reopened it through the queue to the record of the new answer, so that no room
//! has to look for it. Owns its bounds, since it is stored with every URL that is to be refreshed. Invariant: a validator
//! is what a header may carry, visible ASCII. Start at [`Earlier`].

use serde::{Deserialize, Serialize};

use crate::link::Link;

/// A longer validator is not kept: the page is asked for without it.
pub const VALIDATOR_BYTES_MAX: usize = 256;
/// A store is told to reopen no more than this at once.
pub const REOPENED_TOGETHER: usize = 16_384;

/// The latest capture of a URL that had a payload.
///
/// Its stored form is part of a queue's element (versions 3 and 4): fields are not reordered, removed or retyped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Of the payload, with its algorithm, as in ledger and archive.
    pub digest: Box<str>,
    pub status: u16,
    /// The URL was answered 404 or 410 since.
    pub gone: bool,
    /// WARC-Record-ID, target URI and WARC-Date of the record that has the payload; that may be another URL's.
    pub record: Box<str>,
    pub url: Box<str>,
    pub date: Box<str>,
    /// Where that record lies: the file's name once it is sealed, and the offset in it.
    pub warc: Box<str>,
    pub offset: u64,
    /// RFC 9110 section 8.8.3, as received.
    pub etag: Option<Box<str>>,
    /// RFC 9110 section 8.8.2, as received.
    pub modified: Option<Box<str>>,
}

impl Earlier {
    /// Whether a request can ask for what differs from it.
    pub fn has_validator(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }
}

/// A validator that a request can carry; none if it is too long or not visible ASCII.
pub fn validator(value: &[u8]) -> Option<Box<str>> {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
    let fits = !value.is_empty() && value.len() <= VALIDATOR_BYTES_MAX;
    let text = std::str::from_utf8(value).ok()?;
    (fits && value.iter().all(is_plain)).then(|| text.into())
}

/// A settled URL that is to be fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    pub link: Link,
    /// Where it was found.
    pub via: Option<Box<str>>,
    /// With it the URL is refreshed, behind what is new; without it fetched like any other.
    pub earlier: Option<Box<Earlier>>,
    /// It counts as a kept page, and no longer does.
    pub was_kept: bool,
}

impl Again {
    /// The queue class: 2 for a refresh.
    pub fn class(&self) -> u8 {
        match self.earlier {
            Some(_) => REFRESH,
            None => self.link.kind.class(),
        }
    }
}

/// The queue class of refreshes.
pub const REFRESH: u8 = 2;

/// What became of URLs that were to be reopened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reopened {
    /// They are queued again.
    pub queued: u64,
    /// They were queued or leased already, and are left alone.
    pub waiting: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_is_what_a_header_may_carry() {
        #[track_caller]
        fn check(value: &[u8], want: bool) {
            assert_eq!(validator(value).is_some(), want, "{value:?}");
        }
        check(b"\"67-abc\"", true);
        check(b"W/\"a b\"", true);
        check(b"Mon, 24 Nov 2025 16:00:00 GMT", true);
        check(b"", false);
        check(b"\"a\r\nX: y\"", false);
        check("\"\u{e9}\"".as_bytes(), false);
        check(&[b'a'; VALIDATOR_BYTES_MAX], true);
        check(&[b'a'; VALIDATOR_BYTES_MAX + 1], false);
    }
}

//! What a refresh found: whether a page is still what it was.
//!
//! Owns the closed list of findings and how one follows from an answer and the capture before it ([`Change::of_page`]).
//! Payloads are compared by their digests as received: another coding, or a date in the page, is a change.
//! It knows no interval: how soon to look again is who reads the ledger's to say.

use contract::earlier::Earlier;
use contract::keep::ParsedPage;
use contract::outcome::Outcome;
use contract::page::{Fate, Place};
use serde::{Deserialize, Serialize};

use crate::warc::digest::Digest;

/// A refresh's finding, as in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The server says so (304), or status and payload are those of the earlier capture.
    Unchanged,
    Changed,
    /// 404 or 410, once there was a page.
    Gone,
    /// It was gone, and is there again.
    Back,
    /// There is no answer that tells: an error, a refusal, part of a body.
    Unknown,
}

impl Change {
    /// How the crawl's report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "Refreshed, Unchanged",
            Self::Changed => "Refreshed, Changed",
            Self::Gone => "Refreshed, Gone",
            Self::Back => "Refreshed, Back",
            Self::Unknown => "Refreshed, Unknown",
        }
    }

    /// Of a page that was to be refreshed and is done; none of any other. `digest` is that of its body, where it was kept.
    pub fn of_page(parsed: &ParsedPage, digest: Option<&Digest>) -> Option<Self> {
        let page = &parsed.page;
        let earlier = page.queued.earlier.as_deref()?;
        if page.verdict.fate != Fate::Done || !matches!(page.place, Place::Queue(_)) {
            return None;
        }
        let Some(exchange) = &page.exchange else {
            return Some(Self::Unknown);
        };
        let found = |same: bool| match (earlier.gone, same) {
            (true, _) => Self::Back,
            (false, true) => Self::Unchanged,
            (false, false) => Self::Changed,
        };
        let status = exchange.status.as_u16();
        Some(match (status, digest) {
            (304, _) if not_modified(parsed).is_some() => found(true),
            (404 | 410, _) => Self::Gone,
            (304, _) => Self::Unknown,
            (200..400, Some(digest)) if exchange.cut.is_none() => {
                let same =
                    status == earlier.status && Digest::parse(&earlier.digest) == Some(*digest);
                found(same)
            }
            _ => Self::Unknown,
        })
    }
}

/// The capture that a 304 stands for; none for any other answer, and for a 304 that was not asked for with a validator.
pub(crate) fn not_modified(parsed: &ParsedPage) -> Option<&Earlier> {
    let page = &parsed.page;
    let asked =
        |earlier: &&Earlier| earlier.has_validator() && *page.queued.url == *page.url.as_str();
    let earlier = page.queued.earlier.as_deref().filter(asked);
    earlier.filter(|_| {
        page.verdict.outcome == Outcome::NotModified && matches!(page.place, Place::Queue(_))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PageBuilder;

    #[test]
    fn a_finding_follows_from_the_answer_and_what_was_before() {
        #[track_caller]
        fn check(status: u16, body: &str, change: impl FnOnce(&mut Earlier), want: Change) {
            let mut earlier = Earlier {
                digest: Digest::of(b"same").to_string().into(),
                status: 200,
                etag: Some("\"1\"".into()),
                ..Earlier::default()
            };
            change(&mut earlier);
            let page = PageBuilder::new("http://a.test/x")
                .status(status)
                .html(body);
            let mut page = page.build();
            page.page.queued.earlier = Some(Box::new(earlier));
            let digest = Digest::of(body.as_bytes());
            assert_eq!(Change::of_page(&page, Some(&digest)), Some(want));
        }
        let gone = |earlier: &mut Earlier| earlier.gone = true;
        let unasked = |earlier: &mut Earlier| earlier.etag = None;
        check(304, "", |_| {}, Change::Unchanged);
        check(304, "", unasked, Change::Unknown);
        check(304, "", gone, Change::Back);
        check(200, "same", |_| {}, Change::Unchanged);
        check(200, "other", |_| {}, Change::Changed);
        check(200, "same", gone, Change::Back);
        check(203, "same", |_| {}, Change::Changed);
        check(404, "same", |_| {}, Change::Gone);
        check(410, "", gone, Change::Gone);
        check(403, "", |_| {}, Change::Unknown);
        check(503, "same", |_| {}, Change::Unknown);
    }

    #[test]
    fn what_was_no_refresh_or_had_no_answer_tells_no_change() {
        let plain = PageBuilder::new("http://a.test/x").html("x").build();
        assert_eq!(Change::of_page(&plain, None), None);
        let lost =
            PageBuilder::new("http://a.test/x").no_answer(Outcome::ConnectFailed, Fate::Done);
        let mut page = lost.build();
        page.page.queued.earlier = Some(Box::default());
        assert_eq!(Change::of_page(&page, None), Some(Change::Unknown));
        page.page.verdict.fate = Fate::Return;
        assert_eq!(Change::of_page(&page, None), None);
    }
}

//! The ledger: what became of every URL, and why. `logs/crawl.jsonl`, a line per attempt and per refused link.
//!
//! Owns the line's fields, which are read by `verify`, the reports and whoever wants to know; they are only added
//! to. Identity of a line is (url, token): a crash may repeat one under another token. Invariant: a line that
//! names a record is durable only after the record. Start at [`of_page`].

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use contract::error::ErrorClass;
use contract::keep::ParsedPage;
use contract::link::RefusedLink;
use contract::outcome::Outcome;
use contract::page::{Fate, Page, Place};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::archive::Kept;
use crate::cdx::mime_of;
use crate::change::Change;
use crate::duplicates::First;
use crate::jsonl;
use crate::stamp;

/// A longer line is no ledger line.
const LINE_MAX: u64 = 1 << 20;

/// One line, as written.
#[derive(Debug, Serialize)]
struct Line<'a> {
    ts: String,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ErrorClass>,
    #[serde(rename = "final")]
    is_final: bool,
    #[serde(flatten)]
    answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u16>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    #[serde(flatten)]
    warc: Option<Warc<'a>>,
}

#[derive(Debug, Serialize)]
struct Answer {
    status: u16,
    /// Bytes of the body as received.
    size: u64,
    /// From sending the request to the head, and to the body's end.
    ttfb_ms: u64,
    took_ms: u64,
}

#[derive(Debug, Serialize)]
struct Warc<'a> {
    digest: String,
    warc: &'a str,
    offset: u64,
    length: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    same_as: Option<&'a First>,
}

/// How a page stands in the ledger beside the queue.
fn kind_of(page: &Page) -> &'static str {
    match page.place {
        Place::Queue(_) => page.queued.kind.as_str(),
        Place::Robots { .. } => "robots",
        // Given up by the frontier: no lease holds it any more, but it is a URL of the crawl.
        Place::Beside if page.verdict.outcome == Outcome::Quarantined => page.queued.kind.as_str(),
        Place::Beside => "beside",
    }
}

/// Appends the line of a page.
///
/// # Errors
/// None that a page can cause.
pub fn of_page(out: &mut Vec<u8>, parsed: &ParsedPage, kept: Option<&Kept>) -> io::Result<()> {
    let page = &parsed.page;
    let millis = contract::clock::millis;
    let named = page
        .exchange
        .as_ref()
        .and_then(|exchange| exchange.headers.get(http::header::CONTENT_TYPE));
    let named = named.map(|value| mime_of(value.as_bytes()));
    let tries = match page.verdict.fate {
        Fate::Retry { tries, .. } => tries,
        Fate::Done => page.queued.tries.saturating_add(1),
        Fate::Return => page.queued.tries,
    };
    let line = Line {
        ts: stamp::iso(page.began),
        url: page.url.as_str(),
        host: Some(page.host.as_str()),
        outcome: page.verdict.outcome,
        class: page.verdict.outcome.class(),
        is_final: page.verdict.fate == Fate::Done,
        answer: page.exchange.as_ref().map(|exchange| Answer {
            status: exchange.status.as_u16(),
            size: exchange.body.len(),
            ttfb_ms: millis(exchange.head_after),
            took_ms: millis(exchange.took),
        }),
        mime: parsed.facts.mime.as_deref().or(named.as_deref()),
        via: page.queued.via.as_deref(),
        depth: Some(page.queued.depth),
        kind: kind_of(page),
        tries: Some(tries),
        token: Some(page.token.0),
        detail: page.verdict.detail.as_deref(),
        change: match kept {
            Some(kept) => kept.change,
            None => Change::of_page(parsed, None),
        },
        warc: kept.map(|kept| Warc {
            digest: kept.digest.to_string(),
            warc: &kept.file,
            offset: kept.span.offset,
            length: kept.span.length,
            same_as: kept.same_as.as_ref(),
        }),
    };
    jsonl::push(out, &line)
}

/// Appends the line of a link that is not fetched, found on `page`.
///
/// # Errors
/// None that a link can cause.
pub fn of_refused(out: &mut Vec<u8>, page: &Page, link: &RefusedLink) -> io::Result<()> {
    let line = Line {
        ts: stamp::iso(page.began),
        url: &link.url,
        host: None,
        outcome: link.outcome,
        class: link.outcome.class(),
        is_final: true,
        answer: None,
        mime: None,
        via: Some(page.url.as_str()),
        depth: None,
        kind: link.kind.as_str(),
        tries: None,
        token: None,
        detail: Some(&link.rule),
        change: None,
        warc: None,
    };
    jsonl::push(out, &line)
}

/// One line, as read back. Fields that a line does not have are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub ts: String,
    pub url: String,
    pub host: Option<String>,
    /// A code of [`Outcome`]; perhaps one of a later version.
    pub outcome: String,
    #[serde(rename = "final")]
    pub is_final: bool,
    pub status: Option<u16>,
    pub size: Option<u64>,
    pub ttfb_ms: Option<u64>,
    pub took_ms: Option<u64>,
    pub mime: Option<String>,
    pub via: Option<String>,
    pub depth: Option<u16>,
    pub kind: String,
    pub tries: Option<u8>,
    pub token: Option<u64>,
    pub detail: Option<String>,
    /// What a refresh found; none for the first fetch of a URL.
    pub change: Option<Change>,
    pub digest: Option<String>,
    pub warc: Option<String>,
    pub offset: Option<u64>,
    pub length: Option<u64>,
    /// The record that has the payload, where the line's own names it instead.
    pub same_as: Option<First>,
}

impl Entry {
    /// False for robots.txt and for records beside the queue, which are no URLs of the crawl.
    pub fn is_url(&self) -> bool {
        !matches!(self.kind.as_str(), "robots" | "beside")
    }
}

/// Reads a ledger line by line.
#[derive(Debug)]
pub struct LedgerReader {
    input: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl LedgerReader {
    /// # Errors
    /// A ledger that cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            input: BufReader::with_capacity(256 * 1_024, File::open(path)?),
            line: Vec::new(),
            number: 0,
        })
    }

    /// From the first line that begins in the file's last `bytes`.
    ///
    /// # Errors
    /// A ledger that cannot be opened or read.
    pub fn open_tail(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let skipped = file.metadata()?.len().saturating_sub(bytes);
        // A line begins behind a line's end.
        file.seek(SeekFrom::Start(skipped.saturating_sub(1)))?;
        let mut reader = Self {
            input: BufReader::with_capacity(256 * 1_024, file),
            line: Vec::new(),
            number: 0,
        };
        if skipped > 0 {
            reader.input.skip_until(b'\n')?;
        }
        Ok(reader)
    }

    /// Number of the line last read, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line; none at the end. A torn last line is none, too: it was never durable.
    ///
    /// # Errors
    /// The disk's, or `InvalidData` for a line that is none of ours (the next may be read all the same).
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        self.next_line()
    }

    /// As [`LedgerReader::next_entry`], of any file of JSON lines.
    ///
    /// # Errors
    /// As there.
    pub fn next_line<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.line.clear();
        self.input
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut self.line)?;
        if !self.line.ends_with(b"\n") {
            return if self.line.len() as u64 == LINE_MAX {
                Err(io::ErrorKind::InvalidData.into())
            } else {
                Ok(None)
            };
        }
        self.number += 1;
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PageBuilder, refused};

    #[test]
    fn a_page_is_one_line_that_says_all() {
        let page = PageBuilder::new("http://a.test/x")
            .via("http://a.test/")
            .html("<p>hi")
            .build();
        let kept = crate::testing::kept();
        let mut out = Vec::new();
        of_page(&mut out, &page, Some(&kept)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"ts\":\"2025-11-24T16:00:01.123456Z\",\"url\":\"http://a.test/x\",\"host\":\"a.test\",\"outcome\":\"ok\",\
             \"final\":true,\"status\":200,\"size\":5,\"ttfb_ms\":3,\"took_ms\":7,\"mime\":\"text/html\",\
             \"via\":\"http://a.test/\",\"depth\":1,\"kind\":\"page\",\"tries\":1,\"token\":9,\
             \"digest\":\"sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\",\"warc\":\"f.warc.gz\",\"offset\":7,\"length\":8}\n"
        );
        let entry: Entry = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (entry.url.as_str(), entry.offset, entry.is_url()),
            ("http://a.test/x", Some(7), true)
        );
    }

    #[test]
    fn a_refused_link_names_its_rule_and_where_it_was_found() {
        let page = PageBuilder::new("http://a.test/x").build().page;
        let mut out = Vec::new();
        of_refused(&mut out, &page, &refused("http://b.test/\n{}", "host")).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"ts\":\"2025-11-24T16:00:01.123456Z\",\"url\":\"http://b.test/\\n{}\",\"outcome\":\"out_of_scope\",\
             \"class\":\"permanent\",\"final\":true,\"via\":\"http://a.test/x\",\"kind\":\"page\",\"detail\":\"host\"}\n"
        );
    }

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let dir = crate::testing::scratch();
        let path = dir.path().join("crawl.jsonl");
        let lines: String = (0..9).map(|n| format!("{{\"url\":\"{n}\"}}\n")).collect();
        std::fs::write(&path, &lines).unwrap();
        let each = lines.len() as u64 / 9;
        let first = |bytes| {
            let mut ledger = LedgerReader::open_tail(&path, bytes).unwrap();
            ledger.next_entry().unwrap().map(|entry| entry.url)
        };
        assert_eq!(first(1_000).as_deref(), Some("0"));
        assert_eq!(first(2 * each).as_deref(), Some("7"));
        assert_eq!(first(2 * each - 1).as_deref(), Some("8"));
        assert_eq!(first(3), None);
    }

    #[test]
    fn a_foreign_line_is_an_error_and_the_next_is_read() {
        let dir = crate::testing::scratch();
        let path = dir.path().join("crawl.jsonl");
        std::fs::write(
            &path,
            "{\"url\":\"a\",\"new\":[1]}\nnonsense\n{\"url\":\"b\"}\n{\"url\":\"to",
        )
        .unwrap();
        let mut ledger = LedgerReader::open(&path).unwrap();
        assert_eq!(ledger.next_entry().unwrap().unwrap().url, "a");
        assert_eq!(
            ledger.next_entry().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(ledger.next_entry().unwrap().unwrap().url, "b");
        assert_eq!(ledger.next_entry().unwrap(), None);
    }
}

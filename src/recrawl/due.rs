//! Whose turn it is: the last word on each URL of a ledger, and the lines that lead back to the records.
//!
//! A ledger is read in slices of its URLs' hashes, each twice: first what became of each URL of the slice, 32 bytes of it,
//! then the lines that were found to matter. So memory is bounded by [`SLICE`] whatever the ledger's length, and a ledger
//! of half a million URLs or fewer is read twice in all. Two URLs of one hash (64 bits) would be taken for one.
//! Start at [`each`].

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::time::Duration;

use contract::clock::Wall;
use storage::change::Change;
use storage::ledger::{Entry, LedgerReader};
use storage::stamp;

use super::interval;
use crate::exit::{Code, Failure};

/// URLs told apart in one reading: some 30 MB.
const SLICE: u64 = 1 << 19;
/// A decided URL's line is hardly shorter.
const LINE_BYTES: u64 = 200;

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Kept pages that were looked at so long ago.
    Older(Duration),
    /// Kept pages whose interval is over.
    Due,
    /// URLs whose last outcome is one of these codes.
    Ended(Vec<String>),
}

/// The last word on a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    /// The line to be shown; none: nothing to fetch again.
    line: Option<u64>,
    /// When it was looked at last, and how long it is left alone, in seconds.
    looked: u32,
    interval: u32,
    gone: bool,
}

/// Shows each URL that is wanted at `now`: the line of its last capture with a page (or, where outcomes are wanted, its last
/// line), and whether it was gone since. Ends early when `show` says false. Answers how many URLs were looked at.
///
/// # Errors
/// A ledger that cannot be read, or what `show` ends with.
pub async fn each(
    ledger: &Path,
    wanted: &Wanted,
    now: Wall,
    mut show: impl AsyncFnMut(Entry, bool) -> Result<bool, Failure>,
) -> Result<u64, Failure> {
    let failed = |error| failed(ledger, &error);
    let bytes = std::fs::metadata(ledger).map_err(failed)?.len();
    let slices = bytes / LINE_BYTES / SLICE + 1;
    let mut urls = 0;
    for slice in 0..slices {
        let mut rows: HashMap<u64, Row> = HashMap::new();
        let mut lines = LedgerReader::open(ledger).map_err(failed)?;
        while let Some(entry) = next(&mut lines).map_err(failed)? {
            let key = key(&entry);
            if key % slices == slice {
                fold(rows.entry(key).or_default(), &entry, lines.number(), wanted);
            }
        }
        rows.retain(|_, row| row.line.is_some());
        urls += rows.len() as u64;
        let mut lines = LedgerReader::open(ledger).map_err(failed)?;
        while let Some(entry) = next(&mut lines).map_err(failed)? {
            let Some(row) = rows.get(&key(&entry)) else {
                continue;
            };
            let is_it = row.line == Some(lines.number()) && row.is_due(wanted, now);
            if is_it && !show(entry, row.gone).await? {
                return Ok(urls);
            }
        }
    }
    Ok(urls)
}

/// What the refreshes in the last `bytes` of a ledger found.
///
/// # Errors
/// A ledger that cannot be read.
pub fn found(ledger: &Path, bytes: u64) -> Result<Vec<(Change, u64)>, Failure> {
    let failed = |error| failed(ledger, &error);
    let mut found = std::collections::BTreeMap::new();
    let mut lines = LedgerReader::open_tail(ledger, bytes).map_err(failed)?;
    while let Some(entry) = next(&mut lines).map_err(failed)? {
        if let Some(change) = entry.change {
            *found.entry(change).or_default() += 1;
        }
    }
    Ok(found.into_iter().collect())
}

/// The next line that decides a URL of the frontier's. Those that cannot be read are `verify`'s to tell.
fn next(lines: &mut LedgerReader) -> io::Result<Option<Entry>> {
    loop {
        match lines.next_entry() {
            // A refused link has no token: it was never in the frontier.
            Ok(Some(entry)) if entry.is_final && entry.is_url() && entry.token.is_some() => {
                return Ok(Some(entry));
            }
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(error),
        }
    }
}

fn key(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.url.hash(&mut hasher);
    hasher.finish()
}

/// Takes in one more line of a URL.
fn fold(row: &mut Row, entry: &Entry, number: u64, wanted: &Wanted) {
    if let Wanted::Ended(outcomes) = wanted {
        let is_wanted = outcomes.contains(&entry.outcome);
        row.line = is_wanted.then_some(number);
        return;
    }
    let at = stamp::parse(&entry.ts).map_or(0, seconds);
    let has_page = entry.warc.is_some() && entry.status.is_some_and(|status| status < 400);
    row.interval = match entry.change {
        Some(change) if row.line.is_some() => {
            interval::after(row.interval, change, at.saturating_sub(row.looked))
        }
        _ if row.line.is_some() => row.interval,
        _ => interval::FIRST,
    };
    row.looked = at;
    if has_page && entry.change != Some(Change::Unknown) {
        row.line = Some(number);
        row.gone = false;
    }
    row.gone |= entry.change == Some(Change::Gone);
}

impl Row {
    fn is_due(&self, wanted: &Wanted, now: Wall) -> bool {
        let ago = seconds(now).saturating_sub(self.looked);
        match wanted {
            Wanted::Older(least) => u64::from(ago) >= least.as_secs(),
            Wanted::Due => ago >= self.interval,
            Wanted::Ended(_) => true,
        }
    }
}

/// Since 1970, until 2106.
fn seconds(at: Wall) -> u32 {
    u32::try_from(at.0 / 1_000_000).unwrap_or(u32::MAX)
}

fn failed(ledger: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::Error,
        format!("cannot read {}: {error}", ledger.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger of a few URLs over a month.
    const LEDGER: &str = r#"
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://a.test/still","outcome":"ok","final":true,"status":200,"kind":"page","token":1,"warc":"1","offset":1}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://a.test/moving","outcome":"ok","final":true,"status":200,"kind":"page","token":1,"warc":"1","offset":2}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://a.test/gone","outcome":"ok","final":true,"status":200,"kind":"page","token":1,"warc":"1","offset":3}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://a.test/never","outcome":"client_error","final":true,"status":404,"kind":"page","token":1,"warc":"1","offset":4}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://b.test/","outcome":"host_unreachable","final":true,"kind":"page","token":1}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://c.test/","outcome":"out_of_scope","final":true,"kind":"page"}
{"ts":"2026-01-01T00:00:00.000000Z","url":"http://a.test/robots.txt","outcome":"ok","final":true,"status":200,"kind":"robots","token":1,"warc":"1","offset":5}
{"ts":"2026-01-09T00:00:00.000000Z","url":"http://a.test/still","outcome":"not_modified","final":true,"status":304,"kind":"page","token":2,"change":"unchanged","warc":"2","offset":1}
{"ts":"2026-01-09T00:00:00.000000Z","url":"http://a.test/moving","outcome":"ok","final":true,"status":200,"kind":"page","token":2,"change":"changed","warc":"2","offset":2}
{"ts":"2026-01-09T00:00:00.000000Z","url":"http://a.test/gone","outcome":"client_error","final":true,"status":404,"kind":"page","token":2,"change":"gone","warc":"2","offset":3}
{"ts":"2026-01-09T00:00:00.000000Z","url":"http://b.test/","outcome":"host_unreachable","final":true,"kind":"page","token":2}
{"ts":"2026-01-10T00:00:00.000000Z","url":"http://a.test/moving","outcome":"server_error","final":true,"status":503,"kind":"page","token":3,"change":"unknown","warc":"3","offset":1}
"#;

    /// File, URL and gone, of what is wanted on this day of January.
    fn shown(wanted: &Wanted, day: u64, most: usize) -> Vec<(Option<String>, String, bool)> {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("crawl.jsonl");
        std::fs::write(&ledger, LEDGER).unwrap();
        let first = stamp::parse("2026-01-01T00:00:00Z").unwrap().0;
        let now = Wall(first + (day - 1) * 86_400_000_000);
        let mut shown = Vec::new();
        let show = async |entry: Entry, gone| {
            let url = entry.url.replace("http://", "");
            shown.push((entry.warc, url, gone));
            Ok(shown.len() < most)
        };
        let done = each(&ledger, wanted, now, show);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(done).unwrap();
        shown
    }

    #[test]
    fn a_kept_page_is_due_by_what_was_found_of_it() {
        let file = |name: &str| Some(name.to_owned());
        let moving = (file("2"), "a.test/moving".to_owned(), false);
        let still = (file("2"), "a.test/still".to_owned(), false);
        let gone = (file("1"), "a.test/gone".to_owned(), true);
        // Half of seven days after the 10th; twelve days, and twice seven, after the 9th.
        assert_eq!(shown(&Wanted::Due, 13, 9), []);
        assert_eq!(shown(&Wanted::Due, 14, 9), std::slice::from_ref(&moving));
        assert_eq!(shown(&Wanted::Due, 21, 9), [still.clone(), moving.clone()]);
        let all = [gone.clone(), still.clone(), moving.clone()];
        assert_eq!(shown(&Wanted::Due, 23, 9), all);
        assert_eq!(
            shown(&Wanted::Due, 23, 2),
            all[..2],
            "no more than asked for"
        );
        let older = |days: u64| Wanted::Older(Duration::from_secs(days * 86_400));
        assert_eq!(shown(&older(4), 13, 9), [gone, still]);
        assert_eq!(shown(&older(0), 10, 9), all);
    }

    #[test]
    fn urls_are_found_by_their_last_outcome() {
        let ended = |code: &str| Wanted::Ended(vec![code.to_owned(), "tls_failed".to_owned()]);
        assert_eq!(
            shown(&ended("host_unreachable"), 1, 9),
            [(None, "b.test/".to_owned(), false)]
        );
        assert_eq!(shown(&ended("ok"), 1, 9), []);
        assert_eq!(
            shown(&ended("out_of_scope"), 1, 9),
            [],
            "it was never queued"
        );
    }
}

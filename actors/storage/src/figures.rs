//! A whole crawl in figures, counted from its ledger.
//!
//! Each URL counts once, by its first final line, although a crash may have repeated it. To tell repeats in
//! bounded memory, the ledger is read once for each slice of the URLs' hashes; a short one is one slice. Hosts and
//! media types beyond a limit are counted together. Lines of refreshes are counted by what they found, and apart.
//! Invariant: memory does not grow with the crawl. Start at [`count`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use contract::outcome::Outcome;
use serde::Serialize;

use crate::change::Change;
use crate::error::StoreError;
use crate::layout::Layout;
use crate::ledger::{Entry, LedgerReader};
use crate::similar::{self, TemplateRow};

/// URLs told apart in one reading: about 18 MiB.
const SLICE: u64 = 1 << 20;
/// Bytes of the shortest line there can be: its time, outcome and kind alone take as many.
const LINE_MIN: u64 = 100;
/// Names counted one by one in a table; the rest is [`OTHERS`].
const NAMES_MAX: usize = 100_000;
/// URLs that are named as gone: 20 MB at most.
pub const GONE_MAX: usize = 10_000;
/// What stands for names beyond the limit.
pub const OTHERS: &str = "(others)";

/// URLs and bytes of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub urls: u64,
    /// Bytes of bodies as received.
    pub bytes: u64,
}

/// A host in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostRow {
    pub urls: u64,
    pub bytes: u64,
    /// URLs with a record in the archive.
    pub kept: u64,
    /// URLs that ended in an error (transient, permanent or system).
    pub errors: u64,
    /// URLs that robots.txt forbids.
    pub robots_denied: u64,
}

/// A crawl in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Times of the first and the last line.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Lines of the ledger.
    pub lines: u64,
    /// Lines that cannot be read.
    pub bad_lines: u64,
    /// Answers of any kind, robots.txt and retries included.
    pub answers: u64,
    /// Bytes of bodies received, in all of these.
    pub bytes_received: u64,
    /// Attempts that were not the last of their URL.
    pub attempts_repeated: u64,
    /// Lines of URLs that had been decided before: the price of crashes.
    pub repeats: u64,
    /// Requests for robots.txt.
    pub robots: u64,
    /// URLs that are decided, each once.
    pub urls: u64,
    /// Of those, with a record in the archive.
    pub kept: u64,
    /// Of those, with a payload that was in the archive already; bytes are those not stored again.
    pub duplicates: Row,
    /// Refreshes by what they found, each line; they count in no other row but those of answers and bytes.
    pub refreshes: BTreeMap<Change, u64>,
    /// URLs that were there once and are gone, as the last refresh found them; at most [`GONE_MAX`].
    pub gone: BTreeSet<String>,
    /// Bytes of the records of answers, as compressed.
    pub archived_bytes: u64,
    pub outcomes: BTreeMap<String, Row>,
    pub statuses: BTreeMap<u16, Row>,
    pub mimes: BTreeMap<String, Row>,
    pub hosts: BTreeMap<String, HostRow>,
    /// HTML pages by the template of their URLs.
    pub templates: BTreeMap<String, TemplateRow>,
}

/// Counts the ledger of an output folder.
///
/// # Errors
/// A ledger that cannot be read.
pub fn count(layout: &Layout) -> Result<Figures, StoreError> {
    count_all(std::slice::from_ref(layout))
}

/// Counts the ledgers of several output folders as one: of a crawl that several nodes worked on.
///
/// # Errors
/// A ledger that cannot be read.
pub fn count_all(layouts: &[Layout]) -> Result<Figures, StoreError> {
    count_in_slices(layouts, SLICE)
}

fn count_in_slices(layouts: &[Layout], slice: u64) -> Result<Figures, StoreError> {
    let mut len = 0;
    for layout in layouts {
        let path = layout.ledger();
        let found = std::fs::metadata(&path);
        len += found
            .map_err(|error| StoreError::disk("look at", &path, error))?
            .len();
    }
    // What fits in one slice by its length alone is read once.
    let slices = match len / LINE_MIN < slice {
        true => 1,
        false => decided(layouts)? / slice + 1,
    };
    let mut figures = Figures {
        templates: similar::count(layouts)?,
        ..Figures::default()
    };
    for this in 0..slices {
        let mut seen = HashSet::new();
        read(layouts, |line| {
            let Some(entry) = line else {
                figures.bad_lines += u64::from(this == 0);
                return;
            };
            if this == 0 {
                figures.attempt(&entry);
            }
            if entry.change.is_some() {
                if this == 0 {
                    figures.refreshed(entry);
                }
                return;
            }
            if !is_decided(&entry) {
                return;
            }
            let mut hasher = DefaultHasher::new();
            entry.url.hash(&mut hasher);
            let hash = hasher.finish();
            if hash % slices != this {
                return;
            }
            if seen.insert(hash) {
                figures.decided(entry)
            } else {
                figures.repeats += 1
            }
        })?;
    }
    Ok(figures)
}

/// Lines that decide a URL.
fn decided(layouts: &[Layout]) -> Result<u64, StoreError> {
    let mut decided = 0;
    read(layouts, |line| {
        decided += u64::from(line.is_some_and(|entry| is_decided(&entry)));
    })?;
    Ok(decided)
}

fn is_decided(entry: &Entry) -> bool {
    entry.is_final && entry.is_url() && entry.change.is_none()
}

/// Shows each line of all ledgers, one after the other; none for one that cannot be read.
fn read(layouts: &[Layout], mut each: impl FnMut(Option<Entry>)) -> Result<(), StoreError> {
    for layout in layouts {
        let path = layout.ledger();
        let failed = |error| StoreError::disk("read", &path, error);
        let mut ledger = LedgerReader::open(&path).map_err(failed)?;
        loop {
            match ledger.next_entry() {
                Ok(Some(entry)) => each(Some(entry)),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => each(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(())
}

impl Figures {
    fn attempt(&mut self, entry: &Entry) {
        self.lines += 1;
        // Written in groups, lines are not quite in order of time. Stamps of one form sort as they read.
        if self.first.as_ref().is_none_or(|first| entry.ts < *first) {
            self.first = Some(entry.ts.clone());
        }
        if self.last.as_ref().is_none_or(|last| entry.ts > *last) {
            self.last = Some(entry.ts.clone());
        }
        if entry.status.is_some() {
            self.answers += 1;
            self.bytes_received += entry.size.unwrap_or(0);
        }
        self.robots += u64::from(entry.kind == "robots");
        self.attempts_repeated += u64::from(!entry.is_final && entry.is_url());
        if entry.warc.is_some() {
            self.archived_bytes += entry.length.unwrap_or(0);
        }
    }

    fn refreshed(&mut self, entry: Entry) {
        let Some(change) = entry.change else { return };
        *self.refreshes.entry(change).or_default() += 1;
        match change {
            Change::Gone if self.gone.len() < GONE_MAX => {
                self.gone.insert(entry.url);
            }
            Change::Gone | Change::Unknown => {}
            Change::Unchanged | Change::Changed | Change::Back => {
                self.gone.remove(&entry.url);
            }
        }
    }

    fn decided(&mut self, entry: Entry) {
        let bytes = entry.size.unwrap_or(0);
        let kept = u64::from(entry.warc.is_some());
        self.urls += 1;
        self.kept += kept;
        if entry.same_as.is_some() {
            self.duplicates.urls += 1;
            self.duplicates.bytes += bytes;
        }
        let add = |row: &mut Row| {
            row.urls += 1;
            row.bytes += bytes;
        };
        if let Some(status) = entry.status {
            add(self.statuses.entry(status).or_default());
            add(named(
                &mut self.mimes,
                entry.mime.unwrap_or_else(|| "unknown".to_owned()),
            ));
        }
        if let Some(host) = entry.host {
            let row = named(&mut self.hosts, host);
            row.urls += 1;
            row.bytes += bytes;
            row.kept += kept;
            let outcome = Outcome::from_code(&entry.outcome);
            row.errors += u64::from(outcome.is_some_and(|outcome| outcome.class().is_some()));
            row.robots_denied += u64::from(outcome == Some(Outcome::RobotsDenied));
        }
        add(named(&mut self.outcomes, entry.outcome));
    }
}

/// The row of a name, or that of all names beyond the limit.
fn named<T: Default>(table: &mut BTreeMap<String, T>, name: String) -> &mut T {
    let name = if table.len() < NAMES_MAX || table.contains_key(&name) {
        name
    } else {
        OTHERS.to_owned()
    };
    table.entry(name).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PageBuilder, refused, scratch, store_pages};
    use contract::page::Fate;

    #[test]
    fn each_url_counts_once_in_however_many_slices() {
        let dir = scratch();
        let mut pages = Vec::new();
        for _twice in 0..2 {
            for n in 0..50 {
                pages.push(
                    PageBuilder::new(&format!("http://a.test/{n}"))
                        .html("0123456789")
                        .build(),
                );
            }
        }
        pages.push(
            PageBuilder::new("http://b.test/")
                .status(404)
                .refused(vec![refused("http://c.test/", "host")])
                .build(),
        );
        pages.push(
            PageBuilder::new("http://b.test/no")
                .no_answer(Outcome::RobotsDenied, Fate::Done)
                .build(),
        );
        let rest = std::time::Duration::ZERO;
        pages.push(
            PageBuilder::new("http://b.test/again")
                .no_answer(Outcome::ConnectFailed, Fate::Retry { tries: 1, rest })
                .build(),
        );
        let layout = store_pages(dir.path(), pages);
        let figures = count(&layout).unwrap();
        let once = std::slice::from_ref(&layout);
        assert_eq!(count_in_slices(once, 7).unwrap(), figures);
        // Another node's folder with the same URLs: each counts once.
        let twice = count_all(&[layout.clone(), layout.clone()]).unwrap();
        assert_eq!((twice.lines, twice.urls, twice.kept), (208, 53, 51));
        assert_eq!(
            (figures.lines, figures.urls, figures.kept, figures.repeats),
            (104, 53, 51, 50)
        );
        assert_eq!(
            (
                figures.answers,
                figures.bytes_received,
                figures.attempts_repeated
            ),
            (101, 1_000, 1)
        );
        assert_eq!(
            figures.outcomes["ok"],
            Row {
                urls: 50,
                bytes: 500
            }
        );
        assert_eq!(figures.outcomes["out_of_scope"].urls, 1);
        assert_eq!(figures.statuses[&404].urls, 1);
        assert_eq!(
            figures.mimes["text/html"],
            Row {
                urls: 50,
                bytes: 500
            }
        );
        let host = HostRow {
            urls: 2,
            bytes: 0,
            kept: 1,
            errors: 2,
            robots_denied: 1,
        };
        assert_eq!((figures.hosts["b.test"], figures.hosts.len()), (host, 2));
    }

    #[test]
    fn names_beyond_the_limit_are_counted_together() {
        let mut table: BTreeMap<String, Row> = (0..NAMES_MAX)
            .map(|n| (n.to_string(), Row::default()))
            .collect();
        named(&mut table, "5".to_owned()).urls += 1;
        named(&mut table, "new".to_owned()).urls += 1;
        named(&mut table, "newer".to_owned()).urls += 1;
        assert_eq!(
            (table["5"].urls, table[OTHERS].urls, table.len()),
            (1, 2, NAMES_MAX + 1)
        );
    }
}

//! Is everything there that the ledger says is kept?
//!
//! Reads the ledger line by line and each record that a line names, at the place it names, with its digest. Memory
//! does not grow with the crawl: problems are counted, and only a few of each kind are shown.
//! It knows no frontier: who does can look at each sound line as it passes. Start at [`verify`].

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::duplicates::First;
use crate::error::StoreError;
use crate::layout::Layout;
use crate::ledger::{Entry, LedgerReader};
use crate::warc::reader::{Check, ReadError, Reader};

/// Examples shown of one kind of problem.
const EXAMPLES: usize = 10;

/// What can be wrong with a line of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The line is no ledger line.
    BadLine,
    /// It names a file that is not there, or not where.
    NoFile,
    /// There is no whole record at that place.
    Unreadable,
    /// The record there is of another URL.
    OtherUrl,
    /// The record's digest is not the line's, or not its payload's.
    WrongDigest,
    /// The record is not as long as the line says.
    OtherLength,
    /// The payload that it shares with an earlier record is not there.
    NoPayload,
}

/// How often, and where for instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub count: u64,
    pub examples: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Lines read.
    pub lines: u64,
    /// Lines that name a record.
    pub kept: u64,
    /// Of those, with everything right.
    pub sound: u64,
    /// Bytes of payload whose digest was compared.
    pub bytes: u64,
    pub problems: BTreeMap<Problem, Tally>,
}

impl Findings {
    /// True when nothing is missing or wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn note(&mut self, problem: Problem, number: u64, what: &str) {
        let tally = self.problems.entry(problem).or_default();
        tally.count += 1;
        if tally.examples.len() < EXAMPLES {
            tally.examples.push(format!("line {number}: {what}"));
        }
    }
}

/// Checks an output folder; shows each line and whether its record is sound (lines without a record are).
///
/// # Errors
/// A ledger that cannot be read at all.
pub fn verify(layout: &Layout, each: &mut dyn FnMut(&Entry, bool)) -> Result<Findings, StoreError> {
    let path = layout.ledger();
    let failed = |error| StoreError::disk("read", &path, error);
    let mut ledger = LedgerReader::open(&path).map_err(failed)?;
    let mut findings = Findings::default();
    loop {
        let entry = match ledger.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(findings),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                findings.lines += 1;
                findings.note(Problem::BadLine, ledger.number(), &error.to_string());
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        findings.lines += 1;
        let mut sound = true;
        if let Some(file) = &entry.warc {
            findings.kept += 1;
            match check(layout, &entry, file) {
                Ok(bytes) => {
                    findings.sound += 1;
                    findings.bytes += bytes;
                }
                Err((problem, what)) => {
                    sound = false;
                    findings.note(problem, ledger.number(), &format!("{}: {what}", entry.url));
                }
            }
        }
        each(&entry, sound);
    }
}

/// Compares a line with the record that it names; gives the length of the payload.
fn check(layout: &Layout, entry: &Entry, file: &str) -> Result<u64, (Problem, String)> {
    let offset = entry.offset.unwrap_or(0);
    let path = layout
        .warc(file)
        .ok_or_else(|| (Problem::NoFile, file.to_owned()))?;
    let unreadable = |error: ReadError| (Problem::Unreadable, error.to_string());
    let mut reader = Reader::open_at(&path, offset).map_err(unreadable)?;
    let record = reader
        .next(&mut |_| {})
        .map_err(unreadable)?
        .ok_or_else(|| (Problem::Unreadable, format!("{file} ends before {offset}")))?;
    let found = record.fields.get("WARC-Target-URI").unwrap_or("none");
    if found != entry.url {
        return Err((
            Problem::OtherUrl,
            format!("{file} at {offset} holds {found}"),
        ));
    }
    let named = record.fields.get("WARC-Payload-Digest");
    // A revisit's payload is elsewhere: its digest is named and cannot be compared.
    let is_revisit = record.fields.get("WARC-Type") == Some("revisit");
    let computed = if is_revisit {
        record.is_sound()
    } else {
        record.payload == Check::Right
    };
    if !computed || named != entry.digest.as_deref() {
        return Err((Problem::WrongDigest, format!("{file} at {offset}")));
    }
    if entry.length != Some(record.length) {
        return Err((
            Problem::OtherLength,
            format!("{file} at {offset} is {} bytes long", record.length),
        ));
    }
    match &entry.same_as {
        Some(first) => check_first(layout, first, named),
        None => Ok(record.payload_len),
    }
}

/// Looks at the record whose payload another shares; gives the payload's length.
fn check_first(
    layout: &Layout,
    first: &First,
    digest: Option<&str>,
) -> Result<u64, (Problem, String)> {
    let wrong = |what: String| {
        let at = format!("{} at {}, of {}", first.warc, first.offset, first.url);
        (Problem::NoPayload, format!("{at}: {what}"))
    };
    let path = layout
        .warc(&first.warc)
        .ok_or_else(|| wrong("no such file".to_owned()))?;
    let record = Reader::open_at(&path, first.offset)
        .and_then(|mut reader| reader.next(&mut |_| {}))
        .map_err(|error| wrong(error.to_string()))?
        .ok_or_else(|| wrong("the file ends before".to_owned()))?;
    let is = |name, value| record.fields.get(name) == value;
    let is_it = is("WARC-Type", Some("response"))
        && is("WARC-Target-URI", Some(&first.url))
        && is("WARC-Date", Some(&first.ts))
        && is("WARC-Payload-Digest", digest);
    match is_it && record.payload == Check::Right {
        true => Ok(record.payload_len),
        false => Err(wrong("another record".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PageBuilder, scratch, store_pages};
    use std::fs;

    fn folder() -> (tempfile::TempDir, Layout) {
        let dir = scratch();
        let pages = (0..40).map(|n| {
            PageBuilder::new(&format!("http://a.test/{n}"))
                .html(&format!("page {n}"))
                .build()
        });
        let layout = store_pages(dir.path(), pages);
        (dir, layout)
    }

    #[test]
    fn a_whole_folder_is_clean() {
        let (_dir, layout) = folder();
        let mut seen = 0;
        let findings = verify(&layout, &mut |entry, sound| {
            seen += usize::from(sound && entry.is_final)
        })
        .unwrap();
        assert!(findings.is_clean(), "{findings:?}");
        assert_eq!(
            (findings.lines, findings.kept, findings.sound, seen),
            (40, 40, 40, 40)
        );
    }

    #[test]
    fn what_is_wrong_is_counted_and_shown_by_example() {
        #[track_caller]
        fn check(from: &str, to: &str, problem: Problem, count: u64) {
            let (_dir, layout) = folder();
            let text = fs::read_to_string(layout.ledger()).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(layout.ledger(), text.replace(from, to)).unwrap();
            let findings = verify(&layout, &mut |_, _| {}).unwrap();
            let tally = &findings.problems[&problem];
            assert_eq!(
                (tally.count, findings.problems.len()),
                (count, 1),
                "{findings:?}"
            );
            assert_eq!(tally.examples.len() as u64, count.min(10));
            assert_eq!(findings.sound, 40 - count);
        }
        check(
            "\"url\":\"http://a.test/7\"",
            "\"url\":\"http://a.test/8\"",
            Problem::OtherUrl,
            1,
        );
        check("\"warc\":\"t-", "\"warc\":\"../t-", Problem::NoFile, 40);
        check("\"length\":", "\"length\":1", Problem::OtherLength, 40);
        check(
            "\"digest\":\"sha1:",
            "\"digest\":\"sha1:A",
            Problem::WrongDigest,
            40,
        );
        check("\"offset\":", "\"offset\":9", Problem::Unreadable, 40);
        check("{\"ts\"", "{ts", Problem::BadLine, 40);
    }

    #[test]
    fn a_flipped_bit_in_the_archive_is_found() {
        let (_dir, layout) = folder();
        let path = fs::read_dir(layout.archive())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let findings = verify(&layout, &mut |_, _| {}).unwrap();
        // In a request's record nobody looks; else one line is wrong.
        assert!(findings.sound >= 39, "{findings:?}");
        fs::remove_file(&path).unwrap();
        let findings = verify(&layout, &mut |_, _| {}).unwrap();
        assert_eq!(findings.problems[&Problem::NoFile].count, 40);
    }

    #[test]
    fn a_payload_stored_once_is_missed_by_all_that_share_it() {
        let dir = scratch();
        let body = "the same words. ".repeat(100);
        let page = |n: u32| {
            PageBuilder::new(&format!("http://a.test/{n}"))
                .html(&body)
                .build()
        };
        let layout = store_pages(dir.path(), [page(0)]);
        let file = fs::read_dir(layout.archive())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        store_pages(dir.path(), [page(1), page(2)]);
        let findings = verify(&layout, &mut |_, _| {}).unwrap();
        assert!(findings.is_clean(), "{findings:?}");
        assert_eq!((findings.sound, findings.bytes), (3, 3 * 1_600));
        let text = fs::read_to_string(layout.ledger()).unwrap();
        fs::write(
            layout.ledger(),
            text.replace(
                "same_as\":{\"url\":\"http://a.test/0",
                "same_as\":{\"url\":\"http://a.test/9",
            ),
        )
        .unwrap();
        let findings = verify(&layout, &mut |_, _| {}).unwrap();
        assert_eq!(
            findings.problems[&Problem::NoPayload].count,
            2,
            "{findings:?}"
        );
        fs::write(layout.ledger(), text).unwrap();
        fs::remove_file(file).unwrap();
        let findings = verify(&layout, &mut |_, _| {}).unwrap();
        let count = |problem| findings.problems[&problem].count;
        assert_eq!((count(Problem::NoFile), count(Problem::NoPayload)), (1, 2));
    }
}

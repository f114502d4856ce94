//! What must be true after a drill, by the origin's log and the archives of the nodes.
//!
//! Owns the figures of DESIGN's invariants as far as a drill can see them. Start reading at [`judge`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use kit::audit;
use kit::log::Entry;
use kit::warc::{Digest, Records, archives, resolve};

use super::Drill;
use crate::crawl::{Line, json_lines};

/// What a fault may cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Pages fetched once more: k·F of I1, and what a store that forgot had been told.
    pub(crate) repeats: usize,
    /// Requests that a node which was frozen between its last look at the clock and its write sends when it wakes.
    pub(crate) late: usize,
}

/// Judges a drill whose nodes have ended, and prints a line of it.
pub(super) fn judge(drill: &Drill, allowed: Allowed) {
    let log = drill.stand.origin.log();
    let overlaps = audit::overlaps(&log);
    let gaps = audit::shortest_gaps(&log);
    let repeats = audit::repeats(&log);
    let early = gaps.values().filter(|gap| gap.between < drill.delay);
    let early = early.count();
    let shortest = gaps.values().map(|gap| gap.between).min();
    println!(
        "{} seed {}: {} pages, {} requests, {repeats} repeats, {} overlaps, shortest gap {} ms, {} ms without a request",
        drill.name,
        drill.seed.0,
        drill.truth.pages.len(),
        log.len(),
        overlaps.len(),
        shortest.unwrap_or_default().as_millis(),
        silence(&log).as_millis(),
    );
    let words = last_words(drill);
    let coverage = audit::coverage(&log, &drill.truth);
    let missing: Vec<_> = coverage
        .missing
        .iter()
        .filter_map(|url| words.get(url))
        .collect();
    assert!(coverage.is_exact(), "I1: {coverage:#?}\n{missing:#?}");
    assert!(
        overlaps.len() <= allowed.late,
        "I2: {overlaps:#?} of {allowed:?}"
    );
    assert!(
        early <= allowed.late,
        "I2: shorter than {:?}: {gaps:#?}",
        drill.delay
    );
    assert!(
        repeats <= allowed.repeats,
        "I1: {repeats} repeats, {allowed:?}"
    );
    let records = records(drill);
    for (url, status) in &drill.truth.pages {
        let (word, place) = words
            .get(url)
            .unwrap_or_else(|| panic!("I5: no ledger knows {url}"));
        assert_eq!(word.status, Some(*status), "I5: {word:?}");
        let record = place.as_ref().and_then(|place| records.get(place));
        assert_eq!(record, Some(url), "I5: no such record: {word:?}");
    }
}

/// The URL of every sound answer in the archives, by file and offset.
fn records(drill: &Drill) -> BTreeMap<Place, String> {
    let (mut records, mut names) = (BTreeMap::new(), BTreeSet::new());
    for folder in drill.fleet.folders() {
        let (mut files, mut whole) = (Vec::new(), Vec::new());
        for path in archives(&folder.join("archive")).unwrap() {
            let is_new = names.insert(path.file_name().unwrap().to_owned());
            assert!(is_new, "another node has a file {}", path.display());
            for record in Records::open(&path).unwrap() {
                files.push(path.clone());
                whole.push(record.unwrap());
            }
        }
        resolve(&mut whole).unwrap();
        for (path, record) in files.into_iter().zip(whole) {
            if record.kind() == "response" && record.payload_digest() == Digest::Right {
                let url = record.target().unwrap().to_owned();
                records.insert((path, record.offset), url);
            }
        }
    }
    records
}

/// A file, and where in it.
type Place = (PathBuf, u64);

/// The last word of the nodes on each URL, and where its record is.
fn last_words(drill: &Drill) -> BTreeMap<String, (Line, Option<Place>)> {
    let mut words: BTreeMap<String, (Line, Option<Place>)> = BTreeMap::new();
    for folder in drill.fleet.folders() {
        let lines: Vec<Line> = json_lines(&folder.join("logs/crawl.jsonl"));
        for line in lines
            .into_iter()
            .filter(|line| line.is_final && line.is_url())
        {
            let newer = words
                .get(&line.url)
                .is_none_or(|(known, _)| known.token <= line.token);
            if newer {
                let file = line.warc.as_ref().zip(line.offset);
                let place = file.map(|(warc, at)| (folder.join("archive").join(warc), at));
                words.insert(line.url.clone(), (line, place));
            }
        }
    }
    words
}

/// The longest time between two requests, whoever sent them.
pub(super) fn silence(log: &[Entry]) -> Duration {
    let mut starts: Vec<Duration> = log.iter().map(|entry| entry.start).collect();
    starts.sort_unstable();
    let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

/// The longest time in which a host that had more to give was not asked.
pub(super) fn longest_rest(log: &[Entry]) -> Duration {
    let mut hosts: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for entry in log {
        hosts.entry(&entry.host).or_default().push(entry.clone());
    }
    let rests = hosts.values().map(|entries| silence(entries));
    rests.max().unwrap_or_default()
}

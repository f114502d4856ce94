//! What must be true in the end, read from the site's log and from the folders that the nodes wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::audit;
use kit::log::Entry;
use kit::pages::Reach;
use kit::warc::{self, Digest};
use serde_json::Value;

use crate::site::{HOSTS, ROOT, Site};

/// The log's times are whole milliseconds, a request's two of them.
const ROUNDED: Duration = Duration::from_millis(3);

/// Over all nodes, no request to a host began before the one before it had ended and the delay had passed.
#[track_caller]
pub(crate) fn polite(log: &[Entry], delay: Duration) {
    assert_eq!(audit::overlaps(log), []);
    for (host, gap) in audit::shortest_gaps(log) {
        assert!(gap.between + ROUNDED >= delay, "{host}: {gap:?}");
    }
}

/// What was asked for again had first been asked for by a node that fell before it could say so.
#[track_caller]
pub(crate) fn repeated_only_after(log: &[Entry], fallen: &[&str]) -> usize {
    let mut ordered: Vec<&Entry> = log
        .iter()
        .filter(|entry| entry.path != "/robots.txt")
        .collect();
    ordered.sort_by_key(|entry| entry.start);
    let mut asked: BTreeMap<String, &Entry> = BTreeMap::new();
    let mut repeats = 0;
    for entry in ordered {
        if let Some(before) = asked.insert(entry.url(), entry) {
            let by = before.peer.ip().to_string();
            assert!(fallen.contains(&by.as_str()), "{before:?} again: {entry:?}");
            repeats += 1;
        }
    }
    repeats
}

/// The hosts that were not asked after a moment.
pub(crate) fn left_alone(log: &[Entry], after: Duration) -> BTreeSet<String> {
    let mut hosts: BTreeSet<String> = (0..HOSTS).map(Site::host).collect();
    for entry in log.iter().filter(|entry| entry.start >= after) {
        hosts.remove(&entry.host);
    }
    hosts
}

/// How long the site's hosts waited after a moment for their next request: the longest. All of them had one.
pub(crate) fn longest_wait(log: &[Entry], after: Duration) -> Duration {
    let mut next: BTreeMap<&str, Duration> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.start >= after) {
        let first = next.entry(&entry.host).or_insert(entry.start);
        *first = entry.start.min(*first);
    }
    let last = next.into_values().max();
    last.unwrap_or(after) - after
}

/// Files sealed, records whole, digests right, and every record that a ledger names at its place. Gives what was
/// answered with 200: the page of each URL.
#[track_caller]
pub(crate) fn stored(crawl: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut kept = BTreeMap::new();
    for folder in folders(crawl) {
        let at = folder.display();
        let open = std::fs::read_dir(folder.join("archive")).unwrap();
        let open = open.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            !name.to_string_lossy().ends_with(".warc.gz")
        });
        assert_eq!(open.count(), 0, "{at}: files that are not sealed");
        let (mut places, mut whole) = (BTreeSet::new(), Vec::new());
        for path in warc::archives(&folder.join("archive")).unwrap() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            for record in warc::Records::open(&path).unwrap() {
                let record = record.unwrap();
                assert_ne!(
                    record.block_digest(),
                    Digest::Wrong,
                    "{at}: {name} at {}",
                    record.offset
                );
                let url = record.target().unwrap_or_default().to_owned();
                places.insert((name.clone(), record.offset, record.length, url));
                whole.push(record);
            }
        }
        warc::resolve(&mut whole).unwrap();
        for record in whole.iter().filter(|record| record.kind() == "response") {
            let url = record.target().unwrap_or_default();
            assert_eq!(record.payload_digest(), Digest::Right, "{at}: {url}");
            if record.status() == Some(200) {
                kept.insert(url.to_owned(), record.page().unwrap());
            }
        }
        let ledger = std::fs::read_to_string(folder.join("logs/crawl.jsonl")).unwrap();
        for line in ledger.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if let (Some(name), Some(offset)) = (line["warc"].as_str(), line["offset"].as_u64()) {
                let length = line["length"].as_u64().unwrap();
                let url = line["url"].as_str().unwrap().to_owned();
                let place = (name.to_owned(), offset, length, url);
                assert!(places.contains(&place), "{at}: no record for {line}");
            }
        }
    }
    kept
}

/// The folders of a crawl's nodes.
pub(crate) fn folders(crawl: &Path) -> Vec<PathBuf> {
    let nodes = std::fs::read_dir(crawl).unwrap();
    nodes.map(|node| node.unwrap().path()).collect()
}

/// Every file that links reach, on every host, is in the archive as it lies on the disk.
#[track_caller]
pub(crate) fn whole(kept: &BTreeMap<String, Vec<u8>>, truth: &Reach) {
    for (path, file) in truth.pages.iter().chain(&truth.embeds) {
        let bytes = std::fs::read(Path::new(ROOT).join(file.trim_start_matches('/'))).unwrap();
        for n in 0..HOSTS {
            let url = format!("http://{}{path}", Site::host(n));
            let page = kept
                .get(&url)
                .unwrap_or_else(|| panic!("{url} is not in the archive"));
            assert!(*page == bytes, "{url} is not as it lies on the disk");
        }
    }
}

//! What must hold of the folder of every crawl that has ended, whatever happened to it before.

use std::collections::BTreeMap;

use kit::tools::{cdxj_index, warcio_check};
use kit::warc::{Digest, Record, Records};

use crate::crawl::{Crawl, argiope};

/// Checks the folder by kit's reader, by warcio, by cdxj-indexer and by the program's own `verify`.
///
/// Sealed files only; records whole, digests right, a warcinfo record first; each request beside its response;
/// the index as cdxj-indexer makes it; every record that the ledger names at its place.
#[track_caller]
pub(crate) fn sound(crawl: &Crawl) {
    sealed(crawl);
    let archives = crawl.archives();
    let mut places = BTreeMap::new();
    for path in &archives {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let records: Vec<Record> = Records::open(path)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(records[0].kind(), "warcinfo", "{name}");
        for (n, record) in records.iter().enumerate() {
            let at = format!("{name} at {}", record.offset);
            assert_ne!(record.block_digest(), Digest::Wrong, "block digest, {at}");
            match record.kind() {
                "response" => assert_eq!(
                    record.payload_digest(),
                    Digest::Right,
                    "payload digest, {at}"
                ),
                // Its payload is elsewhere.
                "revisit" => {}
                _ => assert_ne!(
                    record.payload_digest(),
                    Digest::Wrong,
                    "payload digest, {at}"
                ),
            }
            if record.kind() == "request" {
                let beside = [n.checked_sub(1), Some(n + 1)];
                let mut beside = beside.into_iter().flatten().filter_map(|n| records.get(n));
                assert!(
                    beside.any(|r| r.target() == record.target() && r.kind() != "request"),
                    "alone: {at}"
                );
            }
            places.insert(
                (name.clone(), record.offset),
                (record.length, record.target().map(str::to_owned)),
            );
        }
        assert_eq!(
            warcio_check(path).unwrap(),
            records.len(),
            "records of {name} by warcio"
        );
    }
    // Each revisit finds what it stands for.
    crawl.records();
    for line in crawl.ledger() {
        if let (Some(warc), Some(offset)) = (&line.warc, line.offset) {
            let place = (warc.clone(), offset);
            let want = (line.length.unwrap(), Some(line.url.clone()));
            assert_eq!(places.get(&place), Some(&want), "{line:?}");
        }
    }
    let index = std::fs::read_to_string(crawl.path("indexes/index.cdxj")).unwrap();
    let theirs = cdxj_index(&archives).unwrap();
    let ours: Vec<&str> = index.lines().collect();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "index line");
    }
    assert_eq!(ours.len(), theirs.len(), "lines of the index");
    argiope(&["verify", crawl.output().to_str().unwrap()], 0);
}

/// No file of the archive is still being written.
#[track_caller]
pub(crate) fn sealed(crawl: &Crawl) {
    let names = std::fs::read_dir(crawl.path("archive")).unwrap();
    let names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let open: Vec<&String> = names
        .iter()
        .filter(|name| !name.ends_with(".warc.gz"))
        .collect();
    assert!(open.is_empty(), "not sealed: {open:?}");
    assert!(!names.is_empty(), "no archive at all");
}

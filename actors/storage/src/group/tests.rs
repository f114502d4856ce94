//! Groups on a disk that works, fails, or stops in between.

use super::*;
use crate::cdx::pieces;
use crate::ledger::LedgerReader;
use crate::testing::{NOW, PageBuilder, refused, scratch};
use crate::warc::reader::Reader;
use contract::clock::Clock;
use contract::fault::FailPlan;
use contract::outcome::Outcome;
use contract::page::PageGauge;
use contract::rights::{By, Statement};
use contract::settle::Settles;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn open(
    root: &Path,
    faults: FailPlan,
    file_bytes_max: u64,
) -> Result<(Store<()>, Opened), StoreError> {
    let layout = Layout::new(root);
    let warc = WriterConfig {
        folder: layout.archive(),
        prefix: "t".into(),
        size_max: file_bytes_max,
        info: Vec::new(),
    };
    let config = StorageConfig {
        group_pages_max: 3,
        ..StorageConfig::default()
    };
    Store::open(
        config,
        &layout,
        &Disk::new(faults),
        warc,
        Clock::manual(NOW),
        Chance::seeded(1),
    )
}

fn page(number: u32, gauge: &Arc<PageGauge>) -> ParsedPage {
    PageBuilder::new(&format!("http://a.test/{number}"))
        .gauge(gauge)
        .position(number)
        .header("content-type", "text/html; charset=utf-8")
        .html(&format!("<p>page {number} ").repeat(40))
        .title("a title")
        .build()
}

/// Runs the waiting group to its end and gives what may be settled.
fn commit(store: &mut Store<()>, seal: bool) -> Result<Vec<Waiting<()>>, StoreError> {
    let Some((job, waiting)) = store.begin(seal)? else {
        return Ok(Vec::new());
    };
    store.end(job.run()).map(|durable| {
        assert!(durable.trouble.is_none(), "{durable:?}");
        waiting
    })
}

/// Every URL whose ledger line names a record, each checked to be there and whole.
fn kept_urls(root: &Path) -> Vec<String> {
    let layout = Layout::new(root);
    let mut ledger = LedgerReader::open(&layout.ledger()).unwrap();
    let mut urls = Vec::new();
    while let Some(line) = ledger.next_entry().unwrap() {
        let Some(file) = &line.warc else { continue };
        let sealed = layout.archive().join(file);
        let path = if sealed.exists() {
            sealed
        } else {
            layout.archive().join(format!("{file}.open"))
        };
        let mut reader = Reader::open_at(&path, line.offset.unwrap()).unwrap();
        let record = reader.next(&mut |_| {}).unwrap().unwrap();
        assert!(record.is_sound());
        assert_eq!(
            record.fields.get("WARC-Target-URI"),
            Some(line.url.as_str())
        );
        assert_eq!(
            record.fields.get("WARC-Payload-Digest"),
            line.digest.as_deref()
        );
        assert_eq!(Some(record.length), line.length);
        urls.push(line.url);
    }
    urls
}

#[test]
fn a_group_is_due_by_its_size_or_its_age_and_fills_while_another_syncs() {
    let dir = scratch();
    let gauge = Arc::new(PageGauge::default());
    let _fetched_yet = PageLife::begin(&gauge);
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    assert_eq!((store.due(0), store.is_idle()), (Due::No, true));
    store.add(page(1, &gauge), (), Boot(1_000)).unwrap();
    store.add(page(2, &gauge), (), Boot(9_000)).unwrap();
    assert_eq!(store.due(0), Due::At(Boot(21_000)));
    store.add(page(3, &gauge), (), Boot(9_500)).unwrap();
    assert_eq!(store.due(0), Due::Now);
    let (job, first) = store.begin(false).unwrap().unwrap();
    assert_eq!(
        (first.len(), store.due(0), store.is_busy()),
        (3, Due::No, true)
    );
    for number in 4..9 {
        store.add(page(number, &gauge), (), Boot(10_000)).unwrap();
    }
    assert_eq!(store.due(0), Due::No, "one job at a time");
    assert!(store.begin(false).unwrap().is_none());
    store.end(job.run()).unwrap();
    assert_eq!(
        kept_urls(dir.path()).len(),
        3,
        "only what is durable is in the ledger"
    );
    assert_eq!(store.due(0), Due::Now);
    assert_eq!(commit(&mut store, false).unwrap().len(), 5);
    assert_eq!(kept_urls(dir.path()).len(), 8);
}

#[test]
fn a_group_does_not_wait_for_pages_that_nobody_works_on() {
    let dir = scratch();
    let gauge = Arc::new(PageGauge::default());
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    let fetched = PageLife::begin(&gauge);
    store.add(page(1, &gauge), (), Boot(0)).unwrap();
    assert_eq!(store.due(0), Due::At(Boot(20_000)), "one is still fetched");
    drop(fetched);
    assert_eq!(store.due(0), Due::Now, "all that there is stands here");
    let (job, settling) = store.begin(false).unwrap().unwrap();
    store.add(page(2, &gauge), (), Boot(0)).unwrap();
    assert_eq!(store.due(0), Due::No, "one job at a time");
    store.end(job.run()).unwrap();
    // The first is settled by the frontier: it comes back to no group.
    assert_eq!(store.due(settling.len()), Due::Now);
    let _fetched = PageLife::begin(&gauge);
    assert_eq!(store.due(settling.len()), Due::At(Boot(20_000)));
}

#[test]
fn every_page_has_a_line_and_decided_answers_have_a_record() {
    let dir = scratch();
    let gauge = Arc::new(PageGauge::default());
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    let retry = Fate::Retry {
        tries: 1,
        rest: std::time::Duration::ZERO,
    };
    let links = vec![
        refused("http://b.test/", "host"),
        refused("http://b.test/", "host"),
    ];
    store
        .add(
            PageBuilder::new("http://a.test/ok")
                .refused(links.clone())
                .build(),
            (),
            Boot(0),
        )
        .unwrap();
    store
        .add(
            PageBuilder::new("http://a.test/gone")
                .status(404)
                .refused(links)
                .build(),
            (),
            Boot(0),
        )
        .unwrap();
    store
        .add(
            PageBuilder::new("http://a.test/no")
                .no_answer(Outcome::RobotsDenied, Fate::Done)
                .build(),
            (),
            Boot(0),
        )
        .unwrap();
    let mut busy = PageBuilder::new("http://a.test/busy").status(503).build();
    busy.page.verdict.fate = retry;
    store.add(busy, (), Boot(0)).unwrap();
    let waiting = commit(&mut store, true).unwrap();
    let kept: Vec<bool> = waiting
        .iter()
        .map(|waiting| match waiting.settle.what {
            Settles::Url { kept, bytes, .. } => {
                assert_eq!(kept, bytes > 0);
                kept
            }
            _ => panic!("{waiting:?}"),
        })
        .collect();
    assert_eq!(kept, [true, true, false, false]);
    let mut ledger = LedgerReader::open(&Layout::new(dir.path()).ledger()).unwrap();
    let mut lines = Vec::new();
    while let Some(line) = ledger.next_entry().unwrap() {
        lines.push((line.url, line.outcome, line.is_final, line.warc.is_some()));
    }
    let want = [
        ("http://a.test/ok", "ok", true, true),
        ("http://b.test/", "out_of_scope", true, false),
        ("http://a.test/gone", "client_error", true, true),
        ("http://a.test/no", "robots_denied", true, false),
        ("http://a.test/busy", "server_error", false, false),
    ];
    assert_eq!(
        lines,
        want.map(|(url, outcome, is_final, kept)| (
            url.to_owned(),
            outcome.to_owned(),
            is_final,
            kept
        ))
    );
    assert_eq!(store.repeats(), 3);
    drop(waiting);
    drop(gauge);
}

#[test]
fn of_an_answer_that_may_not_be_kept_there_is_metadata_and_no_byte_of_its_body() {
    let dir = scratch();
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    let mut refused = PageBuilder::new("http://a.test/no")
        .via("http://a.test/")
        .header("content-type", "text/html")
        .html("<p>not to be kept")
        .build();
    refused.page.verdict.outcome = Outcome::DirectiveRefused;
    refused.facts.robots = Some("noarchive\r\nstatus: 999".to_owned());
    let added = store.add(refused, (), Boot(0)).unwrap();
    assert_eq!(added.bytes, None);
    let waiting = commit(&mut store, true).unwrap();
    let Settles::Url { kept, bytes, .. } = waiting[0].settle.what else {
        panic!("{waiting:?}")
    };
    assert!(!kept && bytes > 0, "no page of the limit, but bytes of it");
    assert!(kept_urls(dir.path()).is_empty());
    let layout = Layout::new(dir.path());
    assert!(pieces::all(&layout.pieces()).unwrap().is_empty());
    let file = fs::read_dir(layout.archive()).unwrap().next().unwrap();
    let mut reader = Reader::open(&file.unwrap().path()).unwrap();
    let mut block = Vec::new();
    reader.next(&mut |_| {}).unwrap().unwrap();
    let record = reader
        .next(&mut |piece| block.extend_from_slice(piece))
        .unwrap()
        .unwrap();
    assert!(record.is_sound() && record.length == bytes);
    assert_eq!(record.fields.get("WARC-Type"), Some("metadata"));
    assert_eq!(
        record.fields.get("WARC-Target-URI"),
        Some("http://a.test/no")
    );
    assert_eq!(
        String::from_utf8(block).unwrap(),
        "via: http://a.test/\r\nfetchTimeMs: 7\r\noutcome: directive_refused\r\n\
         robots: noarchivestatus: 999\r\nstatus: 200\r\nsize: 17\r\nmime: text/html\r\n"
    );
    assert!(reader.next(&mut |_| {}).unwrap().is_none(), "nothing else");
}

#[test]
fn files_roll_over_and_are_sealed_with_their_index() {
    let dir = scratch();
    let gauge = Arc::new(PageGauge::default());
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1_000).unwrap();
    for number in 0..6 {
        store.add(page(number, &gauge), (), Boot(0)).unwrap();
        if number % 2 == 1 {
            commit(&mut store, number == 5).unwrap();
        }
    }
    let layout = Layout::new(dir.path());
    let files: Vec<String> = fs::read_dir(layout.archive())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        files.len() > 1 && files.iter().all(|name| name.ends_with(".warc.gz")),
        "{files:?}"
    );
    assert_eq!(kept_urls(dir.path()).len(), 6);
    // What was indexed while writing is what reading the files back gives.
    let mut written: Vec<String> = pieces::all(&layout.pieces())
        .unwrap()
        .iter()
        .flat_map(|piece| {
            fs::read_to_string(piece)
                .unwrap()
                .lines()
                .map(|l| format!("{l}\n"))
                .collect::<Vec<_>>()
        })
        .collect();
    written.sort();
    let mut read = Vec::new();
    for file in &files {
        let mut reader = Reader::open(&layout.archive().join(file)).unwrap();
        while let Some(entry) = reader.next(&mut |_| {}).unwrap() {
            read.extend(crate::cdx::line_of(&entry, file));
        }
    }
    read.sort();
    assert_eq!(written, read);
    assert_eq!(
        fs::read_to_string(layout.pages()).unwrap().lines().count(),
        7
    );
}

/// Whatever single step fails, or from whichever on all fail: what was acknowledged is there after a restart.
#[test]
fn whichever_step_fails_nothing_acknowledged_is_lost() {
    for (errno, stays) in [(ENOSPC, true), (EIO, false)] {
        for n in 1.. {
            let dir = scratch();
            let faults = FailPlan::nth(n, errno, stays);
            let gauge = Arc::new(PageGauge::default());
            let mut acknowledged = Vec::new();
            let mut failed = false;
            if let Ok((mut store, _)) = open(dir.path(), faults.clone(), 2_000) {
                for number in 0..12 {
                    failed |= store.add(page(number, &gauge), (), Boot(0)).is_err();
                    if number % 3 != 2 {
                        continue;
                    }
                    match store.begin(number == 11) {
                        Ok(Some((job, waiting))) => match store.end(job.run()) {
                            Ok(durable) => {
                                failed |= durable.trouble.is_some();
                                acknowledged
                                    .extend(waiting.into_iter().map(|w| w.settle.via.to_string()));
                            }
                            Err(_) => failed = true,
                        },
                        Ok(None) => panic!("step {n}: a job is still running"),
                        Err(_) => failed = true,
                    }
                }
            } else {
                failed = true;
            }
            assert_eq!(
                failed,
                faults.fired(),
                "step {n} of errno {errno} failed unheard"
            );
            assert_eq!(gauge.in_ring(), 0, "step {n}: a page lives on");
            let (store, opened) = open(dir.path(), FailPlan::none(), 2_000).unwrap();
            drop(store);
            let found = kept_urls(dir.path());
            for url in &acknowledged {
                assert!(
                    found.contains(url),
                    "step {n} of errno {errno}: {url} was acknowledged; {opened:?}"
                );
            }
            if !faults.fired() {
                assert!(n > 20, "only {n} steps could fail");
                assert_eq!(acknowledged.len(), 12);
                break;
            }
        }
    }
}

#[test]
fn a_crash_between_any_two_steps_leaves_a_folder_that_opens() {
    // The folder as a crash would leave it: a copy taken while a job has run only in part.
    let dir = scratch();
    let gauge = Arc::new(PageGauge::default());
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    store.add(page(1, &gauge), (), Boot(0)).unwrap();
    commit(&mut store, false).unwrap();
    store.add(page(2, &gauge), (), Boot(0)).unwrap();
    let (job, _waiting) = store.begin(false).unwrap().unwrap();
    job.archive.run().unwrap();
    let layout = Layout::new(dir.path());
    let ledger = fs::read(layout.ledger()).unwrap();
    fs::write(layout.ledger(), [&ledger[..], b"{\"ts\":\"2025"].concat()).unwrap();
    drop((job, store));
    let (mut store, opened) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    assert_eq!(opened.torn, 11);
    let [repaired] = &opened.repaired[..] else {
        panic!("{opened:?}")
    };
    // Warcinfo, and both pages with their requests: the second was never acknowledged, and may stay.
    assert_eq!((repaired.records, repaired.cut), (5, 0));
    assert_eq!(kept_urls(dir.path()), ["http://a.test/1"]);
    store.add(page(2, &gauge), (), Boot(0)).unwrap();
    commit(&mut store, true).unwrap();
    assert_eq!(
        kept_urls(dir.path()),
        ["http://a.test/1", "http://a.test/2"]
    );
}

#[test]
fn what_is_said_of_a_pages_use_is_kept_with_it() {
    let dir = scratch();
    let (mut store, _) = open(dir.path(), FailPlan::none(), 1 << 30).unwrap();
    let mut said = PageBuilder::new("http://a.test/x").html("<p>x").build();
    said.facts.rights = vec![
        Statement::new(By::Signal(3), "ai-train", "no"),
        Statement::new(
            By::Header("x-robots-tag"),
            "noindex\r\nWARC-Type: response",
            "",
        ),
    ];
    store.add(said, (), Boot(0)).unwrap();
    let silent = PageBuilder::new("http://a.test/y").html("<p>y").build();
    store.add(silent, (), Boot(0)).unwrap();
    commit(&mut store, true).unwrap();
    let layout = Layout::new(dir.path());
    let file = fs::read_dir(layout.archive()).unwrap().next().unwrap();
    let mut reader = Reader::open(&file.unwrap().path()).unwrap();
    let mut kinds = Vec::new();
    let mut block = Vec::new();
    loop {
        let mut piece = Vec::new();
        let Some(record) = reader
            .next(&mut |more| piece.extend_from_slice(more))
            .unwrap()
        else {
            break;
        };
        let kind = record.fields.get("WARC-Type").unwrap().to_owned();
        if kind == "metadata" {
            assert_eq!(
                record.fields.get("WARC-Target-URI"),
                Some("http://a.test/x")
            );
            assert!(record.fields.get("WARC-Concurrent-To").is_some());
            block = piece;
        }
        kinds.push(kind);
    }
    assert_eq!(
        kinds,
        [
            "warcinfo", "response", "request", "metadata", "response", "request"
        ]
    );
    assert_eq!(
        String::from_utf8(block).unwrap(),
        "rights: robots.txt:3 content-signal: ai-train=no\r\nrights: x-robots-tag: noindexwarc-type: response\r\n"
    );
    let pages = fs::read_to_string(layout.pages()).unwrap();
    let lines: Vec<serde_json::Value> = pages
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = serde_json::json!({ "by": "robots.txt:3 content-signal", "says": "ai-train=no" });
    assert_eq!(lines[0]["rights"][0], first);
    assert_eq!(lines[1].get("rights"), None);
}

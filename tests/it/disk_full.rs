//! The disk fills up in the middle of a crawl: it says so, and goes on when there is room.

use std::fs;

use kit::answer::Answer;
use kit::audit;
use kit::small_disk::SmallDisk;
use kit::until;
use kit::web::Web;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, ended, sentence};
use crate::stand::Stand;

const ROOM: u64 = 256_000_000;

/// A disk of this size over a part of the crawl's folder; none when no disk can be mounted here.
fn disk(crawl: &Crawl, part: &str, bytes: u64) -> Option<SmallDisk> {
    // By this folder the program knows its own.
    fs::create_dir_all(crawl.path("frontier")).unwrap();
    SmallDisk::over(&crawl.path(part), bytes)
        .inspect_err(|error| println!("skipped: no disk can be mounted here: {error:#}"))
        .ok()
}

fn web() -> Web {
    Web {
        hosts: 5,
        pages_per_host: 40,
        body_bytes: 40_000,
        flaky_every: 0,
        delay_ms: (0, 5),
        ..Web::default()
    }
}

/// A crawl of all of a stand's web.
fn crawl_of(stand: &Stand) -> Crawl {
    let crawl = stand.crawl().flags(&["--scope-type", "domain"]);
    crawl.flags(&["--delay", "5ms"]).seed(&stand.origin.home())
}

/// All was fetched, and politely.
#[track_caller]
fn whole(stand: &Stand) {
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!(audit::overlaps(&log), []);
}

/// Runs the crawl with a small disk over a part of its folder until that is full, then with room to its end.
/// False when no disk can be mounted here.
#[track_caller]
fn fills(crawl: &Crawl, part: &str, bytes: u64) -> bool {
    let Some(disk) = disk(crawl, part, bytes) else {
        return false;
    };
    // The same command without more room says the same, and does no harm.
    for time in ["at first", "again"] {
        let said = sentence(&crawl.ends(3));
        println!("{bytes} bytes of {part:?}, {time}: {said}");
        assert!(said.contains("No space left on device"), "{said}");
    }
    disk.resize(ROOM).unwrap();
    crawl.ends(0);
    archive::sound(crawl);
    true
}

#[test]
fn a_full_disk_ends_the_crawl_and_room_lets_it_go_on() {
    // Where in the work the disk is full: an early record, a late one, the opening, a ledger line, the page list.
    let places = [
        ("", 300_000),
        ("", 2_400_000),
        ("frontier", 150_000),
        ("logs", 30_000),
        ("pages", 20_000),
    ];
    for (part, bytes) in places {
        let stand = Stand::of(web());
        let crawl = crawl_of(&stand);
        if !fills(&crawl, part, bytes) {
            return;
        }
        whole(&stand);
    }
}

#[test]
fn a_frontier_that_cannot_be_written_any_more_does_not_keep_the_crawl_alive() {
    let stand = Stand::of(web());
    let crawl = crawl_of(&stand);
    let Some(disk) = disk(&crawl, "frontier", 32_000_000) else {
        return;
    };
    let running = crawl.start(&[]);
    until("some pages", PATIENCE, || {
        (stand.origin.requests() > 40).then_some(())
    });
    let filler = disk.fill().unwrap();
    let said = sentence(&ended(running, 3));
    let told = ["frontier", "No space left on device"];
    assert!(told.iter().all(|part| said.contains(part)), "{said}");
    drop(filler);
    crawl.ends(0);
    archive::sound(&crawl);
    whole(&stand);
}

#[test]
fn a_body_without_room_is_the_disks_fault_and_not_its_urls() {
    let stand = Stand::bare();
    stand.page("a.zoo.test", "/", "<a href=/large.bin>large</a>");
    let large = Answer::of(200, "application/zip", vec![7; 5_000_000]);
    stand.origin.plant("a.zoo.test", "/large.bin", [large]);
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.url("a.zoo.test", "/"));
    if fills(&crawl, "tmp", 2_000_000) {
        let url = stand.origin.url("a.zoo.test", "/large.bin");
        let line = &crawl.outcomes()[&url];
        assert_eq!((line.outcome.as_str(), line.status), ("ok", Some(200)));
    }
}

//! Ends and beginnings that are meant: signals, the same command, another command, a second process, orders.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kit::answer::{Answer, Fault};
use kit::audit;
use kit::process::Running;
use kit::until;
use kit::web::Web;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::archive;
use crate::crawl::{ARGIOPE, Crawl, PATIENCE, argiope, clean, ended, sentence};
use crate::stand::Stand;

fn web() -> Web {
    Web {
        hosts: 3,
        pages_per_host: 40,
        flaky_every: 0,
        delay_ms: (0, 10),
        ..Web::default()
    }
}

/// A crawl of all of a stand's web.
fn crawl_of(stand: &Stand, delay: &str) -> Crawl {
    let crawl = stand
        .crawl()
        .flags(&["--scope-type", "domain", "--delay", delay]);
    crawl.seed(&stand.origin.home())
}

fn until_requests(stand: &Stand, least: usize) {
    until("requests", PATIENCE, || {
        (stand.origin.requests() >= least).then_some(())
    });
}

/// Waits until the running crawl says that it is in this state.
fn until_state(crawl: &Crawl, state: &str) -> Value {
    until(state, PATIENCE, || {
        crawl.status().filter(|status| status["state"] == state)
    })
}

#[test]
fn a_frontier_that_is_older_than_the_ledger_is_said_and_what_it_lost_comes_again() {
    const SAID: &str = "the frontier is older than the ledger";
    let stand = Stand::of(web());
    let crawl = crawl_of(&stand, "10ms");
    let running = crawl.start(&[]);
    until_requests(&stand, 30);
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 11);
    let (now, before) = (crawl.path("frontier"), crawl.scratch("before"));
    copy(&now, &before);
    let told = crawl.ends(0);
    assert!(!told.err.contains(SAID), "{}", told.err);
    std::fs::remove_dir_all(&now).unwrap();
    copy(&before, &now);
    let told = crawl.ends(0);
    assert!(told.err.contains(SAID), "{}", told.err);
    archive::sound(&crawl);
    let coverage = audit::coverage(&stand.origin.log(), &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    let verified = argiope(&["verify", crawl.output().to_str().unwrap()], 0);
    assert!(
        verified.out.contains("done means stored"),
        "{}",
        verified.out
    );
    let told = crawl.ends(0);
    assert!(!told.err.contains(SAID), "{}", told.err);
}

/// Copies a folder.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let mut command = std::process::Command::new("cp");
    assert!(
        command
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn the_first_signal_drains_and_the_same_command_goes_on() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let stand = Stand::of(web());
        let crawl = crawl_of(&stand, "30ms");
        let running = crawl.start(&[]);
        until_requests(&stand, 30);
        running.signal(signal).unwrap();
        ended(running, 11);
        archive::sound(&crawl);
        let before = stand.origin.requests();
        crawl.ends(0);
        assert!(stand.origin.requests() > before);
        archive::sound(&crawl);
        let log = stand.origin.log();
        let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
        assert!(coverage.is_exact(), "{coverage:#?}");
        assert_eq!(audit::repeats(&log), 0, "a drain repeats nothing");
        assert_eq!(audit::overlaps(&log), []);
    }
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let stand = Stand::bare();
    let origin = &stand.origin;
    stand.page("a.zoo.test", "/", "<a href=/slow>slow</a>");
    let slow = Answer::html("slow").broken(Fault::Drip {
        bytes: 1,
        pause: Duration::from_secs(4),
    });
    origin.plant("a.zoo.test", "/slow", [slow, Answer::html("quick now")]);
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&origin.url("a.zoo.test", "/"));
    let running = crawl.start(&[]);
    until_requests(&stand, 3);
    running.signal(Signal::SIGINT).unwrap();
    running
        .wait_line(PATIENCE, |line| line.contains("draining"))
        .unwrap();
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 13);
    crawl.ends(0);
    let slow = &crawl.outcomes()[&origin.url("a.zoo.test", "/slow")];
    assert_eq!((slow.outcome.as_str(), slow.status), ("ok", Some(200)));
    archive::sound(&crawl);
}

#[test]
fn a_crawl_that_is_done_stays_done() {
    let stand = Stand::of(Web { hosts: 1, ..web() });
    let crawl = crawl_of(&stand, "0");
    crawl.ends(0);
    let (requests, ledger) = (stand.origin.requests(), crawl.ledger());
    crawl.ends(0);
    assert_eq!(stand.origin.requests(), requests);
    assert_eq!(crawl.ledger(), ledger);
    archive::sound(&crawl);
}

#[test]
fn other_seeds_or_scope_are_shown_and_asked_about() {
    let stand = Stand::bare();
    let origin = &stand.origin;
    stand.page("a.zoo.test", "/", "<a href=/a>a</a>");
    stand.page("a.zoo.test", "/a", "<p>a</p>");
    stand.page("b.zoo.test", "/", "<p>b</p>");
    let (a, b) = (origin.url("a.zoo.test", "/"), origin.url("b.zoo.test", "/"));
    let crawl = stand.crawl().flags(&["--delay", "0"]).seed(&a);
    crawl.ends(0);
    let refused = crawl.ends_with(&[&b], 4);
    assert!(refused.err.contains("--change"), "{}", refused.err);
    assert!(refused.err.contains(&b), "{}", refused.err);
    let refused = crawl.ends_with(&["--scope-type", "host"], 4);
    assert!(refused.err.contains("scope"), "{}", refused.err);
    assert!(
        !stand.asked().contains(&"b.zoo.test/".to_owned()),
        "asked though refused"
    );
    crawl.ends_with(&[&b, "--change"], 0);
    assert_eq!(
        stand.asked(),
        ["a.zoo.test/", "a.zoo.test/a", "b.zoo.test/"]
    );
    archive::sound(&crawl);
}

#[test]
fn overwrite_begins_anew_and_leaves_strangers_files() {
    let stand = Stand::bare();
    stand.page("a.zoo.test", "/", "<p>first</p>");
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.url("a.zoo.test", "/"));
    crawl.ends(0);
    std::fs::write(crawl.path("notes.txt"), "mine").unwrap();
    stand.page("a.zoo.test", "/", "<p>second</p>");
    crawl.ends_with(&["--overwrite"], 0);
    let records = crawl.records();
    let pages = records.iter().filter(|record| {
        record.kind() == "response"
            && record
                .target()
                .is_some_and(|url| url.ends_with("test:") || url.ends_with('/'))
    });
    let pages: Vec<String> = pages
        .map(|record| String::from_utf8_lossy(&record.page().unwrap()).into_owned())
        .collect();
    assert_eq!(pages, ["<!DOCTYPE html><p>second</p>"]);
    assert!(crawl.path("notes.txt").exists());
    archive::sound(&crawl);
}

#[test]
fn a_second_process_on_the_folder_is_refused() {
    let stand = Stand::of(web());
    let crawl = crawl_of(&stand, "100ms");
    let running = crawl.start(&[]);
    until_requests(&stand, 3);
    for more in [&[][..], &["--overwrite"]] {
        let refused = crawl.ends_with(more, 4);
        let said = sentence(&refused);
        assert!(said.contains("another process"), "{said}");
    }
    assert!(!running.has_ended());
    until_state(&crawl, "running");
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 11);
    crawl.ends(0);
    let log = stand.origin.log();
    assert!(audit::coverage(&log, &stand.origin.truth(|_| true)).is_exact());
    archive::sound(&crawl);
}

#[test]
fn orders_reach_a_running_crawl() {
    let stand = Stand::of(Web { hosts: 1, ..web() });
    let origin = &stand.origin;
    let crawl = crawl_of(&stand, "100ms");
    let folder = crawl.output().to_str().unwrap();
    let running = crawl.start(&[]);
    until_requests(&stand, 3);
    until_state(&crawl, "running");
    let mode = std::fs::metadata(crawl.path("control.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    argiope(&["pause", folder], 0);
    let paused = until("a quiet pause", PATIENCE, || {
        crawl
            .status()
            .filter(|s| s["state"] == "paused" && s["in_flight"] == 0)
    });
    assert_eq!(paused["frontier"]["paused"], true, "{paused:#}");
    let requests = origin.requests();
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 11);

    // The pause outlives the process: a new one says so at once and asks for nothing.
    let running = crawl.start(&[]);
    until_state(&crawl, "paused");
    until_state(&crawl, "paused");
    assert_eq!(origin.requests(), requests, "asked while paused");
    argiope(&["resume", folder], 0);
    until_requests(&stand, requests + 3);
    until_state(&crawl, "running");

    let (extra, outside) = (
        origin.url("h0.zoo.test", "/nobody/links/here.html"),
        "http://elsewhere.example/",
    );
    let added = argiope(&["add", folder, &extra, outside], 0);
    assert!(added.out.contains(outside), "{}", added.out);
    until("the added URL's request", PATIENCE, || {
        let log = origin.log();
        log.iter().any(|entry| entry.url() == extra).then_some(())
    });
    argiope(&["stop", folder], 0);
    ended(running, 11);
    assert!(!crawl.path("control.json").exists());
    let nobody = argiope(&["status", folder], 4);
    assert!(sentence(&nobody).contains("no crawl is running"));
    crawl.ends(0);
    let outcomes = crawl.outcomes();
    assert_eq!(outcomes[&extra].status, Some(404));
    archive::sound(&crawl);
}

#[test]
fn orders_by_url_need_the_token() {
    let stand = Stand::of(Web { hosts: 1, ..web() });
    let crawl = crawl_of(&stand, "100ms");
    let running = crawl.start(&[]);
    until_state(&crawl, "running");
    let control: Value =
        serde_json::from_slice(&std::fs::read(crawl.path("control.json")).unwrap()).unwrap();
    let (url, token) = (
        control["url"].as_str().unwrap(),
        control["token"].as_str().unwrap(),
    );
    let with = |token: Option<&str>, code| {
        let mut command = clean(ARGIOPE);
        command.args(["status", url]);
        if let Some(token) = token {
            command.env("ARGIOPE_TOKEN", token);
        }
        ended(Running::start(&mut command).unwrap(), code)
    };
    let status: Value = serde_json::from_str(&with(Some(token), 0).out).unwrap();
    assert_eq!(status["state"], "running");
    assert!(sentence(&with(None, 4)).contains("ARGIOPE_TOKEN"));
    assert!(sentence(&with(Some("guess"), 1)).contains("token"));
    running.signal(Signal::SIGTERM).unwrap();
    ended(running, 11);
}

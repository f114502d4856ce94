//! A drain that an answer without end holds up: it has a limit, and a second signal ends it at once.

use std::time::Duration;

use kit::answer::{Answer, Fault};
use kit::audit;
use kit::until;
use nix::sys::signal::Signal;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, ended};
use crate::stand::Stand;

/// Longer than any test runs: what ends before has been ended by something else.
const NEVER: u128 = Duration::from_hours(1).as_millis();

/// A crawl with one URL that at first never answers, and no limit for it but the drain's.
fn hangs(drain_ms_max: u128) -> (Stand, Crawl) {
    let stand = Stand::bare();
    stand.page(
        "a.zoo.test",
        "/",
        "<a href=/hang>hang</a> <a href=//b.zoo.test/>b</a>",
    );
    let silent = Answer::html("never").broken(Fault::Silence);
    let at_last = Answer::html("<a href=/behind>behind</a>");
    stand.origin.plant("a.zoo.test", "/hang", [silent, at_last]);
    stand.page(
        "a.zoo.test",
        "/behind",
        "<p>found by the hanging page alone",
    );
    stand.page("b.zoo.test", "/", "<a href=/1>1</a> <a href=/2>2</a>");
    for path in ["/1", "/2"] {
        stand.page("b.zoo.test", path, "<p>end");
    }
    let crawl = stand.crawl().config(&format!(
        "[limits]\nhead-ms-max = {NEVER}\nstall-ms-max = {NEVER}\nanswer-ms-max = {NEVER}\npage-ms-max = {NEVER}\n\
         drain-ms-max = {drain_ms_max}\n"
    ));
    let crawl = crawl.flags(&["--scope-type", "domain", "--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.url("a.zoo.test", "/"));
    (stand, crawl)
}

/// Sends the signals, each after the one before was heard; the end is forced, and the same command loses nothing.
#[track_caller]
fn check(drain_ms_max: u128, signals: &[Signal], want: &str) {
    let (stand, crawl) = hangs(drain_ms_max);
    let running = crawl.start(&[]);
    // All but the hanging one are settled, so that only that one may come again.
    until("the hang", PATIENCE, || {
        let status = crawl.status()?;
        (status["frontier"]["done"] == 4 && status["in_flight"] == 1).then_some(())
    });
    for signal in signals {
        running.signal(*signal).unwrap();
        running
            .wait_line(PATIENCE, |line| line.contains("draining"))
            .unwrap();
    }
    let forced = ended(running, 13);
    assert!(forced.err.contains(want) || forced.out.contains(want));
    let hung = stand.origin.log();
    assert!(
        hung.iter()
            .any(|entry| entry.path == "/hang" && !entry.whole)
    );

    crawl.ends(0);
    let log = stand.origin.log();
    let mut counts = audit::counts(&log);
    counts.retain(|url, _| !url.ends_with("/robots.txt"));
    let hang = stand.origin.url("a.zoo.test", "/hang");
    for (url, count) in &counts {
        let want = if *url == hang { 2 } else { 1 };
        assert_eq!(*count, want, "requests of {url}");
    }
    assert_eq!(counts.len(), 6, "{counts:#?}");
    assert_eq!(audit::overlaps(&log), []);
    let outcomes = crawl.outcomes();
    assert!(outcomes.values().all(|line| line.outcome == "ok"));
    assert_eq!(outcomes.len(), 6);
    archive::sound(&crawl);
}

#[test]
fn a_drain_has_a_limit_and_loses_nothing() {
    check(300, &[Signal::SIGTERM], "deadline(drain)");
}

#[test]
fn a_second_signal_does_not_wait_for_the_drains_limit() {
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        check(NEVER, &[Signal::SIGTERM, second], "stopped at once");
    }
}

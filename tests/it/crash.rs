//! The process is killed in the middle of its work, again and again; nothing is lost and nobody is asked too soon.

use std::time::Duration;

use kit::audit;
use kit::process::Running;
use kit::web::Web;
use kit::{Seed, until};
use nix::sys::signal::Signal;
use rand::Rng as _;

use crate::archive;
use crate::crawl::PATIENCE;
use crate::stand::Stand;

const KILLS: usize = 22;
const FETCHERS: usize = 2;
const CONCURRENCY: usize = 6;
const DELAY: Duration = Duration::from_millis(20);

/// Kills at moments spread over the crawl: one in each of as many equal parts of its requests, where, chance decides.
fn moments(seed: Seed, requests: usize) -> Vec<usize> {
    let mut rng = seed.rng("kills");
    let part = requests / (KILLS + 1);
    (0..KILLS)
        .map(|n| n * part + rng.random_range(1..=part))
        .collect()
}

#[test]
fn kill_it_as_often_as_you_like() {
    let seed = Seed::take("crash");
    let stand = Stand::of(Web {
        seed: seed.0,
        hosts: 24,
        pages_per_host: 48,
        flaky_every: 0,
        delay_ms: (0, 15),
        ..Web::default()
    });
    let origin = &stand.origin;
    let truth = origin.truth(|_| true);
    assert!(truth.pages.len() >= 1_000 && truth.hosts.len() >= 20);
    let crawl = stand.crawl().seed(&origin.home()).flags(&[
        "--scope-type",
        "domain",
        "--delay",
        "20ms",
        "--fetchers",
        &FETCHERS.to_string(),
        "--concurrency",
        &CONCURRENCY.to_string(),
    ]);
    let mut killed = 0;
    for moment in moments(seed, truth.pages.len()) {
        killed += usize::from(kill_at(crawl.start(&[]), || origin.requests() >= moment));
    }
    assert!(killed >= 20, "the crawl outran the kills: {killed}");
    crawl.ends(0);

    let log = origin.log();
    let coverage = audit::coverage(&log, &truth);
    if !coverage.is_exact() {
        let given_up = crawl.ledger();
        let given_up = given_up
            .iter()
            .filter(|line| line.outcome == "quarantined" || line.outcome == "panicked");
        panic!(
            "I1: {coverage:#?}\ngiven up: {:#?}",
            given_up.collect::<Vec<_>>()
        );
    }
    assert_eq!(audit::overlaps(&log), [], "I2");
    for (host, gap) in audit::shortest_gaps(&log) {
        assert!(gap.between >= DELAY, "I2: {host}: {gap:?}");
    }
    let repeats = audit::repeats(&log);
    println!(
        "{killed} kills, {} requests, {repeats} repeats, {} of them robots.txt",
        log.len(),
        log.iter().filter(|e| e.path == "/robots.txt").count()
    );
    // Hosts go on together after a death (docs/adr/0006): what a process has in work is its requests, and the pages that
    // were answered and are not durable yet, about one of each host.
    let in_work = FETCHERS * CONCURRENCY + truth.hosts.len();
    assert!(
        repeats <= killed * in_work,
        "I1: {repeats} repeats after {killed} kills"
    );
    archive::sound(&crawl);
    let outcomes = crawl.outcomes();
    for (url, status) in &truth.pages {
        let line = outcomes
            .get(url)
            .unwrap_or_else(|| panic!("the ledger does not know {url}"));
        assert_eq!(line.status, Some(*status), "{line:?}");
    }
    for url in &truth.forbidden {
        assert_eq!(outcomes[url].outcome, "robots_denied");
    }
    let finals = crawl.ledger();
    let finals = finals.iter().filter(|line| line.is_final && line.is_url());
    let known = outcomes.len();
    let again = finals.count() - known;
    assert!(
        again <= repeats,
        "{again} second words in the ledger, but {repeats} repeats"
    );
}

/// Kills the program as soon as `now` says so; false when it had ended by itself.
fn kill_at(running: Running, mut now: impl FnMut() -> bool) -> bool {
    until("the moment to kill", PATIENCE, || {
        (now() || running.has_ended()).then_some(())
    });
    running.signal(Signal::SIGKILL).unwrap();
    let ended = running.wait(PATIENCE).unwrap();
    assert!(
        ended.signal == Some(9) || ended.code == Some(0),
        "it ended with {:?}:\n{}",
        ended.code,
        ended.err
    );
    ended.signal == Some(9)
}

//! An actor dies of a panic of its own: the pipeline is rebuilt and the crawl ends whole, or it gives up and says so.

use std::time::Duration;

use kit::audit;
use kit::process::Ended;
use kit::web::Web;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, sentence};
use crate::stand::Stand;

const FETCHERS: usize = 2;
const CONCURRENCY: usize = 6;
const DELAY: Duration = Duration::from_millis(10);

fn stand() -> Stand {
    Stand::of(Web {
        hosts: 6,
        pages_per_host: 30,
        flaky_every: 0,
        delay_ms: (0, 10),
        ..Web::default()
    })
}

fn crawl_of(stand: &Stand) -> Crawl {
    let crawl = stand.crawl().seed(&stand.origin.home());
    let (fetchers, concurrency) = (FETCHERS.to_string(), CONCURRENCY.to_string());
    let crawl = crawl.flags(&["--fetchers", &fetchers, "--concurrency", &concurrency]);
    crawl.flags(&["--scope-type", "domain", "--delay", "10ms"])
}

/// Runs the command with deaths at these pages of its generations.
fn dies(crawl: &Crawl, plan: &str) -> Ended {
    let dying = crawl.start_with_env("ARGIOPE_FAIL", plan);
    dying.wait(PATIENCE).unwrap()
}

fn count(said: &str, what: &str) -> usize {
    said.lines().filter(|line| line.contains(what)).count()
}

/// After so many deaths everything was fetched, politely, and stored.
#[track_caller]
fn whole(stand: &Stand, crawl: &Crawl, deaths: usize) {
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!(audit::overlaps(&log), []);
    for (host, gap) in audit::shortest_gaps(&log) {
        assert!(gap.between >= DELAY, "{host}: {gap:?}");
    }
    let repeats = audit::repeats(&log);
    println!("{deaths} deaths, {} requests, {repeats} repeats", log.len());
    assert!(repeats <= deaths * FETCHERS * CONCURRENCY);
    archive::sound(crawl);
}

#[test]
fn a_dead_actor_is_replaced_and_the_crawl_ends_whole() {
    let stand = stand();
    let crawl = crawl_of(&stand);
    let ended = dies(&crawl, "parser:17,60");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(count(&ended.err, "an actor died; rebuilding"), 2);
    assert_eq!(count(&ended.err, "a new generation starts"), 2);
    whole(&stand, &crawl, 2);
}

#[test]
fn too_many_deaths_end_the_process_and_the_same_command_goes_on() {
    let stand = stand();
    let crawl = crawl_of(&stand);
    let ended = dies(&crawl, "parser:9,17,20,25,30");
    assert_eq!(ended.code, Some(17), "{}", ended.err);
    let said = sentence(&ended);
    assert!(
        said.contains("died 5 times") && said.contains("the same command"),
        "{said}"
    );
    assert_eq!(count(&ended.err, "an actor died; rebuilding"), 4);
    crawl.ends(0);
    whole(&stand, &crawl, 5);
}

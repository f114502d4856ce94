//! What a host's robots.txt decides when it is no file: not to be had, or not there.

use kit::answer::{Answer, Fault};
use kit::until;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, ended};
use crate::stand::Stand;

/// Hosts whose robots.txt cannot be had, each for another reason.
const CLOSED: [&str; 3] = ["busy.test", "cut.test", "dead.test"];
/// The first wait before it is asked for again.
const FIRST_WAIT_S: u64 = 60;

/// A home page that links to all hosts; two pages on each.
fn stand() -> Stand {
    let stand = Stand::bare();
    let robots = |host: &str, answer| stand.origin.plant(host, "/robots.txt", [answer]);
    robots("busy.test", Answer::text(503, "not now"));
    let half = Answer::text(200, "User-agent: *\nAllow: /\n");
    robots("cut.test", half.broken(Fault::CutAfter(9)));
    robots("dead.test", Answer::verbatim([]));
    robots("none.test", Answer::text(404, "no rules here"));
    robots("gone.test", Answer::text(410, "no rules any more"));
    let open = ["none.test", "gone.test"];
    let links: String = CLOSED
        .iter()
        .chain(&open)
        .map(|host| format!("<a href=//{host}/>{host}</a> "))
        .collect();
    stand.page("home.test", "/", &links);
    for host in CLOSED.iter().chain(&open) {
        stand.page(host, "/", "<a href=/private/x.html>x</a>");
        stand.page(host, "/private/x.html", "<p>end");
    }
    stand
}

/// Waits until nothing is left but the closed hosts, and returns how the crawl stands then.
fn until_only_closed_wait(crawl: &Crawl) -> Value {
    until("the rest", PATIENCE, || {
        let status = crawl.status()?;
        let frontier = &status["frontier"];
        let quiet = frontier["done"] == 5 && status["in_flight"] == 0 && frontier["leases"] == 0;
        (quiet && status["in_ring"] == 0).then_some(status)
    })
}

/// Requests for robots.txt of the closed hosts.
fn asked_of_closed(stand: &Stand) -> Vec<String> {
    let log = stand.origin.log();
    let of_closed = log.iter().filter(|entry| CLOSED.contains(&&*entry.host));
    let mut asked: Vec<String> = of_closed
        .map(|entry| format!("{}{}", entry.host, entry.path))
        .collect();
    asked.sort();
    asked
}

#[test]
fn nothing_is_asked_of_a_host_whose_robots_txt_cannot_be_had_and_the_others_go_on() {
    let stand = stand();
    let crawl = stand
        .crawl()
        .flags(&["--scope-type", "any", "--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.url("home.test", "/"));
    let robots = CLOSED.map(|host| format!("{host}/robots.txt"));
    // The rest of a host outlives the process: a new one does not ask again before its time.
    for run in ["the first run", "the second run"] {
        let running = crawl.start(&[]);
        let status = until_only_closed_wait(&crawl);
        let frontier = &status["frontier"];
        assert_eq!(frontier["queued"], 3, "{run}: {status:#}");
        assert_eq!(frontier["hosts_waiting"], 3, "{run}: {status:#}");
        let (next, wait) = (&frontier["next"][0], &frontier["next"][1]["secs"]);
        assert!(CLOSED.map(Value::from).contains(next), "{run}: {status:#}");
        assert!(
            wait.as_u64().is_some_and(|wait| wait < FIRST_WAIT_S),
            "{run}: {status:#}"
        );
        let words = status["waiting_for"].as_str().unwrap();
        assert!(words.contains(next.as_str().unwrap()), "{run}: {words}");
        assert_eq!(asked_of_closed(&stand), robots, "{run}");
        running.signal(Signal::SIGTERM).unwrap();
        let said = ended(running, 11).err;
        let rests = said.lines().filter(|line| line.contains("the host rests"));
        let told = rests.filter(|line| line.contains(&format!("rest_s={FIRST_WAIT_S}")));
        let want = if run == "the first run" { 3 } else { 0 };
        assert_eq!(told.count(), want, "{run}:\n{said}");
    }
    let outcomes = crawl.outcomes();
    for host in ["none.test", "gone.test"] {
        for path in ["/", "/private/x.html"] {
            let line = &outcomes[&stand.origin.url(host, path)];
            assert_eq!(line.outcome, "ok", "no rules, all is allowed: {line:?}");
        }
    }
    assert_eq!(outcomes.len(), 5, "no page of a closed host is settled");
    let ledger = crawl.ledger();
    for host in CLOSED {
        let url = stand.origin.url(host, "/robots.txt");
        let line = ledger.iter().find(|line| line.url == url).unwrap();
        assert_eq!(line.kind, "robots", "{line:?}");
        println!("{line:?}");
    }
    archive::sound(&crawl);
}

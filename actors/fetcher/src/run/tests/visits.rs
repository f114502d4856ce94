//! A robots.txt that lies on another host: asked for under that host's own lease, or not at all.

use std::sync::{Arc, OnceLock};

use contract::lease::Visited;

use super::*;

/// Two names of one server: the first's robots.txt redirects to the second's.
async fn two_names(there: fn() -> Vec<Act>) -> Site {
    let port = Arc::new(OnceLock::new());
    let known = port.clone();
    let site = Site::start(move |path, _| match path {
        "/robots.txt" => {
            let there = format!("location: //b.localhost:{}/rules\r\n", known.wait());
            answer("302 Found", &there, "")
        }
        "/rules" => there(),
        _ => page("x"),
    })
    .await;
    port.set(site.at.port()).unwrap();
    site
}

/// The first name's lease of one page, worked off while visitors get this.
async fn run(site: &Site, visits: Vec<Visited>) -> Bench {
    let says = Says {
        extend: Some(TERM),
        ..Says::default()
    };
    says.visits.lock().unwrap().extend(visits);
    let bench = Bench::with(site.at.port(), still(), says, |_, _| {});
    let url = format!("http://a.localhost:{}/private", site.at.port());
    bench.run(lease(&[url])).await;
    bench
}

fn rules() -> Vec<Act> {
    page("user-agent: *\ndisallow: /private")
}

/// Hosts that were visited.
fn visited(bench: &Bench) -> Vec<String> {
    let log = bench.ring.log.lock().unwrap();
    log.visits.iter().map(Host::to_string).collect()
}

/// Host, URLs handed on and whether a request was sent, of each lease that was given back.
fn released(bench: &Bench) -> Vec<(String, usize, bool)> {
    let log = bench.ring.log.lock().unwrap();
    let releases = log.releases.iter();
    releases
        .map(|release| {
            let (host, sent) = (release.host.to_string(), release.last_end.is_some());
            (host, release.handed, sent)
        })
        .collect()
}

#[actix::test]
async fn the_other_host_is_asked_once_it_is_leased_and_given_back() {
    let site = two_names(rules).await;
    for waits in [
        vec![],
        vec![
            Visited::Busy,
            Visited::Rests(Duration::from_millis(700)),
            Visited::Busy,
        ],
    ] {
        let (before, asked) = (site.seen().len(), waits.len() + 1);
        let bench = run(&site, waits).await;
        let seen: Vec<_> = site.seen().drain(before..).map(|seen| seen.head).collect();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[1].contains("b.localhost"), "{seen:?}");
        assert_eq!(visited(&bench), vec!["b.localhost"; asked]);
        assert_eq!(
            released(&bench),
            [
                ("b.localhost".to_owned(), 0, true),
                ("a.localhost".to_owned(), 1, true)
            ]
        );
        let pages = bench.ring.pages().await;
        let outcomes: Vec<_> = pages.iter().map(|page| page.outcome).collect();
        let wanted = [Outcome::Redirect, Outcome::Ok, Outcome::RobotsDenied];
        assert_eq!(outcomes, wanted, "the file is the first host's: {pages:?}");
        assert_eq!(bench.rests(), [] as [u64; 0]);
    }
}

#[actix::test]
async fn whoever_cannot_have_the_other_host_rests_and_asks_again_later() {
    let site = two_names(rules).await;
    let busy = (0..60).map(|_| Visited::Busy).collect();
    let bench = run(&site, busy).await;
    let rests = bench.rests();
    assert!(matches!(rests[..], [7..=23]), "{rests:?}");
    let asked = visited(&bench).len();
    assert!((5..=16).contains(&asked), "{asked} times");
    assert_eq!(released(&bench), [("a.localhost".to_owned(), 0, true)]);
    assert_eq!(site.paths(), ["/robots.txt"]);
    let pages = bench.ring.pages().await;
    assert_eq!(pages.len(), 1, "nothing is known of it yet: {pages:?}");

    let hour = Duration::from_secs(3_600);
    let bench = run(&site, vec![Visited::Rests(hour)]).await;
    assert_eq!((bench.rests(), visited(&bench).len()), (vec![3_600], 1));
}

#[actix::test]
async fn the_other_host_rests_too_when_it_asks_for_it() {
    let site = two_names(|| answer("429 Too Many", "retry-after: 120\r\n", "")).await;
    let bench = run(&site, vec![]).await;
    let log = bench.ring.log.lock().unwrap();
    let rests: Vec<_> = log
        .schedules
        .iter()
        .map(|wants| {
            (
                wants.host.to_string(),
                wants.rest.map(|rest| rest.as_secs()),
            )
        })
        .collect();
    let wanted = ["b.localhost", "a.localhost"].map(|host| (host.to_owned(), Some(120)));
    assert_eq!(rests, wanted);
}

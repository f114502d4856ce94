//! The actor against fake neighbours and real sockets: claims, drain, death.

use std::collections::VecDeque;
use std::sync::Mutex;

use contract::host::Host;
use contract::lease::Token;
use contract::outbox::Outbox;
use contract::outcome::Outcome;
use contract::page::Fate;

use super::*;
use crate::testing::ring::{Ring, Says, lease};
use crate::testing::{Act, Site, page};

const PATIENCE: Duration = Duration::from_secs(30);

/// Leases of one page each, for hosts below localhost.
fn grants(site: &Site, hosts: std::ops::Range<u64>) -> Vec<Lease> {
    let url = |n: u64| format!("http://h{n}.localhost:{}/page", site.at.port());
    hosts
        .map(|n| Lease {
            token: Token(n),
            ..lease(&[url(n)])
        })
        .collect()
}

fn config() -> FetcherConfig {
    FetcherConfig {
        leases_max: 4,
        claim_hosts_max: 3,
        ..FetcherConfig::default()
    }
}

async fn start(ring: &Ring, site: &Site, config: FetcherConfig) -> Addr<Fetcher> {
    let crawl = CrawlConfig {
        pace: contract::crawl::PaceConfig {
            delay_ms: 0,
            ..Default::default()
        },
        ..CrawlConfig::default()
    };
    let parts = ring.parts(config, crawl, &Clock::machine(), &[site.at.port()]);
    Fetcher::start(&Arbiter::current(), parts).await.unwrap()
}

fn says(grants: impl IntoIterator<Item = Vec<Lease>>) -> Says {
    let grants = Arc::new(Mutex::new(grants.into_iter().collect::<VecDeque<_>>()));
    Says {
        grants,
        extend: Some(Duration::from_secs(90)),
        ..Says::default()
    }
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[actix::test]
async fn it_claims_runs_and_reports() {
    let site = Site::start(|_, _| page("x")).await;
    let ring = Ring::new(says([
        grants(&site, 0..3),
        grants(&site, 3..4),
        grants(&site, 4..5),
    ]));
    let fetcher = start(&ring, &site, config()).await;
    until(|| ring.log.lock().unwrap().releases.len() == 5).await;
    let settled = ring.settled().await;
    // Every page was let through by its own origin's robots.txt.
    assert_eq!(settled, [(0, Outcome::Ok, Fate::Done); 5]);
    assert_eq!(site.seen().len(), 10);
    let report = Outbox::<FetcherReport>::new("report", vec![fetcher.recipient()], 1, PATIENCE);
    // A run's last step is to give its room back.
    let stats = loop {
        let stats = report.ask(FetcherReport).await.unwrap();
        if stats.leases <= 1 {
            break stats;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(
        (stats.in_flight, stats.connections_idle, stats.next),
        (0, 5, None)
    );
}

#[actix::test]
async fn a_drain_waits_for_what_runs_and_claims_no_more() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => page(""),
        _ => [vec![Act::Wait(Duration::from_millis(50))], page("slow")].concat(),
    })
    .await;
    let two = |n: u64| {
        let url = |path: &str| format!("http://h{n}.localhost:{}/{path}", site.at.port());
        Lease {
            token: Token(n),
            ..lease(&[url("a"), url("b")])
        }
    };
    let ring = Ring::new(says([vec![two(1)], vec![two(2)]]));
    let fetcher = start(&ring, &site, config()).await;
    until(|| site.paths().iter().any(|path| path == "/a")).await;
    let drain = Outbox::<Drain>::new("drain", vec![fetcher.recipient()], 1, PATIENCE);
    drain.ask(Drain).await.unwrap();
    let claims = {
        let log = ring.log.lock().unwrap();
        let handed: Vec<usize> = log.releases.iter().map(|release| release.handed).collect();
        assert_eq!(handed.len(), 2, "every lease was given back: {handed:?}");
        assert!(handed.iter().all(|handed| *handed <= 1), "{handed:?}");
        log.claims
    };
    assert_eq!(
        ring.settled().await.len(),
        site.paths().iter().filter(|path| *path == "/a").count()
    );
    ring.bell.ring();
    tokio::task::yield_now().await;
    assert_eq!(ring.log.lock().unwrap().claims, claims);
}

#[actix::test]
async fn more_than_there_is_room_for_goes_back() {
    let site = Site::start(|_, _| vec![Act::Hang]).await;
    let ring = Ring::new(says([grants(&site, 0..6)]));
    let _fetcher = start(&ring, &site, config()).await;
    until(|| ring.log.lock().unwrap().releases.len() == 2).await;
    let hosts = |n: u64| Host::from_stored(&format!("h{n}.localhost"));
    let back: Vec<Host> = ring
        .log
        .lock()
        .unwrap()
        .releases
        .iter()
        .map(|release| release.host.clone())
        .collect();
    assert_eq!(back, [hosts(4), hosts(5)]);
}

#[actix::test]
async fn its_thread_ends_with_all_that_it_holds() {
    let site = Site::start(|_, _| vec![Act::Hang]).await;
    let mut ring = Ring::new(says([grants(&site, 0..1)]));
    let arbiter = Arbiter::new();
    let parts = ring.parts(
        config(),
        CrawlConfig::default(),
        &Clock::machine(),
        &[site.at.port()],
    );
    let _fetcher = Fetcher::start(&arbiter.handle(), parts).await.unwrap();
    until(|| site.seen().len() == 1).await;
    assert!(ring.bytes.held() > 0);
    arbiter.stop();
    tokio::task::spawn_blocking(|| arbiter.join())
        .await
        .unwrap()
        .unwrap();
    let died = ring.died.recv().await.unwrap();
    assert!(!died.panicking);
    assert_eq!((ring.bytes.held(), ring.gauge.in_ring()), (0, 0));
}

#[actix::test]
async fn a_run_that_panics_ends_the_fetcher_as_a_panic() {
    let site = Site::start(|_, _| page("x")).await;
    let mut ring = Ring::new(says([]));
    let parts = ring.parts(
        config(),
        CrawlConfig::default(),
        &Clock::machine(),
        &[site.at.port()],
    );
    let fetcher = Fetcher::build(parts).unwrap();
    let broken = fetcher.broken.clone();
    // On a thread of its own: the panic goes up through the actor's task.
    let _running = fetcher.start();
    broken.notify_one();
    let died = ring.died.recv().await.unwrap();
    assert!(died.panicking);
}

#[actix::test]
async fn what_cannot_start_says_why() {
    let site = Site::start(|_, _| page("x")).await;
    let ring = Ring::new(says([]));
    let refused = async |config: FetcherConfig, crawl: CrawlConfig| {
        let parts = ring.parts(config, crawl, &Clock::machine(), &[site.at.port()]);
        match Fetcher::start(&Arbiter::current(), parts).await {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    };
    let none = FetcherConfig {
        in_flight_max: 0,
        ..FetcherConfig::default()
    };
    assert_eq!(
        refused(none, CrawlConfig::default()).await,
        "in-flight-max: must be at least 1"
    );
    let mut crawl = CrawlConfig::default();
    crawl.agent.user_agent = Some("a\nb".to_owned());
    assert!(
        refused(config(), crawl)
            .await
            .starts_with("agent.user-agent:")
    );
    let arbiter = Arbiter::new();
    arbiter.stop();
    let parts = ring.parts(config(), CrawlConfig::default(), &Clock::machine(), &[]);
    let handle = arbiter.handle();
    tokio::task::spawn_blocking(|| arbiter.join())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        Fetcher::start(&handle, parts).await,
        Err(StartError::Gone)
    ));
}

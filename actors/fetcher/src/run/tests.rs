//! A lease's run against raw sockets and a manual frontier: order, pace, retries, robots, drain.

mod refresh;
mod robots;
mod robots_answers;
mod strikes;
mod turns;
mod visits;

use contract::cause::Cancel;
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::host::Host;
use contract::lease::Token;
use contract::page::Cut;
use contract::robots::RobotsAnswer;

use super::*;
use crate::FetcherConfig;
use crate::actor::Fetcher;
use crate::testing::ring::{Got, Ring, Says, lease};
use crate::testing::{Act, Site, answer, page};

const MINUTE: Duration = Duration::from_secs(60);
const TERM: Duration = Duration::from_secs(90);

/// A fetcher's shell and its surroundings. Time is paused: timers fire as soon as nothing else is to do.
struct Bench {
    ring: Ring,
    fetcher: Fetcher,
    clock: Clock,
}

impl Bench {
    fn new(site: &Site) -> Self {
        Self::at(site.at.port())
    }

    /// May dial loopback at this port.
    fn at(port: u16) -> Self {
        let says = Says {
            extend: Some(TERM),
            ..Says::default()
        };
        Self::with(port, still(), says, |_, _| {})
    }

    fn with(
        port: u16,
        clock: Clock,
        says: Says,
        set: impl FnOnce(&mut FetcherConfig, &mut CrawlConfig),
    ) -> Self {
        pause_time();
        let (mut config, mut crawl) = (FetcherConfig::default(), CrawlConfig::default());
        set(&mut config, &mut crawl);
        let ring = Ring::new(says);
        let fetcher = Fetcher::build(ring.parts(config, crawl, &clock, &[port])).unwrap();
        Self {
            ring,
            fetcher,
            clock,
        }
    }

    async fn run(&self, lease: Lease) {
        work_off(self.fetcher.shell(), lease, self.clock.boot()).await;
    }

    /// Runs a lease of these paths.
    async fn fetch(&self, site: &Site, paths: &[&str]) {
        self.run(lease_of(site, paths)).await;
    }

    /// URLs of the lease that the release says were handed on; none where it was not released.
    fn released(&self) -> Option<usize> {
        let log = self.ring.log.lock().unwrap();
        assert!(log.releases.len() <= 1, "{:?}", log.releases);
        log.releases.first().map(|release| release.handed)
    }

    fn rests(&self) -> Vec<u64> {
        let log = self.ring.log.lock().unwrap();
        log.schedules
            .iter()
            .filter_map(|schedule| schedule.rest)
            .map(|rest| rest.as_secs())
            .collect()
    }
}

/// A clock that only a test's hand moves, so that every pause is reckoned to the millisecond.
fn still() -> Clock {
    Clock::manual(Wall(1_800_000_000_000_000))
}

/// Pauses the test's time, once.
fn pause_time() {
    thread_local!(static PAUSED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if !PAUSED.replace(true) {
        tokio::time::pause();
    }
}

/// Waits until the site has seen so many requests.
async fn seen(site: &Site, count: usize) {
    while site.seen().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn lease_of(site: &Site, paths: &[&str]) -> Lease {
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    lease(&urls)
}

fn done(position: u32, outcome: Outcome) -> (u32, Outcome, Fate) {
    (position, outcome, Fate::Done)
}

/// Serves this robots.txt, and a page everywhere else.
async fn site_with_robots(robots: &'static str) -> Site {
    Site::start(move |path, _| {
        if path == "/robots.txt" {
            page(robots)
        } else {
            page("hello")
        }
    })
    .await
}

/// The pauses between the end of one answer and the next request, in milliseconds.
fn gaps(site: &Site) -> Vec<u128> {
    let seen = site.seen();
    seen.windows(2)
        .map(|two| {
            two[1]
                .came
                .duration_since(two[0].answered.unwrap())
                .as_millis()
        })
        .collect()
}

#[actix::test]
async fn a_lease_is_worked_off_in_order_and_politely() {
    let site = site_with_robots("user-agent: *\ndisallow: /no\nsitemap: /s.xml\n").await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a", "/no/b", "/c?q=1"]).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a", "/c?q=1"]);
    assert!(
        gaps(&site).iter().all(|gap| *gap >= 1_000),
        "{:?}",
        gaps(&site)
    );
    let want = [
        done(0, Outcome::Ok),
        done(1, Outcome::RobotsDenied),
        done(2, Outcome::Ok),
    ];
    assert_eq!(bench.ring.settled().await, want);
    let pages = bench.ring.pages().await;
    let Place::Robots {
        origin,
        record,
        sitemaps,
    } = &pages[0].place
    else {
        panic!("{:?}", pages[0])
    };
    assert_eq!(
        (origin.to_string(), record.failures),
        (format!("http://{}", site.at), 0)
    );
    assert_eq!(sitemaps, &[site.url("/s.xml")]);
    assert_eq!(
        (pages[0].outcome, pages[0].status, pages[0].body),
        (Outcome::Ok, Some(200), 44)
    );
    assert_eq!(pages[2].detail, "robots.txt:2: Disallow: /no");
    assert_eq!(bench.released(), Some(3));
    assert!(
        bench.ring.log.lock().unwrap().releases[0]
            .last_end
            .is_some()
    );
    assert_eq!(
        (bench.ring.bytes.held(), bench.ring.gauge.in_ring()),
        (0, 0)
    );
    assert_eq!(
        bench.fetcher.shell().pool.borrow().idle(),
        1,
        "the connection is kept for the next lease"
    );
}

#[actix::test]
async fn one_connection_serves_a_lease_and_a_server_that_closes_it_is_asked_on_another() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => page(""),
        "/long" => page(&"x".repeat(2_000_000)),
        "/close" => answer("200 OK", "connection: close\r\n", "x"),
        // Closed without a word, while nobody looks.
        "/leave" => [page("x"), vec![Act::Close]].concat(),
        // More than an answer.
        "/more" => vec![Act::Send(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n".to_vec(),
        )],
        _ => page("x"),
    })
    .await;
    let bench = Bench::new(&site);
    let paths = ["/a", "/long", "/close", "/b", "/leave", "/c", "/more", "/d"];
    bench.fetch(&site, &paths).await;
    let settled = bench.ring.settled().await;
    let connections: Vec<usize> = site.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 1, 1, 2, 2, 3], "{settled:?}");
    assert!(
        settled.len() == 8
            && settled
                .iter()
                .all(|(_, outcome, _)| *outcome == Outcome::Ok),
        "{settled:?}"
    );
    let shell = bench.fetcher.shell();
    let pool = shell.pool.borrow();
    assert_eq!((pool.idle(), pool.in_use()), (1, 0));
}

#[actix::test]
async fn what_may_not_be_dialled_is_not() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    let check = async |url: String, outcome: Outcome| {
        bench.ring.log.lock().unwrap().pages.clear();
        bench.run(lease(std::slice::from_ref(&url))).await;
        assert_eq!(bench.ring.settled().await, [done(0, outcome)], "{url}");
    };
    check("http://10.0.0.1/".into(), Outcome::AddressRefused).await;
    check("http://[::1]/".into(), Outcome::AddressRefused).await;
    check("http://0x0a000001/".into(), Outcome::AddressRefused).await;
    check("http://127.0.0.1:22/".into(), Outcome::PortRefused).await;
    check("http://a..b/".into(), Outcome::DnsNotFound).await;
    assert!(site.seen().is_empty());
}

#[actix::test]
async fn a_name_is_resolved_and_its_lookup_may_fail() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    bench
        .run(lease(&[format!("http://a.localhost:{}/x", site.at.port())]))
        .await;
    assert_eq!(bench.ring.settled().await, [done(0, Outcome::Ok)]);
    // Nobody answers there: the URL comes back, the host rests.
    bench
        .run(lease(&[
            "http://a.zoo.test/".into(),
            "http://a.zoo.test/b".into(),
        ]))
        .await;
    let settled = bench.ring.settled().await;
    assert_eq!(settled[1..], [(0, Outcome::DnsFailed, Fate::Return)]);
    assert_eq!(bench.rests(), [10]);
}

#[actix::test]
async fn an_address_without_room_sends_the_lease_back() {
    let site = site_with_robots("").await;
    let says = Says {
        crowded: true,
        ..Says::default()
    };
    let bench = Bench::with(site.at.port(), still(), says, |_, _| {});
    bench.run(lease(&["http://8.8.8.8/".into()])).await;
    assert_eq!(
        (bench.ring.settled().await, bench.released()),
        (vec![], Some(0))
    );
    let log = bench.ring.log.lock().unwrap();
    assert_eq!(log.enters[0].address.to_string(), "8.8.8.8");
    assert!(log.schedules[0].rest.is_some());
}

#[actix::test]
async fn a_network_of_the_operators_own_has_no_address_budget() {
    let site = site_with_robots("").await;
    let bench = Bench::with(
        site.at.port(),
        still(),
        Says {
            crowded: true,
            ..Says::default()
        },
        |_, _| {},
    );
    bench.fetch(&site, &["/a"]).await;
    assert_eq!(bench.ring.settled().await, [done(0, Outcome::Ok)]);
}

#[actix::test]
async fn a_failing_page_is_tried_again_within_the_lease() {
    let site = Site::start(|path, before| match (path, before) {
        ("/robots.txt", _) => answer("404 Not Found", "", ""),
        ("/a", 0) => answer("500 Oops", "", "no"),
        ("/a", 1) => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha".to_vec()),
            Act::Close,
        ],
        ("/never", _) => answer("502 Bad Gateway", "", "still no"),
        ("/cut", _) => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha".to_vec()),
            Act::Close,
        ],
        _ => page("yes"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a", "/never", "/cut"]).await;
    assert_eq!(site.paths()[1..4], ["/a", "/a", "/a"]);
    assert_eq!(site.paths().len(), 10);
    assert!(
        gaps(&site).iter().all(|gap| *gap >= 1_000),
        "{:?}",
        gaps(&site)
    );
    assert!(
        gaps(&site)[2] >= 2_000,
        "the second pause is longer: {:?}",
        gaps(&site)
    );
    let want = [
        done(0, Outcome::Ok),
        done(1, Outcome::ServerError),
        done(2, Outcome::Truncated),
    ];
    assert_eq!(bench.ring.settled().await, want);
    let pages = bench.ring.pages().await;
    assert_eq!((pages[1].body, pages[2].status), (3, Some(502)));
    assert_eq!((pages[3].body, pages[3].cut), (2, Some(Cut::Disconnect)));
}

#[actix::test]
async fn tries_of_earlier_leases_count() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => answer("404 Not Found", "", ""),
        _ => vec![Act::Close],
    })
    .await;
    let bench = Bench::new(&site);
    let mut lease = lease_of(&site, &["/a"]);
    lease.urls[0].tries = 2;
    bench.run(lease).await;
    assert_eq!(
        bench.ring.settled().await,
        [done(0, Outcome::ConnectionReset)]
    );
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
}

#[actix::test]
async fn a_host_that_is_asked_too_often_rests() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => answer("404 Not Found", "", ""),
        "/busy" => answer("429 Too Many Requests", "retry-after: 120\r\n", ""),
        "/down" => answer("503 Service Unavailable", "", ""),
        "/long" => answer("503 Service Unavailable", "retry-after: 86401\r\n", ""),
        _ => page("x"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/busy", "/a"]).await;
    assert_eq!(
        bench.ring.settled().await,
        [(0, Outcome::ServerError, Fate::Return)]
    );
    assert_eq!((bench.rests(), bench.released()), (vec![120], Some(1)));

    let bench = Bench::new(&site);
    bench.fetch(&site, &["/down", "/a"]).await;
    let rest = Duration::from_secs(10);
    assert_eq!(
        bench.ring.settled().await,
        [(0, Outcome::ServerError, Fate::Retry { tries: 1, rest })]
    );
    assert_eq!((bench.rests(), bench.released()), (vec![10], Some(1)));

    let bench = Bench::new(&site);
    bench.fetch(&site, &["/long", "/a"]).await;
    let want = [done(0, Outcome::HostParked), done(1, Outcome::HostParked)];
    assert_eq!(
        (bench.ring.settled().await, bench.rests()),
        (want.to_vec(), vec![])
    );
    assert_eq!(site.paths().iter().filter(|path| *path == "/a").count(), 0);
}

#[actix::test]
async fn a_host_that_is_down_rests() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let bench = Bench::at(gone.port());
    bench.run(lease(&[format!("http://{gone}/")])).await;
    let pages = bench.ring.pages().await;
    let Place::Robots { record, .. } = &pages[0].place else {
        panic!("{:?}", pages[0])
    };
    assert_eq!(
        (pages[0].outcome, record.failures),
        (Outcome::ConnectFailed, 1)
    );
    assert_eq!(
        (pages.len(), bench.rests(), bench.released()),
        (1, vec![60], Some(0))
    );
}

#[actix::test]
async fn a_redirect_to_the_same_page_is_followed_in_the_lease() {
    let site = Site::start(|path, before| match (path, before) {
        ("/robots.txt", _) => answer("404 Not Found", "", ""),
        ("/a?utm_source=x", _) => answer("302 Found", "location: /a\r\n", "moved"),
        ("/a", 0) => answer("302 Found", "location: /a#top\r\n", "moved"),
        ("/loop", _) => answer("302 Found", "location: /loop\r\n", ""),
        ("/away", _) => answer("301 Moved Permanently", "location: /b\r\n", ""),
        _ => page("here"),
    })
    .await;
    let bench = Bench::new(&site);
    bench
        .fetch(&site, &["/a?utm_source=x", "/loop", "/away"])
        .await;
    let want = [
        done(0, Outcome::Ok),
        done(1, Outcome::RedirectLimit),
        done(2, Outcome::Redirect),
    ];
    assert_eq!(bench.ring.settled().await, want);
    assert_eq!(site.paths()[1..4], ["/a?utm_source=x", "/a", "/a"]);
    assert_eq!(
        site.paths().iter().filter(|path| *path == "/loop").count(),
        11
    );
    assert!(
        !site.paths().contains(&"/b".to_owned()),
        "another page is the frontier's"
    );
    assert!(
        gaps(&site).iter().all(|gap| *gap >= 1_000),
        "{:?}",
        gaps(&site)
    );
    let pages = bench.ring.pages().await;
    let first: Vec<_> = pages[1..4]
        .iter()
        .map(|page| (page.url.clone(), page.place.clone()))
        .collect();
    let want = [
        ("/a?utm_source=x", Place::Beside),
        ("/a", Place::Beside),
        ("/a#top", Place::Queue(0)),
    ];
    assert_eq!(first, want.map(|(path, place)| (site.url(path), place)));
}

#[actix::test]
async fn a_long_way_of_redirects_ends() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => answer("404 Not Found", "", ""),
        _ => answer("301 Moved Permanently", "location: /next\r\n", ""),
    })
    .await;
    let bench = Bench::new(&site);
    let mut lease = lease_of(&site, &["/a", "/b"]);
    (lease.urls[0].hops, lease.urls[1].hops) = (9, 10);
    bench.run(lease).await;
    assert_eq!(
        bench.ring.settled().await,
        [done(0, Outcome::Redirect), done(1, Outcome::RedirectLimit)]
    );
}

#[actix::test]
async fn a_lost_lease_sends_nothing_more() {
    let clock = Clock::manual(Wall(0));
    let hand = clock.clone();
    // The first page takes longer than the lease.
    let site = Site::start(move |path, _| {
        if path == "/a" {
            hand.advance(Duration::from_secs(91));
        }
        page("x")
    })
    .await;
    let bench = Bench::with(
        site.at.port(),
        clock,
        Says {
            extend: None,
            ..Says::default()
        },
        |_, _| {},
    );
    bench.fetch(&site, &["/a", "/b"]).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
    assert_eq!(
        (bench.released(), bench.ring.log.lock().unwrap().extends),
        (None, 1)
    );
}

#[actix::test]
async fn a_lease_that_another_node_waits_for_goes_back_when_its_page_is_done() {
    let site = Site::start(|_, _| page("x")).await;
    let bench = Bench::new(&site);
    bench.ring.wanted.ask(bench.clock.boot().after(TERM));
    bench.fetch(&site, &["/a", "/b", "/c"]).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
    assert_eq!(bench.released(), Some(1));
    // One was wanted, and one was given.
    bench.ring.log.lock().unwrap().releases.clear();
    bench.fetch(&site, &["/b", "/c"]).await;
    assert_eq!(bench.released(), Some(2));
}

#[actix::test]
async fn a_pause_ends_a_lease_before_its_next_request() {
    let order = std::sync::Arc::new(std::sync::OnceLock::<contract::halt::Halt>::new());
    let given = order.clone();
    let site = Site::start(move |path, _| {
        if path == "/a" {
            given.get().unwrap().set(true);
        }
        page("x")
    })
    .await;
    let bench = Bench::new(&site);
    let halt = order.get_or_init(|| bench.ring.halt.clone());
    bench.fetch(&site, &["/a", "/b", "/c"]).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
    assert_eq!(bench.released(), Some(1));
    halt.set(false);
    bench.ring.log.lock().unwrap().releases.clear();
    bench.fetch(&site, &["/b", "/c"]).await;
    assert_eq!(bench.released(), Some(2));
}

#[actix::test]
async fn a_lease_is_extended_when_a_third_is_used() {
    let clock = Clock::manual(Wall(0));
    let hand = clock.clone();
    let site = Site::start(move |path, _| {
        if path != "/robots.txt" {
            hand.advance(Duration::from_secs(20));
        }
        page("x")
    })
    .await;
    let says = Says {
        extend: Some(TERM),
        ..Says::default()
    };
    let bench = Bench::with(site.at.port(), clock, says, |_, _| {});
    bench.fetch(&site, &["/a", "/b", "/c", "/d", "/e"]).await;
    assert_eq!(site.paths().len(), 6);
    assert_eq!(
        (bench.released(), bench.ring.log.lock().unwrap().extends),
        (Some(5), 2)
    );
}

#[actix::test]
async fn a_term_shorter_than_an_answer_may_take_cuts_the_answer_not_the_crawl() {
    let site = site_with_robots("").await;
    let term = Duration::from_secs(9);
    let says = Says {
        extend: Some(term),
        ..Says::default()
    };
    let bench = Bench::with(site.at.port(), still(), says, |_, _| {});
    let mut lease = lease_of(&site, &["/a"]);
    lease.term = term;
    bench.run(lease).await;
    assert_eq!(bench.ring.settled().await, [done(0, Outcome::Ok)]);
}

#[actix::test]
async fn a_delay_longer_than_the_lease_waits_in_the_frontier() {
    let site = site_with_robots("user-agent: *\ncrawl-delay: 3000").await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a"]).await;
    assert_eq!(
        (site.paths().as_slice(), bench.released()),
        (&["/robots.txt".to_owned()][..], Some(0))
    );
    let log = bench.ring.log.lock().unwrap();
    assert_eq!(log.schedules[0].delay, Some(Duration::from_secs(3_000)));
}

#[actix::test]
async fn a_crawl_delay_is_kept_or_parks_the_host() {
    let site = site_with_robots("user-agent: *\ncrawl-delay: 2.5").await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a", "/b"]).await;
    assert!(
        gaps(&site).iter().all(|gap| *gap >= 2_500),
        "{:?}",
        gaps(&site)
    );
    assert_eq!(bench.ring.log.lock().unwrap().schedules.len(), 1);

    let site = site_with_robots("user-agent: *\ncrawl-delay: 3601").await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a", "/b"]).await;
    assert_eq!(
        bench.ring.settled().await,
        [done(0, Outcome::HostParked), done(1, Outcome::HostParked)]
    );
    assert_eq!(site.paths(), ["/robots.txt"]);
}

#[actix::test]
async fn a_drain_ends_a_lease_between_two_requests() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    let drain = bench.fetcher.shell().drain.clone();
    let run = bench.fetch(&site, &["/a", "/b", "/c"]);
    let drained = async {
        seen(&site, 2).await;
        drain.cancel("drain");
    };
    tokio::join!(run, drained);
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
    assert_eq!(
        (bench.ring.settled().await, bench.released()),
        (vec![done(0, Outcome::Ok)], Some(1))
    );
}

#[actix::test]
async fn a_stop_cuts_a_request_off_and_its_url_comes_back() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => page(""),
        _ => vec![Act::Hang],
    })
    .await;
    let bench = Bench::new(&site);
    let stop: Cancel = bench.fetcher.shell().stop.clone();
    let run = bench.fetch(&site, &["/a"]);
    let stopped = async {
        seen(&site, 2).await;
        stop.cancel("operator");
    };
    tokio::join!(run, stopped);
    assert_eq!(
        (bench.ring.settled().await, bench.released()),
        (vec![], Some(0))
    );
    assert_eq!(
        (bench.ring.bytes.held(), bench.ring.gauge.in_ring()),
        (0, 0)
    );
}

#[actix::test]
async fn a_permit_is_held_for_the_request_only() {
    let site = site_with_robots("").await;
    let says = Says {
        extend: Some(TERM),
        ..Says::default()
    };
    let bench = Bench::with(site.at.port(), still(), says, |config, _| {
        config.in_flight_max = 1
    });
    let a = lease_of(&site, &["/a", "/b"]);
    let mut b = lease(&[
        format!("http://b.localhost:{}/x", site.at.port()),
        format!("http://b.localhost:{}/y", site.at.port()),
    ]);
    b.token = Token(8);
    tokio::join!(bench.run(a), bench.run(b));
    assert_eq!(bench.ring.settled().await.len(), 4);
    let hosts: Vec<bool> = site
        .seen()
        .iter()
        .map(|seen| seen.head.contains("localhost"))
        .collect();
    assert!(
        hosts.windows(2).any(|two| two[0] != two[1]),
        "one host's delay let the other in: {hosts:?}"
    );
}

#[actix::test]
async fn a_node_that_cannot_work_burns_no_try() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => page(""),
        _ => page(&"x".repeat(2_000_000)),
    })
    .await;
    let bench = Bench::new(&site);
    let folder = bench
        .ring
        .parts(
            FetcherConfig::default(),
            CrawlConfig::default(),
            &bench.clock,
            &[],
        )
        .spill;
    std::fs::remove_dir(&folder).unwrap();
    bench.fetch(&site, &["/a", "/b"]).await;
    assert_eq!(
        bench.ring.settled().await,
        [(0, Outcome::NodeFailed, Fate::Return)]
    );
    assert!(
        bench
            .ring
            .health
            .fault()
            .is_some_and(|fault| fault.room == "fetcher")
    );
    assert_eq!(bench.released(), Some(1));
    std::fs::create_dir(&folder).unwrap();
}

#[actix::test]
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "what makes the page panic"
)]
async fn a_panic_in_a_page_ends_that_page_only() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    let shell = bench.fetcher.shell();
    {
        // Whoever takes a connection now, as each page does, panics.
        let _held = shell.pool.borrow();
        bench.fetch(&site, &["/a", "/b"]).await;
    }
    let retry = Fate::Retry {
        tries: 1,
        rest: Duration::ZERO,
    };
    let want = [(0, Outcome::Panicked, retry), (1, Outcome::Panicked, retry)];
    assert_eq!(
        (bench.ring.settled().await, bench.released()),
        (want.to_vec(), Some(2))
    );
    assert_eq!(
        (bench.ring.bytes.held(), bench.ring.gauge.in_ring()),
        (0, 0)
    );
}

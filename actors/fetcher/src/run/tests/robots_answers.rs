//! What a site answers to `/robots.txt`, and what its pages are for us then (RFC 9309 section 2.3.1).

use std::io::Write as _;

use super::*;
use crate::robots::BODY_MAX;

/// What becomes of a page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Fetched,
    Denied,
    /// Not asked for: the host rests until robots.txt is asked for again.
    Rests,
}

const FORBIDS: &str = "user-agent: *\ndisallow: /a\n";

/// The site answers so to `/robots.txt`; its page `/a` is due.
async fn check(what: &str, robots: Vec<Act>, want: Then) {
    let site = Site::start(move |path, _| match path {
        "/robots.txt" => robots.clone(),
        _ => page("x"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a"]).await;
    let paths = site.paths();
    assert_eq!(paths[0], "/robots.txt", "{what}: before any page");
    let asked = paths.iter().any(|path| path == "/a");
    let then = match (asked, bench.rests().is_empty()) {
        (true, true) => Then::Fetched,
        (false, true) => Then::Denied,
        (false, false) => Then::Rests,
        (true, false) => panic!("{what}: a page was asked for, and the host rests"),
    };
    assert_eq!(then, want, "{what}: {paths:?}");
    if then == Then::Denied {
        let settled = bench.ring.settled().await;
        assert_eq!(settled, [done(0, Outcome::RobotsDenied)], "{what}");
    }
}

fn sends(text: impl Into<Vec<u8>>) -> Act {
    Act::Send(text.into())
}

#[actix::test]
async fn each_status_has_its_meaning() {
    for (status, want) in [
        ("200 OK", Then::Denied),
        ("203 Non-Authoritative Information", Then::Denied),
        ("206 Partial Content", Then::Denied),
        ("304 Not Modified", Then::Fetched),
        ("400 Bad Request", Then::Fetched),
        ("402 Payment Required", Then::Fetched),
        ("408 Request Timeout", Then::Fetched),
        ("418 I'm a teapot", Then::Fetched),
        ("451 Unavailable For Legal Reasons", Then::Fetched),
        ("499 Whatever", Then::Fetched),
        ("429 Too Many Requests", Then::Rests),
        ("500 Internal Server Error", Then::Rests),
        ("501 Not Implemented", Then::Rests),
        ("502 Bad Gateway", Then::Rests),
        ("503 Service Unavailable", Then::Rests),
        ("504 Gateway Timeout", Then::Rests),
        ("599 Whatever", Then::Rests),
    ] {
        let body = if status.starts_with("304") {
            ""
        } else {
            FORBIDS
        };
        check(status, answer(status, "", body), want).await;
    }
    let nothing = vec![sends("HTTP/1.1 204 No Content\r\n\r\n")];
    check("204, an empty file", nothing, Then::Fetched).await;
}

#[actix::test]
async fn what_is_no_answer_forbids_all() {
    let head = "HTTP/1.1 200 OK\r\n";
    let length = format!("{head}content-length: {}\r\n\r\n", FORBIDS.len());
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    check("closed at once", vec![Act::Close], Then::Rests).await;
    check("reset at once", vec![Act::Reset], Then::Rests).await;
    let half = vec![sends("HTTP/1.1 200"), Act::Close];
    check("closed within the head", half, Then::Rests).await;
    check(
        "reset after the head",
        vec![sends(length.clone()), Act::Reset],
        Then::Rests,
    )
    .await;
    let part = vec![
        sends(format!("{chunked}d\r\nuser-agent: *\r\n")),
        Act::Close,
    ];
    check("closed between chunks", part, Then::Rests).await;
    check(
        "silent after the head",
        vec![sends(length), Act::Hang],
        Then::Rests,
    )
    .await;
    check("silent", vec![Act::Hang], Then::Rests).await;
    let spoilt = answer("200 OK", "content-encoding: gzip\r\n", FORBIDS);
    check("not the coding that it says", spoilt, Then::Rests).await;
    let unknown = answer("200 OK", "content-encoding: rot13\r\n", FORBIDS);
    check("a coding that nobody knows", unknown, Then::Rests).await;
}

#[actix::test]
async fn a_file_is_read_however_it_comes() {
    let head = "HTTP/1.1 200 OK\r\n";
    let to_the_end = vec![
        sends(format!("HTTP/1.0 200 OK\r\n\r\n{FORBIDS}")),
        Act::Close,
    ];
    check("to the connection's end", to_the_end, Then::Denied).await;
    let (first, second) = FORBIDS.split_at(9);
    let chunks = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    check("in chunks", vec![sends(chunks)], Then::Denied).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(FORBIDS.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut coded = format!(
        "{head}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        gzip.len()
    )
    .into_bytes();
    coded.extend(gzip);
    check("coded", vec![sends(coded)], Then::Denied).await;
    let html = answer(
        "200 OK",
        "content-type: text/html\r\n",
        "<!doctype html><title>404</title><p>Not here",
    );
    check("a page in its place says nothing", html, Then::Fetched).await;
    let typed = answer("200 OK", "content-type: image/png\r\n", FORBIDS);
    check("whatever its type says", typed, Then::Denied).await;
    let marked = answer("200 OK", "", "\u{feff}user-agent: *\r\ndisallow: /a");
    check("with a mark", marked, Then::Denied).await;
}

#[actix::test]
async fn an_endless_file_is_read_to_its_limit() {
    let line = "# an endless file goes on and on\n";
    let piece = line.repeat(2 * BODY_MAX / line.len());
    let rules = |before: &str, after: &str| {
        let text = format!("HTTP/1.1 200 OK\r\n\r\nuser-agent: *\n{before}{piece}{after}");
        vec![sends(text), Act::Hang]
    };
    check(
        "a rule within it",
        rules("disallow: /a\n", ""),
        Then::Denied,
    )
    .await;
    check(
        "a rule beyond it",
        rules("", "disallow: /a\n"),
        Then::Fetched,
    )
    .await;
}

#[actix::test]
async fn a_redirect_that_leads_nowhere_is_no_file() {
    let to = |location: &str| answer("302 Found", &format!("location: {location}\r\n"), "");
    check("to itself, for ever", to("/robots.txt"), Then::Fetched).await;
    check("to no place", answer("301 Moved", "", ""), Then::Fetched).await;
    check(
        "to another scheme",
        to("ftp://a.test/robots.txt"),
        Then::Fetched,
    )
    .await;
    check("to no URL", to("http://"), Then::Fetched).await;
    check("to a page", to("/elsewhere"), Then::Fetched).await;
}

#[actix::test]
async fn each_port_of_a_host_has_its_own_file() {
    let closed = site_with_robots(FORBIDS).await;
    let open = site_with_robots("").await;
    pause_time();
    let says = Says {
        extend: Some(TERM),
        ..Says::default()
    };
    let ring = Ring::new(says);
    let (clock, ports) = (still(), [closed.at.port(), open.at.port()]);
    let parts = ring.parts(
        FetcherConfig::default(),
        CrawlConfig::default(),
        &clock,
        &ports,
    );
    let bench = Bench {
        ring,
        fetcher: Fetcher::build(parts).unwrap(),
        clock,
    };
    bench
        .run(lease(&[closed.url("/a"), open.url("/a"), closed.url("/b")]))
        .await;
    assert_eq!(
        bench.ring.settled().await,
        [
            done(0, Outcome::RobotsDenied),
            done(1, Outcome::Ok),
            done(2, Outcome::Ok)
        ]
    );
    assert_eq!(closed.paths(), ["/robots.txt", "/b"]);
    assert_eq!(open.paths(), ["/robots.txt", "/a"]);
}

#[actix::test]
async fn a_mining_crawl_asks_for_tdmrep_once_a_day_and_before_any_page() {
    use contract::rights::Purpose;
    const RESERVED: &str = r#"[{"location":"/a","tdm-reservation":1}]"#;
    async fn paths(
        purpose: Purpose,
        robots: &'static str,
        leases: usize,
    ) -> (Vec<String>, Vec<String>) {
        let site = Site::start(move |path, _| match path {
            "/robots.txt" => page(robots),
            "/.well-known/tdmrep.json" => page(RESERVED),
            _ => page("x"),
        })
        .await;
        let says = Says {
            extend: Some(TERM),
            ..Says::default()
        };
        let bench = Bench::with(site.at.port(), still(), says, |_, crawl| {
            crawl.agent.purpose = purpose
        });
        let origin = Origin::of(&Url::parse(&site.url("/")).unwrap()).unwrap();
        for _ in 0..leases {
            let mut lease = lease_of(&site, &["/a"]);
            let answer = RobotsAnswer::File(robots.as_bytes().into());
            lease.robots = vec![(
                origin.clone(),
                robots::record(answer, MINUTE, 0, bench.clock.wall()),
            )];
            bench.run(lease).await;
        }
        let pages = bench.ring.pages().await;
        let said = pages
            .iter()
            .flat_map(|page| &page.said)
            .map(ToString::to_string);
        (site.paths(), said.collect())
    }
    let (asked, said) = paths(Purpose::Archive, "", 1).await;
    assert_eq!((asked, said), (vec!["/a".to_owned()], vec![]));
    let (asked, said) = paths(Purpose::AiTrain, "", 2).await;
    assert_eq!(asked, ["/.well-known/tdmrep.json", "/a", "/a"]);
    assert_eq!(said, ["tdmrep.json: tdm-reservation=1"; 2]);
    let forbidden = "user-agent: *\ncontent-signal: ai-train=no\ndisallow: /.well-known/";
    let (asked, said) = paths(Purpose::AiTrain, forbidden, 1).await;
    assert_eq!(asked, ["/a"]);
    assert_eq!(said, ["robots.txt:2 content-signal: ai-train=no"]);
}

//! The origin against a small crawler of the test's own: what is served is what the formula says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use url::Url;

use super::*;
use crate::answer::{Fault, Framing};
use crate::audit;
use crate::tls::Authority;
use crate::until;

const SOON: Duration = Duration::from_secs(10);

/// One request on a connection of its own; the answer's bytes up to the end of the connection.
fn raw(address: SocketAddr, host: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: probe\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// Status, head and unframed body.
fn get(address: SocketAddr, host: &str, path: &str) -> (u16, String, String) {
    let text = String::from_utf8(raw(address, host, path)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if header(head, "transfer-encoding") == Some("chunked") {
        dechunked(body)
    } else {
        body.to_owned()
    };
    (status, head.to_owned(), body)
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole += &rest[..size];
        body = &rest[size + 2..];
    }
}

fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(close).map(|(found, _)| found))
}

/// Crawls politely by the simplest means: one request at a time, robots rules by prefix, flaky pages again.
fn crawl(origin: &Origin) -> (BTreeMap<String, u16>, BTreeSet<String>) {
    let address = SocketAddr::from(([127, 0, 0, 1], origin.port()));
    let mut done = BTreeMap::new();
    let mut refused = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut due = VecDeque::from([Url::parse(&origin.home()).unwrap()]);
    while let Some(mut url) = due.pop_front() {
        url.set_fragment(None);
        let host = url.host_str().unwrap().to_owned();
        if hosts.insert(host.clone()) {
            let (_, _, robots) = get(address, &host, "/robots.txt");
            let sitemap = robots
                .lines()
                .find_map(|line| line.strip_prefix("Sitemap: "))
                .unwrap();
            let (_, _, sitemap) = get(address, &host, Url::parse(sitemap).unwrap().path());
            due.extend(between(&sitemap, "<loc>", "</loc>").map(|loc| Url::parse(loc).unwrap()));
        }
        if url.path().starts_with("/private/") {
            refused.insert(url.to_string());
            continue;
        }
        if done.get(url.as_str()).is_some_and(|&status| status != 503) {
            continue;
        }
        let (status, head, body) = get(address, &host, url.path());
        done.insert(url.to_string(), status);
        match status {
            503 => due.push_back(url),
            301 => due.push_back(url.join(header(&head, "location").unwrap()).unwrap()),
            _ => due.extend(between(&body, "href=\"", "\"").map(|href| url.join(href).unwrap())),
        }
    }
    (done, refused)
}

#[test]
fn a_crawler_finds_exactly_the_truth() {
    let origin = Site::of(Web {
        hosts: 3,
        ..Web::default()
    })
    .start()
    .unwrap();
    let truth = origin.truth(|_| true);
    let (done, refused) = crawl(&origin);
    assert_eq!(done, truth.pages);
    assert_eq!(refused, truth.forbidden);

    let log = origin.log();
    assert!(audit::coverage(&log, &truth).is_exact());
    assert_eq!(audit::overlaps(&log), []);
    assert_eq!(audit::repeats(&log), 0);
    assert!(
        log.iter()
            .all(|entry| entry.agent == "probe" && entry.whole && entry.end.is_some())
    );
}

#[test]
fn a_connection_is_kept_and_each_host_has_its_address() {
    let origin = Site::of(Web {
        hosts: 2,
        ..Web::default()
    })
    .on_own_addresses()
    .start()
    .unwrap();
    let address = SocketAddr::from((loopback::address_of("h1.zoo.test"), origin.port()));
    let mut stream = TcpStream::connect(address).unwrap();
    for n in 0..3 {
        write!(
            stream,
            "GET /gone/{n}.html HTTP/1.1\r\nHost: h1.zoo.test:{}\r\n\r\n",
            origin.port()
        )
        .unwrap();
        let mut bytes = [0; 4_096];
        let mut text = String::new();
        while !text.ends_with("gone\n") && !text.ends_with("0\r\n\r\n") {
            let got = stream.read(&mut bytes).unwrap();
            text += std::str::from_utf8(&bytes[..got]).unwrap();
        }
        assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
    }
    let peers: BTreeSet<SocketAddr> = origin.log().iter().map(|entry| entry.peer).collect();
    assert_eq!((origin.requests(), peers.len()), (3, 1));
}

#[test]
fn planted_answers_come_in_turn() {
    let origin = Site::of(Web::default()).start().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], origin.port()));
    let slow = Answer {
        framing: Framing::Close,
        ..Answer::text(200, "abc")
    };
    origin.plant(
        "x.test",
        "/a",
        [Answer::text(429, "").with("Retry-After", "7"), slow],
    );
    let (status, head, _) = get(address, "x.test", "/a");
    assert_eq!((status, header(&head, "retry-after")), (429, Some("7")));
    for _ in 0..2 {
        let (status, _, body) = get(address, "x.test", "/a");
        assert_eq!((status, body.as_str()), (200, "abc"));
    }
    origin.plant(
        "x.test",
        "/cut",
        [Answer::text(200, "abcdef").broken(Fault::CutAfter(3))],
    );
    assert!(raw(address, "x.test", "/cut").ends_with(b"\r\n\r\nabc"));
    origin.plant("x.test", "/none", [Answer::verbatim("")]);
    assert_eq!(raw(address, "x.test", "/none"), b"");
}

#[test]
fn a_request_ends_when_its_client_leaves() {
    let origin = Site::of(Web::default()).start().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], origin.port()));
    origin.plant(
        "x.test",
        "/never",
        [Answer::text(200, "").broken(Fault::Silence)],
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /never HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .unwrap();
    until("the request", SOON, || {
        (origin.requests() == 1).then_some(())
    });
    assert_eq!(origin.log()[0].end, None);
    drop(stream);
    let entry = until("its end", SOON, || {
        origin.log().pop().filter(|entry| entry.end.is_some())
    });
    assert!(!entry.whole);
}

#[test]
fn two_clients_at_once_are_an_overlap() {
    let origin = Site::of(Web::default()).start().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], origin.port()));
    origin.plant(
        "x.test",
        "/slow",
        [Answer::text(200, "").after(Duration::from_millis(100))],
    );
    std::thread::scope(|scope| {
        scope.spawn(|| raw(address, "x.test", "/slow"));
        until("the first", SOON, || (origin.requests() == 1).then_some(()));
        scope.spawn(|| raw(address, "x.test", "/slow"));
    });
    assert_eq!(audit::overlaps(&origin.log()).len(), 1);
}

#[test]
fn it_speaks_tls_and_its_port_is_free_again() {
    let authority = Authority::new().unwrap();
    let web = Web {
        hosts: 1,
        ..Web::default()
    };
    let origin = Site::of(web)
        .with_tls(authority.server().unwrap())
        .start()
        .unwrap();
    assert!(origin.home().starts_with("https://h0.zoo.test:"));
    let text = authority
        .get("h0.zoo.test", origin.port(), "/p/1.html")
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(
        origin.log()[0].url(),
        origin.url("h0.zoo.test", "/p/1.html")
    );

    let port = origin.port();
    drop(origin);
    let again = Site::of(Web::default()).on_port(port).start().unwrap();
    assert_eq!(again.port(), port);
}

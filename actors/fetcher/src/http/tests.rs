//! One exchange against raw sockets: limits, cuts, heads byte for byte.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use contract::earlier::Earlier;
use contract::outcome::Outcome;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::address::{Dial, OwnSockets};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::dns::Dns;
use crate::events::LineMeters;
use crate::testing::{Act, Site, answer, page};

struct Bench {
    exchanger: Exchanger,
    kept: RefCell<Option<Connection>>,
    cancel: Cancel,
    _dir: tempfile::TempDir,
}

const BODY_MAX: u64 = 3_000_000;
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::machine();
        let dial = Dial {
            nets: vec!["127.0.0.0/8".parse().unwrap()],
            ports: (1..=u16::MAX).collect(),
            own: OwnSockets::default(),
        };
        // A port that nobody listens at: these tests ask for address literals and for localhost.
        let dial = Arc::new(dial);
        let dns = Dns::new(Some("127.0.0.1:9".parse().unwrap()), dial.clone()).unwrap();
        let connector = Connector {
            tls: Arc::new(crate::testing::tls()),
            dns: Arc::new(dns),
            dial,
            limit: Duration::from_millis(300),
            meters: LineMeters::new(),
        };
        let ms = Duration::from_millis;
        let exchanger = Exchanger {
            clock,
            connector,
            budget: ByteBudget::new(64 << 20),
            spill: SpillDir::new(dir.path().to_owned()),
            times: Times {
                head: ms(200),
                stall: ms(200),
                answer: ms(900),
            },
        };
        Self {
            exchanger,
            kept: RefCell::default(),
            cancel: Cancel::new(),
            _dir: dir,
        }
    }

    async fn get(&self, url: &str) -> Result<Answered, FetchError> {
        self.refresh(url, None).await
    }

    async fn refresh(&self, url: &str, earlier: Option<&Earlier>) -> Result<Answered, FetchError> {
        let clock = &self.exchanger.clock;
        let url = Url::parse(url).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let lines = Lines::of(&url, headers)?;
        let ask = Ask {
            url: &url,
            lines: &lines,
            earlier,
            page: Deadline::new(clock, Layer::Page, Duration::from_secs(60)),
            cancel: &self.cancel,
            not_after: clock.boot().after(Duration::from_secs(90)),
            wanted: Wanted::Whole(BODY_MAX),
            held: self.exchanger.budget.reserve().await,
        };
        let mut kept = self.kept.take();
        let answered = self.exchanger.run(&mut kept, ask).await;
        self.kept.replace(kept);
        answered
    }
}

fn text(answered: &Answered) -> String {
    let mut all = Vec::new();
    answered
        .exchange
        .body
        .for_each(|piece| {
            all.extend_from_slice(piece);
            ControlFlow::Continue(())
        })
        .unwrap();
    String::from_utf8(all).unwrap()
}

fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_refresh_asks_for_what_differs_and_its_head_is_kept_as_sent() {
    let site = Site::start(|_, _| answer("304 Not Modified", "etag: \"1\"\r\n", "")).await;
    let bench = Bench::new();
    let mut earlier = Earlier {
        etag: Some("W/\"1\"".into()),
        modified: Some("Mon, 24 Nov 2025 16:00:00 GMT".into()),
        ..Earlier::default()
    };
    let (tag, date) = (
        "if-none-match: W/\"1\"\r\n",
        "if-modified-since: Mon, 24 Nov 2025 16:00:00 GMT\r\n",
    );
    for (has_tag, has_date) in [(true, true), (false, true), (false, false)] {
        earlier.etag = earlier.etag.filter(|_| has_tag);
        earlier.modified = earlier.modified.filter(|_| has_date);
        let answered = bench.refresh(&site.url("/"), Some(&earlier)).await.unwrap();
        assert_eq!(answered.exchange.status, 304);
        let head = site.seen().last().unwrap().head.clone();
        assert_eq!(head.as_bytes(), answered.exchange.request_head);
        assert_eq!(
            (head.contains(tag), head.contains(date)),
            (has_tag, has_date),
            "{head}"
        );
    }
}

#[tokio::test]
async fn an_answer_is_kept_as_it_came() {
    let site = Site::start(|path, _| match path {
        "/odd" => answer("404 Gone Fishing", "x-a: \u{e9}\r\n", "no"),
        "/none" => vec![send("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n")],
        "/chunked" => vec![send(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )],
        "/coded" => answer("200 OK", "content-encoding: gzip\r\n", "not really gzip"),
        "/close" => vec![send("HTTP/1.0 200 OK\r\n\r\nuntil the end"), Act::Close],
        _ => page("hello"),
    })
    .await;
    let bench = Bench::new();
    let first = bench.get(&site.url("/a?b=c#d")).await.unwrap();
    assert_eq!(
        (
            text(&first).as_str(),
            first.exchange.cut,
            first.exchange.status.as_u16()
        ),
        ("hello", None, 200)
    );
    assert_eq!(first.exchange.reason, b"OK");
    assert_eq!(first.exchange.remote, Some(site.at));
    assert_eq!(first.exchange.headers["content-type"], "text/html");
    // Byte for byte what came over the wire, `Host` first, no user name, no fragment.
    assert_eq!(
        String::from_utf8(first.exchange.request_head).unwrap(),
        site.seen()[0].head
    );
    assert!(site.seen()[0].head.starts_with(&format!(
        "GET /a?b=c HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n",
        site.at
    )));

    let odd = bench.get(&site.url("/odd")).await.unwrap();
    assert_eq!(
        (odd.exchange.status.as_u16(), odd.exchange.reason.as_slice()),
        (404, &b"Gone Fishing"[..])
    );
    assert_eq!(odd.exchange.headers["x-a"].as_bytes(), "\u{e9}".as_bytes());
    let none = bench.get(&site.url("/none")).await.unwrap();
    assert_eq!(
        (none.exchange.reason.as_slice(), none.exchange.body.len()),
        (&b""[..], 0)
    );
    assert_eq!(
        text(&bench.get(&site.url("/chunked")).await.unwrap()),
        "abcde"
    );
    let coded = bench.get(&site.url("/coded")).await.unwrap();
    assert_eq!(
        (
            text(&coded).as_str(),
            &coded.exchange.headers["content-encoding"] == "gzip"
        ),
        ("not really gzip", true)
    );
    let close = bench.get(&site.url("/close")).await.unwrap();
    assert_eq!(
        (text(&close).as_str(), close.exchange.version),
        ("until the end", Version::HTTP_10)
    );
    assert!(
        site.seen().iter().all(|seen| seen.connection == 0),
        "one connection served them all"
    );
}

#[tokio::test]
async fn names_and_passwords_are_not_sent() {
    let site = Site::start(|_, _| page("x")).await;
    let bench = Bench::new();
    bench
        .get(&format!("http://me:secret@localhost:{}/", site.at.port()))
        .await
        .unwrap();
    let head = site.seen()[0].head.to_ascii_lowercase();
    assert!(
        head.starts_with(&format!(
            "get / http/1.1\r\nhost: localhost:{}\r\n",
            site.at.port()
        )),
        "{head}"
    );
    assert!(
        !head.contains("authorization") && !head.contains("secret"),
        "{head}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_kept_cut() {
    let site = Site::start(|path, _| match path {
        "/declared" => page(&"x".repeat(3_000_001)),
        "/long" => vec![
            send("HTTP/1.1 200 OK\r\n\r\n"),
            send(&"x".repeat(3_000_001)),
            Act::Close,
        ],
        _ => page(&"x".repeat(3_000_000)),
    })
    .await;
    let bench = Bench::new();
    let whole = bench.get(&site.url("/")).await.unwrap();
    assert_eq!(
        (whole.exchange.body.len(), whole.exchange.cut),
        (BODY_MAX, None)
    );
    let cut = bench.get(&site.url("/long")).await.unwrap();
    assert_eq!(
        (cut.exchange.body.len(), cut.exchange.cut),
        (BODY_MAX, Some(Cut::Length))
    );
    assert!(cut.problem.is_none() && cut.exchange.body.chunks().is_none());
    let declared = bench.get(&site.url("/declared")).await.unwrap();
    assert_eq!(
        (declared.exchange.body.len(), declared.exchange.cut),
        (0, Some(Cut::Length)),
        "nothing of what is too long is read"
    );
    drop((whole, cut, declared));
    assert_eq!(bench.exchanger.budget.held(), 0);
}

#[tokio::test]
async fn what_came_of_a_broken_body_is_kept() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let site = Site::start(|path, _| match path {
        "/closed" => vec![send(HEAD), Act::Close],
        "/reset" => vec![send(HEAD), Act::Wait(Duration::from_millis(50)), Act::Reset],
        "/stalled" => vec![send(HEAD), Act::Hang],
        "/chunk" => vec![
            send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"),
            Act::Hang,
        ],
        _ => {
            // A drip that never stalls: only the whole answer's time ends it.
            let mut acts = vec![send("HTTP/1.1 200 OK\r\n\r\n")];
            acts.extend((0..100).flat_map(|_| [send("x"), Act::Wait(Duration::from_millis(50))]));
            acts
        }
    })
    .await;
    let bench = Bench::new();
    let check = async |path: &str, cut: Cut, outcome: Outcome| {
        let answered = bench.get(&site.url(path)).await.unwrap();
        let problem = answered.problem.as_ref().map(FetchError::outcome);
        assert_eq!(
            (answered.exchange.cut, problem),
            (Some(cut), Some(outcome)),
            "{path}"
        );
        text(&answered)
    };
    assert_eq!(
        check("/closed", Cut::Disconnect, Outcome::Truncated).await,
        "half"
    );
    assert_eq!(
        check("/reset", Cut::Disconnect, Outcome::Truncated).await,
        "half"
    );
    assert_eq!(
        check("/chunk", Cut::Disconnect, Outcome::Truncated).await,
        "half"
    );
    assert_eq!(
        check("/stalled", Cut::Time, Outcome::StallTimeout).await,
        "half"
    );
    assert!(
        check("/drip", Cut::Time, Outcome::AnswerTimeout)
            .await
            .starts_with("xxx")
    );
}

#[tokio::test]
async fn what_has_no_head_says_why() {
    let site = Site::start(|path, _| match path {
        "/closed" => vec![Act::Close],
        "/reset" => vec![Act::Reset],
        "/silent" => vec![Act::Hang],
        "/slow" => vec![send("HTTP/1.1 200 OK\r\n"), Act::Hang],
        "/half" => vec![send("HTTP/1.1 200 OK\r\nx-"), Act::Close],
        "/ssh" => vec![send("SSH-2.0-OpenSSH_9.7\r\n"), Act::Hang],
        "/huge" => vec![
            send("HTTP/1.1 200 OK\r\n"),
            send(&format!("a: {}\r\n\r\n", "x".repeat(1_100_000))),
            Act::Hang,
        ],
        "/interim" => vec![send(&HINT.repeat(17)), Act::Hang],
        // Each for itself is within its bounds.
        "/long-interim" => vec![
            send(&format!("HTTP/1.1 103 A\r\na: {}\r\n\r\n", "x".repeat(300_000)).repeat(4)),
            Act::Hang,
        ],
        "/switch" => vec![send("HTTP/1.1 101 A\r\nupgrade: x\r\n\r\n"), Act::Hang],
        _ => page(""),
    })
    .await;
    let bench = Bench::new();
    let check = async |url: String, outcome: Outcome| {
        let error = bench.get(&url).await.unwrap_err();
        assert_eq!(error.outcome(), outcome, "{url}: {error:?}");
    };
    check(site.url("/closed"), Outcome::ConnectionReset).await;
    check(site.url("/reset"), Outcome::ConnectionReset).await;
    check(site.url("/half"), Outcome::ConnectionReset).await;
    check(site.url("/silent"), Outcome::HeadTimeout).await;
    check(site.url("/slow"), Outcome::HeadTimeout).await;
    check(site.url("/ssh"), Outcome::ProtocolError).await;
    for path in ["/huge", "/interim", "/long-interim", "/switch"] {
        check(site.url(path), Outcome::ProtocolError).await;
    }
    // A server that speaks no TLS and says so at once.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    check(format!("https://{at}/"), Outcome::TlsFailed).await;
    check("http://127.0.0.1:9/".to_owned(), Outcome::ConnectFailed).await;
    assert_eq!(bench.exchanger.budget.held(), 0);
}

#[tokio::test]
async fn a_head_of_nearly_a_megabyte_and_a_few_hints_before_it_are_read() {
    let long = format!("a: {}\r\n", "x".repeat(1_000_000));
    let hints = HINT.repeat(16);
    let site = Site::start(move |path, _| match path {
        "/long" => answer("200 OK", &long, "x"),
        _ => [vec![send(&hints)], page("x")].concat(),
    })
    .await;
    let bench = Bench::new();
    let long = bench.get(&site.url("/long")).await.unwrap();
    assert_eq!(long.exchange.headers["a"].len(), 1_000_000);
    for _ in 0..3 {
        let hinted = bench.get(&site.url("/hinted")).await.unwrap();
        assert_eq!(hinted.exchange.status.as_u16(), 200);
        assert!(!hinted.exchange.headers.contains_key("link"));
    }
    assert!(site.seen().iter().all(|seen| seen.connection == 0));
}

/// A server whose bytes never end, and never are an answer.
async fn gush(bytes: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&bytes).await.is_ok() {}
    });
    format!("http://{at}/")
}

#[tokio::test]
async fn an_endless_flood_ends_by_its_bytes() {
    let mut bench = Bench::new();
    bench.exchanger.times.head = Duration::from_secs(60);
    bench.exchanger.times.answer = Duration::from_secs(60);
    for bytes in [&b"\r\n"[..], HINT.as_bytes(), b"HTTP/1.1 100 A\r\n\r\n"] {
        let url = gush(bytes.repeat(500)).await;
        let error = bench.get(&url).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::ProtocolError, "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_never_stands_is_a_connect_timeout() {
    // A listener whose queue is full takes no connection and refuses none.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let at = full.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(tokio::spawn(tokio::net::TcpStream::connect(at)));
    }
    let connected = tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>());
    let _time_for_the_queue_to_fill = connected.await;
    let error = Bench::new()
        .get(&format!("http://{at}/"))
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::ConnectTimeout, "{error:?}");
}

#[tokio::test]
async fn a_cancel_ends_it_at_any_point() {
    let site = Site::start(|path, _| match path {
        "/body" => vec![
            send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
            Act::Hang,
        ],
        _ => vec![Act::Hang],
    })
    .await;
    for path in ["/head", "/body"] {
        let bench = Bench::new();
        let (url, cancel) = (site.url(path), bench.cancel.clone());
        let (answer, ()) = tokio::join!(bench.get(&url), async { cancel.cancel("operator") });
        assert_eq!(answer.unwrap_err().outcome(), Outcome::Cancelled);
    }
}

#[tokio::test]
async fn a_connection_that_stands_after_the_lease_carries_nothing() {
    let site = Site::start(|_, _| page("x")).await;
    let bench = Bench::new();
    let url = Url::parse(&site.url("/")).unwrap();
    let clock = &bench.exchanger.clock;
    let lines = Lines::of(&url, HeaderMap::new()).unwrap();
    let ask = Ask {
        url: &url,
        lines: &lines,
        earlier: None,
        page: Deadline::new(clock, Layer::Page, Duration::from_secs(60)),
        cancel: &bench.cancel,
        not_after: Boot(clock.boot().0 - 1),
        wanted: Wanted::Whole(BODY_MAX),
        held: bench.exchanger.budget.reserve().await,
    };
    let error = bench.exchanger.run(&mut None, ask).await.unwrap_err();
    assert!(matches!(error, FetchError::LeaseOver(_)), "{error:?}");
    assert!(site.seen().is_empty());
}

//! What a person and a monitor see while a crawl runs and when it ends.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use kit::until;
use kit::web::Web;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::crawl::{ARGIOPE, Crawl, PATIENCE, clean, ended};
use crate::stand::Stand;

fn small() -> (Stand, Crawl) {
    let stand = Stand::of(Web {
        flaky_every: 0,
        ..Web::default()
    });
    let crawl = stand.crawl().seed(&stand.origin.home());
    (stand, crawl)
}

#[test]
fn log_lines_are_json_when_asked_for_and_quiet_is_quiet() {
    let (_stand, crawl) = small();
    let told = crawl.ends_with(&["--delay", "0", "--log-format", "json"], 0);
    let lines: Vec<Value> = told
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "frontier opened"),
        "{}",
        told.err
    );
    assert!(told.out.contains("pages kept"), "{}", told.out);
    let quiet = crawl.ends_with(&["--overwrite", "--delay", "0", "--quiet"], 0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn progress_says_how_far_it_is_and_what_it_waits_for() {
    let (_stand, crawl) = small();
    let running = crawl.start(&["--delay", "2s"]);
    let line = running
        .wait_line(PATIENCE, |line| line.contains("waiting for the delay of"))
        .unwrap();
    for word in [
        "crawling:",
        "known",
        "queued",
        "pages/s",
        "h0.zoo.test",
        "ETA",
    ] {
        assert!(line.contains(word), "no {word:?} in {line:?}");
    }
    running.signal(Signal::SIGINT).unwrap();
    let told = ended(running, 11);
    assert!(
        told.out.contains("the same command goes on"),
        "{}",
        told.out
    );
}

#[test]
fn whoever_reads_the_output_may_leave_early() {
    let (_stand, crawl) = small();
    crawl.ends_with(&["--delay", "0"], 0);
    let folder = crawl.output().to_str().unwrap();
    let commands: [&[&str]; 3] = [
        &["verify", folder],
        &[
            "url",
            "canonicalize",
            "http://zoo.test/a",
            "http://zoo.test/b",
        ],
        &["--help"],
    ];
    for words in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = clean(ARGIOPE);
        let told = command.args(words).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&told.stderr);
        assert_eq!((told.status.code(), &*err), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn metrics_are_served_where_asked() {
    let (stand, crawl) = small();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let running = crawl.start(&["--delay", "200ms", "--metrics-listen", &address.to_string()]);
    until("requests", PATIENCE, || {
        (stand.origin.requests() > 3).then_some(())
    });
    let text = get(address, "/metrics");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("# TYPE argiope_"), "{text}");
    // Named after the folder; what a room counts and what the process holds.
    for name in ["argiope_frontier_known", "argiope_actors", "argiope_leases"] {
        let row = format!("\n{name}{{crawl=\"");
        assert!(text.contains(&row), "no {name}: {text}");
    }
    assert!(
        text.contains("\nargiope_process_open_warc_files 1\n"),
        "{text}"
    );
    // Several requests go by one connection.
    let value = |row: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(row));
        line.unwrap_or_else(|| panic!("no {row}: {text}"))
            .parse()
            .unwrap()
    };
    let made = value("argiope_fetcher_handshakes_total{layer=\"tcp\"} ");
    let open = value("argiope_fetcher_connections ");
    let requests = stand.origin.requests();
    assert!(
        made >= 1.0 && made < requests as f64 && open <= made,
        "{requests} requests, {made} made, {open} open"
    );
    let health = get(address, "/health");
    assert!(health.contains("\"name\":\"argiope_tasks\""), "{health}");
    assert!(get(address, "/api/v1/status").starts_with("HTTP/1.1 404"));
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 11);
}

/// The whole answer to a request.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

//! The readers by themselves: commands that answer cases by the line, as people's scripts and test suites drive them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use kit::answer::Answer;

use crate::crawl::{ARGIOPE, CONTACT, argiope};
use crate::stand::Stand;

/// Answers to the cases, in their order, and the exit code.
fn answers(words: &[&str], cases: &[Value]) -> (Vec<Value>, i32) {
    let mut child = Command::new(ARGIOPE)
        .args(words)
        .arg("--jsonl")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    writer.join().unwrap().unwrap();
    let answers = out.lines().map(|line| serde_json::from_str(line).unwrap());
    (answers.collect(), child.wait().unwrap().code().unwrap())
}

/// web-platform-tests' own table, as the `url` crate ships it.
const WPT: &str = include_str!("../corpus/url/urltestdata.json");

#[test]
fn urls_are_parsed_by_the_standard() {
    let table: Vec<Value> = serde_json::from_str(&lone_surrogates_replaced(WPT)).unwrap();
    let rows: Vec<Value> = table.into_iter().filter(Value::is_object).collect();
    assert!(rows.len() > 700, "{} rows", rows.len());
    let (answers, code) = answers(&["url", "parse"], &rows);
    assert_eq!((answers.len(), code), (rows.len(), 0));
    let mut wrong = Vec::new();
    for (row, answer) in rows.iter().zip(&answers) {
        let parts = [
            "href", "origin", "protocol", "username", "password", "host", "hostname", "port",
            "pathname", "search", "hash", "failure",
        ];
        let differs = parts
            .iter()
            .filter(|part| row.get(**part).is_some())
            .any(|part| row.get(*part) != answer.get(*part));
        if differs || row.get("failure").is_some() != answer.get("failure").is_some() {
            wrong.push(format!("{} on {}", row["input"], row["base"]));
        }
    }
    // The crate's own list of what it gets wrong (its tests/expected_failures.txt): nothing that a crawl could dial.
    let is_of_files = |row: &String| row.contains("file:") || row.starts_with("\"non-special:/.//");
    let others: Vec<_> = wrong.iter().filter(|row| !is_of_files(row)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(wrong.len(), 36, "{wrong:#?}");
}

/// The table has escapes of half a surrogate pair, which this test's JSON reader refuses; the standard's parser takes
/// them for U+FFFD.
fn lone_surrogates_replaced(json: &str) -> String {
    json.replace(r"\uD800\uD801\uDFFE\uDFFF", r"\uFFFD\uD801\uDFFE\uFFFD")
}

#[test]
fn robots_are_asked_by_the_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, b"user-agent: *\ndisallow: /\xe9\ncrawl-delay: 2\n").unwrap();
    let path = file.path().to_str().unwrap();
    let robots = "sitemap: https://a.test/s.xml\nuser-agent: a\nallow: /x/y\ndisallow: /x\n";
    let cases = [
        json!({ "id": 1, "text": robots, "agent": "A/2", "url": "https://a.test/x/y" }),
        json!({ "id": 2, "robots": robots, "agent": "b", "urls": ["/x", "a.test/y?z"] }),
        json!({ "id": 3, "file": path, "url": "/%E9" }),
        json!({ "id": 4, "url": "/x" }),
        json!({ "id": 5, "base64": "ZGlzYWxsb3c6IC8=", "url": "http://" }),
    ];
    let (answers, code) = answers(&["robots"], &cases);
    assert_eq!(code, 4);
    let want = json!({ "id": 1, "url": "https://a.test/x/y", "allowed": true, "line": 3, "rule": "Allow: /x/y",
        "delay": null, "sitemaps": ["https://a.test/s.xml"], "signals": [], "licenses": [] });
    assert_eq!(answers[0], want);
    let free = |url: &str| json!({ "url": url, "allowed": true, "line": null, "rule": null });
    assert_eq!(
        answers[1]["verdicts"],
        json!([free("/x"), free("a.test/y?z")])
    );
    assert_eq!(
        (&answers[2]["allowed"], &answers[2]["delay"]),
        (&json!(false), &json!(2.0))
    );
    let error = |n: usize| answers[n]["error"].as_str().unwrap();
    assert!(error(3).starts_with("no document"), "{}", error(3));
    assert!(
        error(4).contains("neither a URL nor a path"),
        "{}",
        error(4)
    );

    let shown = crate::crawl::argiope(&["robots", path, "/%e9?x", "/y"], 0);
    assert_eq!(
        shown.out,
        "denied /%e9?x by line 2: Disallow: /\u{fffd}\nallowed /y: no rule matches\ndelay 2 s\n"
    );
    let stand = Stand::bare();
    let (port, dns) = (
        stand.origin.port().to_string(),
        stand.dns.address().to_string(),
    );
    let fetched = |host: &str, status: u16, text: &str| {
        stand
            .origin
            .plant(host, "/robots.txt", [Answer::text(status, text)]);
        let url = stand.origin.url(host, "/robots.txt");
        let network = [
            "--allow-net",
            "127.0.0.0/8",
            "--allow-port",
            &port,
            "--dns",
            &dns,
        ];
        let words = [&["robots", &url, "/x", "--contact", CONTACT], &network[..]].concat();
        let said = crate::crawl::argiope(&words, 0).out;
        said.strip_prefix(&format!("from {url}\n"))
            .unwrap()
            .to_owned()
    };
    let rules = "user-agent: *\ndisallow: /";
    assert_eq!(
        fetched("a.test", 200, rules),
        "denied /x by line 2: Disallow: /\n"
    );
    let none =
        "answered with 404: there is none, everything is allowed\nallowed /x: no rule matches\n";
    assert_eq!(fetched("b.test", 404, rules), none);
    let closed = "answered with 503: everything is disallowed until it can be had\ndenied /x\n";
    assert_eq!(fetched("c.test", 503, ""), closed);
    stand
        .origin
        .plant("d.test", "/robots.txt", [Answer::verbatim([])]);
    let dead = stand.origin.url("d.test", "/robots.txt");
    let network = [
        "--contact",
        CONTACT,
        "--allow-net",
        "127.0.0.0/8",
        "--allow-port",
        &port,
        "--dns",
        &dns,
    ];
    let said = crate::crawl::argiope(&[&["robots", &dead, "/x"], &network[..]].concat(), 0).out;
    assert!(
        said.ends_with(": everything is disallowed until it can be had\ndenied /x\n"),
        "{said}"
    );
    let missing = crate::crawl::argiope(&["robots", "/no/such/file", "/y"], 4);
    assert!(crate::crawl::sentence(&missing).contains("/no/such/file"));
}

#[test]
fn a_driver_may_wait_for_every_answer() {
    let mut child = Command::new(ARGIOPE)
        .args(["url", "resolve", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for n in 0..3 {
        let case = json!({ "id": n, "base": "http://a.test/b/", "ref": format!("../{n}") });
        writeln!(input, "{case}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            answer,
            json!({ "id": n, "href": format!("http://a.test/{n}") })
        );
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_bad_line_shows_in_the_exit_code() {
    let cases = [
        json!({ "id": "a", "url": "http://A.test:80/%7eb?" }),
        json!({ "id": "b" }),
        json!({ "id": "c", "url": "a.test" }),
    ];
    let (answers, code) = answers(&["url", "canonicalize"], &cases);
    assert_eq!(code, 4);
    assert_eq!(
        answers[0],
        json!({ "id": "a", "canonical": "http://a.test/~b", "host": "a.test", "domain": "a.test" })
    );
    assert_eq!(answers[1]["id"], "b");
    assert!(
        answers[1]["error"]
            .as_str()
            .unwrap()
            .contains("missing field `url`")
    );
    assert_eq!(
        answers[2],
        json!({ "id": "c", "failure": true, "reason": "relative URL without a base" })
    );
}

#[test]
fn a_sitemap_is_read_from_text_bytes_or_file() {
    let xml = "<urlset><url><loc>/a?b=1&amp;c=2</loc><lastmod>2026-01-02T03:04+01:00</lastmod>\
               <priority>0.5</priority></url></urlset>";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sitemap.xml.gz");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(xml.as_bytes()).unwrap();
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    let utf16: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base = "http://a.test/sitemap.xml";
    let cases = [
        json!({ "base": base, "text": xml }),
        json!({ "base": base, "file": path }),
        json!({ "base": base, "base64": data_encoding::BASE64.encode(&utf16) }),
    ];
    let (answers, code) = answers(&["sitemap"], &cases);
    assert_eq!(code, 0);
    for answer in answers {
        let entry = json!({
            "loc": "http://a.test/a?b=1&c=2",
            "lastmod": "2026-01-02T03:04+01:00",
            "lastmod_utc": "2026-01-02T02:04:00Z",
            "priority": 0.5,
        });
        assert_eq!(answer["kind"], "urlset");
        assert_eq!(answer["entries"], json!([entry]));
        assert_eq!(
            answer["links"],
            json!([{ "url": "http://a.test/a?b=1&c=2", "kind": "page" }])
        );
        assert_eq!(answer["problems"], json!([]));
    }
}

#[test]
fn a_document_at_a_url_is_fetched_under_a_crawls_rules() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let answers = [
            "HTTP/1.1 301 Moved\r\nLocation: /feed/atom.xml\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            {
                let feed = "<feed><entry><link href='1'/></entry></feed>";
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{feed}", feed.len())
            },
        ];
        answers.map(|answer| {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(socket.try_clone().unwrap());
            while lines.read_line(&mut head).unwrap() > 2 {}
            socket.write_all(answer.as_bytes()).unwrap();
            head.lines().next().unwrap().to_owned()
        })
    });
    let url = format!("http://127.0.0.1:{port}/feed");
    let refused = argiope(&["sitemap", &url], 4);
    assert!(
        refused.err.contains(&format!("--allow-port {port}")),
        "{}",
        refused.err
    );
    let refused = argiope(&["sitemap", "http://a.test/"], 4);
    assert!(refused.err.contains("--contact"), "{}", refused.err);
    let allowed = ["--allow-net", "127.0.0.0/8", "--allow-port", &port];
    let read = argiope(&[&["sitemap", &url][..], &allowed].concat(), 0);
    let report: Value = serde_json::from_str(&read.out).unwrap();
    assert_eq!(report["kind"], "atom");
    assert_eq!(
        report["entries"][0]["link"],
        format!("http://127.0.0.1:{port}/feed/1")
    );
    assert_eq!(
        server.join().unwrap(),
        ["GET /feed HTTP/1.1", "GET /feed/atom.xml HTTP/1.1"]
    );
}

#[test]
fn a_pipe_that_is_closed_ends_the_run_quietly() {
    let mut child = Command::new(ARGIOPE)
        .args(["url", "resolve", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // Its end may come before the last of these lines is written.
    let _ended = input.write_all(&b"{\"base\":\"http://a.test/\",\"ref\":\"x\"}\n".repeat(1_000));
    drop(input);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn links_are_told_with_their_place() {
    let html = "<title>T</title><base href=/b/><a href='x#y' rel=nofollow>x</a><a href='mailto:a@b.test'></a>\
                <a href='http://['></a><form action=f></form><p data-src=d>";
    let headers = json!({ "Link": ["<h>; rel=next", "<s>; rel=stylesheet"] });
    let cases = [
        json!({ "id": 1, "text": html, "base": "http://a.test/p", "headers": headers, "attributes": ["data-src"] }),
        json!({ "id": 2, "text": html, "base": "http://a.test/p", "content_type": "text/plain" }),
        json!({ "id": 3, "text": html, "base": "p" }),
        json!({ "id": 4, "base64": "PGEgaHJlZj0nP+knPg==", "base": "http://a.test/", "content_type": "text/html;charset=latin1" }),
    ];
    let (answers, code) = answers(&["links"], &cases);
    assert_eq!(code, 4);
    let link = |url, raw, element, attribute, kind| json!({ "url": url, "raw": raw, "element": element, "attribute": attribute, "kind": kind });
    let with = |mut link: Value, more: Value| {
        let more = more.as_object().unwrap().clone();
        link.as_object_mut().unwrap().extend(more);
        link
    };
    assert_eq!(
        answers[0],
        json!({
            "id": 1, "kind": "html", "mime": "text/html", "encoding": "UTF-8", "encoding_by": "header",
            "base": "http://a.test/b/", "title": "T",
            "links": [
                with(link("http://a.test/h", "h", "header", "link", "page"), json!({ "rel": "next" })),
                with(link("http://a.test/s", "s", "header", "link", "embed"), json!({ "rel": "stylesheet" })),
                with(
                    link("http://a.test/b/x#y", "x#y", "a", "href", "page"),
                    json!({ "rel": "nofollow", "nofollow": true }),
                ),
                with(
                    link("mailto:a@b.test", "mailto:a@b.test", "a", "href", "page"),
                    json!({ "outcome": "unsupported_scheme" }),
                ),
                json!({
                    "url": null, "raw": "http://[", "element": "a", "attribute": "href", "kind": "page",
                    "outcome": "invalid_url",
                }),
                link("http://a.test/b/d", "d", "p", "data-src", "embed"),
            ],
            "not_followed": [with(link("http://a.test/b/f", "f", "form", "action", "page"), json!({ "why": "form" }))],
        })
    );
    assert_eq!(
        answers[1],
        json!({
            "id": 2, "kind": "text", "mime": "text/plain", "base": "http://a.test/p", "links": [], "not_followed": [],
        })
    );
    assert_eq!(answers[2]["id"], 3);
    assert!(
        answers[2]["error"]
            .as_str()
            .unwrap()
            .starts_with("base \"p\": ")
    );
    assert_eq!(answers[3]["links"][0]["url"], "http://a.test/?%E9");
}

#[test]
fn a_charset_is_told_with_who_said_so() {
    let base64 = |bytes: &[u8]| json!(data_encoding::BASE64.encode(bytes));
    let cases = [
        json!({ "base64": base64(b"\xEF\xBB\xBFa"), "content_type": "text/html; charset=koi8-r" }),
        json!({ "base64": base64(b"<meta charset=big5>"), "content_type": "text/html; charset=\"koi8-r\"" }),
        json!({ "base64": base64(b"<meta charset=utf-16>\xFF") }),
        json!({ "text": "é" }),
        json!({ "base64": base64(b"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0?"), "tld": "ru" }),
    ];
    let (answers, code) = answers(&["charset"], &cases);
    assert_eq!(code, 0);
    let told = |encoding, by, bom, malformed| json!({ "encoding": encoding, "by": by, "bom": bom, "malformed": malformed });
    assert_eq!(answers[0], told("UTF-8", "bom", true, false));
    assert_eq!(answers[1], told("KOI8-R", "header", false, false));
    assert_eq!(answers[2], told("UTF-8", "declaration", false, true));
    assert_eq!(answers[3], told("UTF-8", "valid", false, false));
    assert_eq!(
        (&answers[4]["encoding"], &answers[4]["by"]),
        (&json!("windows-1251"), &json!("guess"))
    );
    let confidence = answers[4]["confidence"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&confidence), "{confidence}");
}

//! `kit-origin` as a test or timing uses it: started, asked, ended by the end of its input.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use kit::{log, until};

#[test]
fn it_says_where_it_listens_logs_and_ends_with_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kit-origin"))
        .arg("--log")
        .arg(&log)
        .arg(r#"{"hosts":2,"suffix":"farm.test"}"#)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = u16::try_from(said["port"].as_u64().unwrap()).unwrap();
    assert_eq!(said["home"], format!("http://h0.farm.test:{port}/"));

    let resolver = said["dns"].as_str().unwrap().parse().unwrap();
    let (_, addresses) = kit::dns::ask(resolver, "h1.farm.test", Duration::from_secs(5)).unwrap();
    let mut stream = TcpStream::connect((addresses[0], port)).unwrap();
    stream
        .write_all(b"GET /robots.txt HTTP/1.1\r\nHost: h1.farm.test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("Disallow: /private/"), "{text}");

    let entry: log::Entry = until("the log's line", Duration::from_secs(5), || {
        let text = std::fs::read_to_string(&log).ok()?;
        serde_json::from_str(text.lines().next()?).ok()
    });
    assert_eq!(
        (entry.url(), entry.status),
        (format!("http://h1.farm.test:{port}/robots.txt"), 200)
    );
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

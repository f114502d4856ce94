//! Heads: floods, forgeries, and what is no HTTP at all.

use kit::hostile::heads::{
    dripped, endless_lines, endless_status, interim, long_line, many_lines, with,
};
use kit::hostile::{Script, Step};
use std::time::Duration;

use super::{case, survive};

#[test]
fn heads_that_harm() {
    let page = "Content-Type: text/html\r\nContent-Length: 12\r\n\r\n<p>there</p>";
    let after = survive(vec![
        case("long-line", long_line(900_000), "ok"),
        case("too-long-line", long_line(2_000_000), "protocol_error"),
        case("many-lines", many_lines(200), "ok"),
        case("too-many-lines", many_lines(100_000), "protocol_error"),
        case("endless-status", endless_status(), "protocol_error"),
        case("endless-lines", endless_lines(), "protocol_error"),
        case("interim", interim(Some(16)), "ok"),
        case("much-interim", interim(Some(17)), "protocol_error"),
        case("endless-interim", interim(None), "protocol_error"),
        case(
            "head-drip",
            dripped(Duration::from_millis(200)),
            "head_timeout",
        ),
        case("silence", Script::silence(), "head_timeout"),
        case("hangs-up", Script::send(""), "connection_reset"),
        case(
            "half-a-head",
            Script::send("HTTP/1.1 200 OK\r\nContent-Ty"),
            "connection_reset",
        ),
        case("no-status-line", Script::send(page), "protocol_error"),
        case(
            "only-a-body",
            Script::send("<p>HTTP/0.9 it was</p>"),
            "protocol_error",
        ),
        case(
            "http-0-9",
            Script::send(format!("HTTP/0.9 200 OK\r\n{page}")),
            "protocol_error",
        ),
        case(
            "http-9",
            Script::send(format!("HTTP/9.9 200 OK\r\n{page}")),
            "protocol_error",
        ),
        case(
            "other-protocol",
            Script::send("SSH-2.0-OpenSSH_9.9\r\n"),
            "protocol_error",
        ),
        case(
            "status-0",
            Script::send(format!("HTTP/1.1 000 Nothing\r\n{page}")),
            "protocol_error",
        ),
        case(
            "status-999",
            Script::send(format!("HTTP/1.1 999 Odd\r\n{page}")),
            "protocol_error",
        ),
        case(
            "status-9999",
            Script::send(format!("HTTP/1.1 9999 Odd\r\n{page}")),
            "protocol_error",
        ),
        case(
            "switching",
            Script::send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            )
            .then(Step::Hold),
            "protocol_error",
        ),
        case("nul-in-value", with(b"X-A: a\0b\r\n"), "protocol_error"),
        case("nul-in-name", with(b"X\0A: b\r\n"), "protocol_error"),
        case(
            "not-utf-8",
            with(b"X-A: \xff\xfe\xc3\x28\r\nServer: \xe9\r\n"),
            "ok",
        ),
        case("folded", with(b"X-A: a\r\n b\r\n\tc\r\n"), "ok"),
        case("no-colon", with(b"this is no header line\r\n"), "ok"),
        case("empty-name", with(b": empty\r\n"), "ok"),
        case("bare-cr", with(b"X-A: a\rX-B: b\r\n"), "protocol_error"),
        case(
            "line-feeds",
            Script::send(
                "HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 12\n\n<p>there</p>",
            ),
            "ok",
        ),
        case(
            "reason",
            Script::send([b"HTTP/1.1 200 \xff\xfe\r\n", page.as_bytes()].concat()),
            "ok",
        ),
        case(
            "type-flood",
            with(format!("Content-Type: {}\r\n", "text/html;".repeat(3_000)).as_bytes()),
            "ok",
        ),
        case(
            "link-flood",
            with(format!("Link: {}\r\n", "</good/1>; rel=next, ".repeat(10_000)).as_bytes()),
            "ok",
        ),
        case(
            "cookies",
            with("Set-Cookie: a=b; Domain=test\r\n".repeat(200).as_bytes()),
            "ok",
        ),
    ]);
    for record in after.crawl.records() {
        let head = String::from_utf8_lossy(&record.block);
        assert!(!head.contains("\nX-B: b"), "a forged line: {head}");
    }
}

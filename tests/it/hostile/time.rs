//! Time: answers that never end, pauses from hell, and many slow hosts at once.

use std::time::Duration;

use kit::hostile::Script;
use kit::hostile::Step;
use kit::hostile::bodies::head;
use kit::hostile::heads::with;

use super::{Case, case, survive};

/// A `Crawl-delay` with this value.
fn crawl_delay(name: &'static str, value: &str) -> Case {
    let robots = format!("User-agent: *\nCrawl-delay: {value}\nDisallow: /not/here\n");
    case(name, Script::html("tame"), "ok").and(
        "/robots.txt",
        Script::answer("Content-Type: text/plain\r\n", robots.as_bytes()),
    )
}

/// A missing page that asks for a pause of its own.
fn retry_after(name: &'static str, value: &str) -> Case {
    let answer =
        format!("HTTP/1.1 404 Not Found\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
    case(name, Script::send(answer).kept(), "client_error")
}

fn headers(name: &'static str, lines: &str) -> Case {
    case(name, with(lines.as_bytes()), "ok")
}

#[test]
fn times_that_harm() {
    let slow = Duration::from_millis(150);
    survive(vec![
        case(
            "body-drip",
            head("").then(Step::Drip(b"<p>".to_vec(), slow)),
            "answer_timeout",
        ),
        case(
            "chunk-drip",
            head("Transfer-Encoding: chunked\r\n").then(Step::Drip(b"1\r\na\r\n".to_vec(), slow)),
            "answer_timeout",
        ),
        case(
            "body-silence",
            head("Content-Length: 100\r\n").then(Step::Hold),
            "stall_timeout",
        ),
        case(
            "chunk-silence",
            head("Transfer-Encoding: chunked\r\n")
                .then(Step::Send(b"5\r\nhel".to_vec()))
                .then(Step::Hold),
            "stall_timeout",
        ),
        case(
            "never-closed",
            head("")
                .then(Step::Send(b"<p>all</p>".to_vec()))
                .then(Step::Hold),
            "stall_timeout",
        ),
        crawl_delay("delay-negative", "-1"),
        crawl_delay("delay-nan", "NaN"),
        crawl_delay("delay-infinite", "-inf"),
        crawl_delay("delay-hex", "0x10"),
        crawl_delay("delay-words", "ten"),
        crawl_delay("delay-tiny", "0.0000000000000000000000000001"),
        retry_after("retry-negative", "-1"),
        retry_after("retry-nan", "NaN"),
        retry_after("retry-huge", &"9".repeat(400)),
        retry_after("retry-date", "Fri, 31 Dec 99999 23:59:59 GMT"),
        headers(
            "date",
            "Date: Thu, 99 Foo 0000 99:99:99 GMT\r\nLast-Modified: -1\r\nExpires: 99999999999999999999\r\n",
        ),
        headers(
            "max-age",
            "Cache-Control: max-age=-1, max-age=999999999999999999999999, s-maxage=NaN\r\nAge: 1e30\r\n",
        ),
        headers(
            "etag",
            &format!(
                "ETag: \"{}\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
                "e".repeat(60_000)
            ),
        ),
    ]);
}

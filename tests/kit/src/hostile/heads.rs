//! Heads of answers that are too much, too little or no HTTP.

use std::time::Duration;

use super::{Script, Step};

/// A page with these header lines beside its own.
pub fn with(lines: &[u8]) -> Script {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    bytes.extend(lines);
    bytes.extend(b"Content-Type: text/html\r\nContent-Length: 12\r\n\r\n<p>there</p>");
    Script::send(bytes).kept()
}

/// One header line of so many bytes.
pub fn long_line(bytes: usize) -> Script {
    with(format!("X-Long: {}\r\n", "a".repeat(bytes)).as_bytes())
}

/// So many header lines.
pub fn many_lines(count: usize) -> Script {
    let lines: String = (0..count).map(|n| format!("X-{n}: a\r\n")).collect();
    with(lines.as_bytes())
}

/// A status line that never ends.
pub fn endless_status() -> Script {
    Script::send("HTTP/1.1 200 ").then(Step::Repeat(b"O".to_vec(), None))
}

/// Header lines that never end.
pub fn endless_lines() -> Script {
    Script::send("HTTP/1.1 200 OK\r\n").then(Step::Repeat(b"X-More: a\r\n".to_vec(), None))
}

/// So many interim answers (RFC 9110 section 15.2) or without end, then a page.
pub fn interim(count: Option<u64>) -> Script {
    let one = b"HTTP/1.1 103 Early Hints\r\nLink: </smuggled>; rel=preload\r\n\r\n".to_vec();
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<p>there</p>";
    Script::default()
        .then(Step::Repeat(one, count))
        .then(Step::Send(page.into()))
        .kept()
}

/// A head of which a byte comes at a time.
pub fn dripped(pause: Duration) -> Script {
    Script::send("HTTP/1.1 200 OK\r\nX-Slow: ").then(Step::Drip(b"a".to_vec(), pause))
}

//! An HTTP answer as a test means it, whole or broken in a chosen way, and its bytes on the wire.
//!
//! It knows no sockets: `Answer::pieces` says what to write and how long to wait before each piece, and
//! [`crate::origin`] does it. A library server could not lie about a length or stop in the middle; this one can.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`.
    Length,
    /// By the chunked transfer coding.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What goes wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after so many bytes of the framed body.
    CutAfter(usize),
    /// The body comes so many bytes at a time, with a pause before each piece.
    Drip { bytes: usize, pause: Duration },
    /// These bytes are all of the answer, then the connection ends; none at all is a server that hangs up.
    Verbatim(Vec<u8>),
    /// No byte ever comes; the connection stays open until the client leaves.
    Silence,
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header lines in order, beyond those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body as sent, before framing.
    pub body: Vec<u8>,
    /// How the body's end is told.
    pub framing: Framing,
    /// Time before the first byte of the answer.
    pub delay: Duration,
    /// What goes wrong, if anything.
    pub fault: Option<Fault>,
}

/// Bytes to write after a pause.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) pause: Duration,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// An answer with this status, media type and body.
    pub fn of(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), media_type.to_owned())],
            body: body.into(),
            framing: Framing::Length,
            delay: Duration::ZERO,
            fault: None,
        }
    }

    /// A page that is there.
    pub fn html(text: &str) -> Self {
        Self::of(200, "text/html; charset=utf-8", text)
    }

    /// Plain text.
    pub fn text(status: u16, text: &str) -> Self {
        Self::of(status, "text/plain; charset=utf-8", text)
    }

    /// A redirect to `location`, which goes out as it is.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::text(status, "").with("Location", location)
    }

    /// These bytes and the end of the connection, no HTTP added.
    pub fn verbatim(bytes: impl Into<Vec<u8>>) -> Self {
        Self::text(0, "").broken(Fault::Verbatim(bytes.into()))
    }

    /// With one more header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After this time.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Broken in this way.
    #[must_use]
    pub fn broken(self, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..self
        }
    }

    /// With its body coded in gzip, and saying so.
    #[must_use]
    pub fn gzipped(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let coded = encoder
            .write_all(&self.body)
            .and_then(|()| encoder.finish());
        // Writing to memory does not fail; the plain body would be a correct answer all the same.
        match coded {
            Ok(body) => Self { body, ..self }.with("Content-Encoding", "gzip"),
            Err(_) => self,
        }
    }

    /// Whether the connection ends with this answer.
    pub(crate) fn closes(&self) -> bool {
        let cut = matches!(
            self.fault,
            Some(Fault::CutAfter(_) | Fault::Verbatim(_) | Fault::Silence)
        );
        cut || self.framing == Framing::Close
    }

    /// What to write, in order. A HEAD request gets the head alone.
    pub(crate) fn pieces(&self, head_only: bool, close: bool) -> Vec<Piece> {
        let at_once = |bytes| {
            vec![Piece {
                pause: self.delay,
                bytes,
            }]
        };
        let mut bytes = self.head(close);
        let body = if head_only { Vec::new() } else { self.framed() };
        match &self.fault {
            None => {
                bytes.extend(body);
                at_once(bytes)
            }
            Some(Fault::CutAfter(kept)) => {
                bytes.extend(body.into_iter().take(*kept));
                at_once(bytes)
            }
            Some(Fault::Drip { bytes: size, pause }) => {
                let mut pieces = at_once(bytes);
                pieces.extend(body.chunks((*size).max(1)).map(|c| Piece {
                    pause: *pause,
                    bytes: c.to_vec(),
                }));
                pieces
            }
            Some(Fault::Verbatim(bytes)) => at_once(bytes.clone()),
            Some(Fault::Silence) => vec![Piece {
                pause: Duration::MAX,
                bytes: Vec::new(),
            }],
        }
    }

    fn head(&self, close: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            Framing::Length => head += &format!("Content-Length: {}\r\n", self.body.len()),
            Framing::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Framing::Close => {}
        }
        if close {
            head += "Connection: close\r\n";
        }
        head += "\r\n";
        head.into_bytes()
    }

    fn framed(&self) -> Vec<u8> {
        const CHUNK: usize = 1_000;
        if self.framing != Framing::Chunked {
            return self.body.clone();
        }
        let mut framed = Vec::with_capacity(self.body.len() + self.body.len() / 64 + 16);
        for chunk in self.body.chunks(CHUNK) {
            framed.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            framed.extend(chunk);
            framed.extend(b"\r\n");
        }
        framed.extend(b"0\r\n\r\n");
        framed
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Whatever",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(answer: &Answer) -> String {
        let pieces = answer.pieces(false, false);
        String::from_utf8(pieces.into_iter().flat_map(|piece| piece.bytes).collect()).unwrap()
    }

    #[test]
    fn framing_is_what_the_answer_says() {
        let plain = Answer::text(200, "hello");
        assert!(wire(&plain).ends_with("Content-Length: 5\r\n\r\nhello"));
        let chunked = Answer {
            framing: Framing::Chunked,
            ..plain.clone()
        };
        assert!(
            wire(&chunked).ends_with("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        );
        let open = Answer {
            framing: Framing::Close,
            ..plain
        };
        assert!(open.closes() && wire(&open).ends_with("charset=utf-8\r\n\r\nhello"));
    }

    #[test]
    fn faults_break_what_they_name() {
        let cut = Answer::text(200, "hello").broken(Fault::CutAfter(2));
        assert!(cut.closes() && wire(&cut).ends_with("Content-Length: 5\r\n\r\nhe"));
        assert_eq!(wire(&Answer::verbatim("HTTP/9 what")), "HTTP/9 what");
        let drip = Answer::text(200, "hello").broken(Fault::Drip {
            bytes: 2,
            pause: Duration::from_millis(3),
        });
        let pauses: Vec<u128> = drip
            .pieces(false, false)
            .iter()
            .map(|piece| piece.pause.as_millis())
            .collect();
        assert_eq!(pauses, [0, 3, 3, 3]);
    }
}

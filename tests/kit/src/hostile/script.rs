//! What an attack sends: steps of bytes, repetitions and silences, and what becomes of the connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

/// Stands for the server's port in what is sent.
pub const PORT: &str = "%PORT";
/// Repetitions are written in pieces of about this size.
const PIECE: usize = 64 * 1_024;

/// One thing that an attack does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes.
    Send(Vec<u8>),
    /// These bytes over and over; without a number until the client leaves.
    Repeat(Vec<u8>, Option<u64>),
    /// These bytes again and again, one at a time with this pause before each, until the client leaves.
    Drip(Vec<u8>, Duration),
    /// Nothing, until the client leaves.
    Hold,
}

/// An attack's answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
    keep: bool,
}

impl Script {
    /// These bytes first.
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().then(Step::Send(bytes.into()))
    }

    /// Nothing at all.
    pub fn silence() -> Self {
        Self::default().then(Step::Hold)
    }

    /// An answer with these header lines (each ended by CRLF) and this body, its true length given.
    pub fn answer(lines: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n",
            body.len()
        );
        Self::send([head.as_bytes(), body].concat()).kept()
    }

    /// An HTML page with this body, its true length given.
    pub fn html(body: impl Into<Vec<u8>>) -> Self {
        Self::answer("Content-Type: text/html\r\n", &body.into())
    }

    /// And then this.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The connection stays open for another request, as though nothing had been.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.keep = true;
        self
    }

    /// With the server's port, in five digits, where [`PORT`] stands: the length stays.
    #[must_use]
    pub(super) fn with_port(mut self, port: u16) -> Self {
        let digits = format!("{port:05}");
        for step in &mut self.steps {
            if let Step::Send(bytes) = step {
                let places: Vec<usize> = bytes
                    .windows(PORT.len())
                    .enumerate()
                    .filter(|(_, window)| *window == PORT.as_bytes())
                    .map(|(at, _)| at)
                    .collect();
                for at in places {
                    bytes[at..at + PORT.len()].copy_from_slice(digits.as_bytes());
                }
            }
        }
        self
    }

    /// Does it all; whether another request may follow on the connection.
    pub(super) async fn play<S>(&self, stream: &mut S) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for step in &self.steps {
            match step {
                Step::Send(bytes) => stream.write_all(bytes).await?,
                Step::Repeat(bytes, times) => repeat(stream, bytes, *times).await?,
                Step::Drip(bytes, pause) => loop {
                    for byte in bytes {
                        sleep(*pause).await;
                        stream.write_all(&[*byte]).await?;
                    }
                },
                Step::Hold => {
                    let mut rest = [0; 1_024];
                    while stream.read(&mut rest).await? > 0 {}
                }
            }
        }
        if !self.keep {
            stream.shutdown().await?;
        }
        Ok(self.keep)
    }
}

async fn repeat<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    times: Option<u64>,
) -> io::Result<()> {
    let in_piece = (PIECE / bytes.len().max(1)).max(1);
    let piece = bytes.repeat(in_piece);
    let mut left = times;
    while left != Some(0) {
        let now = left.map_or(in_piece, |left| {
            in_piece.min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        stream.write_all(&piece[..now * bytes.len()]).await?;
        left = left.map(|left| left - now as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_follow_each_other() {
        let script = Script::send("a")
            .then(Step::Repeat(b"bc".to_vec(), Some(100_000)))
            .then(Step::Send(b"d".to_vec()));
        let (mut here, mut there) = tokio::io::duplex(1_000);
        let playing = tokio::spawn(async move { script.play(&mut here).await });
        let mut got = Vec::new();
        there.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 200_002);
        assert!(got.starts_with(b"abcbc") && got.ends_with(b"bcd"));
        assert!(!playing.await.unwrap().unwrap(), "the connection ends");
    }

    #[tokio::test]
    async fn an_endless_step_ends_when_the_client_leaves() {
        let script = Script::default().then(Step::Repeat(b"x".to_vec(), None));
        let (mut here, mut there) = tokio::io::duplex(1_000);
        let playing = tokio::spawn(async move { script.play(&mut here).await });
        let mut got = [0; 5_000];
        there.read_exact(&mut got).await.unwrap();
        drop(there);
        assert!(playing.await.unwrap().is_err());
    }
}

//! The bytes of one connection, counted and bounded as they come in.
//!
//! Owns what no parser bounds: how much a server may send without anything coming of it (interim answers, settings,
//! pings, empty frames: RFC 9110 section 15.2, RFC 9113 section 10.5), how long one socket may keep its thread, and
//! how much is read at once. It knows no HTTP: whoever does tells the [`Meter`] when something has come of the bytes.
//! Invariant: between two signs at most [`QUIET_BYTES_MAX`] are read, and one read on top. Start at [`Wire`].

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The head of an answer, interim ones before it included.
pub(crate) const HEAD_BYTES_MAX: usize = 1_024 * 1_024;
/// Between two signs of an answer: a head, and what framing and encryption put around it.
const QUIET_BYTES_MAX: u64 = HEAD_BYTES_MAX as u64 + 64 * 1_024;
/// Interim answers before the one that counts. Servers send one or two: 100, 103.
pub(crate) const INTERIM_MAX: u32 = 16;
/// A socket that always has more lets the other work of its thread go on after so many bytes.
const TURN_BYTES: u64 = 64 * 1_024;
/// Read at once. One less than a power of two: a read that fills hyper's buffer would double the next one, and each
/// piece of a body keeps the whole buffer that it was read into.
const READ_BYTES: u64 = 16 * 1_024 - 1;

/// A server sends and sends, and nothing comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flood {
    #[error("more than {} KB and no answer in them", QUIET_BYTES_MAX / 1_024)]
    Bytes,
    #[error("more than {INTERIM_MAX} interim answers")]
    Interim,
}

/// What came in since the last sign of an answer. Shared by a connection and its socket.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    quiet: AtomicU64,
    interim: AtomicU32,
}

impl Meter {
    /// A request is about to be sent.
    pub(crate) fn asked(&self) {
        self.sign();
        self.interim.store(0, Ordering::Relaxed);
    }

    /// Something has come of the bytes: a head, or a piece of a body.
    pub(crate) fn sign(&self) {
        self.quiet.store(0, Ordering::Relaxed);
    }

    /// An interim answer came.
    pub(crate) fn interim(&self) {
        self.interim.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether more came than an answer needs.
    pub(crate) fn flood(&self) -> Option<Flood> {
        if self.interim.load(Ordering::Relaxed) > INTERIM_MAX {
            return Some(Flood::Interim);
        }
        (self.quiet.load(Ordering::Relaxed) >= QUIET_BYTES_MAX).then_some(Flood::Bytes)
    }
}

/// A socket whose bytes are counted. Encryption goes on top of it, so that its own floods count too.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    socket: S,
    meter: Arc<Meter>,
    /// Read since the socket last had nothing.
    turn: u64,
}

impl<S> Wire<S> {
    pub(crate) fn new(socket: S, meter: Arc<Meter>) -> Self {
        Self {
            socket,
            meter,
            turn: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(flood) = self.meter.flood() {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, flood)));
        }
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_pending() {
            self.turn = 0;
        } else {
            let came = (buf.filled().len() - before) as u64;
            self.turn += came;
            self.meter.quiet.fetch_add(came, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// A stream that gives at most [`READ_BYTES`] at once, so that hyper's buffers stay small.
#[derive(Debug)]
pub(crate) struct Sips<S>(Take<S>);

impl<S: AsyncRead> Sips<S> {
    pub(crate) fn of(stream: S) -> Self {
        Self(stream.take(READ_BYTES))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sips<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.set_limit(READ_BYTES);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sips<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use std::task::ready;

    /// A socket that always has more.
    struct Gush;

    impl AsyncRead for Gush {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.initialize_unfilled();
            buf.set_filled(buf.capacity());
            Poll::Ready(Ok(()))
        }
    }

    fn read(stream: &mut (impl AsyncRead + Unpin)) -> Poll<io::Result<usize>> {
        let mut room = vec![0; 20_000];
        let mut buf = ReadBuf::new(&mut room);
        let read = Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        ready!(read)?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn wire() -> (Wire<Gush>, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (Wire::new(Gush, meter.clone()), meter)
    }

    /// How many bytes are read until it errs, and how; what is pending is asked again.
    fn until_error(wire: &mut Wire<Gush>) -> (usize, Flood) {
        let mut sum = 0;
        loop {
            match read(wire) {
                Poll::Pending => {}
                Poll::Ready(Ok(came)) => sum += came,
                Poll::Ready(Err(error)) => {
                    let flood = error.get_ref().unwrap().downcast_ref().copied();
                    return (sum, flood.unwrap());
                }
            }
        }
    }

    #[test]
    fn a_flood_ends_with_its_budget_and_a_sign_renews_that() {
        let (mut wire, meter) = wire();
        let bound = QUIET_BYTES_MAX as usize..QUIET_BYTES_MAX as usize + 20_000;
        for _ in 0..2 {
            let (sum, flood) = until_error(&mut wire);
            assert!(bound.contains(&sum), "{sum}");
            assert_eq!(flood, Flood::Bytes);
            meter.sign();
        }
    }

    #[test]
    fn interim_answers_are_counted_for_each_request() {
        let (mut wire, meter) = wire();
        for _ in 0..INTERIM_MAX {
            meter.interim();
        }
        assert!(read(&mut wire).is_ready() && meter.flood().is_none());
        meter.interim();
        meter.sign();
        assert_eq!(until_error(&mut wire), (0, Flood::Interim));
        meter.asked();
        assert_eq!(meter.flood(), None);
    }

    #[test]
    fn other_work_has_its_turn() {
        let (mut wire, _) = wire();
        let came: Vec<usize> = (0..10)
            .map(|_| match read(&mut wire) {
                Poll::Ready(read) => read.unwrap(),
                Poll::Pending => 0,
            })
            .collect();
        assert_eq!(
            came,
            [
                20_000, 20_000, 20_000, 20_000, 0, 20_000, 20_000, 20_000, 20_000, 0
            ]
        );
    }

    #[test]
    fn little_is_read_at_once() {
        let mut sips = Sips::of(Gush);
        for _ in 0..3 {
            assert!(matches!(read(&mut sips), Poll::Ready(Ok(16_383))));
        }
    }
}

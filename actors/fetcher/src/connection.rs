//! One connection to one server, and what is said on it: a request at a time, its answer piece by piece.
//!
//! Owns the socket and the state of its protocol (HTTP/1.1 or HTTP/2, hyper's), with the bounds that hyper is given.
//! HTTP/1.1 is driven by whoever waits for the answer: there is no task for it, an idle connection costs nothing, and
//! its server can make nobody work. HTTP/2 has tasks, which end with it. It knows no time, no lease and no address
//! rules. Invariants: all ends with its owner (I8); a connection is used again only after an answer that was whole,
//! and on which nothing more came. Start at [`Connection::send`].

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use contract::Url;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::ext::on_informational;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use url::Position;

use crate::error::FetchError;
use crate::events::Raised;
use crate::wire::{HEAD_BYTES_MAX, Meter, Sips};

/// Header lines of an answer; hyper's own bound of 100 refuses sites that are in use. Not more than it takes: hyper
/// clears room for so many (64 bytes each) before it reads an answer's head.
const HEADERS_MAX: usize = 256;
/// What a server may send of a body before it is taken (HTTP/2). One request at a time, so that the connection's is
/// the stream's; a quarter of the wire's own bound.
const WINDOW_BYTES: u32 = 256 * 1_024;
/// Streams of which frames may still come after they were reset, and resets that a server's errors may cost, before
/// an HTTP/2 connection is given up.
const RESET_STREAMS_MAX: usize = 16;

/// What carries the bytes: a TCP stream, or TLS on it.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Carrier for S {}

type Io = TokioIo<Sips<Box<dyn Carrier>>>;

/// A request without a body.
#[derive(Debug)]
pub(crate) struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    is_secure: bool,
    /// Host and port as URLs write them.
    authority: Box<str>,
    remote: SocketAddr,
    meter: Arc<Meter>,
    talk: Talk,
    _open: Raised,
}

#[derive(Debug)]
enum Talk {
    One(One),
    Two(Two),
}

/// HTTP/1.1: the sender's requests go out when the driver is polled.
#[derive(Debug)]
struct One {
    sender: http1::SendRequest<NoBody>,
    /// None when it is closed.
    driver: Option<Box<http1::Connection<Io, NoBody>>>,
}

impl One {
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        if let Poll::Ready(end) = Pin::new(driver).poll(cx) {
            // An error that concerns an answer is told there.
            if let Err(error) = end {
                tracing::debug!(%error, "a connection's end");
            }
            self.driver = None;
        }
    }
}

/// HTTP/2: tasks drive it.
#[derive(Debug)]
struct Two {
    sender: http2::SendRequest<NoBody>,
    /// Aborted when this is dropped.
    _tasks: Arc<Mutex<JoinSet<()>>>,
}

/// Starts hyper's tasks as long as the connection lives. They hold this: the tasks themselves it must not hold.
#[derive(Clone, Debug)]
struct Tasks(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        if let Some(tasks) = self.0.upgrade() {
            // Nothing panics while it is held, and a set has no state that could be half done.
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }
}

/// What a connection is made of.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) carrier: Box<dyn Carrier>,
    /// The server chose HTTP/2 (ALPN, RFC 7301).
    pub(crate) is_http2: bool,
    pub(crate) remote: SocketAddr,
    pub(crate) meter: Arc<Meter>,
    /// Counts it as open.
    pub(crate) open: Raised,
}

impl Connection {
    /// Begins to speak HTTP on a line to the URL's server.
    ///
    /// # Errors
    /// The server hangs up at once (HTTP/2 greets).
    pub(crate) async fn open(url: &Url, line: Line) -> Result<Self, hyper::Error> {
        let io = TokioIo::new(Sips::of(line.carrier));
        line.meter.asked();
        let talk = match line.is_http2 {
            false => one(io).await?,
            true => two(io).await?,
        };
        Ok(Self {
            is_secure: is_secure(url),
            authority: authority(url).into(),
            remote: line.remote,
            meter: line.meter,
            talk,
            _open: line.open,
        })
    }

    /// Whether it leads to this URL's server.
    pub(crate) fn serves(&self, url: &Url) -> bool {
        self.is_secure == is_secure(url) && *self.authority == *authority(url)
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.talk, Talk::Two(_))
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether a request can be sent on it. Looks at what came while nobody did: an end, or bytes that answer nothing.
    pub(crate) fn is_ready(&mut self) -> bool {
        match &mut self.talk {
            Talk::One(one) => {
                one.drive(&mut Context::from_waker(Waker::noop()));
                one.driver.is_some() && one.sender.is_ready()
            }
            Talk::Two(two) => two.sender.is_ready(),
        }
    }

    /// Sends the request and waits for the answer's head. To be dropped only with the connection.
    ///
    /// # Errors
    /// The connection ended before, or what came is no answer, or more than an answer needs.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<NoBody>,
    ) -> Result<Response<Incoming>, FetchError> {
        self.meter.asked();
        let meter = self.meter.clone();
        on_informational(&mut request, move |_| meter.interim());
        let answer = match &mut self.talk {
            Talk::One(one) => {
                let mut answer = pin!(one.sender.send_request(request));
                poll_fn(|cx| {
                    one.drive(cx);
                    // Only the driver can bring it, so that nobody need be woken.
                    answer
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                })
                .await
            }
            Talk::Two(two) => two.sender.send_request(request).await,
        };
        if let Some(flood) = self.meter.flood() {
            return Err(FetchError::Protocol(flood.to_string()));
        }
        let answer = answer.map_err(|error| FetchError::of_hyper(&error))?;
        self.meter.sign();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let text = "it switches protocols unasked (RFC 9110 section 15.2.2)";
            return Err(FetchError::Protocol(text.to_owned()));
        }
        if answer.headers().len() > HEADERS_MAX {
            let text = format!("more than {HEADERS_MAX} header lines");
            return Err(FetchError::Protocol(text));
        }
        Ok(answer)
    }

    /// The body's next piece; none at its end.
    ///
    /// # Errors
    /// The connection ended before the body, or what came is not one.
    pub(crate) async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, FetchError> {
        let meter = &self.meter;
        let talk = &mut self.talk;
        poll_fn(|cx| {
            loop {
                let frame = match talk {
                    Talk::One(one) => {
                        let noop = &mut Context::from_waker(Waker::noop());
                        match Pin::new(&mut *body).poll_frame(noop) {
                            Poll::Pending => {
                                one.drive(cx);
                                Pin::new(&mut *body).poll_frame(noop)
                            }
                            ready => ready,
                        }
                    }
                    Talk::Two(_) => Pin::new(&mut *body).poll_frame(cx),
                };
                let Poll::Ready(frame) = frame else {
                    return Poll::Pending;
                };
                let piece = match frame {
                    None => Ok(None),
                    Some(Err(error)) => Err(FetchError::of_hyper(&error)),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => Ok(Some(data)),
                        // A trailer or an empty piece: nothing has come of it.
                        _ => continue,
                    },
                };
                if matches!(piece, Ok(Some(_))) {
                    meter.sign();
                }
                return Poll::Ready(piece);
            }
        })
        .await
    }
}

async fn one(io: Io) -> Result<Talk, hyper::Error> {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .writev(false)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let (sender, driver) = builder.handshake(io).await?;
    Ok(Talk::One(One {
        sender,
        driver: Some(Box::new(driver)),
    }))
}

async fn two(io: Io) -> Result<Talk, hyper::Error> {
    let tasks = Arc::new(Mutex::new(JoinSet::new()));
    let executor = Tasks(Arc::downgrade(&tasks));
    let (sender, connection) = http2::Builder::new(executor.clone())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(16 * 1_024)
        .max_concurrent_streams(0)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .handshake(io)
        .await?;
    executor.execute(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection's end");
        }
    });
    Ok(Talk::Two(Two {
        sender,
        _tasks: tasks,
    }))
}

pub(crate) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
}

/// Host and port as the URL writes them, without a name or password.
pub(crate) fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

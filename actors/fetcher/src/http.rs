//! One exchange: a request is sent, its answer read to the end, to a limit or to what was had of it.
//!
//! Owns the request layer of time (connect, head, stall, whole answer) and the form in which an exchange is kept: the body as received, chunking removed, coding kept; heads written from the
//! parsed ones. It knows no robots, no retries and no leases but the moment after which nothing may be sent.
//! Invariants: what ends an exchange early is told with the layer that ended it; a request is written once, also where
//! a kept connection turns out to be dead, since a second one would come without the host's delay. Start at [`Exchanger::run`].

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use contract::Url;
use contract::cause::{Cancel, Cause, Deadline, Layer};
use contract::clock::{Boot, Clock};
use contract::crawl::LimitsConfig;
use contract::earlier::Earlier;
use contract::memory::{ByteBudget, Reservation};
use contract::page::{Cut, Exchange};
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::response::Parts;
use http::uri::InvalidUri;
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use tokio::task::yield_now;
use tokio::time::sleep;
use url::Position;

use crate::connection::{Connection, NoBody, authority};
use crate::connector::Connector;
use crate::error::{FetchError, LeaseOver};
use crate::gather::{Gather, SpillDir};
use crate::lines::Lines;

/// After so many pieces the clock is looked at and the thread's other work goes on, though the next piece has come
/// already: a body of crumbs that come faster than they are taken would never be waited for, and so outlast every limit
/// of time.
const PIECES_UNTIMED: u32 = 128;

/// What exchanges of one fetcher share.
#[derive(Clone, Debug)]
pub(crate) struct Exchanger {
    pub(crate) clock: Clock,
    pub(crate) connector: Connector,
    pub(crate) budget: ByteBudget,
    pub(crate) spill: SpillDir,
    pub(crate) times: Times,
}

/// The request layer's limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) head: Duration,
    pub(crate) stall: Duration,
    pub(crate) answer: Duration,
}

impl Times {
    pub(crate) fn of(limits: &LimitsConfig) -> Self {
        let ms = Duration::from_millis;
        Self {
            head: ms(limits.head_ms_max),
            stall: ms(limits.stall_ms_max),
            answer: ms(limits.answer_ms_max),
        }
    }
}

/// A request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) url: &'a Url,
    pub(crate) lines: &'a Lines,
    /// Ask only for what differs from this capture.
    pub(crate) earlier: Option<&'a Earlier>,
    /// The page's time; the exchange ends with it at the latest.
    pub(crate) page: Deadline,
    pub(crate) cancel: &'a Cancel,
    /// The lease's end: nothing is sent and nothing is read after it.
    pub(crate) not_after: Boot,
    pub(crate) wanted: Wanted,
    /// The request's reserve of the byte budget.
    pub(crate) held: Reservation,
}

/// How much of a body is of use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// All of it, up to so many bytes. Of one that is declared to be longer nothing is read.
    Whole(u64),
    /// So many bytes at its start, however long it is.
    Start(u64),
}

impl Wanted {
    fn bytes(self) -> u64 {
        match self {
            Self::Whole(bytes) | Self::Start(bytes) => bytes,
        }
    }

    fn refuses(self, declared: Option<u64>) -> bool {
        match self {
            Self::Whole(bytes) => declared.is_some_and(|length| length > bytes),
            Self::Start(_) => false,
        }
    }
}

/// An answer of which at least the head came.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) exchange: Exchange,
    /// Why its body ended early, when that was an error (a body cut at its limit is none).
    pub(crate) problem: Option<FetchError>,
}

impl Exchanger {
    /// Sends the request, on the kept connection where that will do, and reads the answer. The connection is kept
    /// again where the answer was whole.
    ///
    /// # Errors
    /// No head came, the work was cancelled, or this node could not keep the body.
    pub(crate) async fn run(
        &self,
        kept: &mut Option<Connection>,
        ask: Ask<'_>,
    ) -> Result<Answered, FetchError> {
        let sent = self.clock.boot();
        let lease = Deadline {
            at: ask.not_after,
            layer: Layer::Answer,
        };
        let whole = earlier(
            ask.page
                .child(&self.clock, Layer::Answer, self.times.answer),
            lease,
        );
        let mut connection = self.connection(kept.take(), &ask, whole).await?;
        let (request, request_head) = request(&ask, &connection)?;
        let answer = self.head(&mut connection, request, &ask, whole).await?;
        let (head, mut incoming) = answer.into_parts();
        let head_after = self.clock.boot().since(sent);

        let mut body = Gather::new(self.budget.clone(), ask.held, self.spill.clone());
        let refused = ask.wanted.refuses(incoming.size_hint().exact());
        let mut ended = Ended {
            cut: refused.then_some(Cut::Length),
            problem: None,
        };
        let mut pieces = 0_u32;
        while ended.cut.is_none() {
            pieces += 1;
            let is_long = pieces.is_multiple_of(PIECES_UNTIMED);
            if is_long {
                yield_now().await;
            }
            let next = if is_long && whole.over(&self.clock).is_some() {
                Err(FetchError::deadline(whole.layer))
            } else {
                self.piece(&mut connection, &mut incoming, ask.cancel, whole)
                    .await
            };
            match next {
                Ok(None) => break,
                Ok(Some(mut chunk)) => {
                    let room = ask.wanted.bytes().saturating_sub(body.len());
                    if chunk.len() as u64 > room {
                        ended.cut = Some(Cut::Length);
                        chunk.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                    }
                    body.push(chunk).await.map_err(FetchError::Spill)?;
                }
                Err(error) => ended = Ended::of(error)?,
            }
        }
        let body = body.finish().await.map_err(FetchError::Spill)?;
        let took = self.clock.boot().since(sent);
        let exchange = Exchange {
            request_head,
            version: head.version,
            status: head.status,
            reason: reason_of(&head),
            headers: head.headers,
            body,
            remote: Some(connection.remote()),
            cut: ended.cut,
            head_after,
            took,
        };
        if ended.cut.is_none() && connection.is_ready() {
            *kept = Some(connection);
        }
        Ok(Answered {
            exchange,
            problem: ended.problem,
        })
    }

    /// A connection that stands within the lease: the kept one, or one that is made.
    async fn connection(
        &self,
        kept: Option<Connection>,
        ask: &Ask<'_>,
        whole: Deadline,
    ) -> Result<Connection, FetchError> {
        let is_over = || self.clock.boot() > ask.not_after;
        if is_over() {
            return Err(LeaseOver.into());
        }
        if let Some(mut kept) = kept.filter(|kept| kept.serves(ask.url))
            && kept.is_ready()
        {
            return Ok(kept);
        }
        let limit = self.connector.limit;
        let until = earlier(whole, Deadline::new(&self.clock, Layer::Connect, limit));
        let made = tokio::select! {
            biased;
            made = self.connector.connect(ask.url) => made,
            cause = ask.cancel.cancelled() => Err(FetchError::Ended(cause)),
            error = self.over(|_| until) => Err(error),
        };
        // A suspended machine wakes in the middle of a connect.
        match is_over() {
            true => Err(LeaseOver.into()),
            false => made,
        }
    }

    /// Sends the request and waits for the head, whose time starts now that the connection stands.
    async fn head(
        &self,
        connection: &mut Connection,
        request: Request<NoBody>,
        ask: &Ask<'_>,
        whole: Deadline,
    ) -> Result<Response<Incoming>, FetchError> {
        let head =
            |clock: &Clock| earlier(whole, Deadline::new(clock, Layer::Head, self.times.head));
        tokio::select! {
            biased;
            answer = connection.send(request) => answer,
            cause = ask.cancel.cancelled() => Err(FetchError::Ended(cause)),
            error = self.over(head) => Err(error),
        }
    }

    /// The body's next piece; none at its end.
    async fn piece(
        &self,
        connection: &mut Connection,
        incoming: &mut Incoming,
        cancel: &Cancel,
        whole: Deadline,
    ) -> Result<Option<Bytes>, FetchError> {
        let stalled = |clock: &Clock| {
            let stall = Deadline::new(clock, Layer::Stall, self.times.stall);
            earlier(whole, stall)
        };
        tokio::select! {
            biased;
            piece = connection.piece(incoming) => piece,
            cause = cancel.cancelled() => Err(FetchError::Ended(cause)),
            error = self.over(stalled) => Err(error),
        }
    }

    /// Waits for the end of a time. The clock is looked at when this is first polled, so that what comes at once costs
    /// no look.
    async fn over(&self, until: impl FnOnce(&Clock) -> Deadline) -> FetchError {
        let until = until(&self.clock);
        sleep(until.left(&self.clock)).await;
        FetchError::deadline(until.layer)
    }
}

/// How a body ended.
struct Ended {
    cut: Option<Cut>,
    problem: Option<FetchError>,
}

impl Ended {
    /// What an error does to a body of which something may have come: it is kept, unless nobody wants it any more.
    fn of(error: FetchError) -> Result<Self, FetchError> {
        let (cut, problem) = match error {
            FetchError::Ended(Cause::Deadline(_)) => (Cut::Time, error),
            FetchError::Reset(text) | FetchError::Protocol(text) => {
                (Cut::Disconnect, FetchError::Truncated(text))
            }
            error => return Err(error),
        };
        Ok(Self {
            cut: Some(cut),
            problem: Some(problem),
        })
    }
}

fn earlier(a: Deadline, b: Deadline) -> Deadline {
    if b.at < a.at { b } else { a }
}

/// The conditions under which a capture is to be sent anew: both, as they were found. A server that knows entity tags heeds
/// the first alone (RFC 9110 sections 13.1.2, 13.1.3 and 13.2.2).
fn conditions(earlier: Option<&Earlier>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let said = |name, value: Option<&str>| {
        // What is no header's value was not taken for a validator.
        value.and_then(|value| Some((name, HeaderValue::from_str(value).ok()?)))
    };
    let etag = earlier.and_then(|earlier| said(IF_NONE_MATCH, earlier.etag.as_deref()));
    let modified = earlier.and_then(|earlier| said(IF_MODIFIED_SINCE, earlier.modified.as_deref()));
    etag.into_iter().chain(modified)
}

/// The request, and its head as hyper writes it. A fragment is not sent, nor are names and passwords that a page puts
/// into its links: they are nobody's to use.
fn request(
    ask: &Ask<'_>,
    connection: &Connection,
) -> Result<(Request<NoBody>, Vec<u8>), FetchError> {
    let url = ask.url;
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let uri = match connection.is_http2() {
        false => target.parse(),
        true => format!("https://{}{target}", authority(url)).parse(),
    };
    let uri: Uri = uri.map_err(|error: InvalidUri| FetchError::InvalidUrl(error.to_string()))?;
    let mut head = ask.lines.head(target);
    let mut request = Request::new(NoBody);
    *request.uri_mut() = uri;
    *request.headers_mut() = ask.lines.headers().clone();
    for (name, value) in conditions(ask.earlier) {
        // Before the empty line.
        head.truncate(head.len() - 2);
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        request.headers_mut().append(name, value);
    }
    Ok((request, head))
}

/// hyper keeps a reason phrase only where it is not the usual one.
fn reason_of(head: &Parts) -> Vec<u8> {
    let usual = match head.version < Version::HTTP_2 {
        true => head.status.canonical_reason().unwrap_or_default(),
        false => "",
    };
    let own = head.extensions.get::<ReasonPhrase>();
    own.map_or_else(
        || usual.as_bytes().to_vec(),
        |reason| reason.as_bytes().to_vec(),
    )
}

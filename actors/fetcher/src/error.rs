//! What goes wrong between a URL and its answer, each with its outcome and its class.
//!
//! Owns the translation of hyper's, rustls' and the system's errors into [`FetchError`]. Invariant: a
//! time-out is told by the layer that timed it, never guessed from a text. Start at [`FetchError::of_hyper`].

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, ErrorKind};

use contract::cause::{Cause, Layer};
use contract::error::ErrorClass;
use contract::outcome::Outcome;

use crate::address::{AddressRefused, PortRefused};
use crate::dns::DnsError;

/// Why a request has no (whole) answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("not a URL that can be requested: {0}")]
    InvalidUrl(String),
    #[error(transparent)]
    Port(#[from] PortRefused),
    #[error(transparent)]
    Address(#[from] AddressRefused),
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no secure connection: {0}")]
    Tls(String),
    /// A layer's time is over, or somebody ended the work.
    #[error("{0}")]
    Ended(Cause),
    #[error("the connection was closed early: {0}")]
    Reset(String),
    /// The head came, and not the whole body.
    #[error("the body ended early: {0}")]
    Truncated(String),
    #[error("not HTTP: {0}")]
    Protocol(String),
    /// The lease ended while the connection was being made; nothing was sent (I4).
    #[error(transparent)]
    LeaseOver(#[from] LeaseOver),
    #[error("no socket to be had")]
    NoSocket(#[source] io::Error),
    #[error("cannot write the body to a file")]
    Spill(#[source] io::Error),
}

/// A connection stood only after the lease's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease ended before the request could be sent")]
pub struct LeaseOver;

impl FetchError {
    /// A deadline of this layer.
    pub fn deadline(layer: Layer) -> Self {
        Self::Ended(Cause::Deadline(layer))
    }

    /// What becomes of the URL if it is not tried again.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::InvalidUrl(_) => Outcome::InvalidUrl,
            Self::Port(_) => Outcome::PortRefused,
            Self::Address(_) | Self::Dns(DnsError::Refused { .. }) => Outcome::AddressRefused,
            Self::Dns(DnsError::NotFound(_)) => Outcome::DnsNotFound,
            Self::Dns(DnsError::Failed { .. } | DnsError::TimedOut(_)) => Outcome::DnsFailed,
            Self::Connect(_) => Outcome::ConnectFailed,
            Self::Tls(_) => Outcome::TlsFailed,
            Self::Ended(Cause::Cancelled { .. }) | Self::LeaseOver(_) => Outcome::Cancelled,
            Self::Ended(Cause::Deadline(layer)) => match layer {
                Layer::Connect => Outcome::ConnectTimeout,
                Layer::Head => Outcome::HeadTimeout,
                Layer::Stall => Outcome::StallTimeout,
                Layer::Answer => Outcome::AnswerTimeout,
                Layer::Page | Layer::Parse | Layer::Store | Layer::Drain => Outcome::DeadlinePage,
            },
            Self::Reset(_) => Outcome::ConnectionReset,
            Self::Truncated(_) => Outcome::Truncated,
            Self::Protocol(_) => Outcome::ProtocolError,
            Self::NoSocket(_) | Self::Spill(_) => Outcome::NodeFailed,
        }
    }

    /// What the caller does next; always that of the outcome.
    pub fn class(&self) -> ErrorClass {
        self.outcome().class().unwrap_or(ErrorClass::Permanent)
    }

    /// The I/O error behind a fault of this node.
    pub fn fault(&self) -> Option<&io::Error> {
        match self {
            Self::NoSocket(source) | Self::Spill(source) => Some(source),
            _ => None,
        }
    }

    /// True when nothing of the host was reached: it, or the way to it, is down.
    pub fn is_unreached(&self) -> bool {
        let outcome = self.outcome();
        matches!(
            outcome,
            Outcome::DnsFailed | Outcome::ConnectFailed | Outcome::ConnectTimeout
        )
    }

    /// What hyper says about an answer or a body.
    pub(crate) fn of_hyper(error: &hyper::Error) -> Self {
        if let Some(io) = source_of::<io::Error>(error) {
            return match io.kind() {
                ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                    Self::Protocol(innermost(error))
                }
                _ => Self::Reset(innermost(error)),
            };
        }
        match error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            true => Self::Reset(innermost(error)),
            false => Self::Protocol(innermost(error)),
        }
    }

    /// What the system or rustls says about a connection that is being made.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        if let Some(tls) = source_of::<rustls::Error>(error) {
            return Self::Tls(tls.to_string());
        }
        // EMFILE, ENFILE, EADDRNOTAVAIL (no local port left), ENOBUFS: this node's want, not the host's.
        if let Some(errno @ (24 | 23 | 99 | 105)) = error.raw_os_error() {
            return Self::NoSocket(io::Error::from_raw_os_error(errno));
        }
        match error.kind() {
            ErrorKind::TimedOut => Self::deadline(Layer::Connect),
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Self::Protocol(innermost(error)),
            ErrorKind::UnexpectedEof => Self::Reset(innermost(error)),
            _ => Self::Connect(innermost(error)),
        }
    }
}

/// The first error of type `E` in the chain of sources, the payloads of I/O errors included.
pub fn source_of<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // `source` of an I/O error is its payload's source: the payload itself has to be asked for.
        let payload = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = payload.and_then(|payload| payload.downcast_ref::<E>()) {
            return Some(found);
        }
        at = payload.map_or_else(
            || error.source(),
            |payload| Some(payload as &(dyn Error + 'static)),
        );
    }
    None
}

/// The text of the error at the end of the chain: what really happened.
fn innermost(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(error) = at {
        text = error.to_string();
        at = error.source();
    }
    text
}

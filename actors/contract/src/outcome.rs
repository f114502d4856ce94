//! What became of a URL: one code of a closed list (docs/reference/outcomes.md).
//!
//! Every URL that Argiope ever found ends in the ledger with one of these, and with the rule or error that
//! decided beside it. Invariant: codes are only added, never renamed; reports and verify read old ledgers.

use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $class:expr;)*) => {
        /// What became of a URL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Outcome { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        impl Outcome {
            /// Every outcome, for reports and documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code that ledger, reports and metrics show.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What to do about it; none for what is no error.
            pub fn class(self) -> Option<ErrorClass> {
                match self { $(Self::$name => $class,)* }
            }
        }
    };
}

const OK: Option<ErrorClass> = None;
const TRANSIENT: Option<ErrorClass> = Some(ErrorClass::Transient);
const PERMANENT: Option<ErrorClass> = Some(ErrorClass::Permanent);
const SYSTEM: Option<ErrorClass> = Some(ErrorClass::System);

outcomes! {
    /// Answered with 2xx (or another final status below 300); in the archive.
    Ok = "ok", OK;
    /// Answered with 3xx; in the archive, its target admitted.
    Redirect = "redirect", OK;
    /// Answered with 304 to a conditional request; a revisit record.
    NotModified = "not_modified", OK;
    /// Answered with 4xx other than 408, 425 and 429; in the archive.
    ClientError = "client_error", PERMANENT;
    /// Answered with 408, 425, 429 or 5xx at the last try; in the archive.
    ServerError = "server_error", TRANSIENT;
    /// Longer than the body limit: kept cut, marked `WARC-Truncated: length`; of a body that is declared to be longer nothing is read.
    TooLarge = "too_large", PERMANENT;
    /// The body ended early at the last try too: kept, marked `WARC-Truncated: disconnect` or `time`.
    Truncated = "truncated", TRANSIENT;
    /// robots.txt forbids it (RFC 9309).
    RobotsDenied = "robots_denied", PERMANENT;
    /// robots.txt could not be had (5xx or no answer): complete disallow, RFC 9309 section 2.3.1.4.
    RobotsUnreachable = "robots_unreachable", TRANSIENT;
    /// Not in the crawl's scope.
    OutOfScope = "out_of_scope", PERMANENT;
    /// Deeper than `--depth`.
    TooDeep = "too_deep", PERMANENT;
    /// Not a URL by the WHATWG URL standard.
    InvalidUrl = "invalid_url", PERMANENT;
    /// Longer than 2,048 bytes.
    UrlTooLong = "url_too_long", PERMANENT;
    /// Neither http nor https.
    UnsupportedScheme = "unsupported_scheme", PERMANENT;
    /// An address that may not be dialled (not globally routable, not allowed).
    AddressRefused = "address_refused", PERMANENT;
    /// A port that may not be dialled.
    PortRefused = "port_refused", PERMANENT;
    /// NXDOMAIN or no address record.
    DnsNotFound = "dns_not_found", PERMANENT;
    /// SERVFAIL, REFUSED or no answer from the resolver.
    DnsFailed = "dns_failed", TRANSIENT;
    /// The connection was refused or the network is unreachable.
    ConnectFailed = "connect_failed", TRANSIENT;
    /// No connection within the connect limit.
    ConnectTimeout = "connect_timeout", TRANSIENT;
    /// TLS could not be agreed on, or the certificate is not valid for the host.
    TlsFailed = "tls_failed", PERMANENT;
    /// No head within the head limit.
    HeadTimeout = "head_timeout", TRANSIENT;
    /// Nothing came for the stall limit.
    StallTimeout = "stall_timeout", TRANSIENT;
    /// The whole answer took longer than its limit.
    AnswerTimeout = "answer_timeout", TRANSIENT;
    /// The connection was reset or closed before the head was whole.
    ConnectionReset = "connection_reset", TRANSIENT;
    /// Bytes that are not HTTP.
    ProtocolError = "protocol_error", PERMANENT;
    /// More than the allowed number of redirects in a row.
    RedirectLimit = "redirect_limit", PERMANENT;
    /// The page's whole time was used up.
    DeadlinePage = "deadline_page", TRANSIENT;
    /// Parsing took too long; kept without links.
    DeadlineParse = "deadline_parse", OK;
    /// It could not be stored in time; it comes again.
    DeadlineStore = "deadline_store", SYSTEM;
    /// A panic while this page was handled.
    Panicked = "panicked", TRANSIENT;
    /// It ended the process or its lease three times and is not tried again.
    Quarantined = "quarantined", PERMANENT;
    /// Part of an endless family of pages that brings nothing new.
    Trap = "trap", PERMANENT;
    /// The host asked for a longer pause than is kept (Crawl-delay > 1 h, Retry-After > 24 h).
    HostParked = "host_parked", TRANSIENT;
    /// Nothing of the host could be reached, time after time over its longest rests; it is not tried again for a day.
    HostUnreachable = "host_unreachable", TRANSIENT;
    /// A directive of the page or site refuses this use (`--purpose`).
    DirectiveRefused = "directive_refused", PERMANENT;
    /// The fetch was cancelled (pause, stop, lost lease); it comes again.
    Cancelled = "cancelled", TRANSIENT;
    /// This node could not work (descriptors, disk); it comes again.
    NodeFailed = "node_failed", SYSTEM;
}

impl Outcome {
    /// The outcome of an answer with this status, before its body is judged.
    pub fn of_status(status: u16) -> Self {
        match status {
            304 => Self::NotModified,
            300..=399 => Self::Redirect,
            408 | 425 | 429 | 500..=599 => Self::ServerError,
            400..=499 => Self::ClientError,
            0..=299 => Self::Ok,
            _ => Self::ProtocolError,
        }
    }

    /// The outcome with this code, if there is one (reading ledgers).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|outcome| outcome.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_outcome() {
        #[track_caller]
        fn check(status: u16, want: Outcome, class: Option<ErrorClass>) {
            assert_eq!(Outcome::of_status(status), want, "status {status}");
            assert_eq!(want.class(), class, "status {status}");
        }
        check(200, Outcome::Ok, None);
        check(204, Outcome::Ok, None);
        check(301, Outcome::Redirect, None);
        check(304, Outcome::NotModified, None);
        check(404, Outcome::ClientError, PERMANENT);
        check(408, Outcome::ServerError, TRANSIENT);
        check(429, Outcome::ServerError, TRANSIENT);
        check(503, Outcome::ServerError, TRANSIENT);
        check(999, Outcome::ProtocolError, PERMANENT);
    }

    #[test]
    fn codes_are_distinct_and_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
        }
        assert_eq!(Outcome::from_code("no such"), None);
    }
}

//! What each failure of the transport becomes.

use super::*;

#[test]
fn each_error_has_its_outcome_and_class() {
    #[track_caller]
    fn check(error: FetchError, outcome: Outcome, class: ErrorClass) {
        assert_eq!(
            (error.outcome(), error.class()),
            (outcome, class),
            "{error}"
        );
    }
    use ErrorClass::{Permanent, System, Transient};
    let name = || "a.test".to_owned();
    check(
        FetchError::InvalidUrl(name()),
        Outcome::InvalidUrl,
        Permanent,
    );
    check(PortRefused(22).into(), Outcome::PortRefused, Permanent);
    check(
        DnsError::NotFound(name()).into(),
        Outcome::DnsNotFound,
        Permanent,
    );
    check(
        DnsError::TimedOut(name()).into(),
        Outcome::DnsFailed,
        Transient,
    );
    check(
        DnsError::Refused {
            name: name(),
            addresses: vec![],
        }
        .into(),
        Outcome::AddressRefused,
        Permanent,
    );
    check(
        FetchError::Connect(name()),
        Outcome::ConnectFailed,
        Transient,
    );
    check(FetchError::Tls(name()), Outcome::TlsFailed, Permanent);
    check(
        FetchError::deadline(Layer::Connect),
        Outcome::ConnectTimeout,
        Transient,
    );
    check(
        FetchError::deadline(Layer::Head),
        Outcome::HeadTimeout,
        Transient,
    );
    check(
        FetchError::deadline(Layer::Stall),
        Outcome::StallTimeout,
        Transient,
    );
    check(
        FetchError::deadline(Layer::Answer),
        Outcome::AnswerTimeout,
        Transient,
    );
    check(
        FetchError::deadline(Layer::Page),
        Outcome::DeadlinePage,
        Transient,
    );
    check(
        FetchError::Ended(Cause::Cancelled {
            by: "operator",
            span: name(),
        }),
        Outcome::Cancelled,
        Transient,
    );
    check(LeaseOver.into(), Outcome::Cancelled, Transient);
    check(
        FetchError::Reset(name()),
        Outcome::ConnectionReset,
        Transient,
    );
    check(
        FetchError::Protocol(name()),
        Outcome::ProtocolError,
        Permanent,
    );
    check(
        FetchError::NoSocket(io::Error::from_raw_os_error(24)),
        Outcome::NodeFailed,
        System,
    );
    check(
        FetchError::Spill(io::Error::from_raw_os_error(28)),
        Outcome::NodeFailed,
        System,
    );
}

#[test]
fn an_error_inside_an_io_error_is_found() {
    let inner = io::Error::other(io::Error::other(DnsError::NotFound("a.test".into())));
    assert_eq!(
        source_of::<DnsError>(&inner),
        Some(&DnsError::NotFound("a.test".into()))
    );
    assert_eq!(source_of::<LeaseOver>(&inner), None);
}

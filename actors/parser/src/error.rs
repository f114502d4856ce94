//! What goes wrong with a page in this room, each with its class and what becomes of the page.
//!
//! Nothing that a page holds is an error of the room: it is read as far as it goes.

use contract::cause::{Cause, Layer};
use contract::coding::CodingError;
use contract::error::{ErrorClass, chain};
use contract::guarded::Panicked;
use contract::outbox::OutboxError;
use contract::outcome::Outcome;

/// Why a page was not read to its end, or not handed on.
#[derive(Debug, thiserror::Error)]
pub enum ParserError {
    /// What came before the fault was read.
    #[error("the content coding cannot be undone")]
    Coding(#[source] CodingError),
    #[error("reading ended by {0}")]
    Late(Cause),
    #[error(transparent)]
    Panicked(Panicked),
    #[error("the page cannot be handed on")]
    HandOver(#[source] OutboxError),
    #[error("a part of the page's links was not settled; the page comes again")]
    PartLost,
}

impl ParserError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Coding(CodingError::Unreadable(_)) | Self::HandOver(_) | Self::PartLost => {
                ErrorClass::System
            }
            Self::Coding(_) | Self::Late(Cause::Deadline(Layer::Parse)) => ErrorClass::Permanent,
            Self::Late(_) | Self::Panicked(_) => ErrorClass::Transient,
        }
    }

    /// What it makes of a page that was well so far; none where the page stays what it was.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Coding(CodingError::Unreadable(_)) => Some(Outcome::NodeFailed),
            Self::Coding(_) | Self::HandOver(_) | Self::PartLost => None,
            Self::Late(Cause::Deadline(Layer::Parse)) => Some(Outcome::DeadlineParse),
            Self::Late(Cause::Deadline(_)) => Some(Outcome::DeadlinePage),
            Self::Late(Cause::Cancelled { .. }) => Some(Outcome::Cancelled),
            Self::Panicked(_) => Some(Outcome::Panicked),
        }
    }

    /// The error and its sources in one line, for the ledger.
    pub fn detail(&self) -> String {
        chain(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_one_class_and_one_outcome() {
        #[track_caller]
        fn check(error: &ParserError, class: ErrorClass, outcome: Option<Outcome>, detail: &str) {
            assert_eq!(
                (error.class(), error.outcome(), error.detail().as_str()),
                (class, outcome, detail)
            );
        }
        let broken = CodingError::Malformed(std::io::Error::other("bad block"));
        let detail = "the content coding cannot be undone: the body does not decode: bad block";
        check(
            &ParserError::Coding(broken),
            ErrorClass::Permanent,
            None,
            detail,
        );
        let gone = CodingError::Unreadable(std::io::Error::other("gone"));
        let detail = "the content coding cannot be undone: the body cannot be read back: gone";
        check(
            &ParserError::Coding(gone),
            ErrorClass::System,
            Some(Outcome::NodeFailed),
            detail,
        );
        let late = ParserError::Late(Cause::Deadline(Layer::Parse));
        check(
            &late,
            ErrorClass::Permanent,
            Some(Outcome::DeadlineParse),
            "reading ended by deadline(parse)",
        );
        let late = ParserError::Late(Cause::Deadline(Layer::Page));
        check(
            &late,
            ErrorClass::Transient,
            Some(Outcome::DeadlinePage),
            "reading ended by deadline(page)",
        );
        let panicked = ParserError::Panicked(Panicked("boom".into()));
        check(
            &panicked,
            ErrorClass::Transient,
            Some(Outcome::Panicked),
            "panicked: boom",
        );
    }
}

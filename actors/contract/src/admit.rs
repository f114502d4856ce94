//! `admit`: "know these URLs." Seeds, and what an operator adds; a page's links travel inside [`crate::settle`].

use crate::error::ErrorClass;
use crate::link::Link;
use crate::outbox::Ask;

/// URLs for the frontier. The answer means: each is known and queued, durably.
#[derive(Clone, Debug)]
pub struct Admit {
    pub links: Vec<Link>,
    /// Where they came from ("seed", "operator", a URL).
    pub via: Box<str>,
    /// Queue them even when they are known already (a seed must never be lost to a hash collision).
    pub force: bool,
}

impl Ask for Admit {
    type Reply = Result<Admitted, FrontierError>;
}

/// What became of admitted links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    pub new: u64,
    pub known: u64,
}

/// Why the frontier could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// Claims are refused: paused or draining.
    #[error("the frontier is {0}")]
    Refusing(&'static str),
    /// The store failed; nothing of the request is promised.
    #[error("the frontier's store failed: {0}")]
    Store(String),
}

impl FrontierError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refusing(_) => ErrorClass::Transient,
            Self::Store(_) => ErrorClass::System,
        }
    }
}

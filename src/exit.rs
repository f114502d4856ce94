//! Exit codes (Browsertrix' table where it has the case; docs/reference/exit-codes.md) and the errors that carry them.

use std::fmt;

use contract::health::{Fault, FaultKind};
use coordinator::End;

/// What a run of the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// All that was found has its outcome.
    Done = 0,
    /// An error with no code of its own.
    Error = 1,
    /// The disk is full; nothing that was kept is lost.
    DiskFull = 3,
    /// A flag, the config, a seed, the folder or the frontier in it cannot be used.
    BadInput = 4,
    /// The frontier's store failed.
    Store = 8,
    /// The crawl ended and no seed gave a page.
    NoPages = 9,
    /// Interrupted, and drained; the same command goes on.
    Interrupted = 11,
    /// Interrupted twice, and ended at once; the same command goes on.
    Forced = 13,
    SizeLimit = 14,
    TimeLimit = 15,
    PageLimit = 16,
    /// The pipeline kept dying.
    Fatal = 17,
}

impl Code {
    pub fn of_end(end: &End) -> Self {
        match end {
            End::Done => Self::Done,
            End::PageLimit => Self::PageLimit,
            End::TimeLimit => Self::TimeLimit,
            End::SizeLimit => Self::SizeLimit,
            End::Stopped => Self::Interrupted,
            End::Fault(Fault { kind, .. }) => Self::of_fault(*kind),
        }
    }

    /// The code of what keeps a node from working.
    pub fn of_fault(kind: FaultKind) -> Self {
        match kind {
            FaultKind::DiskFull => Self::DiskFull,
            FaultKind::Store => Self::Store,
            FaultKind::Descriptors | FaultKind::Other => Self::Error,
        }
    }
}

/// An error that says what, where and what to do, with the code it ends the program with.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Bad input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Code::BadInput, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

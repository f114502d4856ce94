//! What a caller does next about an error: the three classes of the whole project; and how one reads in a line.

use serde::{Deserialize, Serialize};

/// What the caller does next: try later; record and never retry; stop leasing and call a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// Timeouts, resets, 408 425 429 5xx, SERVFAIL: the URL is tried again.
    Transient,
    /// Other 4xx, wrong certificate, robots, bad data: it will not get better by itself.
    Permanent,
    /// Disk full, no descriptors, store away, a dead actor: this node is ill; no URL burns a try.
    System,
}

impl ErrorClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::System => "system",
        }
    }
}

/// An error and its sources on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

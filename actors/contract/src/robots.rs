//! What is known of one origin's robots.txt, as stored in the frontier. Its reading is the fetcher's.

use serde::{Deserialize, Serialize};

use crate::clock::Wall;

/// The result of asking for /robots.txt (RFC 9309 section 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RobotsAnswer {
    /// 2xx: the file, at most 500 KiB of it, decoded.
    File(Box<[u8]>),
    /// 4xx: everything is allowed.
    Unavailable { status: u16 },
    /// 5xx, 429 or no answer: everything is disallowed until it is asked again.
    Unreachable { reason: Box<str> },
}

/// An answer and when it was had; good for 24 h (RFC 9309 section 2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotsRecord {
    pub answer: RobotsAnswer,
    pub fetched: Wall,
    /// Times in a row that it was unreachable; decides the next wait (1, 5, 15 minutes).
    pub failures: u8,
}

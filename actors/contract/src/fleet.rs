//! The fleet's nouns: crawls and nodes that meet in one shared store.
//!
//! Owns the names and what nodes tell each other of themselves. It knows no store and no process. Nodes are equal:
//! nothing here names a master. Names are safe in a path, a key and a log line by their grammar.
//! Start at [`CrawlState`] and [`NodeStatus`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name has at most so many bytes.
pub const NAME_BYTES_MAX: usize = 63;
/// A node works on at most so many crawls at once.
pub const CRAWLS_MAX: usize = 64;

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {found:?} is no name: 1 to {NAME_BYTES_MAX} of a-z, 0-9, '.', '_' and '-', the first a letter or digit"
)]
pub struct BadName {
    pub what: &'static str,
    pub found: String,
}

/// Letters, digits and `._-` in lower case, the first a letter or digit: no separator, no `..`, no empty name.
fn name(what: &'static str, text: &str) -> Result<String, BadName> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = text.len() <= NAME_BYTES_MAX
        && text.bytes().next().is_some_and(plain)
        && text
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'));
    if is_name {
        return Ok(text.to_owned());
    }
    Err(BadName {
        what,
        found: text.chars().take(NAME_BYTES_MAX + 1).collect(),
    })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                name($what, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// What people call a crawl; unique in its deployment.
    CrawlName, "the crawl";
    /// What people call a node; unique among the nodes that live.
    NodeName, "the node";
}

/// A crawl's number in its deployment: from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CrawlNumber(pub u64);

impl fmt::Display for CrawlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a crawl stands, for all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrawlState {
    /// Its seeds are not in yet: no node takes it up, or it would look done.
    Preparing,
    Running,
    /// No node sends a request for it.
    Paused,
    Ended(CrawlEnd),
}

/// Why a crawl ended, for all nodes. A node's own fault ends no crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrawlEnd {
    /// Everything that was found has its outcome.
    Done,
    PageLimit,
    TimeLimit,
    SizeLimit,
    /// An operator's stop.
    Stopped,
}

impl CrawlState {
    const ALL: [Self; 8] = [
        Self::Preparing,
        Self::Running,
        Self::Paused,
        Self::Ended(CrawlEnd::Done),
        Self::Ended(CrawlEnd::PageLimit),
        Self::Ended(CrawlEnd::TimeLimit),
        Self::Ended(CrawlEnd::SizeLimit),
        Self::Ended(CrawlEnd::Stopped),
    ];

    /// As it is stored and shown. A word never changes its meaning.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Ended(CrawlEnd::Done) => "ended: done",
            Self::Ended(CrawlEnd::PageLimit) => "ended: page limit",
            Self::Ended(CrawlEnd::TimeLimit) => "ended: time limit",
            Self::Ended(CrawlEnd::SizeLimit) => "ended: size limit",
            Self::Ended(CrawlEnd::Stopped) => "ended: stopped",
        }
    }

    /// The state of this word; none for a word of a later version.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    pub fn is_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether nodes work on it: run its rooms, if only to settle what is under way.
    pub fn is_worked_on(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for CrawlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a node tells of itself with each heartbeat. Figures are of now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The program's version.
    pub version: String,
    pub state: NodeState,
    /// How long the last heartbeat took to be answered, in milliseconds.
    pub lag_ms: u64,
    /// How long the process has run, in seconds.
    pub up_s: u64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// At most [`CRAWLS_MAX`].
    pub crawls: Vec<CrawlOnNode>,
}

/// Whether a node works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    #[default]
    Working,
    /// No new leases; what is under way settles.
    Draining,
    /// It cannot work; its log says why.
    Ill,
}

/// A crawl on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrawlOnNode {
    pub crawl: CrawlNumber,
    /// The version of the configuration that the node works by.
    pub config: u64,
    /// Settled pages of the last ten seconds, a thousandth of a page a second each.
    pub millipages_per_s: u64,
    pub leases: u64,
    pub in_flight: u64,
    /// Pages between fetcher and settle, those of a journal included: while there are any, the crawl is not done.
    pub unsent: u64,
    /// Its part of the shared rates; none where none limits it, or a node of the version before does not tell.
    pub rate: Option<RateOnNode>,
}

/// A node's part of the crawl's and the cluster's rate. Rates are of the last ten seconds, a thousandth of a slot a second each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateOnNode {
    /// Booked for it.
    pub millislots_per_s: u64,
    /// Of these, a request was sent with.
    pub used_millislots_per_s: u64,
    /// Of these, ended before a request was ready.
    pub lapsed_millislots_per_s: u64,
    /// Booked for it and neither used nor over.
    pub held: u64,
    /// Requests that are ready and wait for a slot.
    pub waiting: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path_a_key_and_a_line() {
        #[track_caller]
        fn check(text: &str, is_name: bool) {
            assert_eq!(CrawlName::from_str(text).is_ok(), is_name, "{text:?}");
            assert_eq!(NodeName::from_str(text).is_ok(), is_name, "{text:?}");
        }
        check("docs.example.org", true);
        check("0_a-b", true);
        check(&"a".repeat(63), true);
        check(&"a".repeat(64), false);
        check("", false);
        check("..", false);
        check(".hidden", false);
        check("-flag", false);
        check("a/b", false);
        check("Docs", false);
        check("a b", false);
        check("a\nb", false);
        check("{s1}", false);
        check("\u{e4}", false);
        let error = CrawlName::from_str("A").unwrap_err().to_string();
        assert!(error.starts_with("the crawl \"A\" is no name"), "{error}");
    }

    #[test]
    fn every_state_has_its_own_word() {
        for state in CrawlState::ALL {
            assert_eq!(CrawlState::of_word(state.as_str()), Some(state));
            assert!(!(state.is_ended() && state.is_worked_on()));
        }
        assert_eq!(CrawlState::of_word("ended: abducted"), None);
    }
}

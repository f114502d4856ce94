//! What can go wrong between a node and its deployment, and what the caller does about it.

use contract::codec::CodecError;
use contract::error::ErrorClass;
use contract::fleet::{CrawlName, CrawlNumber, CrawlState, NodeName};
use contract::valid::Invalid;

/// Why the shared store did not do what the fleet asked of it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No answer, or a refusal that has nothing to do with the question.
    #[error("the store does not answer")]
    Away(#[source] redis::RedisError),
    /// Redis itself cannot be used.
    #[error("this Redis cannot hold a frontier: {what}; {fix}")]
    Server { what: String, fix: &'static str },
    /// Made by a later version of this program.
    #[error(
        "the store was made with schema {found}, this program reads up to {known}; use the newer program"
    )]
    NewerSchema { found: u64, known: u64 },
    /// URLs or domains are told apart by other rules than this program's.
    #[error(
        "the store was made with {what} {found}, this program has {known}; go on with the program that made it"
    )]
    OtherRules {
        what: &'static str,
        found: String,
        known: String,
    },
    /// No crawl of this name.
    #[error("there is no crawl {0} in this store")]
    NoCrawl(CrawlName),
    /// No more crawls fit.
    #[error("the store holds {0} crawls already; `argiope forget` takes ended ones away")]
    ManyCrawls(usize),
    /// The crawl's state does not allow this.
    #[error("the crawl {name} is {state}: it cannot be {wanted}")]
    State {
        name: CrawlName,
        state: CrawlState,
        wanted: &'static str,
    },
    /// Somebody else changed the configuration meanwhile.
    #[error(
        "the configuration was changed meanwhile (it is at version {current}); look at it and try again"
    )]
    Conflict { current: u64 },
    /// A value of a configuration cannot be used; nothing was stored.
    #[error("the configuration is refused, nothing was changed: {0}")]
    Invalid(#[from] Invalid),
    /// No such version of a configuration.
    #[error("crawl number {crawl} has no configuration {version} (any more)")]
    NoVersion { crawl: CrawlNumber, version: u64 },
    /// A configuration is too long.
    #[error("the configuration has {found} bytes, at most {most} can be stored; give fewer seeds")]
    Long { found: usize, most: usize },
    /// Another process works under this name.
    #[error("another node works under the name {0}; give this one another with --node-name")]
    NameTaken(NodeName),
    /// A stored value makes no sense, or is of a later version.
    #[error("a stored {what} cannot be read")]
    Value {
        what: &'static str,
        source: CodecError,
    },
    /// A stored text makes no sense, or is of a later version.
    #[error("a stored {what} cannot be read: {why}")]
    Text { what: &'static str, why: String },
}

impl FleetError {
    /// What the caller does next.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Away(_) => ErrorClass::System,
            Self::Conflict { .. } => ErrorClass::Transient,
            Self::Server { .. }
            | Self::NewerSchema { .. }
            | Self::OtherRules { .. }
            | Self::NoCrawl(_)
            | Self::ManyCrawls(_)
            | Self::State { .. }
            | Self::Invalid(_)
            | Self::NoVersion { .. }
            | Self::Long { .. }
            | Self::NameTaken(_)
            | Self::Value { .. }
            | Self::Text { .. } => ErrorClass::Permanent,
        }
    }
}

impl From<redis::RedisError> for FleetError {
    fn from(error: redis::RedisError) -> Self {
        Self::Away(error)
    }
}

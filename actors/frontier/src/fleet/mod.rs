//! The fleet's home in Redis: what a deployment is, its crawls, their configurations, and who works on them.
//!
//! Owns the keys with the tag `{argiope}`, all in one slot, so that each question is one script and each change is
//! whole. It knows no URL, no host and no lease, and nothing on the hot path waits for it: a node asks once a second.
//! Functions take any connection of the client library. Invariants: a deployment keeps its shards and rules for life;
//! a crawl's number is never used again; a configuration changes by compare-and-set, whole or not at all; time is
//! the server's. Start at [`deployment::open_or_create`], then [`crawls`] and [`nodes::heartbeat`].
//!
//! | key | holds |
//! |---|---|
//! | `{argiope}:conf` HASH | the deployment: schema, shards, psl, canonical, gates, next-crawl |
//! | `{argiope}:crawls` HASH | name → number |
//! | `{argiope}:gone` HASH | number → bits, of crawls that are forgotten and whose keys are still to go |
//! | `{argiope}:c<c>` HASH | a crawl: seed, bits, expected, made-ms, state, version, ran-us, ran-at-us |
//! | `{argiope}:c<c>:conf` HASH | version → configuration (JSON), `<version>:by` → time in ms, space, who |
//! | `{argiope}:nodes` ZSET | node → time of its last heartbeat in ms |
//! | `{argiope}:n:<node>` STRING, PX | 16 bytes that tell apart processes of one name, then its status |

pub mod address;
mod clustered;
pub mod configs;
pub mod course;
pub mod crawls;
pub mod deployment;
pub mod error;
#[cfg(test)]
pub(crate) mod failing;
pub mod forgetting;
pub mod link;
pub mod nodes;
pub mod server;
pub mod sockets;
#[cfg(test)]
mod testing;
mod told;

pub use error::FleetError;
pub use link::Link;

use contract::fleet::{CrawlNumber, NodeName};

const CONF: &str = "{argiope}:conf";
const CRAWLS: &str = "{argiope}:crawls";
const GONE: &str = "{argiope}:gone";
const NODES: &str = "{argiope}:nodes";

fn crawl_key(crawl: CrawlNumber) -> String {
    format!("{{argiope}}:c{crawl}")
}

fn config_key(crawl: CrawlNumber) -> String {
    format!("{{argiope}}:c{crawl}:conf")
}

fn node_key(node: &NodeName) -> String {
    format!("{{argiope}}:n:{node}")
}

//! A node's status as bytes: its versions.
//!
//! Owns the shape that is written (2) and the one before (1: without the crawls' part of the rate), which is read, so that nodes
//! of both versions see each other while a fleet is brought to the newer one. Start at [`read`].

use contract::codec::{self, CodecError};
use contract::fleet::{CrawlNumber, CrawlOnNode, NodeState, NodeStatus};
use serde::{Deserialize, Serialize};

/// The version of a status' shape.
const VERSION: u8 = 2;
const BEFORE: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Status1 {
    version: String,
    state: NodeState,
    lag_ms: u64,
    up_s: u64,
    memory_bytes: u64,
    crawls: Vec<Crawl1>,
}

#[derive(Serialize, Deserialize)]
struct Crawl1 {
    crawl: CrawlNumber,
    config: u64,
    millipages_per_s: u64,
    leases: u64,
    in_flight: u64,
    unsent: u64,
}

/// As it is written.
///
/// # Errors
/// A status that cannot be encoded.
pub(super) fn write(status: &NodeStatus) -> Result<Vec<u8>, CodecError> {
    codec::encode(VERSION, status)
}

/// A status of this version or of the one before; none of another one.
pub(super) fn read(bytes: &[u8]) -> Option<NodeStatus> {
    if bytes.first() != Some(&BEFORE) {
        return codec::decode(VERSION, bytes).ok();
    }
    let before: Status1 = codec::decode(BEFORE, bytes).ok()?;
    let crawls = before.crawls.into_iter().map(|on| CrawlOnNode {
        crawl: on.crawl,
        config: on.config,
        millipages_per_s: on.millipages_per_s,
        leases: on.leases,
        in_flight: on.in_flight,
        unsent: on.unsent,
        rate: None,
    });
    Some(NodeStatus {
        version: before.version,
        state: before.state,
        lag_ms: before.lag_ms,
        up_s: before.up_s,
        memory_bytes: before.memory_bytes,
        crawls: crawls.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::fleet::RateOnNode;

    fn status(rate: Option<RateOnNode>) -> NodeStatus {
        NodeStatus {
            version: "1.0".into(),
            state: NodeState::Draining,
            lag_ms: 7,
            up_s: 8,
            memory_bytes: 9,
            crawls: vec![CrawlOnNode {
                crawl: CrawlNumber(1),
                config: 2,
                millipages_per_s: 3,
                leases: 4,
                in_flight: 5,
                unsent: 6,
                rate,
            }],
        }
    }

    #[test]
    fn a_node_of_the_version_before_is_still_understood() {
        // As that version wrote it.
        let bytes = [1, 3, b'1', b'.', b'0', 1, 7, 8, 9, 1, 1, 2, 3, 4, 5, 6];
        assert_eq!(read(&bytes), Some(status(None)));
        let rate = RateOnNode {
            held: 3,
            ..RateOnNode::default()
        };
        let now = status(Some(rate));
        assert_eq!(read(&write(&now).unwrap()), Some(now));
        assert_eq!(read(&[3, 0]), None, "of a later version");
        assert_eq!(read(&[]), None);
    }
}

//! Which hosts have the longest queues: for an operator who asks, never on the hot path.
//!
//! Owns the reading of all hosts' records, a few hundred at once and so many at most that Redis hardly feels it.
//! Start at [`RedisStore::longest_queues`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::RedisStore;
use super::scripts::odd;
use crate::error::StoreError;

/// Records read at once.
const TOGETHER: usize = 512;
/// Records read at most: some megabytes.
const HOSTS_MAX: usize = 100_000;

/// The longest queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongestQueues {
    /// A host and its queued URLs (leased ones too), the longest first.
    pub hosts: Vec<(String, u64)>,
    /// Whether all hosts were looked at.
    pub is_whole: bool,
}

impl RedisStore {
    /// So many hosts with the longest queues, of the first hundred thousand hosts.
    ///
    /// # Errors
    /// A store that is away.
    pub async fn longest_queues(&self, most: usize) -> Result<LongestQueues, StoreError> {
        let mut longest = BinaryHeap::new();
        let mut seen = 0;
        for shard in 0..self.core.shape.shards {
            let mut cursor = 0u64;
            loop {
                if seen >= HOSTS_MAX {
                    return Ok(answer(longest, false));
                }
                let mut scan = redis::cmd("HSCAN");
                scan.arg(self.core.shape.key(shard, "H"))
                    .arg(cursor)
                    .arg("COUNT")
                    .arg(TOGETHER);
                let (next, hosts): (u64, Vec<(String, Vec<u8>)>) = self.core.plain(scan).await?;
                seen += hosts.len();
                for (host, record) in hosts {
                    let queued = queued(&record).ok_or(odd("record"))?;
                    if queued > 0 {
                        longest.push(Reverse((queued, host)));
                    }
                    if longest.len() > most {
                        longest.pop();
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(answer(longest, true))
    }
}

fn answer(longest: BinaryHeap<Reverse<(u64, String)>>, is_whole: bool) -> LongestQueues {
    let sorted = longest.into_sorted_vec().into_iter();
    LongestQueues {
        hosts: sorted
            .map(|Reverse((queued, host))| (host, queued))
            .collect(),
        is_whole,
    }
}

/// The four queues' lengths of a host's record (`lua/head.lua`): behind version, token and the lease's end.
fn queued(record: &[u8]) -> Option<u64> {
    const BEFORE: usize = 1 + 8 + 8;
    let lengths = record.get(BEFORE..BEFORE + 4 * 4)?.chunks_exact(4);
    let length = |bytes: &[u8]| Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)));
    lengths.map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_come_first_and_no_more_than_asked_for() {
        let mut longest = BinaryHeap::new();
        for (queued, host) in [(3, "c"), (9, "a"), (1, "d"), (3, "b")] {
            longest.push(Reverse((queued, host.to_owned())));
            if longest.len() > 3 {
                longest.pop();
            }
        }
        let hosts = answer(longest, true).hosts;
        let want = [("a", 9), ("c", 3), ("b", 3)].map(|(host, queued)| (host.to_owned(), queued));
        assert_eq!(hosts, want);
    }

    #[test]
    fn a_record_says_how_much_is_queued() {
        let mut record = vec![1; 17];
        for length in [1u32, 0, 300, 2] {
            record.extend(length.to_le_bytes());
        }
        assert_eq!(queued(&record), Some(303));
        assert_eq!(queued(&record[..20]), None);
    }
}

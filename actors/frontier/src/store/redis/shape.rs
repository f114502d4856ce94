//! How a crawl lies in Redis: its keys, which shard a host belongs to, where a fingerprint is kept.
//!
//! All keys of a shard carry the tag `{sN}`, so that Redis Cluster keeps them in one slot and one script reads and
//! changes them together. What all crawls of a deployment share of a host (token, lease, pace) lies under `{sN}:`, all
//! else under `{sN}:<crawl>:`. The scripts in `lua/` make the same names; `lua/head.lua` says what the records hold.
//!
//! | key | type | what |
//! |---|---|---|
//! | `{sN}:m` | HASH | gate: version, `run` or `moving`, offset of the shard's clock |
//! | `{sN}:h` | HASH | host → shared record: token, lease's end, next allowed time, learned delay, kept for visitors, strikes |
//! | `{sN}:d:<domain>`, `{sN}:w:<domain>` | ZSET | leases of a domain by their end; hosts that wait for one to end |
//! | `{sN}:<c>:m` | HASH | counters of the crawl in this shard, `st` run or paused |
//! | `{sN}:<c>:H` | HASH | host → record: counts, the lease that is out and its marks |
//! | `{sN}:<c>:z`, `:zs` | ZSET | hosts that wait, by their turn; suspects apart |
//! | `{sN}:<c>:l` | ZSET | leases by their end |
//! | `{sN}:<c>:q<class>:<host>` | LIST | queue of a class; elements as [`Element`](super::super::element) of version 2 |
//! | `{sN}:<c>:k<class>:<host>` | LIST | chunks of a cold class, packed by [`cold`](super::cold) |
//! | `{sN}:<c>:t<class>:<host>` | LIST | tail of a cold class: takes new URLs |
//! | `{sN}:<c>:r:<host>` | ZSET | retries by when they are due; a counter, then the element |
//! | `{sN}:<c>:u:<bucket>` | SET | seen fingerprints: 32 bits as an integer; the bucket is more bits of them |
//! | `{sN}:<c>:x` | HASH | URLs known by spelling → 1 if a seed |
//! | `{sN}:<c>:R` | HASH | host, https, port → robots.txt |
//! | `{sN}:<c>:g` | HASH | number → URL given up |
//! | `{ip:<address>}` | ZSET | leases at an address, by their end |

use contract::canonical::Fingerprint;
use contract::fleet::CrawlNumber;
use contract::host::Area;

/// The shape of one crawl's part of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// A power of two, at most 4,096.
    pub(super) shards: u16,
    /// Bits of a fingerprint that choose its bucket, 0 to 16.
    pub(super) bucket_bits: u8,
    pub(super) crawl: CrawlNumber,
}

impl Shape {
    /// The shard of a domain's hosts.
    pub(super) fn shard(self, area: Area) -> u16 {
        let high = u32::from(area.0) * u32::from(self.shards);
        // Less than the count of shards.
        u16::try_from(high >> 16).unwrap_or(0)
    }

    /// The gate of a shard.
    pub(super) fn gate(shard: u16) -> String {
        format!("{{s{shard}}}:m")
    }

    /// A key of the crawl in a shard.
    pub(super) fn key(self, shard: u16, name: &str) -> String {
        format!("{{s{shard}}}:{}:{name}", self.crawl)
    }

    /// Where a fingerprint is kept in its shard: the bucket, and what is a member of it.
    pub(super) fn place(self, fingerprint: Fingerprint) -> (u32, i32) {
        let bits = u32::try_from(fingerprint.0 >> 32 & 0xffff).unwrap_or(0);
        let low = u32::try_from(fingerprint.0 & 0xffff_ffff).unwrap_or(0);
        (bits & ((1 << self.bucket_bits) - 1), low.cast_signed())
    }

    /// What is known of a fingerprint that is kept there: the bits that the place tells, the others zero.
    pub(super) fn fingerprint(self, shard: u16, bucket: u32, member: i32) -> Fingerprint {
        let head = match self.shards.trailing_zeros() {
            0 => 0,
            bits => u64::from(shard) << (64 - bits),
        };
        Fingerprint(head | u64::from(bucket) << 32 | u64::from(member.cast_unsigned()))
    }

    /// The bits of a fingerprint that are kept.
    pub(super) fn mask(self) -> u64 {
        let head = match self.shards.trailing_zeros() {
            0 => 0,
            bits => u64::MAX << (64 - bits),
        };
        head | ((1u64 << (32 + u32::from(self.bucket_bits))) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_the_bits_that_are_kept_and_no_others() {
        for (shards, bucket_bits) in [(1, 0), (64, 9), (256, 16), (4_096, 3)] {
            let shape = Shape {
                shards,
                bucket_bits,
                crawl: CrawlNumber(1),
            };
            for fingerprint in [0, 1, u64::MAX, 0x1234_5678_9abc_def0, 0x8000_0000_8000_0000] {
                let fingerprint = Fingerprint(fingerprint);
                let shard = shape.shard(fingerprint.area());
                assert!(shard < shards);
                let (bucket, member) = shape.place(fingerprint);
                let kept = shape.fingerprint(shard, bucket, member);
                assert_eq!(
                    kept.0,
                    fingerprint.0 & shape.mask(),
                    "{shape:?} {fingerprint:?}"
                );
            }
        }
    }
}

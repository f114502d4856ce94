//! The end of a crawl's part of the store: all its keys, taken away shard by shard.
//!
//! Owns the order within a shard: the queues, which are found by the hosts' records, then the seen set, then the tables.
//! Whoever is cut off begins again and finds what is left. Invariant: no key that another crawl has or that all share is
//! touched: what is known of a host's pace stays. Start at [`clear`].

use contract::fleet::CrawlNumber;
use redis::RedisError;
use redis::aio::ConnectionLike;

use super::shape::Shape;
use crate::error::StoreError;
use crate::fleet::deployment::Deployment;

/// Hosts whose queues go together, about.
const HOSTS_TOGETHER: usize = 100;
/// Keys that go in one command.
const KEYS_TOGETHER: usize = 1_000;
/// Tables of a crawl in a shard; the hosts' records last, since they tell of the queues.
const TABLES: [&str; 8] = ["m", "z", "zs", "l", "x", "R", "g", "H"];
/// What a host has: queues, chunks and tails of the three classes, and retries.
const QUEUES: [&str; 10] = ["q0", "q1", "q2", "k0", "k1", "k2", "t0", "t1", "t2", "r"];

/// Removes an ended crawl's keys from every shard; how many there were.
///
/// # Errors
/// A store that does not answer: what is left goes when it is asked again.
pub async fn clear(
    conn: &mut (impl ConnectionLike + Send),
    deployment: &Deployment,
    crawl: CrawlNumber,
    bucket_bits: u8,
) -> Result<u64, StoreError> {
    let shape = Shape {
        shards: deployment.shards,
        bucket_bits,
        crawl,
    };
    let mut keys = 0;
    for shard in 0..shape.shards {
        keys += queues(conn, shape, shard).await?;
        let mut buckets = 0..1_u32 << bucket_bits;
        loop {
            let some = buckets.by_ref().take(KEYS_TOGETHER);
            let some: Vec<String> = some
                .map(|bucket| shape.key(shard, &format!("u:{bucket}")))
                .collect();
            if some.is_empty() {
                break;
            }
            keys += unlink(conn, &some).await?;
        }
        keys += unlink(conn, &TABLES.map(|table| shape.key(shard, table))).await?;
    }
    // What it had of the limit over all nodes, and its rate: each has a slot of its own.
    keys += unlink(conn, &[format!("{{c{crawl}}}:l")]).await?;
    keys += unlink(conn, &[format!("{{rate}}:c{crawl}")]).await?;
    Ok(keys)
}

async fn queues(
    conn: &mut (impl ConnectionLike + Send),
    shape: Shape,
    shard: u16,
) -> Result<u64, StoreError> {
    let (mut cursor, mut keys) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(shape.key(shard, "H"))
            .arg(cursor)
            .arg("COUNT")
            .arg(HOSTS_TOGETHER);
        let (next, found): (u64, Vec<(String, Vec<u8>)>) = scan.query_async(conn).await?;
        for some in found.chunks(HOSTS_TOGETHER) {
            let all = some.iter().flat_map(|(host, _)| {
                QUEUES.map(|queue| shape.key(shard, &format!("{queue}:{host}")))
            });
            keys += unlink(conn, &all.collect::<Vec<_>>()).await?;
        }
        if next == 0 {
            return Ok(keys);
        }
        cursor = next;
    }
}

/// Keys of one slot.
async fn unlink(
    conn: &mut (impl ConnectionLike + Send),
    keys: &[String],
) -> Result<u64, RedisError> {
    if keys.is_empty() {
        return Ok(0);
    }
    redis::cmd("UNLINK").arg(keys).query_async(conn).await
}

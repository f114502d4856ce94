//! The course of a crawl that many nodes work on: how long it has run, and whether anyone still holds work.
//!
//! Running time is the union of what the nodes tell, not the sum: a crawl that ten nodes worked on for a minute ran
//! for a minute. Invariant: it never shrinks, and grows no faster than the server's clock. Start at [`ran`].

use std::sync::LazyLock;
use std::time::Duration;

use contract::clock::micros;
use contract::fleet::{CrawlNumber, NodeName};
use redis::Script;
use redis::aio::ConnectionLike;

use super::nodes::Node;
use super::{FleetError, crawl_key};

/// "I worked on it for the last `more`." Answers the running time over the crawl's life. Two nodes that tell of the
/// same time add it once; a question asked again because its answer was lost adds what has passed since; with no time
/// it only asks.
///
/// # Errors
/// A store that does not answer.
pub async fn ran(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
    more: Duration,
) -> Result<Duration, FleetError> {
    static RAN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("ran.lua")));
    let mut ran = RAN.key(crawl_key(crawl));
    let whole: u64 = ran.arg(micros(more)).invoke_async(conn).await?;
    Ok(Duration::from_micros(whole))
}

/// Pages of this crawl that other living nodes have not settled yet. A dead node's come back with its leases.
pub fn unsent_elsewhere(nodes: &[Node], me: &NodeName, crawl: CrawlNumber) -> u64 {
    let others = nodes
        .iter()
        .filter(|node| node.name != *me && node.is_alive());
    let crawls = others
        .filter_map(|node| node.status.as_ref())
        .flat_map(|s| &s.crawls);
    crawls
        .filter(|on| on.crawl == crawl)
        .map(|on| on.unsent)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_crawl;
    use super::*;
    use contract::fleet::{CrawlOnNode, NodeStatus};

    #[tokio::test]
    async fn time_that_two_nodes_tell_of_counts_once() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let crawl = crawl.number;
        let minute = Duration::from_secs(60);
        assert_eq!(ran(&mut conn, crawl, minute).await.unwrap(), minute);
        let began = std::time::Instant::now();
        let again = ran(&mut conn, crawl, minute).await.unwrap();
        // The server's clock and ours are the same machine's here; the margin is for its steps.
        let most = minute + began.elapsed() + Duration::from_secs(30);
        assert!(minute <= again && again < most, "{again:?}");
        // An hour later by the server's clock: only what the node worked is added.
        let back = redis::cmd("HINCRBY")
            .arg(crawl_key(crawl))
            .arg("ran-at-us")
            .arg(-3_600_000_000_i64)
            .to_owned();
        let _: i64 = back.query_async(&mut conn).await.unwrap();
        let later = ran(&mut conn, crawl, Duration::from_secs(5)).await.unwrap();
        assert_eq!(later, again + Duration::from_secs(5));
        // Who only asks takes nothing from who tells.
        assert_eq!(ran(&mut conn, crawl, Duration::ZERO).await.unwrap(), later);
        let told: u64 = redis::cmd("HGET")
            .arg(crawl_key(crawl))
            .arg("ran-at-us")
            .query_async(&mut conn)
            .await
            .unwrap();
        assert!(told > 0);
        ran(&mut conn, crawl, Duration::ZERO).await.unwrap();
        let still: u64 = redis::cmd("HGET")
            .arg(crawl_key(crawl))
            .arg("ran-at-us")
            .query_async(&mut conn)
            .await
            .unwrap();
        assert_eq!(told, still);
        // A clock that went back adds nothing and takes nothing away.
        let ahead = redis::cmd("HINCRBY")
            .arg(crawl_key(crawl))
            .arg("ran-at-us")
            .arg(7_200_000_000_i64)
            .to_owned();
        let _: i64 = ahead.query_async(&mut conn).await.unwrap();
        assert_eq!(ran(&mut conn, crawl, minute).await.unwrap(), later);
    }

    #[test]
    fn only_living_others_hold_a_crawl_up() {
        let node = |name: &str, silent_s, crawl, unsent| Node {
            name: name.parse().unwrap(),
            silent: Duration::from_secs(silent_s),
            status: Some(NodeStatus {
                crawls: vec![CrawlOnNode {
                    crawl: CrawlNumber(crawl),
                    config: 1,
                    millipages_per_s: 0,
                    leases: 0,
                    in_flight: 0,
                    unsent,
                    rate: None,
                }],
                ..NodeStatus::default()
            }),
        };
        let mut nodes = vec![
            node("me", 0, 1, 100),
            node("a", 1, 1, 3),
            node("b", 1, 1, 4),
            node("dead", 6, 1, 50),
            node("other", 1, 2, 60),
        ];
        nodes.push(Node {
            status: None,
            ..nodes[1].clone()
        });
        let me = "me".parse().unwrap();
        assert_eq!(unsent_elsewhere(&nodes, &me, CrawlNumber(1)), 7);
        assert_eq!(unsent_elsewhere(&nodes, &me, CrawlNumber(3)), 0);
    }
}

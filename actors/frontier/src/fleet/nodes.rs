//! Who works here: each node tells of itself once a second and hears what the fleet wants.
//!
//! Owns `{argiope}:nodes` and the nodes' statuses. Nodes come and go by the server's clock; nothing that must be
//! right rests on who is there (leases and budgets run out by themselves). Invariant: of two processes with one name
//! only the first is heard while it lives. Start at [`heartbeat`].

use std::sync::LazyLock;
use std::time::Duration;

use contract::clock::millis;
use contract::fleet::{CRAWLS_MAX, CrawlName, CrawlNumber, CrawlState, NodeName, NodeStatus};
use redis::Script;
use redis::aio::ConnectionLike;

use super::{CRAWLS, FleetError, NODES, node_key, told};

/// A node that was silent for longer is taken for dead, and its name is free.
pub const LIFE: Duration = Duration::from_secs(5);
/// So long a silent node is still shown.
pub const SHOWN: Duration = Duration::from_secs(600);
/// Bytes of a status at most.
const STATUS_BYTES_MAX: usize = 16 << 10;

/// Who a process is: its name, and 16 bytes of chance that tell it from another process of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    pub name: NodeName,
    pub process: [u8; 16],
}

/// What a node hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The server's time, in ms since 1970.
    pub now_ms: u64,
    /// The crawls that have not ended.
    pub crawls: Vec<HeardCrawl>,
}

/// A crawl that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardCrawl {
    pub name: CrawlName,
    pub number: CrawlNumber,
    pub state: CrawlState,
    /// The version of the configuration in force.
    pub config: u64,
}

/// A node as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub name: NodeName,
    /// Since its last heartbeat.
    pub silent: Duration,
    /// None where a later program wrote it.
    pub status: Option<NodeStatus>,
}

impl Node {
    pub fn is_alive(&self) -> bool {
        self.silent <= LIFE
    }
}

/// "I am here, and stand so." Answers what the fleet wants.
///
/// # Errors
/// [`FleetError::NameTaken`] while another process lives under this name.
pub async fn heartbeat(
    conn: &mut (impl ConnectionLike + Send),
    me: &Me,
    status: &NodeStatus,
) -> Result<Heard, FleetError> {
    static HEARTBEAT: LazyLock<Script> =
        LazyLock::new(|| Script::new(include_str!("heartbeat.lua")));
    let mut beat = HEARTBEAT.key(NODES);
    beat.key(node_key(&me.name))
        .key(CRAWLS)
        .arg(me.name.as_str())
        .arg(&me.process)
        .arg(bytes(status)?)
        .arg(millis(LIFE))
        .arg(millis(SHOWN));
    /// Name, number, state, version of the configuration.
    type Row = (String, u64, String, u64);
    let answer: Option<(u64, Vec<Row>)> = beat.invoke_async(conn).await?;
    let Some((now_ms, crawls)) = answer else {
        return Err(FleetError::NameTaken(me.name.clone()));
    };
    let mut heard = Vec::with_capacity(crawls.len());
    for (name, number, state, config) in crawls {
        let not_read = |what, why: String| FleetError::Text { what, why };
        heard.push(HeardCrawl {
            name: name
                .parse()
                .map_err(|error| not_read("name", format!("{error}")))?,
            number: CrawlNumber(number),
            state: CrawlState::of_word(&state).ok_or_else(|| not_read("state", state))?,
            config,
        });
    }
    heard.sort_unstable_by_key(|crawl| crawl.number);
    let crawls = heard;
    Ok(Heard { now_ms, crawls })
}

/// "I am gone." Its name is free at once.
///
/// # Errors
/// A store that does not answer; the name is then free after [`LIFE`].
pub async fn leave(conn: &mut (impl ConnectionLike + Send), me: &Me) -> Result<(), FleetError> {
    static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("leave.lua")));
    let mut leave = LEAVE.key(NODES);
    leave
        .key(node_key(&me.name))
        .arg(me.name.as_str())
        .arg(&me.process);
    let _was_there: i64 = leave.invoke_async(conn).await?;
    Ok(())
}

/// All nodes that were heard within [`SHOWN`], by name.
///
/// # Errors
/// A store that does not answer.
pub async fn list(conn: &mut (impl ConnectionLike + Send)) -> Result<Vec<Node>, FleetError> {
    static LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("nodes.lua")));
    let mut list = LIST.key(NODES);
    list.arg(millis(SHOWN));
    let rows: Vec<(String, u64, Vec<u8>)> = list.invoke_async(conn).await?;
    let mut nodes = Vec::with_capacity(rows.len());
    for (name, silent_ms, status) in rows {
        let name = name.parse().map_err(|error| FleetError::Text {
            what: "node's name",
            why: format!("{error}"),
        })?;
        nodes.push(Node {
            name,
            silent: Duration::from_millis(silent_ms),
            status: status.get(16..).and_then(told::read),
        });
    }
    nodes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(nodes)
}

fn bytes(status: &NodeStatus) -> Result<Vec<u8>, FleetError> {
    let what = "node's status";
    let encode = |status| told::write(status).map_err(|source| FleetError::Value { what, source });
    if status.crawls.len() <= CRAWLS_MAX {
        let bytes = encode(status)?;
        if bytes.len() <= STATUS_BYTES_MAX {
            return Ok(bytes);
        }
    }
    // More than a node works on: what is told of it is cut, the heartbeat itself is not missed.
    let crawls = status.crawls.iter().take(CRAWLS_MAX).cloned().collect();
    let version = status.version.chars().take(64).collect();
    encode(&NodeStatus {
        version,
        crawls,
        ..status.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{connect, with_crawl};
    use super::super::{configs, crawls};
    use super::*;
    use contract::crawl::CrawlConfig;
    use contract::fleet::{CrawlEnd, CrawlOnNode, NodeState};

    fn me(name: &str, process: u8) -> Me {
        Me {
            name: name.parse().unwrap(),
            process: [process; 16],
        }
    }

    fn status(leases: u64) -> NodeStatus {
        NodeStatus {
            version: "1.0".into(),
            state: NodeState::Working,
            crawls: vec![CrawlOnNode {
                crawl: CrawlNumber(1),
                config: 1,
                millipages_per_s: 2_500,
                leases,
                in_flight: 3,
                unsent: 4,
                rate: None,
            }],
            ..NodeStatus::default()
        }
    }

    /// Makes a node look as if it had been silent for so long.
    async fn age(conn: &mut redis::aio::MultiplexedConnection, node: &str, ms: i64) {
        let age = redis::cmd("ZINCRBY")
            .arg(NODES)
            .arg(-ms)
            .arg(node)
            .to_owned();
        let _: f64 = age.query_async(conn).await.unwrap();
    }

    #[tokio::test]
    async fn a_node_is_seen_and_hears_what_is_wanted() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let heard = heartbeat(&mut conn, &me("n1", 1), &status(7))
            .await
            .unwrap();
        let want = HeardCrawl {
            name: crawl.name.clone(),
            number: crawl.number,
            state: CrawlState::Running,
            config: 1,
        };
        assert_eq!(heard.crawls, [want]);
        let mut config = CrawlConfig::default();
        config.pace.delay_ms = 5;
        configs::set(&mut conn, crawl.number, 1, &config, "x")
            .await
            .unwrap();
        crawls::pause(&mut conn, &crawl.name).await.unwrap();
        let heard = heartbeat(&mut conn, &me("n2", 2), &status(8))
            .await
            .unwrap();
        let told = (heard.crawls[0].state, heard.crawls[0].config);
        assert_eq!(told, (CrawlState::Paused, 2));
        let nodes = list(&mut conn).await.unwrap();
        let seen: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(seen, ["n1", "n2"]);
        assert!(nodes.iter().all(Node::is_alive), "{nodes:?}");
        assert_eq!(nodes[0].status, Some(status(7)));
        crawls::end(&mut conn, &crawl.name, CrawlEnd::Stopped)
            .await
            .unwrap();
        let heard = heartbeat(&mut conn, &me("n1", 1), &status(7))
            .await
            .unwrap();
        assert_eq!(heard.crawls, [], "an ended crawl is not heard of");
        leave(&mut conn, &me("n1", 1)).await.unwrap();
        assert_eq!(list(&mut conn).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_name_belongs_to_one_process_while_it_lives() {
        let (_redis, mut conn, _) = with_crawl().await;
        heartbeat(&mut conn, &me("n1", 1), &status(1))
            .await
            .unwrap();
        let taken = heartbeat(&mut conn, &me("n1", 2), &status(2))
            .await
            .unwrap_err();
        assert!(matches!(taken, FleetError::NameTaken(_)), "{taken}");
        leave(&mut conn, &me("n1", 2)).await.unwrap();
        heartbeat(&mut conn, &me("n1", 1), &status(1))
            .await
            .unwrap();
        let nodes = list(&mut conn).await.unwrap();
        assert_eq!(
            nodes[0].status,
            Some(status(1)),
            "the stranger changed nothing"
        );
        // It dies without a word; after its life the name is free.
        age(&mut conn, "n1", 5_001).await;
        assert!(!list(&mut conn).await.unwrap()[0].is_alive());
        heartbeat(&mut conn, &me("n1", 2), &status(2))
            .await
            .unwrap();
        assert_eq!(list(&mut conn).await.unwrap()[0].status, Some(status(2)));
    }

    #[tokio::test]
    async fn the_long_silent_are_forgotten_and_later_programs_are_shown_without_figures() {
        let (redis, mut conn, _) = with_crawl().await;
        heartbeat(&mut conn, &me("n1", 1), &status(1))
            .await
            .unwrap();
        heartbeat(&mut conn, &me("n2", 2), &status(2))
            .await
            .unwrap();
        let newer = [&[2_u8; 16][..], &[9, 1, 2, 3]].concat();
        let set = redis::cmd("SET")
            .arg("{argiope}:n:n2")
            .arg(newer)
            .to_owned();
        let _: () = set
            .query_async(&mut connect(&redis.url()).await)
            .await
            .unwrap();
        age(&mut conn, "n1", 600_001).await;
        let nodes = list(&mut conn).await.unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!((nodes[0].name.as_str(), &nodes[0].status), ("n2", &None));
        assert!(nodes[0].is_alive());
    }

    #[test]
    fn a_status_is_bounded_whatever_it_holds() {
        let mut huge = status(1);
        huge.version = "v".repeat(100_000);
        huge.crawls = vec![huge.crawls[0].clone(); 10_000];
        let huge = bytes(&huge).unwrap();
        assert!(huge.len() <= STATUS_BYTES_MAX, "{}", huge.len());
    }
}

//! Where the store's servers are, as socket addresses: what a crawler that lives by the store must never ask for a page.
//!
//! Owns the reading of what the servers tell of each other: a cluster's nodes, a master's replicas, our own connection's
//! far end. It judges nothing. Start at [`sockets`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use redis::aio::ConnectionLike;
use tracing::{debug, warn};

use super::address::{Address, Topology};
use super::link::Link;

/// The sockets of the store's servers, as far as they are known now: those that the address names, and those that
/// they tell of. What they do not tell (an ACL forbids it) is left out, and said.
pub async fn sockets(link: &mut Link, address: &Address) -> Vec<SocketAddr> {
    let mut found = BTreeSet::new();
    for server in address.servers() {
        match tokio::net::lookup_host((server.host.as_str(), server.port)).await {
            Ok(sockets) => found.extend(sockets),
            Err(error) => warn!(host = server.host, %error, "a server of the store has no address"),
        }
    }
    let told: &[(&[&str], Reader)] = match address.topology {
        Topology::Single(_) => &[(&["CLIENT", "INFO"], near)],
        Topology::Cluster(_) => &[(&["CLUSTER", "NODES"], nodes)],
        Topology::Sentinel { .. } => &[
            (&["CLIENT", "INFO"], near),
            (&["INFO", "replication"], replicas),
        ],
    };
    for (words, read) in told {
        match ask(link, words).await {
            Ok(text) => found.extend(read(&text)),
            Err(error) => debug!(question = words.join(" "), %error, "the store does not tell"),
        }
    }
    found.into_iter().collect()
}

/// Reads sockets out of an answer.
type Reader = fn(&str) -> Vec<SocketAddr>;

async fn ask(
    conn: &mut (impl ConnectionLike + Send),
    words: &[&str],
) -> redis::RedisResult<String> {
    let mut question = redis::cmd(words[0]);
    question.arg(&words[1..]);
    question.query_async(conn).await
}

/// The server's end of the connection that asked (`CLIENT INFO`: `… laddr=10.0.0.1:6379 …`).
fn near(text: &str) -> Vec<SocketAddr> {
    let fields = text.split_ascii_whitespace();
    fields
        .filter_map(|field| field.strip_prefix("laddr="))
        .filter_map(|socket| socket.parse().ok())
        .collect()
}

/// A cluster's nodes (`CLUSTER NODES`: `id 10.0.0.1:6379@16379,name flags …`), with the ports of their own talk.
fn nodes(text: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(at) = line.split(' ').nth(1) else {
            continue;
        };
        let at = at.split(',').next().unwrap_or_default();
        let (socket, bus) = at.split_once('@').unwrap_or((at, ""));
        let Some((ip, port)) = socket.rsplit_once(':') else {
            continue;
        };
        let ip = ip.trim_matches(|c| matches!(c, '[' | ']'));
        let Ok(ip) = ip.parse::<IpAddr>() else {
            continue;
        };
        let ports = [port, bus].into_iter().filter_map(|port| port.parse().ok());
        found.extend(ports.map(|port: u16| SocketAddr::new(ip, port)));
    }
    found
}

/// A master's replicas (`INFO replication`: `slave0:ip=10.0.0.2,port=6379,…`).
fn replicas(text: &str) -> Vec<SocketAddr> {
    let socket = |line: &str| {
        let (name, fields) = line.split_once(':')?;
        let fields = name.starts_with("slave").then_some(fields)?;
        let value = |key: &str| fields.split(',').find_map(|field| field.strip_prefix(key));
        let (ip, port) = (value("ip=")?.parse().ok()?, value("port=")?.parse().ok()?);
        Some(SocketAddr::new(ip, port))
    };
    text.lines().filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::redis::{Redis, RedisCluster, RedisOptions};

    #[test]
    fn what_servers_tell_is_read() {
        #[track_caller]
        fn check(found: Vec<SocketAddr>, want: &[&str]) {
            let want: Vec<SocketAddr> = want.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(found, want);
        }
        check(
            near("id=3 addr=10.0.0.9:5000 laddr=10.0.0.1:6379 fd=8 name= age=0"),
            &["10.0.0.1:6379"],
        );
        check(
            nodes(
                "07c3 10.0.0.1:6379@16379,one master - 0 1 4 connected 0-5460\n\
                 67ed :0@0 master,noaddr - 0 1 4 disconnected\n\
                 82aa fd00::2:6379@16379 myself,slave 07c3 0 0 1 connected\n\n",
            ),
            &[
                "10.0.0.1:6379",
                "10.0.0.1:16379",
                "[fd00::2]:6379",
                "[fd00::2]:16379",
            ],
        );
        check(
            replicas(
                "role:master\r\nconnected_slaves:2\r\n\
                 slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\n\
                 slave1:ip=a.test,port=6379,state=online\r\nmaster_replid:x\r\n",
            ),
            &["10.0.0.2:6379"],
        );
        check(nodes("?"), &[]);
    }

    async fn all(url: &str) -> Vec<SocketAddr> {
        let address = Address::parse(url).unwrap();
        let mut link = Link::open(&address, None).await.unwrap();
        sockets(&mut link, &address).await
    }

    #[tokio::test]
    async fn a_server_is_known_by_its_name_and_by_what_it_says() {
        let redis = Redis::start(RedisOptions::default()).unwrap();
        let port = redis.port();
        let found = all(&format!("redis://localhost:{port}")).await;
        let here: SocketAddr = ([127, 0, 0, 1], port).into();
        assert!(found.contains(&here), "{found:?}");
    }

    #[tokio::test]
    async fn one_server_of_a_cluster_tells_of_all() {
        let cluster = RedisCluster::start(3, 0).unwrap();
        let first = cluster.urls()[0].replace("redis://", "redis+cluster://");
        let found = all(&first).await;
        assert_eq!(found.len(), 6, "{found:?}");
    }
}

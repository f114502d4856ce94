//! The resolver against a DNS server of the test's own.

use std::collections::HashMap;
use std::sync::Mutex;

use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::{RData, Record};
use tokio::net::UdpSocket;

use super::*;
use crate::address::OwnSockets;

/// What the test's name server says of a name.
#[derive(Clone)]
enum Says {
    Addresses(&'static [&'static str], u32),
    Code(ResponseCode),
    Nothing,
}

/// A name server on loopback that knows these names and counts what it is asked.
struct Server {
    at: SocketAddr,
    asked: Arc<Mutex<HashMap<String, u32>>>,
}

impl Server {
    async fn start(zone: &[(&'static str, Says)]) -> Self {
        let zone: HashMap<String, Says> = zone
            .iter()
            .map(|(name, says)| (format!("{name}."), says.clone()))
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (at, asked) = (
            socket.local_addr().unwrap(),
            Arc::new(Mutex::new(HashMap::new())),
        );
        let log = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..len]).unwrap();
                let query = question.queries[0].clone();
                *log.lock()
                    .unwrap()
                    .entry(query.name().to_string())
                    .or_default() += 1;
                let known = zone.get(&query.name().to_string()).cloned();
                if let Some(answer) = answer(
                    &question,
                    &query,
                    known.unwrap_or(Says::Code(ResponseCode::NXDomain)),
                ) {
                    let _sent = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { at, asked }
    }

    fn asked(&self, name: &str) -> u32 {
        self.asked
            .lock()
            .unwrap()
            .get(&format!("{name}."))
            .copied()
            .unwrap_or(0)
    }
}

fn answer(question: &Message, query: &Query, says: Says) -> Option<Vec<u8>> {
    let mut answer = question.clone().into_response();
    match says {
        Says::Nothing => return None,
        Says::Code(code) => answer.metadata.response_code = code,
        Says::Addresses(list, ttl) => {
            for address in list {
                let data = match address.parse().unwrap() {
                    IpAddr::V4(v4) if query.query_type() == RecordType::A => RData::A(v4.into()),
                    IpAddr::V6(v6) if query.query_type() == RecordType::AAAA => {
                        RData::AAAA(v6.into())
                    }
                    _ => continue,
                };
                answer.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
            }
        }
    }
    Some(answer.to_vec().unwrap())
}

fn dns(server: &Server, nets: &[&str]) -> Dns {
    let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
    Dns::new(
        Some(server.at),
        Arc::new(Dial {
            nets,
            ports: vec![],
            own: OwnSockets::default(),
        }),
    )
    .unwrap()
}

fn at(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses
        .iter()
        .map(|address| SocketAddr::new(address.parse().unwrap(), 0))
        .collect()
}

#[tokio::test]
async fn both_families_come_and_only_what_may_be_dialled() {
    let server = Server::start(&[
        (
            "both.zoo.test",
            Says::Addresses(&["8.8.8.8", "2606:4700::1", "8.8.4.4"], 60),
        ),
        ("six.zoo.test", Says::Addresses(&["2606:4700::1"], 60)),
        (
            "mixed.zoo.test",
            Says::Addresses(&["10.0.0.1", "8.8.8.8", "::1"], 60),
        ),
        (
            "inner.zoo.test",
            Says::Addresses(&["10.0.0.1", "fd00::1"], 60),
        ),
        ("meta.zoo.test", Says::Addresses(&["169.254.169.254"], 60)),
    ])
    .await;
    let resolver = dns(&server, &[]);
    assert_eq!(
        resolver.lookup("both.zoo.test").await,
        Ok(at(&["8.8.8.8", "8.8.4.4", "2606:4700::1"]))
    );
    assert_eq!(
        resolver.lookup("six.zoo.test").await,
        Ok(at(&["2606:4700::1"]))
    );
    assert_eq!(
        resolver.lookup("mixed.zoo.test.").await,
        Ok(at(&["8.8.8.8"]))
    );
    let refused = resolver.lookup("inner.zoo.test").await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Permanent);
    let text = refused.to_string();
    assert!(
        text.contains("10.0.0.1") && text.contains("fd00::1"),
        "{text}"
    );
    assert!(matches!(
        resolver.lookup("meta.zoo.test").await,
        Err(DnsError::Refused { .. })
    ));
    let allowed = dns(&server, &["10.0.0.0/8"]);
    assert_eq!(
        allowed.lookup("inner.zoo.test").await,
        Ok(at(&["10.0.0.1"]))
    );
}

#[tokio::test]
async fn localhost_is_loopback_and_asks_nobody() {
    let server = Server::start(&[]).await;
    let refusing = dns(&server, &[]);
    assert!(matches!(
        refusing.lookup("localhost").await,
        Err(DnsError::Refused { .. })
    ));
    let resolver = dns(&server, &["127.0.0.0/8"]);
    assert_eq!(resolver.lookup("localhost").await, Ok(at(&["127.0.0.1"])));
    assert_eq!(
        resolver.lookup("a.b.LocalHost.").await,
        Ok(at(&["127.0.0.1"]))
    );
    assert_eq!(
        resolver.lookup("localhost.zoo.test").await,
        Err(DnsError::NotFound("localhost.zoo.test".into()))
    );
    assert_eq!(server.asked("localhost"), 0);
}

#[tokio::test]
async fn errors_are_told_apart() {
    let server = Server::start(&[
        ("empty.zoo.test", Says::Addresses(&[], 60)),
        ("fails.zoo.test", Says::Code(ResponseCode::ServFail)),
        ("refuses.zoo.test", Says::Code(ResponseCode::Refused)),
    ])
    .await;
    let resolver = dns(&server, &[]);
    for name in ["gone.zoo.test", "empty.zoo.test", "two..dots", "-"] {
        let error = resolver.lookup(name).await.unwrap_err();
        assert_eq!(
            (&error, error.class()),
            (&DnsError::NotFound(name.into()), ErrorClass::Permanent)
        );
    }
    for name in ["fails.zoo.test", "refuses.zoo.test"] {
        let error = resolver.lookup(name).await.unwrap_err();
        assert!(matches!(error, DnsError::Failed { .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Transient);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_resolver_is_waited_for_five_seconds() {
    let server = Server::start(&[("quiet.zoo.test", Says::Nothing)]).await;
    let resolver = dns(&server, &[]);
    let began = tokio::time::Instant::now();
    let error = resolver.lookup("quiet.zoo.test").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(matches!(error, DnsError::TimedOut(_)), "{error:?}");
    assert!(
        began.elapsed() <= NAME_LIMIT + Duration::from_millis(50),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn answers_are_kept_for_a_while() {
    let server = Server::start(&[(
        "kept.zoo.test",
        Says::Addresses(&["8.8.8.8", "2606:4700::1"], 0),
    )])
    .await;
    let resolver = dns(&server, &[]);
    for _ in 0..5 {
        assert!(resolver.lookup("kept.zoo.test").await.is_ok());
        assert!(resolver.lookup("gone.zoo.test").await.is_err());
    }
    // One question for each family, although the TTL of 0 would forbid any keeping.
    assert_eq!(
        (server.asked("kept.zoo.test"), server.asked("gone.zoo.test")),
        (2, 2)
    );
    assert_eq!(
        resolver.load(),
        DnsLoad {
            queries: 10,
            hits: 8,
            entries_at_most: 4
        }
    );
}

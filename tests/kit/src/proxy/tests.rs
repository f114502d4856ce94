//! Each fault, between a real server and a client that has little patience.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use super::*;
use crate::redis::{Client, Redis, RedisOptions, Value};
use crate::until;

const SOON: Duration = Duration::from_secs(20);
/// How long a client waits for what must not come.
const SHORT: Duration = Duration::from_millis(100);

fn between() -> (Redis, Proxy) {
    let redis = Redis::start(RedisOptions::default()).unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    (redis, proxy)
}

fn client(proxy: &Proxy, patience: Duration) -> Client {
    Client::tcp(proxy.address(), patience).unwrap()
}

fn visits(redis: &Redis) -> String {
    redis.call(&["GET", "visits"]).unwrap().text()
}

#[test]
fn bytes_pass_as_they_are_and_are_counted() {
    let (redis, proxy) = between();
    let mut client = client(&proxy, SOON);
    assert_eq!(client.call(&["PING"]).unwrap().text(), "PONG");
    assert_eq!(
        (
            proxy.connections(),
            proxy.bytes_to_upstream(),
            proxy.bytes_to_client()
        ),
        (
            1,
            "*1\r\n$4\r\nPING\r\n".len() as u64,
            "+PONG\r\n".len() as u64
        )
    );
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    client.call(&[&b"SET"[..], b"large", &large]).unwrap();
    assert_eq!(client.call(&["GET", "large"]).unwrap(), Value::Bulk(large));

    let (port, pid) = (redis.port(), redis.pid());
    let mut redis = redis;
    redis.kill().unwrap();
    assert!(client.call(&["PING"]).is_err());
    // It is taken, and reset when nobody is there to carry it to.
    assert!(
        Client::tcp(proxy.address(), SOON)
            .and_then(|mut client| client.call(&["PING"]))
            .is_err()
    );
    redis.restart().unwrap();
    assert!(redis.port() == port && redis.pid() != pid);
    let mut again = self::client(&proxy, SOON);
    assert_eq!(again.call(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn half_a_connection_may_end() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(upstream.local_addr().unwrap()).unwrap();
    let mut client = std::net::TcpStream::connect(proxy.address()).unwrap();
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut server, _) = upstream.accept().unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    server.write_all(b"answer").unwrap();
    drop(server);
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
}

#[test]
fn a_cut_resets_the_old_and_refuses_the_new_until_it_heals() {
    let (redis, proxy) = between();
    for _ in 0..3 {
        let mut idle = std::net::TcpStream::connect(proxy.address()).unwrap();
        let mut client = client(&proxy, SOON);
        client.call(&["PING"]).unwrap();
        proxy.cut().unwrap();
        assert!(client.call(&["PING"]).is_err());
        let error = idle.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = std::net::TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // Only the kit's own connection, which asks.
        until("their end at the server", SOON, || {
            (redis.info("connected_clients").unwrap() == "1").then_some(())
        });
        proxy.heal().unwrap();
    }
    assert_eq!(client(&proxy, SOON).call(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn a_black_hole_holds_one_way_or_both_and_lets_go() {
    let (redis, proxy) = between();
    let incr = ["INCR", "visits"];
    // Made before the hole, and in it: the same.
    for (direction, arrives) in [
        (Direction::ToClient, true),
        (Direction::ToUpstream, false),
        (Direction::Both, false),
    ] {
        redis.call(&["SET", "visits", "0"]).unwrap();
        let mut old = client(&proxy, SHORT);
        old.call(&["PING"]).unwrap();
        proxy.black_hole(direction);
        let mut new = client(&proxy, SHORT);
        assert!(
            old.call(&incr).is_err() && new.call(&incr).is_err(),
            "{direction:?}"
        );
        if arrives {
            until("both visits", SOON, || {
                (visits(&redis) == "2").then_some(())
            });
        } else {
            assert_eq!(visits(&redis), "0", "{direction:?}");
        }
        proxy.heal().unwrap();
        until("both visits", SOON, || {
            (visits(&redis) == "2").then_some(())
        });
        assert_eq!(client(&proxy, SOON).call(&["PING"]).unwrap().text(), "PONG");
    }
}

#[test]
fn the_server_s_end_stays_hidden_in_a_black_hole() {
    let (mut redis, proxy) = between();
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    stream.read_exact(&mut [0; 7]).unwrap();
    proxy.black_hole(Direction::ToClient);
    redis.kill().unwrap();
    stream.set_read_timeout(Some(SHORT)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "no end is seen");
    proxy.heal().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    assert!(stream.read(&mut [0]).is_ok_and(|read| read == 0));
}

#[test]
fn a_delay_is_one_of_each_way() {
    let (_redis, proxy) = between();
    let mut client = client(&proxy, SOON);
    let delay = Duration::from_millis(40);
    proxy.delay(delay);
    let start = Instant::now();
    assert_eq!(client.call(&["PING"]).unwrap().text(), "PONG");
    // A lower bound, which no busy machine breaks.
    assert!(start.elapsed() >= delay * 2);
    proxy.delay(SOON);
    let mut hasty = self::client(&proxy, SHORT);
    assert!(hasty.call(&["PING"]).is_err());
}

#[test]
fn what_is_lost_is_told_by_the_seed() {
    let redis = Redis::start(RedisOptions::default()).unwrap();
    let seed = Seed::take("what_is_lost_is_told_by_the_seed");
    let story = |percent, seed| -> Vec<usize> {
        let proxy = Proxy::start(redis.address()).unwrap();
        proxy.loss(percent, seed);
        let calls = (0..60).map(|_| {
            // The reset may come before the client has set itself up.
            let Ok(mut client) = Client::tcp(proxy.address(), SOON) else {
                return 0;
            };
            (0..5)
                .take_while(|_| client.call(&["PING"]).is_ok())
                .count()
        });
        calls.collect()
    };
    assert_eq!(story(0, seed), [5; 60]);
    assert_eq!(story(100, seed), [0; 60]);
    let told = story(20, seed);
    assert_eq!(told, story(20, seed));
    // Of eleven throws for five calls all are missed once in twelve; that 60 are alike is out of the question.
    assert!(
        told.iter().any(|&calls| calls < 5) && told.iter().any(|&calls| calls > 0),
        "{told:?}"
    );
    assert_ne!(told, story(20, Seed(seed.0 ^ 1)));
}

#[test]
fn it_ends_with_its_owner() {
    let (_redis, proxy) = between();
    let mut client = client(&proxy, SOON);
    client.call(&["PING"]).unwrap();
    let address = proxy.address();
    drop(proxy);
    assert!(client.call(&["PING"]).is_err());
    assert!(Client::tcp(address, SOON).is_err());
}

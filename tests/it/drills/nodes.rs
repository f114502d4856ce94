//! Drills of nodes: killed, frozen, drained, coming and going.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kit::log::now;
use kit::until::until_or_none;
use nix::sys::signal::Signal;

use super::judge::longest_rest;
use super::{Allowed, Drill, LEASE, UNHURRIED, UNSETTLED, apart, pass};
use crate::crawl::{Line, PATIENCE, json_lines};

#[test]
fn a_node_is_killed_and_comes_back() {
    // Slow enough to be at work still when the name is free again.
    let mut drill = Drill::new("node-kill", Duration::from_millis(400));
    for node in ["n1", "n2", "n3"] {
        drill.join(node);
    }
    drill.moment(5, 35);
    let name = drill.any_node();
    let victim = drill.take(&name);
    victim.signal(Signal::SIGKILL).unwrap();
    assert_eq!(victim.wait(PATIENCE).unwrap().signal, Some(9));
    let killed = now();
    drill.join(&name);
    let allowed = Allowed {
        repeats: UNSETTLED,
        late: 0,
    };
    drill.ends_and(allowed, |log| {
        // Whatever it held goes on by others.
        let after = log.iter().filter(|entry| entry.start > killed - LEASE);
        let rest = longest_rest(&after.cloned().collect::<Vec<_>>());
        println!("node-kill: a host rested {} ms at most", rest.as_millis());
        let most = LEASE + Duration::from_secs(5);
        assert!(rest <= most, "a host rested {rest:?} after the kill");
    });
}

/// Now, in microseconds since 1970: the time of the store, which runs on this machine.
fn wall_us() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

#[test]
fn a_node_is_frozen_past_its_leases_and_wakes() {
    let mut drill = Drill::new("node-freeze", Duration::from_millis(50));
    drill.join_apart("n1", drill.fleet.redis.address());
    drill.join("n2");
    drill.join("n3");
    drill.moment(5, 60);
    drill.node("n1").signal(Signal::SIGSTOP).unwrap();
    let time = drill.some_ms(2_500, 6_000);
    pass(time);
    let (woken, woken_us) = (now(), wall_us());
    drill.node("n1").signal(Signal::SIGCONT).unwrap();
    let folder = drill.fleet.folder.path().join("zoo/n1");
    let allowed = Allowed {
        repeats: UNSETTLED,
        late: 1,
    };
    drill.ends_and(allowed, move |log| {
        // I4: what it sends from then on it sends under leases of then. A token is the store's time in microseconds.
        let mut fresh: BTreeMap<String, usize> = BTreeMap::new();
        for line in json_lines::<Line>(&folder.join("logs/crawl.jsonl")) {
            if line.is_url() && line.token.is_some_and(|token| token >= woken_us) {
                *fresh.entry(line.url).or_default() += 1;
            }
        }
        let stale = apart(log)
            .filter(|entry| entry.start > woken && entry.path != "/robots.txt")
            .filter(|entry| {
                let left = fresh.get_mut(&entry.url()).filter(|left| **left > 0);
                left.map(|left| *left -= 1).is_none()
            });
        let stale: Vec<_> = stale
            .map(|entry| (entry.url(), entry.start - woken))
            .collect();
        println!("node-freeze: {} requests under old leases", stale.len());
        assert!(stale.len() <= allowed.late, "{stale:?}");
    });
}

#[test]
fn a_node_is_drained_and_its_hosts_go_on_at_once() {
    // A lease that nobody could wait for.
    let mut drill = Drill::start_with("node-drain", Duration::from_secs(90));
    drill.moment(5, 60);
    let name = drill.any_node();
    drill.leave(&name);
    let gone = now();
    drill.ends_and(Allowed::default(), |log| {
        let rest = longest_rest(log);
        assert!(
            rest < Duration::from_secs(30),
            "a host rested {rest:?}; {gone:?}"
        );
    });
}

#[test]
fn a_node_joins_where_every_host_is_leased() {
    let mut drill = Drill::new("node-joins", Duration::from_secs(1));
    // Leases that nobody could wait for.
    drill.lease = Duration::from_secs(90);
    drill.join("n1");
    drill.join("n2");
    drill.moment(8, 15);
    let joined = now();
    drill.join("n3");
    let ledger = drill.fleet.folder.path().join("zoo/n3/logs/crawl.jsonl");
    let has_fetched = || std::fs::metadata(&ledger).is_ok_and(|file| file.len() > 0);
    let fetched = until_or_none(PATIENCE, || has_fetched().then_some(now()));
    let took = fetched.expect("a page of the third node") - joined;
    println!("node-joins: its first page after {} ms", took.as_millis());
    assert!(took <= Duration::from_secs(5), "{took:?}");
    drill.delay = Duration::from_millis(100);
    drill.fleet.ask("rate", &["--host-delay", "100ms"]);
    drill.ends(Allowed::default());
}

#[test]
fn nodes_come_and_go() {
    const TIMES: usize = 20;
    let mut drill = Drill::new("node-churn", Duration::from_millis(1_500));
    drill.lease = UNHURRIED;
    drill.join("stays");
    for round in 0..TIMES / 2 {
        let pair = [format!("a{round}"), format!("b{round}")];
        pair.iter().for_each(|name| drill.join(name));
        for name in &pair {
            let there = drill
                .node(name)
                .wait_line(PATIENCE, |line| line.contains("taken up"));
            assert!(there.is_ok(), "{there:?}: {}", drill.report());
        }
        let some = drill.stand.origin.requests() + 10;
        let more = until_or_none(PATIENCE, || {
            (drill.stand.origin.requests() >= some).then_some(())
        });
        assert!(more.is_some(), "nothing goes on: {}", drill.report());
        pair.iter().for_each(|name| drop(drill.leave(name)));
    }
    drill.delay = Duration::from_millis(100);
    drill.fleet.ask("rate", &["--host-delay", "100ms"]);
    drill.ends(Allowed::default());
}

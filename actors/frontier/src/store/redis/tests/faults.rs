//! What servers do: end and come back, fill up, refuse writes, forget scripts, move shards.

use std::time::Duration;

use contract::clock::{Clock, Wall};
use contract::lease::{Claim, Lease, Release, Taker};
use contract::page::Fate;
use contract::settle::Settled;
use kit::redis::{Fsync, RedisOptions as ServerOptions};
use proptest::prelude::*;

use super::super::RedisStore;
use super::deployed::{Deployed, Servers};
use super::lost::{admit, links, settle};
use crate::error::StoreError;
use crate::store::Store as _;
use crate::store::suite::nodes::{Nodes, Ticking, Yard as _, story};
use crate::store::suite::{now, rules};

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_server_that_is_killed_and_comes_back_loses_nothing(
        acts in story(1, 2),
        after in 1..40usize,
        forgets in any::<bool>(),
    ) {
        // Every second, a server that syncs still may hold back what it has answered for.
        let options = ServerOptions {
            appendonly: true,
            appendfsync: Fsync::No,
            ..ServerOptions::default()
        };
        let deployed = Deployed::new(Servers::one(options), 4);
        let mut stage = Nodes::new(deployed, &rules(), 1, 2);
        for (n, act) in acts.iter().enumerate() {
            if n % after == after - 1 {
                if forgets {
                    stage.yard.server().call(&["SCRIPT", "FLUSH"]).unwrap();
                } else {
                    stage.yard.server_mut().kill().unwrap();
                    stage.yard.server_mut().restart().unwrap();
                }
            }
            stage.play(act);
        }
        stage.finish();
    }
}

#[test]
fn seeds_that_a_server_forgot_are_sent_again() {
    let options = ServerOptions {
        appendonly: true,
        ..ServerOptions::default()
    };
    let deployed = Deployed::new(Servers::one(options), 4);
    let clock = Clock::manual(Wall(1_000_000_000_000));
    let store = deployed.open(0, &rules(), &clock);
    deployed.tell_time(clock.wall());
    now(store.admit(&admit(links(0..1), false))).unwrap();
    deployed.server_mut().kill().unwrap();
    let left = deployed.server().aof_cut_commands(20).unwrap();
    deployed.server_mut().restart().unwrap();
    assert!(left > 4, "the deployment is still there: {left}");
    let forgotten = now(async {
        let _ticks = Ticking::start(&clock);
        // Any question finds out that it is another process.
        while let Err(error) = store.admit(&admit(links(1..2), false)).await {
            assert!(error.may_pass(), "{error:?}");
        }
        store.stats().await.unwrap().known
    });
    assert_eq!(forgotten, 10);
}

/// A store with some leases out, one URL each.
fn with_leases() -> (Deployed, (RedisStore, Ticking), Vec<Lease>) {
    let deployed = Deployed::new(Servers::one(ServerOptions::default()), 4);
    let clock = Clock::manual(Wall(1_000_000_000_000));
    let store = deployed.open(0, &rules(), &clock);
    deployed.tell_time(clock.wall());
    now(store.admit(&admit(links(0..2), false))).unwrap();
    let leases = now(store.claim(claim())).unwrap().leases;
    assert_eq!(leases.len(), 5);
    now(store.admit(&admit(links(20..40), false))).unwrap();
    (deployed, (store, Ticking::start(&clock)), leases)
}

fn claim() -> Claim {
    Claim {
        taker: Taker::ALONE,
        hosts: 9,
        urls_per_host: 1,
    }
}

/// How often the server has refused something with this word.
fn refusals(deployed: &Deployed, word: &str) -> u64 {
    let line = deployed.server().info(&format!("errorstat_{word}"));
    let count = line
        .ok()
        .and_then(|line| line.strip_prefix("count=")?.parse().ok());
    count.unwrap_or(0)
}

/// Settles a page with links while the server refuses with this word, and heals it once it has refused.
async fn outlasts(
    deployed: &Deployed,
    store: &RedisStore,
    lease: &Lease,
    word: &str,
    heal: impl AsyncFnOnce(),
) {
    let before = refusals(deployed, word);
    let known = store.stats().await.unwrap().known;
    let pages = [settle(lease, 0, Fate::Done, links(5..7))];
    let settled = store.settle(&pages);
    let healed = async {
        while refusals(deployed, word) == before {
            tokio::task::yield_now().await;
        }
        heal().await;
    };
    let (taken, ()) = tokio::join!(settled, healed);
    let taken = taken.unwrap();
    assert_eq!(taken.answers, [Settled::Applied], "{word}");
    assert_eq!(store.stats().await.unwrap().known, known + 10, "{word}");
}

#[test]
fn a_full_store_takes_nothing_new_and_drains() {
    let (deployed, (store, _ticks), leases) = with_leases();
    let before = now(store.stats()).unwrap();
    deployed.server().config_set("maxmemory", "1").unwrap();
    now(async {
        let refused = store.claim(claim()).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Away(_)) && refused.may_pass(),
            "{refused:?}"
        );
        let heal = async || {
            // Behind a page that waits with its links, others end.
            let pages: Vec<_> = leases[1..3]
                .iter()
                .map(|lease| settle(lease, 0, Fate::Done, Vec::new()))
                .collect();
            let taken = store.settle(&pages).await.unwrap();
            assert_eq!(taken.answers, [Settled::Applied; 2]);
            let release = Release {
                host: leases[1].host.clone(),
                token: leases[1].token,
                handed: 1,
                last_end: None,
            };
            store.release(&release, Some(Duration::ZERO)).await.unwrap();
            let stands = store.stats().await.unwrap();
            assert_eq!(stands.queued, before.queued - 2);
            assert_eq!(stands.leases, before.leases - 1);
            assert_eq!(stands.known, before.known, "no link was taken");
            deployed.server().config_set("maxmemory", "0").unwrap();
        };
        outlasts(&deployed, &store, &leases[0], "OOM", heal).await;
    });
}

#[test]
fn a_server_that_became_a_replica_is_outlasted() {
    let (deployed, (store, _ticks), leases) = with_leases();
    deployed
        .server()
        .call(&["REPLICAOF", "127.0.0.1", "1"])
        .unwrap();
    now(async {
        let refused = store.claim(claim()).await.unwrap_err();
        assert!(refused.may_pass(), "{refused:?}");
        let heal = async || {
            deployed.server().call(&["REPLICAOF", "NO", "ONE"]).unwrap();
        };
        outlasts(&deployed, &store, &leases[0], "READONLY", heal).await;
    });
}

#[test]
fn shards_that_are_being_moved_are_outlasted() {
    let (deployed, (store, _ticks), leases) = with_leases();
    now(async {
        deployed.gates("st", "moving").await;
        let refused = store.claim(claim()).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Refusing("being moved")),
            "{refused:?}"
        );
        let heal = async || deployed.gates("st", "run").await;
        outlasts(&deployed, &store, &leases[0], "MOVING", heal).await;
    });
}

#[test]
fn a_shard_whose_gate_is_gone_is_left_alone() {
    let (deployed, (store, _ticks), leases) = with_leases();
    let shard = (0..4).find(|shard| {
        let queue = format!("{{s{shard}}}:1:q1:{}", leases[0].host);
        deployed.server().call(&["EXISTS", &queue]).unwrap() == kit::redis::Value::Int(1)
    });
    let gate = format!("{{s{}}}:m", shard.unwrap());
    let dump = deployed
        .server()
        .call(&["HGETALL", &gate])
        .unwrap()
        .members();
    deployed.server().call(&["DEL", &gate]).unwrap();
    now(async {
        let heal = async || {
            let words = dump
                .iter()
                .map(kit::redis::Value::clone)
                .map(|word| word.text());
            let words: Vec<String> = ["HSET".into(), gate.clone()]
                .into_iter()
                .chain(words)
                .collect();
            deployed.server().call(&words).unwrap();
        };
        outlasts(&deployed, &store, &leases[0], "NOGATE", heal).await;
    });
}

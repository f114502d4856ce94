//! Shards that move, and masters that die, while nodes work: nothing is lost, and the others go on.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use kit::redis::RedisCluster;
use tokio::task::LocalSet;

use super::*;
use crate::store::Store;
use crate::store::redis::RedisStore;
use crate::store::redis::gates::GateState;
use crate::store::redis::shape::Shape;
use crate::store::redis::testing::{admit, claim, link, open};
use crate::store::suite::done;

const SHARDS: u16 = 16;
/// Pages of the web that is crawled: a page leads to two more.
const PAGES: u32 = 3_000;

fn address(cluster: &RedisCluster) -> String {
    cluster.urls()[0].replace("redis://", "redis+cluster://")
}

fn server(cluster: &RedisCluster, number: usize) -> Server {
    Server {
        host: "127.0.0.1".into(),
        port: cluster.node(number).port(),
    }
}

async fn masters(cluster: &RedisCluster) -> Masters {
    let address = Address::parse(&address(cluster)).unwrap();
    Masters::open(&address, None).await.unwrap()
}

fn number_of(url: &str) -> u32 {
    let number = url.strip_prefix("http://h").unwrap().split('.').next();
    number.unwrap().parse().unwrap()
}

/// Settles what it is granted until all is done, as far as it may by now; the longest time without a page.
async fn work(store: &RedisStore, clock: &Clock, may: &Cell<usize>) -> Duration {
    let (mut last, mut longest) = (clock.boot(), Duration::ZERO);
    loop {
        if may.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            last = clock.boot();
            continue;
        }
        let leases = claim(store).await;
        may.set(may.get().saturating_sub(leases.len()));
        let settles: Vec<_> = leases
            .iter()
            .map(|lease| {
                let number = number_of(&lease.urls[0].url);
                let links = [2 * number + 1, 2 * number + 2];
                done(
                    lease,
                    links.into_iter().filter(|n| *n < PAGES).map(link).collect(),
                )
            })
            .collect();
        if settles.is_empty() {
            let stats = store.stats().await;
            if stats.is_ok_and(|stats| stats.done == u64::from(PAGES)) {
                return longest;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        store.settle(&settles).await.unwrap();
        longest = longest.max(clock.boot().since(last));
        last = clock.boot();
    }
}

#[tokio::test]
async fn shards_move_while_nodes_work_and_nothing_is_lost() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let url = address(&cluster);
    let (one, deployment) = open(&url, SHARDS, None).await;
    let (two, _) = open(&url, SHARDS, None).await;
    admit(&one, 0..1).await;
    let clock = Clock::machine();
    let (one, two) = (Rc::new(one), Rc::new(two));
    // Something is left to the last move, however slow that is.
    let may = Rc::new(Cell::new(PAGES as usize * 3 / 4));
    let local = LocalSet::new();
    let nodes: Vec<_> = [&one, &two]
        .into_iter()
        .map(|store| {
            let (store, clock) = (store.clone(), clock.clone());
            let may = may.clone();
            local.spawn_local(async move { work(&store, &clock, &may).await })
        })
        .collect();
    let told = local
        .run_until(async {
            // Well under way.
            while one.stats().await.map_or(0, |stats| stats.done) < u64::from(PAGES / 10) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut masters = masters(&cluster).await;
            let to = masters.number(&server(&cluster, 1)).unwrap();
            let slots: Vec<u16> = (0..SHARDS).map(gates::slot_of).collect();
            let mut told = Vec::new();
            for slot in &slots {
                told.push(
                    masters
                        .move_slot(&deployment, *slot, to, &clock)
                        .await
                        .unwrap(),
                );
            }
            let all = masters.owners(&slots).await.unwrap();
            assert!(
                all.iter()
                    .all(|(_, owner, open)| *owner == Some(to) && !open),
                "{all:?}"
            );
            assert!(
                one.stats().await.unwrap().queued > 0,
                "it moved while there was work"
            );
            may.set(usize::MAX);
            told
        })
        .await;
    let gaps = local
        .run_until(async {
            let mut gaps = Vec::new();
            for node in nodes {
                gaps.push(node.await.unwrap());
            }
            gaps
        })
        .await;
    let moved: Vec<_> = told
        .iter()
        .filter(|moved| !moved.closed.is_zero())
        .collect();
    let longest = moved.iter().map(|moved| moved.closed).max().unwrap();
    let keys: u64 = moved.iter().map(|moved| moved.keys).sum();
    println!(
        "{} shards, {keys} keys; a gate was closed for {longest:?} at most; longest gaps of the nodes {gaps:?}",
        moved.len()
    );
    assert!(moved.len() >= 6, "{told:?}");
    assert!(longest <= Duration::from_secs(3), "{told:?}");
    let stats = one.stats().await.unwrap();
    let all = u64::from(PAGES);
    assert_eq!((stats.known, stats.done, stats.queued), (all, all, 0));
    assert_eq!(
        one.known_after(None, usize::MAX).await.unwrap().len(),
        PAGES as usize
    );
}

#[tokio::test]
async fn a_move_that_was_cut_short_goes_on_and_its_shard_is_refused_until_then() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let (store, deployment) = open(&address(&cluster), SHARDS, None).await;
    admit(&store, 0..400).await;
    let clock = Clock::machine();
    let mut masters = masters(&cluster).await;
    let to = masters.number(&server(&cluster, 2)).unwrap();
    let slots: Vec<u16> = (0..SHARDS).map(gates::slot_of).collect();
    let owners = masters.owners(&slots).await.unwrap();
    let (shard, from) = (0u16..)
        .zip(owners)
        .find_map(|(shard, (_, owner, _))| {
            owner.filter(|owner| *owner != to).map(|from| (shard, from))
        })
        .unwrap();
    let slot = gates::slot_of(shard);
    // As far as the first keys, by another mover that then died.
    gates::close(masters.link_of(from).unwrap(), shard)
        .await
        .unwrap();
    let (source, target) = (masters.all[from].id.clone(), masters.all[to].id.clone());
    masters
        .set(to, slot, &["IMPORTING", &source])
        .await
        .unwrap();
    masters
        .set(from, slot, &["MIGRATING", &target])
        .await
        .unwrap();
    for key in [Shape::gate(shard), format!("{{s{shard}}}:1:H")] {
        let mut migrate = redis::cmd("MIGRATE");
        migrate
            .arg("127.0.0.1")
            .arg(cluster.node(2).port())
            .arg(key)
            .arg(0)
            .arg(STEP_MS);
        let done: String = masters.ask(from, "MIGRATE", &migrate).await.unwrap();
        assert_eq!(done, "OK");
    }
    assert!(
        masters.owners(&[slot]).await.unwrap()[0].2,
        "it is seen to be on its way"
    );
    let hosts = |leases: &[contract::lease::Lease]| -> HashSet<u16> {
        leases
            .iter()
            .map(|lease| store.core.shape.shard(lease.host.area()))
            .collect()
    };
    let granted = claim(&store).await;
    assert!(!granted.is_empty() && !hosts(&granted).contains(&shard));
    let state = &gates::list(&store.core.link, &deployment, &[]).await[usize::from(shard)];
    assert_ne!(state.state, GateState::Open);
    // Another one goes on with it.
    let moved = masters
        .move_slot(&deployment, slot, to, &clock)
        .await
        .unwrap();
    assert!(moved.keys > 0);
    let again = masters
        .move_slot(&deployment, slot, to, &clock)
        .await
        .unwrap();
    assert_eq!(
        (again.keys, again.closed),
        (0, Duration::ZERO),
        "it is there"
    );
    let known = store.known_after(None, usize::MAX).await.unwrap();
    assert_eq!(known.len(), 400);
    let mut seen = HashSet::new();
    while !seen.contains(&shard) {
        seen.extend(hosts(&claim(&store).await));
    }
}

#[tokio::test]
async fn a_dead_master_stops_its_own_shards_and_no_others_and_comes_back_healed() {
    let mut cluster = RedisCluster::start(3, 0).unwrap();
    for number in 0..3 {
        // Else all masters refuse when one is gone.
        cluster
            .node(number)
            .config_set("cluster-require-full-coverage", "no")
            .unwrap();
    }
    let (store, _) = open(&address(&cluster), SHARDS, None).await;
    admit(&store, 0..600).await;
    let mut masters = masters(&cluster).await;
    let slots: Vec<u16> = (0..SHARDS).map(gates::slot_of).collect();
    let dead = masters.number(&server(&cluster, 2)).unwrap();
    let owners = masters.owners(&slots).await.unwrap();
    let gone: HashSet<u16> = (0u16..)
        .zip(owners)
        .filter_map(|(shard, (_, owner, _))| (owner == Some(dead)).then_some(shard))
        .collect();
    assert!(gone.len() > 1);
    let shard_of = |host: &contract::host::Host| store.core.shape.shard(host.area());
    let of_the_dead = (0..600)
        .filter(|n| gone.contains(&shard_of(&link(*n).host)))
        .count();
    cluster.kill(2).unwrap();
    let clock = Clock::machine();
    let (began, mut longest, mut last) = (clock.boot(), Duration::ZERO, clock.boot());
    let mut settled = 0;
    while settled < 600 - of_the_dead {
        let leases = claim(&store).await;
        assert!(
            clock.boot().since(began) < Duration::from_secs(60),
            "{settled} pages, then nothing"
        );
        if leases.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        assert!(
            leases
                .iter()
                .all(|lease| !gone.contains(&shard_of(&lease.host)))
        );
        let settles: Vec<_> = leases.iter().map(|lease| done(lease, Vec::new())).collect();
        store.settle(&settles).await.unwrap();
        settled += leases.len();
        longest = longest.max(clock.boot().since(last));
        last = clock.boot();
    }
    println!(
        "{settled} pages of the living in {:?}, longest gap {longest:?}",
        clock.boot().since(began)
    );
    // It comes back without its last seconds: what this node sent there lately is sent again.
    cluster.node(2).aof_cut_commands(100).unwrap();
    cluster.restart(2).unwrap();
    cluster.wait_ok().unwrap();
    while settled < 600 {
        let leases = claim(&store).await;
        if leases.is_empty() {
            assert!(
                clock.boot().since(began) < Duration::from_secs(60),
                "{settled} pages, then nothing: {:?}",
                store.stats().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let settles: Vec<_> = leases.iter().map(|lease| done(lease, Vec::new())).collect();
        store.settle(&settles).await.unwrap();
        settled += leases.len();
    }
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.done, stats.queued), (600, 0));
}

#[test]
fn slots_are_those_of_the_specification() {
    // By CLUSTER KEYSLOT {s0} and so on.
    for (shard, slot) in [(0, 11_097), (1, 15_224), (63, 10_331)] {
        assert_eq!(gates::slot_of(shard), slot);
    }
}

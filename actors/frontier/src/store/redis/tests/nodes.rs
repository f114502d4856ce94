//! Many shards, many nodes, many crawls: random stories, judged by witnesses.

use contract::clock::{Chance, Clock, Wall};
use kit::redis::{RedisCluster, RedisOptions as ServerOptions};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

use super::deployed::{Deployed, Servers};
use crate::config::Rules;
use crate::store::suite::nodes::{By, Nodes, Yard as _, story};
use crate::store::suite::{rules, small};

/// Tells so many stories to one deployment after the other, on the same servers.
fn tell(servers: Servers, shards: &[u16], crawls: usize, nodes: usize, cases: u32) {
    let limits = proptest::strategy::Just(None);
    tell_limited(servers, shards, (crawls, nodes), limits, cases);
}

fn tell_limited(
    servers: Servers,
    shards: &[u16],
    (crawls, nodes): (usize, usize),
    limits: impl Strategy<Value = Option<u64>>,
    cases: u32,
) {
    let servers = std::cell::RefCell::new(Some(servers));
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 300,
        ..Config::default()
    });
    let stories = (
        proptest::sample::select(shards.to_vec()),
        limits,
        story(crawls, nodes),
    );
    let told = runner.run(
        &stories,
        |(shards, limit, acts): (u16, Option<u64>, Vec<By>)| {
            let mut taken = servers.borrow_mut();
            let deployed = Deployed::new(taken.take().expect("one story at a time"), shards);
            let rules = Rules { limit, ..rules() };
            let mut stage = Nodes::new(deployed, &rules, crawls, nodes);
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                acts.iter().for_each(|act| stage.play(act));
                stage.finish();
            }));
            *taken = Some(stage.yard.servers);
            played.map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                proptest::test_runner::TestCaseError::fail(text)
            })
        },
    );
    if let Err(error) = told {
        panic!("{error}");
    }
}

#[test]
fn two_nodes_work_on_many_shards() {
    tell(Servers::one(ServerOptions::default()), &[4, 64], 1, 2, 16);
}

#[test]
fn two_crawls_share_the_pace_of_hosts_and_nothing_else() {
    tell(Servers::one(ServerOptions::default()), &[1, 4], 2, 2, 24);
}

#[test]
fn two_nodes_never_exceed_the_limit() {
    let limits = (0u64..12).prop_map(Some);
    let servers = Servers::one(ServerOptions::default());
    tell_limited(servers, &[1, 4], (1, 2), limits, 24);
}

#[test]
fn a_cluster_of_three_masters_does_the_same() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    tell(Servers::Cluster(cluster), &[64], 2, 2, 6);
}

#[test]
fn leases_and_fences_hold_in_any_order() {
    let mut servers = Some(Servers::one(ServerOptions::default()));
    for seed in 0..200 {
        println!("seed {seed}");
        let deployed = Deployed::new(servers.take().expect("put back below"), 1);
        let clock = Clock::manual(Wall(1_000_000_000_000));
        let open = || deployed.open(0, &rules(), &clock);
        let (one, other) = (open(), open());
        deployed.tell_time(clock.wall());
        let passed = || deployed.tell_time(clock.wall());
        small::some_order([&one, &other], &clock, &passed, &mut Chance::seeded(seed));
        servers = Some(deployed.servers);
    }
}

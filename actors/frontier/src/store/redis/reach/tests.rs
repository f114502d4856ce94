//! A server that goes away and comes back, as one node's store meets it.

use contract::lease::{Extend, Lease, Release};
use contract::pulse::Silence;
use contract::settle::Settled;
use kit::redis::{Redis, RedisOptions as ServerOptions};

use super::*;
use crate::config::Rules;
use crate::store::Store;
use crate::store::redis::RedisStore;
use crate::store::redis::testing::{self, LEASE, admit, claim, claim_some, link};
use crate::store::suite::done;

async fn open(server: &Redis, journal: Option<std::path::PathBuf>) -> RedisStore {
    testing::open(&server.url(), 4, journal).await.0
}

fn server() -> Redis {
    Redis::start(ServerOptions {
        appendonly: true,
        // Synced each second, a busy disk may lose what was answered last.
        lines: vec!["appendfsync always".into()],
        ..ServerOptions::default()
    })
    .unwrap()
}

#[tokio::test]
async fn pages_of_an_absent_store_wait_in_the_journal_and_are_settled_when_it_is_back() {
    let (mut server, folder) = (server(), tempfile::tempdir().unwrap());
    let journal = folder.path().join("settles");
    let store = open(&server, Some(journal.clone())).await;
    admit(&store, 0..2).await;
    let leases = claim_some(&store).await;
    let asked = store.core.clock.boot();
    assert_eq!(store.pulse().allows(asked), Ok(()));
    server.kill().unwrap();
    let settles: Vec<_> = leases
        .iter()
        .map(|lease| done(lease, vec![link(7)]))
        .collect();
    let taken = store.settle(&settles).await.unwrap();
    assert_eq!(taken.answers, vec![Settled::Applied; settles.len()]);
    assert_eq!(store.unsettled(), 2);
    assert!(claim(&store).await.is_empty());
    assert_eq!(
        store.pulse().allows(asked),
        Err(Silence::Away),
        "2 s have passed"
    );
    // This process dies too; the next one finds the journal.
    drop(store);
    server.restart().unwrap();
    let store = open(&server, Some(journal)).await;
    let leases = claim_some(&store).await;
    assert_eq!(store.unsettled(), 0);
    let urls: Vec<_> = leases.iter().map(|lease| &*lease.urls[0].url).collect();
    assert_eq!(
        urls,
        ["http://h7.test/"],
        "the two are done, their link is in"
    );
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.known, stats.done, stats.kept), (3, 2, 2));
}

#[tokio::test]
async fn a_server_that_was_started_anew_voids_leases_and_grants_none_for_a_while() {
    let mut server = server();
    let store = open(&server, None).await;
    admit(&store, 0..1).await;
    let before = store.core.clock.boot();
    assert_eq!(claim_some(&store).await.len(), 1);
    assert_eq!(store.pulse().allows(before), Ok(()));
    server.kill().unwrap();
    server.restart().unwrap();
    admit(&store, 1..2).await;
    assert_eq!(store.pulse().allows(before), Err(Silence::Void));
    let back = store.core.clock.boot();
    let leases = claim_some(&store).await;
    let waited = store.core.clock.boot().since(back);
    assert!(waited + Duration::from_millis(500) >= LEASE, "{waited:?}");
    assert!(!leases.is_empty());
    assert_eq!(store.pulse().allows(store.core.clock.boot()), Ok(()));
}

#[tokio::test]
async fn what_a_server_forgot_is_sent_again_although_it_was_known() {
    let mut server = server();
    let store = open(&server, None).await;
    admit(&store, 0..50).await;
    // The second time all of it is known, and nothing is sent.
    admit(&store, 0..50).await;
    assert_eq!(store.stats().await.unwrap().known, 50);
    // Links that went ahead of a page, to shards of their own: the page is forgotten with them or not, they come again.
    let leases = claim_some(&store).await;
    let found: Vec<_> = (100..120).map(link).collect();
    store.settle(&[done(&leases[0], found)]).await.unwrap();
    assert_eq!(store.stats().await.unwrap().known, 70);
    server.kill().unwrap();
    server.aof_cut_commands(60).unwrap();
    server.restart().unwrap();
    // Known a moment ago; the break may not have been seen yet.
    admit(&store, 0..50).await;
    let known = store.stats().await.unwrap().known;
    let shape = store.core.shape;
    let home = shape.shard(leases[0].host.area());
    let ahead = (100..120).filter(|n| shape.shard(link(*n).host.area()) != home);
    let least = 50 + ahead.count() as u64;
    assert!(
        least > 55 && known >= least,
        "{known} of {least}: links of other shards are in again"
    );
}

#[tokio::test]
async fn what_is_to_be_sent_again_is_kept_until_it_is_answered() {
    let mut server = server();
    let store = open(&server, None).await;
    let core = &store.core;
    admit(&store, 0..50).await;
    let before = core.link.breaks();
    server.kill().unwrap();
    server.aof_cut_commands(60).unwrap();
    server.restart().unwrap();
    while core.confirm(before).await.is_ok() {}
    let known = || {
        let count = |shard| {
            let known = server.call(&["HGET", &core.shape.key(shard, "m"), "known"]);
            known.unwrap().text().parse().unwrap_or(0)
        };
        (0..4).map(count).sum::<u64>()
    };
    assert!(known() < 50, "nothing was forgotten");
    // It says who it is, and takes nothing: whoever asks gives up.
    server.call(&["CLIENT", "PAUSE", "60000", "WRITE"]).unwrap();
    let gives_up = async |shard| {
        while let Err(trouble) = core.look(shard).await {
            if format!("{trouble:?}").contains("did not answer in time") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("shard {shard} took links while it takes nothing");
    };
    futures_util::future::join_all((0..4).map(gives_up)).await;
    server.call(&["CLIENT", "UNPAUSE"]).unwrap();
    for shard in 0..4 {
        while core.look(shard).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(known(), 50);
}

#[tokio::test]
async fn a_node_without_a_lease_is_given_one_of_several() {
    let server = server();
    let (one, two) = (open(&server, None).await, open(&server, None).await);
    // The shards' time stands still: who waits, waits.
    for shard in 0..4 {
        let gate = format!("{{s{shard}}}:m");
        server
            .call(&["HSET", &gate, "clock", "1000000000000000"])
            .unwrap();
    }
    // Any word of a node to a shard is answered with who waits there.
    let hears = async |lease: &Lease| {
        let extend = Extend {
            host: lease.host.clone(),
            token: lease.token,
        };
        assert!(one.extend(&extend).await.unwrap().is_some());
        one.wanted().take(one.core.clock.boot())
    };
    admit(&one, 0..1).await;
    let first = claim_some(&one).await.remove(0);
    assert!(claim(&two).await.is_empty());
    assert!(!hears(&first).await, "the last lease is not given away");
    let shape = one.core.shape;
    let home = |number: u32| shape.shard(link(number).host.area());
    let second = (1..50).find(|n| home(*n) != home(0)).expect("four shards");
    admit(&one, second..second + 1).await;
    claim_some(&one).await;
    assert!(hears(&first).await, "one of two is wanted");
    let release = Release {
        host: first.host.clone(),
        token: first.token,
        handed: 0,
        last_end: None,
    };
    one.release(&release, None).await.unwrap();
    assert!(claim(&one).await.is_empty(), "it is kept for who waits");
    let given = claim_some(&two).await;
    assert_eq!(given[0].host, first.host);
    let hungry = server.call(&["HGET", &shape.key(home(0), "m"), "hungry"]);
    assert_eq!(hungry.unwrap().text(), "", "nobody waits any more");
}

#[tokio::test]
async fn a_suspect_whose_end_was_not_heard_of_does_not_hold_others_back() {
    let server = server();
    let (one, other) = (open(&server, None).await, open(&server, None).await);
    // Two hosts of two shards become suspects: their leases run out.
    let shape = one.core.shape;
    let home = |number: u32| shape.shard(link(number).host.area());
    let second = (1..50).find(|n| home(*n) != home(0)).expect("four shards");
    admit(&one, 0..1).await;
    admit(&one, second..second + 1).await;
    while one.stats().await.unwrap().leases < 2 {
        claim(&one).await;
    }
    // For the second time, all of it at once.
    let rules = one.core.rules();
    let short = Duration::from_millis(100);
    one.set_rules(Rules {
        lease: short,
        ..(*rules).clone()
    })
    .await
    .unwrap();
    let again = claim_some(&one).await;
    assert_eq!(
        again.len(),
        2,
        "hosts that lost one lease are leased together"
    );
    one.set_rules((*rules).clone()).await.unwrap();
    let alone = claim_some(&one).await;
    assert_eq!(alone.len(), 1, "suspects are leased alone");
    // Its page is settled and its lease released; the answer never comes to the node that holds it.
    other.settle(&[done(&alone[0], Vec::new())]).await.unwrap();
    let release = Release {
        host: alone[0].host.clone(),
        token: alone[0].token,
        handed: 1,
        last_end: None,
    };
    other.release(&release, None).await.unwrap();
    let next = tokio::time::timeout(LEASE, claim_some(&one)).await;
    let next = next.expect("long before the lease that nobody holds would have run out");
    assert_ne!(next[0].host, alone[0].host);
}

//! Questions that fail: not asked, or asked and their answers lost. Asked again, everything is as if nothing had failed.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::clock::{Clock, Wall};
use contract::fault::FailPlan;
use contract::host::{Host, Origin};
use contract::lease::{Claim, EnterAddress, Extend, Lease, Release, Schedule, Taker};
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::robots::{RobotsAnswer, RobotsRecord};
use contract::settle::{Settle, Settles};
use kit::redis::{RedisOptions as ServerOptions, Value};
use proptest::prelude::*;

use super::super::RedisStore;
use super::deployed::{Deployed, Servers};
use crate::error::StoreError;
use crate::fleet::failing::{NOT_ASKED, UNHEARD};
use crate::store::Store as _;
use crate::store::suite::acts::Act;
use crate::store::suite::nodes::{By, Nodes, Ticking, Yard as _, story};
use crate::store::suite::{now, rules};

const SHARDS: u16 = 4;

pub(super) fn link(host: &str, page: u64, kind: LinkKind) -> Link {
    let name = Host::from_stored(host);
    let own = u64::from(host.as_bytes()[0]) << 16 | page;
    Link {
        url: format!("http://{host}/{page}").into(),
        fingerprint: Fingerprint(u64::from(name.area().0) << 48 | own),
        host: name,
        kind,
        depth: 1,
        hops: 0,
    }
}

pub(super) fn links(pages: std::ops::Range<u64>) -> Vec<Link> {
    let hosts = ["a.test", "b.one.test", "c.one.test", "e.test", "f.test"];
    pages
        .flat_map(|page| hosts.map(|host| link(host, page, LinkKind::Page)))
        .collect()
}

pub(super) fn admit(links: Vec<Link>, force: bool) -> Admit {
    Admit {
        links,
        via: "http://a.test/".into(),
        force,
    }
}

pub(super) fn settle(lease: &Lease, position: u32, fate: Fate, links: Vec<Link>) -> Settle {
    Settle {
        host: lease.host.clone(),
        token: lease.token,
        what: Settles::Url {
            position,
            outcome: Outcome::Ok,
            fate,
            kept: fate == Fate::Done,
            bytes: 10,
        },
        via: "http://a.test/x".into(),
        links,
        read: None,
    }
}

/// What a test does with a store and the leases it was given.
type Verb = fn(&RedisStore, &[Lease]) -> Result<(), StoreError>;

fn all(leases: &[Lease], fate: Fate, found: fn(u64) -> Vec<Link>) -> Vec<Settle> {
    let numbered = (10..).zip(leases);
    numbered
        .flat_map(|(n, lease)| (0..2).map(move |at| settle(lease, at, fate, found(n))))
        .collect()
}

fn release(lease: &Lease, handed: usize) -> Release {
    Release {
        host: lease.host.clone(),
        token: lease.token,
        handed,
        last_end: None,
    }
}

const VERBS: [(&str, Verb); 13] = [
    ("admit", |store, _| {
        now(store.admit(&admit(links(2..5), false))).map(drop)
    }),
    ("admit by force", |store, _| {
        now(store.admit(&admit(links(0..5), true))).map(drop)
    }),
    ("admit seeds", |store, _| {
        let seeds = ["a.test", "g.test"].map(|host| link(host, 7, LinkKind::Seed));
        now(store.admit(&admit(seeds.into(), false))).map(drop)
    }),
    ("settle pages with links of all shards", |store, leases| {
        let found = |n: u64| links(n..n + 2);
        now(store.settle(&all(leases, Fate::Done, found))).map(drop)
    }),
    ("settle to be tried again", |store, leases| {
        let rest = Duration::from_secs(9);
        let again = Fate::Retry { tries: 1, rest };
        now(store.settle(&all(leases, again, |_| Vec::new()))).map(drop)
    }),
    ("settle with the last try", |store, leases| {
        let rest = Duration::ZERO;
        let last = Fate::Retry { tries: 3, rest };
        now(store.settle(&all(leases, last, |_| Vec::new()))).map(drop)
    }),
    ("give back", |store, leases| {
        now(store.settle(&all(leases, Fate::Return, |_| Vec::new()))).map(drop)
    }),
    ("extend", |store, leases| {
        let lease = Extend {
            host: leases[0].host.clone(),
            token: leases[0].token,
        };
        now(store.extend(&lease)).map(|term| assert!(term.is_some(), "it holds"))
    }),
    ("release", |store, leases| {
        // How long ago the last request ended would have grown when it is asked again.
        now(store.release(&release(&leases[0], 1), None))
    }),
    ("schedule", |store, leases| {
        now(store.schedule(&Schedule {
            host: leases[0].host.clone(),
            token: leases[0].token,
            delay: Some(Duration::from_secs(3)),
            rest: Some(Duration::from_secs(5)),
            strikes: None,
        }))
    }),
    ("robots", |store, leases| {
        let host = leases[0].host.clone();
        let origin = Origin {
            https: true,
            host: host.clone(),
            port: 443,
        };
        let record = Box::new(RobotsRecord {
            answer: RobotsAnswer::Unavailable { status: 404 },
            fetched: Wall(9),
            failures: 0,
        });
        let settle = Settle {
            host,
            token: leases[0].token,
            what: Settles::Robots { origin, record },
            via: "http://a.test/robots.txt".into(),
            links: Vec::new(),
            read: None,
        };
        now(store.settle(&[settle])).map(drop)
    }),
    ("enter an address", |store, leases| {
        let enter = EnterAddress {
            host: leases[0].host.clone(),
            token: leases[0].token,
            address: [192, 0, 2, 1].into(),
        };
        now(store.enter_address(&enter)).map(|entered| assert!(entered, "there is room"))
    }),
    ("pause", |store, _| now(store.pause())),
];

/// Everything of the shards and addresses in a server, in an order that does not depend on how it came there.
fn everything(deployed: &Deployed) -> BTreeMap<String, Vec<String>> {
    let mut client = deployed.server().client().unwrap();
    let mut ask = |words: &[&str]| client.call(words).unwrap();
    let keys = ask(&["KEYS", "*"]).members();
    let mut all = BTreeMap::new();
    for key in keys.into_iter().map(|key| key.text()) {
        if key.starts_with("{argiope}") {
            continue;
        }
        let kind = ask(&["TYPE", &key]).text();
        let held = match kind.as_str() {
            "hash" => ask(&["HGETALL", &key]),
            "set" => ask(&["SMEMBERS", &key]),
            "zset" => ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]),
            "list" => ask(&["LRANGE", &key, "0", "-1"]),
            _ => ask(&["GET", &key]),
        };
        let text = |value: &Value| match value {
            Value::Bulk(bytes) => format!("{} ", bytes.escape_ascii()),
            other => format!("{other:?}"),
        };
        let held = match held {
            Value::Array(held) => held,
            one => vec![one],
        };
        let mut held: Vec<String> = match kind.as_str() {
            "hash" | "zset" => held
                .chunks_exact(2)
                .map(|pair| text(&pair[0]) + &text(&pair[1]))
                .collect(),
            _ => held.iter().map(text).collect(),
        };
        if kind != "list" {
            held.sort_unstable();
        }
        all.insert(key, held);
    }
    all
}

/// Does the verb while its n-th question fails, again until it succeeds; what there is then, and whether any failed.
fn with_failure(
    deployed: &Deployed,
    verb: Verb,
    plan: &FailPlan,
) -> (BTreeMap<String, Vec<String>>, bool) {
    let clock = Clock::manual(Wall(1_000_000_000_000));
    let store = deployed.open(0, &rules(), &clock);
    deployed.tell_time(clock.wall());
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 9,
        urls_per_host: 2,
    };
    now(store.admit(&admit(links(0..3), false))).unwrap();
    let mut leases = now(store.claim(claim)).unwrap().leases;
    leases.sort_by(|one, other| one.host.cmp(&other.host));
    assert_eq!(leases.len(), 5);
    deployed.failures.set(plan.clone());
    let _ticks = Ticking::start(&clock);
    while let Err(error) = verb(&store, &leases) {
        assert!(error.may_pass(), "{error:?}");
    }
    deployed.failures.set(FailPlan::none());
    (everything(deployed), plan.fired())
}

#[test]
fn a_verb_whose_questions_fail_has_done_the_same_in_the_end() {
    let mut deployed = Deployed::new(Servers::one(ServerOptions::default()), SHARDS);
    for (name, verb) in VERBS {
        let (wanted, _) = with_failure(&deployed, verb, &FailPlan::none());
        for way in [NOT_ASKED, UNHEARD] {
            let mut n = 0;
            loop {
                n += 1;
                deployed = deployed.anew(SHARDS);
                let plan = FailPlan::nth(n, way, false);
                let (found, failed) = with_failure(&deployed, verb, &plan);
                assert_eq!(found, wanted, "{name}: question {n} failed with {way}");
                if !failed {
                    break;
                }
            }
            assert!(n > 1, "{name} asks nothing");
        }
        deployed = deployed.anew(SHARDS);
    }
}

#[test]
fn a_claim_whose_answer_is_lost_loses_no_url() {
    let mut deployed = Deployed::new(Servers::one(ServerOptions::default()), SHARDS);
    for way in [NOT_ASKED, UNHEARD] {
        for n in 1.. {
            let mut stage = Nodes::new(deployed, &rules(), 1, 1);
            let act = |act| By {
                crawl: 0,
                node: 0,
                act,
            };
            let links = links(0..3);
            stage.play(&act(Act::Admit {
                links,
                force: false,
            }));
            let plan = FailPlan::nth(n, way, false);
            stage.yard.failures.set(plan.clone());
            stage.play(&act(Act::Claim {
                taker: 0,
                hosts: 9,
                urls: 2,
            }));
            stage.yard.failures.set(FailPlan::none());
            stage.finish();
            deployed = stage.yard.anew(SHARDS);
            if !plan.fired() {
                assert!(n > 2, "a claim asks several shards");
                break;
            }
        }
    }
}

/// A story in which now and then a question fails.
fn failing_story() -> impl Strategy<Value = Vec<(By, Option<(u64, i32)>)>> {
    let way = prop_oneof![Just(NOT_ASKED), Just(UNHEARD)];
    let failure = prop::option::weighted(0.3, (1..6u64, way));
    (story(1, 2), prop::collection::vec(failure, 90))
        .prop_map(|(acts, failures)| acts.into_iter().zip(failures).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_when_questions_fail(acts in failing_story()) {
        let deployed = Deployed::new(Servers::one(ServerOptions::default()), SHARDS);
        let mut stage = Nodes::new(deployed, &rules(), 1, 2);
        for (act, failure) in &acts {
            // Who loses the answer to "told" has told it all the same; a new store opens before its crawl is known; and how
            // long ago a request ended grows while it is asked again: the node's clock goes on, that of the shards stands.
            let is_plain = !matches!(
                act.act,
                Act::GaveUp { .. } | Act::Crash | Act::Pass(_) | Act::Release { ago: Some(_), .. }
            );
            if let Some((n, way)) = failure.filter(|_| is_plain) {
                stage.yard.failures.set(FailPlan::nth(n, way, false));
            }
            stage.play(act);
            stage.yard.failures.set(FailPlan::none());
        }
        stage.finish();
    }
}

//! The script on a real server: the same as the reckoning, whatever it is asked; and what it does where nothing is set.

use contract::fleet::CrawlNumber;
use contract::rate::{RateScope, Versions};
use kit::redis::{Redis, RedisCluster, RedisOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Script;
use redis::aio::MultiplexedConnection;

use super::super::gcra::{Meter, reserve};
use super::super::shared::{RESERVE_LUA, RedisRates};
use super::super::{RateError, RateStore};
use super::*;
use crate::fleet::address::Address;
use crate::fleet::link::Link;

async fn server() -> (Redis, MultiplexedConnection) {
    let redis = Redis::start(RedisOptions::default()).unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let patient = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let conn = client.get_multiplexed_async_connection_with_config(&patient);
    let conn = conn.await.unwrap();
    (redis, conn)
}

/// The script at a moment of ours: the line that reads the server's clock is another one.
fn script_at(now: u64) -> Script {
    let reads = "local time = redis.call('TIME')\n";
    let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
    let told = format!("local time = {{ '{seconds}', '{micros}' }}\n");
    let text = RESERVE_LUA.replace(reads, &told);
    assert_ne!(
        text, RESERVE_LUA,
        "the script reads the clock in another way now"
    );
    Script::new(&text)
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        node: usize,
        want: u32,
        weight: u32,
        forgets: bool,
    },
    Set(RateScope, Limit),
    Pass(u64),
    Back(u64),
}

fn limits() -> impl Strategy<Value = Limit> {
    let rates = prop_oneof![
        2 => Just(0_u64),
        1 => 1_u64..10,
        2 => 3_600_u64..36_000,
        4 => 360_000_u64..3_600_000,
        2 => 3_600_000_u64..=3_600_000_000,
    ];
    let bursts = prop_oneof![4 => Just(1_u32), 2 => 2_u32..50, 1 => 1_u32..=1_000_000];
    (rates, bursts).prop_map(|(rate, burst)| Limit {
        rate: Rate::per_hour(rate),
        burst,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scope = prop_oneof![Just(RateScope::Cluster), Just(RateScope::Crawl)];
    let want = prop_oneof![1 => Just(0_u32), 4 => 1_u32..50, 2 => 50_u32..=20_000];
    let weight = prop_oneof![6 => Just(1_u32), 2 => 2_u32..10, 1 => 10_u32..=1_000];
    let pass = prop_oneof![4 => 0_u64..100_000, 2 => 0_u64..2_000_000, 1 => 0_u64..10_000_000_000];
    let step = prop_oneof![
        12 => (0_usize..5, want, weight, prop::bool::weighted(0.1))
            .prop_map(|(node, want, weight, forgets)| Step::Ask { node, want, weight, forgets }),
        2 => (scope, limits()).prop_map(|(scope, limit)| Step::Set(scope, limit)),
        8 => pass.prop_map(Step::Pass),
        1 => (0_u64..10_000_000).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 1..80)
}

/// Both do the same things; what they answer must be the same.
async fn the_same(conn: &MultiplexedConnection, crawl: u64, steps: &[Step]) {
    let rates = RedisRates::new(conn.clone(), CrawlNumber(crawl));
    let (mut cluster, mut own) = (Meter::default(), Meter::default());
    let mut clear = redis::cmd("DEL");
    clear.arg("{rate}:all");
    let _gone: i64 = clear.query_async(&mut conn.clone()).await.unwrap();
    for (scope, meter) in [
        (RateScope::Cluster, &mut cluster),
        (RateScope::Crawl, &mut own),
    ] {
        let first = limit("100/s", 1);
        assert_eq!(
            rates.set_rate(scope, first).await.unwrap(),
            meter.set(first)
        );
    }
    let mut now = 1_700_000_000_123_456;
    let mut known = [(StoreTime(0), StoreTime(0)); 5];
    for step in steps {
        match *step {
            Step::Pass(by) => now += by,
            Step::Back(by) => now -= by,
            Step::Set(scope, limit) => {
                let meter = match scope {
                    RateScope::Cluster => &mut cluster,
                    RateScope::Crawl => &mut own,
                };
                assert_eq!(
                    rates.set_rate(scope, limit).await.unwrap(),
                    meter.set(limit)
                );
            }
            Step::Ask {
                node,
                want,
                weight,
                forgets,
            } => {
                let (last, share) = known[node];
                let question = Reserve {
                    want,
                    weight,
                    last,
                    share,
                };
                let told = rates.book(&script_at(now), question).await.unwrap();
                let model = reserve(&mut cluster, &mut own, &question, StoreTime(now));
                assert_eq!(told, model, "{question:?} at {now}");
                if let (Grant::Slots(slots), false) = (told.grant, forgets) {
                    known[node] = (told.now, slots.share);
                }
            }
        }
    }
}

#[test]
fn the_script_and_the_reckoning_are_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_redis, conn) = runtime.block_on(server());
    let mut crawls = 1_u64..;
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let crawls = std::cell::RefCell::new(&mut crawls);
    // A failing case tells its steps, which are all there is to it.
    let done = TestRunner::new(config).run(&steps(), |steps| {
        let crawl = crawls.borrow_mut().next().unwrap();
        runtime.block_on(the_same(&conn, crawl, &steps));
        Ok(())
    });
    done.unwrap();
}

#[tokio::test]
async fn without_a_setting_nothing_is_granted() {
    let (_redis, conn) = server().await;
    let rates = RedisRates::new(conn.clone(), CrawlNumber(7));
    let unset = |done: Result<Reserved, RateError>| matches!(done, Err(RateError::Unset));
    assert!(unset(rates.reserve(ask(1)).await));
    rates
        .begin(RateScope::Cluster, Limit::default())
        .await
        .unwrap();
    assert!(unset(rates.reserve(ask(1)).await), "the crawl has none yet");
    assert_eq!(rates.limit(RateScope::Crawl).await.unwrap(), None);
    let fast = limit("200/s", 3);
    assert_eq!(rates.begin(RateScope::Crawl, fast).await.unwrap(), 1);
    assert_eq!(
        rates
            .begin(RateScope::Crawl, limit("1/s", 1))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        rates.limit(RateScope::Crawl).await.unwrap(),
        Some((fast, 1))
    );
    assert_eq!(slots(&rates.reserve(ask(2)).await.unwrap()).granted, 2);

    let other = RedisRates::new(conn.clone(), CrawlNumber(8));
    other
        .begin(RateScope::Crawl, Limit::default())
        .await
        .unwrap();
    let unlimited = other.reserve(ask(1)).await.unwrap();
    let versions = Versions {
        cluster: 1,
        crawl: 1,
    };
    assert_eq!(
        (unlimited.grant, unlimited.versions),
        (Grant::Unlimited, versions)
    );
    assert_eq!(other.set_rate(RateScope::Cluster, fast).await.unwrap(), 2);
    assert_eq!(
        other.set_rate(RateScope::Cluster, fast).await.unwrap(),
        2,
        "the same again"
    );
    assert_eq!(rates.reserve(ask(0)).await.unwrap().versions.cluster, 2);
}

#[tokio::test]
async fn what_a_later_program_wrote_is_left_alone() {
    let (_redis, mut conn) = server().await;
    let rates = RedisRates::new(conn.clone(), CrawlNumber(7));
    rates
        .begin(RateScope::Cluster, limit("5/s", 1))
        .await
        .unwrap();
    rates
        .begin(RateScope::Crawl, Limit::default())
        .await
        .unwrap();
    let mut later = redis::cmd("HSET");
    later.arg("{rate}:all").arg("v").arg(2);
    let _old: i64 = later.query_async(&mut conn).await.unwrap();
    let told = |error: RateError| contract::error::chain(&error);
    let error = rates.reserve(ask(1)).await.unwrap_err();
    assert!(told(error).contains("schema 2 of {rate}:all"));
    let error = rates
        .set_rate(RateScope::Cluster, limit("9/s", 1))
        .await
        .unwrap_err();
    assert!(told(error).contains("schema 2 of {rate}:all"));
    let error = rates.limit(RateScope::Cluster).await.unwrap_err();
    assert!(told(error).contains("schema 2"));
}

#[tokio::test]
async fn a_cluster_books_in_both_rates_at_once() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let url = cluster.urls()[0].replace("redis://", "redis+cluster://");
    let address = Address::parse(&url).unwrap();
    let link = Link::open(&address, None).await.unwrap();
    let rates = RedisRates::new(link, CrawlNumber(7));
    let both = [
        (RateScope::Cluster, limit("100/s", 4)),
        (RateScope::Crawl, limit("20/s", 1)),
    ];
    for (scope, limit) in both {
        assert_eq!(rates.begin(scope, limit).await.unwrap(), 1);
        assert_eq!(rates.limit(scope).await.unwrap(), Some((limit, 1)));
    }
    let booked = slots(&rates.reserve(ask(2)).await.unwrap());
    let steps = (booked.step_ns, booked.booked_step_ns);
    assert_eq!((booked.granted, steps), (2, (50_000_000, 10_000_000)));
}

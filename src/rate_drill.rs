//! Drill of the shared rate: eight nodes, one real Redis, judged by the log of the slots that were used (I3).
//!
//! The nodes are the coordinator's own loop, the contract's turns and the frontier's rates, wired as in a generation;
//! their fetchers are tasks that note when they would send. A slot that nobody asks for in time is lost, so that a busy
//! machine makes the rate lower: how long it kept the drill from running is measured, and taken off what is expected.
//! Start at the test.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use contract::admit::FrontierError;
use contract::clock::{Boot, Clock};
use contract::fleet::CrawlNumber;
use contract::outbox::{Ask, Outbox, Work};
use contract::rate::{AHEAD, CHUNK, Limit, Rate, RateScope, Reserve};
use contract::turns::Turns;
use coordinator::rate::Reserving;
use frontier::fleet::address::Address;
use frontier::fleet::link::Link;
use frontier::rate::RateStore;
use frontier::rate::shared::RedisRates;
use kit::redis::{Redis, RedisOptions};
use tokio::task::{JoinHandle, spawn_local};

const NODES: usize = 8;
/// Tasks of a node that always have a request to send.
const FETCHERS: usize = 64;

/// The frontier's room, as far as rates go.
struct Room(Arc<RedisRates<Link>>);

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Work<Reserve>> for Room {
    type Result = ResponseFuture<<Reserve as Ask>::Reply>;

    fn handle(&mut self, work: Work<Reserve>, _: &mut Self::Context) -> Self::Result {
        let rates = self.0.clone();
        Box::pin(async move { rates.reserve(work.item).await.map_err(FrontierError::from) })
    }
}

/// When a slot was used, and by which node.
type Log = Rc<RefCell<Vec<(Boot, usize)>>>;

/// A node's tasks.
struct Node(Vec<JoinHandle<()>>);

impl Node {
    async fn start(n: usize, redis: &Redis, log: &Log) -> Self {
        let clock = Clock::machine();
        let turns = Turns::new(clock.clone());
        let rates = Arc::new(rates(redis).await);
        let room = Room(rates).start();
        let patience = Duration::from_secs(30);
        let reserving = Reserving {
            turns: turns.clone(),
            door: Outbox::new("reserve", vec![room.recipient()], 1, patience),
            clock: clock.clone(),
            weight: 1,
        };
        let mut tasks = vec![spawn_local(reserving.keep())];
        for _ in 0..FETCHERS {
            let (turns, clock, log) = (turns.clone(), clock.clone(), log.clone());
            tasks.push(spawn_local(async move {
                loop {
                    turns.turn().await.spend();
                    log.borrow_mut().push((clock.boot(), n));
                }
            }));
        }
        Self(tasks)
    }

    fn silence(self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// How long the machine kept this thread from running, beyond what the nodes bear.
#[derive(Clone, Default)]
struct Stalls(Rc<Cell<Duration>>);

impl Stalls {
    const BORNE: Duration = Duration::from_millis(30);
    const TICK: Duration = Duration::from_millis(5);

    fn watch() -> Self {
        let (stalls, clock) = (Self::default(), Clock::machine());
        let all = stalls.0.clone();
        spawn_local(async move {
            loop {
                let before = clock.boot();
                tokio::time::sleep(Self::TICK).await;
                let late = clock.boot().since(before) - Self::TICK;
                if late > Self::BORNE {
                    all.set(all.get() + late);
                }
            }
        });
        stalls
    }

    /// Seconds that the nodes could run in.
    fn ran(&self, from: Boot, to: Boot) -> f64 {
        let stalled = self.0.take();
        println!("{:?} of stalls", stalled);
        to.since(from).saturating_sub(stalled).as_secs_f64()
    }
}

async fn rates(redis: &Redis) -> RedisRates<Link> {
    let address = Address::parse(&redis.url()).unwrap();
    RedisRates::new(Link::open(&address, None).await.unwrap(), CrawlNumber(1))
}

fn limit(rate: u64) -> Limit {
    Limit {
        rate: Rate::per_hour(rate * 3_600),
        burst: 1,
    }
}

/// Uses from one moment to another, in order.
fn within(log: &Log, from: Boot, to: Boot) -> Vec<(Boot, usize)> {
    let log = log.borrow();
    let mut uses: Vec<_> = log
        .iter()
        .filter(|(at, _)| (from..to).contains(at))
        .copied()
        .collect();
    uses.sort_unstable();
    uses
}

/// No window w holds more than rate · (w + 0.2 s) + burst.
#[track_caller]
fn obeys(uses: &[(Boot, usize)], rate: u64) {
    for ms in [10, 100, 500, 1_000, 2_000, 60_000] {
        let window = Duration::from_millis(ms);
        let (mut from, mut most) = (0, 0);
        for (to, (at, _)) in uses.iter().enumerate() {
            while at.since(uses[from].0) >= window {
                from += 1;
            }
            most = most.max(to + 1 - from);
        }
        let bound = rate as f64 * (window + CHUNK).as_secs_f64() + 1.0;
        println!(
            "  {most} in {window:?}, {:.0} at {rate}/s exactly",
            rate as f64 * window.as_secs_f64()
        );
        assert!(most as f64 <= bound, "{most} within {window:?} at {rate}/s");
    }
}

fn jain(uses: &[(Boot, usize)]) -> f64 {
    let mut got = [0.0; NODES];
    for (_, node) in uses {
        got[*node] += 1.0;
    }
    let squares: f64 = got.iter().map(|n| n * n).sum();
    println!("  by node {got:?}");
    uses.len() as f64 * uses.len() as f64 / (NODES as f64 * squares)
}

/// The figure of `INFO` that stands after these words.
fn info(redis: &Redis, words: &[&str]) -> f64 {
    let mut client = redis.client().unwrap();
    let mut text = client.call(&["INFO", "everything"]).unwrap().text();
    for word in words {
        text = text
            .split_once(word)
            .map_or_else(String::new, |(_, rest)| rest.to_owned());
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    text[..end.unwrap_or(text.len())].parse().unwrap_or(0.0)
}

/// Calls of the script so far, and the seconds of CPU that the server has used.
fn load(redis: &Redis) -> (f64, f64) {
    let cpu = info(redis, &["used_cpu_user:"]) + info(redis, &["used_cpu_sys:"]);
    (info(redis, &["cmdstat_evalsha:", "calls="]), cpu)
}

#[actix::test]
async fn eight_nodes_share_one_rate_and_stop_without_its_store() {
    let clock = Clock::machine();
    let mut redis = Redis::start(RedisOptions::default()).unwrap();
    let own = rates(&redis).await;
    own.begin(RateScope::Cluster, limit(1_000)).await.unwrap();
    own.begin(RateScope::Crawl, Limit::default()).await.unwrap();
    let log = Log::default();
    let mut nodes = Vec::new();
    for n in 0..NODES {
        nodes.push(Node::start(n, &redis, &log).await);
    }
    let pass = async |ms: u64| {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        clock.boot()
    };

    // At full speed.
    let stalls = Stalls::watch();
    let from = pass(1_000).await;
    stalls.0.take();
    let before = load(&redis);
    let to = pass(3_000).await;
    let after = load(&redis);
    let (seconds, ran) = (to.since(from).as_secs_f64(), stalls.ran(from, to));
    let (calls, cpu) = (after.0 - before.0, after.1 - before.1);
    let uses = within(&log, from, to);
    println!(
        "{:.2} % of 1000/s; {:.0} calls/s, {:.0} us of server CPU a call, {} us of it in the script",
        uses.len() as f64 / seconds / 10.0,
        calls / seconds,
        cpu / calls * 1e6,
        info(&redis, &["cmdstat_evalsha:", "usec_per_call="]),
    );
    obeys(&within(&log, Boot(0), to), 1_000);
    let fair = jain(&uses);
    println!("  Jain {fair:.4}");
    assert!(fair >= 0.99, "{fair}");
    assert!(
        uses.len() as f64 >= 990.0 * ran,
        "{} in {ran} s",
        uses.len()
    );

    // Cut at full speed.
    assert_eq!(
        own.set_rate(RateScope::Cluster, limit(400)).await.unwrap(),
        2
    );
    let cut = clock.boot();
    let to = pass(2_500).await;
    println!("cut to 400/s");
    let holds = cut.after(AHEAD + CHUNK);
    let uses = within(&log, holds, to);
    obeys(&uses, 400);
    assert!(uses.len() as f64 >= 396.0 * stalls.ran(holds, to));

    // A node that falls silent takes its own slots with it and no more.
    nodes.remove(3).silence();
    let quiet = clock.boot();
    let to = pass(2_000).await;
    let uses = within(&log, quiet, to);
    println!("a node silent: {} in {:?}", uses.len(), to.since(quiet));
    obeys(&uses, 400);
    let most_lost = 400.0 * (AHEAD + CHUNK).as_secs_f64() / NODES as f64;
    assert!(uses.len() as f64 >= 396.0 * stalls.ran(quiet, to) - most_lost);
    assert!(uses.iter().all(|(_, node)| *node != 3));

    // The store is gone: what is held is used, then nothing is sent.
    redis.kill().unwrap();
    let gone = clock.boot();
    pass(1_500).await;
    let last = log.borrow().iter().map(|(at, _)| *at).max().unwrap();
    println!(
        "store killed: the last request {:?} later",
        last.since(gone)
    );
    assert!(last <= gone.after(AHEAD + CHUNK), "{:?}", last.since(gone));

    // It is back without its data: nobody knows the rate, so nobody sends.
    redis.restart().unwrap();
    while load(&redis).0 < 20.0 {
        pass(20).await;
    }
    assert_eq!(log.borrow().last().map(|(at, _)| *at), Some(last));
    for (scope, limit) in [
        (RateScope::Crawl, Limit::default()),
        (RateScope::Cluster, limit(200)),
    ] {
        // The first answer to a connection that has broken tells that it has.
        while own.begin(scope, limit).await.is_err() {
            pass(20).await;
        }
    }
    let again = clock.boot();
    while within(&log, again, Boot(u64::MAX)).len() < 200 {
        pass(20).await;
    }
    println!("set again: 200 requests in {:?}", clock.boot().since(again));
    obeys(&within(&log, again, Boot(u64::MAX)), 200);
    nodes.into_iter().for_each(Node::silence);
}

//! Stories of many nodes and many crawls, told to stores alone.
//!
//! No model knows in which order shards are asked and which node was first, so a witness of each crawl judges what was
//! answered, and in the end everything must have an end. Crawls share hosts: their witnesses share what they know of
//! them. A verb that fails in passing is asked again, as its caller would. Start reading at [`Nodes::play`].

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use contract::clock::{Clock, Wall, micros};
use contract::control::FrontierStats;
use proptest::prelude::*;

use super::acts::{Act, act};
use super::witness::{Paces, Witness};
use super::{now, start};
use crate::config::Rules;
use crate::store::Store;

/// Where stores are opened.
pub(crate) trait Yard {
    type Store: Store;
    /// The store of one more node that works on the crawl of this number.
    fn open(&self, crawl: usize, rules: &Rules, clock: &Clock) -> Self::Store;
    /// It is so late in the stores.
    fn tell_time(&self, time: Wall);
}

/// An act, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct By {
    pub(crate) crawl: usize,
    pub(crate) node: usize,
    pub(crate) act: Act,
}

/// A story of so many crawls, each worked on by so many nodes.
pub(crate) fn story(crawls: usize, nodes: usize) -> impl Strategy<Value = Vec<By>> {
    let by = (0..crawls, 0..nodes, act()).prop_map(|(crawl, node, act)| By {
        crawl,
        node,
        act: act.in_areas(),
    });
    prop::collection::vec(by, 1..60 + 30 * crawls)
}

/// The stores of all nodes, and who watches them.
pub(crate) struct Nodes<Y: Yard> {
    pub(crate) yard: Y,
    rules: Rules,
    clock: Clock,
    _ticks: Ticking,
    /// The time in the stores.
    time: Wall,
    crawls: Vec<Crawl<Y::Store>>,
}

struct Crawl<S> {
    stores: Vec<S>,
    witness: Witness,
}

impl<Y: Yard> Nodes<Y> {
    pub(crate) fn new(yard: Y, rules: &Rules, crawls: usize, nodes: usize) -> Self {
        let (clock, paces) = (start(), Paces::default());
        let crawl = |crawl| Crawl {
            stores: (0..nodes)
                .map(|_| yard.open(crawl, rules, &clock))
                .collect(),
            witness: Witness::of_crawl(rules.clone(), crawl, paces.clone()),
        };
        let crawls = (0..crawls).map(crawl).collect();
        let time = clock.wall();
        yard.tell_time(time);
        Self {
            yard,
            rules: rules.clone(),
            time,
            _ticks: Ticking::start(&clock),
            clock,
            crawls,
        }
    }

    /// Plays one act of one node.
    pub(crate) fn play(&mut self, By { crawl, node, act }: &By) {
        let of = &mut self.crawls[*crawl];
        match act {
            Act::Pass(time) => {
                self.clock.advance(*time);
                self.time.0 += micros(*time);
                self.yard.tell_time(self.time);
            }
            Act::Crash => of.stores[*node] = self.yard.open(*crawl, &self.rules, &self.clock),
            // These are the fleet's, or are not given while nodes work.
            Act::Configure(_) | Act::Ran(_) | Act::Reopen { .. } => {}
            _ => {
                let answer = loop {
                    match act.tell(&of.stores[*node], &of.witness, &self.clock) {
                        Err(error) if error.may_pass() => {}
                        told => break told.unwrap(),
                    }
                };
                of.witness.saw(act, &answer, self.time.millis());
            }
        }
    }

    /// Has everything fetched by all nodes in turn, and judges the end.
    pub(crate) fn finish(&mut self) {
        for _ in 0..500 {
            let mut is_idle = true;
            for crawl in 0..self.crawls.len() {
                for node in 0..self.crawls[crawl].stores.len() {
                    is_idle &= !self.work(crawl, node);
                }
            }
            if !is_idle {
                continue;
            }
            let is_over = |crawl: &Crawl<Y::Store>| {
                let stats = stats(&crawl.stores[0]);
                let is_idle = stats.queued == 0 || stats.limit_reached;
                is_idle && stats.leases == 0
            };
            if self.crawls.iter().all(is_over) {
                return self.judge();
            }
            let act = Act::Pass(Duration::from_secs(86_400));
            let (crawl, node) = (0, 0);
            self.play(&By { crawl, node, act });
        }
        let left = self.crawls.iter().map(|crawl| {
            let store = &crawl.stores[0];
            (stats(store), now(store.queued_after(None, usize::MAX)))
        });
        panic!("the crawls do not end: {:?}", left.collect::<Vec<_>>());
    }

    /// One node claims, and settles and releases whatever is leased; whether anything was.
    fn work(&mut self, crawl: usize, node: usize) -> bool {
        let mut play = |act| self.play(&By { crawl, node, act });
        play(Act::Resume);
        play(Act::Claim {
            taker: 0,
            hosts: 8,
            urls: 9,
        });
        let leases = self.crawls[crawl].witness.live();
        for &lease in &leases {
            let mut play = |act| self.play(&By { crawl, node, act });
            play(Act::SettleAll { lease });
            play(Act::Release {
                lease,
                handed: usize::MAX,
                ago: Some(Duration::ZERO),
            });
        }
        !leases.is_empty()
    }

    fn judge(&mut self) {
        for crawl in 0..self.crawls.len() {
            let (node, act) = (0, Act::GaveUp { told: true });
            self.play(&By { crawl, node, act });
            let Crawl { stores, witness } = &self.crawls[crawl];
            let stats = stats(&stores[0]);
            if let Some(limit) = self.rules.limit {
                assert!(stats.kept <= limit, "{limit} may be kept: {stats:?}");
                continue;
            }
            witness.ended(&stats);
            let queued = now(stores[0].queued_after(None, 1)).unwrap();
            assert!(queued.is_empty(), "counted as gone: {queued:?}");
        }
    }
}

/// The nodes' clock goes on by itself, faster than any, so that what they wait for comes soon. The stores' time does not.
pub(crate) struct Ticking {
    /// Dropped, it ends.
    _ends: SyncSender<()>,
}

impl Ticking {
    pub(crate) fn start(clock: &Clock) -> Self {
        let (ends, ended) = sync_channel(0);
        let clock = clock.clone();
        std::thread::spawn(move || {
            let tick = Duration::from_millis(1);
            while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                clock.advance(Duration::from_millis(20));
            }
        });
        Self { _ends: ends }
    }
}

/// How it stands; asked until there is an answer.
fn stats<S: Store>(store: &S) -> FrontierStats {
    loop {
        match now(store.stats()) {
            Err(error) if error.may_pass() => {}
            told => return told.unwrap(),
        }
    }
}

//! The reckoning: tables of single questions, then nodes that ask as nodes do, on a clock that is moved by hand.

use contract::clock::Chance;
use contract::rate::{CHUNK, Versions};

use super::super::gcra::{Meter, reserve};
use super::*;

const MS: u64 = 1_000;
/// Some moment.
const T: u64 = 1_700_000_000_000_000;

/// Both rates, set.
struct Both(Meter, Meter);

impl Both {
    fn of(cluster: Limit, crawl: Limit) -> Self {
        let mut both = Self(Meter::default(), Meter::default());
        both.0.set(cluster);
        both.1.set(crawl);
        both
    }

    fn ask(&mut self, ask: &Reserve, at: u64) -> Reserved {
        reserve(&mut self.0, &mut self.1, ask, StoreTime(at))
    }
}

#[test]
fn one_question_at_rest() {
    // Granted; start and step in ms; what is booked by the looser rate, start and step in ms.
    #[track_caller]
    fn check(cluster: Limit, crawl: Limit, want: u32, weight: u32, wanted: [u64; 5]) {
        let mut both = Both::of(cluster, crawl);
        let question = Reserve {
            weight,
            ..ask(want)
        };
        let slots = slots(&both.ask(&question, T));
        let ms = |at: StoreTime| at.0.wrapping_sub(T) / MS;
        let got = [
            u64::from(slots.granted),
            ms(slots.start),
            slots.step_ns / 1_000_000,
            ms(slots.booked),
            slots.booked_step_ns / 1_000_000,
        ];
        assert_eq!(got, wanted);
    }
    let none = limit("", 1);
    check(limit("100/s", 1), none, 3, 1, [3, 0, 10, 0, 10]);
    check(none, limit("100/s", 1), 3, 1, [3, 0, 10, 0, 10]);
    // Half of what is booked ahead, 75 ms.
    check(limit("100/s", 1), none, 1_000, 1, [8, 0, 10, 0, 10]);
    check(limit("100/s", 1), none, 0, 1, [0, 0, 10, 0, 10]);
    check(limit("100/s", 1), none, 1_000, 5, [2, 0, 50, 0, 50]);
    // The slower one decides, the faster one says how long they are good.
    check(limit("100/s", 1), limit("20/s", 1), 9, 1, [2, 0, 50, 0, 10]);
    check(limit("20/s", 1), limit("100/s", 1), 9, 1, [2, 0, 50, 0, 10]);
    check(limit("1/h", 1), none, 9, 1, [1, 0, 3_600_000, 0, 3_600_000]);
}

#[test]
fn a_burst_is_there_after_a_pause_and_no_larger_than_an_hours_worth() {
    #[track_caller]
    fn check(limit: Limit, want: u32, granted: u32) {
        let mut both = Both::of(limit, Limit::default());
        let reserved = both.ask(&ask(want), T);
        let at_once = due(&reserved).iter().filter(|due| **due <= T).count();
        assert_eq!(at_once, granted as usize);
    }
    check(limit("10/s", 1), 100, 1);
    check(limit("10/s", 5), 100, 5);
    check(limit("10/s", 5), 3, 3);
    check(limit("10/h", 1_000_000), 100, 11);
}

#[test]
fn what_is_booked_in_one_rate_is_booked_in_the_other() {
    let mut both = Both::of(limit("100/s", 1), limit("20/s", 1));
    assert_eq!(due(&both.ask(&ask(9), T)).len(), 2);
    let mut other = Meter::default();
    other.set(Limit::default());
    // Another crawl of the cluster finds two of its slots taken.
    let reserved = reserve(&mut both.0, &mut other, &ask(100), StoreTime(T));
    assert_eq!(slots(&reserved).start, StoreTime(T + 20 * MS));
    // Where the crawl has none, none is taken from the cluster.
    let before = both.0.tat;
    let reserved = both.ask(&ask(9), T);
    assert_eq!(slots(&reserved).granted, 0);
    assert_eq!(both.0.tat, before);
}

#[test]
fn a_setting_counts_its_changes_and_holds_at_once() {
    let mut both = Both::of(Limit::default(), limit("1/h", 1));
    assert_eq!(both.1.set(limit("1/h", 1)), 1, "the same again");
    assert_eq!(due(&both.ask(&ask(5), T)), [T]);
    assert_eq!(slots(&both.ask(&ask(5), T + 1)).granted, 0);
    // Faster: the hour that was booked is not waited for.
    assert_eq!(both.1.set(limit("100/s", 1)), 2);
    let reserved = both.ask(&ask(5), T + 1);
    let versions = Versions {
        cluster: 1,
        crawl: 2,
    };
    assert_eq!(reserved.versions, versions);
    assert!(slots(&reserved).start.0 <= T + 1_100 * MS, "{reserved:?}");
    both.1.set(Limit::default());
    assert_eq!(both.ask(&ask(5), T).grant, Grant::Unlimited);
}

#[test]
fn a_clock_that_goes_back_holds_nobody_up_for_long() {
    let mut both = Both::of(limit("100/s", 1), Limit::default());
    both.ask(&ask(100), T);
    let earlier = T - 7_200_000 * MS;
    let start = slots(&both.ask(&ask(1), earlier)).start.0;
    assert!(start > earlier && start <= earlier + 1_010 * MS);
}

/// A node that needs so many slots a second and asks every 60 ms or so.
struct Node {
    need: u64,
    waiting: f64,
    asked: u64,
    next: u64,
    jitter: u64,
    ask: Reserve,
    got: Vec<u64>,
}

/// Nodes for so long; calls at times that a seed draws.
fn crawl(both: &mut Both, nodes: &mut [Node], from: u64, until: u64, chance: &mut Chance) {
    let mut at = from;
    while at < until {
        for node in &mut *nodes {
            if at < node.next {
                continue;
            }
            let more = node.need as f64 * (at - node.asked) as f64 / 1e6;
            node.waiting = (node.waiting + more).min(20_000.0);
            (node.asked, node.next) = (at, at + 60 * MS + chance.draw() % node.jitter);
            let question = Reserve {
                want: node.waiting as u32,
                ..node.ask
            };
            let reserved = both.ask(&question, at);
            let granted = slots(&reserved);
            node.waiting -= f64::from(granted.granted);
            if question.want > 0 {
                node.ask.last = reserved.now;
            }
            node.ask.share = granted.share;
            node.got.extend(due(&reserved));
        }
        at += MS;
    }
}

/// Begin at any time, and do not stay in step.
const EVEN: (u64, u64) = (60 * MS, 20 * MS);

/// Nodes that begin within so long, and how far their times vary.
fn nodes(needs: &[u64], (clump, jitter): (u64, u64), chance: &mut Chance) -> Vec<Node> {
    let node = |need: &u64| Node {
        need: *need,
        waiting: 0.0,
        asked: T,
        next: T + chance.draw() % clump,
        jitter,
        ask: ask(0),
        got: Vec::new(),
    };
    needs.iter().map(node).collect()
}

/// Jain's index: 1 when all got the same.
pub(super) fn jain(got: &[usize]) -> f64 {
    let sum: f64 = got.iter().map(|n| *n as f64).sum();
    let squares: f64 = got.iter().map(|n| (*n as f64).powi(2)).sum();
    sum.powi(2) / (got.len() as f64 * squares)
}

/// The most of these moments that any window of this length holds.
pub(super) fn busiest(moments: &mut [u64], window: u64) -> usize {
    moments.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for to in 0..moments.len() {
        while moments[to] - moments[from] >= window {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}

#[test]
fn nodes_share_alike_and_leave_nothing_unused() {
    #[track_caller]
    fn check(rate: u64, needs: &[u64], seed: u64) -> Vec<usize> {
        // Even, or all in step, or nearly so: who asks first then does so always.
        let shapes = [EVEN, (60 * MS, 2 * MS), (20 * MS, 2 * MS), (1, 1)];
        let shape = shapes[seed as usize % shapes.len()];
        let mut chance = Chance::seeded(seed);
        let mut both = Both::of(limit(&format!("{rate}/s"), 1), Limit::default());
        let mut nodes = nodes(needs, shape, &mut chance);
        // In the first second it is found out who asks.
        let (seconds, from) = (10, T + 1_000 * MS);
        crawl(&mut both, &mut nodes, T, from, &mut chance);
        let first = nodes
            .iter_mut()
            .flat_map(|node| std::mem::take(&mut node.got));
        let mut dues: Vec<u64> = first.collect();
        crawl(
            &mut both,
            &mut nodes,
            from,
            from + seconds * 1_000 * MS,
            &mut chance,
        );
        let got: Vec<_> = nodes.iter().map(|node| node.got.len()).collect();
        let needed: u64 = needs.iter().sum::<u64>().min(rate);
        let all: usize = got.iter().sum();
        assert!(
            (all as u64 + 1) * 100 >= needed * seconds * 99,
            "seed {seed}, {rate}/s for {needs:?}: {got:?} in all {all}"
        );
        dues.extend(nodes.iter().flat_map(|node| &node.got));
        for window in [10 * MS, 100 * MS, 1_000 * MS, 5_000 * MS] {
            let most = busiest(&mut dues, window) as u64;
            let bound = (rate * window).div_ceil(1_000_000) + 1;
            assert!(
                most <= bound,
                "seed {seed}: {most} in {window} us at {rate}/s"
            );
        }
        got
    }
    for seed in 0..8 {
        for (rate, count) in [(100, 2), (400, 8), (1_000, 8), (10_000, 16), (100_000, 100)] {
            let got = check(rate, &vec![1_000_000; count], seed);
            assert!(
                jain(&got) >= 0.99,
                "seed {seed}, {count} nodes at {rate}/s: {got:?}"
            );
        }
        // Those that need little have it; of what they leave, the others have their part, if not to a hair.
        let got = check(1_000, &[50, 50, 1_000_000, 1_000_000], seed);
        assert!(got[0] >= 485 && got[1] >= 485, "seed {seed}: {got:?}");
        assert!(got[2].min(got[3]) >= 2_500, "seed {seed}: {got:?}");
        check(1_000, &[20, 1_000_000], seed);
        check(1_000, &[300], seed);
        check(5, &[1_000_000; 3], seed);
    }
}

#[test]
fn a_node_that_falls_silent_takes_nothing_with_it_for_long() {
    let mut chance = Chance::seeded(5);
    let mut both = Both::of(limit("1000/s", 1), Limit::default());
    let mut nodes = nodes(&[1_000_000; 4], EVEN, &mut chance);
    let (quiet, end) = (T + 3_000 * MS, T + 8_000 * MS);
    crawl(&mut both, &mut nodes, T, quiet, &mut chance);
    nodes.truncate(2);
    crawl(&mut both, &mut nodes, quiet, end, &mut chance);
    let after = |node: &Node| node.got.iter().filter(|due| **due >= quiet).count();
    let got: Vec<_> = nodes.iter().map(after).collect();
    let all: usize = got.iter().sum();
    // What the silent ones had booked is all that is lost.
    assert!(
        all >= 5_000 - 1_000 * CHUNK.as_millis() as usize / 1_000,
        "{got:?}"
    );
    assert!(jain(&got) >= 0.99, "{got:?}");
}

#[test]
fn a_cut_holds_as_soon_as_what_was_booked_is_used() {
    let mut chance = Chance::seeded(6);
    let mut both = Both::of(limit("1000/s", 1), Limit::default());
    let mut nodes = nodes(&[1_000_000; 8], EVEN, &mut chance);
    let (cut, end) = (T + 3_000 * MS, T + 8_000 * MS);
    crawl(&mut both, &mut nodes, T, cut, &mut chance);
    both.0.set(limit("100/s", 1));
    crawl(&mut both, &mut nodes, cut, end, &mut chance);
    let holds = cut + 150 * MS;
    let mut after: Vec<u64> = nodes
        .iter()
        .flat_map(|node| node.got.iter().copied().filter(|due| *due >= holds))
        .collect();
    assert!(busiest(&mut after, 1_000 * MS) <= 101);
    assert!(after.len() >= 475, "{}", after.len());
}

//! The reckoning with nodes that ask as nodes do, on a clock that is moved by hand: alike, without waste, within bounds.

use contract::clock::{Chance, micros};
use contract::rate::{AHEAD, CHUNK};

use super::super::gcra::{Meter, reserve};
use super::*;

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
/// Some moment.
const T: u64 = 1_700_000_000_000_000;
/// More than any rate here.
const ALL: u64 = 1_000_000;
/// Nodes begin at any time, and do not stay in step.
const EVEN: (u64, u64) = (60 * MS, 20 * MS);

/// Nodes of one cluster.
struct Fleet {
    chance: Chance,
    now: u64,
    cluster: Meter,
    crawls: Vec<Meter>,
    nodes: Vec<Node>,
}

/// A node that needs so many slots a second and asks every 60 ms or a little more.
struct Node {
    crawl: usize,
    need: u64,
    waiting: f64,
    asked: u64,
    next: u64,
    jitter: u64,
    ask: Reserve,
    /// Its slots: when each is due, and when it is over.
    got: Vec<(u64, u64)>,
}

impl Fleet {
    fn new(seed: u64, cluster: Limit) -> Self {
        let mut fleet = Self {
            chance: Chance::seeded(seed),
            now: T,
            cluster: Meter::default(),
            crawls: Vec::new(),
            nodes: Vec::new(),
        };
        fleet.cluster.set(cluster);
        fleet
    }

    /// A crawl with nodes of these needs, that begin within so long and whose times vary by so much.
    fn crawl(mut self, limit: Limit, needs: &[u64], (clump, jitter): (u64, u64)) -> Self {
        let mut crawl = Meter::default();
        crawl.set(limit);
        for need in needs {
            self.nodes.push(Node {
                crawl: self.crawls.len(),
                need: *need,
                waiting: 0.0,
                asked: self.now,
                next: self.now + self.chance.draw() % clump,
                jitter,
                ask: ask(0),
                got: Vec::new(),
            });
        }
        self.crawls.push(crawl);
        self
    }

    /// Lets so much time pass, and returns when that began.
    fn run(&mut self, time: u64) -> u64 {
        let from = self.now;
        while self.now < from + time {
            for node in &mut self.nodes {
                if self.now >= node.next {
                    node.next = self.now + 60 * MS + self.chance.draw() % node.jitter;
                    node.ask(&mut self.cluster, &mut self.crawls[node.crawl], self.now);
                }
            }
            self.now += MS;
        }
        from
    }

    /// Slots of each node that are due from then on.
    fn got(&self, from: u64) -> Vec<usize> {
        let got = |node: &Node| node.got.iter().filter(|(due, _)| *due >= from).count();
        self.nodes.iter().map(got).collect()
    }

    /// When the slots of these nodes are due.
    fn due(&self, from: u64) -> Vec<u64> {
        let due = self
            .nodes
            .iter()
            .flat_map(|node| &node.got)
            .map(|slot| slot.0);
        due.filter(|due| *due >= from).collect()
    }
}

impl Node {
    fn ask(&mut self, cluster: &mut Meter, crawl: &mut Meter, now: u64) {
        let more = self.need as f64 * (now - self.asked) as f64 / 1e6;
        (self.asked, self.waiting) = (now, (self.waiting + more).min(20_000.0));
        let question = Reserve {
            want: self.waiting as u32,
            ..self.ask
        };
        let reserved = reserve(cluster, crawl, &question, StoreTime(now));
        let granted = slots(&reserved);
        self.waiting -= f64::from(granted.granted);
        if question.want > 0 {
            self.ask.last = reserved.now;
        }
        self.ask.share = granted.share;
        for (n, due) in due(&reserved).into_iter().enumerate() {
            let booked = granted.booked.0 + granted.booked_step_ns * n as u64 / 1_000;
            self.got.push((due, booked.max(now) + micros(CHUNK)));
        }
    }
}

/// Jain's index: 1 when all got the same.
fn jain(got: &[usize]) -> f64 {
    let sum: f64 = got.iter().map(|n| *n as f64).sum();
    let squares: f64 = got.iter().map(|n| (*n as f64).powi(2)).sum();
    sum.powi(2) / (got.len() as f64 * squares)
}

/// The most of these moments that any window of this length holds.
fn busiest(moments: &mut [u64], window: u64) -> u64 {
    moments.sort_unstable();
    let (mut from, mut most) = (0, 0);
    for to in 0..moments.len() {
        while moments[to] - moments[from] >= window {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most as u64
}

/// No window holds more than rate · (w + late) + burst of these.
#[track_caller]
fn obeys(moments: &mut [u64], rate: u64, late: u64, burst: u64) {
    for window in [1, 10 * MS, 50 * MS, 100 * MS, 300 * MS, SECOND, 5 * SECOND] {
        let most = busiest(moments, window);
        let bound = (rate * (window + late)).div_ceil(SECOND) + burst;
        assert!(most <= bound, "{most} in {window} us, {bound} at {rate}/s");
    }
}

#[test]
fn nodes_share_alike_and_leave_nothing_unused() {
    #[track_caller]
    fn check(rate: u64, needs: &[u64], seed: u64) -> Vec<usize> {
        // Even, or all in step, or nearly so: who asks first then does so always.
        let shapes = [EVEN, (60 * MS, 2 * MS), (20 * MS, 2 * MS), (1, 1)];
        let shape = shapes[seed as usize % shapes.len()];
        let mut fleet = Fleet::new(seed, limit(&format!("{rate}/s"), 1));
        fleet = fleet.crawl(Limit::default(), needs, shape);
        // In the first second it is found out who asks.
        fleet.run(SECOND);
        let from = fleet.run(10 * SECOND);
        let got = fleet.got(from);
        let all: usize = got.iter().sum();
        let needed = needs.iter().sum::<u64>().min(rate) * 10;
        assert!(
            (all as u64 + 1) * 100 >= needed * 99,
            "seed {seed}, {rate}/s for {needs:?}: {got:?} in all {all}"
        );
        obeys(&mut fleet.due(0), rate, 0, 1);
        got
    }
    // One for each shape.
    for seed in 0..4 {
        for (rate, count) in [(100, 2), (400, 8), (1_000, 8), (10_000, 16), (100_000, 100)] {
            let got = check(rate, &vec![ALL; count], seed);
            assert!(
                jain(&got) >= 0.99,
                "seed {seed}, {count} nodes at {rate}/s: {got:?}"
            );
        }
        // Those that need little have it; of what they leave, the others have their part, if not to a hair.
        let got = check(1_000, &[50, 50, ALL, ALL], seed);
        assert!(got[0] >= 485 && got[1] >= 485, "seed {seed}: {got:?}");
        assert!(got[2].min(got[3]) >= 2_500, "seed {seed}: {got:?}");
        check(1_000, &[20, ALL], seed);
        check(1_000, &[300], seed);
        check(5, &[ALL; 3], seed);
    }
}

/// I3 at its worst: each slot used as early or as late as it may be, whichever way fills the window.
#[test]
fn crawls_of_one_cluster_together_keep_its_rate_however_late_their_slots_are_used() {
    for seed in 0..8 {
        let mut fleet = Fleet::new(seed, limit("500/s", 20))
            .crawl(limit("50/s", 5), &[ALL, ALL], EVEN)
            .crawl(limit("100/s", 1), &[ALL; 3], EVEN)
            .crawl(Limit::default(), &[ALL, 70], EVEN);
        fleet.run(3 * SECOND);
        // Everybody pauses, and comes back to what a burst allows.
        fleet.now += 10 * SECOND;
        let from = fleet.run(3 * SECOND);
        let mut chance = Chance::seeded(seed);
        let mut use_all = |nodes: &[usize]| -> Vec<u64> {
            let slots = nodes.iter().flat_map(|n| fleet.nodes[*n].got.clone());
            let late = chance.draw().is_multiple_of(2);
            // The first or second half of every 400 ms is made as full as can be.
            let used = slots.filter(|(due, end)| due < end).map(|(due, end)| {
                let pushed = (due / MS) % 400 < 200;
                if pushed == late { end - 1 } else { due }
            });
            used.collect()
        };
        let late = micros(CHUNK);
        obeys(&mut use_all(&[0, 1, 2, 3, 4, 5, 6]), 500, late, 20);
        obeys(&mut use_all(&[0, 1]), 50, late, 5);
        obeys(&mut use_all(&[2, 3, 4]), 100, late, 1);
        // Every crawl gets what it may, and no slot is over before it could be used.
        let got = fleet.got(from);
        let all: usize = got.iter().sum();
        assert!((got[0] + got[1]) as u64 * 100 >= 3 * 50 * 99, "{got:?}");
        assert!(
            (got[2] + got[3] + got[4]) as u64 * 100 >= 3 * 100 * 99,
            "{got:?}"
        );
        assert!(all as u64 * 100 >= 3 * 500 * 99, "{got:?}");
        let least = fleet.nodes.iter().flat_map(|node| &node.got);
        let least = least.map(|(due, end)| end.saturating_sub(*due)).min();
        assert!(least >= Some(micros(CHUNK) - micros(AHEAD)), "{least:?}");
    }
}

#[test]
fn a_node_that_falls_silent_takes_nothing_with_it_for_long() {
    let mut fleet = Fleet::new(5, limit("1000/s", 1)).crawl(Limit::default(), &[ALL; 4], EVEN);
    fleet.run(3 * SECOND);
    fleet.nodes.truncate(2);
    let quiet = fleet.run(5 * SECOND);
    let got = fleet.got(quiet);
    let all: u64 = got.iter().sum::<usize>() as u64;
    // What the silent ones had booked is all that is lost.
    assert!(all >= 5_000 - 1_000 * micros(AHEAD) / SECOND, "{got:?}");
    assert!(jain(&got) >= 0.99, "{got:?}");
}

#[test]
fn a_cut_holds_as_soon_as_what_was_booked_is_used() {
    let mut fleet = Fleet::new(6, limit("1000/s", 1)).crawl(Limit::default(), &[ALL; 8], EVEN);
    fleet.run(3 * SECOND);
    fleet.cluster.set(limit("100/s", 1));
    let cut = fleet.run(5 * SECOND);
    let mut after = fleet.due(cut + micros(AHEAD));
    obeys(&mut after, 100, 0, 1);
    assert!(after.len() >= 475, "{}", after.len());
}

//! Leases and fences in small: two nodes, one host, two URLs, every order of what can happen up to a depth.
//!
//! A node acts on the last lease that it was given, however long ago: so a node that stalls and wakes is among the
//! orders. The witness sees that no two leases live at once, that no stale settle is taken after a newer token, that
//! the host rests; in the end both URLs have been fetched. Left out are only acts that answered that they did nothing
//! while no newer lease was there. Start reading at [`World::step`].

use std::time::Duration;

use contract::canonical::Fingerprint;
use contract::clock::{Chance, Clock};
use contract::host::Host;
use contract::link::{Link, LinkKind};
use contract::page::Fate;
use contract::settle::Settled;

use super::acts::{Act, Answer, Page};
use super::witness::Witness;
use super::{now, rules, start};
use crate::store::Store;
use crate::store::memory::{Memory, Ways};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Claim(usize),
    Settle(usize, u32),
    Extend(usize),
    Release(usize),
    /// Longer than the delay.
    Rest,
    /// Longer than a lease.
    Lapse,
}

const STEPS: [Step; 12] = [
    Step::Claim(0),
    Step::Claim(1),
    Step::Settle(0, 0),
    Step::Settle(1, 0),
    Step::Settle(0, 1),
    Step::Settle(1, 1),
    Step::Extend(0),
    Step::Extend(1),
    Step::Release(0),
    Step::Release(1),
    Step::Rest,
    Step::Lapse,
];

/// Two nodes before one host.
struct World<'a, S> {
    stores: [&'a S; 2],
    clock: Clock,
    passed: &'a dyn Fn(),
    witness: Witness,
    /// The lease that each node was given last: its number.
    held: [Option<usize>; 2],
    granted: usize,
    latest: Option<Step>,
}

impl<'a, S: Store> World<'a, S> {
    fn new(stores: [&'a S; 2], clock: Clock, passed: &'a dyn Fn()) -> Self {
        let mut world = Self {
            stores,
            clock,
            passed,
            witness: Witness::new(rules()),
            held: [None; 2],
            granted: 0,
            latest: None,
        };
        let host = Host::from_stored("a.test");
        let link = |n: u64| Link {
            url: format!("http://a.test/{n}").into(),
            fingerprint: Fingerprint(u64::from(host.area().0) << 48 | n),
            host: host.clone(),
            kind: LinkKind::Page,
            depth: 0,
            hops: 0,
        };
        let links = vec![link(1), link(2)];
        world.tell(
            0,
            &Act::Admit {
                links,
                force: false,
            },
        );
        world
    }

    fn tell(&mut self, node: usize, act: &Act) -> Answer {
        let answer = act.tell(self.stores[node], &self.witness, &self.clock);
        let answer = answer.unwrap();
        let at = self.clock.wall().millis();
        self.witness.saw(act, &answer, at);
        answer
    }

    /// Whether it may have changed anything.
    fn step(&mut self, step: Step) -> bool {
        let again = self.latest.replace(step) == Some(step);
        let back = |held: Option<usize>| held.map(|number| self.granted - 1 - number);
        match step {
            Step::Claim(node) => {
                let leased = now(self.stores[0].stats()).unwrap().leases;
                let claim = Act::Claim {
                    taker: 0,
                    hosts: 1,
                    urls: 2,
                };
                let Answer::Claimed(granted, _) = self.tell(node, &claim) else {
                    panic!("nobody paused it");
                };
                if !granted.is_empty() {
                    self.held[node] = Some(self.granted);
                    self.granted += 1;
                }
                !granted.is_empty() || now(self.stores[0].stats()).unwrap().leases != leased
            }
            Step::Settle(node, position) => {
                let Some(lease) = back(self.held[node]) else {
                    return false;
                };
                let page = Page {
                    lease,
                    position,
                    fate: Fate::Done,
                    kept: true,
                    links: Vec::new(),
                };
                let (pages, twice) = (vec![page], false);
                let answer = self.tell(node, &Act::Settle { pages, twice });
                let is_stale = lease > 0;
                match answer {
                    Answer::Settled(told) => is_stale || told[0].answer == Settled::Applied,
                    _ => true,
                }
            }
            Step::Extend(node) => {
                let Some(lease) = back(self.held[node]) else {
                    return false;
                };
                let answer = self.tell(node, &Act::Extend { lease });
                lease > 0 || !matches!(answer, Answer::Said(said) if said == "None")
            }
            Step::Release(node) => {
                let Some(lease) = back(self.held[node]) else {
                    return false;
                };
                self.tell(
                    node,
                    &Act::Release {
                        lease,
                        handed: 1,
                        ago: Some(Duration::ZERO),
                    },
                );
                !again
            }
            Step::Rest | Step::Lapse => {
                let rest = Duration::from_millis(if step == Step::Rest { 150 } else { 6_000 });
                self.clock.advance(rest);
                (self.passed)();
                !again
            }
        }
    }

    /// Both nodes go on until nothing is left.
    fn finish(&mut self) {
        for round in 0..100 {
            let stats = now(self.stores[0].stats()).unwrap();
            if (stats.queued, stats.leases) == (0, 0) {
                self.tell(0, &Act::GaveUp { told: false });
                return self.witness.ended(&stats);
            }
            let node = round % 2;
            if self.step(Step::Claim(node)) && !self.witness.live().is_empty() {
                for step in [
                    Step::Settle(node, 0),
                    Step::Settle(node, 1),
                    Step::Release(node),
                ] {
                    self.step(step);
                }
            }
            self.step(Step::Lapse);
            self.latest = None;
        }
        panic!("two URLs are not fetched in a hundred rounds");
    }
}

/// Plays every order of so many more steps behind these; counts the whole ones.
fn every_order(steps: &mut Vec<Step>, more: usize) -> u64 {
    let mut orders = 0;
    for next in STEPS {
        // Which node is the first makes no difference.
        if steps.is_empty() && matches!(next, Step::Claim(1)) {
            continue;
        }
        let clock = start();
        let model = Memory::new(Ways::OneShard, rules(), clock.clone());
        let mut world = World::new([&model, &model], clock, &|| {});
        for step in &*steps {
            world.step(*step);
        }
        if !world.step(next) {
            continue;
        }
        if more == 1 {
            world.finish();
            orders += 1;
            continue;
        }
        steps.push(next);
        orders += every_order(steps, more - 1);
        steps.pop();
    }
    orders
}

#[test]
fn the_model_keeps_its_promises_in_every_order() {
    let orders = every_order(&mut Vec::new(), 7);
    assert!(orders > 10_000, "only {orders} orders");
}

/// Plays one order by chance on two nodes' stores, then lets them finish.
pub(crate) fn some_order<S: Store>(
    stores: [&S; 2],
    clock: &Clock,
    passed: &dyn Fn(),
    chance: &mut Chance,
) {
    let mut world = World::new(stores, clock.clone(), passed);
    let count = 4 + chance.draw() % 9;
    for _ in 0..count {
        let draw = usize::try_from(chance.draw() % 12).unwrap();
        world.step(STEPS[draw]);
    }
    world.finish();
}

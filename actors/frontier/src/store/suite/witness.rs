//! A witness: knows only what a store has answered, and holds it against what every store promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use contract::host::Host;
use contract::lease::{Lease, Queued, Token};
use contract::settle::Settled;

use super::acts::{Act, Answer};
use crate::config::Rules;

/// A lease as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Granted {
    pub(super) host: Host,
    pub(super) token: Token,
    pub(super) urls: Vec<Queued>,
    delay: Duration,
    robots: String,
}

impl From<&Lease> for Granted {
    fn from(lease: &Lease) -> Self {
        let mut robots = lease.robots.clone();
        robots.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            host: lease.host.clone(),
            token: lease.token,
            urls: lease.urls.clone(),
            delay: lease.delay,
            robots: format!("{robots:?}"),
        }
    }
}

/// What is known of one host from answers alone.
#[derive(Default)]
struct Known {
    token: Token,
    /// The lease that may be live: its number and when it ends at the latest, in ms.
    live: Option<(usize, u64)>,
    /// No request may be sent before, in ms.
    rested: u64,
}

/// See the module.
pub(super) struct Witness {
    rules: Rules,
    leases: Vec<Granted>,
    hosts: BTreeMap<Host, Known>,
    /// Leases and positions that were settled.
    settled: BTreeSet<(usize, u32)>,
    /// URLs that are done for good: settled under a live token.
    done: BTreeSet<Box<str>>,
    /// URLs admitted by force: these may be queued twice.
    forced: BTreeSet<Box<str>>,
    paused: bool,
}

impl Witness {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            leases: Vec::new(),
            hosts: BTreeMap::new(),
            settled: BTreeSet::new(),
            done: BTreeSet::new(),
            forced: BTreeSet::new(),
            paused: false,
        }
    }

    /// A lease, counted back from the latest.
    pub(super) fn lease(&self, back: usize) -> Option<&Granted> {
        self.leases.iter().rev().nth(back)
    }

    /// Leases that may be live, counted back from the latest.
    pub(super) fn live(&self) -> Vec<usize> {
        let live = self.hosts.values().filter_map(|host| host.live);
        live.map(|(number, _)| self.leases.len() - 1 - number)
            .collect()
    }

    /// The process ended at this time, in ms.
    pub(super) fn crashed(&mut self, at: u64) {
        let delay = u64::try_from(self.rules.delay.as_millis()).unwrap();
        for host in self.hosts.values_mut() {
            // One that has run out may have been taken back, and its rest be over.
            if host.live.take().is_some_and(|(_, end)| at < end) {
                host.rested = host.rested.max(at + delay);
            }
        }
    }

    /// Hears what an act was answered at this time, in ms.
    pub(super) fn saw(&mut self, act: &Act, answer: &Answer, at: u64) {
        match (act, answer) {
            (Act::Pause, _) => self.paused = true,
            (Act::Resume, _) => self.paused = false,
            (Act::Admit { links, force: true }, _) => {
                self.forced
                    .extend(links.iter().map(|link| link.url.clone()));
            }
            (Act::Claim { .. }, Answer::Refused) => assert!(self.paused, "refused unpaused"),
            (Act::Claim { .. }, Answer::Claimed(granted, _)) => {
                assert!(!self.paused, "granted while paused (F9)");
                for lease in granted {
                    self.granted(lease.clone(), at);
                }
            }
            (_, Answer::Settled(settled)) => {
                for settle in settled {
                    let number = self.leases.len() - 1 - settle.lease;
                    let lease = &self.leases[number];
                    let position = usize::try_from(settle.position).unwrap();
                    if settle.answer != Settled::Applied {
                        continue;
                    }
                    let known = self.hosts.get(&lease.host).map(|host| host.token);
                    assert_eq!(Some(lease.token), known, "applied under an old token (F3)");
                    let first = self.settled.insert((number, settle.position));
                    assert!(first, "{settle:?} was applied twice (F4)");
                    if settle.done {
                        self.done.insert(lease.urls[position].url.clone());
                    }
                }
            }
            (Act::Extend { lease }, Answer::Said(said)) if said != "None" && !said.is_empty() => {
                self.moved_end(*lease, at, self.rules.lease);
            }
            (Act::Release { lease, ago, .. }, _) => self.released(*lease, *ago, at),
            _ => {}
        }
    }

    fn granted(&mut self, lease: Granted, at: u64) {
        let number = self.leases.len();
        let host = self.hosts.entry(lease.host.clone()).or_default();
        assert!(
            lease.token > host.token,
            "tokens do not rise (F2): {lease:?}"
        );
        assert!(
            at >= host.rested,
            "{at} is before {} (F8): {lease:?}",
            host.rested
        );
        if let Some((_, end)) = host.live {
            assert!(at >= end, "leased twice at once (F1): {lease:?}");
            let delay = u64::try_from(self.rules.delay.as_millis()).unwrap();
            assert!(at >= end + delay, "no rest after a lost lease: {lease:?}");
        }
        host.token = lease.token;
        let term = u64::try_from(self.rules.lease.as_millis()).unwrap();
        host.live = Some((number, at + term));
        assert!(!lease.urls.is_empty(), "an empty lease");
        for queued in &lease.urls {
            let again = self.done.contains(&queued.url) && !self.forced.contains(&queued.url);
            assert!(!again, "{queued:?} was done (F3)");
            assert!(
                queued.tries < self.rules.tries_max,
                "{queued:?} had its tries"
            );
        }
        self.leases.push(lease);
    }

    fn moved_end(&mut self, back: usize, at: u64, by: Duration) {
        let number = self.leases.len() - 1 - back;
        let host = self.hosts.get_mut(&self.leases[number].host);
        if let Some((live, end)) = host.and_then(|host| host.live.as_mut())
            && *live == number
        {
            *end = (*end).max(at + u64::try_from(by.as_millis()).unwrap());
        }
    }

    fn released(&mut self, back: usize, ago: Option<Duration>, at: u64) {
        let Some(lease) = self.lease(back) else {
            return;
        };
        let number = self.leases.len() - 1 - back;
        let (name, delay) = (lease.host.clone(), lease.delay);
        let Some(host) = self.hosts.get_mut(&name) else {
            return;
        };
        if let Some((live, end)) = host.live
            && live == number
        {
            // A lease that has run out may have been taken back before: then the store heeds no release.
            if let Some(ago) = ago.filter(|_| at < end) {
                let ended = at - u64::try_from(ago.as_millis()).unwrap();
                // Ours alone: what the host asked for may have been taken back since.
                let delay = delay.min(self.rules.delay);
                let rested = ended + u64::try_from(delay.as_millis()).unwrap();
                host.rested = host.rested.max(rested);
            }
            // From here on the store alone knows when it closes.
            host.live = None;
        }
    }
}

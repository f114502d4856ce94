//! A witness: knows only what a store has answered, and holds it against what every store promises.
//!
//! Each crawl has one of its own; witnesses of crawls that share hosts share what they know of their pace ([`Paces`]).
//! Start reading at [`Witness::saw`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use contract::canonical::Fingerprint;
use contract::control::FrontierStats;
use contract::host::Host;
use contract::lease::{Lease, Queued, Strikes, Token};
use contract::link::Link;
use contract::settle::Settled;

use super::acts::{Act, Answer, Settle1};
use crate::config::Rules;

/// A lease as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Granted {
    pub(super) host: Host,
    pub(super) token: Token,
    pub(super) urls: Vec<Queued>,
    delay: Duration,
    robots: String,
    strikes: Strikes,
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
            strikes: lease.strikes,
        }
    }
}

/// What is known of one host from answers alone.
#[derive(Default)]
pub(super) struct Known {
    token: Token,
    /// The lease that may be live: the crawl, its number there, and when it ends at the latest, in ms.
    live: Option<(usize, usize, u64)>,
    /// No request may be sent before, in ms.
    rested: u64,
}

/// Hosts as all crawls see them together.
pub(super) type Paces = Rc<RefCell<BTreeMap<Host, Known>>>;

/// See the module.
pub(super) struct Witness {
    rules: Rules,
    /// Which of those that share hosts.
    crawl: usize,
    leases: Vec<Granted>,
    hosts: Paces,
    /// The latest lease of each host in this crawl.
    latest: BTreeMap<Host, Token>,
    /// Leases and positions that were settled.
    settled: BTreeSet<(usize, u32)>,
    /// URLs that are done for good: settled under a live token.
    done: BTreeSet<Box<str>>,
    /// URLs admitted by force: these may be queued twice.
    forced: BTreeSet<Box<str>>,
    /// URLs by fingerprint, as they were admitted or found.
    admitted: BTreeMap<Fingerprint, BTreeSet<Box<str>>>,
    /// Settles that ended a URL, and URLs that were given up.
    ends: u64,
    given_up: BTreeSet<(Token, Box<str>)>,
    /// URLs whose settle is said to have been taken, when nobody heard it.
    unheard: BTreeSet<Box<str>>,
    /// URLs that were reopened, counted.
    reopened: u64,
    paused: bool,
}

impl Witness {
    pub(super) fn new(rules: Rules) -> Self {
        Self::of_crawl(rules, 0, Paces::default())
    }

    /// Of one of several crawls that share hosts.
    pub(super) fn of_crawl(rules: Rules, crawl: usize, hosts: Paces) -> Self {
        Self {
            rules,
            crawl,
            leases: Vec::new(),
            hosts,
            latest: BTreeMap::new(),
            settled: BTreeSet::new(),
            done: BTreeSet::new(),
            forced: BTreeSet::new(),
            admitted: BTreeMap::new(),
            ends: 0,
            given_up: BTreeSet::new(),
            unheard: BTreeSet::new(),
            reopened: 0,
            paused: false,
        }
    }

    /// A lease, counted back from the latest.
    pub(super) fn lease(&self, back: usize) -> Option<&Granted> {
        self.leases.iter().rev().nth(back)
    }

    /// Whether the URL was done, or leased once.
    pub(super) fn was_met(&self, url: &str) -> bool {
        let leased = |lease: &Granted| lease.urls.iter().any(|queued| *queued.url == *url);
        self.done.contains(url) || self.leases.iter().any(leased)
    }

    /// Leases that may be live, counted back from the latest.
    pub(super) fn live(&self) -> Vec<usize> {
        let hosts = self.hosts.borrow();
        let live = hosts.values().filter_map(|host| host.live);
        live.filter(|(crawl, ..)| *crawl == self.crawl)
            .map(|(_, number, _)| self.leases.len() - 1 - number)
            .collect()
    }

    /// The process ended at this time, in ms.
    pub(super) fn crashed(&mut self, at: u64) {
        let delay = u64::try_from(self.rules.delay.as_millis()).unwrap();
        for host in self.hosts.borrow_mut().values_mut() {
            // One that has run out may have been taken back, and its rest be over.
            if host.live.take().is_some_and(|(.., end)| at < end) {
                host.rested = host.rested.max(at + delay);
            }
        }
    }

    /// Hears what an act was answered at this time, in ms.
    pub(super) fn saw(&mut self, act: &Act, answer: &Answer, at: u64) {
        match (act, answer) {
            (Act::Pause, _) => self.paused = true,
            (Act::Resume, _) => self.paused = false,
            (Act::Admit { links, force }, _) => {
                for link in links {
                    self.admitted(link);
                    if *force {
                        self.forced.insert(link.url.clone());
                    }
                }
            }
            (Act::Reopen { links, .. }, Answer::Reopened(reopened)) => {
                self.reopened += reopened.queued;
                for link in links {
                    self.done.remove(&link.url);
                }
            }
            (Act::Claim { .. } | Act::Visit { .. }, Answer::Refused) => {
                assert!(self.paused, "refused unpaused");
            }
            (_, Answer::Visited(lease)) => {
                assert!(!self.paused, "let in while paused (F9)");
                assert!(lease.urls.is_empty(), "a visit with URLs: {lease:?}");
                self.granted(lease.clone(), at);
            }
            (Act::Claim { .. }, Answer::Claimed(granted, _)) => {
                // Another node need not ask to know that there is nothing.
                let is_empty = granted.is_empty();
                assert!(is_empty || !self.paused, "granted while paused (F9)");
                for lease in granted {
                    assert!(!lease.urls.is_empty(), "an empty lease");
                    self.granted(lease.clone(), at);
                }
            }
            (_, Answer::Settled(settled)) => {
                if let Act::Settle { pages, .. } = act {
                    let pages = pages.iter().filter(|page| page.lease < self.leases.len());
                    let links: Vec<_> = pages.flat_map(|page| &page.links).collect();
                    links.into_iter().for_each(|link| self.admitted(link));
                }
                settled.iter().for_each(|settle| self.settled(settle));
            }
            (_, Answer::GaveUp(gave_up)) => {
                let rows = gave_up.iter();
                self.given_up
                    .extend(rows.map(|row| (row.token, row.queued.url.clone())));
            }
            (Act::Extend { lease }, Answer::Said(said)) if said != "None" && !said.is_empty() => {
                self.moved_end(*lease, at, self.rules.lease);
            }
            (Act::Release { lease, ago, .. }, _) => self.released(*lease, *ago, at),
            _ => {}
        }
    }

    fn admitted(&mut self, link: &Link) {
        let urls = self.admitted.entry(link.fingerprint).or_default();
        urls.insert(link.url.clone());
    }

    fn settled(&mut self, settle: &Settle1) {
        let number = self.leases.len() - 1 - settle.lease;
        let lease = &self.leases[number];
        let position = usize::try_from(settle.position).unwrap();
        let place = (number, settle.position);
        if settle.answer != Settled::Applied {
            // Whoever asks again because an answer was lost hears this.
            if settle.answer == Settled::Duplicate && settle.done {
                let url = lease.urls.get(position).map(|queued| queued.url.clone());
                self.unheard
                    .extend(url.filter(|_| !self.settled.contains(&place)));
            }
            return;
        }
        let latest = self.latest.get(&lease.host);
        assert_eq!(
            Some(&lease.token),
            latest,
            "applied under an old token (F3)"
        );
        let first = self.settled.insert(place);
        assert!(first, "{settle:?} was applied twice (F4)");
        if settle.done {
            self.ends += 1;
            self.done.insert(lease.urls[position].url.clone());
        }
    }

    /// Everything was fetched, and it stands so; nothing was admitted and has no end.
    pub(super) fn ended(&self, stats: &FrontierStats) {
        let stands = (stats.queued, stats.leases, stats.hosts_active);
        assert_eq!(stands, (0, 0, 0), "queued, leased, active: {stats:?}");
        assert_eq!(stats.known, stats.done, "{stats:?}");
        let given_up: BTreeSet<&str> = self.given_up.iter().map(|(_, url)| &**url).collect();
        for (fingerprint, urls) in &self.admitted {
            let has_ended = |url: &str| {
                self.done.contains(url) || self.unheard.contains(url) || given_up.contains(url)
            };
            let is_there = urls.iter().any(|url| has_ended(url));
            assert!(is_there, "{fingerprint:?} is lost: {urls:?}");
        }
        let ends = self.ends + u64::try_from(self.given_up.len()).unwrap();
        let unheard = u64::try_from(self.unheard.len()).unwrap();
        let may_be = ends.saturating_sub(self.reopened)..=ends + unheard;
        assert!(
            may_be.contains(&stats.done),
            "{may_be:?} have ended: {stats:?}"
        );
        let least = u64::try_from(self.admitted.len()).unwrap();
        assert!(stats.known >= least, "{least} were admitted: {stats:?}");
        if self.forced.is_empty() {
            assert_eq!(stats.known, least, "known twice: {stats:?}");
        }
    }

    fn granted(&mut self, lease: Granted, at: u64) {
        let number = self.leases.len();
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.entry(lease.host.clone()).or_default();
        assert!(
            lease.token > host.token,
            "tokens do not rise (F2): {lease:?}"
        );
        assert!(
            at >= host.rested,
            "{at} is before {} (F8): {lease:?}",
            host.rested
        );
        if let Some((.., end)) = host.live {
            assert!(at >= end, "leased twice at once (F1): {lease:?}");
            let delay = u64::try_from(self.rules.delay.as_millis()).unwrap();
            assert!(at >= end + delay, "no rest after a lost lease: {lease:?}");
        }
        host.token = lease.token;
        let term = u64::try_from(self.rules.lease.as_millis()).unwrap();
        host.live = Some((self.crawl, number, at + term));
        self.latest.insert(lease.host.clone(), lease.token);
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
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.get_mut(&self.leases[number].host);
        if let Some((crawl, live, end)) = host.and_then(|host| host.live.as_mut())
            && (*crawl, *live) == (self.crawl, number)
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
        let mut hosts = self.hosts.borrow_mut();
        let Some(host) = hosts.get_mut(&name) else {
            return;
        };
        if let Some((crawl, live, end)) = host.live
            && (crawl, live) == (self.crawl, number)
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

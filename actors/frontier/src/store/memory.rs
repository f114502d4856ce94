//! The reference model: the whole frontier as plain lists, searched from end to end.
//!
//! Slow and obviously right: no index, no cache, no head, no count that could disagree with what it counts. Every
//! other store is held against it by [`super::suite`]. It shares with them only the rules of
//! [`crate::politeness`] and how places are numbered. Its memory survives [`Memory::crash`], its leases do not.
//! Stores may differ in who comes first of those that are equal, and in whose own a host is: [`Ways`].

mod addresses;
mod reopen;
mod verbs;
mod visits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use contract::admit::Admitted;
use contract::clock::Clock;
use contract::control::GaveUp;
use contract::host::{Host, Origin};
use contract::lease::{Claim, Claimed, Lease, Queued, Release, Strikes, Taker, Token};
use contract::link::{Link, LinkKind};
use contract::page::Fate;
use contract::robots::RobotsRecord;
use contract::settle::{Settle, Settled, Settles};

use self::addresses::Counted;
use self::reopen::queued;
use super::StoredConfig;
use super::machine::schedule::{OWN_MS, is_own};
use super::machine::{RETRY, RETRY_TURN, index, retry_due, retry_place};
use super::time::{Now, StoreTime};
use crate::config::Rules;
use crate::error::StoreError;
use crate::politeness;

/// The model.
pub(crate) struct Memory(Mutex<Model>);

/// Where stores may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    /// Of hosts due at the same time the one that became known first; hosts are shared out by number.
    Embedded,
    /// Of hosts due at the same time the first by name; all hosts of the one shard are the first fetcher's. A lease that
    /// ran out ends with the next claim and no other verb.
    OneShard,
}

struct Model {
    ways: Ways,
    /// The process, counted.
    node: u32,
    rules: Rules,
    time: StoreTime,
    known: BTreeSet<u64>,
    exact: BTreeMap<String, bool>,
    hosts: Vec<OneHost>,
    queue: Vec<Item>,
    /// Leases that count at an address.
    counted: Vec<Counted>,
    given_up: Vec<GaveUp>,
    admitted: u64,
    done: u64,
    kept: u64,
    bytes: u64,
    gave_up: u64,
    ran: Duration,
    paused: bool,
    config: Option<StoredConfig>,
}

struct OneHost {
    host: Host,
    token: u64,
    next_ok: u64,
    /// Until then visitors come first.
    kept: u64,
    strikes: Strikes,
    learned: Duration,
    leases: u64,
    failures: u8,
    pushed: [u64; 4],
    suspect: bool,
    lease: Option<OneLease>,
    robots: Vec<(Origin, RobotsRecord)>,
}

struct OneLease {
    class: u8,
    end: u64,
    /// Place, and whether it is still waited for.
    places: Vec<(u64, bool)>,
    last: u64,
    handed: Option<usize>,
    alone: bool,
    node: u32,
}

struct Item {
    host: usize,
    class: u8,
    place: u64,
    queued: Queued,
}

impl OneLease {
    fn open(&self) -> usize {
        self.places.iter().filter(|(_, open)| *open).count()
    }

    /// Whether requests may still be sent under it.
    fn sends(&self, now: Now) -> bool {
        self.handed.is_none() && self.end > now.ms()
    }
}

impl Memory {
    pub(crate) fn new(ways: Ways, rules: Rules, clock: Clock) -> Self {
        Self(Mutex::new(Model {
            ways,
            node: 0,
            rules,
            time: StoreTime::open(clock, 0),
            known: BTreeSet::new(),
            exact: BTreeMap::new(),
            hosts: Vec::new(),
            queue: Vec::new(),
            counted: Vec::new(),
            given_up: Vec::new(),
            admitted: 0,
            done: 0,
            kept: 0,
            bytes: 0,
            gave_up: 0,
            ran: Duration::ZERO,
            paused: false,
            config: None,
        }))
    }

    /// The process ends and another opens the same store; where that is a server, leases run on.
    pub(crate) fn crash(&self) {
        let mut model = self.model();
        model.node += 1;
        if model.ways != Ways::Embedded {
            return;
        }
        model.counted.clear();
        let now = model.time.now();
        let only = model
            .hosts
            .iter()
            .filter(|host| host.lease.is_some())
            .count()
            == 1;
        for at in 0..model.hosts.len() {
            if let Some(lease) = model.hosts[at].lease.take() {
                let items = model.places(at, lease.class);
                let is_blamed = lease.alone || only;
                let head = items
                    .first()
                    .filter(|&&place| is_blamed && place <= lease.last);
                let head = head.copied();
                if let Some(place) = head {
                    model.burn(at, lease.class, place);
                }
                model.fence(at, now, head.is_some());
            }
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0
            .lock()
            .expect("no verb of the model panics, or the test has failed already")
    }
}

impl Model {
    fn find(&self, host: &Host) -> Option<usize> {
        self.hosts.iter().position(|known| known.host == *host)
    }

    fn host(&mut self, host: &Host) -> usize {
        self.find(host).unwrap_or_else(|| {
            self.hosts.push(OneHost {
                host: host.clone(),
                token: 0,
                next_ok: 0,
                kept: 0,
                strikes: Strikes::default(),
                learned: Duration::ZERO,
                leases: 0,
                failures: 0,
                pushed: [0; 4],
                suspect: false,
                lease: None,
                robots: Vec::new(),
            });
            self.hosts.len() - 1
        })
    }

    /// Places of a host's class, in order.
    fn places(&self, at: usize, class: u8) -> Vec<u64> {
        let of = |item: &&Item| item.host == at && item.class == class;
        let mut places: Vec<u64> = self
            .queue
            .iter()
            .filter(of)
            .map(|item| item.place)
            .collect();
        places.sort_unstable();
        places
    }

    fn item(&mut self, at: usize, class: u8, place: u64) -> usize {
        self.queue
            .iter()
            .position(|item| (item.host, item.class, item.place) == (at, class, place))
            .expect("what is leased is queued")
    }

    fn due(&self, at: usize) -> Option<u64> {
        let host = &self.hosts[at];
        if host.lease.is_some() {
            return None;
        }
        let free = host.next_ok.max(host.kept);
        if (0..RETRY).any(|class| !self.places(at, class).is_empty()) {
            return Some(free);
        }
        let retry = self.places(at, RETRY).first().copied();
        retry.map(|place| free.max(retry_due(place)))
    }

    fn domain_leases(&self, domain: &str) -> usize {
        let leased = self.hosts.iter().filter(|host| host.lease.is_some());
        leased.filter(|host| host.host.domain() == domain).count()
    }

    fn domain_has_room(&self, at: usize) -> bool {
        let leases = self.domain_leases(self.hosts[at].host.domain());
        self.rules
            .domain_leases_max
            .is_none_or(|most| leases < most as usize)
    }

    /// Neither its domain's budget nor that of suspects holds the host up.
    fn has_room(&self, at: usize) -> bool {
        let ours = |lease: &OneLease| lease.alone && lease.node == self.node;
        let alone = |host: &OneHost| host.lease.as_ref().is_some_and(ours);
        let suspect_out = self.hosts.iter().any(alone);
        self.domain_has_room(at) && !(self.hosts[at].suspect && suspect_out)
    }

    fn outstanding(&self) -> u64 {
        let leases = self.hosts.iter().filter_map(|host| host.lease.as_ref());
        leases.map(|lease| lease.open() as u64).sum()
    }

    fn allowance(&self) -> u64 {
        self.rules.limit.map_or(u64::MAX, |limit| {
            limit.saturating_sub(self.kept + self.outstanding())
        })
    }

    fn fence(&mut self, at: usize, now: Now, blamed: bool) {
        let host = &mut self.hosts[at];
        host.suspect |= host.failures > 0;
        host.token = (host.token + 1).max(now.0);
        host.failures = host.failures.saturating_add(1);
        let delay = politeness::delay(self.rules.delay, host.learned);
        host.next_ok = host.next_ok.max(now.ms_after(Duration::ZERO, delay));
        if blamed {
            let rest = politeness::blamed_rest(host.failures);
            host.next_ok = host.next_ok.max(now.ms_after(Duration::ZERO, rest));
        }
    }

    fn give_up(&mut self, at: usize, queued: Queued) {
        self.gave_up += 1;
        self.done += 1;
        self.given_up.push(GaveUp {
            number: self.gave_up,
            host: self.hosts[at].host.clone(),
            token: Token(self.hosts[at].token),
            queued: Queued {
                earlier: None,
                ..queued
            },
        });
    }

    fn burn(&mut self, at: usize, class: u8, place: u64) {
        let item = self.item(at, class, place);
        self.queue[item].queued.tries = self.queue[item].queued.tries.saturating_add(1);
        if self.queue[item].queued.tries >= self.rules.tries_max {
            let queued = self.queue.remove(item).queued;
            self.give_up(at, queued);
        }
    }

    fn push(&mut self, at: usize, class: u8, not_before: u64, queued: Queued, now: Now) {
        let idle = self.queue.iter().all(|item| item.host != at);
        let host = &mut self.hosts[at];
        if idle && host.lease.is_none() {
            host.next_ok = host.next_ok.max(now.ms());
        }
        let count = &mut host.pushed[index(class)];
        let place = match class {
            RETRY => retry_place(not_before, *count),
            _ => *count,
        };
        *count += 1;
        self.queue.push(Item {
            host: at,
            class,
            place,
            queued,
        });
    }

    fn link(&mut self, link: &Link, via: &str, force: bool, now: Now, admitted: &mut Admitted) {
        let seed = link.kind == LinkKind::Seed;
        let known_exactly = self.exact.contains_key(&*link.url);
        if force || seed {
            *self.exact.entry(link.url.to_string()).or_default() |= seed;
        }
        let known = if force {
            known_exactly
        } else {
            self.known.contains(&link.fingerprint.0)
        };
        if known {
            admitted.known += 1;
            return;
        }
        admitted.new += 1;
        self.admitted += 1;
        self.known.insert(link.fingerprint.0);
        let at = self.host(&link.host);
        let queued = queued(link, Some(via.into()), None);
        self.push(at, link.kind.class(), 0, queued, now);
    }

    fn end_leases(&mut self, now: Now) {
        loop {
            let ended = self.hosts.iter().enumerate().filter_map(|(at, host)| {
                let end = host.lease.as_ref()?.end;
                (end <= now.ms()).then_some((end, self.order(at)))
            });
            let Some((_, (_, at))) = ended.min() else {
                return;
            };
            let lease = self.hosts[at]
                .lease
                .as_ref()
                .expect("it was found by its lease");
            let blamed = lease.places.iter().find(|(_, open)| *open && lease.alone);
            let (blamed, class) = (blamed.copied(), lease.class);
            if let Some((place, _)) = blamed {
                self.burn(at, class, place);
            }
            self.hosts[at].lease = None;
            self.fence(at, now, blamed.is_some());
        }
    }

    fn claim(&mut self, claim: Claim) -> Result<Claimed, StoreError> {
        if self.paused {
            return Err(StoreError::Refusing("paused"));
        }
        let now = self.time.now();
        self.end_leases(now);
        let mut claimed = Claimed::default();
        while claimed.leases.len() < claim.hosts && claim.urls_per_host > 0 && self.allowance() > 0
        {
            let due = (0..self.hosts.len())
                .filter_map(|at| Some((self.turn(at, claim.taker)?, at)))
                .filter(|&(turn, at)| turn <= now.ms() && self.has_room(at))
                .map(|(_, at)| (!self.is_own(at, claim.taker), self.due(at), self.order(at)));
            let Some((.., (_, at))) = due.min() else {
                break;
            };
            let lease = self.grant(at, claim.urls_per_host, now);
            claimed.leases.push(lease);
        }
        let next = (0..self.hosts.len())
            .filter(|&at| self.has_room(at) || self.due(at) > Some(now.ms()))
            .filter(|_| self.allowance() > 0)
            .filter_map(|at| self.turn(at, claim.taker));
        claimed.next_due = self.until_first(next, now);
        Ok(claimed)
    }

    /// Until the first of these times or the first end of a lease.
    fn until_first(&self, times: impl Iterator<Item = u64>, now: Now) -> Option<Duration> {
        let leases = self.hosts.iter().filter_map(|host| host.lease.as_ref());
        let first = times.chain(leases.map(|lease| lease.end)).min();
        first.map(|at| Duration::from_micros((at * 1_000).saturating_sub(now.0)))
    }

    fn is_own(&self, at: usize, taker: Taker) -> bool {
        match self.ways {
            Ways::Embedded => is_own(u32::try_from(at).expect("a test has few hosts"), taker),
            Ways::OneShard => taker.index == 0,
        }
    }

    /// From when on the host may be given to this taker.
    fn turn(&self, at: usize, taker: Taker) -> Option<u64> {
        let grace = if self.is_own(at, taker) { 0 } else { OWN_MS };
        Some(self.due(at)? + grace)
    }

    /// Who comes first of those that are equal.
    fn order(&self, at: usize) -> (String, usize) {
        let name = match self.ways {
            Ways::Embedded => String::new(),
            Ways::OneShard => self.hosts[at].host.to_string(),
        };
        (name, at)
    }

    fn grant(&mut self, at: usize, most: usize, now: Now) -> Lease {
        let retries: Vec<u64> = self
            .places(at, RETRY)
            .into_iter()
            .filter(|&place| retry_due(place) <= now.ms())
            .collect();
        let fresh = (0..RETRY).find(|&class| !self.places(at, class).is_empty());
        let turn = self.hosts[at].leases % RETRY_TURN == RETRY_TURN - 1;
        let (class, mut places) = match fresh {
            Some(class) if retries.is_empty() || !turn => (class, self.places(at, class)),
            _ => (RETRY, retries),
        };
        let host = &self.hosts[at];
        let delay = politeness::delay(self.rules.delay, host.learned);
        let term = self.rules.lease;
        let fit = politeness::urls_per_lease(term, delay, host.failures, most);
        places.truncate(fit.min(usize::try_from(self.allowance()).unwrap_or(usize::MAX)));
        let urls = places
            .iter()
            .map(|&place| {
                let item = self.item(at, class, place);
                self.queue[item].queued.clone()
            })
            .collect();
        let host = &mut self.hosts[at];
        host.token = (host.token + 1).max(now.0);
        host.leases += 1;
        host.lease = Some(OneLease {
            class,
            end: now.ms_after(Duration::ZERO, term),
            last: places.last().copied().unwrap_or_default(),
            places: places.into_iter().map(|place| (place, true)).collect(),
            handed: None,
            alone: host.suspect,
            node: self.node,
        });
        Lease {
            host: host.host.clone(),
            token: Token(host.token),
            urls,
            delay,
            term,
            robots: host.robots.clone(),
            strikes: host.strikes,
            trapped: Vec::new(),
        }
    }

    fn settle_one(&mut self, settle: &Settle, now: Now) -> Settled {
        let (position, fate, kept, bytes) = match &settle.what {
            Settles::Beside => return Settled::Applied,
            Settles::Robots { origin, record } => {
                let at = self.host(&origin.host);
                let robots = &mut self.hosts[at].robots;
                match robots.iter_mut().find(|(known, _)| known == origin) {
                    Some((_, known)) => *known = (**record).clone(),
                    None => robots.push((origin.clone(), (**record).clone())),
                }
                return Settled::Applied;
            }
            &Settles::Url {
                position,
                fate,
                kept,
                bytes,
                ..
            } => (position, fate, kept, bytes),
        };
        let Some(at) = self.find(&settle.host) else {
            return Settled::Fenced;
        };
        if self.hosts[at].token != settle.token.0 {
            return Settled::Fenced;
        }
        let Some(lease) = &mut self.hosts[at].lease else {
            return Settled::Duplicate;
        };
        let class = lease.class;
        let Some((place, open)) = lease.places.get_mut(position as usize) else {
            return Settled::Fenced;
        };
        let place = *place;
        if !*open {
            let unhanded = lease
                .handed
                .is_some_and(|handed| position as usize >= handed);
            let queued = self.places(at, class).contains(&place);
            return match unhanded && queued {
                true => Settled::Fenced,
                false => Settled::Duplicate,
            };
        }
        *open = false;
        match fate {
            Fate::Return => {}
            Fate::Done => {
                let item = self.item(at, class, place);
                self.queue.remove(item);
                self.done += 1;
                self.kept += u64::from(kept);
                self.bytes += bytes;
            }
            Fate::Retry { tries, rest } => {
                let item = self.item(at, class, place);
                let queued = Queued {
                    tries,
                    ..self.queue.remove(item).queued
                };
                if tries >= self.rules.tries_max {
                    self.give_up(at, queued);
                } else {
                    let wait = politeness::backoff(tries, rest, settle.token, position);
                    let not_before = now.ms_after(Duration::ZERO, wait);
                    self.push(at, RETRY, not_before, queued, now);
                }
            }
        }
        self.close_if_finished(at, now);
        Settled::Applied
    }

    fn close_if_finished(&mut self, at: usize, now: Now) {
        let host = &mut self.hosts[at];
        let finished = |lease: &OneLease| lease.handed.is_some() && lease.open() == 0;
        if let Some(lease) = host.lease.take_if(|lease| finished(lease)) {
            if !lease.places.is_empty() {
                host.failures = 0;
                host.suspect = false;
            }
            host.next_ok = host.next_ok.max(now.ms());
        }
    }

    /// The host with its lease, if the lease is out under this token.
    fn leased(&mut self, host: &Host, token: Token) -> Option<usize> {
        let at = self.find(host)?;
        let known = &self.hosts[at];
        (known.token == token.0 && known.lease.is_some()).then_some(at)
    }

    fn release(&mut self, release: &Release, since_end: Option<Duration>) {
        let now = self.time.now();
        let Some(at) = self.leased(&release.host, release.token) else {
            return;
        };
        let end = now.ms_after(Duration::ZERO, self.rules.lease);
        let host = &mut self.hosts[at];
        let Some(lease) = host.lease.as_mut().filter(|lease| lease.handed.is_none()) else {
            return;
        };
        self.counted
            .retain(|one| !one.is_of(at, release.token, self.node));
        lease.handed = Some(release.handed);
        for (_, open) in lease.places.iter_mut().skip(release.handed) {
            *open = false;
        }
        lease.end = lease.end.max(end);
        let still_open = lease.places.iter().rev().find(|(_, open)| *open);
        lease.last = still_open.map_or(lease.last, |(place, _)| *place);
        if let Some(ago) = since_end {
            let delay = politeness::delay(self.rules.delay, host.learned);
            host.next_ok = host.next_ok.max(now.ms_after(ago, delay));
        }
        self.close_if_finished(at, now);
    }
}

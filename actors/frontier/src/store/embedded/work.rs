//! The verbs of the embedded store, each one commit: the state machine's decisions, turned into rows.
//!
//! Start reading at [`Work::claim`], then [`super::settling`].

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use contract::canonical::Fingerprint;
use contract::clock::millis;
use contract::control::{FrontierStats, GaveUp};
use contract::host::Host;
use contract::lease::Schedule as WantsTime;
use contract::lease::{Claim, Claimed, EnterAddress, Extend, Lease, Queued, Release, Token};
use contract::link::LinkKind;
use serde::{Deserialize, Serialize};

use super::EmbeddedOptions;
use super::disk::{Batch, Counters, Disk, queue_key};
use super::hosts::Hosts;
use crate::config::Rules;
use crate::error::StoreError;
use crate::events;
use crate::politeness;
use crate::store::element::Usual;
use crate::store::machine::host::{HostState, Record};
use crate::store::machine::schedule::{HostId, SUSPECTS, Schedule};
use crate::store::machine::{RETRY, index, retry_due};
use crate::store::recent::Recent;
use crate::store::sieve::Sieve;
use crate::store::time::{Now, StoreTime};
use crate::store::{QueuePlace, QueuedAt, StoredConfig};

/// URLs given up that are told at once.
const TOLD_TOGETHER: usize = 256;

/// Memory and disk of the embedded store.
pub(super) struct Work {
    pub(super) disk: Disk,
    pub(super) counters: Counters,
    pub(super) rules: Rules,
    pub(super) hosts: Hosts,
    pub(super) schedule: Schedule,
    pub(super) recent: Recent,
    pub(super) sieve: Sieve,
    pub(super) time: StoreTime,
    /// Hosts with something queued.
    pub(super) active: u64,
    /// URLs that are leased and neither settled nor given back.
    pub(super) outstanding: u64,
}

/// What one verb changes on disk.
pub(super) struct Change {
    pub(super) batch: Batch,
    pub(super) now: Now,
    /// Fingerprints that become known with this commit.
    pub(super) fresh: HashSet<u64, BuildHasherDefault<AsIs>>,
    /// Exact URLs that become known with this commit, and whether as seeds.
    pub(super) fresh_exact: HashMap<Box<str>, bool>,
    /// Counters differ from what is stored.
    pub(super) counted: bool,
}

/// Fingerprints are hashes already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A URL given up, as stored (version 1).
#[derive(Serialize, Deserialize)]
struct GaveUpRow {
    host: String,
    token: u64,
    url: Box<str>,
    kind: LinkKind,
    depth: u16,
    hops: u8,
    tries: u8,
    via: Option<Box<str>>,
}

pub(super) fn usual(state: &HostState) -> Usual<'_> {
    Usual {
        https: state.record.https,
        host: state.host.as_str(),
        port: state.record.port,
    }
}

fn unreadable(source: contract::codec::CodecError) -> StoreError {
    StoreError::Value {
        what: "queued URL",
        source,
    }
}

impl Work {
    /// The store in memory; reads through the seen set once.
    pub(super) fn new(
        disk: Disk,
        counters: Counters,
        time: StoreTime,
        schedule: Schedule,
        active: u64,
        options: EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let mut sieve = Sieve::with_bytes(options.memory_bytes / 10 * 3, counters.known);
        for fingerprint in disk.seen_from(0) {
            sieve.insert(fingerprint?);
        }
        Ok(Self {
            disk,
            counters,
            rules: options.rules,
            hosts: Hosts::default(),
            schedule,
            recent: Recent::with_bytes(options.memory_bytes / 6),
            sieve,
            time,
            active,
            outstanding: 0,
        })
    }

    pub(super) fn begin(&self) -> Change {
        Change {
            batch: self.disk.batch(),
            now: self.time.now(),
            fresh: HashSet::default(),
            fresh_exact: HashMap::new(),
            counted: false,
        }
    }

    /// Commits a verb's changes; only then are its fingerprints remembered as known.
    pub(super) fn commit(&mut self, mut change: Change) -> Result<(), StoreError> {
        self.hosts.write(&self.disk, &mut change.batch)?;
        if change.batch.is_empty() && !change.counted {
            return Ok(());
        }
        self.counters.time = change.now.0;
        self.disk
            .put_meta(&mut change.batch, "counters", &self.counters)?;
        self.disk.commit(change.batch)?;
        for fingerprint in change.fresh {
            self.sieve.insert(fingerprint);
            self.recent.insert(fingerprint);
        }
        self.hosts.shrink(self.schedule.leases());
        Ok(())
    }

    /// URLs that may be granted now without ever exceeding the limit of kept pages.
    fn allowance(&self) -> u64 {
        let taken = self.counters.kept.saturating_add(self.outstanding);
        self.rules
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(taken))
    }

    pub(super) fn claim(&mut self, claim: Claim) -> Result<Claimed, StoreError> {
        if self.counters.paused {
            return Err(StoreError::Refusing("paused"));
        }
        let mut change = self.begin();
        self.end_leases(&mut change)?;
        let mut claimed = Claimed::default();
        while claimed.leases.len() < claim.hosts && claim.urls_per_host > 0 && self.allowance() > 0
        {
            let Some(entry) = self.schedule.due(change.now.ms()) else {
                break;
            };
            claimed
                .leases
                .extend(self.grant(entry, claim.urls_per_host, &mut change)?);
        }
        if self.allowance() > 0 {
            claimed.next_due = self.until(change.now, self.schedule.next());
        }
        self.commit(change)?;
        events::Claimed {
            leases: claimed.leases.len(),
            urls: claimed.leases.iter().map(|lease| lease.urls.len()).sum(),
        }
        .emit();
        Ok(claimed)
    }

    fn until(&self, now: Now, entry: Option<(u64, HostId)>) -> Option<Duration> {
        entry.map(|(at, _)| Duration::from_micros(at.saturating_mul(1_000).saturating_sub(now.0)))
    }

    /// Leases a due host; none if its domain has its fill, or its record and its queue disagreed.
    fn grant(
        &mut self,
        entry: (u64, HostId),
        urls_most: usize,
        change: &mut Change,
    ) -> Result<Option<Lease>, StoreError> {
        let id = entry.1;
        let now = change.now;
        let allowance = self.allowance();
        let state = self.hosts.get(&self.disk, id)?;
        let domain: Box<str> = state.host.domain().into();
        if !self
            .schedule
            .domain_has_room(&domain, self.rules.domain_leases_max)
        {
            self.schedule.park(entry, &domain);
            return Ok(None);
        }
        let suspect = state.record.suspect;
        if suspect && !self.schedule.domain_has_room(SUSPECTS, Some(1)) {
            self.schedule.park(entry, SUSPECTS);
            return Ok(None);
        }
        let (delay, term) = (state.record.delay(self.rules.delay), self.rules.lease);
        let Some(class) = state.record.choose(now) else {
            self.schedule.moved(
                id,
                Some(entry.0),
                state.scheduled().filter(|&due| due > now.ms()),
            );
            return Ok(None);
        };
        let fit = politeness::urls_per_lease(term, delay, state.record.failures, urls_most);
        let most = fit.min(usize::try_from(allowance).unwrap_or(usize::MAX));
        let (mut places, mut urls, mut beyond) = (Vec::new(), Vec::new(), None);
        let head = state.record.heads[index(class)];
        for element in self.disk.elements(id, class, head) {
            let (place, bytes) = element?;
            if class == RETRY && (retry_due(place) > now.ms() || places.len() == most) {
                beyond = Some(place);
                break;
            }
            urls.push(usual(state).decode(&bytes).map_err(unreadable)?);
            places.push(place);
            if class != RETRY && places.len() == most {
                break;
            }
        }
        if places.is_empty() {
            // Nothing is where the record says something is: believe the queue.
            let state = self.hosts.change(&self.disk, id)?;
            let lost = std::mem::take(&mut state.record.queued[index(class)]);
            self.active -= u64::from(state.record.total() == 0);
            self.counters.queued -= lost;
            change.counted = true;
            let after = state.scheduled();
            self.schedule.moved(id, Some(entry.0), after);
            events::QueueMended { lost }.emit();
            return Ok(None);
        }
        let state = self.hosts.change(&self.disk, id)?;
        let token = state.grant((class, beyond), places, now, term, &domain);
        let end = state.lease.as_ref().map_or(0, |lease| lease.end);
        self.schedule.lease(entry, end, &domain);
        if suspect {
            self.schedule.enter(SUSPECTS);
        }
        self.outstanding += u64::try_from(urls.len()).unwrap_or(u64::MAX);
        let mut robots = Vec::with_capacity(state.record.robots.len());
        for &(https, port) in &state.record.robots {
            if let Some(record) = self.disk.robots(id, (https, port))? {
                let host = state.host.clone();
                robots.push((contract::host::Origin { https, host, port }, record));
            }
        }
        Ok(Some(Lease {
            host: state.host.clone(),
            token,
            urls,
            delay,
            term,
            robots,
        }))
    }

    /// Ends the leases whose time is over; each burns a try of the URL that is to blame.
    fn end_leases(&mut self, change: &mut Change) -> Result<(), StoreError> {
        while let Some((_, id)) = self.schedule.lease_ended(change.now.ms()) {
            let state = self.hosts.change(&self.disk, id)?;
            let token = Token(state.record.token);
            let blamed = state.lease.as_ref().and_then(|lease| {
                let (position, place) = lease.blamed()?;
                Some((position, lease.class, place))
            });
            if let Some((position, class, place)) = blamed
                && self.burn(id, token, (class, place), change)?
            {
                self.removed(id, position, change)?;
            }
            let (now, ours) = (change.now, self.rules.delay);
            let state = self.hosts.change(&self.disk, id)?;
            let lease = state.expire(now, ours);
            self.lease_over(id, lease)?;
            events::LeaseExpired.emit();
        }
        Ok(())
    }

    /// What follows a lease's end, however it ended.
    pub(super) fn lease_over(
        &mut self,
        id: HostId,
        lease: Option<Box<crate::store::machine::lease::Lease>>,
    ) -> Result<(), StoreError> {
        if let Some(lease) = lease {
            self.outstanding -= u64::from(lease.open());
            self.schedule
                .lease_over(id, lease.end, &lease.domain, &lease.addresses);
            if lease.alone {
                self.schedule.suspect_over();
            }
            let due = self.hosts.get(&self.disk, id)?.scheduled();
            self.schedule.moved(id, None, due);
        }
        Ok(())
    }

    /// Burns a try of a queued URL; true if it was its last: then it is given up and off the queue's rows (the
    /// caller sees to the record).
    fn burn(
        &mut self,
        id: HostId,
        token: Token,
        (class, place): (u8, u64),
        change: &mut Change,
    ) -> Result<bool, StoreError> {
        let at = queue_key(id, class, place);
        let mut queued = self.read(id, at)?;
        queued.tries = queued.tries.saturating_add(1);
        if queued.tries >= self.rules.tries_max {
            self.disk.drop_element(&mut change.batch, at);
            self.give_up(id, token, queued, change)?;
            return Ok(true);
        }
        let state = self.hosts.get(&self.disk, id)?;
        let element = usual(state).encode((&queued).into()).map_err(unreadable)?;
        self.disk.put_element(&mut change.batch, at, element);
        Ok(false)
    }

    pub(super) fn read(&mut self, id: HostId, at: [u8; 13]) -> Result<Queued, StoreError> {
        let bytes = self.disk.element(at)?;
        let state = self.hosts.get(&self.disk, id)?;
        usual(state).decode(&bytes).map_err(unreadable)
    }

    /// Writes down that a URL is not tried again.
    pub(super) fn give_up(
        &mut self,
        id: HostId,
        token: Token,
        queued: Queued,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        self.counters.gave_up += 1;
        let host = self.hosts.get(&self.disk, id)?.host.to_string();
        let row = GaveUpRow {
            host,
            token: token.0,
            url: queued.url,
            kind: queued.kind,
            depth: queued.depth,
            hops: queued.hops,
            tries: queued.tries,
            via: queued.via,
        };
        self.disk
            .put_gave_up(&mut change.batch, self.counters.gave_up, &row)?;
        events::GaveUp {
            host: &row.host,
            url: &row.url,
        }
        .emit();
        self.settled_for_good(id, change)
    }

    pub(super) fn settled_for_good(
        &mut self,
        id: HostId,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        self.counters.done += 1;
        change.counted = true;
        self.hosts.change(&self.disk, id)?.record.done += 1;
        Ok(())
    }

    /// The URL at this position has left the queue: counts follow.
    pub(super) fn removed(
        &mut self,
        id: HostId,
        position: u32,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let state = self.hosts.change(&self.disk, id)?;
        state.remove(position);
        self.active -= u64::from(state.record.total() == 0);
        self.outstanding -= 1;
        self.counters.queued -= 1;
        change.counted = true;
        Ok(())
    }

    /// Takes back leases whose process is gone. Where it was the only one, or the only suspect's, its head is blamed;
    /// of several, most are innocent: they become suspects, which are leased one at a time (docs/adr/0006).
    pub(super) fn take_back(&mut self, hosts: &[HostId], only: bool) -> Result<(), StoreError> {
        let mut change = self.begin();
        let ours = self.rules.delay;
        for &id in hosts {
            let state = self.hosts.change(&self.disk, id)?;
            let before = state.scheduled();
            let token = Token(state.record.token);
            let Some(out) = state.record.out else {
                continue;
            };
            let at = index(out.class);
            let head = state.record.heads[at];
            let first = self.disk.elements(id, out.class, head).next().transpose()?;
            let is_blamed = out.alone || only;
            let blamed = first.filter(|(place, _)| is_blamed && *place <= out.last);
            if let Some((place, _)) = blamed
                && self.burn(id, token, (out.class, place), &mut change)?
            {
                let next = self.disk.elements(id, out.class, place + 1).next();
                let next = next.transpose()?.map_or(place + 1, |(place, _)| place);
                let state = self.hosts.change(&self.disk, id)?;
                state.record.queued[at] -= 1;
                state.record.heads[at] = next;
                self.active -= u64::from(state.record.total() == 0);
                self.counters.queued -= 1;
            }
            let state = self.hosts.change(&self.disk, id)?;
            state.record.fence(change.now, ours);
            state.record.suspect = true;
            let after = state.scheduled();
            self.schedule.moved(id, before, after);
        }
        self.commit(change)
    }

    pub(super) fn extend(&mut self, extend: &Extend) -> Result<Option<Duration>, StoreError> {
        let now = self.time.now();
        let term = self.rules.lease;
        let Some(id) = self.hosts.find(&self.disk, &extend.host)? else {
            return Ok(None);
        };
        let state = self.hosts.get(&self.disk, id)?;
        let Some(lease) = state.lease_of(extend.token) else {
            return Ok(None);
        };
        if lease.released() || lease.end <= now.ms() {
            return Ok(None);
        }
        let before = lease.end;
        lease.end = now.ms_after(Duration::ZERO, term).max(before);
        let after = lease.end;
        self.schedule.lease_moved(id, before, after);
        Ok(Some(term))
    }

    pub(super) fn release(
        &mut self,
        release: &Release,
        since_end: Option<Duration>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin();
        let Some(id) = self.hosts.find(&self.disk, &release.host)? else {
            return Ok(());
        };
        let (ours, ring, now) = (self.rules.delay, self.rules.ring, change.now);
        let state = self.hosts.get(&self.disk, id)?;
        let delay = state.record.delay(ours);
        let Some(lease) = state.lease_of(release.token).filter(|l| !l.released()) else {
            return Ok(());
        };
        let before = lease.end;
        let rested = since_end.map(|ago| now.ms_after(ago, delay));
        let state = self.hosts.change(&self.disk, id)?;
        let back = state.release(release.handed, rested, now.ms_after(Duration::ZERO, ring));
        self.outstanding -= u64::from(back);
        let after = state.lease.as_ref().map_or(before, |lease| lease.end);
        self.schedule.lease_moved(id, before, after);
        self.close_if_finished(id, &mut change)?;
        self.commit(change)
    }

    /// Ends a lease for which nothing is waited any more.
    pub(super) fn close_if_finished(
        &mut self,
        id: HostId,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let now = change.now;
        let state = self.hosts.get(&self.disk, id)?;
        if !state.lease.as_ref().is_some_and(|lease| lease.finished()) {
            return Ok(());
        }
        let state = self.hosts.change(&self.disk, id)?;
        let lease = state.close(now);
        self.lease_over(id, lease)
    }

    pub(super) fn schedule(&mut self, wants: &WantsTime) -> Result<(), StoreError> {
        let change = self.begin();
        let Some(id) = self.hosts.find(&self.disk, &wants.host)? else {
            return Ok(());
        };
        let state = self.hosts.change(&self.disk, id)?;
        let before = state.scheduled();
        if let Some(delay) = wants.delay {
            state.record.learned_ms = millis(delay);
        }
        if let Some(rest) = wants.rest {
            let rested = change.now.ms_after(Duration::ZERO, rest);
            state.record.next_ok = state.record.next_ok.max(rested);
        }
        let after = state.scheduled();
        self.schedule.moved(id, before, after);
        self.commit(change)
    }

    pub(super) fn enter_address(&mut self, enter: &EnterAddress) -> Result<bool, StoreError> {
        let Some(id) = self.hosts.find(&self.disk, &enter.host)? else {
            return Ok(false);
        };
        let state = self.hosts.get(&self.disk, id)?;
        let Some(lease) = state.lease_of(enter.token) else {
            return Ok(false);
        };
        if lease.addresses.contains(&enter.address) {
            return Ok(true);
        }
        let entered = self
            .schedule
            .enter_address(enter.address, self.rules.address_leases_max);
        if entered {
            lease.addresses.push(enter.address);
        }
        Ok(entered)
    }

    pub(super) fn set_paused(&mut self, paused: bool) -> Result<(), StoreError> {
        let mut change = self.begin();
        self.counters.paused = paused;
        change.counted = true;
        self.commit(change)
    }

    pub(super) fn stats(&mut self) -> Result<FrontierStats, StoreError> {
        let now = self.time.now();
        let next = match self.schedule.next() {
            Some(entry @ (_, id)) => {
                let host = self.hosts.get(&self.disk, id)?.host.to_string();
                self.until(now, Some(entry)).map(|until| (host, until))
            }
            None => None,
        };
        let stats = FrontierStats {
            known: self.counters.known,
            queued: self.counters.queued,
            done: self.counters.done,
            kept: self.counters.kept,
            bytes: self.counters.bytes,
            leases: u64::try_from(self.schedule.leases()).unwrap_or(u64::MAX),
            hosts_active: self.active,
            hosts_waiting: u64::try_from(self.schedule.not_due(now.ms())).unwrap_or(u64::MAX),
            next,
            paused: self.counters.paused,
            ran: Duration::from_millis(self.counters.ran_ms),
            limit_reached: self
                .rules
                .limit
                .is_some_and(|most| self.counters.kept >= most),
        };
        events::Stands { stats: &stats }.emit();
        Ok(stats)
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        if self.counters.paused {
            return None;
        }
        let waiting = self.schedule.next().filter(|_| self.allowance() > 0);
        let entry = waiting.into_iter().chain(self.schedule.first_end()).min();
        self.until(self.time.now(), entry)
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.disk.flush()
    }

    pub(super) fn gave_up(&mut self, told: u64) -> Result<Vec<GaveUp>, StoreError> {
        let mut change = self.begin();
        let mut given = Vec::new();
        for row in self.disk.all_gave_up::<GaveUpRow>() {
            let (number, row) = row?;
            if number <= told {
                self.disk.drop_gave_up(&mut change.batch, number);
                continue;
            }
            given.push(GaveUp {
                number,
                host: Host::from_stored(&row.host),
                token: Token(row.token),
                queued: Queued {
                    url: row.url,
                    kind: row.kind,
                    depth: row.depth,
                    hops: row.hops,
                    tries: row.tries,
                    via: row.via,
                },
            });
            if given.len() == TOLD_TOGETHER {
                break;
            }
        }
        self.commit(change)?;
        Ok(given)
    }

    pub(super) fn add_running_time(&mut self, more: Duration) -> Result<Duration, StoreError> {
        let mut change = self.begin();
        self.counters.ran_ms = self.counters.ran_ms.saturating_add(millis(more));
        change.counted = true;
        let whole = Duration::from_millis(self.counters.ran_ms);
        self.commit(change)?;
        Ok(whole)
    }

    pub(super) fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        let found: Option<(u64, Vec<u8>)> = self.disk.meta("config")?;
        Ok(found.map(|(version, bytes)| StoredConfig { version, bytes }))
    }

    pub(super) fn set_config(&mut self, bytes: &[u8]) -> Result<u64, StoreError> {
        let mut change = self.begin();
        let known = self.config()?;
        if let Some(known) = &known
            && known.bytes == bytes
        {
            return Ok(known.version);
        }
        let version = known.map_or(0, |known| known.version) + 1;
        self.disk
            .put_meta(&mut change.batch, "config", &(version, bytes))?;
        self.commit(change)?;
        Ok(version)
    }

    pub(super) fn known_after(
        &self,
        after: Option<Fingerprint>,
        most: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let from = match after {
            None => 0,
            Some(Fingerprint(u64::MAX)) => return Ok(Vec::new()),
            Some(Fingerprint(last)) => last + 1,
        };
        let known = self.disk.seen_from(from).take(most);
        known.map(|found| found.map(Fingerprint)).collect()
    }

    pub(super) fn queued_after(
        &mut self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        let from = after.map_or([0; 13], |at| {
            queue_key(at.host, at.class, at.place.saturating_add(1))
        });
        let mut found = Vec::new();
        for element in self.disk.queue_from(from).take(most) {
            let ((host, class, place), bytes) = element?;
            let state = self.hosts.get(&self.disk, host)?;
            found.push(QueuedAt {
                at: QueuePlace { host, class, place },
                host: state.host.clone(),
                queued: usual(state).decode(&bytes).map_err(unreadable)?,
            });
        }
        Ok(found)
    }

    /// A host's number, given to it if it is new; what is usual for it follows the URL.
    pub(super) fn host_id(
        &mut self,
        host: &Host,
        url: &str,
        change: &mut Change,
    ) -> Result<HostId, StoreError> {
        if let Some(id) = self.hosts.find(&self.disk, host)? {
            return Ok(id);
        }
        let id = self.counters.hosts;
        self.counters.hosts = id.checked_add(1).ok_or(StoreError::Missing {
            what: "number for one more host",
        })?;
        change.counted = true;
        let usual = Usual::of(url, host.as_str());
        let record = Record {
            https: usual.https,
            port: usual.port,
            ..Record::default()
        };
        self.hosts.insert(id, host, record);
        self.hosts.change(&self.disk, id)?;
        self.disk.name_host(&mut change.batch, host.as_str(), id);
        Ok(id)
    }
}

//! The verbs of the embedded store, each one commit: the state machine's decisions, turned into rows.
//!
//! Owns what a verb needs of memory and disk, and its commit. Start reading at [`Work::claim`], then
//! [`super::settling`] (links in, pages out), [`super::leases`] (how they end) and [`super::asked`].

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use contract::host::Host;
use contract::lease::{Claim, Claimed, Lease, Queued};

use super::EmbeddedOptions;
use super::disk::{Batch, Counters, Disk, queue_key};
use super::hosts::Hosts;
use super::moving::MASK;
use super::row::RowMade;
use super::seen::{AsIs, Seen};
use crate::config::Rules;
use crate::error::StoreError;
use crate::events;
use crate::politeness;
use crate::store::element::Usual;
use crate::store::machine::gone::Span;
use crate::store::machine::host::{HostState, Record};
use crate::store::machine::schedule::{HostId, SUSPECTS, Schedule};
use crate::store::machine::{RETRY, index, retry_due};
use crate::store::recent::Recent;
use crate::store::time::{Now, StoreTime};

/// Number and count of each run of the seen set.
pub(super) const RUNS: &str = "runs";

/// Memory and disk of the embedded store.
pub(super) struct Work {
    pub(super) disk: Disk,
    pub(super) counters: Counters,
    pub(super) rules: Rules,
    pub(super) hosts: Hosts,
    pub(super) schedule: Schedule,
    pub(super) recent: Recent,
    pub(super) seen: Seen,
    pub(super) time: StoreTime,
    /// Hosts with something queued.
    pub(super) active: u64,
    /// URLs that are leased and neither settled nor given back.
    pub(super) outstanding: u64,
    /// The bits of a fingerprint that are kept: all, unless the crawl came from a store that keeps fewer.
    pub(super) mask: u64,
}

/// What one verb changes on disk.
pub(super) struct Change {
    pub(super) batch: Batch,
    pub(super) now: Now,
    /// Fingerprints that become known with this commit.
    pub(super) fresh: HashSet<u64, BuildHasherDefault<AsIs>>,
    /// Exact URLs that become known with this commit, and whether as seeds.
    pub(super) fresh_exact: HashMap<Box<str>, bool>,
    /// Rows that are being filled with what is queued by this commit.
    pub(super) pushed: HashMap<(HostId, u8), RowMade>,
    /// Counters differ from what is stored.
    pub(super) counted: bool,
}

pub(super) fn usual(state: &HostState) -> Usual<'_> {
    Usual {
        https: state.record.https,
        host: state.host.as_str(),
        port: state.record.port,
    }
}

pub(super) fn unreadable(source: contract::codec::CodecError) -> StoreError {
    StoreError::Value {
        what: "queued URL",
        source,
    }
}
impl Work {
    /// The store in memory.
    pub(super) fn new(
        (disk, seen): (Disk, Seen),
        counters: Counters,
        time: StoreTime,
        schedule: Schedule,
        active: u64,
        options: EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let mask = disk.meta(MASK)?.unwrap_or(u64::MAX);
        Ok(Self {
            disk,
            counters,
            rules: options.rules,
            hosts: Hosts::default(),
            schedule,
            recent: Recent::with_bytes(options.memory_bytes / 6),
            seen,
            time,
            active,
            outstanding: 0,
            mask,
        })
    }

    pub(super) fn begin(&self) -> Change {
        Change {
            batch: self.disk.batch(),
            now: self.time.now(),
            fresh: HashSet::default(),
            fresh_exact: HashMap::new(),
            pushed: HashMap::new(),
            counted: false,
        }
    }

    /// Commits a verb's changes; only then are its fingerprints remembered as known.
    pub(super) fn commit(&mut self, mut change: Change) -> Result<(), StoreError> {
        self.hosts.write(&self.disk, &mut change.batch)?;
        for ((id, class), row) in change.pushed.drain() {
            let at = queue_key(id, class, row.first());
            self.disk.put_row(&mut change.batch, at, row.finish());
        }
        if change.batch.is_empty() && change.fresh.is_empty() && !change.counted {
            return Ok(());
        }
        self.counters.time = change.now.0;
        self.disk
            .put_meta(&mut change.batch, "counters", &self.counters)?;
        if !change.fresh.is_empty() {
            let fresh = change.fresh.iter().copied();
            self.disk
                .log_fresh(&mut change.batch, self.seen.entry(), fresh);
        }
        self.disk.commit(change.batch)?;
        self.hosts.shrink(self.schedule.leases());
        if change.fresh.is_empty() {
            return Ok(());
        }
        for &fingerprint in &change.fresh {
            self.recent.insert(fingerprint);
        }
        self.seen.remember(change.fresh.into_iter());
        self.list_runs()
    }

    /// Lists the runs that the seen set has made meanwhile.
    fn list_runs(&mut self) -> Result<(), StoreError> {
        while let Some(made) = self.seen.made()? {
            let mut batch = self.disk.batch();
            self.disk.put_meta(&mut batch, RUNS, &made.listing)?;
            if let Some(until) = made.log_until {
                self.disk.drop_fresh(&mut batch, until)?;
            }
            self.disk.commit(batch)?;
            // A power loss must not bring back a list whose files are gone.
            self.disk.flush()?;
            self.seen.take(made)?;
        }
        Ok(())
    }

    /// URLs that may be granted now without ever exceeding the limit of kept pages.
    pub(super) fn allowance(&self) -> u64 {
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
            let Some(entry) = self.schedule.due(change.now.ms(), claim.taker) else {
                break;
            };
            claimed
                .leases
                .extend(self.grant(entry, claim.urls_per_host, &mut change)?);
        }
        let turn = self.schedule.next_for(claim.taker);
        let turn = turn.filter(|_| self.allowance() > 0);
        let end = self.schedule.first_end().map(|(end, _)| end);
        let next = turn.into_iter().chain(end).min();
        claimed.next_due = next.map(|at| Self::until(change.now, at));
        self.commit(change)?;
        events::Claimed {
            leases: claimed.leases.len(),
            urls: claimed.leases.iter().map(|lease| lease.urls.len()).sum(),
        }
        .emit();
        Ok(claimed)
    }

    /// From now to a time in ms.
    pub(super) fn until(now: Now, at: u64) -> Duration {
        Duration::from_micros(at.saturating_mul(1_000).saturating_sub(now.0))
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
        let (mut places, mut urls, mut rows, mut beyond) =
            (Vec::new(), Vec::new(), Vec::new(), None);
        let head = state.record.heads[index(class)];
        for row in self.disk.rows(id, class, head) {
            let row = row?;
            if class == RETRY && (retry_due(row.first) > now.ms() || places.len() == most) {
                beyond = Some(row.first);
                break;
            }
            for element in row.elements() {
                let (place, element) = element?;
                if places.len() < most && state.record.is_left(class, place) {
                    urls.push(usual(state).decode(element).map_err(unreadable)?);
                    places.push(place);
                }
            }
            rows.push(row.span());
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
        if let Some(lease) = &mut state.lease {
            lease.rows = rows;
        }
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
            strikes: state.record.beside.strikes,
            trapped: Vec::new(),
        }))
    }

    /// The URL at a place of a class, in this row.
    pub(super) fn read(
        &mut self,
        id: HostId,
        (class, row, place): (u8, Span, u64),
    ) -> Result<Queued, StoreError> {
        let row = self.disk.row(id, class, row.first)?;
        let state = self.hosts.get(&self.disk, id)?;
        let element = row.element(place)?;
        usual(state).decode(element).map_err(unreadable)
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

    /// The URL at this position has left the queue: counts follow, and its row if it was the last of it.
    pub(super) fn removed(
        &mut self,
        id: HostId,
        position: u32,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let state = self.hosts.change(&self.disk, id)?;
        let row = state.remove(position);
        self.active -= u64::from(state.record.total() == 0);
        self.outstanding -= 1;
        self.counters.queued -= 1;
        change.counted = true;
        if let Some((class, first)) = row {
            let at = queue_key(id, class, first);
            self.disk.drop_row(&mut change.batch, at);
        }
        Ok(())
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

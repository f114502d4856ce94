//! How leases end: released, run out, or left by a process that is gone; and what a host may ask for meanwhile.
//!
//! Invariant: whatever ends a lease, its host rests one delay, and what was not settled is still in its queue. Start
//! reading at [`Work::release`]; [`Work::take_back`] is the restart's.

use std::time::Duration;

use contract::clock::millis;
use contract::control::GaveUp;
use contract::host::Host;
use contract::lease::Schedule as WantsTime;
use contract::lease::{EnterAddress, Extend, Queued, Release, Token};
use contract::link::LinkKind;
use serde::{Deserialize, Serialize};

use super::disk::queue_key;
use super::work::{Change, Work, unreadable, usual};
use crate::error::StoreError;
use crate::events;
use crate::store::machine::gone::Span;
use crate::store::machine::index;
use crate::store::machine::lease::Lease;
use crate::store::machine::schedule::HostId;

/// URLs given up that are told at once.
const TOLD_TOGETHER: usize = 256;

/// A URL given up, as stored (version 1).
#[derive(Serialize, Deserialize)]
pub(super) struct GaveUpRow {
    pub(super) host: String,
    pub(super) token: u64,
    pub(super) url: Box<str>,
    pub(super) kind: LinkKind,
    pub(super) depth: u16,
    pub(super) hops: u8,
    pub(super) tries: u8,
    pub(super) via: Option<Box<str>>,
}

impl Work {
    /// Ends the leases whose time is over. What became of the holder is not known: a host that loses its second lease in a
    /// row becomes a suspect, which is leased alone; the head of such a lease is to blame, and burns a try (docs/adr/0006).
    pub(super) fn end_leases(&mut self, change: &mut Change) -> Result<(), StoreError> {
        while let Some((_, id)) = self.schedule.lease_ended(change.now.ms()) {
            let state = self.hosts.change(&self.disk, id)?;
            let token = Token(state.record.token);
            let alone = state.lease.as_ref().filter(|lease| lease.alone);
            let blamed = alone.and_then(|lease| {
                let (position, place) = lease.blamed()?;
                Some((position, (lease.class, lease.row(place), place)))
            });
            if let Some((position, at)) = blamed
                && self.burn(id, token, at, change)?
            {
                self.removed(id, position, change)?;
            }
            let (now, ours) = (change.now, self.rules.delay);
            let state = self.hosts.change(&self.disk, id)?;
            let lease = state.expire(now, ours);
            if blamed.is_some() {
                state.record.rest_blamed(now);
            }
            self.lease_over(id, lease)?;
            events::LeaseExpired.emit();
        }
        Ok(())
    }

    /// What follows a lease's end, however it ended.
    pub(super) fn lease_over(
        &mut self,
        id: HostId,
        lease: Option<Box<Lease>>,
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

    /// Burns a try of a queued URL; true if it was its last: then it is given up, and the caller takes it off its queue.
    fn burn(
        &mut self,
        id: HostId,
        token: Token,
        at @ (class, row, place): (u8, Span, u64),
        change: &mut Change,
    ) -> Result<bool, StoreError> {
        let mut queued = self.read(id, at)?;
        queued.tries = queued.tries.saturating_add(1);
        if queued.tries >= self.rules.tries_max {
            self.give_up(id, token, queued, change)?;
            return Ok(true);
        }
        let state = self.hosts.get(&self.disk, id)?;
        let element = usual(state).encode((&queued).into()).map_err(unreadable)?;
        let changed = self.disk.row(id, class, row.first)?.with(place, &element)?;
        let at = queue_key(id, class, row.first);
        self.disk.put_row(&mut change.batch, at, changed);
        Ok(false)
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

    pub(super) fn gave_up(&mut self, told: &[u64]) -> Result<Vec<GaveUp>, StoreError> {
        let mut change = self.begin();
        let mut given = Vec::new();
        for row in self.disk.all_gave_up::<GaveUpRow>() {
            let (number, row) = row?;
            if told.contains(&number) {
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
                    earlier: None,
                },
            });
            if given.len() == TOLD_TOGETHER {
                break;
            }
        }
        self.commit(change)?;
        Ok(given)
    }

    /// Takes back leases whose process is gone. Where it was the only one, or the only suspect's, its head is blamed;
    /// of several, most are innocent: those hit twice in a row become suspects, which are leased one at a time
    /// (docs/adr/0006).
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
            let first = self.first_left(id, out.class, head)?;
            let is_blamed = out.alone || only;
            let blamed = first.filter(|&(place, _)| is_blamed && place <= out.last);
            if let Some((place, row)) = blamed
                && self.burn(id, token, (out.class, row, place), &mut change)?
            {
                let next = self.first_left(id, out.class, place + 1)?;
                let next = next.map_or(place + 1, |(place, _)| place);
                let state = self.hosts.change(&self.disk, id)?;
                if state.record.left(out.class, place, next, row) {
                    let at = queue_key(id, out.class, row.first);
                    self.disk.drop_row(&mut change.batch, at);
                }
                self.active -= u64::from(state.record.total() == 0);
                self.counters.queued -= 1;
            }
            let state = self.hosts.change(&self.disk, id)?;
            state.record.fence(change.now, ours);
            if blamed.is_some() {
                state.record.rest_blamed(change.now);
            }
            let after = state.scheduled();
            self.schedule.moved(id, before, after);
        }
        self.commit(change)
    }

    /// The first URL that is left in a class from this place on, and its row.
    fn first_left(
        &mut self,
        id: HostId,
        class: u8,
        from: u64,
    ) -> Result<Option<(u64, Span)>, StoreError> {
        let state = self.hosts.get(&self.disk, id)?;
        for row in self.disk.rows(id, class, from) {
            let row = row?.span();
            let mut places = row.first.max(from)..row.end();
            if let Some(place) = places.find(|&place| state.record.is_left(class, place)) {
                return Ok(Some((place, row)));
            }
        }
        Ok(None)
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
        let (ours, term, now) = (self.rules.delay, self.rules.lease, change.now);
        let state = self.hosts.get(&self.disk, id)?;
        let delay = state.record.delay(ours);
        let Some(lease) = state.lease_of(release.token).filter(|l| !l.released()) else {
            return Ok(());
        };
        let before = lease.end;
        let rested = since_end.map(|ago| now.ms_after(ago, delay));
        let state = self.hosts.change(&self.disk, id)?;
        let back = state.release(release.handed, rested, now.ms_after(Duration::ZERO, term));
        self.outstanding -= u64::from(back);
        let after = state.lease.as_ref().map_or(before, |lease| lease.end);
        // No request is sent under it any more.
        let addresses = state
            .lease
            .as_mut()
            .map(|lease| std::mem::take(&mut lease.addresses));
        self.schedule
            .leave_addresses(&addresses.unwrap_or_default());
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
        if let Some(strikes) = wants.strikes {
            state.record.beside.strikes = strikes;
        }
        let after = state.scheduled();
        self.schedule.moved(id, before, after);
        self.commit(change)
    }

    pub(super) fn enter_address(&mut self, enter: &EnterAddress) -> Result<bool, StoreError> {
        let mut change = self.begin();
        self.end_leases(&mut change)?;
        self.commit(change)?;
        let Some(id) = self.hosts.find(&self.disk, &enter.host)? else {
            return Ok(false);
        };
        let state = self.hosts.get(&self.disk, id)?;
        let lease = state.lease_of(enter.token);
        let Some(lease) = lease.filter(|lease| !lease.released()) else {
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
}

//! What the store is asked about itself, and told for good: figures, orders, configuration, contents.

use std::time::Duration;

use contract::canonical::Fingerprint;
use contract::clock::millis;
use contract::control::FrontierStats;
use contract::host::Host;
use contract::lease::Token;

use super::disk::queue_key;
use super::work::{Work, unreadable, usual};
use crate::error::StoreError;
use crate::store::machine::{RETRY, retry_due};
use crate::store::{QueuePlace, QueuedAt, StoredConfig};

/// The first key after this one; none if it is no key of the queue.
fn after_key(key: &[u8]) -> Option<[u8; 13]> {
    let mut key: [u8; 13] = key.try_into().ok()?;
    for byte in key.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(key);
        }
    }
    None
}

impl Work {
    pub(super) fn set_paused(&mut self, paused: bool) -> Result<(), StoreError> {
        let mut change = self.begin();
        self.counters.paused = paused;
        change.counted = true;
        self.commit(change)
    }

    pub(super) fn stats(&mut self) -> Result<FrontierStats, StoreError> {
        let now = self.time.now();
        let next = match self.schedule.next() {
            Some((at, id)) => {
                let host = self.hosts.get(&self.disk, id)?.host.to_string();
                Some((host, Self::until(now, at)))
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
        Ok(stats)
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        if self.counters.paused {
            return None;
        }
        let waiting = self.schedule.next().filter(|_| self.allowance() > 0);
        let entry = waiting.into_iter().chain(self.schedule.first_end()).min();
        entry.map(|(at, _)| Self::until(self.time.now(), at))
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.disk.flush()
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

    pub(super) fn last_token(&mut self, host: &Host) -> Result<Option<Token>, StoreError> {
        let Some(id) = self.hosts.find(&self.disk, host)? else {
            return Ok(None);
        };
        let state = self.hosts.get(&self.disk, id)?;
        Ok(Some(Token(state.record.token)))
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
        let known = self.seen.from(from).take(most);
        known.map(|found| found.map(Fingerprint)).collect()
    }

    pub(super) fn queued_after(
        &mut self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        let from = match after {
            None => [0; 13],
            Some(QueuePlace(at)) => after_key(&at).ok_or(StoreError::Missing {
                what: "place of a reading",
            })?,
        };
        self.queued_from(from, most)
    }

    /// What is queued from a key on, so many at most.
    pub(super) fn queued_from(
        &mut self,
        from: [u8; 13],
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        let mut found = Vec::new();
        for row in self.disk.queue_from(from) {
            let (host, class, row) = row?;
            let state = self.hosts.get(&self.disk, host)?;
            for element in row.elements() {
                let (place, element) = element?;
                let at = queue_key(host, class, place);
                if at < from || !state.record.is_left(class, place) {
                    continue;
                }
                if found.len() == most {
                    return Ok(found);
                }
                found.push(QueuedAt {
                    at: QueuePlace(at.into()),
                    host: state.host.clone(),
                    class,
                    not_before: if class == RETRY { retry_due(place) } else { 0 },
                    queued: usual(state).decode(element).map_err(unreadable)?,
                });
            }
        }
        Ok(found)
    }
}

//! Settled URLs come back: looked for in their hosts' queues first, then queued as if they had never been done.
//!
//! Owns the verb and its commit. It does not know which URLs are settled: the caller does, from the ledger; those that are
//! queued or leased it finds itself, because leased URLs stay in their queue until they are settled. Invariant: a URL is
//! in its host's queue at most once for however many orders. Start at [`Work::reopen`].

use std::collections::{HashMap, HashSet};

use contract::earlier::{Again, Reopened};
use contract::host::Host;

use super::work::{Change, Work, unreadable, usual};
use crate::error::StoreError;
use crate::events;
use crate::store::element::QueuedRef;
use crate::store::machine::{CLASSES, index};

impl Work {
    pub(super) fn reopen(&mut self, all: &[Again]) -> Result<Reopened, StoreError> {
        let mut change = self.begin();
        let mut wanted: HashMap<&Host, HashSet<&str>> = HashMap::new();
        for again in all {
            let urls = wanted.entry(&again.link.host).or_default();
            urls.insert(&again.link.url);
        }
        let mut waiting: HashSet<Box<str>> = HashSet::new();
        for (host, urls) in wanted {
            self.find_queued(host, &urls, &mut waiting)?;
        }
        let mut reopened = Reopened::default();
        for again in all {
            if waiting.insert(again.link.url.clone()) {
                self.reopen_one(again, &mut change)?;
                reopened.queued += 1;
            } else {
                reopened.waiting += 1;
            }
        }
        self.commit(change)?;
        events::Reopened { reopened }.emit();
        Ok(reopened)
    }

    /// Those of these URLs that are in the host's queue.
    fn find_queued(
        &mut self,
        host: &Host,
        urls: &HashSet<&str>,
        found: &mut HashSet<Box<str>>,
    ) -> Result<(), StoreError> {
        let Some(id) = self.hosts.find(&self.disk, host)? else {
            return Ok(());
        };
        let state = self.hosts.get(&self.disk, id)?;
        for class in 0..u8::try_from(CLASSES).unwrap_or(u8::MAX) {
            let at = index(class);
            if state.record.queued[at] == 0 {
                continue;
            }
            for row in self.disk.rows(id, class, state.record.heads[at]) {
                let row = row?;
                for element in row.elements() {
                    let (place, element) = element?;
                    if !state.record.is_left(class, place) {
                        continue;
                    }
                    let queued = usual(state).decode(element).map_err(unreadable)?;
                    if urls.contains(&*queued.url) {
                        found.insert(queued.url);
                    }
                }
            }
        }
        Ok(())
    }

    fn reopen_one(&mut self, again: &Again, change: &mut Change) -> Result<(), StoreError> {
        let link = &again.link;
        let fingerprint = link.fingerprint.0 & self.mask;
        let id = self.host_id(&link.host, &link.url, change)?;
        let is_known = self.is_known(fingerprint, change)?;
        let state = self.hosts.change(&self.disk, id)?;
        state.record.beside.strikes.unreached = 0;
        if is_known {
            state.record.done = state.record.done.saturating_sub(1);
            self.counters.done = self.counters.done.saturating_sub(1);
            let kept = u64::from(again.was_kept);
            self.counters.kept = self.counters.kept.saturating_sub(kept);
        } else {
            change.fresh.insert(fingerprint);
            self.counters.known += 1;
        }
        let queued = QueuedRef::of(link, again.via.as_deref(), again.earlier.as_deref());
        self.push(id, again.class(), 0, queued, change)
    }
}

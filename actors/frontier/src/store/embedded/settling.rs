//! Links in, pages out: the verbs that fill and empty the queues.
//!
//! Invariant (F5): a URL becomes known and is queued in one commit; a page's links go in before the page is
//! settled, in the same commit. Start reading at [`Work::settle`].

use contract::admit::{Admit, Admitted};
use contract::lease::Token;
use contract::link::{Link, LinkKind};
use contract::page::Fate;
use contract::settle::{Settle, Settled, Settles};

use super::disk::queue_key;
use super::row::RowMade;
use super::work::{Change, Work, usual};
use crate::error::StoreError;
use crate::events;
use crate::politeness;
use crate::store::Taken;
use crate::store::element::QueuedRef;
use crate::store::machine::RETRY;
use crate::store::machine::gone::Span;
use crate::store::machine::lease::Step;
use crate::store::machine::schedule::HostId;

impl Work {
    pub(super) fn admit(&mut self, admit: &Admit) -> Result<Admitted, StoreError> {
        let mut change = self.begin();
        let mut admitted = Admitted::default();
        for link in &admit.links {
            self.link(link, &admit.via, admit.force, &mut admitted, &mut change)?;
        }
        self.commit(change)?;
        events::LinksTaken { admitted }.emit();
        Ok(admitted)
    }

    pub(super) fn settle(&mut self, settles: &[Settle]) -> Result<Taken, StoreError> {
        let mut change = self.begin();
        let mut taken = Taken::default();
        for settle in settles {
            for link in &settle.links {
                self.link(link, &settle.via, false, &mut taken.links, &mut change)?;
            }
            taken.answers.push(self.settle_one(settle, &mut change)?);
        }
        self.commit(change)?;
        events::PagesSettled { taken: &taken }.emit();
        Ok(taken)
    }

    /// Makes a link known and queues it, unless it is known.
    fn link(
        &mut self,
        link: &Link,
        via: &str,
        force: bool,
        admitted: &mut Admitted,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let fingerprint = link.fingerprint.0 & self.mask;
        let known_exactly = (force || link.kind == LinkKind::Seed)
            && self.is_known_exactly(&link.url, link.kind, change)?;
        let known = if force {
            known_exactly
        } else {
            self.is_known(fingerprint, change)?
        };
        if known {
            admitted.known += 1;
            return Ok(());
        }
        admitted.new += 1;
        let id = self.host_id(&link.host, &link.url, change)?;
        change.fresh.insert(fingerprint);
        self.counters.known += 1;
        let queued = QueuedRef::of(link, Some(via), None);
        self.push(id, link.kind.class(), 0, queued, change)
    }

    /// By fingerprint: the cache, this commit, the seen set.
    pub(super) fn is_known(
        &mut self,
        fingerprint: u64,
        change: &Change,
    ) -> Result<bool, StoreError> {
        if self.recent.contains(fingerprint) || change.fresh.contains(&fingerprint) {
            return Ok(true);
        }
        let known = self.seen.contains(fingerprint)?;
        if known {
            self.recent.insert(fingerprint);
        }
        Ok(known)
    }

    /// By spelling, and remembers it: seeds and forced URLs do not depend on a hash, and a seed admitted again
    /// at each start is queued once.
    fn is_known_exactly(
        &mut self,
        url: &str,
        kind: LinkKind,
        change: &mut Change,
    ) -> Result<bool, StoreError> {
        let seed = kind == LinkKind::Seed;
        let stored = match change.fresh_exact.get(url) {
            Some(fresh) => Some(*fresh),
            None => self.disk.exact(url)?,
        };
        let known = stored.is_some();
        if !known || (seed && stored == Some(false)) {
            self.disk.put_exact(&mut change.batch, url, seed);
            change.fresh_exact.insert(url.into(), seed);
        }
        Ok(known)
    }

    /// Queues a URL.
    pub(super) fn push(
        &mut self,
        id: HostId,
        class: u8,
        not_before: u64,
        queued: QueuedRef<'_>,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let state = self.hosts.change(&self.disk, id)?;
        let before = state.scheduled();
        self.active += u64::from(state.record.total() == 0);
        let place = state.push(class, not_before, change.now);
        let element = usual(state)
            .encode(queued)
            .map_err(|source| StoreError::Value {
                what: "queued URL",
                source,
            })?;
        let after = state.scheduled();
        self.schedule.moved(id, before, after);
        self.counters.queued += 1;
        change.counted = true;
        if class == RETRY {
            let at = queue_key(id, class, place);
            self.disk.put_row(&mut change.batch, at, element);
            return Ok(());
        }
        let row = change.pushed.entry((id, class));
        let row = row.or_insert_with(|| RowMade::new(place));
        if !row.add(place, &element) {
            let mut next = RowMade::new(place);
            // An empty row takes any element of its first place.
            let _ = next.add(place, &element);
            let full = std::mem::replace(row, next);
            let at = queue_key(id, class, full.first());
            self.disk.put_row(&mut change.batch, at, full.finish());
        }
        Ok(())
    }

    fn settle_one(&mut self, settle: &Settle, change: &mut Change) -> Result<Settled, StoreError> {
        match &settle.what {
            Settles::Beside => Ok(Settled::Applied),
            Settles::Robots { origin, record } => {
                let id = self.host_id(&origin.host, &settle.via, change)?;
                let origin = (origin.https, origin.port);
                let state = self.hosts.change(&self.disk, id)?;
                if !state.record.robots.contains(&origin) {
                    state.record.robots.push(origin);
                }
                self.disk
                    .put_robots(&mut change.batch, id, origin, record)?;
                Ok(Settled::Applied)
            }
            &Settles::Url {
                position,
                fate,
                kept,
                bytes,
                ..
            } => {
                let Some(id) = self.hosts.find(&self.disk, &settle.host)? else {
                    return Ok(Settled::Fenced);
                };
                let state = self.hosts.get(&self.disk, id)?;
                if state.record.token != settle.token.0 {
                    return Ok(Settled::Fenced);
                }
                let Some(lease) = state.lease.as_deref() else {
                    // It ended with everything settled, this URL too.
                    return Ok(Settled::Duplicate);
                };
                let place = match lease.step(position) {
                    Step::Fenced => return Ok(Settled::Fenced),
                    Step::Duplicate => return Ok(Settled::Duplicate),
                    Step::Open(place) => place,
                };
                let at = (lease.class, lease.row(place), place);
                match fate {
                    Fate::Done => {
                        self.removed(id, position, change)?;
                        self.settled_for_good(id, change)?;
                        self.counters.kept += u64::from(kept);
                        self.counters.bytes += bytes;
                    }
                    Fate::Retry { tries, rest } => {
                        self.retry(id, at, position, settle.token, (tries, rest), change)?;
                    }
                    Fate::Return => {
                        if let Some(lease) = &mut self.hosts.get(&self.disk, id)?.lease {
                            lease.back(position);
                            self.outstanding -= 1;
                        }
                    }
                }
                self.close_if_finished(id, change)?;
                Ok(Settled::Applied)
            }
        }
    }

    /// Back to the queue, later; or given up if that was the last try.
    fn retry(
        &mut self,
        id: HostId,
        at: (u8, Span, u64),
        position: u32,
        token: Token,
        (tries, rest): (u8, std::time::Duration),
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let mut queued = self.read(id, at)?;
        queued.tries = tries;
        self.removed(id, position, change)?;
        if tries >= self.rules.tries_max {
            return self.give_up(id, token, queued, change);
        }
        let wait = politeness::backoff(tries, rest, token, position);
        let not_before = change.now.ms_after(std::time::Duration::ZERO, wait);
        self.push(id, RETRY, not_before, (&queued).into(), change)
    }
}

//! One host's life: what waits for it, when it may be asked, under which token.
//!
//! Owns [`Record`], the part that is stored, and [`HostState`], which adds the lease that is out. It knows no
//! URL, only places in the host's queue. A record knows the first place of each class, so that reading a queue
//! never wades through what has been taken out before.

use std::time::Duration;

use contract::clock::millis;
use contract::host::Host;
use contract::lease::{Strikes, Token, VISIT_KEPT};
use serde::{Deserialize, Serialize};

use super::gone::{Gone, Span};
use super::lease::Lease;
use super::{CLASSES, RETRY, RETRY_TURN, index, retry_due, retry_place};
use crate::politeness;
use crate::store::time::Now;

/// What is stored of a host (version 1: fields are not reordered, removed or retyped).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The last token given.
    pub(crate) token: u64,
    /// It may be asked again from here on, in ms of the store's time.
    pub(crate) next_ok: u64,
    /// The delay it asked for (Crawl-delay), in ms.
    pub(crate) learned_ms: u64,
    /// URLs in each class.
    pub(crate) queued: [u64; CLASSES],
    /// A place in each class before which there is nothing; for retries the exact first place.
    pub(crate) heads: [u64; CLASSES],
    /// How many places each class has given out.
    pub(crate) pushed: [u64; CLASSES],
    /// URLs settled for good.
    pub(crate) done: u64,
    /// Leases given.
    pub(crate) leases: u64,
    /// Leases in a row that ran out.
    pub(crate) failures: u8,
    /// The lease that is out, as far as a restart must know it.
    pub(crate) out: Option<Out>,
    /// Whether most of its URLs are https, and their port where it is not the scheme's own.
    pub(crate) https: bool,
    pub(crate) port: Option<u16>,
    /// Origins (https, port) whose robots.txt is stored.
    pub(crate) robots: Vec<(bool, u16)>,
    /// Leases of it were lost twice in a row: leased alone until one ends well.
    pub(crate) suspect: bool,
    #[serde(skip)]
    pub(crate) beside: Beside,
    /// What is gone behind the heads; retries have exact heads. Stored since version 3 of the host's row.
    #[serde(skip)]
    pub(crate) gone: [Gone; CLASSES - 1],
}

/// What is stored of a host beside its [`Record`], since version 2 of its row; the default where a row is older.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beside {
    /// Until then visitors come before claims, in ms of the store's time.
    pub(crate) kept: u64,
    pub(crate) strikes: Strikes,
}

/// What a restart must know of a lease: its head is the first URL of the class, if that is not behind `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Out {
    pub(crate) class: u8,
    pub(crate) last: u64,
    /// No other suspect was out: if the process dies, its head is blamed.
    pub(crate) alone: bool,
}

impl Record {
    /// URLs in all classes.
    pub(crate) fn total(&self) -> u64 {
        self.queued.iter().sum()
    }

    /// When a lease could be given, if none is out; none when nothing waits.
    pub(crate) fn due(&self) -> Option<u64> {
        let free = self.next_ok.max(self.beside.kept);
        if self.queued[..index(RETRY)].iter().any(|&n| n > 0) {
            return Some(free);
        }
        (self.queued[index(RETRY)] > 0).then(|| free.max(retry_due(self.heads[index(RETRY)])))
    }

    /// Whether the place of a class may still be queued.
    pub(crate) fn is_left(&self, class: u8, place: u64) -> bool {
        let gone = self.gone.get(index(class));
        place >= self.heads[index(class)] && !gone.is_some_and(|gone| gone.contains(place))
    }

    /// A place has left its class, whose first place is this now, as far as the lease knows; true if its row holds nothing
    /// any more.
    #[must_use]
    pub(crate) fn left(&mut self, class: u8, place: u64, head: u64, row: Span) -> bool {
        let at = index(class);
        self.queued[at] = self.queued[at].saturating_sub(1);
        let Some(gone) = self.gone.get_mut(at) else {
            self.heads[at] = head;
            return true;
        };
        gone.insert(place);
        let head = gone.first_left(head);
        gone.forget_before(head);
        self.heads[at] = head;
        gone.covers(row.first.max(head), row.end())
    }

    /// A visitor could not have the host: it comes before the next claim.
    pub(crate) fn keep_for_visitors(&mut self, now: Now) {
        let free = self.next_ok.max(now.ms());
        self.beside.kept = free.saturating_add(millis(VISIT_KEPT));
    }

    /// The delay that holds.
    pub(crate) fn delay(&self, ours: Duration) -> Duration {
        politeness::delay(ours, Duration::from_millis(self.learned_ms))
    }

    /// The class the next lease is of.
    pub(crate) fn choose(&self, now: Now) -> Option<u8> {
        let retry = index(RETRY);
        let retries_due = self.queued[retry] > 0 && retry_due(self.heads[retry]) <= now.ms();
        if retries_due && self.leases % RETRY_TURN == RETRY_TURN - 1 {
            return Some(RETRY);
        }
        let fresh = (0..RETRY).find(|&class| self.queued[index(class)] > 0);
        fresh.or(retries_due.then_some(RETRY))
    }

    /// A lease is over without the host's holder having said when its last request ended: its token is worth
    /// nothing, and the host rests one delay from now. At the second in a row it becomes a suspect.
    pub(crate) fn fence(&mut self, now: Now, ours: Duration) {
        self.token = (self.token + 1).max(now.0);
        self.suspect |= self.failures > 0;
        self.failures = self.failures.saturating_add(1);
        let rested = now.ms_after(Duration::ZERO, self.delay(ours));
        self.next_ok = self.next_ok.max(rested);
        self.out = None;
    }

    /// Its lease was to blame for its holder's end: others come before it, so that ends in quick succession do not meet
    /// it each time.
    pub(crate) fn rest_blamed(&mut self, now: Now) {
        let rested = now.ms_after(Duration::ZERO, politeness::blamed_rest(self.failures));
        self.next_ok = self.next_ok.max(rested);
    }
}

/// A host in memory.
#[derive(Clone, Debug)]
pub(crate) struct HostState {
    pub(crate) host: Host,
    pub(crate) record: Record,
    pub(crate) lease: Option<Box<Lease>>,
}

impl HostState {
    /// A host with nothing queued.
    pub(crate) fn new(host: Host, record: Record) -> Self {
        Self {
            host,
            record,
            lease: None,
        }
    }

    /// When it stands in the schedule; none while it is leased or has nothing.
    pub(crate) fn scheduled(&self) -> Option<u64> {
        match self.lease {
            Some(_) => None,
            None => self.record.due(),
        }
    }

    /// Gives out the place of one more URL; for a retry the earliest time of it, in ms.
    pub(crate) fn push(&mut self, class: u8, not_before: u64, now: Now) -> u64 {
        let at = index(class);
        if self.lease.is_none() && self.record.total() == 0 {
            // It was idle: it takes its place behind those that have waited longer.
            self.record.next_ok = self.record.next_ok.max(now.ms());
        }
        let count = self.record.pushed[at];
        let place = if class == RETRY {
            retry_place(not_before, count)
        } else {
            count
        };
        self.record.pushed[at] += 1;
        if self.record.queued[at] == 0 {
            self.record.heads[at] = place;
            if let Some(gone) = self.record.gone.get_mut(at) {
                gone.forget_before(place);
            }
        } else {
            self.record.heads[at] = self.record.heads[at].min(place);
        }
        self.record.queued[at] += 1;
        // Behind a lease of another class all places are later than the lease's.
        if let Some(lease) = &mut self.lease
            && class == RETRY
            && lease.class == RETRY
        {
            lease.pushed(place);
        }
        place
    }

    /// Leases these places of a class; see [`Lease::new`]. `beyond` matters for retries only.
    pub(crate) fn grant(
        &mut self,
        (class, beyond): (u8, Option<u64>),
        places: impl IntoIterator<Item = u64>,
        now: Now,
        term: Duration,
        domain: &str,
    ) -> Token {
        self.record.token = (self.record.token + 1).max(now.0);
        self.record.leases += 1;
        // The holder counts from the moment it asked, which was before: its guard closes first.
        let end = now.ms_after(Duration::ZERO, term);
        let mut lease = Lease::new(class, places, beyond, end, domain.into());
        lease.alone = self.record.suspect;
        if let Some(head) = lease.head() {
            self.record.heads[index(class)] = head;
        }
        self.record.out = Some(Out {
            class,
            last: lease.last_open().unwrap_or_default(),
            alone: lease.alone,
        });
        self.lease = Some(Box::new(lease));
        Token(self.record.token)
    }

    /// Leases the host without URLs.
    pub(crate) fn visit(&mut self, now: Now, term: Duration, domain: &str) -> Token {
        self.record.token = (self.record.token + 1).max(now.0);
        self.record.beside.kept = 0;
        let end = now.ms_after(Duration::ZERO, term);
        self.lease = Some(Box::new(Lease::new(RETRY, [], None, end, domain.into())));
        // No retry stands at place 0: a restart blames no URL for it.
        self.record.out = Some(Out {
            class: RETRY,
            last: 0,
            alone: false,
        });
        Token(self.record.token)
    }

    /// The lease, if it is the one with this token.
    pub(crate) fn lease_of(&mut self, token: Token) -> Option<&mut Lease> {
        if self.record.token == token.0 {
            self.lease.as_deref_mut()
        } else {
            None
        }
    }

    /// The URL at this open position has left the queue; class and first place of its row, if that holds nothing any more.
    #[must_use]
    pub(crate) fn remove(&mut self, position: u32) -> Option<(u8, u64)> {
        let lease = self.lease.as_mut()?;
        let place = lease.gone(position)?;
        let head = lease.head().unwrap_or_else(|| lease.after_last());
        let (class, row) = (lease.class, lease.row(place));
        let is_empty = self.record.left(class, place, head, row);
        is_empty.then_some((class, row.first))
    }

    /// The fetcher is done; `last_end` says when its last request ended, as ms at which the host has rested.
    pub(crate) fn release(&mut self, handed: usize, rested: Option<u64>, end: u64) -> u32 {
        if let Some(rested) = rested {
            self.record.next_ok = self.record.next_ok.max(rested);
        }
        let Some(lease) = &mut self.lease else {
            return 0;
        };
        let back = lease.release(handed);
        lease.end = lease.end.max(end);
        self.record.out = lease.last_open().map(|last| Out {
            class: lease.class,
            last,
            alone: lease.alone,
        });
        back
    }

    /// Ends a lease that finished well.
    pub(crate) fn close(&mut self, now: Now) -> Option<Box<Lease>> {
        // A visit says nothing of the URL that may have ended a process.
        if !self.lease.as_ref().is_some_and(|lease| lease.is_visit()) {
            self.record.failures = 0;
            self.record.suspect = false;
        }
        self.record.out = None;
        self.record.next_ok = self.record.next_ok.max(now.ms());
        self.lease.take()
    }

    /// Ends a lease that ran out.
    pub(crate) fn expire(&mut self, now: Now, ours: Duration) -> Option<Box<Lease>> {
        self.record.fence(now, ours);
        self.lease.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> HostState {
        HostState::new(Host::from_stored("a.test"), Record::default())
    }

    fn at(ms: u64) -> Now {
        Now(ms * 1_000)
    }

    #[test]
    fn tokens_rise_and_follow_the_time() {
        let mut host = idle();
        host.push(1, 0, at(1));
        let term = Duration::from_secs(90);
        let first = host.grant((1, None), [0], at(1), term, "a.test");
        host.expire(at(2), Duration::ZERO);
        let second = host.grant((1, None), [0], at(2), term, "a.test");
        assert!(second > first, "{second:?} after {first:?}");
        assert!(host.lease_of(first).is_none() && host.lease_of(second).is_some());
        host.close(at(3));
        assert!(host.grant((1, None), [0], at(1), term, "a.test") > second);
    }

    #[test]
    fn a_host_with_only_future_retries_is_due_at_the_earliest() {
        let mut host = idle();
        host.push(RETRY, 9_000, at(5));
        host.push(RETRY, 7_000, at(5));
        assert_eq!(host.scheduled(), Some(7_000));
        assert_eq!(host.record.choose(at(6_999)), None);
        assert_eq!(host.record.choose(at(7_000)), Some(RETRY));
        host.push(1, 0, at(6));
        assert_eq!(host.scheduled(), Some(5));
    }

    #[test]
    fn due_retries_get_every_eighth_lease() {
        let mut host = idle();
        host.push(1, 0, at(1));
        host.push(RETRY, 1, at(1));
        let turns: Vec<_> = (0..16)
            .map(|leases| {
                host.record.leases = leases;
                host.record.choose(at(2))
            })
            .collect();
        let retries: Vec<_> = (0..16).filter(|&n| turns[n] == Some(RETRY)).collect();
        assert_eq!(retries, [7, 15]);
        host.push(0, 0, at(1));
        host.record.leases = 0;
        assert_eq!(host.record.choose(at(2)), Some(0));
    }

    #[test]
    fn heads_pass_what_is_gone_and_wait_at_holes_and_rows_end_with_their_last_place() {
        let mut host = idle();
        for _ in 0..6 {
            host.push(1, 0, at(1));
        }
        let rows = [(0, 3), (3, 3)].map(|(first, len)| Span { first, len });
        let term = Duration::from_secs(90);
        let lease = |host: &mut HostState, places: &[u64]| {
            host.grant((1, None), places.iter().copied(), at(1), term, "a.test");
            host.lease.as_mut().unwrap().rows = rows.to_vec();
        };
        lease(&mut host, &[0, 1, 2, 3, 4]);
        host.push(1, 0, at(1));
        assert_eq!((host.remove(1), host.record.heads[1]), (None, 0));
        assert_eq!((host.remove(0), host.record.heads[1]), (None, 2));
        assert_eq!((host.remove(4), host.remove(4)), (None, None));
        assert!(host.record.is_left(1, 3) && !host.record.is_left(1, 4));
        // 2 and 3 come back; 4 is gone although they are not.
        host.release(0, None, 0);
        host.close(at(2));
        lease(&mut host, &[2, 3, 5]);
        assert_eq!((host.remove(0), host.record.heads[1]), (Some((1, 0)), 3));
        assert_eq!((host.remove(1), host.record.heads[1]), (None, 5));
        assert_eq!((host.remove(2), host.record.heads[1]), (Some((1, 3)), 6));
        assert_eq!(host.record.queued[1], 1);
        assert!(host.record.gone.iter().all(Gone::is_empty));
    }

    #[test]
    fn a_lease_that_ran_out_costs_a_delay_of_rest() {
        let mut host = idle();
        host.push(1, 0, at(1));
        host.record.learned_ms = 3_000;
        let term = Duration::from_secs(90);
        host.grant((1, None), [0], at(1), term, "a.test");
        host.expire(at(100_000), Duration::from_secs(1));
        assert_eq!((host.scheduled(), host.record.failures), (Some(103_000), 1));
    }
}

//! Whose turn it is: hosts by when they are due, and the budgets that make a due host wait all the same.
//!
//! Owns one entry for every host that waits (24 bytes, about), the ends of leases, and the counts of leases by
//! domain and address. A due host of a domain that has its fill is parked beside, so that a domain of a million
//! hosts costs a claim nothing. Invariant (F7): a host stands here, or parked, or among the leases, or has
//! nothing queued, and in no two of them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use contract::lease::Taker;

/// A host's number, in the order in which hosts became known.
pub(crate) type HostId = u32;

/// When a host's turn comes, in ms, and the host.
type Turn = (u64, HostId);

/// Hosts wait in so many lanes; a node's fetchers share the lanes out among themselves.
const LANES: usize = 16;

/// A due host is its own fetcher's for so long; then whoever asks may have it. In ms.
pub(crate) const OWN_MS: u64 = 50;

/// Whether the host stays with this fetcher.
#[cfg(test)]
pub(crate) fn is_own(id: HostId, taker: Taker) -> bool {
    lane_is_own(lane(id), taker)
}

fn lane(id: HostId) -> usize {
    usize::try_from(id).unwrap_or(0) % LANES
}

fn lane_is_own(lane: usize, taker: Taker) -> bool {
    let of = taker.of.max(1);
    lane % of == taker.index % of
}

/// The budget of suspect hosts, held like a domain's: one lease at once. No domain has such a name.
pub(crate) const SUSPECTS: &str = "\0suspects";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    waiting: [BTreeSet<(u64, HostId)>; LANES],
    leases: BTreeSet<(u64, HostId)>,
    parked: HashMap<Box<str>, BTreeSet<(u64, HostId)>>,
    /// Where a parked host is parked.
    parked_at: HashMap<HostId, Box<str>>,
    domains: HashMap<Box<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
}

impl Schedule {
    /// The host's turn was at `before` and is now at `after`.
    pub(crate) fn moved(&mut self, id: HostId, before: Option<u64>, after: Option<u64>) {
        if before == after {
            return;
        }
        if let Some(due) = before {
            if let Some(domain) = self.parked_at.remove(&id) {
                self.take_parked(&domain, (due, id));
            } else {
                self.waiting[lane(id)].remove(&(due, id));
            }
        }
        if let Some(due) = after {
            self.waits((due, id));
        }
    }

    fn waits(&mut self, entry: (u64, HostId)) {
        self.waiting[lane(entry.1)].insert(entry);
    }

    fn take_parked(&mut self, domain: &str, entry: (u64, HostId)) {
        if let Some(hosts) = self.parked.get_mut(domain) {
            hosts.remove(&entry);
            if hosts.is_empty() {
                self.parked.remove(domain);
            }
        }
    }

    /// The host that this fetcher may be given first: of its own the first that is due, else the first of the others
    /// that has waited for its own too long.
    pub(crate) fn due(&self, now_ms: u64, taker: Taker) -> Option<(u64, HostId)> {
        let (own, others) = self.firsts(taker);
        let own = own.filter(|(due, _)| *due <= now_ms);
        own.or_else(|| others.filter(|(due, _)| due.saturating_add(OWN_MS) <= now_ms))
    }

    /// When [`Schedule::due`] may next have an answer, in ms.
    pub(crate) fn next_for(&self, taker: Taker) -> Option<u64> {
        let (own, others) = self.firsts(taker);
        let others = others.map(|(due, _)| due.saturating_add(OWN_MS));
        own.map(|(due, _)| due).into_iter().chain(others).min()
    }

    /// The first of the taker's own lanes, and the first of the others.
    fn firsts(&self, taker: Taker) -> (Option<Turn>, Option<Turn>) {
        let (mut own, mut others) = (None, None);
        for (lane, waiting) in self.waiting.iter().enumerate() {
            let Some(&first) = waiting.first() else {
                continue;
            };
            let best = if lane_is_own(lane, taker) {
                &mut own
            } else {
                &mut others
            };
            *best = Some(best.map_or(first, |best: Turn| best.min(first)));
        }
        (own, others)
    }

    /// The host whose turn comes first, and when.
    pub(crate) fn next(&self) -> Option<(u64, HostId)> {
        self.firsts(Taker::ALONE).0
    }

    /// Hosts whose turn has not come.
    pub(crate) fn not_due(&self, now_ms: u64) -> usize {
        let due = |lane: &BTreeSet<_>| lane.range(..=(now_ms, HostId::MAX)).count();
        let waiting = self.waiting.iter().map(|lane| lane.len() - due(lane));
        waiting.sum::<usize>() + self.parked_at.len()
    }

    /// Whether one more lease fits into the domain's budget.
    pub(crate) fn domain_has_room(&self, domain: &str, most: Option<u32>) -> bool {
        most.is_none_or(|most| self.domains.get(domain).is_none_or(|&n| n < most))
    }

    /// The due host waits for a lease of its domain to end.
    pub(crate) fn park(&mut self, entry: (u64, HostId), domain: &str) {
        self.waiting[lane(entry.1)].remove(&entry);
        self.parked_at.insert(entry.1, domain.into());
        self.parked.entry(domain.into()).or_default().insert(entry);
    }

    /// The host has left the waiting ones for a lease that ends at `end`.
    pub(crate) fn lease(&mut self, entry: (u64, HostId), end: u64, domain: &str) {
        self.waiting[lane(entry.1)].remove(&entry);
        self.leases.insert((end, entry.1));
        self.enter(domain);
    }

    /// Counts one more lease in a budget.
    pub(crate) fn enter(&mut self, domain: &str) {
        *self.domains.entry(domain.into()).or_default() += 1;
    }

    /// A suspect's lease is over: every parked suspect waits again, since the first may be held up by its domain.
    pub(crate) fn suspect_over(&mut self) {
        self.leave(SUSPECTS);
        for entry in self.parked.remove(SUSPECTS).unwrap_or_default() {
            self.parked_at.remove(&entry.1);
            self.waits(entry);
        }
    }

    fn leave(&mut self, domain: &str) {
        if let Some(count) = self.domains.get_mut(domain) {
            *count -= 1;
            if *count == 0 {
                self.domains.remove(domain);
            }
        }
    }

    /// The lease ends at another time now.
    pub(crate) fn lease_moved(&mut self, id: HostId, before: u64, after: u64) {
        if self.leases.remove(&(before, id)) {
            self.leases.insert((after, id));
        }
    }

    /// No request goes to these addresses under the lease any more.
    pub(crate) fn leave_addresses(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(count) = self.addresses.get_mut(address) {
                *count -= 1;
                if *count == 0 {
                    self.addresses.remove(address);
                }
            }
        }
    }

    /// The lease is over: its budgets are free, and the first host parked for its domain waits again.
    pub(crate) fn lease_over(&mut self, id: HostId, end: u64, domain: &str, addresses: &[IpAddr]) {
        self.leases.remove(&(end, id));
        self.leave(domain);
        self.leave_addresses(addresses);
        let parked = self.parked.get(domain).and_then(|hosts| hosts.first());
        if let Some(&entry) = parked {
            self.take_parked(domain, entry);
            self.parked_at.remove(&entry.1);
            self.waits(entry);
        }
    }

    /// The lease that ends first, if it has ended.
    pub(crate) fn lease_ended(&self, now_ms: u64) -> Option<(u64, HostId)> {
        self.first_end().filter(|(end, _)| *end <= now_ms)
    }

    /// The lease that ends first, and when.
    pub(crate) fn first_end(&self) -> Option<(u64, HostId)> {
        self.leases.first().copied()
    }

    pub(crate) fn leases(&self) -> usize {
        self.leases.len()
    }

    /// Counts one more lease at the address, if there is room.
    pub(crate) fn enter_address(&mut self, address: IpAddr, most: Option<u32>) -> bool {
        let count = self.addresses.entry(address).or_default();
        if most.is_some_and(|most| *count >= most) {
            return false;
        }
        *count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_domain_parks_its_hosts_until_a_lease_ends() {
        let mut schedule = Schedule::default();
        for id in 0..4 {
            schedule.moved(id, None, Some(10));
        }
        let room = |schedule: &Schedule| schedule.domain_has_room("d.test", Some(1));
        assert!(room(&schedule));
        schedule.lease((10, 0), 90, "d.test");
        assert!(!room(&schedule));
        schedule.park((10, 1), "d.test");
        schedule.park((10, 2), "d.test");
        assert_eq!(schedule.due(10, Taker::ALONE), Some((10, 3)));
        assert_eq!(schedule.not_due(10), 2);
        schedule.lease_over(0, 90, "d.test", &[]);
        assert!(room(&schedule));
        let due = schedule.due(10, Taker::ALONE);
        assert_eq!(due, Some((10, 1)), "one comes back, the first");
        schedule.moved(2, Some(10), Some(50));
        schedule.moved(1, Some(10), None);
        schedule.moved(3, Some(10), None);
        assert_eq!(schedule.next(), Some((50, 2)), "a parked host can be moved");
        assert!(schedule.parked.is_empty() && schedule.parked_at.is_empty());
    }

    #[test]
    fn a_host_waits_for_its_own_fetcher_a_while() {
        let mut schedule = Schedule::default();
        schedule.moved(3, None, Some(10));
        let taker = |index| Taker { index, of: 2 };
        assert_eq!(schedule.due(20, taker(1)), Some((10, 3)));
        assert_eq!(schedule.due(20, taker(0)), None);
        assert_eq!(schedule.next_for(taker(0)), Some(10 + OWN_MS));
        assert_eq!(schedule.due(10 + OWN_MS, taker(0)), Some((10, 3)));
        schedule.moved(2, None, Some(60));
        assert_eq!(schedule.due(60, taker(0)), Some((60, 2)), "its own first");
    }

    #[test]
    fn addresses_are_counted_and_freed() {
        let mut schedule = Schedule::default();
        let address: IpAddr = [127, 0, 0, 1].into();
        assert!(schedule.enter_address(address, Some(1)));
        assert!(!schedule.enter_address(address, Some(1)));
        assert!(schedule.enter_address(address, None));
        schedule.lease_over(0, 0, "d.test", &[address, address]);
        assert!(schedule.addresses.is_empty() && schedule.enter_address(address, Some(1)));
    }
}

//! Whose turn it is: hosts by when they are due, and the budgets that make a due host wait all the same.
//!
//! Owns one entry for every host that waits (24 bytes, about), the ends of leases, and the counts of leases by
//! domain and address. A due host of a domain that has its fill is parked beside, so that a domain of a million
//! hosts costs a claim nothing. Invariant (F7): a host stands here, or parked, or among the leases, or has
//! nothing queued, and in no two of them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// A host's number, in the order in which hosts became known.
pub(crate) type HostId = u32;

/// The budget of suspect hosts, held like a domain's: one lease at once. No domain has such a name.
pub(crate) const SUSPECTS: &str = "\0suspects";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    waiting: BTreeSet<(u64, HostId)>,
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
                self.waiting.remove(&(due, id));
            }
        }
        if let Some(due) = after {
            self.waiting.insert((due, id));
        }
    }

    fn take_parked(&mut self, domain: &str, entry: (u64, HostId)) {
        if let Some(hosts) = self.parked.get_mut(domain) {
            hosts.remove(&entry);
            if hosts.is_empty() {
                self.parked.remove(domain);
            }
        }
    }

    /// The host whose turn comes first, if it has come.
    pub(crate) fn due(&self, now_ms: u64) -> Option<(u64, HostId)> {
        self.next().filter(|(due, _)| *due <= now_ms)
    }

    /// The host whose turn comes first, and when.
    pub(crate) fn next(&self) -> Option<(u64, HostId)> {
        self.waiting.first().copied()
    }

    /// Hosts whose turn has not come.
    pub(crate) fn not_due(&self, now_ms: u64) -> usize {
        let due = self.waiting.range(..=(now_ms, HostId::MAX)).count();
        self.waiting.len() - due + self.parked_at.len()
    }

    /// Whether one more lease fits into the domain's budget.
    pub(crate) fn domain_has_room(&self, domain: &str, most: Option<u32>) -> bool {
        most.is_none_or(|most| self.domains.get(domain).is_none_or(|&n| n < most))
    }

    /// The due host waits for a lease of its domain to end.
    pub(crate) fn park(&mut self, entry: (u64, HostId), domain: &str) {
        self.waiting.remove(&entry);
        self.parked_at.insert(entry.1, domain.into());
        self.parked.entry(domain.into()).or_default().insert(entry);
    }

    /// The host has left the waiting ones for a lease that ends at `end`.
    pub(crate) fn lease(&mut self, entry: (u64, HostId), end: u64, domain: &str) {
        self.waiting.remove(&entry);
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
            self.waiting.insert(entry);
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

    /// The lease is over: its budgets are free, and the first host parked for its domain waits again.
    pub(crate) fn lease_over(&mut self, id: HostId, end: u64, domain: &str, addresses: &[IpAddr]) {
        self.leases.remove(&(end, id));
        self.leave(domain);
        for address in addresses {
            if let Some(count) = self.addresses.get_mut(address) {
                *count -= 1;
                if *count == 0 {
                    self.addresses.remove(address);
                }
            }
        }
        let parked = self.parked.get(domain).and_then(|hosts| hosts.first());
        if let Some(&entry) = parked {
            self.take_parked(domain, entry);
            self.parked_at.remove(&entry.1);
            self.waiting.insert(entry);
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
        assert_eq!(schedule.due(10), Some((10, 3)));
        assert_eq!(schedule.not_due(10), 2);
        schedule.lease_over(0, 90, "d.test", &[]);
        assert!(room(&schedule));
        assert_eq!(schedule.due(10), Some((10, 1)), "one comes back, the first");
        schedule.moved(2, Some(10), Some(50));
        schedule.moved(1, Some(10), None);
        schedule.moved(3, Some(10), None);
        assert_eq!(schedule.next(), Some((50, 2)), "a parked host can be moved");
        assert!(schedule.parked.is_empty() && schedule.parked_at.is_empty());
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

//! The budget of an address, as the model has it.

use std::net::IpAddr;

use contract::lease::{EnterAddress, Token};

use super::{Model, Ways};

/// A lease that counts at an address. Only the process that entered it there moves its end or takes it away: what a dead
/// one entered counts until the lease would have ended, whoever releases it.
pub(super) struct Counted {
    address: IpAddr,
    host: usize,
    token: u64,
    /// In ms; from then on it does not count.
    pub(super) ends: u64,
    node: u32,
}

impl Counted {
    /// Whether this process entered this lease.
    pub(super) fn is_of(&self, host: usize, token: Token, node: u32) -> bool {
        (self.host, self.token, self.node) == (host, token.0, node)
    }
}

impl Model {
    pub(super) fn enter_address(&mut self, enter: &EnterAddress) -> bool {
        let now = self.time.now();
        if self.ways == Ways::Embedded {
            self.end_leases(now);
        }
        self.counted.retain(|one| one.ends > now.ms());
        let leased = self.leased(&enter.host, enter.token).and_then(|at| {
            let lease = self.hosts[at].lease.as_ref()?;
            lease.sends(now).then_some((at, lease.end))
        });
        let Some((host, ends)) = leased else {
            return false;
        };
        let (address, token, node) = (enter.address, enter.token.0, self.node);
        let there = |one: &&mut Counted| one.address == address;
        let mut there = self.counted.iter_mut().filter(there);
        if let Some(one) = there.find(|one| (one.host, one.token) == (host, token)) {
            one.node = node;
            return true;
        }
        let there = self.counted.iter().filter(|one| one.address == address);
        let most = self.rules.address_leases_max;
        let has_room = most.is_none_or(|most| there.count() < most as usize);
        if has_room {
            self.counted.push(Counted {
                address,
                host,
                token,
                ends,
                node,
            });
        }
        has_room
    }
}

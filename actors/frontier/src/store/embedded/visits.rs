//! Visits: a host leased for one request that another host's robots.txt redirects to.
//!
//! Invariant: a visit keeps the host's pace like any lease, and whoever is turned away comes before the next claim.
//! Start at [`Work::visit`].

use contract::lease::{Lease, Visit, Visited};

use super::work::{Change, Work};
use crate::error::StoreError;
use crate::store::machine::schedule::HostId;

impl Work {
    pub(super) fn visit(&mut self, visit: &Visit) -> Result<Visited, StoreError> {
        if self.counters.paused {
            return Err(StoreError::Refusing("paused"));
        }
        let mut change = self.begin();
        let home = format!("https://{}/", visit.host);
        let id = self.host_id(&visit.host, &home, &mut change)?;
        let visited = self.let_in(id, &change)?;
        self.commit(change)?;
        Ok(visited)
    }

    fn let_in(&mut self, id: HostId, change: &Change) -> Result<Visited, StoreError> {
        let now = change.now;
        let (delay, term) = (self.rules.delay, self.rules.lease);
        let state = self.hosts.change(&self.disk, id)?;
        let before = state.scheduled();
        let (is_leased, next_ok) = (state.lease.is_some(), state.record.next_ok);
        if is_leased || next_ok > now.ms() {
            state.record.keep_for_visitors(now);
            let after = state.scheduled();
            self.schedule.moved(id, before, after);
            return Ok(match is_leased {
                true => Visited::Busy,
                false => Visited::Rests(Self::until(now, next_ok)),
            });
        }
        let domain: Box<str> = state.host.domain().into();
        let most = self.rules.domain_leases_max;
        let most = most.map(|most| most.saturating_add(1));
        if !self.schedule.domain_has_room(&domain, most) {
            return Ok(Visited::Busy);
        }
        let token = state.visit(now, term, &domain);
        let end = state.lease.as_ref().map_or(0, |lease| lease.end);
        let lease = Lease {
            host: state.host.clone(),
            token,
            urls: Vec::new(),
            delay: state.record.delay(delay),
            term,
            robots: Vec::new(),
            strikes: state.record.beside.strikes,
            trapped: Vec::new(),
        };
        self.schedule.moved(id, before, None);
        self.schedule
            .lease((before.unwrap_or_default(), id), end, &domain);
        Ok(Visited::Granted(lease))
    }
}

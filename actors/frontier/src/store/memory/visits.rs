//! Visits, as the model has them.

use std::time::Duration;

use contract::clock::millis;
use contract::lease::{Lease, Token, VISIT_KEPT, Visit, Visited};

use super::{Model, OneLease};
use crate::error::StoreError;
use crate::politeness;
use crate::store::machine::RETRY;

impl Model {
    pub(super) fn visit(&mut self, visit: &Visit) -> Result<Visited, StoreError> {
        if self.paused {
            return Err(StoreError::Refusing("paused"));
        }
        let now = self.time.now();
        let at = self.host(&visit.host);
        let domain_leases = self.domain_leases(visit.host.domain());
        let host = &mut self.hosts[at];
        let is_leased = host.lease.is_some();
        if is_leased || host.next_ok > now.ms() {
            host.kept = host.next_ok.max(now.ms()) + millis(VISIT_KEPT);
            return Ok(match is_leased {
                true => Visited::Busy,
                false => Visited::Rests(Duration::from_micros(host.next_ok * 1_000 - now.0)),
            });
        }
        let most = self.rules.domain_leases_max;
        if most.is_some_and(|most| domain_leases > most as usize) {
            return Ok(Visited::Busy);
        }
        let term = self.rules.lease;
        host.kept = 0;
        host.token = (host.token + 1).max(now.0);
        host.lease = Some(OneLease {
            class: RETRY,
            end: now.ms_after(Duration::ZERO, term),
            places: Vec::new(),
            last: 0,
            handed: None,
            alone: false,
            node: self.node,
        });
        Ok(Visited::Granted(Lease {
            host: host.host.clone(),
            token: Token(host.token),
            urls: Vec::new(),
            delay: politeness::delay(self.rules.delay, host.learned),
            term,
            robots: Vec::new(),
            strikes: host.strikes,
            trapped: Vec::new(),
        }))
    }
}

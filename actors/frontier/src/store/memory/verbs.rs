//! The verbs of the model: what is asked of it, passed to the lists.

use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::canonical::Fingerprint;
use contract::clock::millis;
use contract::control::{FrontierStats, GaveUp};
use contract::earlier::{Again, Reopened};
use contract::host::Host;
use contract::lease::{
    Claim, Claimed, EnterAddress, Extend, Release, Schedule, Token, Visit, Visited,
};
use contract::settle::Settle;

use super::{Memory, Model};
use crate::config::Rules;
use crate::error::StoreError;
use crate::store::machine::{RETRY, retry_due};
use crate::store::{QueuePlace, QueuedAt, Store, StoredConfig, Taken};

impl Store for Memory {
    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        self.model().claim(claim)
    }

    async fn visit(&self, visit: &Visit) -> Result<Visited, StoreError> {
        self.model().visit(visit)
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Taken, StoreError> {
        let mut model = self.model();
        let now = model.time.now();
        let mut taken = Taken::default();
        for settle in settles {
            for link in &settle.links {
                model.link(link, &settle.via, false, now, &mut taken.links);
            }
            taken.answers.push(model.settle_one(settle, now));
        }
        Ok(taken)
    }

    async fn admit(&self, admit: &Admit) -> Result<Admitted, StoreError> {
        let mut model = self.model();
        let now = model.time.now();
        let mut admitted = Admitted::default();
        for link in &admit.links {
            model.link(link, &admit.via, admit.force, now, &mut admitted);
        }
        Ok(admitted)
    }

    async fn reopen(&self, again: &[Again]) -> Result<Reopened, StoreError> {
        Ok(self.model().reopen(again))
    }

    async fn extend(&self, extend: &Extend) -> Result<Option<Duration>, StoreError> {
        let mut model = self.model();
        let (now, term) = (model.time.now(), model.rules.lease);
        let Some(at) = model.leased(&extend.host, extend.token) else {
            return Ok(None);
        };
        let lease = model.hosts[at].lease.as_mut();
        let Some(lease) = lease.filter(|lease| lease.sends(now)) else {
            return Ok(None);
        };
        lease.end = lease.end.max(now.ms_after(Duration::ZERO, term));
        let ends = lease.end;
        let node = model.node;
        let moved = model.counted.iter_mut();
        for one in moved.filter(|one| one.is_of(at, extend.token, node)) {
            one.ends = ends;
        }
        Ok(Some(term))
    }

    async fn release(
        &self,
        release: &Release,
        since_end: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.model().release(release, since_end);
        Ok(())
    }

    async fn schedule(&self, wants: &Schedule) -> Result<(), StoreError> {
        let mut model = self.model();
        let now = model.time.now();
        if let Some(at) = model.find(&wants.host) {
            let host = &mut model.hosts[at];
            host.learned = wants
                .delay
                .map_or(host.learned, |delay| Duration::from_millis(millis(delay)));
            if let Some(rest) = wants.rest {
                host.next_ok = host.next_ok.max(now.ms_after(Duration::ZERO, rest));
            }
            host.strikes = wants.strikes.unwrap_or(host.strikes);
        }
        Ok(())
    }

    async fn enter_address(&self, enter: &EnterAddress) -> Result<bool, StoreError> {
        Ok(self.model().enter_address(enter))
    }

    async fn pause(&self) -> Result<(), StoreError> {
        self.model().paused = true;
        Ok(())
    }

    async fn resume(&self) -> Result<(), StoreError> {
        self.model().paused = false;
        Ok(())
    }

    async fn set_rules(&self, rules: Rules) -> Result<(), StoreError> {
        self.model().rules = rules;
        Ok(())
    }

    async fn stats(&self) -> Result<FrontierStats, StoreError> {
        Ok(self.model().stats())
    }

    async fn next_wake(&self) -> Result<Option<Duration>, StoreError> {
        let model = self.model();
        let now = model.time.now();
        let dues = (0..model.hosts.len())
            .filter(|_| model.allowance() > 0)
            .filter(|&at| model.domain_has_room(at) || model.due(at) > Some(now.ms()))
            .filter_map(|at| model.due(at));
        let first = model.until_first(dues, now);
        Ok(first.filter(|_| !model.paused))
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn gave_up(&self, told: &[u64]) -> Result<Vec<GaveUp>, StoreError> {
        let mut model = self.model();
        model.given_up.retain(|gave| !told.contains(&gave.number));
        Ok(model.given_up.clone())
    }

    async fn last_token(&self, host: &Host) -> Result<Option<Token>, StoreError> {
        let model = self.model();
        Ok(model.find(host).map(|at| Token(model.hosts[at].token)))
    }

    async fn seeds(&self) -> Result<Vec<String>, StoreError> {
        let model = self.model();
        let seeds = model.exact.iter().filter(|(_, seed)| **seed);
        Ok(seeds.map(|(url, _)| url.clone()).collect())
    }

    async fn add_running_time(&self, more: Duration) -> Result<Duration, StoreError> {
        let mut model = self.model();
        model.ran += Duration::from_millis(millis(more));
        Ok(model.ran)
    }

    async fn fingerprint_seed(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        Ok(self.model().config.clone())
    }

    async fn set_config(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let mut model = self.model();
        let known = model.config.take();
        let version = match &known {
            Some(known) if known.bytes == bytes => known.version,
            Some(known) => known.version + 1,
            None => 1,
        };
        model.config = Some(StoredConfig {
            version,
            bytes: bytes.to_vec(),
        });
        Ok(version)
    }

    async fn known_after(
        &self,
        after: Option<Fingerprint>,
        most: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let model = self.model();
        let later = model.known.iter().copied().map(Fingerprint);
        Ok(later.filter(|&one| Some(one) > after).take(most).collect())
    }

    async fn queued_after(
        &self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        let model = self.model();
        assert!(after.is_none(), "the model is read at once");
        let mut all: Vec<_> = model.queue.iter().collect();
        all.sort_by_key(|item| (item.host, item.class, item.place));
        let read = all.into_iter().take(most).map(|item| QueuedAt {
            at: QueuePlace(Box::default()),
            host: model.hosts[item.host].host.clone(),
            class: item.class,
            not_before: if item.class == RETRY {
                retry_due(item.place)
            } else {
                0
            },
            queued: item.queued.clone(),
        });
        Ok(read.collect())
    }
}

impl Model {
    fn stats(&self) -> FrontierStats {
        let active = |at: &usize| self.queue.iter().any(|item| item.host == *at);
        let leases = self
            .hosts
            .iter()
            .filter(|host| host.lease.is_some())
            .count();
        FrontierStats {
            known: self.admitted,
            queued: self.queue.len() as u64,
            done: self.done,
            kept: self.kept,
            bytes: self.bytes,
            leases: leases as u64,
            hosts_active: (0..self.hosts.len()).filter(active).count() as u64,
            hosts_waiting: 0,
            next: None,
            paused: self.paused,
            ran: self.ran,
            limit_reached: self.rules.limit.is_some_and(|most| self.kept >= most),
        }
    }
}

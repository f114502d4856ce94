//! The store of many machines: a crawl's part of a Redis deployment, shared by all nodes that work on it.
//!
//! Owns nothing that another node could not take over: everything is in Redis, in shards of one slot each, and every
//! verb is one script on a shard, idempotent under a lost answer. What is kept here only spares work: fingerprints
//! seen lately (filled after an answer, emptied when a connection breaks), and when each shard is worth a claim.
//! Invariants beside those of every store: a link is in its host's shard before the page that it was found on is
//! settled in its own; the cache never outlives a connection, so that what a restarted server has forgotten is sent
//! again. Start reading at [`RedisStore`], then [`apply`] (everything that changes hosts), [`claims`], [`shape`].

mod addresses;
mod apply;
mod asked;
mod batch;
mod claims;
pub mod clearing;
mod cold;
pub mod gates;
mod journal;
mod limit;
pub mod moves;
mod moving;
mod queues;
mod reach;
mod reading;
mod reopen;
mod scripts;
mod shape;
mod shares;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod visits;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::canonical::Fingerprint;
use contract::clock::{Clock, micros};
use contract::control::{FrontierStats, GaveUp};
use contract::earlier::{Again, Reopened};
use contract::host::Host;
use contract::lease::{
    Claim, Claimed, EnterAddress, Extend, Release, Schedule, Token, Visit, Visited,
};
use contract::pulse::Pulse;
use contract::settle::{Settle, Settled};
use contract::wanted::Wanted;

use self::apply::{Applying, PATIENCE, Settling};
use self::claims::Claiming;
use self::cold::Lengths;
use self::journal::Journal;
use self::limit::Permits;
pub use self::queues::LongestQueues;
use self::reach::Reach;
use self::scripts::Scripts;
use self::shape::Shape;
use super::moving::{Moves, Part, RowPlace, Rows, Whole};
use super::{QueuePlace, QueuedAt, Store, StoredConfig, Taken};
use crate::config::Rules;
use crate::error::StoreError;
use crate::fleet::crawls::Crawl;
use crate::fleet::deployment::Deployment;
use crate::fleet::{Link, course};

/// Pages whose shards do not answer within this go into the journal.
const JOURNAL_AFTER: Duration = Duration::from_secs(2);

/// How a crawl in Redis is opened.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub rules: Rules,
    pub clock: Clock,
    /// For the cache of fingerprints seen lately.
    pub memory_bytes: u64,
    /// This node's file of what could not be settled while the store was away; none: it is fetched again.
    pub journal: Option<PathBuf>,
}

/// A crawl in Redis.
pub struct RedisStore {
    core: Arc<Core>,
    claiming: Claiming,
    applying: Applying,
    crawl: Crawl,
    journal: Option<Journal>,
}

/// What all verbs need.
struct Core {
    link: Link,
    shape: Shape,
    scripts: Scripts,
    rules: RwLock<Arc<Rules>>,
    clock: Clock,
    reach: Reach,
    permits: Permits,
    /// The crawl's running time as last told by the fleet, in microseconds.
    ran: AtomicU64,
    cold: Lengths,
}

impl Core {
    fn rules(&self) -> Arc<Rules> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The lock; nothing panics while it is held, and what it guards is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RedisStore {
    /// Opens the crawl's part of every shard, or makes it.
    ///
    /// # Errors
    /// A store that is away, or a shard that is not there.
    pub async fn open(
        link: Link,
        deployment: &Deployment,
        crawl: Crawl,
        options: RedisOptions,
    ) -> Result<Self, StoreError> {
        Self::open_with(link, deployment, crawl, options, Lengths::USUAL).await
    }

    async fn open_with(
        link: Link,
        deployment: &Deployment,
        crawl: Crawl,
        options: RedisOptions,
        cold: Lengths,
    ) -> Result<Self, StoreError> {
        let shape = Shape {
            shards: deployment.shards,
            bucket_bits: crawl.bucket_bits,
            crawl: crawl.number,
        };
        let core = Arc::new(Core {
            link,
            shape,
            scripts: Scripts::new(),
            rules: RwLock::new(Arc::new(options.rules)),
            reach: Reach::new(shape.shards, &options.clock),
            clock: options.clock,
            permits: Permits::default(),
            ran: AtomicU64::new(0),
            cold,
        });
        core.settle_in(&crawl).await?;
        let journal = match options.journal {
            Some(path) => Some(Journal::open(path).await?),
            None => None,
        };
        Ok(Self {
            journal,
            claiming: Claiming::new(shape.shards, &core.clock),
            applying: Applying::new(options.memory_bytes),
            core,
            crawl,
        })
    }
}

impl RedisStore {
    /// Whether this node's leases still hold, for its fetchers.
    pub fn pulse(&self) -> Pulse {
        self.core.reach.pulse.clone()
    }

    /// Whether another node waits for one of this node's leases, for its fetchers.
    pub fn wanted(&self) -> Wanted {
        self.claiming.shares.wanted.clone()
    }

    /// Pages in the journal.
    pub fn unsettled(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::pages)
    }

    /// Settles what the journal holds, before anything is claimed.
    async fn replay(&self) -> Result<(), StoreError> {
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.pages() > 0) else {
            return Ok(());
        };
        journal
            .replay(async |settles| {
                let (core, claiming) = (&self.core, &self.claiming);
                let done = self
                    .applying
                    .settle(core, claiming, settles, Duration::ZERO);
                Ok(done.await?.answers.iter().all(Option::is_some))
            })
            .await
    }
}

impl Store for RedisStore {
    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        self.replay().await?;
        self.claiming.claim(&self.core, claim).await
    }

    async fn visit(&self, visit: &Visit) -> Result<Visited, StoreError> {
        visits::visit(&self.core, visit).await
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Taken, StoreError> {
        let (core, claiming) = (&self.core, &self.claiming);
        let patience = match self.journal {
            Some(_) => JOURNAL_AFTER,
            None => PATIENCE,
        };
        let done = self.applying.settle(core, claiming, settles, patience);
        let Settling { answers, links } = done.await?;
        let left = answers
            .iter()
            .zip(settles)
            .filter(|(answer, _)| answer.is_none());
        let left: Vec<&Settle> = left.map(|(_, settle)| settle).collect();
        if !left.is_empty() {
            let journal = self.journal.as_ref().ok_or_else(scripts::away)?;
            journal.append(&left).await?;
        }
        // What is in the journal is settled as soon as its shard answers, or refused then by its token.
        let answers = answers
            .into_iter()
            .map(|answer| answer.unwrap_or(Settled::Applied));
        Ok(Taken {
            answers: answers.collect(),
            links,
        })
    }

    async fn admit(&self, admit: &Admit) -> Result<Admitted, StoreError> {
        self.applying.admit(&self.core, &self.claiming, admit).await
    }

    async fn reopen(&self, again: &[Again]) -> Result<Reopened, StoreError> {
        let reopened = reopen::reopen(&self.core, again).await;
        self.claiming.all_touched(&self.core.clock);
        reopened
    }

    async fn extend(&self, lease: &Extend) -> Result<Option<Duration>, StoreError> {
        let term = self.core.rules().lease;
        let extended = self
            .applying
            .extend(&self.core, &self.claiming, lease)
            .await?;
        if extended {
            self.claiming.lives_on(&self.core, &lease.host, lease.token);
            let until = self.core.clock.boot().after(term);
            self.claiming
                .shares
                .extended(&lease.host, lease.token, until);
            let addresses = &self.claiming.addresses;
            addresses
                .extended(&self.core, &lease.host, lease.token)
                .await?;
        }
        Ok(extended.then_some(term))
    }

    async fn release(
        &self,
        release: &Release,
        since_end: Option<Duration>,
    ) -> Result<(), StoreError> {
        let (core, claiming) = (&self.core, &self.claiming);
        claiming.lives_on(core, &release.host, release.token);
        claiming.shares.given_back(&release.host, release.token);
        self.applying
            .release(core, claiming, release, since_end)
            .await?;
        claiming
            .addresses
            .leave(core, &release.host, release.token)
            .await
    }

    async fn schedule(&self, schedule: &Schedule) -> Result<(), StoreError> {
        self.applying
            .schedule(&self.core, &self.claiming, schedule)
            .await
    }

    async fn enter_address(&self, enter: &EnterAddress) -> Result<bool, StoreError> {
        self.claiming.addresses.enter(&self.core, enter).await
    }

    async fn pause(&self) -> Result<(), StoreError> {
        asked::set_state(&self.core, "paused").await?;
        self.claiming.all_touched(&self.core.clock);
        Ok(())
    }

    async fn resume(&self) -> Result<(), StoreError> {
        asked::set_state(&self.core, "run").await?;
        self.claiming.all_touched(&self.core.clock);
        Ok(())
    }

    async fn set_rules(&self, rules: Rules) -> Result<(), StoreError> {
        *self
            .core
            .rules
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        Ok(())
    }

    async fn stats(&self) -> Result<FrontierStats, StoreError> {
        asked::stats(&self.core).await
    }

    async fn next_wake(&self) -> Result<Option<Duration>, StoreError> {
        Ok(Some(self.claiming.next_wake(&self.core)))
    }

    async fn flush(&self) -> Result<(), StoreError> {
        // What the server has answered is in its append-only file; when that reaches the disk is its operator's choice.
        Ok(())
    }

    async fn gave_up(&self, told: &[u64]) -> Result<Vec<GaveUp>, StoreError> {
        asked::gave_up(&self.core, told).await
    }

    async fn last_token(&self, host: &Host) -> Result<Option<Token>, StoreError> {
        asked::last_token(&self.core, host).await
    }

    async fn seeds(&self) -> Result<Vec<String>, StoreError> {
        asked::seeds(&self.core).await
    }

    async fn add_running_time(&self, more: Duration) -> Result<Duration, StoreError> {
        let mut link = self.core.link.clone();
        let ran = course::ran(&mut link, self.crawl.number, more).await?;
        self.core.ran.store(micros(ran), Ordering::Relaxed);
        Ok(ran)
    }

    async fn fingerprint_seed(&self) -> Result<u64, StoreError> {
        Ok(self.crawl.fingerprint_seed)
    }

    async fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        asked::config(&self.core).await
    }

    async fn set_config(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        asked::set_config(&self.core, bytes).await
    }

    async fn known_after(
        &self,
        after: Option<Fingerprint>,
        most: usize,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        reading::known_after(&self.core, after, most).await
    }

    async fn queued_after(
        &self,
        after: Option<QueuePlace>,
        most: usize,
    ) -> Result<Vec<QueuedAt>, StoreError> {
        reading::queued_after(&self.core, after, most).await
    }
}

impl Moves for RedisStore {
    async fn whole(&self) -> Result<Whole, StoreError> {
        moving::whole(&self.core, self.crawl.fingerprint_seed).await
    }

    async fn rows_from(&self, from: Option<RowPlace>, most: usize) -> Result<Rows, StoreError> {
        moving::rows_from(&self.core, from, most).await
    }

    async fn take_in(&self, part: Part<'_>) -> Result<(), StoreError> {
        moving::take_in(&self.core, self.crawl.fingerprint_seed, part).await?;
        self.claiming.all_touched(&self.core.clock);
        Ok(())
    }
}

//! Done once, and what was kept of it is gone: how such URLs come back.
//!
//! Owns what `reopen` does to a crawl that nobody works on: URLs that can be named are queued again though they are known;
//! the others are forgotten, so that the pages that lead to them bring them in as new. It does not know which they are:
//! who has the ledgers does. Invariant: forgetting comes before queueing, so that whatever ends the order between two
//! steps, what is left over still looks done and missing, and the same order finds it. Start at [`reopen`].

use std::collections::{BTreeMap, HashSet};

use contract::canonical::Fingerprint;
use contract::codec;
use contract::earlier::{Again, Reopened};
use contract::host::{Host, Origin};
use contract::robots::RobotsRecord;
use redis::Cmd;

use super::apply::{ROBOTS_VERSION, parts, unwritable};
use super::batch::{Answer, LinkArg, Op, calls};
use super::scripts::odd;
use super::{Core, RedisStore, cold, reading};
use crate::error::StoreError;
use crate::events;
use crate::store::element::{QueuedRef, encode_alone};

/// Fingerprints forgotten in one step.
const STEP: usize = 1_000;

impl RedisStore {
    /// The bits of a fingerprint that the store keeps: what [`Store::known_after`](crate::store::Store::known_after)
    /// tells is true of these, the others are zero.
    pub fn kept_bits(&self) -> u64 {
        self.core.shape.mask()
    }

    /// Makes URLs that are done unknown; returns how many were known. No node may work on the crawl: it remembers what
    /// it has seen. May be repeated.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn forget(&self, done: &[Fingerprint]) -> Result<u64, StoreError> {
        let mut by_shard: BTreeMap<u16, Vec<Fingerprint>> = BTreeMap::new();
        for one in done {
            let shard = self.core.shape.shard(one.area());
            by_shard.entry(shard).or_default().push(*one);
        }
        let mut gone = 0;
        for (shard, all) in by_shard {
            for some in all.chunks(STEP) {
                gone += forget(&self.core, shard, some).await?;
            }
        }
        Ok(gone)
    }

    /// What the store keeps of the robots.txt of all origins, shown one by one.
    ///
    /// # Errors
    /// A store that does not answer, or a record that cannot be read.
    pub async fn each_robots(
        &self,
        mut each: impl FnMut(Origin, RobotsRecord),
    ) -> Result<(), StoreError> {
        for shard in 0..self.core.shape.shards {
            let mut cursor = 0u64;
            loop {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(self.core.shape.key(shard, "R")).arg(cursor);
                // Each may be half a megabyte.
                scan.arg("COUNT").arg(10);
                type Rows = (u64, Vec<(String, Vec<u8>)>);
                let (next, rows): Rows = self.core.plain(scan).await?;
                for (name, record) in rows {
                    let record = codec::decode(ROBOTS_VERSION, &record);
                    let record = record.map_err(|source| StoreError::Value {
                        what: "robots.txt",
                        source,
                    })?;
                    each(origin(&name).ok_or(odd("origin"))?, record);
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// As [`Store::reopen`](crate::store::Store::reopen). An answer that is lost is an error: what was queued is found by
/// the next order.
pub(super) async fn reopen(core: &Core, all: &[Again]) -> Result<Reopened, StoreError> {
    let mut by_shard: BTreeMap<u16, BTreeMap<&Host, Vec<&Again>>> = BTreeMap::new();
    for again in all {
        let shard = core.shape.shard(again.link.host.area());
        let hosts = by_shard.entry(shard).or_default();
        hosts.entry(&again.link.host).or_default().push(again);
    }
    let (mut reopened, mut unkept) = (Reopened::default(), 0);
    for (shard, hosts) in by_shard {
        let mut ops = Vec::new();
        for (host, all) in hosts {
            let mut waiting = HashSet::new();
            let wanted: HashSet<&str> = all.iter().map(|again| &*again.link.url).collect();
            reading::each_queued(core, shard, host, |queued| {
                if wanted.contains(&*queued.url) {
                    waiting.insert(queued.url);
                }
            })
            .await?;
            let mut links = Vec::new();
            for again in all {
                if !waiting.insert(again.link.url.clone()) {
                    reopened.waiting += 1;
                    continue;
                }
                unkept += u64::from(again.was_kept);
                links.push(arg_of(core, again)?);
            }
            if !links.is_empty() {
                let host = host.clone();
                ops.push(Op::Links { host, links });
            }
        }
        for one in calls(parts(shard, ops).into_iter().map(|unit| (0, unit)), false) {
            let answer = core.apply(&one, core.link.breaks()).await?;
            let mut answers = [Answer::default()];
            let told = one.read(answer, &mut answers).ok_or(odd("apply"))?;
            reopened.queued += answers[0].new;
            for queue in &told.long {
                cold::spill(core, shard, queue).await?;
            }
        }
    }
    core.permits.taken_back(core, unkept).await?;
    events::Reopened { reopened }.emit();
    Ok(reopened)
}

fn arg_of(core: &Core, again: &Again) -> Result<LinkArg, StoreError> {
    let link = &again.link;
    let queued = QueuedRef::of(link, again.via.as_deref(), again.earlier.as_deref());
    let (bucket, member) = core.shape.place(link.fingerprint);
    Ok(LinkArg {
        class: again.class(),
        bucket,
        member,
        element: encode_alone(link.host.as_str(), queued).map_err(unwritable)?,
        exact: None,
        again: Some(again.was_kept),
    })
}

async fn forget(core: &Core, shard: u16, some: &[Fingerprint]) -> Result<u64, StoreError> {
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0);
        for one in some {
            let (bucket, member) = core.shape.place(*one);
            cmd.arg(bucket).arg(member);
        }
    };
    let answer = core.ask(shard, &core.scripts.forget, None, args).await?;
    redis::from_redis_value(answer).map_err(|_| odd("forget"))
}

/// Host, 1 for https, port (`lua/apply.lua`).
fn origin(name: &str) -> Option<Origin> {
    let mut fields = name.rsplitn(3, '|');
    let (port, https, host) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Origin {
        https: https == "1",
        host: Host::from_stored(host),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use contract::admit::Admit;
    use contract::link::{Link, LinkKind};
    use kit::redis::{Redis, RedisOptions};

    use super::*;
    use crate::store::Store;
    use crate::store::redis::testing::{admit, claim_some, link, link_on, open};
    use crate::store::suite::done;

    async fn known(store: &RedisStore) -> HashSet<u64> {
        let known = store.known_after(None, usize::MAX).await.unwrap();
        known.into_iter().map(|one| one.0).collect()
    }

    #[tokio::test]
    async fn what_is_forgotten_comes_anew_and_what_is_reopened_is_queued() {
        let server = Redis::start(RedisOptions::default()).unwrap();
        let (store, _) = open(&server.url(), 4, None).await;
        let seed = Link {
            kind: LinkKind::Seed,
            ..link(0)
        };
        let force = Admit {
            links: vec![seed.clone()],
            via: "seed".into(),
            force: true,
        };
        store.admit(&force).await.unwrap();
        admit(&store, 1..30).await;
        let mut settled = 0;
        while settled < 30 {
            let leases = claim_some(&store).await;
            settled += leases.len();
            let settles: Vec<_> = leases.iter().map(|lease| done(lease, vec![])).collect();
            store.settle(&settles).await.unwrap();
        }
        let bits = store.kept_bits();
        let masked = |n| Fingerprint(link(n).fingerprint.0 & bits);
        assert!(known(&store).await.contains(&masked(7).0));
        // Of some only the fingerprint is left.
        let lost: Vec<_> = (10..20).map(masked).collect();
        assert_eq!(store.forget(&lost).await.unwrap(), 10);
        assert_eq!(store.forget(&lost).await.unwrap(), 0, "a second time");
        assert!(!known(&store).await.contains(&masked(11).0));
        // Others can be named: the seed, which is known by its spelling too, a page, and one that was never known.
        let named = [seed, link(1), link_on(1, "new")];
        let named = named.map(|link| Again {
            link,
            via: Some("http://via.test/".into()),
            earlier: None,
            was_kept: false,
        });
        let reopened = |queued, waiting| Reopened { queued, waiting };
        assert_eq!(store.reopen(&named).await.unwrap(), reopened(3, 0));
        assert_eq!(store.reopen(&named).await.unwrap(), reopened(0, 3), "again");
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.known, stats.done, stats.queued), (21, 18, 3));
        assert_eq!(known(&store).await.len(), 21);
        // A node that comes after.
        let (store, _) = open(&server.url(), 4, None).await;
        let mut urls = HashSet::new();
        while urls.len() < 3 {
            for lease in claim_some(&store).await {
                urls.extend(lease.urls.iter().map(|queued| queued.url.clone()));
                // It leads to what was forgotten.
                let links = (10..20).map(link).collect();
                store.settle(&[done(&lease, links)]).await.unwrap();
            }
        }
        let stats = store.stats().await.unwrap();
        // What was forgotten is known again, and either waits or was fetched by now.
        assert_eq!((stats.known, stats.queued + stats.done), (31, 31));
    }

    #[test]
    fn an_origin_is_read_back() {
        let found = origin("::1|0|8080").unwrap();
        assert_eq!(
            (found.host.as_str(), found.https, found.port),
            ("::1", false, 8080)
        );
        assert!(origin("a|1").is_none() && origin("a|1|x").is_none());
    }
}

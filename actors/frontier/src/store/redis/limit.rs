//! `--limit` over all nodes: permits, counted in one place for the whole crawl.
//!
//! Owns this node's part: what it has been granted and not used yet, and what it must still count. Kept pages and leased
//! URLs together never exceed the limit, so that it holds whatever becomes of the pages. A node that dies between its
//! shard's step and the count leaves permits out for ever; they are reckoned anew from the shards when nothing is leased
//! and nothing has been counted for [`QUIET`]. Invariant: a permit older than [`PERMIT`] is not used any more, so that
//! no node comes back with permits that were reckoned away. Crawls without a limit never call this.

use std::sync::Mutex;
use std::time::Duration;

use contract::clock::Boot;
use contract::control::FrontierStats;
use redis::Cmd;

use super::scripts::{call, odd};
use super::{Core, locked};
use crate::error::StoreError;

/// A permit is used within this or not at all.
const PERMIT: Duration = Duration::from_secs(2);
/// Counts that have not moved for so long, with nothing leased, are nobody's.
const QUIET: Duration = Duration::from_secs(6);

/// Positions that are over: with a kept page, and in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) kept: u64,
    pub(super) over: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Permits {
    /// Over, and not counted yet.
    open: Mutex<Tally>,
    /// Kept and out as last seen, and since when they are so.
    seen: Mutex<Option<(u64, u64, Boot)>>,
}

/// Permits of one claim.
pub(super) struct Granted {
    pub(super) count: u64,
    until: Boot,
}

impl Granted {
    /// Whether they may still be used.
    pub(super) fn holds(&self, now: Boot) -> bool {
        now < self.until
    }
}

impl Permits {
    /// Positions are over: told with the next call.
    pub(super) fn over(&self, tally: Tally) {
        let mut open = locked(&self.open);
        open.kept += tally.kept;
        open.over += tally.over;
    }

    /// Whether there is something to tell that may free permits.
    pub(super) fn is_freed(&self) -> bool {
        locked(&self.open).over > 0
    }

    /// Asks for permits; none if the crawl has no limit.
    pub(super) async fn take(
        &self,
        core: &Core,
        wanted: usize,
    ) -> Result<Option<Granted>, StoreError> {
        let Some(limit) = core.rules().limit else {
            return Ok(None);
        };
        let until = core.clock.boot().after(PERMIT);
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        let (count, _, _) = self.tell(core, limit, wanted).await?;
        Ok(Some(Granted { count, until }))
    }

    /// Tells what is over, if anything is.
    pub(super) async fn flush(&self, core: &Core) -> Result<(), StoreError> {
        let nothing = *locked(&self.open) == Tally::default();
        match core.rules().limit.filter(|_| !nothing) {
            Some(limit) => self.tell(core, limit, 0).await.map(drop),
            None => Ok(()),
        }
    }

    async fn tell(
        &self,
        core: &Core,
        limit: u64,
        wanted: u64,
    ) -> Result<(u64, u64, u64), StoreError> {
        let tally = std::mem::take(&mut *locked(&self.open));
        let key = format!("{{c{}}}:l", core.shape.crawl);
        let args = |cmd: &mut Cmd| {
            cmd.arg(limit).arg(wanted).arg(tally.kept).arg(tally.over);
        };
        match call(&core.link, &core.scripts.permits, &key, args).await {
            Ok(answer) => redis::from_redis_value(answer).map_err(|_| odd("permits")),
            Err(trouble) => {
                // It may have been counted or not. Counted twice would let the limit be exceeded: what was kept is told
                // again, what is no longer out is not; the reckoning finds it.
                self.over(Tally { over: 0, ..tally });
                Err(trouble.into())
            }
        }
    }

    /// Kept pages are reopened and no longer count. Told once: twice would let the limit be exceeded, and of what was not
    /// told the reckoning hears.
    pub(super) async fn taken_back(&self, core: &Core, kept: u64) -> Result<(), StoreError> {
        let Some(limit) = core.rules().limit.filter(|_| kept > 0) else {
            return Ok(());
        };
        let key = format!("{{c{}}}:l", core.shape.crawl);
        let args = |cmd: &mut Cmd| {
            cmd.arg(limit).arg(0).arg(format!("-{kept}")).arg(0);
        };
        call(&core.link, &core.scripts.permits, &key, args).await?;
        Ok(())
    }

    /// Reckons permits anew that were lost with a node.
    pub(super) async fn look(&self, core: &Core, stats: &FrontierStats) -> Result<(), StoreError> {
        let Some(limit) = core.rules().limit else {
            return Ok(());
        };
        let (_, kept, out) = self.tell(core, limit, 0).await?;
        let now = core.clock.boot();
        let since = {
            let mut seen = locked(&self.seen);
            let same = seen.filter(|(k, o, _)| (*k, *o) == (kept, out) && stats.leases == 0);
            let since = same.map_or(now, |(.., since)| since);
            *seen = Some((kept, out, since));
            since
        };
        let is_right = out == 0 && kept == stats.kept;
        if stats.leases > 0 || is_right || now.since(since) < QUIET {
            return Ok(());
        }
        let key = format!("{{c{}}}:l", core.shape.crawl);
        let args = |cmd: &mut Cmd| {
            cmd.arg(kept).arg(out).arg(stats.kept);
        };
        call(&core.link, &core.scripts.reckon, &key, args).await?;
        Ok(())
    }
}

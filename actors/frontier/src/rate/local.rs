//! The rates of a crawl that one process works on: in memory, gone with it, as no other node has to know them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::clock::Clock;
use contract::rate::{Limit, RateScope, Reserve, Reserved, StoreTime};
use futures_util::future::{BoxFuture, FutureExt, ready};

use super::gcra::{self, Meter};
use super::{RateError, RateStore};

/// Both rates, on this machine's boot clock.
#[derive(Debug)]
pub struct LocalRates {
    clock: Clock,
    meters: Mutex<Meters>,
}

#[derive(Debug, Default)]
struct Meters {
    cluster: Meter,
    crawl: Meter,
}

impl LocalRates {
    /// Nothing is set yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            meters: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meters> {
        // A number is written whole or not at all.
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meters {
    fn of(&mut self, scope: RateScope) -> &mut Meter {
        match scope {
            RateScope::Cluster => &mut self.cluster,
            RateScope::Crawl => &mut self.crawl,
        }
    }
}

impl RateStore for LocalRates {
    fn reserve(&self, ask: Reserve) -> BoxFuture<'_, Result<Reserved, RateError>> {
        let mut meters = self.lock();
        let Meters { cluster, crawl } = &mut *meters;
        let reserved = if cluster.version == 0 || crawl.version == 0 {
            Err(RateError::Unset)
        } else {
            let now = StoreTime(self.clock.boot().0);
            Ok(gcra::reserve(cluster, crawl, &ask, now))
        };
        ready(reserved).boxed()
    }

    fn set_rate(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>> {
        ready(Ok(self.lock().of(scope).set(limit))).boxed()
    }

    fn begin(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>> {
        let mut meters = self.lock();
        let meter = meters.of(scope);
        let version = match meter.version {
            0 => meter.set(limit),
            version => version,
        };
        ready(Ok(version)).boxed()
    }

    fn limit(&self, scope: RateScope) -> BoxFuture<'_, Result<Option<(Limit, u64)>, RateError>> {
        let meter = *self.lock().of(scope);
        let set = (meter.version > 0).then_some((meter.limit, meter.version));
        ready(Ok(set)).boxed()
    }
}

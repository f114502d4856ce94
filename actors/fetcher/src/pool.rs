//! Each host's connection, kept for its next lease while that is near.
//!
//! Owns the idle connections of a fetcher: one is closed when it has been idle too long or when there are too many
//! (I8). Invariant: connections in use and kept ones together are at most the bound, one for each host. It knows no
//! leases, connects to nothing and sends nothing. Start at [`Pool::take`].

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use contract::clock::{Boot, Clock};
use contract::host::Host;

use crate::connection::Connection;

/// A fetcher's connections. `C` is one, but in tests.
#[derive(Debug)]
pub(crate) struct Pool<C = Connection> {
    clock: Clock,
    idle_limit: Duration,
    bound: usize,
    in_use: usize,
    kept: HashMap<Host, (C, Boot)>,
    /// Oldest first; an entry counts only while its time is still the kept connection's.
    order: VecDeque<(Boot, Host)>,
}

impl<C> Pool<C> {
    /// At most `bound` connections, none of them idle for `idle_limit`.
    pub(crate) fn new(clock: Clock, bound: usize, idle_limit: Duration) -> Self {
        Self {
            clock,
            idle_limit,
            bound,
            in_use: 0,
            kept: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The host's kept connection if there is one, and in any case room for one; to be given back by
    /// [`Pool::give_back`].
    pub(crate) fn take(&mut self, host: &Host) -> Option<C> {
        self.sweep();
        let kept = self.kept.remove(host);
        self.in_use += 1;
        self.evict();
        kept.map(|(connection, _)| connection)
    }

    /// Gives room back, and the connection in it for the host's next lease.
    pub(crate) fn give_back(&mut self, host: Host, connection: Option<C>) {
        self.in_use = self.in_use.saturating_sub(1);
        if let Some(connection) = connection {
            let now = self.clock.boot();
            self.order.push_back((now, host.clone()));
            self.kept.insert(host, (connection, now));
            self.evict();
        }
    }

    /// Drops what has been idle for too long.
    pub(crate) fn sweep(&mut self) {
        let now = self.clock.boot();
        while let Some((since, _)) = self.order.front() {
            if now.since(*since) < self.idle_limit {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Connections that are kept for a next lease.
    pub(crate) fn idle(&self) -> usize {
        self.kept.len()
    }

    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    fn evict(&mut self) {
        while self.kept.len() + self.in_use > self.bound && self.drop_oldest() {}
        // Hosts that come and go within the idle time leave stale entries; they must not pile up.
        if self.order.len() > 2 * self.bound {
            let kept = &self.kept;
            self.order
                .retain(|(since, host)| kept.get(host).is_some_and(|(_, at)| at == since));
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((since, host)) = self.order.pop_front() else {
            return false;
        };
        if self.kept.get(&host).is_some_and(|(_, at)| *at == since) {
            self.kept.remove(&host);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Wall;

    fn pool(bound: usize) -> (Pool<u32>, Clock) {
        let clock = Clock::manual(Wall(0));
        (
            Pool::new(clock.clone(), bound, Duration::from_secs(30)),
            clock,
        )
    }

    fn host(n: usize) -> Host {
        Host::from_stored(&format!("h{n}.zoo.test"))
    }

    #[test]
    fn a_host_gets_its_connection_back_until_it_is_idle_too_long() {
        let (mut pool, clock) = pool(10);
        assert_eq!(pool.take(&host(1)), None);
        pool.give_back(host(1), Some(7));
        clock.advance(Duration::from_secs(29));
        assert_eq!(pool.take(&host(1)), Some(7));
        pool.give_back(host(1), Some(7));
        clock.advance(Duration::from_secs(29));
        pool.sweep();
        assert_eq!(pool.idle(), 1, "idle since its last lease only");
        clock.advance(Duration::from_secs(1));
        pool.sweep();
        assert_eq!((pool.idle(), pool.order.len()), (0, 0));
        assert_eq!(pool.take(&host(1)), None);
        pool.give_back(host(1), None);
        assert_eq!((pool.idle(), pool.in_use()), (0, 0));
    }

    #[test]
    fn the_bound_holds_and_the_longest_idle_goes_first() {
        let (mut pool, _) = pool(3);
        for n in 0..3 {
            pool.take(&host(n));
            pool.give_back(host(n), Some(0));
        }
        pool.take(&host(9));
        assert!(!pool.kept.contains_key(&host(0)));
        assert!(pool.kept.contains_key(&host(1)) && pool.kept.contains_key(&host(2)));
        for _ in 0..50 {
            let kept = pool.take(&host(1));
            pool.give_back(host(1), kept);
        }
        assert!(pool.order.len() <= 6 && pool.idle() == 2, "{pool:?}");
    }
}

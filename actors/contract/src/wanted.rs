//! Whether another node waits for one of this node's leases, which then goes back at its next page's end.
//!
//! Owns the moment until which one is wanted. It knows neither leases nor nodes: the store of a shared frontier asks, the
//! first run that hears of it gives its lease back. Invariant: what is asked for once is given once, or not at all when
//! nobody could in time. Start at [`Wanted::take`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Boot;

/// Shared by the store and the fetchers of a node; nobody ever asks where no other node can.
#[derive(Clone, Debug, Default)]
pub struct Wanted(Arc<AtomicU64>);

impl Wanted {
    /// One lease is wanted, until this moment.
    pub fn ask(&self, until: Boot) {
        self.0.fetch_max(until.0, Ordering::AcqRel);
    }

    /// True for one who asks while a lease is wanted: his is.
    pub fn take(&self, now: Boot) -> bool {
        // Whenever a page has ended: nothing is written where nothing is wanted.
        self.0.load(Ordering::Acquire) > now.0 && self.0.swap(0, Ordering::AcqRel) > now.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lease_is_given_for_each_that_is_wanted_in_time() {
        let wanted = Wanted::default();
        assert!(!wanted.take(Boot(0)), "nobody asked");
        wanted.ask(Boot(10));
        wanted.ask(Boot(5));
        assert!(!wanted.take(Boot(10)), "too late");
        wanted.ask(Boot(20));
        assert!(wanted.clone().take(Boot(19)));
        assert!(!wanted.take(Boot(19)), "it was given");
    }
}

//! Whether this node may still trust its leases: the shared frontier has answered it lately, and still knows them.
//!
//! Owns the moment of the last question that was answered, and the moment before which all leases are void. It knows
//! no lease: a holder asks with the moment at which its own was claimed. Invariants: a node sends nothing later than its
//! limit after its last answered question (DESIGN, Clocks), and nothing under a lease that the store may have forgotten.
//! A store of this machine cannot be out of reach: [`Pulse::always`]. Start at [`Pulse::allows`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Boot, Clock};

/// Shared by the store and the fetchers of a node.
#[derive(Clone, Debug)]
pub struct Pulse(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    limit: Duration,
    last: AtomicU64,
    void_before: AtomicU64,
}

/// Why nothing may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The store has not answered for too long: wait.
    Away,
    /// The store may have forgotten the lease: it is over.
    Void,
}

impl Pulse {
    /// The store is in this process.
    pub const fn always() -> Self {
        Self(None)
    }

    /// Nothing is sent later than `limit` after the last question that was answered.
    pub fn within(clock: Clock, limit: Duration) -> Self {
        Self(Some(Arc::new(Inner {
            clock,
            limit,
            last: AtomicU64::new(0),
            void_before: AtomicU64::new(0),
        })))
    }

    /// A question that was asked at this moment has been answered.
    pub fn beat(&self, asked: Boot) {
        if let Some(inner) = &self.0 {
            inner.last.fetch_max(asked.0, Ordering::Relaxed);
        }
    }

    /// What was leased up to now is void.
    pub fn void(&self) {
        if let Some(inner) = &self.0 {
            let now = inner.clock.boot().0 + 1;
            inner.void_before.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Whether a request may be sent now, under a lease claimed at this moment.
    ///
    /// # Errors
    /// Why not.
    pub fn allows(&self, claimed: Boot) -> Result<(), Silence> {
        let Some(inner) = &self.0 else { return Ok(()) };
        if claimed.0 < inner.void_before.load(Ordering::Relaxed) {
            return Err(Silence::Void);
        }
        let last = Boot(inner.last.load(Ordering::Relaxed));
        if last.after(inner.limit) < inner.clock.boot() {
            return Err(Silence::Away);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    #[test]
    fn a_node_falls_silent_after_its_store_did_and_forgets_what_that_forgot() {
        let clock = Clock::manual(Wall(0));
        clock.advance(Duration::from_secs(100));
        let pulse = Pulse::within(clock.clone(), Duration::from_secs(2));
        assert_eq!(pulse.allows(clock.boot()), Err(Silence::Away));
        let claimed = clock.boot();
        pulse.beat(claimed);
        clock.advance(Duration::from_secs(2));
        assert_eq!(pulse.allows(claimed), Ok(()));
        clock.advance(Duration::from_millis(1));
        assert_eq!(pulse.allows(claimed), Err(Silence::Away));
        pulse.beat(clock.boot());
        pulse.beat(claimed);
        assert_eq!(
            pulse.allows(claimed),
            Ok(()),
            "an old answer takes nothing back"
        );
        pulse.void();
        assert_eq!(pulse.allows(claimed), Err(Silence::Void));
        clock.advance(Duration::from_millis(1));
        assert_eq!(pulse.allows(clock.boot()), Ok(()), "a new lease is good");
        assert_eq!(Pulse::always().allows(Boot(0)), Ok(()));
    }
}

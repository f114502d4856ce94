//! Whether the crawl is paused: then nothing more is sent, and leases go back with what they have not brought.
//!
//! Owns one bit. It knows neither orders nor leases: the coordinator sets it by what the frontier says (or has just been
//! told), a holder reads it before each request. Invariant: who looks after it was set sends nothing. Start at [`Halt::set`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the coordinator and the fetchers of a node, one a crawl.
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Nothing is sent from now on; or again.
    pub fn set(&self, halted: bool) {
        self.0.store(halted, Ordering::SeqCst);
    }

    /// Whether nothing may be sent.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

//! This node's share of a crawl's leases: a node that has none goes before those that have some.
//!
//! Owns which leases this node's fetchers hold, as far as it knows, and asks for one back when a node without any waits and
//! this one has more than one. All of it only says who is asked first: what is wrong here ends with the leases. Invariant:
//! a node never gives its last lease away, so that a crawl of one host stays where it is. Start at [`Shares::is_hungry`].

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use contract::clock::Boot;
use contract::host::Host;
use contract::lease::Token;
use contract::wanted::Wanted;

use super::locked;

/// A node without a lease that was granted nothing waits for so long before the others; it asks twice in that time.
pub(super) const HUNGER: Duration = Duration::from_secs(1);
/// One lease is given away in this time, however many nodes wait.
const EACH: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(super) struct Shares {
    /// Each until it has run out.
    held: Mutex<HashMap<(Host, Token), Boot>>,
    /// When the next one may be asked for.
    next: Mutex<Option<Boot>>,
    pub(super) wanted: Wanted,
}

impl Shares {
    /// The lease was granted to this node.
    pub(super) fn granted(&self, host: &Host, token: Token, until: Boot) {
        locked(&self.held).insert((host.clone(), token), until);
    }

    /// The lease was extended; one that an earlier process was granted is not this one's.
    pub(super) fn extended(&self, host: &Host, token: Token, until: Boot) {
        if let Some(end) = locked(&self.held).get_mut(&(host.clone(), token)) {
            *end = until;
        }
    }

    /// No request is sent under it any more.
    pub(super) fn given_back(&self, host: &Host, token: Token) {
        locked(&self.held).remove(&(host.clone(), token));
    }

    fn count(&self, now: Boot) -> usize {
        let mut held = locked(&self.held);
        held.retain(|_, until| *until > now);
        held.len()
    }

    /// Whether this node has no lease at all.
    pub(super) fn is_hungry(&self, now: Boot) -> bool {
        self.count(now) == 0
    }

    /// Another node has none and found nothing.
    pub(super) fn other_waits(&self, now: Boot) {
        let mut next = locked(&self.next);
        if next.is_none_or(|next| next <= now) && self.count(now) > 1 {
            *next = Some(now.after(EACH));
            self.wanted.ask(now.after(EACH));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_one_of_several_leases_a_second_and_never_its_last() {
        let shares = Shares::default();
        let at = |ms: u64| Boot(ms * 1_000);
        let lease = |n: u64| (Host::from_stored(&format!("h{n}.test")), Token(n));
        assert!(shares.is_hungry(at(0)));
        for n in 0..3 {
            let (host, token) = lease(n);
            shares.granted(&host, token, at(5_000 + n));
        }
        assert!(!shares.is_hungry(at(0)));
        shares.other_waits(at(0));
        assert!(shares.wanted.take(at(0)));
        shares.other_waits(at(999));
        assert!(!shares.wanted.take(at(999)), "one a second");
        shares.other_waits(at(1_000));
        assert!(shares.wanted.take(at(1_000)));
        for n in 0..2 {
            let (host, token) = lease(n);
            shares.given_back(&host, token);
        }
        shares.other_waits(at(2_000));
        assert!(!shares.wanted.take(at(2_000)), "the last one stays");
        let (host, token) = lease(9);
        shares.extended(&host, token, at(9_000));
        assert!(!shares.is_hungry(at(5_001)));
        assert!(shares.is_hungry(at(5_002)), "it has run out");
    }
}

//! A store's own time: the machine's civil time at opening, then the boot clock's, so that it never goes back
//! and no jump of the civil clock makes a host look rested or a lease look ended.
//!
//! Owns the anchor; its caller persists the latest time seen and gives it back at the next opening. It knows no
//! file. Invariant: `now` is never before any time that was persisted.

use std::time::Duration;

use contract::clock::{Boot, Clock, micros};

/// Microseconds since 1970 in the store's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now(pub(crate) u64);

impl Now {
    /// Whole milliseconds, rounded down: nothing is due early.
    pub(crate) fn ms(self) -> u64 {
        self.0 / 1_000
    }

    /// The first whole millisecond that lies `by` after a moment `ago` before now: no rest is cut short.
    pub(crate) fn ms_after(self, ago: Duration, by: Duration) -> u64 {
        let from = self.0.saturating_sub(micros(ago));
        from.saturating_add(micros(by)).div_ceil(1_000)
    }
}

/// A store's clock.
#[derive(Debug)]
pub(crate) struct StoreTime {
    clock: Clock,
    anchor: u64,
    opened: Boot,
}

impl StoreTime {
    /// Time that goes on from civil time, or from `latest` where that is later.
    pub(crate) fn open(clock: Clock, latest: u64) -> Self {
        let (anchor, opened) = (clock.wall().0.max(latest), clock.boot());
        Self {
            clock,
            anchor,
            opened,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now(self.anchor + micros(self.clock.boot().since(self.opened)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Wall;

    #[test]
    fn it_never_goes_back_over_a_reopening() {
        let clock = Clock::manual(Wall(5_000_000));
        let time = StoreTime::open(clock.clone(), 9_000_000);
        assert_eq!(time.now(), Now(9_000_000));
        clock.advance(Duration::from_millis(3));
        assert_eq!(time.now(), Now(9_003_000));
        assert_eq!(StoreTime::open(clock, 0).now(), Now(5_003_000));
    }

    #[test]
    fn rests_are_rounded_up_and_now_down() {
        let now = Now(10_000_999);
        assert_eq!(now.ms(), 10_000);
        let rest = now.ms_after(Duration::ZERO, Duration::from_millis(5));
        assert_eq!(rest, 10_006);
        let rest = now.ms_after(Duration::from_micros(999), Duration::from_millis(5));
        assert_eq!(rest, 10_005);
    }
}

//! Time and chance, passed in so that a seed and a manual clock replay a crawl.
//!
//! Owns the two kinds of time: [`Boot`] (durations on this node; CLOCK_BOOTTIME, so that a suspended
//! machine's leases run out) and [`Wall`] (what records and reports say). It knows no timers: rooms sleep
//! with tokio, on durations computed from here.
//! Invariant: `Boot` never goes back; nothing compares `Wall` times to decide whether a lease still holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on this node's boot clock, in microseconds. Comparable on one node and one boot only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Boot(pub u64);

/// A moment of civil time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Wall(pub u64);

impl Boot {
    /// This moment plus `duration`, saturating.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Wall {
    /// Milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }
}

/// `duration` in whole microseconds, saturating at `u64::MAX`.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// `duration` in whole milliseconds, saturating at `u64::MAX`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where a room gets the time from: the machine, or a test's hand.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Machine,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    boot: AtomicU64,
    wall: AtomicU64,
}

impl Clock {
    /// The machine's clocks.
    pub fn machine() -> Self {
        Self(Source::Machine)
    }

    /// A clock that stands still at `wall` until [`Clock::advance`] moves it (tests).
    pub fn manual(wall: Wall) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            boot: AtomicU64::new(1_000_000),
            wall: AtomicU64::new(wall.0),
        })))
    }

    /// Moves a manual clock forward; the machine's clocks cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.boot.fetch_add(micros(by), Ordering::SeqCst);
            manual.wall.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Now, for durations.
    pub fn boot(&self) -> Boot {
        match &self.0 {
            Source::Machine => Boot(read_boot_clock()),
            Source::Manual(manual) => Boot(manual.boot.load(Ordering::SeqCst)),
        }
    }

    /// Now, for people and records.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads civil time"
    )]
    pub fn wall(&self) -> Wall {
        match &self.0 {
            Source::Machine => Wall(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, micros),
            ),
            Source::Manual(manual) => Wall(manual.wall.load(Ordering::SeqCst)),
        }
    }
}

fn read_boot_clock() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    // Linux has had CLOCK_BOOTTIME since 2.6.39; were it refused, 0 would hold every lease closed, not open.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
        seconds * 1_000_000 + nanos / 1_000
    })
}

/// A small seeded source of chance (splitmix64) for jitter and identifiers; not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same sequence.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration drawn evenly from `[base/2, base*3/2)`: full-width jitter around `base`.
    pub fn jitter(&mut self, base: Duration) -> Duration {
        let width = micros(base).max(1);
        Duration::from_micros(width / 2 + self.draw() % width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_both_kinds_of_time_and_only_by_hand() {
        let clock = Clock::manual(Wall(5_000_000));
        let before = clock.boot();
        assert_eq!(clock.boot(), before);
        clock.advance(Duration::from_millis(250));
        assert_eq!(clock.boot().since(before), Duration::from_millis(250));
        assert_eq!(clock.wall().millis(), 5_250);
    }

    #[test]
    fn the_boot_clock_runs() {
        let clock = Clock::machine();
        let before = clock.boot();
        assert!(before.0 > 0);
        while clock.boot() == before {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn jitter_stays_around_its_base() {
        let mut chance = Chance::seeded(7);
        for _ in 0..1_000 {
            let drawn = chance.jitter(Duration::from_secs(60));
            assert!(
                drawn >= Duration::from_secs(30) && drawn < Duration::from_secs(90),
                "{drawn:?}"
            );
        }
    }
}

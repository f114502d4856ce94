//! The reckoning of slots: generic cell rate algorithm (ITU-T I.371), two rates at once, shared out among those who ask.
//!
//! Pure: time and state come in, state and slots go out. `reserve.lua` says the same in the same order, and is held
//! against this by a property test; so every step is whole numbers that a double holds exactly (below 2^53), or is
//! cut to a bound far below. Times are microseconds, steps nanoseconds.
//!
//! *Sharing.* A rate's `tat` is where its next slot is booked. Were slots given to whoever asks first, a node's part
//! would be the time since anybody asked before it. So each node has a mark of its own, kept by the node and sent with
//! its question: how far it has used an equal part of the rate (one of as many as have asked within about a second).
//! Up to its mark's distance from now it may book as far ahead as [`AHEAD`]; beyond that only what others leave: where
//! less than half of [`AHEAD`] is booked. The other half is room for nodes that all ask at about the same time: as long
//! as they ask more often than that, none is cut short of its part, whatever the order. Start at [`reserve`].

use contract::clock::micros;
use contract::rate::{
    AHEAD, CHUNK, Grant, Limit, Reserve, Reserved, Slots, StoreTime, Versions, WANT_MAX, WEIGHT_MAX,
};

/// Who asked within such a time, or within the one before, is counted.
const EPOCH: u64 = 1_000_000;
/// A booking further ahead than this (and one slot) is of a clock that went back, or of a rate that was lower.
const LEAD_MAX: u64 = 1_000_000;
/// A burst counts up to what so long a time allows.
const BURST_TIME_MAX: u64 = 3_600_000_000;
/// A node's own slots are taken to be no further apart than this, in nanoseconds; only sharing hangs on it.
const SHARE_STEP_MAX: u64 = 1_000_000_000_000;

/// One rate's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Meter {
    pub(super) limit: Limit,
    pub(super) version: u64,
    /// Where the next slot is booked at the earliest.
    pub(super) tat: u64,
    /// The second that `askers` are counted in, and their number in the second before.
    pub(super) epoch: u64,
    pub(super) askers: u64,
    pub(super) before: u64,
}

impl Meter {
    /// Sets how fast; the same again makes no new version.
    pub(super) fn set(&mut self, limit: Limit) -> u64 {
        if self.version == 0 || self.limit != limit {
            self.limit = limit;
            self.version += 1;
        }
        self.version
    }

    /// Counts who asks, once a second.
    fn count(&mut self, now: u64, last: u64) {
        let epoch = now / EPOCH;
        if self.epoch != epoch {
            self.before = if self.epoch + 1 == epoch {
                self.askers
            } else {
                0
            };
            (self.epoch, self.askers) = (epoch, 0);
        }
        if last / EPOCH != epoch {
            self.askers += 1;
        }
    }

    /// Nanoseconds that a request takes up; none where there is no limit.
    fn cost(&self, weight: u64) -> Option<u64> {
        self.limit.rate.map(|rate| rate.step_ns() * weight)
    }

    /// Where its next slot may be booked.
    fn from(&self, now: u64, cost: u64) -> u64 {
        let burst = u64::from(self.limit.burst.max(1) - 1);
        let back = (burst.saturating_mul(cost) / 1_000).min(BURST_TIME_MAX);
        let latest = now + LEAD_MAX + cost.div_ceil(1_000);
        self.tat.max(now.saturating_sub(back)).min(latest)
    }

    /// Nanoseconds between two slots of one node among all that ask.
    fn share_step(&self, cost: u64) -> u64 {
        let askers = self.askers.max(self.before).max(1);
        cost.saturating_mul(askers).min(SHARE_STEP_MAX)
    }
}

/// Books what is asked for in both rates, as far as both let it in.
pub(super) fn reserve(
    cluster: &mut Meter,
    crawl: &mut Meter,
    ask: &Reserve,
    now: StoreTime,
) -> Reserved {
    let (want, weight) = (
        u64::from(ask.want.min(WANT_MAX)),
        u64::from(ask.weight.clamp(1, WEIGHT_MAX)),
    );
    let (at, ahead, chunk) = (now.0, micros(AHEAD), micros(CHUNK));
    let versions = Versions {
        cluster: cluster.version,
        crawl: crawl.version,
    };
    let mut meters: Vec<(&mut Meter, u64)> = [cluster, crawl]
        .into_iter()
        .filter_map(|meter| meter.cost(weight).map(|cost| (meter, cost)))
        .collect();
    if want > 0 {
        for (meter, _) in &mut meters {
            meter.count(at, ask.last.0);
        }
    }
    let (mut start, mut step, mut share_step) = (0, 0, 0);
    let (mut booked, mut booked_step) = (u64::MAX, u64::MAX);
    for (meter, cost) in &meters {
        let from = meter.from(at, *cost);
        (start, step) = (start.max(from), step.max(*cost));
        (booked, booked_step) = (booked.min(from), booked_step.min(*cost));
        share_step = share_step.max(meter.share_step(*cost));
    }
    if meters.is_empty() {
        return Reserved {
            now,
            versions,
            grant: Grant::Unlimited,
        };
    }

    // What a node may have by its own mark, and what is left over.
    let mark = match ask.share.0 {
        0 => at.saturating_sub(ahead / 4),
        mark => mark
            .max(at.saturating_sub(chunk + share_step.div_ceil(1_000)))
            .min(at + ahead),
    };
    let own = at.saturating_sub(mark) * 1_000 / share_step;
    let before = |end: u64| (end.saturating_sub(start) * 1_000).div_ceil(step);
    let granted = want.min(own.min(before(at + ahead)).max(before(at + ahead / 2)));

    if granted > 0 {
        for (meter, cost) in &mut meters {
            meter.tat = meter.from(at, *cost) + (granted * *cost).div_ceil(1_000);
        }
    }
    let room = at + ahead - mark;
    let share = mark + (granted * share_step).div_ceil(1_000).min(room);
    let slots = Slots {
        granted: u32::try_from(granted).unwrap_or(WANT_MAX),
        start: StoreTime(start),
        step_ns: step,
        booked: StoreTime(booked),
        booked_step_ns: booked_step,
        share: StoreTime(share),
    };
    Reserved {
        now,
        versions,
        grant: Grant::Slots(slots),
    }
}

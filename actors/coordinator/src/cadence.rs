//! When is a look at the frontier due?
//!
//! The rooms of this node are looked at with every tick, which costs nothing. A frontier that nodes share is asked for sums
//! over all its shards, so that it is asked less often while there is work, and at every tick when the crawl may be at its end:
//! an end is told without waiting for the next slow look. Owns the moments; the rest is passed in.
//! Invariant: a look that shows nothing to do is followed by another at the next tick. Start at [`Cadence::is_due`].

use std::time::Duration;

use contract::clock::Boot;

/// Remembers the last looks.
#[derive(Debug)]
pub struct Cadence {
    every: Duration,
    /// The last look at the frontier; none if the next tick is to bring one.
    last: Option<Boot>,
    /// This node had nothing to do at the last tick.
    is_quiet: bool,
    is_at_end: bool,
}

impl Cadence {
    /// A look at the frontier so often while there is work; zero: with every tick.
    pub fn every(every: Duration) -> Self {
        Self {
            every,
            last: None,
            is_quiet: false,
            is_at_end: false,
        }
    }

    /// Whether this tick looks at the frontier too.
    pub fn is_due(&self, now: Boot) -> bool {
        let is_late = |last| now.since(last) >= self.every;
        self.is_at_end || self.last.is_none_or(is_late)
    }

    /// The frontier was asked at this moment.
    pub fn asked(&mut self, now: Boot) {
        self.last = Some(now);
    }

    /// What it showed: whether the crawl may be at its end.
    pub fn saw(&mut self, is_at_end: bool) {
        self.is_at_end = is_at_end;
    }

    /// Whether this node has nothing to do. When that begins, the crawl may be at its end.
    pub fn here(&mut self, is_quiet: bool) {
        let was_quiet = std::mem::replace(&mut self.is_quiet, is_quiet);
        if is_quiet && !was_quiet {
            self.hurry();
        }
    }

    /// Something has changed that the next tick is to see.
    pub fn hurry(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Boot {
        Boot(ms * 1_000)
    }

    #[test]
    fn a_shared_frontier_is_asked_once_a_second_while_there_is_work() {
        let mut cadence = Cadence::every(SECOND);
        assert!(cadence.is_due(at(0)), "the first tick");
        cadence.asked(at(0));
        cadence.saw(false);
        cadence.here(false);
        assert!(!cadence.is_due(at(999)));
        assert!(cadence.is_due(at(1_000)));
        cadence.asked(at(1_000));
        cadence.hurry();
        assert!(cadence.is_due(at(1_001)), "an order was given");
    }

    #[test]
    fn the_end_is_seen_with_the_next_ticks() {
        let mut cadence = Cadence::every(SECOND);
        cadence.asked(at(0));
        cadence.here(true);
        assert!(cadence.is_due(at(200)), "this node has just run dry");
        cadence.asked(at(200));
        cadence.saw(false);
        cadence.here(true);
        assert!(!cadence.is_due(at(400)), "others have work: no hurry");
        cadence.saw(true);
        for tick in [400, 600] {
            assert!(cadence.is_due(at(tick)), "nothing is left anywhere");
            cadence.asked(at(tick));
        }
    }

    #[test]
    fn a_frontier_of_its_own_is_asked_with_every_tick() {
        let mut cadence = Cadence::every(Duration::ZERO);
        for _ in 0..3 {
            assert!(cadence.is_due(at(5)));
            cadence.asked(at(5));
        }
    }
}

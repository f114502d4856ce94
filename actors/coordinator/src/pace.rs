//! Rates over the last seconds, from the counts of each look.

use std::collections::VecDeque;
use std::time::Duration;

use contract::clock::Boot;

/// The window over which a rate is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples kept at most, however often one looks.
const SAMPLES_MAX: usize = 128;

/// Counts at moments of the last ten seconds.
#[derive(Debug, Default)]
pub struct Pace {
    samples: VecDeque<(Boot, u64, u64)>,
}

impl Pace {
    /// Adds a look's counts and gives pages and bytes a second over the window.
    pub fn look(&mut self, now: Boot, pages: u64, bytes: u64) -> (f64, f64) {
        self.samples.push_back((now, pages, bytes));
        while self.samples.len() > SAMPLES_MAX
            || self
                .samples
                .front()
                .is_some_and(|(at, ..)| now.since(*at) > WINDOW && self.samples.len() > 2)
        {
            self.samples.pop_front();
        }
        let Some(&(from, pages_then, bytes_then)) = self.samples.front() else {
            return (0.0, 0.0);
        };
        let seconds = now.since(from).as_secs_f64();
        if seconds == 0.0 {
            return (0.0, 0.0);
        }
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (rate(pages, pages_then), rate(bytes, bytes_then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_window() {
        let mut pace = Pace::default();
        let at = |seconds: u64| Boot(seconds * 1_000_000);
        assert_eq!(pace.look(at(0), 0, 0), (0.0, 0.0));
        assert_eq!(pace.look(at(2), 10, 2_000), (5.0, 1_000.0));
        for second in 3..40 {
            pace.look(at(second), 10 + (second - 2), 2_000);
        }
        let (pages, bytes) = pace.look(at(40), 48, 2_000);
        assert_eq!((pages.round(), bytes), (1.0, 0.0));
        assert!(pace.samples.len() <= 12);
    }
}

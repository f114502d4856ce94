//! How long a page is left alone: learned from whether it had changed when it was looked at.
//!
//! After Heritrix' WaitEvaluator (`org.archive.crawler.postprocessor.WaitEvaluator`: times or divided by 1.5, from a day on,
//! between an hour and four weeks). It reckons with the interval that was set; ours with the time that passed, because a
//! recrawl comes when somebody starts it, and a page seen unchanged after a month need not be asked again in a week.
//! A pure function: no clock, no file.

use storage::change::Change;

/// Before anything is known of a page, in seconds.
pub const FIRST: u32 = 7 * DAY;
/// No page is asked again sooner.
pub const LEAST: u32 = 3_600;
/// No page is left alone for longer.
pub const MOST: u32 = 90 * DAY;
const DAY: u32 = 86_400;

/// The next interval of a page after this finding, in seconds, `elapsed` after the look before.
pub fn after(interval: u32, change: Change, elapsed: u32) -> u32 {
    let next = match change {
        Change::Unchanged => interval.max(elapsed.saturating_add(elapsed / 2)),
        // Half: of two looks one is to find it unchanged.
        Change::Changed | Change::Back => interval.min(elapsed) / 2,
        // Few come back.
        Change::Gone => interval.saturating_mul(2),
        Change::Unknown => interval,
    };
    next.clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_change_are_looked_at_more_often() {
        #[track_caller]
        fn check(interval: u32, change: Change, elapsed: u32, want: u32) {
            assert_eq!(after(interval, change, elapsed), want);
        }
        check(7 * DAY, Change::Unchanged, 7 * DAY, 10 * DAY + DAY / 2);
        check(7 * DAY, Change::Unchanged, DAY, 7 * DAY);
        check(7 * DAY, Change::Unchanged, 30 * DAY, 45 * DAY);
        check(7 * DAY, Change::Unchanged, u32::MAX, MOST);
        check(7 * DAY, Change::Changed, 7 * DAY, 7 * DAY / 2);
        check(7 * DAY, Change::Changed, DAY, DAY / 2);
        check(7 * DAY, Change::Changed, 60, LEAST);
        check(7 * DAY, Change::Back, 30 * DAY, 7 * DAY / 2);
        check(7 * DAY, Change::Gone, DAY, 14 * DAY);
        check(60 * DAY, Change::Gone, DAY, MOST);
        check(7 * DAY, Change::Unknown, 30 * DAY, 7 * DAY);
    }
}

//! Politeness in figures: how long a host rests, how long a failed URL waits, how many URLs a lease holds.
//!
//! Owns the rules alone; it knows neither hosts nor stores nor the time. Invariant: a host never gets less rest
//! than the longest of our delay and what it asked for. Every store decides by these functions (I10).

use std::time::Duration;

use contract::clock::Chance;
use contract::lease::Token;

/// What one request takes beside the delay, when a lease's size is reckoned.
const FETCH_USUAL: Duration = Duration::from_millis(500);
/// The first retry waits about this long.
const BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// No retry waits longer than about this, unless the host asked for it.
const BACKOFF_MAX: Duration = Duration::from_secs(3_600);

/// The delay that holds for a host: the longer of ours and the one it asked for.
pub fn delay(ours: Duration, learned: Duration) -> Duration {
    ours.max(learned)
}

/// How long a host rests after a process has died while its lease was to blame, for the n-th time in a row: so that
/// others come before it, and kills in quick succession do not meet it each time.
pub fn blamed_rest(failures: u8) -> Duration {
    const EACH: Duration = Duration::from_secs(2);
    EACH * u32::from(failures)
}

/// How many URLs fit into a lease of this term: at least one, at most `asked`; one after a lease that ran out.
pub fn urls_per_lease(term: Duration, delay: Duration, failures: u8, asked: usize) -> usize {
    if failures > 0 {
        return 1.min(asked);
    }
    let each = delay.saturating_add(FETCH_USUAL).as_millis().max(1);
    let fit = usize::try_from(term.as_millis() / each).unwrap_or(usize::MAX);
    fit.max(1).min(asked)
}

/// How long a URL waits whose try number `tries` (from 1) has ended: doubling from five seconds, drawn evenly
/// around it, never less than `least`. The draw depends on the lease and the place in it, so that a settle that
/// is sent twice decides alike and URLs that failed together do not come back together.
pub fn backoff(tries: u8, least: Duration, token: Token, position: u32) -> Duration {
    let doublings = u32::from(tries.saturating_sub(1)).min(16);
    let base = BACKOFF_FIRST
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MAX);
    let seed = token.0.rotate_left(20) ^ u64::from(position) ^ (u64::from(tries) << 56);
    Chance::seeded(seed).jitter(base).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_what_it_has_time_for() {
        #[track_caller]
        fn check(delay_ms: u64, failures: u8, asked: usize, want: usize) {
            let got = urls_per_lease(
                Duration::from_secs(90),
                Duration::from_millis(delay_ms),
                failures,
                asked,
            );
            assert_eq!(got, want, "delay {delay_ms} ms");
        }
        check(1_000, 0, 100, 60);
        check(0, 0, 1_000, 180);
        check(0, 0, 16, 16);
        check(3_600_000, 0, 16, 1);
        check(0, 1, 16, 1);
        check(0, 0, 0, 0);
    }

    #[test]
    fn retries_spread_and_never_come_before_the_host_allows() {
        let (token, none) = (Token(7), Duration::ZERO);
        assert_eq!(
            backoff(1, none, token, 3),
            backoff(1, none, token, 3),
            "a settle sent twice decides alike"
        );
        assert_ne!(backoff(1, none, token, 3), backoff(1, none, token, 4));
        for tries in 1..=u8::MAX {
            let wait = backoff(tries, none, token, 0);
            assert!(wait >= BACKOFF_FIRST / 2 && wait < BACKOFF_MAX * 3 / 2);
            let day = Duration::from_secs(86_400);
            assert_eq!(backoff(tries, day, token, 0), day);
        }
    }
}

//! Waiting for a condition, never for a time.
//!
//! The only place where a test thread sleeps: between two looks at something that has no wake-up of its own,
//! such as a port that opens or a file of another process that grows.

use std::time::{Duration, Instant};

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` finds something and returns it.
///
/// # Panics
/// When nothing is found `within` the time; the message says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    match until_or_none(within, look) {
        Some(found) => found,
        None => panic!("waited {within:?} in vain for {what}"),
    }
}

/// Looks until `look` finds something; `None` when the time is up.
#[expect(
    clippy::disallowed_methods,
    reason = "a look at a foreign process or port has no wake-up to await"
)]
pub fn until_or_none<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_ends_the_wait() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some("there")
        });
        assert_eq!((found, looks), ("there", 3));
        assert_eq!(until_or_none(Duration::ZERO, || None::<()>), None);
    }
}

//! Numbered fail points: "the n-th write fails with ENOSPC", so that a test can loop n = 1, 2, … until nothing
//! fails any more and prove at each n that nothing acknowledged was lost.
//!
//! A [`FailPlan`] is part of a room's configuration and empty in production, where a check costs one branch.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which numbered step fails, and how.
#[derive(Clone, Debug, Default)]
pub struct FailPlan(Option<Arc<Plan>>);

#[derive(Debug)]
struct Plan {
    countdown: AtomicU64,
    errno: i32,
    /// Every step from the n-th on fails (a disk that stays full), not that one alone.
    stays: bool,
}

impl FailPlan {
    /// Nothing fails.
    pub fn none() -> Self {
        Self(None)
    }

    /// The `n`-th step (from 1) fails with this `errno`, and those after it too if it `stays`.
    pub fn nth(n: u64, errno: i32, stays: bool) -> Self {
        Self(Some(Arc::new(Plan {
            countdown: AtomicU64::new(n),
            errno,
            stays,
        })))
    }

    /// Passes a fail point.
    ///
    /// # Errors
    /// The planned error, when this is the planned step.
    pub fn step(&self) -> io::Result<()> {
        let Some(plan) = &self.0 else { return Ok(()) };
        let left = plan
            .countdown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match left {
            Ok(1) => Err(io::Error::from_raw_os_error(plan.errno)),
            Err(_) if plan.stays => Err(io::Error::from_raw_os_error(plan.errno)),
            _ => Ok(()),
        }
    }

    /// True once the planned step has been reached.
    pub fn fired(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|plan| plan.countdown.load(Ordering::SeqCst) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planned_step_fails_and_no_other() {
        let plan = FailPlan::nth(2, 28, false);
        assert!(plan.step().is_ok() && !plan.fired());
        assert_eq!(plan.step().unwrap_err().raw_os_error(), Some(28));
        assert!(plan.step().is_ok() && plan.fired());
        let full = FailPlan::nth(1, 28, true);
        assert!(full.step().is_err() && full.step().is_err());
        assert!(FailPlan::none().step().is_ok());
    }
}

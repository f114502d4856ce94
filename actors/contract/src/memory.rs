//! The byte budget: how many bytes of bodies may be in memory at once, whatever their size.
//!
//! Owns one semaphore counted in KiB. A request reserves [`REQUEST_RESERVE`] before it starts; growing asks
//! without waiting (a request that holds memory never waits for more, so nothing can lock); on refusal the body
//! goes to a file. Invariant (I6): reservations never exceed the budget and come back with the body's `Drop`.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a request reserves before it starts.
pub const REQUEST_RESERVE: u64 = 64 * 1_024;

/// Shared by all fetchers of a node.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    kib: Arc<Semaphore>,
    bound: u64,
}

/// Bytes held; released on drop.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of `bytes`, at least one request's reserve.
    pub fn new(bytes: u64) -> Self {
        // Whole KiB: what is asked for is rounded up, and the largest request must still fit.
        let bound = bytes.max(REQUEST_RESERVE) / 1_024 * 1_024;
        let kib = usize::try_from(bound / 1_024)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            kib: Arc::new(Semaphore::new(kib)),
            bound,
        }
    }

    /// Waits for a request's reserve.
    pub async fn reserve(&self) -> Reservation {
        let permit = self
            .kib
            .clone()
            .acquire_many_owned(kib(REQUEST_RESERVE))
            .await;
        // The semaphore is private and never closed.
        Reservation {
            permit: permit.expect("a byte budget is never closed"),
        }
    }

    /// Waits for `bytes`, or for the whole budget where that is less. Whoever waits here must hold nothing that others
    /// need to give theirs back.
    pub async fn reserve_for(&self, bytes: u64) -> Reservation {
        let permit = self
            .kib
            .clone()
            .acquire_many_owned(kib(bytes.min(self.bound)))
            .await;
        // The semaphore is private and never closed.
        Reservation {
            permit: permit.expect("a byte budget is never closed"),
        }
    }

    /// Bytes that may be held.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.bound
            .saturating_sub(self.kib.available_permits() as u64 * 1_024)
    }
}

impl Reservation {
    /// Tries to hold at least `bytes` in all; false when the budget has no room, and nothing changed.
    pub fn grow_to(&mut self, budget: &ByteBudget, bytes: u64) -> bool {
        let more =
            kib(bytes).saturating_sub(u32::try_from(self.permit.num_permits()).unwrap_or(u32::MAX));
        if more == 0 {
            return true;
        }
        match budget.kib.clone().try_acquire_many_owned(more) {
            Ok(permit) => {
                self.permit.merge(permit);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives back what is held beyond `bytes` (a small body needs less than the reserve).
    pub fn shrink_to(&mut self, bytes: u64) {
        let keep = kib(bytes) as usize;
        if let Some(spare) = self.permit.num_permits().checked_sub(keep) {
            drop(self.permit.split(spare));
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.permit.num_permits() as u64 * 1_024
    }
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_larger_than_the_budget_has_it_alone() {
        let budget = ByteBudget::new(100 * 1_024 + 900);
        let one = budget.reserve_for(1).await;
        let all = budget.reserve_for(1 << 30);
        tokio::pin!(all);
        let waits = tokio::time::timeout(std::time::Duration::ZERO, &mut all).await;
        assert!(waits.is_err(), "it came in beside another");
        drop(one);
        assert_eq!(all.await.bytes(), 100 * 1_024);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn it_bounds_grows_without_waiting_and_gives_back() {
        let budget = ByteBudget::new(256 * 1_024);
        let mut one = budget.reserve().await;
        let two = budget.reserve().await;
        assert_eq!(budget.held(), 128 * 1_024);
        assert!(one.grow_to(&budget, 150_000));
        assert!(!one.grow_to(&budget, 300_000), "grew past the budget");
        assert_eq!(one.bytes(), 147 * 1_024);
        one.shrink_to(10_000);
        assert_eq!(one.bytes(), 10 * 1_024);
        drop((one, two));
        assert_eq!(budget.held(), 0);
    }
}

//! The rate that all nodes share: time slots, booked where every node sees them (FRONTIER, section 7).
//!
//! Owns the two rates, of the cluster and of each crawl, and how slots are booked in both at once. It knows no request
//! and no host: what a slot is used for is the node's own ([`contract::turns`]). [`gcra`] is the reckoning, pure and
//! the model that the script is held against; [`local::LocalRates`] keeps it in memory for one machine,
//! [`shared::RedisRates`] in Redis for many. Invariants: what is booked is ≤ rate · w + burst in any window w of the
//! bookings (I3); a slot is booked in both rates or in none; without settings nothing is granted.
//! Start at [`RateStore`], then [`gcra::reserve`].

mod gcra;
pub mod local;
pub mod shared;
#[cfg(test)]
mod tests;

use contract::admit::FrontierError;
use contract::error::chain;
use contract::rate::{Limit, RateScope, Reserve, Reserved};
use futures_util::future::BoxFuture;

/// Where the rates of a crawl's nodes are kept. Each verb is one atomic step and may be sent twice.
pub trait RateStore: Send + Sync + 'static {
    /// Books slots in both rates.
    ///
    /// # Errors
    /// The store is away or was never told the rates; the caller sends nothing more once its slots are used.
    fn reserve(&self, ask: Reserve) -> BoxFuture<'_, Result<Reserved, RateError>>;

    /// Sets how fast, from now on; what is booked already is used, so that it holds everywhere after
    /// [`contract::rate::AHEAD`] and [`contract::rate::CHUNK`]. Returns its version, from 1; the same again makes no
    /// new one.
    ///
    /// # Errors
    /// The store is away; it may have been set.
    fn set_rate(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>>;

    /// Sets how fast where that was never set (a new deployment or crawl), and returns the version that holds.
    ///
    /// # Errors
    /// The store is away; it may have been set.
    fn begin(&self, scope: RateScope, limit: Limit) -> BoxFuture<'_, Result<u64, RateError>>;

    /// How fast it is set, and the version; none before it was first set.
    ///
    /// # Errors
    /// The store is away.
    fn limit(&self, scope: RateScope) -> BoxFuture<'_, Result<Option<(Limit, u64)>, RateError>>;
}

/// Why a store of rates did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// No answer that would be of use any more.
    #[error("no word of the rate within {ms} ms")]
    Late { ms: u128 },
    /// The connection, or the server's own error.
    #[error("the rate's store failed")]
    Redis(#[from] redis::RedisError),
    /// Never set, or lost with the store's data.
    #[error("the store has no rate of this crawl or deployment; set one (`argiope rate`)")]
    Unset,
    /// Written by a later version of this program, or not by it at all.
    #[error("the stored rate cannot be read ({0}); use the newer program, or set the rate anew")]
    Unreadable(String),
}

impl From<RateError> for FrontierError {
    fn from(error: RateError) -> Self {
        Self::Store(chain(&error))
    }
}

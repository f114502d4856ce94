//! The frontier's state machine: hosts, their leases and the schedule, as plain values.
//!
//! Owns what may happen to a host and in which order. It knows no actor, no file and no clock: time is passed
//! in, and the caller writes down what has changed. Invariants (FRONTIER, F1–F8): at most one lease a host;
//! tokens rise; a URL leaves its queue only under the current token; settling twice is settling once; the next
//! grant comes no earlier than the last request's end plus the delay.
//! Start reading at [`host::HostState`], the life of one host; [`schedule::Schedule`] says whose turn it is.

pub(crate) mod gone;
pub(crate) mod host;
pub(crate) mod lease;
pub(crate) mod schedule;

/// Queue classes: 0 seeds and sitemaps, 1 the rest, 2 refreshes, 3 retries.
pub(crate) const CLASSES: usize = 4;
/// The class of retries, whose places are ordered by when they may be tried again.
pub(crate) const RETRY: u8 = 3;
/// Every so many leases of a host, retries that are due go first.
pub(crate) const RETRY_TURN: u64 = 8;

/// A class as an index into per-class arrays.
pub(crate) fn index(class: u8) -> usize {
    usize::from(class.min(RETRY))
}

/// Bits of a retry's place that tell apart retries of one millisecond.
const RETRY_BITS: u32 = 20;

/// The place of a retry that may be tried from `not_before` ms on.
pub(crate) fn retry_place(not_before: u64, count: u64) -> u64 {
    (not_before << RETRY_BITS) | (count & ((1 << RETRY_BITS) - 1))
}

/// When the retry at this place may be tried, in ms.
pub(crate) fn retry_due(place: u64) -> u64 {
    place >> RETRY_BITS
}

//! What is gone of a class beyond its head: places that were settled before others that lie ahead of them.
//!
//! A class is stored in rows of several places; a row is dropped when the last of its places is gone, and until then
//! this says which are. Invariant: ranges are ascending, apart from each other and behind the head. A lease takes the first
//! places that are left, so that no more places are left between gone ones than a lease has URLs.

use serde::{Deserialize, Serialize};

/// The places of one row: from the first on, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) len: u32,
}

impl Span {
    /// The place behind the last.
    pub(crate) fn end(self) -> u64 {
        self.first.saturating_add(u64::from(self.len))
    }

    pub(crate) fn holds(self, place: u64) -> bool {
        (self.first..self.end()).contains(&place)
    }
}

/// Ranges of places, each from its first to the one behind its last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone(Vec<(u64, u64)>);

impl Gone {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The range that begins last among those that begin before or at the place, by its index.
    fn before(&self, place: u64) -> Option<usize> {
        let after = self.0.partition_point(|&(from, _)| from <= place);
        after.checked_sub(1)
    }

    pub(crate) fn contains(&self, place: u64) -> bool {
        self.before(place).is_some_and(|at| place < self.0[at].1)
    }

    pub(crate) fn insert(&mut self, place: u64) {
        if self.contains(place) {
            return;
        }
        let next = self.before(place).map_or(0, |at| at + 1);
        let joins_next = self.0.get(next).is_some_and(|&(from, _)| from == place + 1);
        let joins_last = next > 0 && self.0[next - 1].1 == place;
        match (joins_last, joins_next) {
            (true, true) => {
                let (_, end) = self.0.remove(next);
                self.0[next - 1].1 = end;
            }
            (true, false) => self.0[next - 1].1 = place + 1,
            (false, true) => self.0[next].0 = place,
            (false, false) => self.0.insert(next, (place, place + 1)),
        }
    }

    /// The first place from this one on that is not gone.
    pub(crate) fn first_left(&self, from: u64) -> u64 {
        match self.before(from) {
            Some(at) => from.max(self.0[at].1),
            None => from,
        }
    }

    /// Whether every place of these is gone.
    pub(crate) fn covers(&self, from: u64, end: u64) -> bool {
        self.first_left(from) >= end
    }

    /// The head is here now: what lies before is gone without being said.
    pub(crate) fn forget_before(&mut self, head: u64) {
        self.0.retain(|&(_, end)| end > head);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_says_what_a_set_of_places_says(places in prop::collection::vec(0u64..40, 0..60), from in 0u64..42, len in 0u64..9) {
            let (mut gone, mut set) = (Gone::default(), BTreeSet::new());
            for place in places {
                gone.insert(place);
                set.insert(place);
                for place in 0..42 {
                    prop_assert_eq!(gone.contains(place), set.contains(&place), "{} of {:?}", place, gone);
                }
            }
            prop_assert!(gone.0.windows(2).all(|two| two[0].1 < two[1].0), "{:?}", gone);
            let left = (from..).find(|place| !set.contains(place));
            prop_assert_eq!(Some(gone.first_left(from)), left);
            prop_assert_eq!(gone.covers(from, from + len), (from..from + len).all(|place| set.contains(&place)));
            gone.forget_before(gone.first_left(from));
            prop_assert!(!gone.contains(from));
        }
    }
}

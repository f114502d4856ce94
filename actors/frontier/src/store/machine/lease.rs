//! One lease: which places of the queue are out, and what became of each.
//!
//! A lease's URLs may be settled out of order; each is taken out of the queue at once, the rest stay where they
//! are. So a lease that ends needs no repair: what was not settled is still at the head of its queue.
//! Invariant: a position is settled at most once; after a release only what was handed on is waited for.

use std::net::IpAddr;

use super::gone::Span;

/// What became of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Out with the fetcher or in the ring.
    Open,
    /// Stays in the queue, nobody works on it any more.
    Back,
    /// Taken out of the queue.
    Gone,
}

/// How a settle of a position is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The lease does not hold that position (any more).
    Fenced,
    Duplicate,
    /// It is open, at this place of the queue.
    Open(u64),
}

/// A lease that is out.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) class: u8,
    /// When it ends, in ms of the store's time.
    pub(crate) end: u64,
    places: Vec<(u64, Fate)>,
    open: u32,
    /// Set by the release: how many URLs went into the ring.
    handed: Option<usize>,
    /// The earliest place of the class behind those of the lease, where that is known.
    beyond: Option<u64>,
    /// The rows that the places lie in, ascending; a place that is in none has a row of its own.
    pub(crate) rows: Vec<Span>,
    /// The registrable domain whose budget it counts in.
    pub(crate) domain: Box<str>,
    /// Addresses whose budgets it counts in.
    pub(crate) addresses: Vec<IpAddr>,
    /// The only lease of a suspect host.
    pub(crate) alone: bool,
}

impl Lease {
    /// A lease of these places (ascending; none for a visit) of a class; `beyond` is the place after them.
    pub(crate) fn new(
        class: u8,
        places: impl IntoIterator<Item = u64>,
        beyond: Option<u64>,
        end: u64,
        domain: Box<str>,
    ) -> Self {
        let places: Vec<_> = places
            .into_iter()
            .map(|place| (place, Fate::Open))
            .collect();
        Self {
            class,
            end,
            open: u32::try_from(places.len()).unwrap_or(u32::MAX),
            places,
            handed: None,
            beyond,
            rows: Vec::new(),
            domain,
            addresses: Vec::new(),
            alone: false,
        }
    }

    /// Positions that are neither settled nor given back.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    pub(crate) fn is_visit(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn released(&self) -> bool {
        self.handed.is_some()
    }

    /// Nothing is waited for any more.
    pub(crate) fn finished(&self) -> bool {
        self.released() && self.open == 0
    }

    /// The first open position and its place: the URL that is blamed when the lease runs out.
    pub(crate) fn blamed(&self) -> Option<(u32, u64)> {
        let at = self.places.iter().position(|(_, f)| *f == Fate::Open)?;
        Some((u32::try_from(at).ok()?, self.places[at].0))
    }

    /// The place of the last position that is still open.
    pub(crate) fn last_open(&self) -> Option<u64> {
        let open = self.places.iter().rev().find(|(_, f)| *f == Fate::Open);
        open.map(|(place, _)| *place)
    }

    /// The first place of the class that is still in the queue, as far as this lease knows it.
    pub(crate) fn head(&self) -> Option<u64> {
        let left = self.places.iter().find(|(_, fate)| *fate != Fate::Gone);
        match (left.map(|(place, _)| *place), self.beyond) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The place after the lease's last.
    pub(crate) fn after_last(&self) -> u64 {
        self.places.last().map_or(0, |(place, _)| place + 1)
    }

    /// A place was added to the class while the lease is out.
    pub(crate) fn pushed(&mut self, place: u64) {
        self.beyond = Some(self.beyond.map_or(place, |known| known.min(place)));
    }

    pub(crate) fn step(&self, position: u32) -> Step {
        let Ok(at) = usize::try_from(position) else {
            return Step::Fenced;
        };
        match self.places.get(at) {
            None => Step::Fenced,
            Some((place, Fate::Open)) => Step::Open(*place),
            Some((_, Fate::Back)) if self.handed.is_some_and(|handed| at >= handed) => Step::Fenced,
            Some(_) => Step::Duplicate,
        }
    }

    /// The row that a place of the lease lies in.
    pub(crate) fn row(&self, place: u64) -> Span {
        let after = self.rows.partition_point(|row| row.first <= place);
        let row = self.rows[..after].last().copied();
        let own = Span {
            first: place,
            len: 1,
        };
        row.filter(|row| row.holds(place)).unwrap_or(own)
    }

    /// The place of the position, if it was open.
    fn end_position(&mut self, position: u32, fate: Fate) -> Option<u64> {
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        match self.places.get_mut(at) {
            Some((place, found @ Fate::Open)) => {
                *found = fate;
                self.open -= 1;
                Some(*place)
            }
            _ => None,
        }
    }

    /// The URL at this open position has left the queue; its place.
    pub(crate) fn gone(&mut self, position: u32) -> Option<u64> {
        self.end_position(position, Fate::Gone)
    }

    /// The URL at this open position stays in the queue.
    pub(crate) fn back(&mut self, position: u32) {
        self.end_position(position, Fate::Back);
    }

    /// The fetcher is done; of its URLs the first `handed` are in the ring. Returns how many came back.
    pub(crate) fn release(&mut self, handed: usize) -> u32 {
        let before = self.open;
        for (_, fate) in self.places.iter_mut().skip(handed) {
            if *fate == Fate::Open {
                *fate = Fate::Back;
                self.open -= 1;
            }
        }
        self.handed = Some(handed);
        before - self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_end_once_and_in_any_order() {
        let mut lease = Lease::new(1, [10, 11, 12, 13], Some(14), 0, "a.test".into());
        assert_eq!(lease.step(2), Step::Open(12));
        lease.gone(2);
        lease.gone(2);
        assert_eq!((lease.step(2), lease.open()), (Step::Duplicate, 3));
        assert_eq!((lease.head(), lease.blamed()), (Some(10), Some((0, 10))));
        lease.gone(0);
        assert_eq!(lease.head(), Some(11), "a hole holds the head");
        assert_eq!(lease.release(2), 1, "position 3 was not handed on");
        assert_eq!(lease.step(3), Step::Fenced);
        assert!(!lease.finished());
        lease.back(1);
        assert!(lease.finished());
        assert_eq!(
            lease.step(1),
            Step::Duplicate,
            "it was settled: it comes back"
        );
        assert_eq!(lease.step(9), Step::Fenced);
    }

    #[test]
    fn an_earlier_retry_becomes_the_head() {
        let mut lease = Lease::new(3, [5], Some(9), 0, "a.test".into());
        lease.gone(0);
        assert_eq!(lease.head(), Some(9));
        lease.pushed(7);
        lease.pushed(8);
        assert_eq!(lease.head(), Some(7));
    }
}

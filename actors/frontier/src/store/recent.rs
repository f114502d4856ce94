//! Recently seen fingerprints, in front of the seen set: most links of a page are links of the page before.
//!
//! A 4-way set-associative table of fixed size. It is filled only with what is durably known, so that it can
//! never make a URL look known that was not queued. Invariant: no false positives; it may forget anything.

/// Fingerprints that are known for certain.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Sets of four; zero is an empty place (fingerprint zero is simply never remembered).
    table: Vec<[u64; 4]>,
}

impl Recent {
    /// A table of at most this many bytes, at least one set.
    pub(crate) fn with_bytes(bytes: u64) -> Self {
        let sets = (bytes / 32).max(1);
        let sets = 1u64 << sets.ilog2();
        Self {
            table: vec![[0; 4]; usize::try_from(sets).unwrap_or(1)],
        }
    }

    fn set(&self, fingerprint: u64) -> usize {
        // The table's length is a power of two; the fingerprint is a hash already.
        usize::try_from(fingerprint >> 7).unwrap_or(0) & (self.table.len() - 1)
    }

    pub(crate) fn contains(&mut self, fingerprint: u64) -> bool {
        let at = self.set(fingerprint);
        let set = &mut self.table[at];
        match set.iter().position(|&known| known == fingerprint) {
            Some(place) if fingerprint != 0 => {
                set[..=place].rotate_right(1);
                true
            }
            _ => false,
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.table.fill([0; 4]);
    }

    /// Remembers a durably known fingerprint, in the place of the least recently used one of its set.
    pub(crate) fn insert(&mut self, fingerprint: u64) {
        let at = self.set(fingerprint);
        let set = &mut self.table[at];
        set.rotate_right(1);
        set[0] = fingerprint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Chance;

    #[test]
    fn it_forgets_but_never_invents() {
        let mut recent = Recent::with_bytes(1_024);
        let mut chance = Chance::seeded(3);
        let drawn: Vec<u64> = (0..500).map(|_| chance.draw()).collect();
        for &one in &drawn {
            assert!(!recent.contains(one));
            recent.insert(one);
            assert!(recent.contains(one));
        }
        let kept = drawn.iter().filter(|&&one| recent.contains(one)).count();
        assert_eq!(kept, 128, "the table is full and no larger than asked");
        assert!(!recent.contains(0));
    }
}

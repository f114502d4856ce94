//! What a host has shown already: a table of tags that grows with what it holds up to a bound, and then forgets.
//!
//! Invariant: what it forgets is new once more, so that a long honest crawl errs towards "this is new". A tag has 32 bits:
//! of a full table one answer in some ten million is "known" by chance.

/// Tags of one bucket.
const WAYS: usize = 4;

/// A set of hashes that forgets the oldest of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// A power of two of them; the latest first, 0 where there is none.
    buckets: Vec<[u32; WAYS]>,
    held: usize,
    buckets_max: usize,
}

impl Seen {
    /// An empty set of at most so many hashes (a power of two, at least 64).
    pub(super) fn new(most: usize) -> Self {
        Self {
            buckets: Vec::new(),
            held: 0,
            buckets_max: (most / WAYS).next_power_of_two(),
        }
    }

    /// True the first time, as far as is remembered.
    pub(super) fn is_new(&mut self, hash: u64) -> bool {
        if self.held * 2 >= self.buckets.len() * WAYS && self.buckets.len() < self.buckets_max {
            self.grow();
        }
        // Spread once more: some hashes that come here are small by choice.
        let hash = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = hash ^ (hash >> 32);
        let tag = (hash as u32).max(1);
        let at = place(tag, self.buckets.len());
        let bucket = &mut self.buckets[at];
        if bucket.contains(&tag) {
            return false;
        }
        self.put(tag);
        true
    }

    fn put(&mut self, tag: u32) {
        let at = place(tag, self.buckets.len());
        let bucket = &mut self.buckets[at];
        bucket.rotate_right(1);
        self.held += usize::from(bucket[0] == 0);
        bucket[0] = tag;
    }

    fn grow(&mut self) {
        let larger = vec![[0; WAYS]; (self.buckets.len() * 2).max(4)];
        let smaller = std::mem::replace(&mut self.buckets, larger);
        self.held = 0;
        for tag in smaller
            .into_iter()
            .flat_map(|bucket| bucket.into_iter().rev())
        {
            if tag != 0 {
                self.put(tag);
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<[u32; WAYS]>()
    }
}

/// The bucket of a tag: by its bits above those that differ least.
fn place(tag: u32, buckets: usize) -> usize {
    tag.wrapping_mul(0x85EB_CA6B) as usize >> 8 & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_and_the_table_keeps_to_its_bound() {
        let mut seen = Seen::new(1_024);
        assert!((0..300).all(|n| seen.is_new(n)));
        let again = (0..300).filter(|n| seen.is_new(*n)).count();
        assert!(
            again < 15,
            "{again} of 300 were forgotten in a table of 1,024"
        );
        assert!((0..100_000).filter(|n| seen.is_new(*n)).count() > 90_000);
        assert!(seen.bytes() <= 1_024 * 4, "{}", seen.bytes());
    }
}

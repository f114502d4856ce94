//! Which refused links have been written already: a filter of bounded size that forgets, but never invents.
//!
//! A link into a foreign site stands on every page; one line of it is enough. Unlike a Bloom filter this one
//! errs towards saying it again: a line twice is clutter, a line missing is a URL nobody can account for.
//! It starts empty with each process and grows with what it holds, so that a crawl of few sites has a small one.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Places for one hash.
const WAYS: usize = 4;
/// Buckets to begin with: 32 KiB.
const BUCKETS_FIRST: usize = 1 << 10;
/// Buckets at most: 8 MiB in all, room for a million links.
const BUCKETS_MAX: usize = 1 << 18;

/// Remembers links by their hash.
#[derive(Debug)]
pub struct Written {
    seed: u64,
    /// A power of two of them; in each the latest hash first, and 0 where there is none.
    buckets: Vec<[u64; WAYS]>,
    /// Hashes held.
    held: usize,
    repeats: u64,
}

impl Written {
    /// An empty filter; `seed` keeps a hostile site from aiming collisions.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            buckets: vec![[0; WAYS]; BUCKETS_FIRST],
            held: 0,
            repeats: 0,
        }
    }

    /// True the first time that a link is refused for this reason, as far as is remembered.
    pub fn is_first(&mut self, link: &contract::link::RefusedLink) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, link.outcome, link.url.as_str()).hash(&mut hasher);
        let hash = hasher.finish().max(1);
        let at = self.place(hash);
        if self.buckets[at].contains(&hash) {
            self.repeats += 1;
            return false;
        }
        // An eighth full: hardly a bucket has had to forget anything yet.
        if self.held * 8 >= self.buckets.len() * WAYS && self.buckets.len() < BUCKETS_MAX {
            self.grow();
        }
        self.put(hash);
        true
    }

    /// The bucket of a hash; always one that there is.
    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> 16).unwrap_or(0) & (self.buckets.len() - 1)
    }

    /// The oldest of a full bucket leaves.
    fn put(&mut self, hash: u64) {
        let at = self.place(hash);
        let bucket = &mut self.buckets[at];
        bucket.rotate_right(1);
        self.held += usize::from(bucket[0] == 0);
        bucket[0] = hash;
    }

    fn grow(&mut self) {
        let larger = vec![[0; WAYS]; self.buckets.len() * 2];
        let smaller = std::mem::replace(&mut self.buckets, larger);
        self.held = 0;
        // From the oldest to the latest, so that the order in a bucket stays that of coming.
        for hash in smaller
            .into_iter()
            .flat_map(|bucket| bucket.into_iter().rev())
        {
            if hash != 0 {
                self.put(hash);
            }
        }
    }

    /// Links that were not written again.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    #[test]
    fn a_link_is_new_once_and_each_reason_counts() {
        let mut written = Written::new(7);
        let link = refused("http://b.test/", "host");
        assert!(written.is_first(&link) && !written.is_first(&link));
        let other = contract::link::RefusedLink {
            outcome: contract::outcome::Outcome::TooDeep,
            ..link
        };
        assert!(written.is_first(&other));
        assert_eq!(written.repeats(), 1);
    }

    #[test]
    fn it_grows_with_what_it_holds_and_no_further_than_its_bound() {
        let mut written = Written::new(7);
        for hash in 1..=200_u64 {
            written.put(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        assert_eq!((written.held, written.buckets.len()), (200, BUCKETS_FIRST));
        while written.buckets.len() < BUCKETS_MAX {
            written.grow();
            assert_eq!(written.held, 200, "{} buckets", written.buckets.len());
        }
        for number in 0..BUCKETS_MAX {
            written.is_first(&refused(&format!("http://b.test/{number}"), "host"));
        }
        assert_eq!(written.buckets.len(), BUCKETS_MAX);
    }

    #[test]
    fn it_never_hides_a_link_that_was_not_written() {
        let mut written = Written::new(7);
        for number in 0..20_000 {
            assert!(
                written.is_first(&refused(&format!("http://b.test/{number}"), "host")),
                "{number}"
            );
        }
        let again = (0..20_000)
            .filter(|n| written.is_first(&refused(&format!("http://b.test/{n}"), "host")))
            .count();
        assert!(
            again < 20,
            "{again} of 20,000 were forgotten in a filter for a million"
        );
    }
}

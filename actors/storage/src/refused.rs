//! Which refused links have been written already: a filter of fixed size that forgets, but never invents.
//!
//! A link into a foreign site stands on every page; one line of it is enough. Unlike a Bloom filter this one
//! errs towards saying it again: a line twice is clutter, a line missing is a URL nobody can account for.
//! It starts empty with each process.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Places for one hash.
const WAYS: usize = 4;
/// Buckets: 8 MiB in all, room for a million links.
const BUCKETS: usize = 1 << 18;

/// Remembers links by their hash.
#[derive(Debug)]
pub struct Written {
    seed: u64,
    buckets: Vec<[u64; WAYS]>,
    repeats: u64,
}

impl Written {
    /// An empty filter; `seed` keeps a hostile site from aiming collisions.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            buckets: vec![[0; WAYS]; BUCKETS],
            repeats: 0,
        }
    }

    /// True the first time that a link is refused for this reason, as far as is remembered.
    pub fn is_first(&mut self, link: &contract::link::RefusedLink) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, link.outcome, link.url.as_str()).hash(&mut hasher);
        let hash = hasher.finish().max(1);
        let at = usize::try_from(hash).unwrap_or(usize::MAX) % self.buckets.len();
        let Some(bucket) = self.buckets.get_mut(at) else {
            return true;
        };
        if bucket.contains(&hash) {
            self.repeats += 1;
            return false;
        }
        // The oldest leaves.
        bucket.rotate_right(1);
        bucket[0] = hash;
        true
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

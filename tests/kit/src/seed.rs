//! Chance that can be told again: a seed that says its name.
//!
//! A test takes its seed here, the seed is printed, and `ARGIOPE_SEED=N` makes the next run use it.
//! A formula that needs no generator takes [`mix`] of a seed and what it decides about.

use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

/// The variable that replays a run.
pub const VARIABLE: &str = "ARGIOPE_SEED";

/// The seed of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the environment, else a fresh one; printed either way, with the test's name.
    ///
    /// # Panics
    /// When the variable is set to something other than a number: a replay that replays nothing misleads.
    pub fn take(test: &str) -> Self {
        let seed = match std::env::var(VARIABLE) {
            Ok(text) => match text.parse() {
                Ok(seed) => seed,
                Err(_) => panic!("{VARIABLE}={text:?} is not a number"),
            },
            Err(_) => rand::rng().next_u64(),
        };
        println!("{test}: replay with {VARIABLE}={seed}");
        Self(seed)
    }

    /// A generator that this seed and `stream` decide; other streams are independent of it.
    pub fn rng(self, stream: &str) -> StdRng {
        StdRng::seed_from_u64(mix(self.0, stream))
    }
}

/// A number that depends on every bit of `seed` and `text`, the same on every machine and version.
pub fn mix(seed: u64, text: &str) -> u64 {
    // FNV-1a over the text, then the finaliser of SplitMix64, which makes its weak high bits as good as the rest.
    let hash = text.bytes().fold(
        0xcbf2_9ce4_8422_2325 ^ seed.rotate_left(17),
        |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3),
    );
    let mut x = hash.wrapping_add(seed);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_tells_one_story() {
        assert_eq!(Seed(7).rng("a").next_u64(), Seed(7).rng("a").next_u64());
        assert_ne!(Seed(7).rng("a").next_u64(), Seed(7).rng("b").next_u64());
        assert_ne!(Seed(7).rng("a").next_u64(), Seed(8).rng("a").next_u64());
    }

    #[test]
    fn mixed_numbers_are_spread_evenly() {
        let mut buckets = [0u32; 16];
        for n in 0..16_000 {
            let bucket = mix(1, &format!("p/{n}")) % 16;
            buckets[usize::try_from(bucket).unwrap()] += 1;
        }
        assert!(
            buckets.iter().all(|&n| (850..1150).contains(&n)),
            "{buckets:?}"
        );
    }
}

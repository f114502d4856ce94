//! Which fingerprints are certainly not in a run, so that a new link costs no look at the disk.
//!
//! A Bloom filter of cache-line blocks, made for a known count (Putze, Sanders and Singler, "Cache-, hash- and
//! space-efficient Bloom filters", 2007). Invariant: no false "not there".

/// Bits of a block; one cache line.
const BLOCK_BITS: u64 = 512;
/// Bits for each fingerprint where there is room: one look in 70 is in vain.
const BITS_EACH: u64 = 11;
/// Bits set for a fingerprint, all in one block, where it has all its bits.
const PROBES: u64 = 5;

type Block = [u64; 8];

/// See the module.
#[derive(Debug)]
pub(super) struct Sieve {
    blocks: Vec<Block>,
    probes: u64,
}

impl Sieve {
    /// A sieve for so many fingerprints in at most so many bytes; none where less than a bit would be each one's.
    pub(super) fn of(count: u64, bytes_max: u64) -> Option<Self> {
        let bits = count
            .saturating_mul(BITS_EACH)
            .min(bytes_max.saturating_mul(8));
        let each = bits / count.max(1);
        if each == 0 {
            return None;
        }
        let blocks = usize::try_from(bits.div_ceil(BLOCK_BITS)).ok()?;
        Some(Self {
            blocks: vec![[0; 8]; blocks],
            // The best number is 0.69 of the bits; with blocks as narrow as a line, rather fewer.
            probes: (each * PROBES / BITS_EACH).max(1),
        })
    }

    /// The block of a fingerprint, and its bits there.
    fn place(&self, fingerprint: u64) -> (usize, Block) {
        // Fingerprints are hashes below their area's bits, which all of a domain share: mix once.
        let mixed = fingerprint.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 32);
        // The upper half chooses the block evenly without a division; the lower bits choose within it.
        let high = u128::from(mixed) * u128::try_from(self.blocks.len()).unwrap_or(1);
        let at = usize::try_from(high >> 64).unwrap_or(0);
        let (mut mask, mut bits) = ([0; 8], mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        for _ in 0..self.probes {
            let bit = bits >> 55;
            bits = bits.rotate_left(9);
            let word = usize::try_from(bit >> 6).unwrap_or(0) & 7;
            mask[word] |= 1 << (bit & 63);
        }
        (at, mask)
    }

    /// False: it is not there. True: it must be looked up.
    pub(super) fn may_hold(&self, fingerprint: u64) -> bool {
        let (at, mask) = self.place(fingerprint);
        let words = self.blocks[at].iter().zip(mask);
        words.fold(true, |all, (word, bits)| all & (word & bits == bits))
    }

    /// Holds one more fingerprint.
    pub(super) fn insert(&mut self, fingerprint: u64) {
        let (at, mask) = self.place(fingerprint);
        for (word, bits) in self.blocks[at].iter_mut().zip(mask) {
            *word |= bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Chance;

    /// Inserts `count`; returns how many of as many others seem to be held, in thousandths, and the bytes used.
    fn filled(count: u64, bytes_max: u64) -> (u64, usize) {
        let mut sieve = Sieve::of(count, bytes_max).expect("a bit for each");
        let mut chance = Chance::seeded(5);
        let held: Vec<u64> = (0..count).map(|_| chance.draw()).collect();
        for &one in &held {
            sieve.insert(one);
        }
        assert!(held.iter().all(|&one| sieve.may_hold(one)), "a false 'no'");
        let vain = (0..count).filter(|_| sieve.may_hold(chance.draw())).count();
        let vain = u64::try_from(vain).unwrap_or(u64::MAX);
        (vain * 1_000 / count, sieve.blocks.len() * 64)
    }

    #[test]
    fn what_it_holds_is_never_denied_and_the_rest_mostly_is() {
        #[track_caller]
        fn check(bytes_max: u64, vain_max: u64) {
            let (vain, bytes) = filled(200_000, bytes_max);
            assert!(vain < vain_max, "{vain} of 1,000 looks in vain");
            let most = bytes_max.min(200_000 * BITS_EACH / 8);
            assert!(bytes as u64 <= most + 64, "{bytes} bytes");
        }
        check(u64::MAX, 16);
        check(200_000, 60);
        check(100_000, 240);
        check(25_000, 680);
    }

    #[test]
    fn where_a_bit_would_not_be_each_ones_there_is_none() {
        assert!(Sieve::of(1_000, 124).is_none());
        assert!(Sieve::of(0, 0).is_none());
    }

    #[test]
    fn small_numbers_do_not_meet_in_one_block() {
        let mut sieve = Sieve::of(5_000, u64::MAX).expect("a bit for each");
        (0..5_000).for_each(|one| sieve.insert(one));
        let vain = (5_000..10_000).filter(|&one| sieve.may_hold(one)).count();
        assert!(vain < 250, "{vain} looks in vain");
    }
}

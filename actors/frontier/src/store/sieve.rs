//! Which fingerprints are certainly new: the seen set's front, so that a new link costs no look at the disk.
//!
//! A Bloom filter of cache-line blocks in pages that double, so that it grows with what is known and never has to
//! be made again. It holds every known fingerprint; what it does not hold is new, what it seems to hold must be
//! looked up. Past its bound the last page fills up and answers "maybe" more often; nothing else changes.
//! Invariant: no false "new". Memory: about 1.6 bytes a known URL, up to the bound.

/// Bits of a block; one cache line.
const BLOCK_BITS: u64 = 512;
/// Bits set for a fingerprint, all in one block.
const PROBES: u32 = 5;
/// Bits for each fingerprint before another page is begun: one look in 60 is in vain.
const BITS_EACH: u64 = 11;
/// Blocks of the first page.
const BLOCKS_FIRST: usize = 1_024;

type Block = [u64; 8];

/// See the module.
#[derive(Debug)]
pub(crate) struct Sieve {
    pages: Vec<Vec<Block>>,
    /// Fingerprints that the last page can still take.
    room: u64,
    blocks_max: usize,
}

impl Sieve {
    /// A sieve of at most this many bytes, made for `known` fingerprints to begin with.
    pub(crate) fn with_bytes(bytes: u64, known: u64) -> Self {
        let mut sieve = Self {
            pages: Vec::new(),
            room: 0,
            blocks_max: usize::try_from(bytes / 64).unwrap_or(1).max(1),
        };
        // Twice what is known, so that the first page serves a while.
        let wanted = known.saturating_mul(2 * BITS_EACH) / BLOCK_BITS;
        sieve.begin_page(usize::try_from(wanted).unwrap_or(usize::MAX));
        sieve
    }

    fn begin_page(&mut self, wanted: usize) {
        let taken: usize = self.pages.iter().map(Vec::len).sum();
        let blocks = wanted.max(BLOCKS_FIRST).min(self.blocks_max - taken);
        if blocks == 0 || (taken > 0 && blocks < BLOCKS_FIRST) {
            // The bound is reached: the last page takes all that comes.
            self.room = u64::MAX;
            return;
        }
        self.pages.push(vec![[0; 8]; blocks]);
        self.room = u64::try_from(blocks).unwrap_or(u64::MAX) * BLOCK_BITS / BITS_EACH;
    }

    /// The block of a page of this many, and the bits in it.
    fn place(fingerprint: u64, blocks: usize) -> (usize, [u64; 8]) {
        // A seen set's fingerprints are hashes, but sites may repeat their low bits in small tests: mix once.
        let mixed = fingerprint.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 32);
        // The upper half chooses the block evenly without a division; the lower bits choose within it.
        let high = u128::from(mixed) * u128::try_from(blocks).unwrap_or(1);
        let at = usize::try_from(high >> 64).unwrap_or(0);
        let (mut mask, mut bits) = ([0; 8], mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        for _ in 0..PROBES {
            let bit = bits >> 55;
            bits = bits.rotate_left(9);
            let word = usize::try_from(bit >> 6).unwrap_or(0) & 7;
            mask[word] |= 1 << (bit & 63);
        }
        (at, mask)
    }

    /// False: the fingerprint is new. True: it must be looked up.
    pub(crate) fn may_hold(&self, fingerprint: u64) -> bool {
        self.pages.iter().any(|page| {
            let (at, mask) = Self::place(fingerprint, page.len());
            page[at]
                .iter()
                .zip(mask)
                .all(|(word, bits)| word & bits == bits)
        })
    }

    /// Holds one more fingerprint.
    pub(crate) fn insert(&mut self, fingerprint: u64) {
        if self.room == 0 {
            let last = self.pages.last().map_or(0, Vec::len);
            self.begin_page(last.saturating_mul(2));
        }
        self.room -= 1;
        if let Some(page) = self.pages.last_mut() {
            let (at, mask) = Self::place(fingerprint, page.len());
            for (word, bits) in page[at].iter_mut().zip(mask) {
                *word |= bits;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Chance;

    /// Inserts `count`; returns how many of as many others seem to be held, and the bytes used.
    fn filled(mut sieve: Sieve, count: u64) -> (usize, usize) {
        let mut chance = Chance::seeded(5);
        let held: Vec<u64> = (0..count).map(|_| chance.draw()).collect();
        for &one in &held {
            sieve.insert(one);
        }
        assert!(held.iter().all(|&one| sieve.may_hold(one)), "a false new");
        let vain = (0..count).filter(|_| sieve.may_hold(chance.draw())).count();
        (vain, sieve.pages.iter().map(|page| page.len() * 64).sum())
    }

    #[test]
    fn what_it_holds_is_never_new_and_what_is_new_is_mostly_seen_so() {
        let (vain, bytes) = filled(Sieve::with_bytes(1 << 30, 0), 300_000);
        assert!(vain < 300_000 / 20, "{vain} looks in vain");
        assert!(bytes < 300_000 * 3, "{bytes} bytes");
        let (vain, _) = filled(Sieve::with_bytes(1 << 30, 300_000), 300_000);
        assert!(vain < 300_000 / 100, "{vain} looks in vain");
    }

    #[test]
    fn past_its_bound_it_grows_no_more_and_is_still_right() {
        let (_, bytes) = filled(Sieve::with_bytes(100_000, 0), 200_000);
        assert!(bytes <= 100_000, "{bytes} bytes");
    }

    #[test]
    fn small_numbers_do_not_meet_in_one_block() {
        let mut sieve = Sieve::with_bytes(1 << 20, 0);
        (0..5_000).for_each(|one| sieve.insert(one));
        let vain = (5_000..10_000).filter(|&one| sieve.may_hold(one)).count();
        assert!(vain < 250, "{vain} looks in vain");
    }
}

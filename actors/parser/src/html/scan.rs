//! Finding the end of short things, eight bytes at a time.
//!
//! Names, values and texts between tags are mostly shorter than what makes a call to a vector search worth while. These
//! look at the first bytes as integers and leave the rest to `memchr`. Invariant: the same answers as a byte-wise loop.

use super::names::Key;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline(always)]
fn load(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u64::from_le_bytes(*word))
}

/// Where the first `byte` at or after `from` is.
#[inline(always)]
pub(super) fn find(byte: u8, bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..2 {
        let Some(word) = load(bytes, at) else { break };
        let differing = word ^ (ONES * u64::from(byte));
        // A high bit for each zero byte; a carry can only add bits above the first.
        let equal = differing.wrapping_sub(ONES) & !differing & HIGH;
        if equal != 0 {
            return Some(at + equal.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr(byte, bytes.get(at..)?).map(|n| at + n)
}

/// The letters at `from`, if they are fewer than 8: how many, and their key in lower case.
#[inline(always)]
pub(super) fn letters(bytes: &[u8], from: usize) -> Option<(usize, Key)> {
    let word = load(bytes, from)?;
    let lower = word | (ONES * 0x20);
    let seven_bits = lower & !HIGH;
    let from_a = seven_bits + ONES * (0x80 - b'a' as u64);
    let past_z = seven_bits + ONES * (0x80 - (b'z' as u64 + 1));
    let others = !(from_a & !past_z & !word) & HIGH;
    if others == 0 {
        return None;
    }
    let bits = others.trailing_zeros() - 7;
    let key = lower & ((1 << bits) - 1);
    Some((bits as usize / 8, Key::exact(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn find_finds_the_first(bytes in proptest::collection::vec(prop_oneof![Just(b'<'), Just(b'='), any::<u8>()], 0..40), from in 0_usize..45) {
            let want = bytes.iter().enumerate().skip(from).find(|(_, b)| **b == b'<').map(|(at, _)| at);
            prop_assert_eq!(find(b'<', &bytes, from), want);
        }

        #[test]
        fn letters_are_counted_and_folded(text in "[a-zA-Z]{0,9}[@\\[`{0-9 /=>é\u{80}]?[a-z]{0,3}", from in 0_usize..3) {
            let bytes = text.as_bytes();
            let run = bytes.iter().skip(from).take_while(|b| b.is_ascii_alphabetic()).count();
            match letters(bytes, from) {
                Some((count, key)) => {
                    let mut want = Key::default();
                    bytes[from..from + run].iter().enumerate().for_each(|(n, b)| want.push(n, b.to_ascii_lowercase()));
                    prop_assert_eq!((count, key), (run, want));
                }
                None => prop_assert!(run >= 8 || bytes.len() < from + 8),
            }
        }
    }
}

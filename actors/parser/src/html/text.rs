//! A document's main text: how much of it there is, and a fingerprint that similar texts share.
//!
//! Owns which text counts: what is in `<main>` where there is one, else all; never what is in `<nav>`, `<header>`,
//! `<footer>` or `<aside>` (HTML standard, 4.3 and 4.4.14: what these stand for). The fingerprint is Charikar's simhash of all
//! shingles of three words: bit n is set where most shingles' hashes have it set, so that few changes of a text change few
//! bits. It takes text raw, as the tokenizer gives it: references are not decoded, and a tag ends a word. All of the text is
//! counted, its first [`HASHED_BYTES_MAX`] are hashed, for fingerprint and language: hashing costs some 20 ns a word, and a
//! text's beginning tells it.
//! Beside it the least hashes of the shingles are kept, numbers left out (Broder's min-hash): texts that are put together
//! of the same phrases share them, in whatever order.
//! Invariant: linear time, constant memory. Start at [`MainText::add`].

use contract::keep::PHRASES;

use super::language::Language;
use super::names::Element;

/// Odd constants without pattern: fractions of the golden ratio and of the square roots of 2 and 3.
const K: [u64; 3] = [
    0x9E37_79B9_7F4A_7C15,
    0x6A09_E667_F3BC_C909,
    0xBB67_AE85_84CA_A73B,
];
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// From here on (U+3000) scripts put no spaces between words, and each character counts as one: its first byte in UTF-8.
const WIDE: u8 = 0xE3;

/// Text that goes into the fingerprint, in bytes; about 350 words.
const HASHED_BYTES_MAX: usize = 2_048;

/// The main text of a document, while it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainText {
    chars: u64,
    simhash: Simhash,
    /// The least hashes that went into it, ascending.
    phrases: [u64; PHRASES],
    language: Language,
    /// Bytes that have gone into these.
    hashed: usize,
    /// The two words before, the later one first.
    before: [u64; 2],
    /// The same for phrases, where all words with digits are one.
    before_plain: [u64; 2],
    /// The word that is read has a digit.
    has_digit: bool,
    /// Elements open that are beside the matter.
    beside: u32,
    main: Main,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Main {
    #[default]
    Unseen,
    Open,
    Closed,
}

impl Default for MainText {
    fn default() -> Self {
        Self {
            chars: 0,
            simhash: Simhash::default(),
            language: Language::default(),
            phrases: [u64::MAX; PHRASES],
            hashed: 0,
            before: [0; 2],
            before_plain: [0; 2],
            has_digit: false,
            beside: 0,
            main: Main::default(),
        }
    }
}

impl MainText {
    /// True where text would count.
    #[inline]
    pub fn wants(&self) -> bool {
        self.beside == 0 && self.main != Main::Closed
    }

    /// Takes in the start of an HTML element.
    pub fn opens(&mut self, element: Element) {
        match element {
            Element::Nav | Element::Header | Element::Footer | Element::Aside => {
                self.beside = self.beside.saturating_add(1);
            }
            // A document has one that is shown (4.4.14); what stood before it was not the matter.
            Element::Main if self.main == Main::Unseen => {
                *self = Self {
                    main: Main::Open,
                    ..Self::default()
                };
            }
            _ => {}
        }
    }

    /// Takes in the end of an HTML element.
    pub fn closes(&mut self, element: Element) {
        match element {
            Element::Nav | Element::Header | Element::Footer | Element::Aside => {
                self.beside = self.beside.saturating_sub(1);
            }
            Element::Main if self.main == Main::Open => self.main = Main::Closed,
            _ => {}
        }
    }

    /// Takes in a piece of the document's text.
    pub fn add(&mut self, piece: &str) {
        if !self.wants() {
            return;
        }
        self.chars += characters(piece.as_bytes());
        let room = HASHED_BYTES_MAX - self.hashed;
        let bytes = &piece.as_bytes()[..piece.floor_char_boundary(room)];
        self.hashed += bytes.len();
        let (mut at, mut word) = (0, 0);
        while at < bytes.len() {
            let (chunk, len) = chunk(bytes, at);
            if chunk & HIGH != 0 && chunk.to_le_bytes().iter().any(|byte| *byte >= WIDE) {
                at = self.wide(bytes, at, &mut word);
                continue;
            }
            if len > 0 {
                let chunk = chunk & below(len);
                self.has_digit |= has_digit(chunk);
                word = mix(word ^ lower(chunk), K[0]);
            }
            at += len;
            if len < 8 {
                self.word(&mut word);
                at += 1;
            }
        }
        self.word(&mut word);
    }

    /// Takes in the next character, in a text where some are words by themselves.
    #[cold]
    fn wide(&mut self, bytes: &[u8], at: usize, word: &mut u64) -> usize {
        let byte = bytes[at];
        let follow = bytes[at + 1..].iter().take_while(|b| **b & 0xC0 == 0x80);
        let len = 1 + follow.count();
        if byte <= b' ' {
            self.word(word);
            return at + len;
        }
        if byte >= WIDE {
            self.word(word);
        }
        for byte in &bytes[at..at + len] {
            self.has_digit |= byte.is_ascii_digit();
            *word = mix(*word ^ u64::from(byte.to_ascii_lowercase()), K[0]);
        }
        if byte >= WIDE {
            self.word(word);
        }
        at + len
    }

    /// Ends a word, where one has begun.
    #[inline]
    fn word(&mut self, word: &mut u64) {
        if *word != 0 {
            let [last, second] = self.before;
            let shingle = second.rotate_left(43) ^ last.rotate_left(21) ^ *word;
            // Twice: bits that differ must differ anywhere with even chance.
            self.simhash.add(mix(mix(shingle, K[1]), K[2]));
            self.language.add(*word);
            self.before = [*word, last];
            let plain = if self.has_digit { K[1] } else { *word };
            let [last, second] = self.before_plain;
            let phrase = second.rotate_left(43) ^ last.rotate_left(21) ^ plain;
            let phrase = mix(mix(phrase, K[1]), K[2]);
            if phrase < self.phrases[PHRASES - 1] {
                self.phrase(phrase);
            }
            self.before_plain = [plain, last];
            self.has_digit = false;
            *word = 0;
        }
    }

    /// Takes in a hash that may be among the least.
    #[cold]
    fn phrase(&mut self, hash: u64) {
        let Err(at) = self.phrases.binary_search(&hash) else {
            return;
        };
        self.phrases[at..].rotate_right(1);
        self.phrases[at] = hash;
    }

    /// The least hashes of its shingles, ascending; [`u64::MAX`] where there are fewer.
    pub fn phrases(&self) -> [u64; PHRASES] {
        self.phrases
    }

    /// Characters of the main text, whitespace left out; a character reference counts as it is written.
    pub fn chars(&self) -> u64 {
        self.chars
    }

    /// The language that it is written in, by BCP 47; none in doubt.
    pub fn language(&self) -> Option<&'static str> {
        self.language.end()
    }

    /// What a word goes in as: one without spaces, or one character from U+3000 on.
    pub(super) fn hash_of(word: &str) -> u64 {
        let bytes = word.as_bytes();
        if bytes.first().is_some_and(|byte| *byte >= WIDE) {
            return bytes
                .iter()
                .fold(0, |hash, byte| mix(hash ^ u64::from(*byte), K[0]));
        }
        let (mut at, mut hash) = (0, 0);
        while at < bytes.len() {
            let (chunk, len) = chunk(bytes, at);
            hash = mix(hash ^ lower(chunk & below(len)), K[0]);
            at += 8;
        }
        hash
    }

    /// The simhash; none where there are no words.
    pub fn simhash(&self) -> Option<u64> {
        self.simhash.end()
    }
}

/// Eight bytes from `at`, and how many of them are before the first space or control. What lies beyond the end is space.
#[inline]
fn chunk(bytes: &[u8], at: usize) -> (u64, usize) {
    let rest = &bytes[at..];
    let chunk = match rest.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut padded = [b' '; 8];
            padded[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(padded)
        }
    };
    // A high bit for each byte below 0x21; a borrow can only add bits above the first.
    let spaces = chunk.wrapping_sub(ONES * 0x21) & !chunk & HIGH;
    (chunk, spaces.trailing_zeros() as usize / 8)
}

/// A mask of the first `len` bytes.
#[inline]
fn below(len: usize) -> u64 {
    u64::MAX.checked_shr(64 - 8 * len as u32).unwrap_or(0)
}

/// True where one of these bytes is a digit.
#[inline]
fn has_digit(chunk: u64) -> bool {
    let low = chunk & !HIGH;
    // A high bit for each byte from "0" on, and from behind "9" on; no byte carries into the next.
    let from = low + ONES * 0x50;
    let behind = low + ONES * 0x46;
    from & !behind & !chunk & HIGH != 0
}

/// Letters in lower case; other bytes may change too, each always in the same way.
#[inline]
fn lower(chunk: u64) -> u64 {
    chunk | ((chunk & (ONES * 0x40)) >> 1)
}

/// How many characters begin in these bytes of UTF-8, spaces and controls left out.
#[inline]
fn characters(bytes: &[u8]) -> u64 {
    let begins = |byte: &&u8| **byte > b' ' && **byte & 0xC0 != 0x80;
    bytes.iter().filter(begins).count() as u64
}

/// Both halves of a product, folded.
#[inline]
fn mix(value: u64, by: u64) -> u64 {
    let product = u128::from(value ^ K[2]) * u128::from(by);
    (product as u64) ^ (product >> 64) as u64
}

/// Counters for 64 bits, kept in planes: plane n has bit n of each. Hashes go in by eights, added by carry-save adders
/// (Harley and Seal's way to count bits), so that one costs some five operations and no branch that cannot be foreseen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Simhash {
    count: u64,
    planes: [u64; PLANES],
    waiting: [u64; 8],
}

/// Shingles beyond two to this power would not be counted; a document has fewer than bytes.
const PLANES: usize = 32;

impl Simhash {
    #[inline]
    fn add(&mut self, hash: u64) {
        let at = (self.count % 8) as usize;
        self.waiting[at] = hash;
        self.count += 1;
        if at == 7 {
            self.add_waiting();
        }
    }

    fn add_waiting(&mut self) {
        let [a, b, c, d, e, f, g, h] = self.waiting;
        let [ones, twos, fours, higher @ ..] = &mut self.planes;
        let first = (carry(ones, a, b), carry(ones, c, d));
        let second = (carry(ones, e, f), carry(ones, g, h));
        let first = carry(twos, first.0, first.1);
        let second = carry(twos, second.0, second.1);
        let mut rest = carry(fours, first, second);
        for plane in higher {
            let over = *plane & rest;
            *plane ^= rest;
            rest = over;
            if rest == 0 {
                break;
            }
        }
    }

    /// The bits that more than half of the hashes have.
    fn end(&self) -> Option<u64> {
        let waiting = &self.waiting[..(self.count % 8) as usize];
        let ones = |bit: u32| -> u64 {
            let counted = self.planes.iter().enumerate();
            let counted: u64 = counted.map(|(n, plane)| ((plane >> bit) & 1) << n).sum();
            counted + waiting.iter().map(|hash| (hash >> bit) & 1).sum::<u64>()
        };
        (self.count > 0).then(|| {
            (0..64)
                .filter(|bit| 2 * ones(*bit) > self.count)
                .fold(0, |simhash, bit| simhash | 1 << bit)
        })
    }
}

/// Adds two bits to a plane, in 64 places; what is carried.
#[inline]
fn carry(plane: &mut u64, a: u64, b: u64) -> u64 {
    let carried = (*plane & a) | (b & (*plane ^ a));
    *plane ^= a ^ b;
    carried
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tokens::Syntax;
    use crate::html::{HtmlOptions, read};
    use crate::watch::Watch;

    fn text(html: &str) -> MainText {
        let options = HtmlOptions::default();
        let mut watch = Watch::new(&|| false);
        read(html, Syntax::Html, &options, &mut watch, |_, _| ())
            .unwrap()
            .text
    }

    #[test]
    fn what_is_beside_the_matter_is_no_main_text() {
        #[track_caller]
        fn check(html: &str, want: &str) {
            let (text, plain) = (text(html), text(want));
            assert_eq!(
                (text.chars(), text.simhash()),
                (plain.chars(), plain.simhash()),
                "{html:?}"
            );
        }
        check("<p>one<b>two</b>\n three", "one two three");
        check("ONE Two", "one two");
        check(
            "<title>t</title><style>s</style><script>s</script>one",
            "one",
        );
        check("<noscript>one</noscript> two<!-- no -->", "one two");
        check("<template>no</template>one<textarea>no</textarea>", "one");
        check("<nav>no<nav>no</nav>no</nav>one<footer>no</footer>", "one");
        check(
            "</nav></aside>one<header>no<aside>no</header>no</aside>two",
            "one two",
        );
        check("no<main>one<nav>no</nav></main>no<main>no</main>", "one");
        check("<nav>no<main>one</main>", "one");
        check("<xmp><b></xmp>", "<plaintext><b>");
        check("", " \n");
        assert_eq!(text("").simhash(), None);
    }

    #[test]
    fn characters_are_counted_and_whitespace_is_not() {
        #[track_caller]
        fn check(html: &str, want: u64) {
            assert_eq!(text(html).chars(), want, "{html:?}");
        }
        check("a bc\tdef\n", 6);
        check("abcdefgh ijklmnopqrs", 19);
        check("é è ñandú 12345678é", 16);
        check("日本語 と英語 abc", 9);
        check("🦀🦀 x", 3);
    }

    #[test]
    fn few_changes_change_few_bits() {
        let words: Vec<String> = (0..600_u64).map(|n| format!("w{}", n * n % 977)).collect();
        let hash = |words: &[String]| text(&words.join(" ")).simhash().unwrap();
        let whole = hash(&words);
        let distance = |changed: &[String]| (whole ^ hash(changed)).count_ones();
        let mut one = words.clone();
        one[300] = "other".to_owned();
        assert!(distance(&one) <= 3, "{}", distance(&one));
        // What comes after the beginning changes none.
        let longer = [words.clone(), vec!["more".to_owned()]].concat();
        assert_eq!(distance(&longer), 0);
        assert!(distance(&words[..594]) <= 6, "{}", distance(&words[..594]));
        let others: Vec<String> = words.iter().map(|word| format!("{word}x")).collect();
        let far = distance(&others);
        assert!((16..=48).contains(&far), "{far}");
        // Where words are not parted, a character is one.
        let (a, b) = (
            "日本語の文章を比べる。".repeat(20),
            "長い文章である。".repeat(20),
        );
        let (one, other) = (text(&format!("{a}{b}")), text(&format!("{a}山{b}")));
        let near = one.simhash().unwrap() ^ other.simhash().unwrap();
        assert!(near.count_ones() <= 6, "{}", near.count_ones());
    }

    #[test]
    fn phrases_are_those_of_the_text_whatever_its_numbers_and_order() {
        let phrases = |text: &str| {
            let mut taken = MainText::default();
            taken.add(text);
            taken.phrases()
        };
        assert_eq!(phrases(""), [u64::MAX; PHRASES]);
        assert_eq!(phrases("page 12 of many"), phrases("page 345 of many"));
        assert_ne!(phrases("page twelve of many"), phrases("page ten of many"));
        assert!(phrases("some words that are in a text").is_sorted());
        let (one, other) = (
            "the one sentence stands here. ",
            "and another one comes then. ",
        );
        let both = phrases(&(one.to_owned() + other));
        let turned = phrases(&(other.to_owned() + one));
        assert!(both.iter().any(|phrase| turned.contains(phrase)));
    }

    proptest::proptest! {
        #[test]
        fn planes_count_as_counters_do(hashes in proptest::collection::vec(proptest::prelude::any::<u64>(), 0..300)) {
            let mut planes = Simhash::default();
            hashes.iter().for_each(|hash| planes.add(*hash));
            let ones = |bit: u32| hashes.iter().filter(|hash| *hash >> bit & 1 == 1).count();
            let want = (0..64).filter(|bit| 2 * ones(*bit) > hashes.len()).fold(0, |all, bit| all | 1_u64 << bit);
            proptest::prop_assert_eq!(planes.end(), (!hashes.is_empty()).then_some(want));
        }

        #[test]
        fn a_word_with_a_digit_is_seen(word in "[ -~]{1,8}") {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word.as_bytes());
            let want = word.bytes().any(|byte| byte.is_ascii_digit());
            proptest::prop_assert_eq!(has_digit(u64::from_le_bytes(bytes)), want);
        }

        #[test]
        fn words_and_characters_are_those_of_the_standard_library(words in "([a-zA-Zé,.]{1,12}[ \n\t]{0,2}){0,20}") {
            let mut taken = MainText::default();
            taken.add(&words);
            let chars = words.chars().filter(|c| !c.is_whitespace()).count();
            let mut parted = MainText::default();
            words.split_ascii_whitespace().for_each(|word| parted.add(word));
            proptest::prop_assert_eq!(taken.chars(), chars as u64);
            proptest::prop_assert_eq!(taken.simhash(), parted.simhash());
            let last = words.split_ascii_whitespace().last().map_or(0, MainText::hash_of);
            proptest::prop_assert_eq!(taken.before[0], last);
            proptest::prop_assert_eq!(taken.simhash.count, words.split_ascii_whitespace().count() as u64);
        }
    }
}

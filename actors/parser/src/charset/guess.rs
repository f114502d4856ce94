//! What a document is in that says nothing of it.
//!
//! Owns the order of trials: UTF-16 without its mark, valid UTF-8, UTF-8 with flaws, then the detector (chardetng, with a
//! hint from the host's top-level domain or the document's own `lang`) and the encodings that it does not tell from their
//! neighbours ([`refine`]). It knows no markup but that attribute.
//! Invariant: linear; not more than [`GUESS`] bytes are looked at but to see that all is UTF-8. Start at [`guess`].

mod hint;
mod refine;
mod utf16;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

use super::Source;

/// Bytes that are guessed from: the guess costs more than the parsing, and more bytes seldom change it.
const GUESS: usize = 64 * 1_024;

/// The encoding, and whether it was guessed.
pub(super) fn guess(bytes: &[u8], tld: Option<&str>) -> (&'static Encoding, Source) {
    if let Some(encoding) = utf16::without_mark(bytes) {
        return (encoding, Source::Guess);
    }
    // An escape byte may be ISO-2022-JP, which is valid UTF-8 to look at.
    let valid =
        Encoding::utf8_valid_up_to(bytes) == bytes.len() && memchr::memchr(0x1B, bytes).is_none();
    if valid {
        (UTF_8, Source::Valid)
    } else {
        (detect(bytes, tld), Source::Guess)
    }
}

fn detect(bytes: &[u8], tld: Option<&str>) -> &'static Encoding {
    let head = &bytes[..bytes.len().min(GUESS)];
    if is_flawed_utf8(head) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(head, head.len() == bytes.len());
    let hint = hint::of(head, tld);
    let guess = detector.guess(hint.map(str::as_bytes), Utf8Detection::Allow);
    refine::refine(guess, head)
}

/// UTF-8 that was cut in a character or has a few bytes of something else: characters of several bytes come about by
/// chance too seldom in any other encoding.
fn is_flawed_utf8(bytes: &[u8]) -> bool {
    let (mut characters, mut flaws) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        flaws += usize::from(!chunk.invalid().is_empty());
        if flaws > characters / 8 + 8 {
            return false;
        }
    }
    // The one flaw of a cut is at the end.
    let cut = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let flaws_max = if cut { 1 } else { characters / 8 };
    characters >= 2 && flaws >= 1 && flaws <= flaws_max
}

/// How well a guess is borne out: the share of the document's quarters with bytes beyond ASCII that, each by itself, are
/// guessed the same; 1 where there is none. For people: the crawl does not ask.
pub fn confidence(bytes: &[u8], guessed: &'static Encoding, tld: Option<&str>) -> f64 {
    // Pairs of bytes stay together.
    let quarter = bytes.len().div_ceil(4).next_multiple_of(2).max(2);
    let (mut all, mut same) = (0_u32, 0_u32);
    for quarter in bytes.chunks(quarter).filter(|quarter| !quarter.is_ascii()) {
        all += 1;
        same += u32::from(guess(quarter, tld).0 == guessed);
    }
    f64::from(same.max(u32::from(all == 0))) / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_with_a_flaw_is_utf_8() {
        #[track_caller]
        fn check(bytes: &[u8], want: bool) {
            assert_eq!(
                guess(bytes, None).0 == UTF_8,
                want,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        let text = "Größe und Maße: für alle Fälle".as_bytes();
        check(text, true);
        check(&text[..3], false); // "Gr\xC3" alone says nothing
        check(&"été, là".as_bytes()[..8], true); // cut in its last character
        check(&[&text.repeat(4)[..], b"\xE9t\xE9"].concat(), true);
        check(b"\xE9t\xE9 \xC3\xA9 \xE0 l\xE0", false);
    }

    #[test]
    fn a_guess_is_as_sure_as_its_quarters() {
        let text = "Обычный русский текст, в котором нет ничего особенного. ".repeat(8);
        let (text, ..) = encoding_rs::KOI8_R.encode(&text);
        assert_eq!(confidence(&text, encoding_rs::KOI8_R, Some("ru")), 1.0);
        assert_eq!(confidence(&text, encoding_rs::BIG5, Some("ru")), 0.0);
        assert_eq!(confidence(b"", UTF_8, None), 1.0);
    }
}

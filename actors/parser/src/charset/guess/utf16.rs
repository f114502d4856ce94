//! UTF-16 without a byte order mark.
//!
//! Control bytes give it away: half the bytes of ASCII, and of every script whose block has a low number, are below
//! U+0020; ideographs and syllables have some in their full stops and line ends. Of the two byte orders the right one has
//! characters that belong together. Invariant: looks at no more than [`HEAD`] bytes.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Bytes looked at.
const HEAD: usize = 4_096;

/// The encoding, if it is UTF-16.
pub(super) fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let controls = head
        .iter()
        .filter(|b| matches!(b, 0..=8 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F))
        .count();
    if controls == 0 || controls * 100 < head.len() || head.len() < 4 {
        return None;
    }
    let little = share(
        head.chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]])),
    );
    let big = share(
        head.chunks_exact(2)
            .map(|unit| u16::from_be_bytes([unit[0], unit[1]])),
    );
    let (encoding, share) = if little > big {
        (UTF_16LE, little)
    } else {
        (UTF_16BE, big)
    };
    (share >= 80).then_some(encoding)
}

/// How many of a hundred units are as in a text, less what is in none.
fn share(units: impl Iterator<Item = u16>) -> i32 {
    let (mut all, mut good, mut script, mut high) = (0_i32, 0_i32, 0, false);
    for unit in units {
        all += 1;
        let follows_high = std::mem::replace(&mut high, matches!(unit, 0xD800..=0xDBFF));
        let block = match unit {
            b if (0xDC00..=0xDFFF).contains(&b) && follows_high => 0,
            _ if follows_high => BAD,
            0xD800..=0xDBFF => 0,
            // Punctuation and spaces of all scripts.
            0x09..=0x0D | 0x20..=0x7E | 0xA0..=0xBF | 0x2010..=0x2060 | 0x20AC => 0,
            0..=0x9F | 0xDC00..=0xDFFF | 0xE000..=0xF8FF | 0xFFF0.. => BAD,
            0xC0..=0x24F | 0x1E00..=0x1EFF => LATIN,
            0x370..=0x3FF => GREEK,
            0x400..=0x52F => CYRILLIC,
            // Han, kana, hangul and their punctuation.
            0x3000..=0x30FF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3 | 0xFF00..=0xFFEF => EAST,
            other => other >> 7,
        };
        match block {
            BAD => good -= 4,
            0 => good += 1,
            same if same == script || script == 0 => {
                good += 1;
                script = same;
            }
            // Another script than before: a text has few such places.
            other => {
                good -= 1;
                script = other;
            }
        }
    }
    // A half pair at the end may be cut.
    good * 100 / all.max(1)
}

const BAD: u16 = u16::MAX;
/// Scripts of several blocks; numbers that no block of 128 has.
const LATIN: u16 = 0x1000;
const GREEK: u16 = 0x1001;
const CYRILLIC: u16 = 0x1002;
const EAST: u16 = 0x1003;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_of_many_scripts_are_told_from_others() {
        #[track_caller]
        fn check(text: &str) {
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(without_mark(&big), Some(UTF_16BE), "{text}");
            assert_eq!(without_mark(&little), Some(UTF_16LE), "{text}");
            assert_eq!(without_mark(text.as_bytes()), None, "{text}");
        }
        check("plain text in English, even");
        check("<html><p>Déjà vu, œuvre, naïveté…</p>");
        check("Всё хорошо, прекрасная маркиза.");
        check("Η ταχεία αλεπού, 1999.");
        check("日本語の文章です。\n文字コード。\n");
        check("中文的句子，没有字节顺序标记。\r\n第二行。");
        check("한국어 문장입니다. 둘째 줄.");
        check("שלום עולם, זה משפט");
        check("นี่คือข้อความภาษาไทย สวัสดี");
    }

    #[test]
    fn other_bytes_are_not() {
        for bytes in [
            &b""[..],
            b"a",
            b"a\0",
            b"\0\0\0\0\0\0",
            b"text with one\0NUL in the middle of a longer line of ASCII",
            b"\x1B$B%F%9%H\x1B(B and more of it",
            b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0",
            b"\xcf\xf0\xe8\x01\xe2\xe5\xf2 \xea\xe0\xea",
        ] {
            assert_eq!(without_mark(bytes), None, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes: Vec<u8>) {
            without_mark(&bytes);
        }
    }
}

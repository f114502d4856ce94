//! Bytes to text: which encoding, and who said so.
//!
//! Follows the HTML standard (13.2.3.2): a byte order mark, then the HTTP header, then a `<meta>` (or XML declaration)
//! in the first 1,024 bytes ([`prescan`]), then what is valid UTF-8, then a guess ([`guess`]). Invariant: text that is
//! UTF-8 already is borrowed, not copied. Start at [`decode`].

mod guess;
mod prescan;

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

pub use self::guess::confidence;
use self::guess::guess;
use self::prescan::prescan;

/// Bytes in which a declaration is looked for.
const PRESCAN: usize = 1_024;
/// Who decided on an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    ByteOrderMark,
    Header,
    /// `<meta charset>`, `<meta http-equiv=content-type>` or an XML declaration.
    Declaration,
    /// It is valid UTF-8 and nothing said otherwise.
    Valid,
    Guess,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "bom",
            Self::Header => "header",
            Self::Declaration => "declaration",
            Self::Valid => "valid",
            Self::Guess => "guess",
        }
    }
}

/// A document's text and how it was had.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    pub text: Cow<'a, str>,
    pub encoding: &'static Encoding,
    pub source: Source,
    /// Some bytes made no sense in this encoding and became U+FFFD.
    pub malformed: bool,
}

/// Decodes a document. `header` is the charset parameter of Content-Type, `tld` the host's last label, which helps
/// guessing.
pub fn decode<'a>(bytes: &'a [u8], header: Option<&str>, tld: Option<&str>) -> Decoded<'a> {
    let Decision {
        encoding,
        source,
        bom,
        ..
    } = decide(bytes, header, tld);
    let bytes = &bytes[bom..];
    let (text, malformed) = encoding.decode_without_bom_handling(bytes);
    Decoded {
        text,
        encoding,
        source,
        malformed,
    }
}

/// Which encoding a document is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub encoding: &'static Encoding,
    pub source: Source,
    /// The length of the byte order mark.
    pub bom: usize,
}

/// Decides in the order of rank.
pub fn decide(bytes: &[u8], header: Option<&str>, tld: Option<&str>) -> Decision {
    let by = |encoding, source| Decision {
        encoding,
        source,
        bom: 0,
    };
    if let Some((encoding, bom)) = Encoding::for_bom(bytes) {
        let source = Source::ByteOrderMark;
        return Decision {
            bom,
            ..by(encoding, source)
        };
    }
    if let Some(encoding) = header.and_then(|label| Encoding::for_label(label.as_bytes())) {
        return by(encoding, Source::Header);
    }
    if let Some(encoding) = prescan(&bytes[..bytes.len().min(PRESCAN)]) {
        return by(encoding, Source::Declaration);
    }
    let (encoding, source) = guess(bytes, tld);
    by(encoding, source)
}

/// The encoding of an XML document that is read as a stream, from its head: XML without a declaration is UTF-8. Also the
/// length of the byte order mark.
pub fn of_xml(head: &[u8], header: Option<&str>) -> (&'static Encoding, usize) {
    match decide(head, header, None) {
        Decision {
            source: Source::Guess,
            ..
        } => (UTF_8, 0),
        Decision { encoding, bom, .. } => (encoding, bom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], header: Option<&str>, want: (&str, Source, &str)) {
        let decoded = decode(bytes, header, None);
        let got = (
            decoded.encoding.name(),
            decoded.source,
            decoded.text.as_ref(),
        );
        assert_eq!(got, want, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn the_first_in_rank_decides() {
        let e_in_latin = b"<meta charset=utf-8>\xE9";
        check(
            b"\xEF\xBB\xBFa\xC3\xA9",
            Some("latin1"),
            ("UTF-8", Source::ByteOrderMark, "aé"),
        );
        check(
            b"\xFF\xFEa\0",
            Some("utf-8"),
            ("UTF-16LE", Source::ByteOrderMark, "a"),
        );
        check(
            b"\xFE\xFF\0a",
            None,
            ("UTF-16BE", Source::ByteOrderMark, "a"),
        );
        check(
            e_in_latin,
            Some(" Latin1 "),
            ("windows-1252", Source::Header, "<meta charset=utf-8>é"),
        );
        check(
            e_in_latin,
            Some("no-such"),
            ("UTF-8", Source::Declaration, "<meta charset=utf-8>\u{FFFD}"),
        );
        check("aé".as_bytes(), None, ("UTF-8", Source::Valid, "aé"));
        check(b"plain", None, ("UTF-8", Source::Valid, "plain"));
        check(b"", None, ("UTF-8", Source::Valid, ""));
    }

    #[test]
    fn what_nobody_declares_is_guessed() {
        let (bytes, ..) =
            encoding_rs::SHIFT_JIS.encode("これは日本語の文章です。文字コードを推測します。");
        assert_eq!(decode(&bytes, None, None).encoding.name(), "Shift_JIS");
        let (bytes, ..) =
            encoding_rs::WINDOWS_1251.encode("Это обычный русский текст в старой кодировке.");
        let decoded = decode(&bytes, None, Some("ru"));
        assert_eq!(
            (decoded.encoding.name(), decoded.source),
            ("windows-1251", Source::Guess)
        );
        let (bytes, ..) = encoding_rs::ISO_2022_JP.encode("これは日本語の文章です。");
        assert_eq!(decode(&bytes, None, None).encoding.name(), "ISO-2022-JP");
        assert_eq!(
            decode(b"caf\xE9 au lait, d\xE9j\xE0 vu", None, Some("XN--p1ai"))
                .encoding
                .name(),
            "windows-1252"
        );
    }

    #[test]
    fn a_declaration_counts_in_the_first_1024_bytes() {
        let declared = |spaces| format!("{}<meta charset=koi8-r>", " ".repeat(spaces));
        let by = |spaces: usize| decode(declared(spaces).as_bytes(), None, None).source;
        assert_eq!(by(1_024 - 21), Source::Declaration);
        assert_eq!(by(1_024 - 20), Source::Valid);
    }

    #[test]
    fn utf_8_is_borrowed() {
        for header in [None, Some("utf-8")] {
            assert!(matches!(
                decode("aé".as_bytes(), header, None).text,
                Cow::Borrowed(_)
            ));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_text(bytes: Vec<u8>, label in "(utf-8|utf-16|big5|iso-2022-jp|x)?") {
            decode(&bytes, Some(&label), Some("jp"));
        }
    }
}

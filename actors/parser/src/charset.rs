//! Bytes to text: which encoding, and who said so.
//!
//! Follows the HTML standard (13.2.3.2): a byte order mark, then the HTTP header, then a `<meta>` (or XML declaration)
//! in the first 1,024 bytes, then what is valid UTF-8, then a guess from the first 64 KB. It knows no markup beyond the
//! prescan's. Invariant: text that is UTF-8 already is borrowed, not copied. Start at [`decode`].

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// Bytes in which a declaration is looked for.
const PRESCAN: usize = 1_024;
/// Bytes that are guessed from: the guess costs more than the parsing, and more bytes seldom change it.
const GUESS: usize = 64 * 1_024;

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
    guess(bytes, tld)
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

fn guess(bytes: &[u8], tld: Option<&str>) -> Decision {
    // An escape byte may be ISO-2022-JP, which is valid UTF-8 to look at.
    let valid =
        Encoding::utf8_valid_up_to(bytes) == bytes.len() && memchr::memchr(0x1B, bytes).is_none();
    let (encoding, source) = if valid {
        (UTF_8, Source::Valid)
    } else {
        (detect(bytes, tld), Source::Guess)
    };
    Decision {
        encoding,
        source,
        bom: 0,
    }
}

fn detect(bytes: &[u8], tld: Option<&str>) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(&bytes[..bytes.len().min(GUESS)], bytes.len() <= GUESS);
    // The detector takes lower-case ASCII labels only.
    let tld = tld.filter(|tld| tld.bytes().all(|b| b.is_ascii_lowercase()));
    detector.guess(tld.map(str::as_bytes), Utf8Detection::Allow)
}

/// How well a guess is borne out: the share of the document's quarters with bytes beyond ASCII that, each by itself, are
/// guessed the same; 1 where there is none. For people: the crawl does not ask.
pub fn confidence(bytes: &[u8], guess: &'static Encoding, tld: Option<&str>) -> f64 {
    let quarters = bytes
        .chunks(bytes.len().div_ceil(4).max(1))
        .filter(|quarter| !quarter.is_ascii());
    let (mut all, mut same) = (0_u32, 0_u32);
    for quarter in quarters {
        all += 1;
        same += u32::from(detect(quarter, tld) == guess);
    }
    f64::from(same.max(u32::from(all == 0))) / f64::from(all.max(1))
}

/// The encoding that the start of a document declares: the standard's prescan ("prescan a byte stream to determine its
/// encoding"), with the XML declaration as the fallback it has there.
pub fn prescan(head: &[u8]) -> Option<&'static Encoding> {
    let declared = xml_declaration(head);
    let mut at = 0;
    while let Some(n) = memchr::memchr(b'<', head.get(at..)?) {
        at += n;
        let rest = &head[at..];
        if rest.starts_with(b"<!--") {
            // The two dashes may be those that opened it.
            match memchr::memmem::find(&rest[2..], b"-->") {
                Some(end) => at += 2 + end + 3,
                None => break,
            }
        } else if is_meta(rest) {
            at += 5;
            let mut attributes = Attributes { head, at };
            if let Some(encoding) = meta(&mut attributes) {
                return Some(encoding);
            }
            at = attributes.at;
        } else if rest.len() > 1
            && (rest[1].is_ascii_alphabetic()
                || (rest[1] == b'/' && rest.get(2).is_some_and(u8::is_ascii_alphabetic)))
        {
            at += rest
                .iter()
                .position(|b| b.is_ascii_whitespace() || *b == b'>')
                .unwrap_or(rest.len());
            let mut attributes = Attributes { head, at };
            while attributes.next().is_some() {}
            at = attributes.at;
        } else if matches!(rest.get(1), Some(b'!' | b'/' | b'?')) {
            match memchr::memchr(b'>', rest) {
                Some(end) => at += end + 1,
                None => break,
            }
        } else {
            at += 1;
        }
    }
    declared
}

fn is_meta(rest: &[u8]) -> bool {
    rest.len() > 5
        && rest[1..5].eq_ignore_ascii_case(b"meta")
        && (rest[5].is_ascii_whitespace() || rest[5] == b'/')
}

/// What one `<meta>` declares.
fn meta(attributes: &mut Attributes<'_>) -> Option<&'static Encoding> {
    let (mut pragma, mut need_pragma, mut charset) = (false, None, None);
    let (mut seen_equiv, mut seen_content, mut seen_charset) = (false, false, false);
    while let Some((name, value)) = attributes.next() {
        match name.as_slice() {
            b"http-equiv" if !seen_equiv => {
                seen_equiv = true;
                pragma |= value == b"content-type";
            }
            b"content" if !seen_content => {
                seen_content = true;
                if charset.is_none()
                    && let Some(label) = charset_in(&value)
                {
                    charset = Some(label);
                    need_pragma = Some(true);
                }
            }
            b"charset" if !seen_charset => {
                seen_charset = true;
                charset = Some(Encoding::for_label(&value));
                need_pragma = Some(false);
            }
            _ => {}
        }
    }
    attributes.peek()?; // a tag that the end of the bytes cuts off declares nothing
    if need_pragma? && !pragma {
        return None;
    }
    charset.flatten().map(as_declared)
}

/// What is declared in ASCII bytes cannot be UTF-16, and "x-user-defined" is read as windows-1252.
fn as_declared(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16BE || encoding == UTF_16LE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    }
}

/// "Extracting a character encoding from a meta element": the label after `charset=`. None: there is none; some none: it
/// names no encoding.
fn charset_in(content: &[u8]) -> Option<Option<&'static Encoding>> {
    let mut rest = content;
    loop {
        let at = memchr::memmem::find(rest, b"charset")?;
        rest = rest[at + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = value.trim_ascii_start();
            break;
        }
    }
    let label = match rest.first()? {
        quote @ (b'"' | b'\'') => {
            let end = memchr::memchr(*quote, &rest[1..])?;
            &rest[1..=end]
        }
        _ => {
            let end = rest
                .iter()
                .position(|b| b.is_ascii_whitespace() || *b == b';')
                .unwrap_or(rest.len());
            &rest[..end]
        }
    };
    Some(Encoding::for_label(label))
}

/// `<?xml … encoding="…"` at the very start, in ASCII bytes or as UTF-16 without a byte order mark.
fn xml_declaration(head: &[u8]) -> Option<&'static Encoding> {
    if head.starts_with(b"<\0?\0x\0") {
        return Some(UTF_16LE);
    }
    if head.starts_with(b"\0<\0?\0x") {
        return Some(UTF_16BE);
    }
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let declaration = &head[..memchr::memchr(b'>', head)?];
    let at = memchr::memmem::find(declaration, b"encoding")? + b"encoding".len();
    let after = |text: &'_ [u8]| text.iter().position(|b| *b > b' ').unwrap_or(text.len());
    let rest = &declaration[at..];
    let rest = rest[after(rest)..].strip_prefix(b"=")?;
    let rest = &rest[after(rest)..];
    let quote = *rest.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
    let end = memchr::memchr(quote, &rest[1..])?;
    Encoding::for_label(&rest[1..=end]).map(as_declared)
}

/// The prescan's own way of reading attributes ("get an attribute"), names and values in lower case.
struct Attributes<'h> {
    head: &'h [u8],
    at: usize,
}

impl Attributes<'_> {
    fn peek(&self) -> Option<u8> {
        self.head.get(self.at).copied()
    }

    fn skip_while(&mut self, skip: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&skip) {
            self.at += 1;
        }
    }

    fn take_until(&mut self, end: impl Fn(u8) -> bool) -> Vec<u8> {
        let start = self.at;
        self.skip_while(|b| !end(b));
        self.head[start..self.at].to_ascii_lowercase()
    }

    /// The next attribute; none at the end of the tag or of the bytes.
    fn next(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.skip_while(|b| b.is_ascii_whitespace() || b == b'/');
        if self.peek()? == b'>' {
            return None;
        }
        let first = self.at;
        let mut name =
            self.take_until(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='));
        if self.at == first {
            self.at += 1; // an equals sign that starts a name
            name = self.take_until(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='));
            name.insert(0, b'=');
        }
        self.skip_while(|b| b.is_ascii_whitespace());
        if self.peek()? != b'=' {
            return Some((name, Vec::new()));
        }
        self.at += 1;
        self.skip_while(|b| b.is_ascii_whitespace());
        let value = match self.peek()? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let value = self.take_until(|b| b == quote);
                self.peek()?; // cut off by the end of the bytes: no attribute
                self.at += 1;
                value
            }
            _ => self.take_until(|b| b.is_ascii_whitespace() || b == b'>'),
        };
        Some((name, value))
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
    fn the_prescan_finds_what_the_standard_lets_it_find() {
        #[track_caller]
        fn check(head: &str, want: Option<&str>) {
            assert_eq!(
                prescan(head.as_bytes()).map(Encoding::name),
                want,
                "{head:?}"
            );
        }
        check("<meta charset=koi8-r>", Some("KOI8-R"));
        check("<META/charset = 'KOI8-R' >", Some("KOI8-R"));
        check(
            "<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>",
            Some("KOI8-R"),
        );
        check(
            "<meta content='text/html; charset = \"koi8-r\"' http-equiv='content-type'>",
            Some("KOI8-R"),
        );
        check("<meta content='text/html; charset=koi8-r'>", None);
        check(
            "<meta http-equiv=content-type content='charset x; charset=koi8-r;y'>",
            Some("KOI8-R"),
        );
        check(
            "<meta charset=no-such><meta charset=koi8-r>",
            Some("KOI8-R"),
        );
        check("<meta charset=koi8-r charset=big5>", Some("KOI8-R"));
        check("<meta charset=utf-16le>", Some("UTF-8"));
        check("<meta charset=x-user-defined>", Some("windows-1252"));
        check(
            "<!-- <meta charset=big5> --><meta charset=koi8-r>",
            Some("KOI8-R"),
        );
        check("<!--><meta charset=koi8-r>", Some("KOI8-R"));
        check("<!-- <meta charset=koi8-r>", None);
        check(
            "<a title='<meta charset=big5>'><meta charset=koi8-r>",
            Some("KOI8-R"),
        );
        check("</a title='>'><meta charset=koi8-r>", Some("KOI8-R"));
        check(
            "<!doctype html><?x?></ x><meta charset=koi8-r>",
            Some("KOI8-R"),
        );
        check("<metax charset=big5><meta charset=koi8-r>", Some("KOI8-R"));
        check("<meta charset=koi8-r", None);
        check("<meta charset='koi8-r", None);
        check("<?xml version='1.0' encoding='koi8-r'?>", Some("KOI8-R"));
        check(
            "<?xml encoding = \"koi8-r\"?><meta charset=big5>",
            Some("Big5"),
        );
        check("<?xml encoding=koi8-r?>", None);
        check("< meta charset=koi8-r>", None);
        check("<", None);
        let late = format!("{}<meta charset=koi8-r>", " ".repeat(1_024));
        assert_eq!(decode(late.as_bytes(), None, None).source, Source::Valid);
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

        #[test]
        fn any_head_is_scanned(head in r#"([a-z ='"/]|<|>|<!--|-->|<meta |charset=|content=|<\?xml )*"#) {
            prescan(head.as_bytes());
        }
    }
}

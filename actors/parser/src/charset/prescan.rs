//! The encoding that the start of a document declares.
//!
//! Follows "prescan a byte stream to determine its encoding" (HTML standard, 13.2.3.2) with its own reading of attributes,
//! "extracting a character encoding from a meta element", and the XML declaration as the fallback it has there; for style
//! sheets also `@charset`, with which no page starts.
//! It knows no other markup. Invariant: linear, never fails. Start at [`prescan`].

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// The encoding that the start of a document declares: the standard's prescan ("prescan a byte stream to determine its
/// encoding"), with the XML declaration as the fallback it has there.
pub(super) fn prescan(head: &[u8]) -> Option<&'static Encoding> {
    let declared = xml_declaration(head).or_else(|| style_rule(head));
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

/// `@charset "…";` at the very start, in these very bytes (CSS Syntax Level 3, section 3.2).
fn style_rule(head: &[u8]) -> Option<&'static Encoding> {
    let label = head.strip_prefix(b"@charset \"")?;
    let end = memchr::memchr(b'"', label)?;
    if label.get(end + 1) != Some(&b';') {
        return None;
    }
    Encoding::for_label(&label[..end]).map(as_declared)
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
        check("@charset \"koi8-r\"; a{}", Some("KOI8-R"));
        check("@charset \"utf-16\";", Some("UTF-8"));
        for no_rule in [
            "@charset 'koi8-r';",
            "@charset  \"koi8-r\";",
            "@charset \"koi8-r\" ;",
            " @charset \"koi8-r\";",
            "@charset \"koi8-r",
        ] {
            check(no_rule, None);
        }
        check("< meta charset=koi8-r>", None);
        check("<", None);
    }

    proptest! {
        #[test]
        fn any_head_is_scanned(head in r#"([a-z ='"/]|<|>|<!--|-->|<meta |charset=|content=|<\?xml )*"#) {
            prescan(head.as_bytes());
        }
    }
}

//! What kind of document is this, and is it read for links?
//!
//! Follows the MIME Sniffing standard as far as a crawler needs it: the declared type is believed, except where there is
//! none (7.1), and for XML and mislabelled feeds, whose root element decides (as in 8). `text/plain` is never HTML.
//! It knows no charset and no codings. Invariant: looks at no more than [`HEAD`] bytes. Start at [`sniff`].

/// Bytes looked at (the standard's resource header).
pub const HEAD: usize = 1_445;

/// What a document is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Html,
    Css,
    /// A sitemap, sitemap index or feed.
    Sitemap,
    /// Text that may be a text sitemap, where a sitemap is expected; else not read.
    Text,
    /// Not read for links.
    Other,
}

/// A document's kind and media type essence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sniffed {
    pub kind: Kind,
    pub mime: String,
}

/// Judges a document by its Content-Type and its first decoded bytes.
pub fn sniff(content_type: Option<&str>, head: &[u8]) -> Sniffed {
    let head = &head[..head.len().min(HEAD)];
    match content_type.and_then(essence) {
        None => unknown(head),
        Some(mime) => {
            let kind = match mime.as_str() {
                "text/html" => root_element(head)
                    .filter(|root| root.is_list())
                    .map_or(Kind::Html, |_| Kind::Sitemap),
                "application/xhtml+xml" => Kind::Html,
                "text/css" => Kind::Css,
                "text/plain" => Kind::Text,
                other if looks_within(other) => of_xml(head),
                _ => Kind::Other,
            };
            Sniffed { kind, mime }
        }
    }
}

/// True for types whose documents differ in kind, so that the head has to be seen.
pub fn looks_within(mime: &str) -> bool {
    matches!(mime, "text/xml" | "application/xml")
        || (mime.ends_with("+xml") && mime != "image/svg+xml")
}

/// The essence of a Content-Type value ("text/html"), in lower case; none where it says nothing.
pub fn essence(content_type: &str) -> Option<String> {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"(),:;<=>?@[\\]{}".contains(&b))
    };
    let valid = essence.len() <= 127
        && essence
            .split_once('/')
            .is_some_and(|(kind, sub)| token(kind) && token(sub) && !sub.contains('/'));
    let essence = essence.to_ascii_lowercase();
    let says_nothing = matches!(
        essence.as_str(),
        "unknown/unknown" | "application/unknown" | "*/*"
    );
    (valid && !says_nothing).then_some(essence)
}

/// The charset parameter of a Content-Type value.
pub fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim_ascii().trim_matches(['"', '\'']);
        (name.trim_ascii().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

/// Start tags that make an unlabelled document HTML (MIME Sniffing 7.1).
const HTML_STARTS: &[&[u8]] = &[
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

fn unknown(head: &[u8]) -> Sniffed {
    let sniffed = |kind, mime: &str| Sniffed {
        kind,
        mime: mime.to_owned(),
    };
    let text = without_bom(head).trim_ascii_start();
    let html = HTML_STARTS.iter().any(|start| {
        let ended = || *start == b"<!--" || matches!(text.get(start.len()), Some(b' ' | b'>'));
        text.len() >= start.len() && text[..start.len()].eq_ignore_ascii_case(start) && ended()
    });
    if html && !root_element(head).is_some_and(Root::is_list) {
        return sniffed(Kind::Html, "text/html");
    }
    if text.starts_with(b"<?xml") || root_element(head).is_some() {
        return sniffed(of_xml(head), "text/xml");
    }
    const BINARY: &[(&[u8], &str)] = &[
        (b"%PDF-", "application/pdf"),
        (b"\x1F\x8B\x08", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"GIF8", "image/gif"),
        (b"\x89PNG\r\n\x1A\n", "image/png"),
        (b"\xFF\xD8\xFF", "image/jpeg"),
    ];
    if let Some((_, mime)) = BINARY.iter().find(|(magic, _)| head.starts_with(magic)) {
        return sniffed(Kind::Other, mime);
    }
    let bom = matches!(
        head,
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0xEF, 0xBB, 0xBF, ..]
    );
    if bom
        || !head
            .iter()
            .any(|b| matches!(b, 0..=8 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F))
    {
        sniffed(Kind::Text, "text/plain")
    } else {
        sniffed(Kind::Other, "application/octet-stream")
    }
}

fn of_xml(head: &[u8]) -> Kind {
    match root_element(head) {
        Some(Root::List) => Kind::Sitemap,
        Some(Root::Html) => Kind::Html,
        None => Kind::Other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    List,
    Html,
}

impl Root {
    fn is_list(self) -> bool {
        self == Self::List
    }
}

/// The first element of `head`, past comments, declarations and processing instructions, where it is one of ours.
fn root_element(head: &[u8]) -> Option<Root> {
    let head = narrow(head);
    let mut rest = without_bom(&head);
    loop {
        rest = rest.trim_ascii_start();
        let end = match rest {
            [b'<', b'!', b'-', b'-', ..] => memchr::memmem::find(&rest[4..], b"-->")? + 7,
            [b'<', b'?', ..] => memchr::memmem::find(rest, b"?>")? + 2,
            [b'<', b'!', ..] => memchr::memchr(b'>', rest)? + 1,
            [b'<', ..] => break,
            _ => return None,
        };
        rest = &rest[end..];
    }
    let name_end = rest
        .iter()
        .position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))?;
    let name = &rest[1..name_end];
    let local = name.rsplit(|b| *b == b':').next()?;
    match local.to_ascii_lowercase().as_slice() {
        b"urlset" | b"sitemapindex" | b"rss" | b"feed" | b"rdf" => Some(Root::List),
        b"html" => Some(Root::Html),
        _ => None,
    }
}

fn without_bom(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head)
}

/// UTF-16 brought down to its ASCII, so that the root element can be read.
fn narrow(head: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match head {
        [0xFF, 0xFE, ..] | [b'<', 0, _, 0, ..] | [0xFE, 0xFF, ..] | [0, b'<', 0, ..] => head
            .iter()
            .copied()
            .filter(|b| b.is_ascii() && *b != 0)
            .collect(),
        _ => std::borrow::Cow::Borrowed(head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_declared_type_is_believed_and_xml_looked_into() {
        #[track_caller]
        fn check(content_type: &str, head: &str, kind: Kind, mime: &str) {
            let want = Sniffed {
                kind,
                mime: mime.to_owned(),
            };
            assert_eq!(
                sniff(Some(content_type), head.as_bytes()),
                want,
                "{content_type} {head:?}"
            );
        }
        check("text/html; charset=x", "anything", Kind::Html, "text/html");
        check("TEXT/HTML", "<p>", Kind::Html, "text/html");
        check(
            "text/html",
            "<?xml version='1.0'?><!-- a --><rss version='2.0'>",
            Kind::Sitemap,
            "text/html",
        );
        check(
            "application/xhtml+xml",
            "<x>",
            Kind::Html,
            "application/xhtml+xml",
        );
        check("text/css", "<html>", Kind::Css, "text/css");
        check("text/plain", "<html>", Kind::Text, "text/plain");
        check(
            "text/xml",
            "<?xml version='1.0'?>\n<urlset xmlns='x'>",
            Kind::Sitemap,
            "text/xml",
        );
        check(
            "application/xml",
            "\u{FEFF}<s:sitemapindex>",
            Kind::Sitemap,
            "application/xml",
        );
        check(
            "application/rss+xml",
            "<!DOCTYPE x><feed>",
            Kind::Sitemap,
            "application/rss+xml",
        );
        check(
            "application/xml",
            "<rdf:RDF xmlns='x'>",
            Kind::Sitemap,
            "application/xml",
        );
        check(
            "application/xml",
            "<html xmlns='x'>",
            Kind::Html,
            "application/xml",
        );
        check(
            "application/xml",
            "<other/>",
            Kind::Other,
            "application/xml",
        );
        check(
            "application/x+xml",
            "<other",
            Kind::Other,
            "application/x+xml",
        );
        check("image/svg+xml", "<svg>", Kind::Other, "image/svg+xml");
        check("image/png", "<html>", Kind::Other, "image/png");
        check("application/json", "{}", Kind::Other, "application/json");
    }

    #[test]
    fn what_is_not_declared_is_sniffed() {
        #[track_caller]
        fn check(content_type: Option<&str>, head: &[u8], kind: Kind, mime: &str) {
            let want = Sniffed {
                kind,
                mime: mime.to_owned(),
            };
            assert_eq!(
                sniff(content_type, head),
                want,
                "{:?}",
                String::from_utf8_lossy(head)
            );
        }
        check(None, b" \n<!doctype html>", Kind::Html, "text/html");
        check(Some(""), b"<HTML>", Kind::Html, "text/html");
        check(Some("nonsense"), b"<a href=x>", Kind::Html, "text/html");
        check(Some("*/*"), b"<!-- x --><p>", Kind::Html, "text/html");
        check(
            Some("application/unknown"),
            b"<!-- x --><urlset>",
            Kind::Sitemap,
            "text/xml",
        );
        check(
            None,
            b"<?xml version='1.0'?><feed>",
            Kind::Sitemap,
            "text/xml",
        );
        check(None, b"<?xml version='1.0'?><x>", Kind::Other, "text/xml");
        check(
            None,
            b"\xFF\xFE<\0f\0e\0e\0d\0>\0",
            Kind::Sitemap,
            "text/xml",
        );
        check(None, b"<ab>", Kind::Text, "text/plain");
        check(None, b"plain", Kind::Text, "text/plain");
        check(None, b"", Kind::Text, "text/plain");
        check(None, b"%PDF-1.7", Kind::Other, "application/pdf");
        check(None, b"\0\x01", Kind::Other, "application/octet-stream");
        check(Some("a/b/c"), b"<p>", Kind::Html, "text/html");
    }

    #[test]
    fn the_charset_parameter_is_found() {
        #[track_caller]
        fn check(content_type: &str, want: Option<&str>) {
            assert_eq!(charset(content_type), want, "{content_type}");
        }
        check("text/html; charset=utf-8", Some("utf-8"));
        check("text/html;x=y; Charset = \"utf-8\"", Some("utf-8"));
        check("text/html; charset=", None);
        check("text/html", None);
    }

    proptest! {
        #[test]
        fn any_head_has_a_kind(content_type in "([a-z/+;*]|text/html|text/xml)*", head: Vec<u8>, markup in "(<!--|-->|<\\?|\\?>|<!|>|<urlset|[ a:])*") {
            sniff(Some(&content_type), &head);
            sniff(None, &head);
            sniff(Some("text/xml"), markup.as_bytes());
        }
    }
}

//! What kind of document is this, and is it read for links?
//!
//! Follows the MIME Sniffing standard: the declared type is believed, except where there is none (7.1), for `text/plain` as
//! an old Apache sends it for everything (7.2), and for feeds sent as HTML (7.3). Where it goes beyond: the root element
//! tells feeds and sitemaps also where XML or HTML is declared, a byte order mark does not hide HTML, and declared images,
//! audio and video are not looked into, because none of them is read. `text/plain` is never HTML.
//! It knows no charset and no codings. Invariant: looks at no more than [`HEAD`] bytes. Start at [`sniff`].

mod patterns;

use crate::html::tokens::Syntax;
use crate::sitemap;

/// Bytes looked at (the standard's resource header).
pub const HEAD: usize = 1_445;

/// What a document is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Html,
    Svg,
    Css,
    /// A sitemap, sitemap index or feed.
    Sitemap,
    /// Text that may be a text sitemap, where a sitemap is expected; else not read.
    Text,
    /// Not read for links.
    Other,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Svg => "svg",
            Self::Css => "css",
            Self::Sitemap => "sitemap",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}

/// What the head of an answer says of its type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Supplied<'h> {
    /// Content-Type, as sent.
    pub content_type: Option<&'h str>,
    /// `X-Content-Type-Options: nosniff`: what is declared is not looked into.
    pub nosniff: bool,
}

/// A document's kind and media type essence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sniffed {
    pub kind: Kind,
    pub mime: String,
}

impl Sniffed {
    fn new(kind: Kind, mime: &str) -> Self {
        Self {
            kind,
            mime: mime.to_owned(),
        }
    }

    /// By which grammar such a document is read.
    pub fn syntax(&self) -> Syntax {
        if self.mime == "text/html" {
            Syntax::Html
        } else {
            Syntax::Xml
        }
    }
}

/// Judges a document by what was declared and its first decoded bytes.
pub fn sniff(supplied: Supplied<'_>, head: &[u8]) -> Sniffed {
    let head = &head[..head.len().min(HEAD)];
    let Some(mime) = supplied.content_type.and_then(essence) else {
        return unknown(head, supplied.nosniff);
    };
    let kind = match mime.as_str() {
        "text/html" if supplied.nosniff => Kind::Html,
        "text/html" => root_element(head)
            .filter(|root| *root == Kind::Sitemap)
            .unwrap_or(Kind::Html),
        "application/xhtml+xml" => Kind::Html,
        "image/svg+xml" => Kind::Svg,
        "text/css" => Kind::Css,
        "text/plain" if !supplied.nosniff && apache_says(supplied) && is_binary(head) => {
            return Sniffed::new(Kind::Other, "application/octet-stream");
        }
        "text/plain" => Kind::Text,
        "application/feed+json" => Kind::Sitemap,
        "application/json" if sitemap::is_json_feed(&String::from_utf8_lossy(head)) => {
            Kind::Sitemap
        }
        other if looks_within(other) => of_xml(head),
        _ => Kind::Other,
    };
    Sniffed { kind, mime }
}

/// True for types whose documents differ in kind, so that the head has to be seen.
pub fn looks_within(mime: &str) -> bool {
    matches!(mime, "text/xml" | "application/xml") || mime.ends_with("+xml")
}

/// The check-for-apache-bug flag (5.1): the very bytes that some versions sent for whatever they did not know.
fn apache_says(supplied: Supplied<'_>) -> bool {
    matches!(
        supplied.content_type,
        Some(
            "text/plain"
                | "text/plain; charset=ISO-8859-1"
                | "text/plain; charset=iso-8859-1"
                | "text/plain; charset=UTF-8"
        )
    )
}

/// True if bytes are there that no text has (7.2), and no byte order mark.
fn is_binary(head: &[u8]) -> bool {
    let bom = matches!(
        head,
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0xEF, 0xBB, 0xBF, ..]
    );
    !bom && head
        .iter()
        .any(|b| matches!(b, 0..=8 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F))
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

/// Identifying an unknown type (7.1). With `nosniff` nothing that could run scripts is found.
fn unknown(head: &[u8], nosniff: bool) -> Sniffed {
    if !nosniff {
        let text = without_bom(head);
        if patterns::is_html(text) && root_element(head) != Some(Kind::Sitemap) {
            return Sniffed::new(Kind::Html, "text/html");
        }
        if text.trim_ascii_start().starts_with(b"<?xml") || root_element(head).is_some() {
            return Sniffed::new(of_xml(head), "text/xml");
        }
        if head.starts_with(b"%PDF-") {
            return Sniffed::new(Kind::Other, "application/pdf");
        }
    }
    if head.starts_with(b"%!PS-Adobe-") {
        return Sniffed::new(Kind::Other, "application/postscript");
    }
    // The standard has byte order marks before the rest, as patterns of text.
    if !is_binary(head) {
        return Sniffed::new(Kind::Text, "text/plain");
    }
    Sniffed::new(
        Kind::Other,
        patterns::media(head)
            .or_else(|| patterns::film(head))
            .unwrap_or("application/octet-stream"),
    )
}

fn of_xml(head: &[u8]) -> Kind {
    root_element(head).unwrap_or(Kind::Other)
}

/// The first element of `head`, past comments, declarations and processing instructions, where it is one of ours.
fn root_element(head: &[u8]) -> Option<Kind> {
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
        b"urlset" | b"sitemapindex" | b"rss" | b"feed" | b"rdf" => Some(Kind::Sitemap),
        b"html" => Some(Kind::Html),
        b"svg" => Some(Kind::Svg),
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

    fn declared(content_type: Option<&str>, head: &[u8]) -> Sniffed {
        let supplied = Supplied {
            content_type,
            nosniff: false,
        };
        sniff(supplied, head)
    }

    #[test]
    fn the_declared_type_is_believed_and_xml_looked_into() {
        #[track_caller]
        fn check(content_type: &str, head: &str, kind: Kind, mime: &str) {
            let want = Sniffed {
                kind,
                mime: mime.to_owned(),
            };
            assert_eq!(
                declared(Some(content_type), head.as_bytes()),
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
        check("image/svg+xml", "<svg>", Kind::Svg, "image/svg+xml");
        check("text/xml", "<svg xmlns='x'>", Kind::Svg, "text/xml");
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
                declared(content_type, head),
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
    fn an_old_apaches_text_is_looked_at() {
        #[track_caller]
        fn check(content_type: &str, head: &[u8], want: Kind) {
            assert_eq!(
                declared(Some(content_type), head).kind,
                want,
                "{content_type}"
            );
        }
        for apache in [
            "text/plain",
            "text/plain; charset=ISO-8859-1",
            "text/plain; charset=iso-8859-1",
            "text/plain; charset=UTF-8",
        ] {
            check(apache, b"a\x01", Kind::Other);
            check(apache, b"a\x1b\n\x0c", Kind::Text);
            check(apache, b"\xFE\xFF\0a", Kind::Text);
        }
        check("text/plain;charset=UTF-8", b"a\x01", Kind::Text);
        check("text/plain; charset=utf-8", b"a\x01", Kind::Text);
        let supplied = Supplied {
            content_type: Some("text/plain"),
            nosniff: true,
        };
        assert_eq!(sniff(supplied, b"a\x01").kind, Kind::Text);
    }

    #[test]
    fn nosniff_is_heard() {
        #[track_caller]
        fn check(content_type: Option<&str>, head: &[u8], kind: Kind, mime: &str) {
            let supplied = Supplied {
                content_type,
                nosniff: true,
            };
            assert_eq!(sniff(supplied, head), Sniffed::new(kind, mime));
        }
        check(Some("text/html"), b"<rss>", Kind::Html, "text/html");
        check(None, b"<html>", Kind::Text, "text/plain");
        check(None, b"\x1F\x8B\x08\0", Kind::Other, "application/x-gzip");
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
            declared(Some(&content_type), &head);
            declared(None, &head);
            declared(Some("text/xml"), markup.as_bytes());
        }
    }
}

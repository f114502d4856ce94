//! Sitemaps, sitemap indexes and feeds to links, as a stream.
//!
//! Reads sitemaps.org `urlset` and `sitemapindex` (with image and `xhtml:link` extensions), RSS 0.9 to 2.0, Atom, and text
//! sitemaps. Names count without their namespace prefix. Fed piece by piece, it never holds more than [`CARRY_MAX`] of
//! the document. Malformed XML: what was read before the error counts. Entities are the five of XML and numbers; a
//! document type declares nothing here. It knows neither codings nor charsets. Start at [`Sitemap::feed`].

use std::borrow::Cow;
use std::ops::ControlFlow;

use contract::link::{LinkKind, URL_BYTES_MAX};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::html::links::Standing;
use crate::html::rel;

/// Links of one document (sitemaps.org: "no more than 50,000 URLs").
pub const LINKS_MAX: usize = 50_000;
/// The longest piece of markup (a tag, a comment, a CDATA section) that is waited for.
const CARRY_MAX: usize = 256 * 1_024;
/// Bytes of an element's text that are kept: enough to know that a URL is too long.
const TEXT_MAX: usize = 2 * URL_BYTES_MAX;
/// Bytes of a reference with its semicolon (`#x10FFFF;` and some leading zeros).
const REFERENCE_MAX: usize = 16;
/// Open elements that are remembered; deeper ones are counted only.
const DEPTH_MAX: usize = 32;

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// [`LINKS_MAX`] links were found; the rest was not read.
    Full,
    /// The XML broke off or makes no sense from some point on.
    Broken,
}

/// A link of a sitemap or feed, not resolved: [`LinkKind::Page`], [`LinkKind::Sitemap`] or [`LinkKind::Embed`].
pub type Found<'f> = &'f mut dyn FnMut(String, LinkKind);

/// A document being read.
#[derive(Default)]
pub struct Sitemap {
    carry: String,
    open: Vec<Name>,
    /// Open elements beyond [`DEPTH_MAX`].
    deeper: usize,
    capture: Option<Capture>,
    links: usize,
    broken: bool,
}

/// The elements that give a link its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Url,
    Sitemap,
    SitemapIndex,
    Loc,
    Image,
    Link,
    Guid,
    Enclosure,
    Content,
    Thumbnail,
    Other,
}

impl Name {
    fn of(local: &str) -> Self {
        const NAMES: [(&str, Name); 10] = [
            ("url", Name::Url),
            ("sitemap", Name::Sitemap),
            ("sitemapindex", Name::SitemapIndex),
            ("loc", Name::Loc),
            ("image", Name::Image),
            ("link", Name::Link),
            ("guid", Name::Guid),
            ("enclosure", Name::Enclosure),
            ("content", Name::Content),
            ("thumbnail", Name::Thumbnail),
        ];
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(local))
            .map_or(Name::Other, |(_, name)| *name)
    }
}

/// An element whose text is a link.
struct Capture {
    name: Name,
    kind: LinkKind,
    text: String,
}

impl Sitemap {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next piece of the document. Breaks when no more needs to be read.
    pub fn feed(&mut self, piece: &str, found: Found<'_>) -> ControlFlow<()> {
        self.carry.push_str(piece);
        // Up to the last tag's end: what follows may be the first half of something.
        let Some(end) = memchr::memrchr(b'>', self.carry.as_bytes()) else {
            return self.wait();
        };
        let carry = std::mem::take(&mut self.carry);
        let read = self.read(&carry[..=end], found);
        carry[read..].clone_into(&mut self.carry);
        if self.broken || self.links >= LINKS_MAX {
            ControlFlow::Break(())
        } else {
            self.wait()
        }
    }

    fn wait(&mut self) -> ControlFlow<()> {
        if self.carry.len() <= CARRY_MAX {
            return ControlFlow::Continue(());
        }
        self.broken = true;
        ControlFlow::Break(())
    }

    /// The document is over.
    pub fn finish(self) -> End {
        if self.links >= LINKS_MAX {
            End::Full
        } else if self.broken || !self.open.is_empty() || !self.carry.trim_ascii().is_empty() {
            End::Broken
        } else {
            End::Whole
        }
    }

    /// Reads whole events off `text`; returns how many bytes they took.
    fn read(&mut self, text: &str, found: Found<'_>) -> usize {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.allow_unmatched_ends = true;
        config.check_end_names = false;
        loop {
            let before = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
            match reader.read_event() {
                Ok(Event::Eof) => return text.len(),
                Ok(event) => self.event(event, found),
                // Cut off: the rest of it may come with the next piece.
                Err(quick_xml::Error::Syntax(_)) => return before,
                Err(_) => {
                    self.broken = true;
                    return text.len();
                }
            }
            if self.links >= LINKS_MAX {
                return text.len();
            }
        }
    }

    fn event(&mut self, event: Event<'_>, found: Found<'_>) {
        match event {
            Event::Start(tag) => {
                let name = self.start(&tag, found);
                if self.open.len() < DEPTH_MAX {
                    self.open.push(name);
                } else {
                    self.deeper += 1;
                }
            }
            Event::Empty(tag) => {
                self.start(&tag, found);
                self.capture = None;
            }
            Event::End(tag) => {
                if self.deeper > 0 {
                    self.deeper -= 1;
                } else {
                    self.open.pop();
                }
                let name = Name::of(tag.local_name().as_ref());
                if let Some(capture) = self.capture.take_if(|capture| capture.name == name) {
                    let http = capture
                        .text
                        .trim_ascii()
                        .get(..4)
                        .is_some_and(|s| s.eq_ignore_ascii_case("http"));
                    if name != Name::Guid || http {
                        self.link(&capture.text, capture.kind, found);
                    }
                }
            }
            Event::Text(text) => self.text(&text),
            Event::CData(text) => self.text(&text),
            Event::GeneralRef(reference) => match self::reference(&reference) {
                Some(c) => self.text(c.encode_utf8(&mut [0; 4])),
                None => {
                    self.text("&");
                    self.text(&reference);
                    self.text(";");
                }
            },
            _ => {}
        }
    }

    /// A start tag: links in its attributes, or a link in the text that follows.
    fn start(&mut self, tag: &BytesStart<'_>, found: Found<'_>) -> Name {
        let name = Name::of(tag.local_name().as_ref());
        let parent = self.open.last().copied().unwrap_or(Name::Other);
        let kind = match name {
            Name::Loc => Some(match parent {
                Name::Sitemap | Name::SitemapIndex => LinkKind::Sitemap,
                Name::Image => LinkKind::Embed,
                _ => LinkKind::Page,
            }),
            // RSS: the URL of a channel's image.
            Name::Url if parent == Name::Image => Some(LinkKind::Embed),
            Name::Link => match attribute(tag, "href") {
                Some(href) => {
                    if let Some(kind) = link_kind(attribute(tag, "rel").as_deref()) {
                        self.link(&href, kind, found);
                    }
                    None
                }
                None => Some(LinkKind::Page),
            },
            Name::Guid if attribute(tag, "isPermaLink").as_deref() != Some("false") => {
                Some(LinkKind::Page)
            }
            Name::Enclosure | Name::Content | Name::Thumbnail => {
                for source in ["url", "src"] {
                    if let Some(url) = attribute(tag, source) {
                        self.link(&url, LinkKind::Embed, found);
                    }
                }
                None
            }
            _ => None,
        };
        if let Some(kind) = kind {
            self.capture = Some(Capture {
                name,
                kind,
                text: String::new(),
            });
        }
        name
    }

    fn text(&mut self, text: &str) {
        if let Some(capture) = &mut self.capture {
            let room = TEXT_MAX.saturating_sub(capture.text.len());
            capture
                .text
                .push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    fn link(&mut self, url: &str, kind: LinkKind, found: Found<'_>) {
        let url = url.trim_ascii();
        if !url.is_empty() && self.links < LINKS_MAX {
            self.links += 1;
            found(url.to_owned(), kind);
        }
    }
}

/// What an Atom link is: not the feed itself, not what is posted to.
fn link_kind(rel: Option<&str>) -> Option<LinkKind> {
    match rel {
        None => Some(LinkKind::Page),
        Some(rel)
            if ["self", "edit", "edit-media", "search"]
                .iter()
                .any(|no| no.eq_ignore_ascii_case(rel)) =>
        {
            None
        }
        Some(rel) if rel.eq_ignore_ascii_case("enclosure") => Some(LinkKind::Embed),
        Some(rel) => rel::kind(rel)
            .filter(|(_, standing)| *standing == Standing::Followed)
            .map(|(kind, _)| kind),
    }
}

/// An attribute by its local name, references resolved.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    tag.attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)
        .map(|attribute| resolve_references(&attribute.value).into_owned())
}

fn resolve_references(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        // A name is looked for in a few bytes only, so that a row of ampersands is not searched to its end for each.
        let length = after.bytes().take(REFERENCE_MAX).position(|b| b == b';');
        let resolved = length.and_then(|n| Some((reference(&after[..n])?, &after[n + 1..])));
        rest = match resolved {
            Some((c, rest)) => {
                out.push(c);
                rest
            }
            None => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What the reference `&name;` stands for.
fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')
        }
    }
}

/// The URLs of a text sitemap: one a line. Lines that are no `http` or `https` URL are passed over.
pub fn each_line(text: &str, mut found: impl FnMut(&str)) -> End {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let urls = text.lines().map(str::trim_ascii).filter(|line| {
        let start = |scheme: &str| {
            line.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        start("http://") || start("https://")
    });
    for (n, url) in urls.enumerate() {
        if n == LINKS_MAX {
            return End::Full;
        }
        found(url);
    }
    End::Whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Links and end, with the document fed in pieces of this many characters.
    fn read(xml: &str, piece: usize) -> (Vec<String>, End) {
        let mut sitemap = Sitemap::new();
        let mut links = Vec::new();
        let mut rest = xml;
        while !rest.is_empty() {
            let at = rest
                .char_indices()
                .nth(piece)
                .map_or(rest.len(), |(at, _)| at);
            let mut found =
                |url: String, kind: LinkKind| links.push(format!("{} {url}", kind.as_str()));
            if sitemap.feed(&rest[..at], &mut found).is_break() {
                break;
            }
            rest = &rest[at..];
        }
        (links, sitemap.finish())
    }

    #[track_caller]
    fn check(xml: &str, want: &[&str], end: End) {
        for piece in [1, 2, 7, 1_000_000] {
            let (links, ended) = read(xml, piece);
            assert_eq!(links, want, "in pieces of {piece}");
            assert_eq!(ended, end, "in pieces of {piece}");
        }
    }

    #[test]
    fn sitemaps_and_indexes() {
        check(
            "<?xml version='1.0' encoding='UTF-8'?><!DOCTYPE urlset [<!ENTITY x 'y'>]>\
             <urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9' xmlns:image='i' xmlns:xhtml='x'>\
             <url><loc>\n http://a.test/?a=1&amp;b=2 \n</loc><lastmod>2026-01-01</lastmod>\
             <image:image><image:loc>http://a.test/i.png</image:loc></image:image>\
             <xhtml:link rel='alternate' hreflang='de' href='http://a.test/de?a&amp;b'/></url>\
             <!-- > --><url><loc><![CDATA[http://a.test/c>d]]></loc></url></urlset>\n",
            &[
                "page http://a.test/?a=1&b=2",
                "embed http://a.test/i.png",
                "page http://a.test/de?a&b",
                "page http://a.test/c>d",
            ],
            End::Whole,
        );
        check(
            "<s:sitemapindex><s:sitemap><s:loc>http://a.test/1.xml</s:loc></s:sitemap><loc>http://a.test/2.xml</loc></s:sitemapindex>",
            &["sitemap http://a.test/1.xml", "sitemap http://a.test/2.xml"],
            End::Whole,
        );
    }

    #[test]
    fn feeds() {
        check(
            "<rss version='2.0' xmlns:atom='a' xmlns:media='m'><channel><link>http://a.test/</link><atom:link rel='self' href='f.xml'/>\
             <image><url>http://a.test/logo.png</url><link>http://a.test/</link></image>\
             <item><title>no http://x.test/</title><link>http://a.test/1</link><guid>http://a.test/p1</guid>\
             <enclosure url='http://a.test/1.mp3'/><media:content url='http://a.test/1.jpg'/></item>\
             <item><guid isPermaLink='false'>http://a.test/no</guid></item><item><guid>tag:1</guid></item></channel></rss>",
            &[
                "page http://a.test/",
                "embed http://a.test/logo.png",
                "page http://a.test/",
                "page http://a.test/1",
                "page http://a.test/p1",
                "embed http://a.test/1.mp3",
                "embed http://a.test/1.jpg",
            ],
            End::Whole,
        );
        check(
            "<feed xmlns='http://www.w3.org/2005/Atom'><link href='/'/><link rel='hub' href='h'/><entry><link rel='alternate' href='/1'/>\
             <link rel='enclosure' href='/1.mp3'/><content type='html'>&lt;a href=x></content></entry></feed>",
            &["page /", "page /1", "embed /1.mp3"],
            End::Whole,
        );
        check(
            "<rdf:RDF><channel rdf:about='x'/><item rdf:about='y'><link>http://a.test/1</link></item></rdf:RDF>",
            &["page http://a.test/1"],
            End::Whole,
        );
    }

    #[test]
    fn what_was_read_before_an_error_counts() {
        let good = "<urlset><url><loc>http://a.test/1</loc></url>";
        check(
            &format!("{good}<url><loc>http://a.test/2"),
            &["page http://a.test/1"],
            End::Broken,
        );
        check(
            &format!("{good}<url><loc"),
            &["page http://a.test/1"],
            End::Broken,
        );
        check(
            &format!("{good}<!-- "),
            &["page http://a.test/1"],
            End::Broken,
        );
        check(good, &["page http://a.test/1"], End::Broken);
        check(
            "<urlset><loc>http://a.test/?a=1&b=2&unknown;&#233;</loc></urlset>",
            &["page http://a.test/?a=1&b=2&unknown;é"],
            End::Whole,
        );
        check(
            "<urlset></x></url><loc>http://a.test/1</loc>",
            &["page http://a.test/1"],
            End::Whole,
        );
        check("", &[], End::Whole);
        check("no xml at all", &[], End::Broken);
    }

    #[test]
    fn bounds_hold() {
        let many = format!(
            "<urlset>{}</urlset>",
            "<url><loc>http://a.test/</loc></url>".repeat(LINKS_MAX + 5)
        );
        let (links, end) = read(&many, 100_000);
        assert_eq!((links.len(), end), (LINKS_MAX, End::Full));
        let long = format!("<urlset><url><loc>{}</loc></url>", "é".repeat(100_000));
        let (links, _) = read(&long, 1_000);
        assert!((URL_BYTES_MAX..=TEXT_MAX + 5).contains(&links[0].len()));
        let (links, end) = read(
            &format!("<urlset><!--{}", ">".repeat(CARRY_MAX + 1)),
            50_000,
        );
        assert_eq!((links.len(), end), (0, End::Broken));
        let deep = format!(
            "{}<loc>a</loc>{}<loc>b</loc>",
            "<url>".repeat(10_000),
            "</url>".repeat(10_000)
        );
        assert_eq!(read(&deep, 1_000).0, ["page a", "page b"]);
    }

    #[test]
    fn text_sitemaps() {
        let mut urls = Vec::new();
        let end = each_line(
            "\u{FEFF}http://a.test/1\r\n\n  HTTPS://a.test/2 \n# no\nftp://a.test/\n/3",
            |url| urls.push(url.to_owned()),
        );
        assert_eq!(
            (urls, end),
            (
                vec!["http://a.test/1".to_owned(), "HTTPS://a.test/2".to_owned()],
                End::Whole
            )
        );
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(xml in "(<loc>|</loc>|<url>|</url>|<link href='|'|/>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|&amp;|&|[<>a;é ?!])*", piece in 1_usize..9) {
            prop_assert_eq!(read(&xml, piece), read(&xml, usize::MAX));
        }
    }
}

//! Tags to raw links: which attributes of which elements name a resource, and of what kind.
//!
//! Owns the table of elements and attributes; yields each link as written (character references decoded, ASCII
//! whitespace around it stripped, tabs and newlines within it removed, as the URL standard does). It resolves nothing and
//! removes no duplicates. Invariant: links come in document order. Start reading at [`of_tag`].

use std::borrow::Cow;

use contract::link::LinkKind;

use super::entities::{Place, decode};
use super::names::{Attr, Element};
use super::rel::{self, Rel};
use super::tokens::{Tag, Tokens};
use super::{refresh, srcset};
use crate::css;

/// A link as the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLink<'a> {
    /// Not yet resolved; may be anything.
    pub value: Cow<'a, str>,
    /// [`LinkKind::Page`] or [`LinkKind::Embed`].
    pub kind: LinkKind,
    pub rel: Rel,
}

impl<'a> RawLink<'a> {
    pub fn new(value: Cow<'a, str>, kind: LinkKind) -> Self {
        Self {
            value,
            kind,
            rel: Rel::default(),
        }
    }
}

use LinkKind::{Embed, Page};

/// Yields the links of the start tag that `tokens` has just read, and whether content is to be read as CSS or JSON-LD.
#[inline]
pub fn of_tag<'a>(tag: &Tag<'a>, tokens: &Tokens<'a>, found: &mut impl FnMut(RawLink<'a>)) {
    if let Some(style) = tokens.attr(Attr::Style)
        && memchr::memchr(b'(', style.as_bytes()).is_some()
    {
        of_css(style, true, found);
    }
    for value in tokens.extra() {
        one(Some(value), Embed, found);
    }
    if tag.foreign {
        of_foreign(tag, tokens, found);
    } else if tag.element != Element::Other {
        of_html(tag, tokens, found);
    }
}

fn of_html<'a>(tag: &Tag<'a>, tokens: &Tokens<'a>, found: &mut impl FnMut(RawLink<'a>)) {
    let attr = |attr| tokens.attr(attr);
    match tag.element {
        Element::A | Element::Area => {
            if let Some(href) = attr(Attr::Href) {
                let rel = attr(Attr::Rel).map_or_else(Rel::default, Rel::of);
                found(RawLink {
                    value: clean(href),
                    kind: Page,
                    rel,
                });
            }
        }
        Element::Link => {
            if let Some(kind) = rel::kind(&decode(
                attr(Attr::Rel).unwrap_or_default(),
                Place::Attribute,
            )) {
                one(attr(Attr::Href), kind, found);
                candidates(attr(Attr::ImageSrcset), found);
            }
        }
        Element::Img | Element::Image => {
            one(attr(Attr::Src), Embed, found);
            candidates(attr(Attr::Srcset), found);
            one(attr(Attr::Longdesc), Page, found);
        }
        Element::Source => {
            one(attr(Attr::Src), Embed, found);
            candidates(attr(Attr::Srcset), found);
        }
        Element::Script | Element::Embed | Element::Audio | Element::Track => {
            one(attr(Attr::Src), Embed, found)
        }
        Element::Iframe | Element::Frame => {
            one(attr(Attr::Src), Embed, found);
            one(attr(Attr::Longdesc), Page, found);
        }
        Element::Video => {
            one(attr(Attr::Src), Embed, found);
            one(attr(Attr::Poster), Embed, found);
        }
        Element::Object => one(attr(Attr::Data), Embed, found),
        Element::Input
            if attr(Attr::Type).is_some_and(|kind| kind.eq_ignore_ascii_case("image")) =>
        {
            one(attr(Attr::Src), Embed, found);
        }
        Element::Body | Element::Table | Element::Td | Element::Th => {
            one(attr(Attr::Background), Embed, found)
        }
        Element::Meta
            if attr(Attr::HttpEquiv).is_some_and(|name| name.eq_ignore_ascii_case("refresh")) =>
        {
            let content = decode(attr(Attr::Content).unwrap_or_default(), Place::Attribute);
            if let Some(url) = refresh::url(&content) {
                found(RawLink::new(
                    Cow::Owned(clean_decoded(Cow::Borrowed(url)).into_owned()),
                    Page,
                ));
            }
        }
        _ => {}
    }
}

/// SVG: `href` wins over the old `xlink:href`. References within the document are no links.
fn of_foreign<'a>(tag: &Tag<'a>, tokens: &Tokens<'a>, found: &mut impl FnMut(RawLink<'a>)) {
    let kind = match tag.element {
        Element::A => Page,
        Element::Image | Element::FeImage | Element::Use | Element::Script => Embed,
        _ => return,
    };
    one(
        tokens
            .attr(Attr::Href)
            .or_else(|| tokens.attr(Attr::XlinkHref)),
        kind,
        found,
    );
}

/// Yields the links of style text; that of an attribute still has its character references.
pub fn of_css<'a>(text: &'a str, in_attribute: bool, found: &mut impl FnMut(RawLink<'a>)) {
    let mut each = |url: Cow<'a, str>| {
        if !is_local(&url) {
            found(RawLink::new(clean_decoded(url), Embed));
        }
    };
    if !in_attribute {
        return css::each_url(text, each);
    }
    match decode(text, Place::Attribute) {
        Cow::Borrowed(text) => css::each_url(text, each),
        Cow::Owned(text) => css::each_url(&text, |url| each(Cow::Owned(url.into_owned()))),
    }
}

/// A link that an attribute holds whole. An embed without a URL loads nothing, and one within the page is loaded.
fn one<'a>(value: Option<&'a str>, kind: LinkKind, found: &mut impl FnMut(RawLink<'a>)) {
    if let Some(value) = value {
        let value = clean(value);
        if kind != Embed || !is_local(&value) {
            found(RawLink::new(value, kind));
        }
    }
}

fn is_local(value: &str) -> bool {
    value.is_empty() || value.starts_with('#')
}

fn candidates<'a>(value: Option<&'a str>, found: &mut impl FnMut(RawLink<'a>)) {
    match value.map(|value| decode(value, Place::Attribute)) {
        Some(Cow::Borrowed(set)) => {
            srcset::each_url(set, |url| {
                found(RawLink::new(clean_decoded(Cow::Borrowed(url)), Embed))
            });
        }
        Some(Cow::Owned(set)) => srcset::each_url(&set, |url| {
            found(RawLink::new(
                Cow::Owned(clean_decoded(Cow::Borrowed(url)).into_owned()),
                Embed,
            ));
        }),
        None => {}
    }
}

/// Bytes that an attribute's value must be cleaned of, wherever they stand.
const UNCLEAN: [bool; 256] = {
    let mut table = [false; 256];
    table[0] = true;
    table[b'&' as usize] = true;
    table[b'\t' as usize] = true;
    table[b'\n' as usize] = true;
    table[b'\r' as usize] = true;
    table[b' ' as usize] = true;
    table[0x0C] = true;
    table
};

/// An attribute's value as a URL parser wants it; borrowed where there is nothing to do, which is nearly always.
#[inline]
pub fn clean(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| UNCLEAN[byte as usize]) {
        return Cow::Borrowed(raw);
    }
    clean_decoded(decode(raw, Place::Attribute))
}

/// The same for text whose character references are decoded already.
pub fn clean_decoded(value: Cow<'_, str>) -> Cow<'_, str> {
    let stripped = match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(|c: char| c.is_ascii_whitespace())),
        Cow::Owned(text) => {
            let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
            Cow::Owned(if trimmed.len() == text.len() {
                text
            } else {
                trimmed.to_owned()
            })
        }
    };
    if stripped
        .bytes()
        .any(|byte| matches!(byte, b'\t' | b'\n' | b'\r'))
    {
        return Cow::Owned(
            stripped
                .chars()
                .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
                .collect(),
        );
    }
    stripped
}

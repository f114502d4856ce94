//! Tags to raw links: which attributes of which elements name a resource, of what kind, and how it stands.
//!
//! Owns the table of elements and attributes; yields each link as written (character references decoded, ASCII
//! whitespace around it stripped, tabs and newlines within it removed, as the URL standard does), with what a browser does
//! not build left out: a form in a form, a frame outside a frameset, a second body's background. It resolves nothing and
//! removes no duplicates. Invariant: links come in document order. Start reading at [`Links::of_tag`].

use std::borrow::Cow;

use contract::link::LinkKind;

use super::entities::{Place, decode};
use super::names::{Attr, Element};
use super::tokens::{Namespace, Tokens};
use super::{refresh, rel, srcset};
use crate::css;

use LinkKind::{Embed, Page};
use Standing::{Followed, Form, Hint, Metadata, Post};

/// What following a link would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A browser loads it, or a reader may click on it.
    Followed,
    /// The action of a form that is sent by GET.
    Form,
    /// The action of a form that is sent otherwise. Never followed.
    Post,
    /// Said of the page to other programs (Open Graph, Twitter cards).
    Metadata,
    /// A host to warm up, a service to post to or a name, never a document to read.
    Hint,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Followed => "followed",
            Form => "form",
            Post => "post",
            Metadata => "metadata",
            Hint => "hint",
        }
    }
}

/// A link as the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLink<'a> {
    /// Not yet resolved; may be anything.
    pub value: Cow<'a, str>,
    /// [`LinkKind::Page`] or [`LinkKind::Embed`].
    pub kind: LinkKind,
    pub standing: Standing,
    /// The attribute it stands in, in lower case; empty for an element's text.
    pub attribute: &'a str,
}

/// What of the document decides over later links.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// The open form's standing.
    form: Option<Standing>,
    /// A `<frameset>` came: frames count.
    frameset: bool,
    /// A `<body>` had a background: another's attributes are added where they are new.
    background: bool,
}

impl Links {
    /// Yields the links of the start tag that `tokens` has just read.
    #[inline]
    pub(super) fn of_tag<'a>(
        &mut self,
        tokens: &Tokens<'a>,
        in_template: bool,
        found: &mut impl FnMut(RawLink<'a>),
    ) {
        let tag = tokens.tag();
        let mut out = Out { tokens, found };
        if let Some(style) = tokens.attr(Attr::Style)
            && memchr::memchr2(b'(', b'\\', style.as_bytes()).is_some()
        {
            of_css(style, Attr::Style.as_str(), true, out.found);
        }
        for (name, value) in tokens.extra() {
            if name.ends_with("srcset") {
                out.candidates_of(value, name);
            } else {
                let kind = if name.ends_with("href") { Page } else { Embed };
                out.whole(clean(value), kind, Followed, name);
            }
        }
        match tag.namespace {
            Namespace::Html if tag.element == Element::Other => {}
            Namespace::Html => self.of_html(tag.element, in_template, &mut out),
            Namespace::Svg => out.of_svg(tag.element),
            Namespace::MathMl => out.of_either_href(Page),
        }
    }

    /// An end tag was read.
    #[inline]
    pub(super) fn of_end(&mut self, element: Element) {
        if element == Element::Form {
            self.form = None;
        }
    }

    fn of_html<'a, F: FnMut(RawLink<'a>)>(
        &mut self,
        element: Element,
        in_template: bool,
        out: &mut Out<'_, 'a, F>,
    ) {
        match element {
            Element::A | Element::Area => out.one(Attr::Href, Page),
            Element::Link => out.of_link(),
            Element::Img | Element::Image => {
                out.one(Attr::Src, Embed);
                out.candidates(Attr::Srcset);
                out.one(Attr::Lowsrc, Embed);
                out.one(Attr::Longdesc, Page);
            }
            Element::Source => {
                out.one(Attr::Src, Embed);
                out.candidates(Attr::Srcset);
            }
            Element::Script
            | Element::Embed
            | Element::Audio
            | Element::Track
            | Element::Bgsound => out.one(Attr::Src, Embed),
            Element::Frame if !self.frameset => {}
            Element::Iframe | Element::Frame => {
                out.one(Attr::Src, Embed);
                out.one(Attr::Longdesc, Page);
            }
            Element::Frameset => self.frameset = true,
            Element::Video => {
                out.one(Attr::Src, Embed);
                out.one(Attr::Poster, Embed);
            }
            Element::Object => {
                out.one(Attr::Data, Embed);
                out.of_archive(|c| c.is_ascii_whitespace());
            }
            Element::Applet => {
                out.in_codebase(Attr::Code);
                out.of_archive(|c| c == ',');
            }
            Element::Body => {
                let had = self.background;
                self.background |= out.tokens.attr(Attr::Background).is_some();
                if !had {
                    out.one(Attr::Background, Embed);
                }
            }
            Element::Table
            | Element::Thead
            | Element::Tbody
            | Element::Tfoot
            | Element::Tr
            | Element::Td
            | Element::Th => out.one(Attr::Background, Embed),
            Element::Html => out.one(Attr::Manifest, Embed),
            Element::Blockquote | Element::Q | Element::Ins | Element::Del => {
                out.one(Attr::Cite, Page)
            }
            // A form within a form is not built.
            Element::Form if self.form.is_some() && !in_template => {}
            Element::Form => {
                let standing = out.method(Attr::Method).unwrap_or(Form);
                if !in_template {
                    self.form = Some(standing);
                }
                out.other(Attr::Action, Page, standing);
            }
            Element::Button => self.of_submitter(out),
            Element::Input => {
                let is = |kind| {
                    out.tokens
                        .attr(Attr::Type)
                        .is_some_and(|has| has.eq_ignore_ascii_case(kind))
                };
                let (image, submit) = (is("image"), is("submit"));
                if image {
                    out.one(Attr::Src, Embed);
                }
                if image || submit {
                    self.of_submitter(out);
                }
            }
            Element::Meta => out.of_meta(),
            _ => {}
        }
    }

    fn of_submitter<'a, F: FnMut(RawLink<'a>)>(&self, out: &mut Out<'_, 'a, F>) {
        let standing = out
            .method(Attr::Formmethod)
            .or(self.form)
            .unwrap_or(Standing::Form);
        out.other(Attr::Formaction, Page, standing);
    }
}

/// Where links of the last start tag go.
struct Out<'o, 'a, F> {
    tokens: &'o Tokens<'a>,
    found: &'o mut F,
}

impl<'a, F: FnMut(RawLink<'a>)> Out<'_, 'a, F> {
    /// A link that an attribute holds whole.
    #[inline]
    fn one(&mut self, attr: Attr, kind: LinkKind) {
        self.other(attr, kind, Followed);
    }

    #[inline]
    fn other(&mut self, attr: Attr, kind: LinkKind, standing: Standing) {
        if let Some(value) = self.tokens.attr(attr) {
            self.whole(clean(value), kind, standing, attr.as_str());
        }
    }

    /// An embed without a URL loads nothing, one within the page is loaded; a form without one sends to the page.
    #[inline]
    fn whole(
        &mut self,
        value: Cow<'a, str>,
        kind: LinkKind,
        standing: Standing,
        attribute: &'a str,
    ) {
        if (kind == Page && standing == Followed) || !is_local(&value) {
            (self.found)(RawLink {
                value,
                kind,
                standing,
                attribute,
            });
        }
    }

    fn candidates(&mut self, attr: Attr) {
        if let Some(value) = self.tokens.attr(attr) {
            self.candidates_of(value, attr.as_str());
        }
    }

    fn candidates_of(&mut self, value: &'a str, attribute: &'a str) {
        match decode(value, Place::Attribute) {
            Cow::Borrowed(set) => srcset::each_url(set, |url| {
                self.whole(
                    clean_decoded(Cow::Borrowed(url)),
                    Embed,
                    Followed,
                    attribute,
                );
            }),
            Cow::Owned(set) => srcset::each_url(&set, |url| {
                let url = clean_decoded(Cow::Borrowed(url)).into_owned();
                self.whole(Cow::Owned(url), Embed, Followed, attribute);
            }),
        }
    }

    fn of_link(&mut self) {
        let rel = self.tokens.attr(Attr::Rel).unwrap_or_default();
        if let Some((kind, standing)) = rel::kind(&decode(rel, Place::Attribute)) {
            self.other(Attr::Href, kind, standing);
            if standing == Followed {
                self.candidates(Attr::ImageSrcset);
            }
        }
    }

    fn of_meta(&mut self) {
        let tokens = self.tokens;
        let content = tokens.attr(Attr::Content).unwrap_or_default();
        if content.is_empty() {
            return;
        }
        if let Some(pragma) = tokens.attr(Attr::HttpEquiv)
            && pragma.eq_ignore_ascii_case("refresh")
            && let Some(url) = refresh::url(&decode(content, Place::Attribute))
        {
            let url = clean_decoded(Cow::Borrowed(url)).into_owned();
            self.whole(Cow::Owned(url), Page, Followed, Attr::Content.as_str());
        }
        let name = tokens.attr(Attr::Property).or(tokens.attr(Attr::Name));
        if let Some(kind) = name.and_then(card) {
            self.other(Attr::Content, kind, Metadata);
        }
    }

    /// How a form is sent, where that is said.
    fn method(&self, attr: Attr) -> Option<Standing> {
        let method = self.tokens.attr(attr)?;
        let sent = ["post", "dialog"]
            .iter()
            .any(|other| method.eq_ignore_ascii_case(other));
        Some(if sent { Post } else { Form })
    }

    /// The files of an old plug-in, relative to its code base.
    fn of_archive(&mut self, between: impl Fn(char) -> bool) {
        if let Some(list) = self.tokens.attr(Attr::Archive) {
            for file in list.split(between) {
                self.of_codebase(file, Attr::Archive);
            }
        }
    }

    fn in_codebase(&mut self, attr: Attr) {
        if let Some(file) = self.tokens.attr(attr) {
            self.of_codebase(file, attr);
        }
    }

    fn of_codebase(&mut self, file: &'a str, attr: Attr) {
        let file = clean(file);
        let codebase = self.tokens.attr(Attr::Codebase).map(clean);
        let value = match codebase {
            Some(base)
                if !base.is_empty()
                    && !file.is_empty()
                    && !file.starts_with('/')
                    && !file.contains(':') =>
            {
                let slash = if base.ends_with('/') { "" } else { "/" };
                Cow::Owned(format!("{base}{slash}{file}"))
            }
            _ => file,
        };
        self.whole(value, Embed, Followed, attr.as_str());
    }

    fn of_svg(&mut self, element: Element) {
        match element {
            Element::A => self.of_either_href(Page),
            Element::Image | Element::FeImage | Element::Use | Element::Script => {
                self.of_either_href(Embed)
            }
            _ => {}
        }
    }

    /// `href` wins over the old `xlink:href`. References within the document are no links.
    fn of_either_href(&mut self, kind: LinkKind) {
        let attr = if self.tokens.attr(Attr::Href).is_some() {
            Attr::Href
        } else {
            Attr::XlinkHref
        };
        self.one(attr, kind);
    }
}

/// What a property of Open Graph or a Twitter card refers to.
fn card(name: &str) -> Option<LinkKind> {
    let name = name.trim_ascii();
    if !name
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("og:") || start.eq_ignore_ascii_case("twi"))
    {
        return None;
    }
    match name.to_ascii_lowercase().as_str() {
        "og:url" | "twitter:url" | "twitter:player" => Some(Page),
        "og:image"
        | "og:image:url"
        | "og:image:secure_url"
        | "og:video"
        | "og:video:url"
        | "og:video:secure_url"
        | "og:audio"
        | "og:audio:url"
        | "og:audio:secure_url"
        | "twitter:image"
        | "twitter:image:src" => Some(Embed),
        _ => None,
    }
}

/// Yields the links of style text, whose character references are still to be decoded or not.
pub(super) fn of_css<'a>(
    text: &'a str,
    attribute: &'static str,
    references: bool,
    found: &mut impl FnMut(RawLink<'a>),
) {
    let mut each = |url: Cow<'a, str>| {
        if !is_local(&url) {
            found(RawLink {
                value: clean_decoded(url),
                kind: Embed,
                standing: Followed,
                attribute,
            });
        }
    };
    if !references {
        return css::each_url(text, each);
    }
    match decode(text, Place::Attribute) {
        Cow::Borrowed(text) => css::each_url(text, each),
        Cow::Owned(text) => css::each_url(&text, |url| each(Cow::Owned(url.into_owned()))),
    }
}

fn is_local(value: &str) -> bool {
    value.is_empty() || value.starts_with('#')
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

//! Are we in SVG or MathML? Without a tree, only as exactly as the tokenizer needs it.
//!
//! In foreign content `<title>`, `<style>` and `<script>` are ordinary markup and `<![CDATA[` is text; in HTML it is the
//! other way round. [`Foreign`] keeps the open elements that switch between the two: `svg`, `math` and their
//! integration points (HTML standard, 13.2.6.5). It does not know which HTML elements are open: a stray end tag
//! may lead it out of foreign content early, never keep it in.
//! Invariant: constant time a tag (an end tag looks at most [`LOOK_BACK`] open elements deep).

use super::names::{Attr, Breakout, Element};
use super::tokens::{Namespace, Tag};

/// How many open elements an end tag is compared with, so that no page can make it quadratic.
const LOOK_BACK: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Svg,
    Math,
    /// `foreignObject`, SVG's `desc` and `title`, MathML's text elements: HTML inside.
    Island(Element),
}

/// The stack of open elements that decide the namespace.
#[derive(Default)]
pub(super) struct Foreign(Vec<Open>);

impl Foreign {
    /// True while start tags and text are read by the rules of foreign content.
    #[inline]
    pub(super) fn inside(&self) -> bool {
        matches!(self.0.last(), Some(Open::Svg | Open::Math))
    }

    /// Whose rules those are.
    #[inline]
    pub(super) fn namespace(&self) -> Namespace {
        match self.0.last() {
            Some(Open::Svg) => Namespace::Svg,
            Some(Open::Math) => Namespace::MathMl,
            Some(Open::Island(_)) | None => Namespace::Html,
        }
    }

    /// A start tag was read; `attr` looks up its attributes. Whose element it is.
    #[inline]
    pub(super) fn open<'a>(
        &mut self,
        tag: &Tag<'a>,
        attr: impl Fn(Attr) -> Option<&'a str>,
    ) -> Namespace {
        let (root, namespace) = match tag.element {
            Element::Svg => (Open::Svg, Namespace::Svg),
            Element::Math => (Open::Math, Namespace::MathMl),
            _ if self.0.is_empty() => return Namespace::Html,
            _ => return self.open_within(tag, attr),
        };
        if !tag.self_closing {
            self.0.push(root);
        }
        namespace
    }

    fn open_within<'a>(
        &mut self,
        tag: &Tag<'a>,
        attr: impl Fn(Attr) -> Option<&'a str>,
    ) -> Namespace {
        let (top, namespace) = match self.0.last() {
            Some(top @ Open::Svg) => (*top, Namespace::Svg),
            Some(top @ Open::Math) => (*top, Namespace::MathMl),
            _ => return Namespace::Html, // on an island
        };
        let font = tag.element == Element::Font
            && [Attr::Color, Attr::Face, Attr::Size]
                .into_iter()
                .any(|name| attr(name).is_some());
        if font || Breakout::of(tag.key, tag.name) != Breakout::Other {
            self.leave();
            return Namespace::Html;
        }
        let island = match (top, tag.element) {
            (Open::Svg, Element::ForeignObject | Element::Desc | Element::Title) => true,
            (
                Open::Math,
                Element::Mi | Element::Mn | Element::Mo | Element::Ms | Element::Mtext,
            ) => true,
            (Open::Math, Element::AnnotationXml) => attr(Attr::Encoding).is_some_and(|encoding| {
                ["text/html", "application/xhtml+xml"]
                    .iter()
                    .any(|html| encoding.eq_ignore_ascii_case(html))
            }),
            _ => false,
        };
        if island && !tag.self_closing {
            self.0.push(Open::Island(tag.element));
        }
        namespace
    }

    /// An end tag was read.
    #[inline]
    pub(super) fn close(&mut self, tag: &Tag<'_>) {
        if self.0.is_empty() {
            return;
        }
        let open = match tag.element {
            Element::Svg => Open::Svg,
            Element::Math => Open::Math,
            other => Open::Island(other),
        };
        match self
            .0
            .iter()
            .rev()
            .take(LOOK_BACK)
            .position(|&candidate| candidate == open)
        {
            Some(above) => self.0.truncate(self.0.len() - 1 - above),
            None if self.inside() && Breakout::of(tag.key, tag.name) != Breakout::Other => {
                self.leave()
            }
            None => {}
        }
    }

    /// Closes the foreign elements down to the next island or to HTML.
    fn leave(&mut self) {
        while self.inside() {
            self.0.pop();
        }
    }
}

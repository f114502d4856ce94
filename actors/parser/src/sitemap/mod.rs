//! Sitemaps, sitemap indexes and feeds, as a stream.
//!
//! Reads sitemaps.org `urlset` and `sitemapindex` with Google's image, video and news extensions and `xhtml:link`, text
//! sitemaps, RSS 0.90 to 2.0, Atom 0.3 and 1.0, and JSON Feed. Fed piece by piece; what is read is given out entry by entry.
//! Malformed XML is read as far as it makes sense ([`xml`]), no entity is expanded. It knows neither codings nor charsets,
//! which [`report`] undoes for a person who asks. Start at [`Sitemap::feed`]; [`build`] says what an element means.

mod build;
pub mod dates;
pub mod entry;
mod json;
mod links;
mod names;
mod parts;
pub mod report;
#[cfg(test)]
mod tests;
mod xml;

use std::ops::ControlFlow;

use contract::link::{LinkKind, URL_BYTES_MAX};
use url::Url;

use self::build::Builder;
use self::entry::{Entry, Format, Role};
use self::xml::Tokens;

pub(crate) use self::json::is_head as is_json_feed;

/// Entries of one document (sitemaps.org: "no more than 50,000 URLs").
pub const ENTRIES_MAX: usize = 50_000;
/// Bytes of an element's text that are kept: enough to know that a URL is too long.
const TEXT_MAX: usize = 2 * URL_BYTES_MAX;
/// Text that is looked at to tell what a document is.
const HEAD: usize = 4_096;
/// A longer document of JSON is not read: it would have to be held whole.
const JSON_BYTES_MAX: usize = 10_000_000;
/// A longer line of a text sitemap is no URL.
const LINE_BYTES_MAX: usize = 64 * 1_024;

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    Whole,
    /// [`ENTRIES_MAX`] entries were found; the rest was not read.
    Full,
    /// The document broke off, or elements were never closed.
    Broken,
}

/// A document being read.
#[derive(Debug)]
pub struct Sitemap {
    shape: Shape,
    builder: Builder,
    is_broken: bool,
}

/// What the document is made of.
#[derive(Debug)]
enum Shape {
    /// Not known yet; what has come.
    Unknown(String),
    Xml(Tokens),
    Json(String),
    /// One URL a line; the line that has begun.
    Lines(String),
}

impl Sitemap {
    /// `document` is where it is, as the base of its `xml:base`.
    pub fn new(document: Option<Url>) -> Self {
        Self {
            shape: Shape::Unknown(String::new()),
            builder: Builder::new(document),
            is_broken: false,
        }
    }

    /// Reads the next piece of the document. Breaks when no more needs to be read.
    pub fn feed(&mut self, piece: &str, found: &mut dyn FnMut(Role, Entry)) -> ControlFlow<()> {
        match &mut self.shape {
            Shape::Unknown(head) => {
                head.push_str(piece);
                if head.len() >= HEAD {
                    self.begin();
                    return self.feed("", found);
                }
            }
            Shape::Xml(tokens) => {
                tokens.push(piece);
                while let Some(token) = tokens.next(false) {
                    self.builder.token(token, found);
                }
            }
            Shape::Json(text) => {
                if text.len() + piece.len() > JSON_BYTES_MAX {
                    self.is_broken = true;
                    return ControlFlow::Break(());
                }
                text.push_str(piece);
            }
            Shape::Lines(rest) => {
                rest.push_str(piece);
                if let Some(end) = rest.rfind('\n') {
                    for line in rest[..end].lines() {
                        self.builder.line(line, found);
                    }
                    rest.drain(..=end);
                }
                if rest.len() > LINE_BYTES_MAX {
                    rest.clear();
                }
            }
        }
        if self.builder.entries >= ENTRIES_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Decides what the document is made of.
    fn begin(&mut self) {
        let Shape::Unknown(head) = &mut self.shape else {
            return;
        };
        let head = std::mem::take(head);
        let text = head.trim_start_matches(['\u{FEFF}', '\0']).trim_start();
        self.shape = if text.starts_with('{') {
            Shape::Json(text.to_owned())
        } else if text.starts_with('<') || has_root(&text[..text.floor_char_boundary(HEAD)]) {
            let mut tokens = Tokens::default();
            tokens.push(text);
            Shape::Xml(tokens)
        } else {
            Shape::Lines(text.to_owned())
        };
    }

    /// The document is over.
    pub fn finish(mut self, found: &mut dyn FnMut(Role, Entry)) -> Finished {
        if matches!(self.shape, Shape::Unknown(_)) {
            self.begin();
            let _read = self.feed("", found);
        }
        let mut is_whole = !self.is_broken;
        match &mut self.shape {
            Shape::Unknown(_) => {}
            Shape::Xml(tokens) => {
                while let Some(token) = tokens.next(true) {
                    self.builder.token(token, found);
                }
                is_whole &= !tokens.is_cut();
                is_whole &= self.builder.finish(found);
            }
            Shape::Json(text) => match json::read(text, found) {
                Some(json::Read::Other) => {}
                Some(json::Read::Feed(version)) => {
                    self.builder.format = Format::JsonFeed;
                    self.builder.version = version;
                }
                None => is_whole = false,
            },
            Shape::Lines(rest) => {
                for line in rest.lines() {
                    self.builder.line(line, found);
                }
            }
        }
        let end = if self.builder.entries >= ENTRIES_MAX {
            End::Full
        } else if is_whole {
            End::Whole
        } else {
            End::Broken
        };
        Finished {
            end,
            format: self.builder.format,
            version: self.builder.version,
            without_loc: self.builder.without_loc,
        }
    }
}

/// What is known of a document when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub end: End,
    pub format: Format,
    pub version: Option<String>,
    /// Entries that had no URL.
    pub without_loc: u64,
}

/// Shows each link that the crawl takes from an entry, as the document writes it.
pub fn each_link(role: Role, entry: &Entry, found: impl FnMut(&str, LinkKind)) {
    links::each(role, entry, found);
}

/// Whether a root stands behind what should not be before it: an error's text, spaces.
fn has_root(text: &str) -> bool {
    [
        "<?xml",
        "<urlset",
        "<sitemapindex",
        "<rss",
        "<feed",
        "<rdf:RDF",
    ]
    .iter()
    .any(|root| text.contains(root))
}

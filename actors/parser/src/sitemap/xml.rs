//! XML as feeds and sitemaps have it: well formed or not, in pieces of any size.
//!
//! Owns where markup begins and ends. Where XML 1.0 stops, it goes on: a tag whose `>` is missing ends before the next
//! `<`, a quote that is never closed is none, a `<` before no name is text. A document type declares nothing here, so no
//! entity of it is ever expanded. It knows no element. Invariant: the size of the pieces changes nothing.
//! Start at [`Tokens::next`].

use std::borrow::Cow;

use crate::html::entities::{self, Place};

/// A longer tag or document type ends where its first `>` is, whatever its quotes and brackets say.
const MARKUP_MAX: usize = 64 * 1_024;
/// Text is held until its end is there, up to this length; then most of it goes on.
const TEXT_HELD: usize = 64 * 1_024;
/// The longest reference that is looked for: `&CounterClockwiseContourIntegral;`.
const REFERENCE_MAX: usize = 34;

/// A piece of the document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Start(Tag<'t>),
    /// An element's name.
    End(&'t str),
    /// References resolved.
    Text(Cow<'t, str>),
}

/// What is between `<` and `>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag<'t> {
    pub name: &'t str,
    pub is_empty: bool,
    attributes: &'t str,
}

/// What has come and was not read yet.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    carry: String,
    at: usize,
    /// The end of what is being passed over, or taken as it is, until it is found.
    until: Option<Until>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Comment,
    Cdata,
}

/// The most bytes of a mark that may be there before the mark is.
const MARK_BEGUN: usize = 3;

impl Until {
    /// Where it ends in the text, and the bytes of the mark that ends it. A CDATA section of which one bracket was
    /// forgotten ends before the next end tag.
    fn end(self, text: &str) -> Option<(usize, usize)> {
        let find = |mark: &str| memchr::memmem::find(text.as_bytes(), mark.as_bytes());
        match self {
            Self::Comment => find("-->").map(|at| (at, 3)),
            Self::Cdata => {
                let (whole, torn) = (find("]]>"), find("]></"));
                match (whole, torn) {
                    (whole, Some(torn)) if whole.is_none_or(|whole| torn < whole) => {
                        Some((torn, 2))
                    }
                    (whole, _) => whole.map(|at| (at, 3)),
                }
            }
        }
    }
}

/// What stands at a `<`.
enum Markup {
    /// Bytes until its end, which is passed over.
    Skip(usize),
    /// A comment or CDATA section, behind so many bytes.
    Open(usize, Until),
    /// A tag's inside from 1 to the first number; the whole takes the second.
    Tag(usize, usize),
    EndTag(usize, usize),
    /// It is a character.
    Text,
    /// More has to come.
    Wait,
}

impl Tokens {
    pub(super) fn push(&mut self, piece: &str) {
        if self.at > 0 {
            self.carry.drain(..self.at);
            self.at = 0;
        }
        self.carry.push_str(piece);
    }

    /// True if the document ended within a comment, a CDATA section, or a tag.
    pub(super) fn is_cut(&self) -> bool {
        self.until.is_some() || self.at < self.carry.len()
    }

    /// The next token; none until more has come, or at the document's end, which `last` says is here.
    pub(super) fn next(&mut self, last: bool) -> Option<Token<'_>> {
        loop {
            let rest = &self.carry[self.at..];
            if rest.is_empty() {
                return None;
            }
            if let Some(until) = self.until {
                let (taken, next) = match until.end(rest) {
                    Some((end, mark)) => {
                        self.until = None;
                        (end, end + mark)
                    }
                    None => {
                        let keep = if last { 0 } else { MARK_BEGUN };
                        let end = rest.floor_char_boundary(rest.len().saturating_sub(keep));
                        if end == 0 {
                            return None;
                        }
                        (end, end)
                    }
                };
                let start = self.at;
                self.at += next;
                if until == Until::Cdata && taken > 0 {
                    return Some(Token::Text(Cow::Borrowed(
                        &self.carry[start..start + taken],
                    )));
                }
                continue;
            }
            if !rest.starts_with('<') {
                let end = match memchr::memchr(b'<', rest.as_bytes()) {
                    Some(end) => end,
                    None if last => rest.len(),
                    None if rest.len() > TEXT_HELD => {
                        rest.floor_char_boundary(rest.len() - REFERENCE_MAX)
                    }
                    None => return None,
                };
                let start = self.at;
                self.at += end;
                return Some(Token::Text(references(&self.carry[start..start + end])));
            }
            let start = self.at;
            match markup(rest, last) {
                Markup::Wait => return None,
                Markup::Skip(length) => self.at += length,
                Markup::Open(length, until) => {
                    self.at += length;
                    self.until = Some(until);
                }
                Markup::Text => {
                    self.at += 1;
                    return Some(Token::Text(Cow::Borrowed("<")));
                }
                Markup::EndTag(end, length) => {
                    self.at += length;
                    return Some(Token::End(name(&self.carry[start + 2..start + end])));
                }
                Markup::Tag(end, length) => {
                    self.at += length;
                    return Some(Token::Start(tag(&self.carry[start + 1..start + end])));
                }
            }
        }
    }
}

/// What begins at the `<` at the start of `rest`.
fn markup(rest: &str, last: bool) -> Markup {
    let bytes = rest.as_bytes();
    for (open, until) in [("<!--", Until::Comment), ("<![CDATA[", Until::Cdata)] {
        if rest.starts_with(open) {
            return Markup::Open(open.len(), until);
        }
        if !last && open.starts_with(rest) {
            return Markup::Wait;
        }
    }
    let end = match bytes.get(1) {
        None if last => return Markup::Text,
        None => return Markup::Wait,
        Some(b'!') => return declaration(rest, last),
        Some(b'?') => return instruction(rest, last),
        Some(b'/') => {
            let window = &bytes[..bytes.len().min(MARKUP_MAX)];
            return match memchr::memchr2(b'>', b'<', &window[2..]).map(|end| end + 2) {
                Some(end) => Markup::EndTag(end, end + usize::from(bytes[end] == b'>')),
                None if last => Markup::EndTag(rest.len(), rest.len()),
                None if window.len() == MARKUP_MAX => Markup::Text,
                None => Markup::Wait,
            };
        }
        Some(byte)
            if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || *byte >= 0x80 =>
        {
            let window = &bytes[..bytes.len().min(MARKUP_MAX)];
            match tag_end(window) {
                Some(end) => end,
                None if !last && window.len() < MARKUP_MAX => return Markup::Wait,
                // A quote that never ends is none.
                None => match memchr::memchr2(b'>', b'<', &window[1..]) {
                    Some(end) => end + 1,
                    None => return if last { Markup::Wait } else { Markup::Text },
                },
            }
        }
        Some(_) => return Markup::Text,
    };
    Markup::Tag(end, end + usize::from(bytes[end] == b'>'))
}

/// Where a tag ends: at its `>`, or before a `<` where that is missing. Quotes count after a `=` only.
fn tag_end(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>' | b'<') => return Some(at),
            (None, b'"' | b'\'') if before == b'=' => quote = Some(byte),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    None
}

/// `<!DOCTYPE …>` with what is in its brackets, or any other declaration.
fn declaration(rest: &str, last: bool) -> Markup {
    let bytes = &rest.as_bytes()[..rest.len().min(MARKUP_MAX)];
    let (mut at, mut quote, mut brackets) = (2, None, false);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[') => brackets = true,
            (None, b']') => brackets = false,
            (None, b'<') if bytes[at..].starts_with(b"<!--") => {
                match memchr::memmem::find(&bytes[at..], b"-->") {
                    Some(end) => at += end + 2,
                    None => break,
                }
            }
            (None, b'>') if !brackets => return Markup::Skip(at + 1),
            _ => {}
        }
        at += 1;
    }
    if !last && bytes.len() < MARKUP_MAX {
        return Markup::Wait;
    }
    match memchr::memchr(b'>', bytes) {
        Some(end) => Markup::Skip(end + 1),
        None => Markup::Text,
    }
}

/// `<?…?>`; one that a `>` alone ends, ends there if markup follows before any `?>`.
fn instruction(rest: &str, last: bool) -> Markup {
    let bytes = &rest.as_bytes()[..rest.len().min(MARKUP_MAX)];
    let closed = memchr::memmem::find(bytes, b"?>").map(|end| end + 2);
    let Some(sloppy) = memchr::memchr(b'>', bytes).map(|end| end + 1) else {
        return match (last, bytes.len() < MARKUP_MAX) {
            (false, true) => Markup::Wait,
            _ => Markup::Text,
        };
    };
    let before = closed.unwrap_or(bytes.len());
    if sloppy < before && memchr::memchr(b'<', &bytes[sloppy..before]).is_some() {
        return Markup::Skip(sloppy);
    }
    match closed {
        Some(end) => Markup::Skip(end),
        None if !last && bytes.len() < MARKUP_MAX => Markup::Wait,
        None => Markup::Skip(sloppy),
    }
}

fn name(inside: &str) -> &str {
    let inside = inside.trim_ascii();
    let end = inside.find(|c: char| c.is_ascii_whitespace() || c == '/');
    &inside[..end.unwrap_or(inside.len())]
}

fn tag(inside: &str) -> Tag<'_> {
    let name = name(inside);
    let attributes = &inside[name.len()..];
    let shut = attributes.trim_ascii_end();
    Tag {
        name,
        is_empty: shut.ends_with('/'),
        attributes: shut.strip_suffix('/').unwrap_or(shut),
    }
}

/// A name's prefix, empty where it has none, and the rest.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once(':').unwrap_or(("", name))
}

impl<'t> Tag<'t> {
    /// Names and values as written.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| c.is_ascii_whitespace() || *c == '=')
                .map_or(rest.len(), |(at, _)| at);
            let name = &rest[..end];
            rest = rest[end..].trim_ascii_start();
            let Some(value) = rest.strip_prefix('=').map(str::trim_ascii_start) else {
                return Some((name, ""));
            };
            let quoted = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.split_once(quote));
            let (value, after) = quoted.unwrap_or_else(|| {
                let value = value.trim_start_matches(['"', '\'']);
                let end = value.find(|c: char| c.is_ascii_whitespace());
                value.split_at(end.unwrap_or(value.len()))
            });
            rest = after;
            Some((name, value))
        })
    }

    /// The attribute of this local name, whatever its prefix and case, references resolved and trimmed.
    pub(super) fn attribute(&self, local: &str) -> Option<String> {
        self.attributes()
            .find(|(name, _)| {
                split(name).1.eq_ignore_ascii_case(local) && !name.starts_with("xmlns:")
            })
            .map(|(_, value)| references(value).trim_ascii().to_owned())
    }
}

/// The text with its references resolved: numbers and, beside the five of XML, the names of HTML, which feeds use without
/// declaring them. What is no reference stays; so does a name without semicolon, as in `?a=1&copy=2`.
pub(super) fn references(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // A name is looked for in a few bytes only, so that a row of ampersands is not searched to its end for each.
        let length = rest.bytes().take(REFERENCE_MAX).position(|b| b == b';');
        let name = length.map(|n| &rest[..=n]);
        let is_name = |name: &&str| {
            name[1..]
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'#' | b';'))
        };
        match name.filter(is_name).map(resolved) {
            Some(text) => {
                out.push_str(&text);
                rest = &rest[length.map_or(1, |n| n + 1)..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What `&name;` stands for; itself, where nobody knows.
fn resolved(reference: &str) -> Cow<'_, str> {
    if reference == "&apos;" {
        return Cow::Borrowed("'");
    }
    entities::decode(reference, Place::Attribute)
}

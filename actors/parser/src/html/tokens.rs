//! HTML to tags and text, as the tokenizer of the HTML standard (13.2.5) reads it, without a tree.
//!
//! [`Tokens`] walks a decoded document once and yields start tags, end tags and text; comments and doctypes are
//! skipped. It keeps only the attributes of [`Attr`] (and those asked for by name), as slices of the document: the
//! first of each name counts, character references are left for the reader to decode. Scripting counts as off, so the
//! content of `<noscript>` is markup.
//! It knows nothing of links. Invariants: linear time, no recursion, no look back; memory does not grow with the
//! number of attributes; every slice is cut beside an ASCII byte. Start reading at [`Tokens::next`].

use memchr::{memchr, memchr2};

use super::foreign::Foreign;
use super::names::{ATTRS, Attr, Element, Key};

/// A start or end tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    pub element: Element,
    /// As written, in any case.
    pub name: &'a str,
    pub(super) key: Key,
    /// Ended with `/>`. In HTML that means nothing; in SVG and MathML the element is closed.
    pub self_closing: bool,
    /// An element of SVG or MathML.
    pub foreign: bool,
}

/// What [`Tokens::next`] yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Its attributes are at [`Tokens::attr`] until the next call.
    Start(Tag<'a>),
    End(Tag<'a>),
    /// A piece of text, raw: its character references are not decoded. One text may come in several pieces.
    Text(&'a str),
}

/// How the text after a start tag is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Markup,
    /// RCDATA and RAWTEXT: up to the end tag of this name. (They differ in character references only.)
    Until(Element),
    /// Script data with its escaped states.
    Script,
    Plaintext,
}

/// A walk through one document.
pub struct Tokens<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    content: Content,
    foreign: Foreign,
    /// Bit n: `values[n]` is an attribute of the last start tag.
    present: u32,
    values: [&'a str; ATTRS],
    /// More attributes to keep, in lower case, with their values.
    extra: Vec<(&'a str, Option<&'a str>)>,
}

const _: () = assert!(ATTRS <= 32, "`present` has a bit for each attribute");

/// What ends a name, as bits of [`CLASS`].
const SPACE: u8 = 1;
const SLASH: u8 = 2;
const CLOSE: u8 = 4;
const EQUALS: u8 = 8;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b'\t' as usize] = SPACE;
    class[b'\n' as usize] = SPACE;
    class[0x0C] = SPACE;
    class[b'\r' as usize] = SPACE;
    class[b' ' as usize] = SPACE;
    class[b'/' as usize] = SLASH;
    class[b'>' as usize] = CLOSE;
    class[b'=' as usize] = EQUALS;
    class
};

#[inline]
fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

impl<'a> Tokens<'a> {
    /// A walk through `text`, a whole decoded document.
    pub fn new(text: &'a str) -> Self {
        Self::with_extra(text, &[])
    }

    /// The same, keeping the attributes named in `extra` (in lower case) too: see [`Tokens::extra`].
    pub fn with_extra(text: &'a str, extra: &'a [String]) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            content: Content::Markup,
            foreign: Foreign::default(),
            present: 0,
            values: [""; ATTRS],
            extra: extra.iter().map(|name| (name.as_str(), None)).collect(),
        }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The raw value of an attribute of the last start tag; empty where it has none of its own (`<a href>`).
    #[inline]
    pub fn attr(&self, attr: Attr) -> Option<&'a str> {
        let n = attr as usize;
        if self.present & (1 << n) == 0 {
            None
        } else {
            Some(self.values[n])
        }
    }

    /// The raw values of the extra attributes that the last start tag has.
    pub fn extra(&self) -> impl Iterator<Item = &'a str> {
        self.extra.iter().filter_map(|(_, value)| *value)
    }

    /// The next token; none at the end. A tag cut off by the end of the document is none.
    #[expect(
        clippy::should_implement_trait,
        reason = "the attributes are read between the calls"
    )]
    pub fn next(&mut self) -> Option<Token<'a>> {
        if self.content != Content::Markup
            && let Some(token) = self.raw_text()
        {
            return Some(token);
        }
        loop {
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            if rest[0] != b'<' {
                let end = memchr(b'<', rest).map_or(self.bytes.len(), |n| self.at + n);
                return Some(self.text_to(end));
            }
            match rest.get(1).copied() {
                Some(b) if b.is_ascii_alphabetic() => {
                    self.at += 1;
                    return self.start_tag();
                }
                Some(b'/') => match rest.get(2).copied() {
                    Some(b) if b.is_ascii_alphabetic() => {
                        self.at += 2;
                        return self.end_tag();
                    }
                    Some(b'>') => self.at += 3,
                    Some(_) => self.skip_past_close(2),
                    None => return Some(self.text_to(self.bytes.len())),
                },
                Some(b'!') if rest[2..].starts_with(b"--") => self.comment(),
                Some(b'!') if rest[2..].starts_with(b"[CDATA[") && self.foreign.inside() => {
                    self.at += 9;
                    let end = memchr::memmem::find(&self.bytes[self.at..], b"]]>");
                    let section =
                        &self.text[self.at..end.map_or(self.bytes.len(), |n| self.at + n)];
                    self.at += section.len() + if end.is_some() { 3 } else { 0 };
                    if !section.is_empty() {
                        return Some(Token::Text(section));
                    }
                }
                // A doctype too ends at the first `>`, even one inside a quoted identifier.
                Some(b'!' | b'?') => self.skip_past_close(2),
                _ => {
                    let end =
                        memchr(b'<', &rest[1..]).map_or(self.bytes.len(), |n| self.at + 1 + n);
                    return Some(self.text_to(end));
                }
            }
        }
    }

    fn text_to(&mut self, end: usize) -> Token<'a> {
        let text = &self.text[self.at..end];
        self.at = end;
        Token::Text(text)
    }

    /// Skips a bogus comment or doctype whose first `skip` bytes are known to be no `>`.
    fn skip_past_close(&mut self, skip: usize) {
        let from = self.at + skip;
        self.at = memchr(b'>', &self.bytes[from..]).map_or(self.bytes.len(), |n| from + n + 1);
    }

    /// Skips a comment. It ends at `-->` or `--!>`; right after its start `>` and `->` end it too (13.2.5.43 on).
    fn comment(&mut self) {
        let start = self.at + 4;
        let body = &self.bytes[start..];
        let mut from = 0;
        while let Some(n) = memchr(b'>', &body[from..]) {
            let before = &body[..from + n];
            from += n + 1;
            if matches!(before, b"" | b"-") || before.ends_with(b"--") || before.ends_with(b"--!") {
                self.at = start + from;
                return;
            }
        }
        self.at = self.bytes.len();
    }

    fn start_tag(&mut self) -> Option<Token<'a>> {
        let mut tag = self.tag()?;
        let (present, values) = (self.present, &self.values);
        let attr =
            |attr: Attr| (present & (1 << attr as usize) != 0).then(|| values[attr as usize]);
        tag.foreign = self.foreign.open(&tag, attr);
        if !tag.foreign {
            self.content = match tag.element {
                Element::Title
                | Element::Textarea
                | Element::Style
                | Element::Xmp
                | Element::Iframe
                | Element::Noembed
                | Element::Noframes => Content::Until(tag.element),
                Element::Script => Content::Script,
                Element::Plaintext => Content::Plaintext,
                _ => Content::Markup,
            };
        }
        Some(Token::Start(tag))
    }

    fn end_tag(&mut self) -> Option<Token<'a>> {
        let mut tag = self.tag()?;
        tag.foreign = self.foreign.inside();
        self.foreign.close(&tag);
        Some(Token::End(tag))
    }

    /// Reads a name up to a byte of one of the classes in `stop`; never past the end.
    #[inline]
    fn name(&mut self, stop: u8) -> Key {
        let mut key = Key::default();
        let mut at = self.at;
        while let Some(&byte) = self.bytes.get(at) {
            if class(byte) & stop != 0 {
                break;
            }
            key.push(byte);
            at += 1;
        }
        self.at = at;
        key
    }

    /// Reads a tag from its name to its `>`. None when the document ends before.
    #[inline]
    fn tag(&mut self) -> Option<Tag<'a>> {
        let start = self.at;
        let key = self.name(SPACE | SLASH | CLOSE);
        let name = &self.text[start..self.at];
        self.present = 0;
        for (_, value) in &mut self.extra {
            *value = None;
        }
        let self_closing = match self.bytes.get(self.at) {
            Some(b'>') => {
                self.at += 1;
                false
            }
            _ => self.attributes()?,
        };
        Some(Tag {
            element: Element::of(key),
            name,
            key,
            self_closing,
            foreign: false,
        })
    }

    /// Reads attributes up to the `>`; says whether the tag was self-closing.
    fn attributes(&mut self) -> Option<bool> {
        loop {
            // Before an attribute name.
            let byte = *self.bytes.get(self.at)?;
            match class(byte) {
                SPACE => {
                    self.at += 1;
                    continue;
                }
                SLASH => {
                    self.at += 1;
                    if self.bytes.get(self.at) == Some(&b'>') {
                        self.at += 1;
                        return Some(true);
                    }
                    continue;
                }
                CLOSE => {
                    self.at += 1;
                    return Some(false);
                }
                _ => {}
            }
            // An equals sign here starts a name.
            let start = self.at;
            let mut key = Key::default();
            if byte == b'=' {
                self.at += 1;
                key.push(byte);
            }
            let rest = self.name(SPACE | SLASH | CLOSE | EQUALS);
            let attr = if byte == b'=' {
                Attr::Other
            } else {
                Attr::of(rest)
            };
            let name = start..self.at;
            let value = self.value()?;
            self.keep(attr, name, value);
        }
    }

    /// Reads what follows an attribute's name: nothing, or `=` and a value.
    #[inline]
    fn value(&mut self) -> Option<&'a str> {
        self.skip_space();
        if *self.bytes.get(self.at)? != b'=' {
            return Some("");
        }
        self.at += 1;
        self.skip_space();
        let quote = *self.bytes.get(self.at)?;
        if quote == b'"' || quote == b'\'' {
            let start = self.at + 1;
            let length = memchr(quote, &self.bytes[start..])?;
            self.at = start + length + 1;
            return Some(&self.text[start..start + length]);
        }
        let start = self.at;
        while class(*self.bytes.get(self.at)?) & (SPACE | CLOSE) == 0 {
            self.at += 1;
        }
        Some(&self.text[start..self.at])
    }

    #[inline]
    fn skip_space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|&b| class(b) == SPACE) {
            self.at += 1;
        }
    }

    #[inline]
    fn keep(&mut self, attr: Attr, name: std::ops::Range<usize>, value: &'a str) {
        if attr != Attr::Other {
            let n = attr as usize;
            if self.present & (1 << n) == 0 {
                self.present |= 1 << n;
                self.values[n] = value;
            }
        } else if !self.extra.is_empty() {
            let name = &self.text[name];
            let known = self
                .extra
                .iter_mut()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            if let Some((_, slot @ None)) = known {
                *slot = Some(value);
            }
        }
    }

    /// The text of an element whose content is no markup; none when it is empty. Its end tag is read next.
    fn raw_text(&mut self) -> Option<Token<'a>> {
        let end = match self.content {
            Content::Markup => self.at,
            Content::Until(element) => self.end_of(element),
            Content::Script => self.end_of_script(),
            Content::Plaintext => self.bytes.len(),
        };
        self.content = Content::Markup;
        (end > self.at).then(|| self.text_to(end))
    }

    /// Where the end tag of `element` starts, or the end of the document.
    fn end_of(&self, element: Element) -> usize {
        let mut from = self.at;
        while let Some(n) = memchr(b'<', &self.bytes[from..]) {
            let at = from + n;
            if self.bytes.get(at + 1) == Some(&b'/') && self.names(at + 2, element) {
                return at;
            }
            from = at + 1;
        }
        self.bytes.len()
    }

    /// True if at `at` stands the name of `element` and then a byte that ends a tag name.
    fn names(&self, at: usize, element: Element) -> bool {
        // No known name is longer than 15 bytes.
        let window = &self.bytes[at.min(self.bytes.len())..self.bytes.len().min(at + 16)];
        let mut key = Key::default();
        for &byte in window {
            if class(byte) & (SPACE | SLASH | CLOSE) != 0 {
                return Element::of(key) == element;
            }
            key.push(byte);
        }
        false
    }

    /// Where the end tag of a script starts. After `<!--` a `<script>` hides one `</script>`, until `-->`
    /// (13.2.5.15 to 13.2.5.31).
    fn end_of_script(&self) -> usize {
        enum State {
            Plain,
            /// Since the dashes at this position.
            Escaped(usize),
            DoubleEscaped(usize),
        }
        let mut state = State::Plain;
        let mut from = self.at;
        while let Some(n) = memchr2(b'<', b'>', &self.bytes[from..]) {
            let at = from + n;
            from = at + 1;
            let rest = &self.bytes[at..];
            match state {
                State::Escaped(dashes) | State::DoubleEscaped(dashes)
                    if rest[0] == b'>' && self.bytes[dashes..at].ends_with(b"--") =>
                {
                    state = State::Plain;
                }
                State::Plain | State::Escaped(_)
                    if rest.starts_with(b"</") && self.names(at + 2, Element::Script) =>
                {
                    return at;
                }
                State::Plain if rest.starts_with(b"<!--") => state = State::Escaped(at + 2),
                State::Escaped(dashes)
                    if rest[0] == b'<' && self.names(at + 1, Element::Script) =>
                {
                    state = State::DoubleEscaped(dashes);
                }
                State::DoubleEscaped(dashes)
                    if rest.starts_with(b"</") && self.names(at + 2, Element::Script) =>
                {
                    state = State::Escaped(dashes);
                }
                _ => {}
            }
        }
        self.bytes.len()
    }
}

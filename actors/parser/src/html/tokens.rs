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
use super::scan;

/// A start or end tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    pub element: Element,
    /// As written, in any case.
    pub name: &'a str,
    pub(super) key: Key,
    /// Ended with `/>`. In HTML that means nothing; in SVG and MathML the element is closed.
    pub self_closing: bool,
    pub namespace: Namespace,
}

impl Tag<'_> {
    /// True for an element of SVG or MathML.
    #[inline]
    pub fn foreign(&self) -> bool {
        self.namespace != Namespace::Html
    }
}

/// Whose element a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Html,
    Svg,
    MathMl,
}

/// By which grammar a document is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    #[default]
    Html,
    /// XHTML and SVG documents. Read as HTML is, but that `<x/>` is closed, that no element's content is raw text, and
    /// that CDATA sections count everywhere.
    Xml,
}

/// What [`Tokens::next`] yields: small, for it is copied; what is known of a tag stays where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A start tag: see [`Tokens::tag`] and [`Tokens::attr`].
    Start,
    /// An end tag: see [`Tokens::tag`].
    End,
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
    syntax: Syntax,
    foreign: Foreign,
    tag: Tag<'a>,
    /// Bit n: `values[n]` is an attribute of the last start tag.
    present: u64,
    values: [&'a str; ATTRS],
    /// More attributes to keep, in lower case, with their values.
    extra: Vec<(&'a str, Option<&'a str>)>,
}

const _: () = assert!(ATTRS <= 64, "`present` has a bit for each attribute");

const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

/// The byte that goes into a name's key: in lower case, NUL as a byte that UTF-8 never has (the standard puts U+FFFD there);
/// 0 for what ends the name.
const fn fold(byte: u8, attribute: bool) -> u8 {
    match byte {
        0 => 0xFF,
        b'/' | b'>' => 0,
        b'=' if attribute => 0,
        _ if is_space(byte) => 0,
        _ => byte.to_ascii_lowercase(),
    }
}

const fn folds(attribute: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = fold(byte as u8, attribute);
        byte += 1;
    }
    table
}

const TAG_NAME: [u8; 256] = folds(false);
const ATTRIBUTE_NAME: [u8; 256] = folds(true);

impl<'a> Tokens<'a> {
    /// A walk through `text`, a whole decoded document.
    pub fn new(text: &'a str) -> Self {
        Self::with_extra(text, Syntax::Html, &[])
    }

    /// A walk by this grammar, keeping the attributes named in `extra` (in lower case) too: see [`Tokens::extra`].
    pub fn with_extra(text: &'a str, syntax: Syntax, extra: &'a [String]) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            content: Content::Markup,
            syntax,
            foreign: Foreign::default(),
            tag: Tag {
                element: Element::Other,
                name: "",
                key: Key::default(),
                self_closing: false,
                namespace: Namespace::Html,
            },
            present: 0,
            values: [""; ATTRS],
            extra: extra.iter().map(|name| (name.as_str(), None)).collect(),
        }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The last tag.
    #[inline]
    pub fn tag(&self) -> &Tag<'a> {
        &self.tag
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

    /// The extra attributes that the last start tag has: name, raw value.
    pub fn extra(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.extra
            .iter()
            .filter_map(|(name, value)| Some((*name, (*value)?)))
    }

    /// True if nothing is inside the element of the last start tag, because it is closed in the tag itself.
    pub fn closed(&self) -> bool {
        self.tag.self_closing && (self.tag.foreign() || self.syntax == Syntax::Xml)
    }

    /// The next token; none at the end. A tag cut off by the end of the document is none.
    #[expect(
        clippy::should_implement_trait,
        reason = "the tag is read between the calls"
    )]
    pub fn next(&mut self) -> Option<Token<'a>> {
        self.step::<false, true>()
    }

    /// The next token that can matter to who knows of an element only what is listed in [`names`](super::names): skips
    /// unknown elements' end tags, and their start tags without a known attribute.
    pub fn next_of_note(&mut self) -> Option<Token<'a>> {
        self.step::<true, true>()
    }

    /// As [`Tokens::next_of_note`], and skips text between tags. The text of elements whose content is no markup is
    /// still told.
    pub fn next_tag_of_note(&mut self) -> Option<Token<'a>> {
        self.step::<true, false>()
    }

    #[inline(always)]
    fn step<const OF_NOTE: bool, const TEXT: bool>(&mut self) -> Option<Token<'a>> {
        if self.content != Content::Markup
            && let Some(token) = self.raw_text()
        {
            return Some(token);
        }
        loop {
            if *self.bytes.get(self.at)? != b'<' {
                let end = scan::find(b'<', self.bytes, self.at);
                if TEXT {
                    return Some(self.text_to(end.unwrap_or(self.bytes.len())));
                }
                self.at = end?;
            }
            match self.bytes.get(self.at + 1) {
                Some(b) if b.is_ascii_alphabetic() => {
                    self.at += 1;
                    self.start_tag()?;
                    if OF_NOTE && self.tag.element == Element::Other && !self.has_attributes() {
                        continue;
                    }
                    return Some(Token::Start);
                }
                Some(b'/')
                    if self
                        .bytes
                        .get(self.at + 2)
                        .is_some_and(u8::is_ascii_alphabetic) =>
                {
                    self.at += 2;
                    self.end_tag()?;
                    if OF_NOTE && self.tag.element == Element::Other {
                        continue;
                    }
                    return Some(Token::End);
                }
                _ => {
                    if let Some(text) = self.other_markup() {
                        return Some(text);
                    }
                }
            }
        }
    }

    /// Skips what starts with `<` and is no tag; tells what of it is text.
    #[inline(never)]
    fn other_markup(&mut self) -> Option<Token<'a>> {
        let rest = &self.bytes[self.at..];
        match rest.get(1) {
            Some(b'/') => match rest.get(2) {
                Some(b'>') => self.at += 3,
                Some(_) => self.skip_past_close(2),
                None => return Some(self.text_to(self.bytes.len())),
            },
            Some(b'!') if rest[2..].starts_with(b"--") => self.comment(),
            Some(b'!')
                if rest[2..].starts_with(b"[CDATA[")
                    && (self.foreign.inside() || self.syntax == Syntax::Xml) =>
            {
                self.at += 9;
                let end = memchr::memmem::find(&self.bytes[self.at..], b"]]>");
                let section = &self.text[self.at..end.map_or(self.bytes.len(), |n| self.at + n)];
                self.at += section.len() + if end.is_some() { 3 } else { 0 };
                return (!section.is_empty()).then_some(Token::Text(section));
            }
            // A doctype too ends at the first `>`, even one inside a quoted identifier.
            Some(b'!' | b'?') => self.skip_past_close(2),
            _ => {
                let end = memchr(b'<', &rest[1..]).map_or(self.bytes.len(), |n| self.at + 1 + n);
                return Some(self.text_to(end));
            }
        }
        None
    }

    /// True if the last start tag has an attribute that is kept.
    #[inline]
    fn has_attributes(&self) -> bool {
        self.present != 0 || self.extra.iter().any(|(_, value)| value.is_some())
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

    #[inline(always)]
    fn start_tag(&mut self) -> Option<()> {
        self.read_tag()?;
        let tag = &mut self.tag;
        let (present, values) = (self.present, &self.values);
        tag.namespace = self.foreign.open(tag, |attr| {
            (present & (1 << attr as usize) != 0).then(|| values[attr as usize])
        });
        if tag.element != Element::Other && !tag.foreign() && self.syntax == Syntax::Html {
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
        Some(())
    }

    #[inline(always)]
    fn end_tag(&mut self) -> Option<()> {
        self.read_tag()?;
        self.tag.namespace = self.foreign.namespace();
        self.foreign.close(&self.tag);
        Some(())
    }

    /// Reads a name up to a byte that `folds` to 0, or to the end.
    #[inline]
    fn read_name(&mut self, folds: &[u8; 256]) -> Key {
        let start = self.at;
        if let Some((length, key)) = scan::letters(self.bytes, start)
            && folds[self.bytes[start + length] as usize] == 0
        {
            self.at = start + length;
            return key;
        }
        let mut key = Key::default();
        let mut at = start;
        while let Some(&byte) = self.bytes.get(at) {
            let folded = folds[byte as usize];
            if folded == 0 {
                break;
            }
            key.push(at - start, folded);
            at += 1;
        }
        self.at = at;
        key
    }

    /// Reads a tag from its name to its `>`. None when the document ends before.
    #[inline]
    fn read_tag(&mut self) -> Option<()> {
        let start = self.at;
        let key = self.read_name(&TAG_NAME);
        let name = &self.text[start..self.at];
        self.present = 0;
        for (_, value) in &mut self.extra {
            *value = None;
        }
        self.tag.name = name;
        self.tag.key = key;
        self.tag.element = Element::of(key, name);
        self.tag.self_closing = match self.bytes.get(self.at) {
            Some(b'>') => {
                self.at += 1;
                false
            }
            _ => self.attributes()?,
        };
        Some(())
    }

    /// Reads attributes up to the `>`; says whether the tag was self-closing.
    fn attributes(&mut self) -> Option<bool> {
        loop {
            // Before an attribute name.
            let byte = *self.bytes.get(self.at)?;
            let start = self.at;
            match byte {
                b' ' | b'\n' | b'\t' | b'\r' | 0x0C => {
                    self.at += 1;
                    continue;
                }
                b'>' => {
                    self.at += 1;
                    return Some(false);
                }
                b'/' => {
                    self.at += 1;
                    if self.bytes.get(self.at) == Some(&b'>') {
                        self.at += 1;
                        return Some(true);
                    }
                    continue;
                }
                b'=' => self.at += 1, // here it starts a name
                _ => {}
            }
            let key = self.read_name(&ATTRIBUTE_NAME);
            let name = &self.text[start..self.at];
            // A name that starts with `=` is none that is known, whatever follows.
            let attr = if byte == b'=' {
                Attr::Other
            } else {
                Attr::of(key, name)
            };
            let value = self.value()?;
            self.keep(attr, name, value);
        }
    }

    /// Reads what follows an attribute's name: nothing, or `=` and a value.
    #[inline]
    fn value(&mut self) -> Option<&'a str> {
        if *self.bytes.get(self.at)? != b'=' {
            self.skip_space();
            if *self.bytes.get(self.at)? != b'=' {
                return Some("");
            }
        }
        self.at += 1;
        let mut quote = *self.bytes.get(self.at)?;
        if is_space(quote) {
            self.skip_space();
            quote = *self.bytes.get(self.at)?;
        }
        if quote == b'"' || quote == b'\'' {
            let start = self.at + 1;
            let end = scan::find(quote, self.bytes, start)?;
            self.at = end + 1;
            return Some(&self.text[start..end]);
        }
        let start = self.at;
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte == b'>' || is_space(byte) {
                return Some(&self.text[start..self.at]);
            }
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|&b| is_space(b)) {
            self.at += 1;
        }
    }

    #[inline]
    fn keep(&mut self, attr: Attr, name: &str, value: &'a str) {
        if attr != Attr::Other {
            let n = attr as usize;
            if self.present & (1 << n) == 0 {
                self.present |= 1 << n;
                self.values[n] = value;
            }
        } else if !self.extra.is_empty() {
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
    #[inline(never)]
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
        // No element with such content has a longer name.
        let window = &self.bytes[at.min(self.bytes.len())..self.bytes.len().min(at + 16)];
        let mut key = Key::default();
        for (length, &byte) in window.iter().enumerate() {
            let folded = TAG_NAME[byte as usize];
            if folded == 0 {
                return Element::of(key, &self.text[at..at + length]) == element;
            }
            key.push(length, folded);
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

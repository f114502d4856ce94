//! The element and attribute names that matter to links, recognised while they are scanned.
//!
//! A name is folded byte by byte into a [`Key`] (lower case, at most 15 bytes of it matter), so that finding
//! out which element or attribute it is costs one integer match and no second look at the text.
//! Invariant: two names have the same known key if and only if they are equal in ASCII-case-insensitive comparison.

/// A name folded into an integer. Names longer than 16 bytes keep their last 16, which no known name has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u128);

impl Key {
    /// Appends one byte of a name: A-Z in lower case; NUL becomes a byte that UTF-8 never has, as the standard
    /// puts U+FFFD there.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.0 = (self.0 << 8) | LOWER[byte as usize] as u128;
    }
}

const LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = if b == 0 { 0xFF } else { b.to_ascii_lowercase() };
        byte += 1;
    }
    table
};

const fn key(name: &str) -> u128 {
    let bytes = name.as_bytes();
    assert!(
        bytes.len() < 16,
        "a known name must fit its key with a byte to spare"
    );
    let mut key = 0;
    let mut i = 0;
    while i < bytes.len() {
        key = (key << 8) | bytes[i] as u128;
        i += 1;
    }
    key
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $keys:ident { $($variant:ident = $text:literal)* }) => {
        #[allow(non_upper_case_globals, reason = "named like the variants they stand for")]
        mod $keys { $(pub(super) const $variant: u128 = super::key($text);)* }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($variant,)* /** Any name not listed. */ Other }

        impl $type {
            #[inline]
            pub fn of(key: Key) -> Self {
                match key.0 { $($keys::$variant => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

names! {
    /// An element whose links, text or parsing rules matter.
    Element, element {
        A = "a" AnnotationXml = "annotation-xml" Area = "area" Audio = "audio" Base = "base" Body = "body"
        Desc = "desc" Embed = "embed" FeImage = "feimage" Font = "font" ForeignObject = "foreignobject"
        Frame = "frame" Html = "html" Iframe = "iframe" Image = "image" Img = "img" Input = "input" Link = "link"
        Math = "math" Meta = "meta" Mi = "mi" Mn = "mn" Mo = "mo" Ms = "ms" Mtext = "mtext" Noembed = "noembed"
        Noframes = "noframes" Object = "object" Plaintext = "plaintext" Script = "script" Source = "source"
        Style = "style" Svg = "svg" Table = "table" Td = "td" Template = "template" Textarea = "textarea" Th = "th"
        Title = "title" Track = "track" Use = "use" Video = "video" Xmp = "xmp"
    }
}

names! {
    /// An attribute whose value matters; the tokenizer keeps no other.
    Attr, attr {
        Background = "background" Charset = "charset" Color = "color" Content = "content" Data = "data"
        Encoding = "encoding" Face = "face" Href = "href" HttpEquiv = "http-equiv" ImageSrcset = "imagesrcset"
        Lang = "lang" Longdesc = "longdesc" Name = "name" Poster = "poster" Rel = "rel" Size = "size" Src = "src"
        Srcset = "srcset" Style = "style" Type = "type" XlinkHref = "xlink:href"
    }
}

/// How many attributes are known.
pub const ATTRS: usize = Attr::Other as usize;

names! {
    /// An HTML element that cannot stand in SVG or MathML: its start tag ends the foreign content
    /// (HTML standard, 13.2.6.5 "in foreign content").
    Breakout, breakout {
        B = "b" Big = "big" Blockquote = "blockquote" Body = "body" Br = "br" Center = "center" Code = "code"
        Dd = "dd" Div = "div" Dl = "dl" Dt = "dt" Em = "em" Embed = "embed" H1 = "h1" H2 = "h2" H3 = "h3" H4 = "h4"
        H5 = "h5" H6 = "h6" Head = "head" Hr = "hr" I = "i" Img = "img" Li = "li" Listing = "listing" Menu = "menu"
        Meta = "meta" Nobr = "nobr" Ol = "ol" P = "p" Pre = "pre" Ruby = "ruby" S = "s" Small = "small" Span = "span"
        Strong = "strong" Strike = "strike" Sub = "sub" Sup = "sup" Table = "table" Tt = "tt" U = "u" Ul = "ul"
        Var = "var"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(name: &str) -> Key {
        let mut key = Key::default();
        name.bytes().for_each(|b| key.push(b));
        key
    }

    #[test]
    fn names_are_known_in_any_case_and_only_whole() {
        #[track_caller]
        fn check(name: &str, element: Element, attr: Attr) {
            assert_eq!(
                (Element::of(fold(name)), Attr::of(fold(name))),
                (element, attr),
                "{name:?}"
            );
        }
        check("a", Element::A, Attr::Other);
        check("sTyLe", Element::Style, Attr::Style);
        check("XLINK:HREF", Element::Other, Attr::XlinkHref);
        check("annotation-XML", Element::AnnotationXml, Attr::Other);
        check("hre", Element::Other, Attr::Other);
        check("hreff", Element::Other, Attr::Other);
        check("\0a", Element::Other, Attr::Other);
        check("a\0", Element::Other, Attr::Other);
        check(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaahref",
            Element::Other,
            Attr::Other,
        );
        check("h\u{12}ef", Element::Other, Attr::Other); // differs from "href" in one bit only
        check("", Element::Other, Attr::Other);
    }
}

//! The element and attribute names that matter to links, recognised while they are scanned.
//!
//! A name is folded byte by byte into a [`Key`], so that finding out which element or attribute it is costs one integer
//! match and, but for long names, no second look at the text.
//! Invariant: a name is known if and only if it equals a listed one in ASCII-case-insensitive comparison.

/// A name folded into an integer: up to 8 bytes exactly, longer ones as a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u64);

/// Bytes of a name that its key holds exactly.
const EXACT: usize = 8;

impl Key {
    /// The key of a name of at most 8 bytes, its first byte lowest.
    #[inline]
    pub(super) fn exact(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Puts in the byte number `n` of a name, which must be in lower case and not 0.
    #[inline]
    pub(super) fn push(&mut self, n: usize, byte: u8) {
        self.0 ^= (byte as u64) << (8 * (n % EXACT));
    }
}

const fn key(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut key: u64 = 0;
    let mut n = 0;
    while n < bytes.len() {
        key ^= (bytes[n] as u64) << (8 * (n % EXACT));
        n += 1;
    }
    key
}

/// Names are looked up by a multiplication that spreads the keys over slots without a collision: a constant found by
/// trial, checked when this is compiled. (A search by comparison costs a mispredicted branch or two for each name.)
const SLOTS: usize = 256;

const fn slot(key: u64, factor: u64) -> usize {
    (key.wrapping_mul(factor) >> (u64::BITS - SLOTS.ilog2())) as usize
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $table:ident, $factor:literal { $($variant:ident = $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($variant,)* /** Any name not listed. */ Other }

        static $table: [(u64, $type, &str); SLOTS] = {
            let mut table = [(0, $type::Other, ""); SLOTS];
            $(
                let at = slot(key($text), $factor);
                assert!(table[at].2.is_empty(), "two names share a slot: find another factor");
                table[at] = (key($text), $type::$variant, $text);
            )*
            table
        };

        impl $type {
            /// What `name`, whose bytes were folded into `key`, is.
            #[inline]
            pub fn of(key: Key, name: &str) -> Self {
                let (known, variant, text) = $table[slot(key.0, $factor)];
                if known == key.0 && is(name, text) {
                    variant
                } else {
                    Self::Other
                }
            }

            /// The name, in lower case; empty for one that is not listed.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }
        }
    };
}

/// True if `name`, whose key is that of `known`, is `known`.
#[inline]
fn is(name: &str, known: &str) -> bool {
    name.len() == known.len() && (known.len() <= EXACT || name.eq_ignore_ascii_case(known))
}

names! {
    /// An element whose links, text or parsing rules matter.
    Element, ELEMENTS, 0x37bc_22e1_9597_d5f7 {
        A = "a" AnnotationXml = "annotation-xml" Applet = "applet" Area = "area" Aside = "aside" Audio = "audio"
        Base = "base" Bgsound = "bgsound" Blockquote = "blockquote" Body = "body" Button = "button" Del = "del"
        Desc = "desc" Embed = "embed" FeImage = "feimage" Font = "font" Footer = "footer"
        ForeignObject = "foreignobject" Form = "form" Frame = "frame" Frameset = "frameset" Header = "header"
        Html = "html" Iframe = "iframe" Image = "image" Img = "img" Input = "input" Ins = "ins" Link = "link"
        Main = "main" Math = "math" Meta = "meta" Mi = "mi" Mn = "mn" Mo = "mo" Ms = "ms" Mtext = "mtext" Nav = "nav"
        Noembed = "noembed" Noframes = "noframes" Object = "object" Plaintext = "plaintext" Q = "q" Script = "script"
        Source = "source" Style = "style" Svg = "svg" Table = "table" Tbody = "tbody" Td = "td" Template = "template"
        Textarea = "textarea" Tfoot = "tfoot" Th = "th" Thead = "thead" Title = "title" Tr = "tr" Track = "track"
        Use = "use" Video = "video" Xmp = "xmp"
    }
}

names! {
    /// An attribute whose value matters; the tokenizer keeps no other.
    Attr, ATTRIBUTES, 0x9189_7c66_2ac3_8e81 {
        Action = "action" Archive = "archive" Background = "background" Charset = "charset" Cite = "cite"
        Code = "code" Codebase = "codebase" Color = "color" Content = "content" Data = "data" Encoding = "encoding"
        Face = "face" Formaction = "formaction" Formmethod = "formmethod" Href = "href" Hreflang = "hreflang"
        HttpEquiv = "http-equiv" ImageSrcset = "imagesrcset" Lang = "lang" Longdesc = "longdesc" Lowsrc = "lowsrc"
        Manifest = "manifest" Method = "method" Name = "name" Poster = "poster" Property = "property" Rel = "rel"
        Size = "size" Src = "src" Srcdoc = "srcdoc" Srcset = "srcset" Style = "style" Type = "type"
        XlinkHref = "xlink:href"
    }
}

/// How many attributes are known.
pub const ATTRS: usize = Attr::Other as usize;

names! {
    /// An HTML element that cannot stand in SVG or MathML: its start tag ends the foreign content
    /// (HTML standard, 13.2.6.5 "in foreign content").
    Breakout, BREAKOUTS, 0xef84_0b33_341f_99eb {
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
        for (n, b) in name.bytes().enumerate() {
            key.push(n, if b == 0 { 0xFF } else { b.to_ascii_lowercase() });
        }
        key
    }

    #[test]
    fn names_are_known_in_any_case_and_only_whole() {
        #[track_caller]
        fn check(name: &str, element: Element, attr: Attr) {
            assert_eq!(
                (Element::of(fold(name), name), Attr::of(fold(name), name)),
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
        // The keys of long names are hashes: this one is "a"'s.
        check("abbbbbbbcbbbbbbbc", Element::Other, Attr::Other);
        check("", Element::Other, Attr::Other);
    }
}

//! Character references: `&amp;`, `&copy`, `&#x20AC;` in attribute values and titles.
//!
//! Follows the HTML standard, 13.2.5.72 to 13.2.5.84, with its whole list of names (`data/entities.txt`, from
//! 13.5 "Named character references"). Invariants: linear in the text; text without `&` and NUL is borrowed.

use std::borrow::Cow;
use std::sync::LazyLock;

/// Where the text stands: in an attribute, a name without semicolon before `=` or an alphanumeric is plain text,
/// so that `?a=1&copy=2` stays what its author meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Attribute,
    Text,
}

/// The longest name that needs no semicolon ("Aacute").
const LEGACY_MAX: usize = 6;
/// The longest name of all, semicolon included.
const NAME_MAX: usize = 32;

/// Name (with its semicolon where it has one) and what it stands for; sorted by name.
static NAMES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    include_str!("../../data/entities.txt")
        .lines()
        .filter_map(|line| {
            let (name, points) = line.split_once(' ')?;
            let text = points
                .split(' ')
                .filter_map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?))
                .collect();
            Some((name, text))
        })
        .collect()
});

fn named(name: &str) -> Option<&'static str> {
    let names = &*NAMES;
    let at = names.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(&names[at].1)
}

/// `text` with its character references resolved and NUL replaced by U+FFFD.
pub fn decode(text: &str, place: Place) -> Cow<'_, str> {
    let Some(first) = memchr::memchr2(b'&', 0, text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(found) = memchr::memchr2(b'&', 0, rest.as_bytes()) {
        out.push_str(&rest[..found]);
        rest = &rest[found..];
        let taken = if rest.starts_with('\0') {
            out.push('\u{FFFD}');
            1
        } else {
            reference(rest, place, &mut out)
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Resolves the reference at the start of `text` (a `&`); returns how many bytes it took.
fn reference(text: &str, place: Place, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    let taken = match bytes.get(1) {
        Some(b'#') => numeric(bytes, out),
        Some(b) if b.is_ascii_alphanumeric() => by_name(text, place, out),
        _ => None,
    };
    taken.unwrap_or_else(|| {
        out.push('&');
        1
    })
}

fn by_name(text: &str, place: Place, out: &mut String) -> Option<usize> {
    let bytes = text.as_bytes();
    let run = bytes[1..]
        .iter()
        .take(NAME_MAX)
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let next = bytes.get(1 + run).copied();
    if next == Some(b';')
        && let Some(value) = named(&text[1..run + 2])
    {
        out.push_str(value);
        return Some(run + 2);
    }
    let (length, value) = (2..=run.min(LEGACY_MAX))
        .rev()
        .find_map(|n| Some((n, named(&text[1..=n])?)))?;
    if place == Place::Attribute && (length < run || next == Some(b'=')) {
        return None;
    }
    out.push_str(value);
    Some(length + 1)
}

fn numeric(bytes: &[u8], out: &mut String) -> Option<usize> {
    let hex = matches!(bytes.get(2), Some(b'x' | b'X'));
    let (start, radix) = if hex { (3, 16) } else { (2, 10) };
    let mut at = start;
    let mut code: u32 = 0;
    while let Some(digit) = bytes.get(at).and_then(|&b| char::from(b).to_digit(radix)) {
        code = code.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == start {
        return None;
    }
    out.push(character(code));
    Some(at + usize::from(bytes.get(at) == Some(&b';')))
}

/// The character a number stands for (13.2.5.84): U+0080 to U+009F are read as windows-1252, what is no scalar
/// value is U+FFFD.
fn character(code: u32) -> char {
    const C1: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž',
        '\u{8F}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}',
        'ž', 'Ÿ',
    ];
    match code {
        0 => '\u{FFFD}',
        0x80..=0x9F => C1[(code - 0x80) as usize],
        _ => char::from_u32(code).unwrap_or('\u{FFFD}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_list_is_whole_sorted_and_in_bounds() {
        assert_eq!(NAMES.len(), 2_231);
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(NAMES.iter().all(|(_, text)| !text.is_empty()));
        assert_eq!(
            NAMES.iter().map(|(name, _)| name.len()).max(),
            Some(NAME_MAX)
        );
        let legacy = NAMES.iter().filter(|(name, _)| !name.ends_with(';'));
        assert_eq!(legacy.map(|(name, _)| name.len()).max(), Some(LEGACY_MAX));
    }

    #[test]
    fn references_are_read_as_the_standard_says() {
        #[track_caller]
        fn check(text: &str, in_attribute: &str, in_text: &str) {
            assert_eq!(
                decode(text, Place::Attribute),
                in_attribute,
                "{text:?} in an attribute"
            );
            assert_eq!(decode(text, Place::Text), in_text, "{text:?} in text");
        }
        check("?a=1&amp;b=2", "?a=1&b=2", "?a=1&b=2");
        check("?a=1&amp=2", "?a=1&amp=2", "?a=1&=2");
        check("?a&copy=1", "?a&copy=1", "?a©=1");
        check("?a&copyx", "?a&copyx", "?a©x");
        check("?a&copy", "?a©", "?a©");
        check("?a&copy/", "?a©/", "?a©/");
        check("&notit;", "&notit;", "¬it;");
        check("&notin;", "∉", "∉");
        check("&NotEqualTilde;", "≂̸", "≂̸");
        check("&CounterClockwiseContourIntegral;", "∳", "∳");
        check(
            "&CounterClockwiseContourIntegralx;",
            "&CounterClockwiseContourIntegralx;",
            "&CounterClockwiseContourIntegralx;",
        );
        check("&unknown;&;& &", "&unknown;&;& &", "&unknown;&;& &");
        check("&#47;&#x2F;&#X2f", "///", "///");
        check("&#x80;&#128;", "€€", "€€");
        check(
            "&#0;&#xD800;&#x110000;&#99999999999;",
            "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}",
            "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}",
        );
        check("&#;&#x;&#xg", "&#;&#x;&#xg", "&#;&#x;&#xg");
        check("a\0b&", "a\u{FFFD}b&", "a\u{FFFD}b&");
        check("&am\0p;", "&am\u{FFFD}p;", "&am\u{FFFD}p;");
        check("&Gt;&GT;&gt", "≫>>", "≫>>");
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_and_plain_text_is_left_alone(text in "[&#;xa-z0-9é\0=]{0,40}") {
            for place in [Place::Attribute, Place::Text] {
                let decoded = decode(&text, place);
                if !text.contains(['&', '\0']) {
                    prop_assert!(matches!(decoded, Cow::Borrowed(_)));
                }
                prop_assert!(!decoded.contains('\0'));
            }
        }
    }
}

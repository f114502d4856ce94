//! JSON-LD in `<script type="application/ld+json">` to the absolute URLs among its values.
//!
//! Scans for strings instead of parsing: no recursion, no tree, and what comes before an error counts. `@context`
//! and `@vocab` name vocabularies, not pages, and are left out, as are keys. Invariant: linear, never fails.

use std::borrow::Cow;

/// Calls `found` with each string value that is an absolute `http` or `https` URL.
pub(super) fn each_url<'a>(json: &'a str, mut found: impl FnMut(Cow<'a, str>)) {
    let bytes = json.as_bytes();
    let mut at = 0;
    let mut of_vocabulary = false;
    while let Some(quote) = memchr::memchr(b'"', &bytes[at..]) {
        let start = at + quote + 1;
        let Some(end) = end_of_string(bytes, start) else {
            return;
        };
        at = end + 1;
        let raw = &json[start..end];
        let colon = bytes[at..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':');
        if colon {
            of_vocabulary = matches!(raw, "@context" | "@vocab");
        } else if !of_vocabulary && may_be_url(raw) {
            let value = unescape(raw);
            if is_http(&value) {
                found(value);
            }
        }
    }
}

/// Where the string that starts at `from` has its closing quote.
fn end_of_string(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// A quick look before unescaping: `http` may be hidden behind escapes only from its very start.
fn may_be_url(raw: &str) -> bool {
    raw.starts_with(['h', 'H', '\\'])
}

fn is_http(value: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        value
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Resolves JSON's escapes (RFC 8259 section 7); a broken one stays as it is.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escaped.chars();
        rest = match chars.next() {
            Some('u') => match code_point(chars.as_str()) {
                Some((character, left)) => {
                    out.push(character);
                    left
                }
                None => {
                    out.push_str("\\u");
                    chars.as_str()
                }
            },
            Some(c) => {
                out.push(match c {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{C}',
                    other => other,
                });
                chars.as_str()
            }
            None => "",
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of the hexadecimal digits at the start of `text`, a surrogate pair taken together.
fn code_point(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| -> Option<u32> {
        let hex = text
            .get(..4)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(hex, 16).ok()
    };
    let first = unit(text)?;
    let rest = &text[4..];
    if (0xD800..0xDC00).contains(&first)
        && let Some(second) = rest.strip_prefix("\\u").and_then(unit)
        && (0xDC00..0xE000).contains(&second)
    {
        let both = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Some((char::from_u32(both)?, &rest[6..]));
    }
    Some((char::from_u32(first).unwrap_or('\u{FFFD}'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn urls(json: &str) -> Vec<String> {
        let mut urls = Vec::new();
        each_url(json, |url| urls.push(url.into_owned()));
        urls
    }

    #[test]
    fn absolute_urls_among_the_values_are_found() {
        #[track_caller]
        fn check(json: &str, want: &[&str]) {
            assert_eq!(urls(json), want, "{json:?}");
        }
        check(
            r#"{"@context":"https://schema.org","url":"https://a.test/","name":"x"}"#,
            &["https://a.test/"],
        );
        check(
            r#"{"@context":["https://schema.org",{"@vocab":"http://v.test"}],"url":"HTTP://a.test"}"#,
            &["HTTP://a.test"],
        );
        check(
            r#"{"sameAs" : ["https://a.test/1", "https:\/\/a.test\/2", "/3", "mailto:x"]}"#,
            &["https://a.test/1", "https://a.test/2"],
        );
        check(
            r#"{"https://key.test": 1, "url": "\u0068ttps://a.test/\u00e9\ud83d\ude00"}"#,
            &["https://a.test/é😀"],
        );
        check(r#"{"url":"https://a.test/","broken"#, &["https://a.test/"]);
        check(r#"{"url":"https://a.test/\"x"}"#, &["https://a.test/\"x"]);
        check(
            r#"["https://a.test/\ud83d\u12"]"#,
            &["https://a.test/\u{FFFD}\\u12"],
        );
        check("\"\\", &[]);
        check("", &[]);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(json in r#"([a-zé:,{}\[\]"\\]|"https?://|\\u[0-9a-f]{0,4})*"#) {
            urls(&json);
        }
    }
}

//! CSS to the URLs it loads: `url(…)`, `@import "…"` and the strings of `image-set(…)`.
//!
//! A scanner over the parts of CSS Syntax Level 3 that matter here (comments 4.3.2, strings 4.3.5, url tokens 4.3.6,
//! escapes 4.3.7, names 4.3.11), for style sheets, `<style>` and `style` attributes. It knows no selectors and no
//! properties. `@namespace` names no resource and is left out. Invariants: linear, never fails; what is broken is skipped.

use std::borrow::Cow;

/// What the scanner is waiting for, from the last at-rule's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    None,
    Import,
    Namespace,
}

/// Calls `found` with each URL in `css`, escapes resolved, in order of appearance.
pub fn each_url<'a>(css: &'a str, mut found: impl FnMut(Cow<'a, str>)) {
    let bytes = css.as_bytes();
    if !may_have_urls(bytes) {
        return;
    }
    let mut at = 0;
    let mut rule = At::None;
    // Open parentheses, and with how many the strings of an image-set stand.
    let (mut depth, mut image_set) = (0_usize, None);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = memchr::memmem::find(&bytes[at + 2..], b"*/")
                    .map_or(bytes.len(), |n| at + n + 4);
            }
            b'"' | b'\'' => {
                let (string, end) = string(css, at);
                if (rule == At::Import || image_set == Some(depth))
                    && let Some(url) = string
                {
                    found(unescape(url));
                    rule = At::None;
                }
                at = end;
            }
            b'@' => {
                let end = name_end(bytes, at + 1);
                rule = if is_name(&css[at + 1..end], "import") {
                    At::Import
                } else if is_name(&css[at + 1..end], "namespace") {
                    At::Namespace
                } else {
                    At::None
                };
                at = end;
            }
            b';' | b'{' | b'}' => {
                rule = At::None;
                (depth, image_set) = (0, None);
                at += 1;
            }
            b'(' => {
                depth += 1;
                at += 1;
            }
            b')' => {
                image_set = image_set.filter(|open| *open < depth);
                depth = depth.saturating_sub(1);
                at += 1;
            }
            // A hash or a number takes the name behind it along.
            b'#' | b'0'..=b'9' => at = name_end(bytes, at + 1),
            _ if is_in_name(bytes, at) => {
                let end = name_end(bytes, at);
                let name = &css[at..end];
                at = end;
                if bytes.get(end) != Some(&b'(') {
                    continue;
                }
                if is_name(name, "url") {
                    let (url, end) = url_token(css, end + 1);
                    if rule != At::Namespace
                        && let Some(url) = url
                    {
                        found(unescape(url));
                    }
                    if rule == At::Import {
                        rule = At::None;
                    }
                    at = end;
                } else {
                    depth += 1;
                    at += 1;
                    let set = is_name(name, "image-set") || is_name(name, "-webkit-image-set");
                    image_set = image_set.or(set.then_some(depth));
                }
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A quick look: most style text loads nothing.
fn may_have_urls(css: &[u8]) -> bool {
    memchr::memchr3_iter(b'(', b'@', b'\\', css).any(|at| {
        let (before, after) = css.split_at(at);
        match after[0] {
            b'(' => before.last_chunk().is_some_and(|end: &[u8; 3]| {
                end.eq_ignore_ascii_case(b"url") || end.eq_ignore_ascii_case(b"set")
            }),
            b'@' => after[1..]
                .first_chunk()
                .is_some_and(|word: &[u8; 6]| word.eq_ignore_ascii_case(b"import")),
            // An escape may hide any of them.
            _ => true,
        }
    })
}

/// True if the byte at `at` belongs to a name: a letter, digit, `-`, `_`, not ASCII, or an escape's backslash.
fn is_in_name(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(b'\\') => !matches!(bytes.get(at + 1), None | Some(b'\n' | b'\r' | 0x0C)),
        Some(b) => b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | 0x80..),
        None => false,
    }
}

/// Where the name that starts at `from` ends.
fn name_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while is_in_name(bytes, at) {
        at = if bytes[at] == b'\\' {
            past_escape(bytes, at)
        } else {
            at + 1
        };
    }
    // An escape takes the first byte of a character, and its others are in the name anyway.
    at.min(bytes.len())
}

/// True if `name`, whose escapes are not resolved, is `known` in any case.
fn is_name(name: &str, known: &str) -> bool {
    if name.len() == known.len() {
        return name.eq_ignore_ascii_case(known);
    }
    // Each letter takes an escape of at most eight bytes.
    name.len() <= 8 * known.len()
        && memchr::memchr(b'\\', name.as_bytes()).is_some()
        && unescape(name).eq_ignore_ascii_case(known)
}

/// The content of the string whose quote is at `at`, and where reading goes on. A newline makes a bad string.
fn string(css: &str, at: usize) -> (Option<&str>, usize) {
    let bytes = css.as_bytes();
    let quote = bytes[at];
    let mut end = at + 1;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            _ if byte == quote => return (Some(&css[at + 1..end]), end + 1),
            b'\n' | b'\r' | 0x0C => return (None, end),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    // The end of the sheet closes a string, unless a lone backslash was its last byte.
    (css.get(at + 1..end), bytes.len())
}

/// The content of `url(`, whose first byte is at `at`: quoted or not. A bad url is skipped to its parenthesis.
fn url_token(css: &str, at: usize) -> (Option<&str>, usize) {
    let bytes = css.as_bytes();
    let start = at + bytes[at..].iter().take_while(|b| is_space(**b)).count();
    match bytes.get(start) {
        Some(b'"' | b'\'') => {
            let (string, end) = string(css, start);
            let close = end
                + bytes[end.min(bytes.len())..]
                    .iter()
                    .take_while(|b| is_space(**b))
                    .count();
            // With modifiers after the string (`url("x" …)`) the rest is read as ordinary tokens.
            (
                string,
                if bytes.get(close) == Some(&b')') {
                    close + 1
                } else {
                    end
                },
            )
        }
        _ => unquoted(css, start),
    }
}

/// The content of an unquoted url whose first byte is at `start`.
fn unquoted(css: &str, start: usize) -> (Option<&str>, usize) {
    let bytes = css.as_bytes();
    let mut end = start;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b')' => return (css.get(start..end), end + 1),
            b'"' | b'\'' | b'(' | 0..=8 | 0x0B | 0x0E..=0x1F | 0x7F => {
                return (None, bad_url(bytes, end));
            }
            b'\\' if matches!(bytes.get(end + 1), Some(b'\n' | b'\r' | 0x0C)) => {
                return (None, bad_url(bytes, end));
            }
            b'\\' => end = past_escape(bytes, end),
            _ if is_space(byte) => {
                // Only white space may follow up to the parenthesis.
                let close = end + bytes[end..].iter().take_while(|b| is_space(**b)).count();
                return match bytes.get(close) {
                    None | Some(b')') => (css.get(start..end), close + 1),
                    Some(_) => (None, bad_url(bytes, close)),
                };
            }
            _ => end += 1,
        }
    }
    (css.get(start..end), bytes.len())
}

/// Past the escape whose backslash is at `at`: hexadecimal digits take one space with them.
fn past_escape(bytes: &[u8], at: usize) -> usize {
    let digits = bytes[at + 1..]
        .iter()
        .take(6)
        .take_while(|b| b.is_ascii_hexdigit())
        .count();
    if digits == 0 {
        return at + 2;
    }
    let end = at + 1 + digits;
    end + usize::from(bytes.get(end).is_some_and(|b| is_space(*b)))
}

/// Past the parenthesis that ends the remnants of a bad url (4.3.14).
fn bad_url(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b')' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C)
}

/// Resolves escapes: `\` with 1 to 6 hexadecimal digits and one space, an escaped newline (nothing), any other
/// character (itself).
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let digits = escaped
            .bytes()
            .take(6)
            .take_while(u8::is_ascii_hexdigit)
            .count();
        if digits > 0 {
            let code = u32::from_str_radix(&escaped[..digits], 16).unwrap_or(0);
            out.push(
                char::from_u32(code)
                    .filter(|c| *c != '\0')
                    .unwrap_or('\u{FFFD}'),
            );
            rest = &escaped[digits..];
            let space = if rest.starts_with("\r\n") {
                2
            } else {
                usize::from(rest.bytes().next().is_some_and(is_space))
            };
            rest = &rest[space..];
        } else if let Some(newline) = ["\r\n", "\n", "\r", "\u{C}"]
            .iter()
            .find(|n| escaped.starts_with(**n))
        {
            rest = &escaped[newline.len()..];
        } else {
            let mut chars = escaped.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn urls(css: &str) -> Vec<String> {
        let mut urls = Vec::new();
        each_url(css, |url| urls.push(url.into_owned()));
        urls
    }

    #[test]
    fn urls_are_found_where_css_has_them() {
        #[track_caller]
        fn check(css: &str, want: &[&str]) {
            assert_eq!(urls(css), want, "{css:?}");
        }
        check("a{background:url(x.png)}", &["x.png"]);
        check(
            "a{background:URL( 'x y.png' ) no-repeat, url(\"z.png\")}",
            &["x y.png", "z.png"],
        );
        check("a{background:url(\n x.png \t)}", &["x.png"]);
        check(
            "@import 'a.css'; @import url(b.css) screen; @IMPORT \"c.css\"",
            &["a.css", "b.css", "c.css"],
        );
        check(
            "@import url('a.css') layer(x) supports(display: grid);",
            &["a.css"],
        );
        check(
            "@font-face{src:url(a.woff2) format('woff2'), local('Arial')}",
            &["a.woff2"],
        );
        check(
            "a::after{content:'url(no.png)'} /* url(no2.png) @import 'no' */",
            &[],
        );
        check(
            "@namespace svg url(http://www.w3.org/2000/svg); @namespace 'x'; b{c:url(d)}",
            &["d"],
        );
        check("@charset 'utf-8'; a{b:'c'}", &[]);
        check("a{b:url(a\\(1\\).png)}", &["a(1).png"]);
        check("a{b:url('a\\27 b')}", &["a'b"]);
        check("a{b:url(\\68 ttp\\3A//x)}", &["http://x"]);
        check("a{b:url('a\\\nb')}", &["ab"]);
        check("a{b:url(bad url.png);c:url(ok)}", &["ok"]);
        check("a{b:url(bad'quote);c:url(ok)}", &["ok"]);
        check("a{b:url('broken\n);c:url(ok)}", &["ok"]);
        check("a{b:url(a\\20 );c:url(b\\ )}", &["a ", "b "]);
        check("a{b:url(unfinished", &["unfinished"]);
        check("a{b:url('unfinished", &["unfinished"]);
        check("@import 'unfinished", &["unfinished"]);
        check("a{b:xurl(no);c:-url(no);d:url (no)}", &[]);
        check(
            "a{b:xurl(no);c:-url(no);d:1url(no);e:#url(no);f:éurl(no)}",
            &[],
        );
        check(
            "a{b:image-set('a.png' type('image/png') 1x, url(b.png) 2x, \"c.png\" 3x), x('no')}",
            &["a.png", "b.png", "c.png"],
        );
        check("a{b:-WebKit-image-set('a' 1x)}; 'no' (('no'", &["a"]);
        check("a{b:u\\72l(a);c:\\55 RL('b')}", &["a", "b"]);
        check("@\\69mport 'a'; @im\\70 ort/**/url(b)", &["a", "b"]);
        check("a{b:\\url(a)}", &["a"]);
        check("a{b:url( /*x*/a )}", &["/*x*/a"]); // no comment there
        check("url()", &[""]);
        check("\\", &[]);
        check("url(\\", &[]);
        check("'\\", &[]);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(css in r#"([a-z@é\\ \n'"();/*{}]|url\(|@import|\\2)*"#) {
            urls(&css);
        }
    }
}

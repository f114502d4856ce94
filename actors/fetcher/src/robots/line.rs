//! The lines of a robots.txt: where one ends, and which key and value it has.
//!
//! Knows the spellings that site owners use and that Google's reader accepts (keys that only begin with the
//! right word, common typos, a blank instead of the colon); it does not know what a line means.

/// Bytes of a line that are read: eight times the longest URL of the browsers that Google's reader was made for,
/// 2,083, less its closing NUL.
pub(super) const LINE_MAX: usize = 2_083 * 8 - 1;

/// A key that says something here; every other line is as if it were not there, and ends no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    UserAgent,
    Allow,
    Disallow,
    Sitemap,
    CrawlDelay,
    /// Where the terms of use stand (RSL 1.0).
    License,
    /// `Content-Signal` or `Content-Usage`, by its own name.
    Usage(&'static str),
}

/// A line and its number, from 1.
pub(super) struct Line<'a> {
    pub(super) number: u32,
    pub(super) bytes: &'a [u8],
}

/// The body without a UTF-8 byte order mark, or without the part of one that is there.
pub(super) fn without_bom(body: &[u8]) -> &[u8] {
    let mark = b"\xef\xbb\xbf";
    let common = body.iter().zip(mark).take_while(|(a, b)| a == b).count();
    &body[common..]
}

/// Lines, ended by CR, LF or CRLF (RFC 9309 section 2.2).
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = Some(body);
    let mut number = 0_u32;
    std::iter::from_fn(move || {
        let body = rest?;
        number = number.saturating_add(1);
        let Some(end) = memchr::memchr2(b'\n', b'\r', body) else {
            rest = None;
            return Some(Line {
                number,
                bytes: body,
            });
        };
        let next = if body[end..].starts_with(b"\r\n") {
            end + 2
        } else {
            end + 1
        };
        rest = Some(&body[next..]);
        Some(Line {
            number,
            bytes: &body[..end],
        })
    })
}

/// The key and value of a line, if it has a key that is known here. Of a line longer than [`LINE_MAX`] the rest is
/// left out, as Google's reader does: a rule of such length is a prefix of what was meant.
pub(super) fn split(line: &[u8]) -> Option<(Key, &[u8])> {
    let line = &line[..line.len().min(LINE_MAX)];
    let code = memchr::memchr(b'#', line).map_or(line, |comment| &line[..comment]);
    let code = trimmed(code);
    let (key, value) = match memchr::memchr(b':', code) {
        Some(colon) => (&code[..colon], &code[colon + 1..]),
        None => {
            // Without a colon a blank may stand for it, but only between exactly two words.
            let blank = memchr::memchr2(b' ', b'\t', code)?;
            let value = trimmed(&code[blank..]);
            if memchr::memchr2(b' ', b'\t', value).is_some() {
                return None;
            }
            (&code[..blank], value)
        }
    };
    Some((key_of(trimmed(key))?, trimmed(value)))
}

/// Without white space at both ends, a vertical tab included (as C has it, and so Google's reader).
fn trimmed(text: &[u8]) -> &[u8] {
    let is_dark = |b: &u8| !b.is_ascii_whitespace() && *b != 0x0b;
    let start = text.iter().position(is_dark).unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(is_dark)
        .map_or(start, |last| last + 1);
    &text[start..end]
}

fn key_of(key: &[u8]) -> Option<Key> {
    const PREFIXES: &[(&[u8], Key)] = &[
        (b"disallow", Key::Disallow),
        (b"allow", Key::Allow),
        (b"user-agent", Key::UserAgent),
        (b"useragent", Key::UserAgent),
        (b"user agent", Key::UserAgent),
        (b"dissallow", Key::Disallow),
        (b"dissalow", Key::Disallow),
        (b"disalow", Key::Disallow),
        (b"diasllow", Key::Disallow),
        (b"disallaw", Key::Disallow),
        (b"sitemap", Key::Sitemap),
        (b"site-map", Key::Sitemap),
    ];
    const WHOLE: &[(&[u8], Key)] = &[
        (b"crawl-delay", Key::CrawlDelay),
        (b"crawldelay", Key::CrawlDelay),
        (b"license", Key::License),
        (b"content-signal", Key::Usage("content-signal")),
        (b"content-usage", Key::Usage("content-usage")),
    ];
    let begins = |name: &[u8]| {
        key.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    let prefix = PREFIXES.iter().find(|(name, _)| begins(name));
    let whole = || {
        WHOLE
            .iter()
            .find(|(name, _)| key.eq_ignore_ascii_case(name))
    };
    prefix.or_else(whole).map(|(_, key)| *key)
}

//! Percent-encoding in one spelling (RFC 3986 sections 6.2.2.1, 6.2.2.2 and 2.1).
//!
//! Escapes of unreserved characters are undone, all others are in upper case. What no URI may hold as it is, and the URL
//! parser leaves so, is escaped. Reserved characters and their escapes stay what they are: they are not equivalent.

use std::borrow::Cow;

/// The text with its escapes in one spelling.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || is_unfit(byte)) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    // Where a percent sign that begins no escape stands: nothing may be undone that would make it one.
    let mut stray = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            if is_unfit(byte) {
                out.push('%');
                push_hex(&mut out, byte);
            } else {
                // The URL parser leaves nothing but ASCII.
                out.push(char::from(byte));
            }
            at += 1;
            continue;
        }
        let Some(code) = escape(bytes, at) else {
            stray = Some(out.len());
            out.push('%');
            at += 1;
            continue;
        };
        let would_join =
            stray.is_some_and(|stray| out.len() - stray <= 2) && code.is_ascii_hexdigit();
        if is_unreserved(code) && !would_join {
            out.push(char::from(code));
        } else {
            out.push('%');
            push_hex(&mut out, code);
        }
        at += 3;
    }
    Cow::Owned(out)
}

/// The byte that the escape at this place stands for.
fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
    u8::try_from(digit(1)? * 16 + digit(2)?).ok()
}

fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Neither unreserved nor reserved: only its escape is a URI's.
fn is_unfit(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
    )
}

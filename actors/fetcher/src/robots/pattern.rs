//! Path patterns: one normal form for both sides, and matching in linear time.
//!
//! In the normal form (RFC 9309 section 2.2.2) unreserved characters stand for themselves, everything else that
//! was encoded stays encoded in upper case (`%2F` is not `/`), and what a URL would have to encode is encoded.
//! `*` and `$` are special only as bare characters of a pattern; `%2A` and `%24` mean the characters themselves
//! (section 2.2.3), as they do in a path. In a query `/` and `:` separate nothing, and the table of section 2.2.2 takes
//! `?u=https://x` and `?u=https%3A%2F%2Fx` for one: there both sides are compared plain, too. Invariant: [`Pattern::matches`] looks at each octet of the path
//! a bounded number of times, since a piece between two `*` never has to be given back once its first place is found.

use memchr::memmem;

/// Stands for `*` in a pattern's normal form, where it cannot be a character: a NUL would be encoded.
const STAR: u8 = 0;

/// A pattern of an `Allow` or `Disallow` line.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// The normal form, each `*` as [`STAR`], without a `$` at its end.
    text: Box<[u8]>,
    /// The same with its query plain, where that is another text.
    plain: Option<Box<[u8]>>,
    /// It ends with `$`.
    anchored: bool,
}

/// A path with its query, ready to be matched.
pub(crate) struct Path {
    pub(crate) text: Vec<u8>,
    /// The same with its query plain, where that is another text.
    plain: Option<Vec<u8>>,
}

impl Pattern {
    pub(crate) fn new(value: &[u8]) -> Self {
        match value {
            [value @ .., b'$'] => Self::exactly(value),
            _ => Self::of(value, false),
        }
    }

    /// A pattern that matches this and nothing longer.
    pub(crate) fn exactly(value: &[u8]) -> Self {
        Self::of(value, true)
    }

    fn of(value: &[u8], anchored: bool) -> Self {
        let mut text = Vec::with_capacity(value.len());
        for (n, part) in value.split(|b| *b == b'*').enumerate() {
            if n > 0 {
                text.push(STAR);
            }
            push_normal(&mut text, part);
        }
        Self {
            plain: plain_query(&text).map(Vec::into_boxed_slice),
            text: text.into_boxed_slice(),
            anchored,
        }
    }

    /// How specific it is: its length in the normal form, `*` and `$` included.
    pub(crate) fn octets(&self) -> usize {
        self.text.len() + usize::from(self.anchored)
    }

    pub(crate) fn matches(&self, path: &Path) -> bool {
        if matches(&self.text, self.anchored, &path.text) {
            return true;
        }
        // A pattern without a `?` does not know which of its parts is the query: it has no plain form.
        let (plain, plain_path) = match (&self.plain, &path.plain) {
            (None, None) => return false,
            (Some(plain), path_plain) => (plain, path_plain.as_ref().unwrap_or(&path.text)),
            (None, Some(path)) if self.text.contains(&b'?') => (&self.text, path),
            (None, Some(_)) => return false,
        };
        matches(plain, self.anchored, plain_path)
    }
}

impl Path {
    pub(crate) fn new(path: &[u8]) -> Self {
        let mut text = Vec::with_capacity(path.len());
        push_normal(&mut text, path);
        Self {
            plain: plain_query(&text),
            text,
        }
    }
}

fn matches(pattern: &[u8], anchored: bool, path: &[u8]) -> bool {
    let Some(star) = memchr::memchr(STAR, pattern) else {
        return match anchored {
            true => path == pattern,
            false => path.starts_with(pattern),
        };
    };
    let (start, mut pieces) = (&pattern[..star], &pattern[star + 1..]);
    let Some(mut rest) = path.strip_prefix(start) else {
        return false;
    };
    // Every piece at its first place: a later one could only leave less for those that follow.
    while let Some(star) = memchr::memchr(STAR, pieces) {
        let Some(at) = memmem::find(rest, &pieces[..star]) else {
            return false;
        };
        rest = &rest[at + star..];
        pieces = &pieces[star + 1..];
    }
    match anchored {
        true => rest.ends_with(pieces),
        false => memmem::find(rest, pieces).is_some(),
    }
}

/// A normal form with `/` and `:` plain after its first `?`; none where that changes nothing.
fn plain_query(text: &[u8]) -> Option<Vec<u8>> {
    let query = memchr::memchr(b'?', text)?;
    memchr::memchr(b'%', &text[query..])?;
    let mut plain = text[..query].to_vec();
    let mut rest = &text[query..];
    while let Some(at) = memchr::memchr(b'%', rest) {
        plain.extend_from_slice(&rest[..at]);
        let (octet, width) = match rest.get(at..at + 3) {
            Some(b"%2F") => (b'/', 3),
            Some(b"%3A") => (b':', 3),
            _ => (b'%', 1),
        };
        plain.push(octet);
        rest = &rest[at + width..];
    }
    plain.extend_from_slice(rest);
    (plain.len() < text.len()).then_some(plain)
}

/// The directory of a pattern that ends in `/index.htm…`, its final `/` included.
pub(crate) fn directory_of_index(value: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', value)?;
    value[slash..]
        .starts_with(b"/index.htm")
        .then(|| &value[..=slash])
}

fn push_normal(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        // Most of most paths stands as it is.
        let plain = rest
            .iter()
            .take_while(|b| MAY_STAND[usize::from(**b)])
            .count();
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let [first, tail @ ..] = rest else { return };
        rest = tail;
        let mut byte = *first;
        if let (b'%', [high, low, after @ ..]) = (byte, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = after;
            byte = high << 4 | low;
            if stands_for_itself(byte) {
                out.push(byte);
                continue;
            }
        }
        out.extend_from_slice(&[
            b'%',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Unreserved (RFC 3986 section 2.3), or one of the two that robots.txt encodes to rob them of their meaning, or the
/// apostrophe, which the WHATWG URL standard encodes in a query and nowhere else.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'*' | b'$' | b'\'')
}

/// Reserved or unreserved (RFC 3986 section 2); whatever else is printable, a URL encodes.
const MAY_STAND: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = true;
        byte += 1;
    }
    let never = b"%\"<>\\^`{|}";
    let mut n = 0;
    while n < never.len() {
        table[never[n] as usize] = false;
        n += 1;
    }
    table
};

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

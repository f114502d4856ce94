//! Path patterns: one normal form for both sides, and matching in linear time.
//!
//! In the normal form (RFC 9309 section 2.2.2) unreserved characters stand for themselves, everything else that
//! was encoded stays encoded in upper case (`%2F` is not `/`), and what a URL would have to encode is encoded.
//! `*` and `$` are special only as bare characters of a pattern; `%2A` and `%24` mean the characters themselves
//! (section 2.2.3), as they do in a path. Invariant: [`Pattern::matches`] looks at each octet of the path
//! a bounded number of times, since a piece between two `*` never has to be given back once its first place is found.

use memchr::memmem;

/// A pattern of an `Allow` or `Disallow` line.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// What the path begins with.
    start: Box<[u8]>,
    /// The pieces after each `*`, in order; empty ones left out.
    pieces: Box<[Box<[u8]>]>,
    /// Anything may stand between the last piece and the end: no `$`, or a `*` before it.
    open: bool,
    octets: usize,
}

impl Pattern {
    pub(super) fn new(value: &[u8]) -> Self {
        let (value, anchored) = match value {
            [value @ .., b'$'] => (value, true),
            _ => (value, false),
        };
        Self::of_parts(value.split(|b| *b == b'*'), anchored)
    }

    /// A pattern that matches this path and no other.
    pub(super) fn exactly(path: &[u8]) -> Self {
        Self::of_parts(path.split(|b| *b == b'*'), true)
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>, anchored: bool) -> Self {
        let parts: Vec<Box<[u8]>> = parts.map(|part| normal(part).into()).collect();
        let stars = parts.len().saturating_sub(1);
        let octets =
            parts.iter().map(|part| part.len()).sum::<usize>() + stars + usize::from(anchored);
        let open = !anchored || (stars > 0 && parts.last().is_some_and(|last| last.is_empty()));
        let mut parts = parts.into_iter();
        let start = parts.next().unwrap_or_default();
        let pieces = parts.filter(|part| !part.is_empty()).collect();
        Self {
            start,
            pieces,
            open,
            octets,
        }
    }

    /// How specific it is: its length in the normal form, `*` and `$` included.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Does a path in its normal form match?
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let Some(mut rest) = path.strip_prefix(&*self.start) else {
            return false;
        };
        let Some((last, inner)) = self.pieces.split_last() else {
            return self.open || rest.is_empty();
        };
        for piece in inner {
            let Some(at) = memmem::find(rest, piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        if self.open {
            memmem::find(rest, last).is_some()
        } else {
            rest.ends_with(last)
        }
    }
}

/// A path with its query in the normal form.
pub(super) fn normal_path(path: &[u8]) -> Vec<u8> {
    normal(path)
}

/// The directory of a pattern that ends in `/index.htm…`, its final `/` included.
pub(super) fn directory_of_index(value: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', value)?;
    value[slash..]
        .starts_with(b"/index.htm")
        .then(|| &value[..=slash])
}

fn normal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let (byte, encoded) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    (high << 4 | low, true)
                }
                _ => (b'%', false),
            },
            _ => (*first, false),
        };
        let plain = if encoded {
            stands_for_itself(byte)
        } else {
            may_stand_in_url(byte)
        };
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
    out
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Unreserved (RFC 3986 section 2.3), or one of the two that robots.txt encodes to rob them of their meaning.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'*' | b'$')
}

/// Reserved or unreserved (RFC 3986 section 2); whatever else is printable, a URL encodes.
fn may_stand_in_url(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"%\"<>\\^`{|}".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

//! The usual gzip body, undone in one call: half the time of the stream decoder.
//!
//! Only for a body that is in memory, one member long, and small enough by its own account (RFC 1952 ISIZE). Whatever
//! is not so, or does not hold to its account, is left to [`super::decode`], which bounds and judges it.

use std::fmt;

use bytes::Bytes;

use crate::body::Body;

/// The longest body that is undone at once; longer ones gain little and would be copied together.
const BODY_BYTES_MAX: u64 = 1 << 20;
/// Header and trailer of a member without name (RFC 1952 section 2.3).
const MEMBER_BYTES_MIN: usize = 18;
/// How a member starts.
const MEMBER: &[u8] = b"\x1f\x8b\x08";

/// A decoder that is kept from body to body.
pub struct WholeGzip {
    decoder: libdeflater::Decompressor,
    joined: Vec<u8>,
}

impl Default for WholeGzip {
    fn default() -> Self {
        Self {
            decoder: libdeflater::Decompressor::new(),
            joined: Vec::new(),
        }
    }
}

impl fmt::Debug for WholeGzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WholeGzip")
    }
}

impl WholeGzip {
    /// Undoes the body into `plain`, if it is of the usual kind and not longer than `limit`; false leaves `plain` empty.
    pub fn decode(&mut self, body: &Body, limit: usize, plain: &mut Vec<u8>) -> bool {
        plain.clear();
        let Some(chunks) = body.chunks().filter(|_| body.len() <= BODY_BYTES_MAX) else {
            return false;
        };
        let coded: &[u8] = match chunks {
            [one] => one,
            many => {
                self.joined.clear();
                many.iter()
                    .for_each(|chunk: &Bytes| self.joined.extend_from_slice(chunk));
                &self.joined
            }
        };
        let Some(len) = plain_len(coded).filter(|len| *len <= limit) else {
            return false;
        };
        plain.resize(len, 0);
        let is_whole = self
            .decoder
            .gzip_decompress(coded, plain)
            .is_ok_and(|got| got == len);
        if !is_whole {
            plain.clear();
        }
        is_whole
    }
}

/// The length that a body of one member says it has.
fn plain_len(coded: &[u8]) -> Option<usize> {
    if coded.len() < MEMBER_BYTES_MIN || !coded.starts_with(MEMBER) {
        return None;
    }
    // Another member may follow where one could start; its length would be the one at the end.
    if memchr::memmem::find(&coded[MEMBER.len()..], MEMBER).is_some() {
        return None;
    }
    let isize: [u8; 4] = coded[coded.len() - 4..].try_into().ok()?;
    usize::try_from(u32::from_le_bytes(isize)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn body(bytes: &[u8], piece: usize) -> Body {
        Body::in_memory(
            bytes.chunks(piece).map(Bytes::copy_from_slice).collect(),
            None,
        )
    }

    #[test]
    fn the_usual_body_is_undone_and_every_other_is_left_alone() {
        let text = b"<a href=x>argiope</a> ".repeat(2_000);
        let coded = gzip(&text);
        let mut whole = WholeGzip::default();
        let mut check = |body: &Body, limit: usize, want: Option<&[u8]>, what: &str| {
            let mut plain = b"of the page before".to_vec();
            let done = whole.decode(body, limit, &mut plain);
            assert_eq!(done.then_some(plain.as_slice()), want, "{what}");
            assert!(done || plain.is_empty(), "{what} left something");
        };
        check(&body(&coded, usize::MAX), 1 << 20, Some(&text), "one piece");
        check(&body(&coded, 100), 1 << 20, Some(&text), "many pieces");
        check(&body(&gzip(b""), 100), 0, Some(b""), "an empty text");
        check(
            &body(&coded, 100),
            text.len() - 1,
            None,
            "longer than the limit",
        );
        check(&body(&coded[..coded.len() - 9], 100), 1 << 20, None, "cut");
        check(
            &body(&[coded.clone(), gzip(&text)].concat(), 100),
            1 << 20,
            None,
            "two members",
        );
        let mut lying = coded.clone();
        let end = lying.len();
        lying[end - 4..].copy_from_slice(&10_u32.to_le_bytes());
        check(&body(&lying, 100), 1 << 20, None, "a lie about its length");
        let mut wrong = coded.clone();
        wrong[end - 6] ^= 1;
        check(&body(&wrong, 100), 1 << 20, None, "a wrong checksum");
        check(
            &body(b"no gzip at all, really none", 100),
            1 << 20,
            None,
            "no gzip",
        );
    }
}

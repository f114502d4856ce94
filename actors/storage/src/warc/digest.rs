//! SHA-1 digests as WARC writes them: `sha1:` and base32, thirty-two capitals (ISO 28500:2017, 5.8 and 5.9).
//!
//! SHA-1 here names content, it guards nothing: tools that deduplicate and check archives agree on it.

use std::fmt;
use std::io;
use std::ops::ControlFlow;

use contract::body::Body;
use data_encoding::BASE32;
use sha1::{Digest as _, Sha1};

/// A digest of a payload or a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 20]);

impl Digest {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha1::digest(bytes).into())
    }

    /// Of a body as received.
    ///
    /// # Errors
    /// A spilled body that cannot be read back.
    pub fn of_body(body: &Body) -> io::Result<Self> {
        let mut running = Running::default();
        body.for_each(|piece| {
            running.add(piece);
            ControlFlow::Continue(())
        })?;
        Ok(running.end())
    }

    /// From a WARC field; none where it is no SHA-1 in base32.
    pub fn parse(field: &str) -> Option<Self> {
        let (algorithm, value) = field.split_once(':')?;
        if !algorithm.eq_ignore_ascii_case("sha1") {
            return None;
        }
        let bytes = BASE32.decode(value.to_ascii_uppercase().as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        BASE32.encode_mut(&self.0, &mut text);
        // Base32 is ASCII.
        write!(f, "sha1:{}", std::str::from_utf8(&text).unwrap_or(""))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest in the making.
#[derive(Clone, Default)]
pub struct Running(Sha1);

impl Running {
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub fn end(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests_are_spelled_as_other_tools_spell_them() {
        // The empty payload's digest is in every archive there is.
        let empty = "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty), Some(Digest::of(b"")));
        assert_eq!(
            Digest::parse("sha256:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"),
            None
        );
        assert_eq!(Digest::parse("sha1:short"), None);
    }
}

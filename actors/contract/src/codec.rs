//! How a value becomes bytes: bincode behind a version byte.
//!
//! Owns the only use of bincode (docs/adr/0002). Byte 0 is the version of the value's shape; the rest is
//! bincode's standard configuration with a size limit. bincode is not self-describing: within a version no
//! field or variant is reordered or removed. Invariant: bytes of another version or with a tail are refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No stored value is longer (a robots.txt of 500 KiB with its facts is the largest).
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Why bytes are not a value.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("a stored value is empty")]
    Empty,
    #[error("a stored value has version {found}, this program reads {known}")]
    Version { found: u8, known: u8 },
    #[error("a stored value of version {version} cannot be read")]
    Malformed {
        version: u8,
        source: bincode::error::DecodeError,
    },
    #[error("a stored value of version {version} has {extra} bytes too many")]
    Tail { version: u8, extra: usize },
    #[error("a value cannot be stored")]
    Encode(#[from] bincode::error::EncodeError),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<VALUE_BYTES_MAX>()
}

/// `version`, then the value.
///
/// # Errors
/// [`CodecError::Encode`] for a value that serde refuses.
pub fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![version];
    bincode::serde::encode_into_std_write(value, &mut bytes, config())?;
    Ok(bytes)
}

/// The value, if the bytes are of this version.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (&found, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if found != version {
        return Err(CodecError::Version {
            found,
            known: version,
        });
    }
    let (value, used) = bincode::serde::decode_from_slice(rest, config())
        .map_err(|source| CodecError::Malformed { version, source })?;
    match rest.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::Tail { version, extra }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_odd_bytes_are_refused() {
        let value = ("a".to_owned(), 300u32, Some(true));
        let bytes = encode(1, &value).unwrap();
        assert_eq!(
            bytes,
            [1, 1, b'a', 251, 44, 1, 1, 1],
            "the stored form of version 1 must not change"
        );
        assert_eq!(
            decode::<(String, u32, Option<bool>)>(1, &bytes).unwrap(),
            value
        );
        let tail = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(
            decode::<(String, u32, Option<bool>)>(1, &tail),
            Err(CodecError::Tail { extra: 1, .. })
        ));
        assert!(matches!(
            decode::<u8>(2, &bytes),
            Err(CodecError::Version { found: 1, known: 2 })
        ));
        assert!(matches!(decode::<u8>(1, &[]), Err(CodecError::Empty)));
        assert!(matches!(
            decode::<String>(1, &[1, 200, 1]),
            Err(CodecError::Malformed { .. })
        ));
    }
}

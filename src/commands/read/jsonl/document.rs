//! A case's document: inline as text or base64, or a file.

use std::fmt;
use std::fs::File;
use std::io::Read as _;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// More of a file is not read: a case with a larger one is answered by an error.
pub const BYTES_MAX: u64 = 64 << 20;

/// A document as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub bytes: Vec<u8>,
    /// It came as characters (`text`): the bytes are UTF-8, whatever the document says of itself.
    pub is_text: bool,
}

/// The document of a case's fields, if one is given.
///
/// # Errors
/// More than one, base64 that is none, a file that cannot be read or is too large.
pub fn read(
    text: Option<Text>,
    base64: Option<String>,
    file: Option<String>,
) -> Result<Option<Document>, String> {
    let (bytes, is_text) = match (text, base64, file) {
        (None, None, None) => return Ok(None),
        (Some(Text(text)), None, None) => (text.into_bytes(), true),
        (None, Some(base64), None) => (decode(&base64)?, false),
        (None, None, Some(path)) => (read_file(&path)?, false),
        _ => return Err("more than one of `text`, `base64`, `file`".to_owned()),
    };
    Ok(Some(Document { bytes, is_text }))
}

fn decode(base64: &str) -> Result<Vec<u8>, String> {
    data_encoding::BASE64
        .decode(base64.as_bytes())
        .map_err(|error| format!("base64: {error}"))
}

/// The file's bytes, at most [`BYTES_MAX`].
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("file {path:?}: {error}");
    let file = File::open(path).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("file {path:?}: larger than {BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// A string of JSON in which an escape may name half of a surrogate pair, as those of web scripts may: it becomes
/// U+FFFD (Web IDL, conversion to `USVString`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(scalar_values(bytes)))
            }
        }

        // As bytes, serde_json does not refuse a lone surrogate but writes it out as three bytes.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Text out of bytes that are UTF-8 but for surrogates, which are written as if they were characters.
fn scalar_values(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(good).unwrap_or_default());
                text.push('\u{FFFD}');
                let is_surrogate = matches!(bad, [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..]);
                bytes = &bad[if is_surrogate { 3 } else { 1 }..];
            }
        }
    }
}

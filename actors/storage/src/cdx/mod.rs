//! The index: one CDXJ line per captured URL, sorted by key and time, so that a page is found by bisection.
//!
//! A line is the key of [`surt`], a space, fourteen digits of time, a space and a JSON object; fields and spelling
//! are those of `cdxj-indexer`, byte for byte. Lines are gathered into sorted [`pieces`] beside each WARC file
//! and [`merge`]d at the end. Invariant: the index of a sealed file can always be made again from the file.
//! Start at [`Line`].

pub mod merge;
pub mod pieces;
pub mod surt;

use std::fmt::Write as _;

use crate::stamp;
use crate::warc::http_head;
use crate::warc::reader::Entry;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub url: &'a str,
    /// Fourteen digits.
    pub time: &'a str,
    /// The media type without parameters; none where the server named none.
    pub mime: Option<&'a str>,
    pub status: Option<&'a str>,
    pub digest: &'a str,
    pub length: u64,
    pub offset: u64,
    pub file: &'a str,
}

impl Line<'_> {
    /// The line with its line end.
    pub fn write(&self) -> String {
        let mut out = surt::key(self.url);
        out.reserve(256 + self.url.len());
        out.push(' ');
        out.push_str(self.time);
        out.push_str(" {\"url\": ");
        quote(&mut out, self.url);
        for (name, value) in [
            ("mime", self.mime),
            ("status", self.status),
            ("digest", Some(self.digest)),
        ] {
            if let Some(value) = value {
                out.push_str(", \"");
                out.push_str(name);
                out.push_str("\": ");
                quote(&mut out, value);
            }
        }
        // Writing to a String does not fail.
        let _infallible = write!(
            out,
            ", \"length\": \"{}\", \"offset\": \"{}\", \"filename\": ",
            self.length, self.offset
        );
        quote(&mut out, self.file);
        out.push_str("}\n");
        out
    }
}

/// The line of a record as read back; none for those that an index leaves out: requests, warcinfo, and what is
/// only WARC fields.
pub fn line_of(entry: &Entry, file: &str) -> Option<String> {
    let kind = entry.fields.get("WARC-Type")?;
    let own_type = entry.fields.get("Content-Type");
    let head = entry.http_head.as_deref();
    let (mime, status) = match kind {
        "response" => (
            head.and_then(|head| http_head::find(head, "content-type"))
                .map(mime_of),
            head,
        ),
        "revisit" => (Some("warc/revisit".to_owned()), head),
        "resource" | "metadata" if own_type != Some("application/warc-fields") => {
            (own_type.map(|mime| mime_of(mime.as_bytes())), None)
        }
        _ => return None,
    };
    let line = Line {
        url: entry.fields.get("WARC-Target-URI")?,
        time: &stamp::digits14_of_iso(entry.fields.get("WARC-Date")?)?,
        mime: mime.as_deref(),
        status: status.and_then(http_head::status),
        digest: entry.fields.get("WARC-Payload-Digest")?,
        length: entry.length,
        offset: entry.offset,
        file,
    };
    Some(line.write())
}

/// What stands before the first semicolon or space of a Content-Type value; Latin-1 where it is no UTF-8.
pub fn mime_of(value: &[u8]) -> String {
    let value = value.trim_ascii();
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.split(|c: char| c == ';' || c.is_whitespace())
        .next()
        .unwrap_or("")
        .to_owned()
}

/// Appends a JSON string in ASCII, spelled as Python's `json` does.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_spelled_as_the_common_indexer_spells_it() {
        let line = Line {
            url: "http://www.example.org/a?b=\"1\"",
            time: "20260304050607",
            mime: Some("text/html"),
            status: Some("200"),
            digest: "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
            length: 12,
            offset: 345,
            file: "x.warc.gz",
        };
        assert_eq!(
            line.write(),
            "org,example)/a?b=\"1\" 20260304050607 {\"url\": \"http://www.example.org/a?b=\\\"1\\\"\", \
             \"mime\": \"text/html\", \"status\": \"200\", \"digest\": \"sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\", \
             \"length\": \"12\", \"offset\": \"345\", \"filename\": \"x.warc.gz\"}\n"
        );
        let bare = Line { mime: None, ..line };
        assert!(bare.write().contains("\\\"1\\\"\", \"status\""));
    }

    #[test]
    fn media_types_lose_their_parameters() {
        #[track_caller]
        fn check(value: &[u8], want: &str) {
            assert_eq!(mime_of(value), want);
        }
        check(b"text/html; charset=utf-8", "text/html");
        check(b" text/html charset", "text/html");
        check(b";x", "");
        check(b"te\xe9/x", "te\u{e9}/x");
    }

    #[test]
    fn strings_stay_ascii() {
        let mut out = String::new();
        quote(&mut out, "a\"\\\n\u{7f}\u{e9}\u{1f600}\u{1}");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u007f\\u00e9\\ud83d\\ude00\\u0001\"");
    }
}

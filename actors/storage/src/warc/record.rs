//! One WARC record: its header, and what its block is made of.
//!
//! Owns the header's spelling (ISO 28500:2017, clauses 5 and 6). It knows neither files nor compression.
//! Invariant: no value can add a field or end the header; controls are left out of every value.
//! Start at [`Record::write_header`].

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use contract::body::Body;
use contract::clock::{Chance, Wall};
use data_encoding::HEXLOWER;

use super::digest::Digest;
use super::http_head::push_text;
use super::member::Packing;
use crate::stamp;

/// The profile of a revisit whose payload is byte for byte that of an earlier record (6.7.2).
pub const SAME_PAYLOAD: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";
/// The profile of a revisit that the server itself answered with 304 (6.7.3).
pub const NOT_MODIFIED: &str = "http://netpreserve.org/warc/1.1/revisit/server-not-modified";

/// The kinds of record that we write (6.2 to 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Warcinfo,
    Request,
    Response,
    Revisit,
    Metadata,
    Resource,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warcinfo => "warcinfo",
            Self::Request => "request",
            Self::Response => "response",
            Self::Revisit => "revisit",
            Self::Metadata => "metadata",
            Self::Resource => "resource",
        }
    }
}

/// Why a block is shorter than what it stands for (5.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// Longer than the limit on bodies.
    Length,
    /// It took longer than the limit on answers.
    Time,
    /// The connection ended early.
    Disconnect,
    /// Kept without its body, or cut for another reason.
    Unspecified,
}

impl Truncated {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Time => "time",
            Self::Disconnect => "disconnect",
            Self::Unspecified => "unspecified",
        }
    }
}

/// A record's name: a random UUID (RFC 9562, version 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId(u128);

impl RecordId {
    /// The next name.
    pub fn draw(chance: &mut Chance) -> Self {
        let drawn = (u128::from(chance.draw()) << 64) | u128::from(chance.draw());
        // Version 4 in bits 48-51, variant 10 in bits 64-65, counted from the left.
        Self(drawn & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 32];
        HEXLOWER.encode_mut(&self.0.to_be_bytes(), &mut hex);
        // Hex digits are ASCII.
        let mut rest = std::str::from_utf8(&hex).unwrap_or_default();
        f.write_str("<urn:uuid:")?;
        for (length, after) in [(8, "-"), (4, "-"), (4, "-"), (4, "-"), (12, ">")] {
            let (part, following) = rest.split_at_checked(length).unwrap_or((rest, ""));
            f.write_str(part)?;
            f.write_str(after)?;
            rest = following;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The earlier record that a revisit stands for.
#[derive(Clone, Copy, Debug)]
pub struct Refers<'a> {
    /// One of the profiles, [`SAME_PAYLOAD`] or [`NOT_MODIFIED`].
    pub profile: &'static str,
    /// The target URI and the date of the record that has the payload; none where that is not known any more.
    pub first: Option<(&'a str, &'a str)>,
    /// Its WARC-Record-ID, where that is known.
    pub id: Option<&'a str>,
}

/// A record to be written. Fields that are none are left out.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub kind: Kind,
    pub id: RecordId,
    pub date: Wall,
    pub target: Option<&'a str>,
    pub content_type: &'a str,
    /// The record of the same exchange that was written first.
    pub concurrent_to: Option<RecordId>,
    pub ip: Option<IpAddr>,
    /// Protocols from the application's down, such as `h2` and `tls/1.3`.
    pub protocols: &'a [&'a str],
    /// What the payload was found to be, whatever the server said.
    pub identified: Option<&'a str>,
    pub truncated: Option<Truncated>,
    pub refers: Option<Refers<'a>>,
    pub payload_digest: Option<Digest>,
    /// The start of the block: an HTTP head, or all of a small block.
    pub head: &'a [u8],
    /// The rest of the block.
    pub body: Option<&'a Body>,
    pub packing: Packing,
}

impl<'a> Record<'a> {
    /// A record whose block is `head`, with only what every record must have.
    pub fn new(
        kind: Kind,
        id: RecordId,
        date: Wall,
        content_type: &'a str,
        head: &'a [u8],
    ) -> Self {
        Self {
            kind,
            id,
            date,
            target: None,
            content_type,
            concurrent_to: None,
            ip: None,
            protocols: &[],
            identified: None,
            truncated: None,
            refers: None,
            payload_digest: None,
            head,
            body: None,
            packing: Packing::Deflate,
        }
    }

    /// Length of the block.
    pub fn block_len(&self) -> u64 {
        self.head.len() as u64 + self.body.map_or(0, Body::len)
    }

    /// Appends the header with its final empty line. `file` names the file for a warcinfo record, `warcinfo` the
    /// warcinfo record of the file for every other.
    pub fn write_header(&self, out: &mut Vec<u8>, file: Option<&str>, warcinfo: Option<RecordId>) {
        let mut header = Header(out);
        header.0.extend_from_slice(b"WARC/1.1\r\n");
        header.text("WARC-Type", self.kind.as_str());
        header.show("WARC-Record-ID", self.id);
        header.text("WARC-Date", &stamp::iso(self.date));
        header.maybe("WARC-Filename", file);
        header.maybe("WARC-Target-URI", self.target);
        if let Some(refers) = &self.refers {
            header.text("WARC-Profile", refers.profile);
            header.maybe("WARC-Refers-To", refers.id);
            if let Some((uri, date)) = refers.first {
                header.text("WARC-Refers-To-Target-URI", uri);
                header.text("WARC-Refers-To-Date", date);
            }
        }
        if let Some(id) = self.concurrent_to {
            header.show("WARC-Concurrent-To", id);
        }
        if let Some(id) = warcinfo {
            header.show("WARC-Warcinfo-ID", id);
        }
        if let Some(ip) = self.ip {
            header.show("WARC-IP-Address", ip);
        }
        for protocol in self.protocols {
            header.text("WARC-Protocol", protocol);
        }
        if let Some(digest) = self.payload_digest {
            header.show("WARC-Payload-Digest", digest);
        }
        if self.body.is_none() {
            // All of the block is at hand; of a large body only the payload is hashed, once.
            header.show("WARC-Block-Digest", Digest::of(self.head));
        }
        header.maybe("WARC-Identified-Payload-Type", self.identified);
        header.maybe("WARC-Truncated", self.truncated.map(Truncated::as_str));
        header.text("Content-Type", self.content_type);
        header.show("Content-Length", self.block_len());
        header.0.extend_from_slice(b"\r\n");
    }
}

struct Header<'o>(&'o mut Vec<u8>);

impl Header<'_> {
    fn text(&mut self, name: &'static str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        push_text(self.0, value.as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }

    fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A value of ours, whose spelling has no controls.
    fn show(&mut self, name: &'static str, value: impl fmt::Display) {
        // Writing to a Vec does not fail.
        let _infallible = write!(self.0, "{name}: {value}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_random_uuids() {
        let mut chance = Chance::seeded(1);
        let (one, two) = (
            RecordId::draw(&mut chance).to_string(),
            RecordId::draw(&mut chance).to_string(),
        );
        assert_ne!(one, two);
        for name in [one, two] {
            let uuid = name
                .strip_prefix("<urn:uuid:")
                .and_then(|n| n.strip_suffix('>'))
                .unwrap();
            let parts: Vec<&str> = uuid.split('-').collect();
            assert_eq!(
                parts.iter().map(|p| p.len()).collect::<Vec<_>>(),
                [8, 4, 4, 4, 12]
            );
            assert!(parts[2].starts_with('4'), "{name}");
            assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "{name}");
        }
    }

    #[test]
    fn a_response_says_all_that_is_known() {
        let mut chance = Chance::seeded(1);
        let (id, request, info) = (
            RecordId::draw(&mut chance),
            RecordId::draw(&mut chance),
            RecordId::draw(&mut chance),
        );
        let record = Record {
            target: Some("http://a.test/"),
            concurrent_to: Some(request),
            ip: Some("::1".parse().unwrap()),
            protocols: &["http/1.1", "tls/1.3"],
            identified: Some("text/html"),
            truncated: Some(Truncated::Length),
            payload_digest: Some(Digest::of(b"")),
            ..Record::new(
                Kind::Response,
                id,
                Wall(0),
                "application/http; msgtype=response",
                b"HTTP/1.1 200 OK\r\n\r\n",
            )
        };
        let mut out = Vec::new();
        record.write_header(&mut out, None, Some(info));
        let want = format!(
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: {id}\r\nWARC-Date: 1970-01-01T00:00:00.000000Z\r\n\
             WARC-Target-URI: http://a.test/\r\nWARC-Concurrent-To: {request}\r\nWARC-Warcinfo-ID: {info}\r\n\
             WARC-IP-Address: ::1\r\nWARC-Protocol: http/1.1\r\nWARC-Protocol: tls/1.3\r\n\
             WARC-Payload-Digest: sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\r\n\
             WARC-Block-Digest: {}\r\nWARC-Identified-Payload-Type: text/html\r\nWARC-Truncated: length\r\n\
             Content-Type: application/http; msgtype=response\r\nContent-Length: 19\r\n\r\n",
            Digest::of(b"HTTP/1.1 200 OK\r\n\r\n"),
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn a_value_cannot_forge_a_field() {
        let record = Record {
            target: Some("http://a.test/\r\nWARC-Type: warcinfo\r\n\r\n"),
            identified: Some("a\nb\0"),
            ..Record::new(
                Kind::Metadata,
                RecordId::draw(&mut Chance::seeded(1)),
                Wall(0),
                "x\r\ny",
                b"",
            )
        };
        let mut out = Vec::new();
        record.write_header(&mut out, None, None);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\r\n").count(), 10, "{text}");
        assert!(
            text.contains("WARC-Target-URI: http://a.test/WARC-Type: warcinfo\r\n"),
            "{text}"
        );
    }
}

//! DNS messages as bytes (RFC 1035, section 4): read one question, write its answer.
//!
//! Enough of the format for address questions; names in answers are written in full, without compression,
//! except for the pointer to the question. It knows no sockets and no zone.

use std::net::{IpAddr, Ipv4Addr};

use super::Kind;

const HEADER: usize = 12;
/// A pointer to the question's name, which follows the header.
const TO_QUESTION: [u8; 2] = [0xc0, 0x0c];
const CLASS_IN: u16 = 1;

/// A response code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    NoError = 0,
    Failure = 2,
    NoSuchName = 3,
}

impl Kind {
    fn of(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Other(number) => number,
        }
    }
}

/// The one question of a message.
pub(super) struct Question {
    id: [u8; 2],
    recursion: u8,
    /// In lower case, without the final dot.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// As it came, to be sent back: name, type and class.
    bytes: Vec<u8>,
}

impl Question {
    /// Reads a query with exactly one question; `None` for anything else.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let header = message.get(..HEADER)?;
        let query = header[2] & 0x80 == 0;
        if !query || header[4..6] != [0, 1] {
            return None;
        }
        let (name, end) = read_name(message, HEADER)?;
        let kind = u16::from_be_bytes(message.get(end..end + 2)?.try_into().ok()?);
        let bytes = message.get(HEADER..end + 4)?.to_vec();
        let (id, recursion) = ([header[0], header[1]], header[2] & 1);
        Some(Self {
            id,
            recursion,
            name,
            kind: Kind::of(kind),
            bytes,
        })
    }

    /// The answer, with those of `addresses` that the question's type asks for, of the name that it is an alias
    /// for, if any. An answer without addresses names an authority, so that resolvers keep it (RFC 2308).
    pub(super) fn answer(
        &self,
        code: Code,
        alias: Option<&str>,
        addresses: &[IpAddr],
        ttl_s: u32,
    ) -> Vec<u8> {
        let mut records = Vec::new();
        let mut count = 0u16;
        let mut owner = TO_QUESTION.to_vec();
        if let Some(target) = alias {
            push_record(&mut records, &owner, 5, ttl_s, &name_bytes(target));
            owner = name_bytes(target);
            count += 1;
        }
        let mut found = false;
        for address in addresses {
            let data = match (self.kind, address) {
                (Kind::A, IpAddr::V4(v4)) => v4.octets().to_vec(),
                (Kind::Aaaa, IpAddr::V6(v6)) => v6.octets().to_vec(),
                _ => continue,
            };
            push_record(&mut records, &owner, self.kind.number(), ttl_s, &data);
            count += 1;
            found = true;
        }
        let negative = !found && !matches!(code, Code::Failure);
        if negative {
            let zone = self.name.rsplit('.').next().unwrap_or_default();
            push_record(
                &mut records,
                &name_bytes(zone),
                6,
                ttl_s,
                &start_of_authority(zone, ttl_s),
            );
        }
        let mut message = self.header(code, false, count, u16::from(negative));
        message.extend(records);
        message
    }

    /// An answer with just these records, and these additional ones.
    pub(super) fn with_records(
        &self,
        answers: impl IntoIterator<Item = Record>,
        additional: impl IntoIterator<Item = Record>,
    ) -> Vec<u8> {
        let push = |message: &mut Vec<u8>, record: Record| {
            push_record(
                message,
                &record.owner,
                record.kind,
                record.ttl_s,
                &record.data,
            );
        };
        let mut message = self.header(Code::NoError, false, 0, 0);
        let (mut count, mut beside) = (0u16, 0u16);
        for record in answers {
            push(&mut message, record);
            count += 1;
        }
        for record in additional {
            push(&mut message, record);
            beside += 1;
        }
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message[10..12].copy_from_slice(&beside.to_be_bytes());
        message
    }

    /// The wish to be asked again over TCP.
    pub(super) fn truncated(&self) -> Vec<u8> {
        self.header(Code::NoError, true, 0, 0)
    }

    fn header(&self, code: Code, truncated: bool, answers: u16, authorities: u16) -> Vec<u8> {
        // Response, authoritative, recursion wanted as asked; recursion available, code.
        let flags = [
            0x84 | u8::from(truncated) << 1 | self.recursion,
            0x80 | code as u8,
        ];
        let mut message = [&self.id[..], &flags, &[0, 1]].concat();
        message.extend(answers.to_be_bytes());
        message.extend(authorities.to_be_bytes());
        message.extend([0, 0]);
        message.extend(&self.bytes);
        message
    }
}

/// A record of an answer.
pub(super) struct Record {
    owner: Vec<u8>,
    kind: u16,
    ttl_s: u32,
    data: Vec<u8>,
}

impl Record {
    /// An address of `owner`; of the name that was asked for where none is given.
    pub(super) fn address(owner: Option<&str>, address: IpAddr, ttl_s: u32) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        };
        Self {
            owner: owner.map_or_else(|| TO_QUESTION.to_vec(), name_bytes),
            kind,
            ttl_s,
            data,
        }
    }

    /// That `owner` is another name for `target`.
    pub(super) fn alias(owner: Option<&str>, target: &str, ttl_s: u32) -> Self {
        Self {
            owner: owner.map_or_else(|| TO_QUESTION.to_vec(), name_bytes),
            kind: 5,
            ttl_s,
            data: name_bytes(target),
        }
    }
}

fn push_record(to: &mut Vec<u8>, owner: &[u8], kind: u16, ttl_s: u32, data: &[u8]) {
    to.extend(owner);
    to.extend(kind.to_be_bytes());
    to.extend(CLASS_IN.to_be_bytes());
    to.extend(ttl_s.to_be_bytes());
    // Data here is a name or an address: always short.
    to.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend(data);
}

fn start_of_authority(zone: &str, ttl_s: u32) -> Vec<u8> {
    let mut data = [name_bytes(zone), name_bytes(zone)].concat();
    for number in [1, 3_600, 600, 86_400, ttl_s] {
        data.extend(u32::to_be_bytes(number));
    }
    data
}

fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        // A label is at most 63 bytes; names of tests are.
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// A name without pointers, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        if length > 63 {
            return None;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}

/// A question for IPv4 addresses.
pub(super) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(name_bytes(name));
    message.extend([0, 1, 0, 1]);
    message
}

/// Code and IPv4 addresses of an answer that this module wrote; `None` when it is none to the question `id`.
pub(super) fn addresses(message: &[u8], id: u16) -> Option<(u8, Vec<Ipv4Addr>)> {
    let header = message.get(..HEADER)?;
    if header[..2] != id.to_be_bytes() || header[2] & 0x80 == 0 {
        return None;
    }
    let (_, end) = read_name(message, HEADER)?;
    let mut at = end + 4;
    let mut found = Vec::new();
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        at = match message.get(at)? {
            0xc0.. => at + 2,
            _ => read_name(message, at)?.1,
        };
        let fixed: [u8; 10] = message.get(at..at + 10)?.try_into().ok()?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = message.get(at + 10..at + 10 + length)?;
        if let (1, &[a, b, c, d]) = (u16::from_be_bytes([fixed[0], fixed[1]]), data) {
            found.push(Ipv4Addr::new(a, b, c, d));
        }
        at += 10 + length;
    }
    Some((header[3] & 0x0f, found))
}

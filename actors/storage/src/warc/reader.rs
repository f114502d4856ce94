//! Reading WARC files back, as a stream and in bounded memory, trusting nothing.
//!
//! Reads files of one gzip member per record, and plain ones. Says where each record lies, shows its payload in
//! pieces and checks its digests. It knows no HTTP beyond the end of a head. Invariant: no input makes it panic
//! or hold more than [`HEADER_MAX`] + [`HTTP_HEAD_MAX`] and its buffers; an error says where and what.
//! Start at [`Reader::next`].

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::digest::{Digest, Running};

/// A longer WARC header is refused.
pub const HEADER_MAX: usize = 256 * 1_024;
/// A longer HTTP head is not collected; the record is read all the same.
pub const HTTP_HEAD_MAX: usize = 2 * 1_024 * 1_024;
const CHUNK: usize = 64 * 1_024;

/// What is wrong, in which file and at which record.
#[derive(Debug, thiserror::Error)]
#[error("{file}: record at {offset}: {flaw}")]
pub struct ReadError {
    pub file: String,
    pub offset: u64,
    #[source]
    pub flaw: Flaw,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("cannot be read or decompressed: {0}")]
    Io(#[from] io::Error),
    #[error("does not start with WARC/1.0 or WARC/1.1")]
    Version,
    #[error("the header is longer than {HEADER_MAX} bytes")]
    HeaderTooLong,
    #[error("the header has no usable Content-Length")]
    Length,
    #[error("the file ends within the record")]
    Torn,
    #[error("the record does not end with two line ends")]
    Ending,
    #[error("the gzip member holds more than one record")]
    Shared,
}

/// A record's named fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first field with this name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn parse(header: &[u8]) -> Result<Self, Flaw> {
        let text = String::from_utf8_lossy(header);
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        if !matches!(lines.next(), Some("WARC/1.0" | "WARC/1.1")) {
            return Err(Flaw::Version);
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                // A folded line, which WARC 1.0 allows.
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Ok(Self(fields))
    }
}

/// What comparing a digest has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The record names none, or one that we cannot compute, or stands for a payload elsewhere.
    Absent,
    Right,
    Wrong,
}

/// A record that has been read to its end.
#[derive(Clone, Debug)]
pub struct Entry {
    pub fields: Fields,
    /// Where it starts in the file.
    pub offset: u64,
    /// Its length in the file: the member's, or for plain files up to the next record.
    pub length: u64,
    /// The HTTP head with its empty line, of records that hold HTTP.
    pub http_head: Option<Vec<u8>>,
    /// Length of the payload: the block, less the HTTP head.
    pub payload_len: u64,
    pub payload: Check,
    pub block: Check,
}

impl Entry {
    /// True when no digest is wrong.
    pub fn is_sound(&self) -> bool {
        self.payload != Check::Wrong && self.block != Check::Wrong
    }
}

/// Reads records one after the other.
#[derive(Debug)]
pub struct Reader<R> {
    file: String,
    input: Counting<BufReader<R>>,
    broken: bool,
}

impl Reader<File> {
    /// A reader of the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::open_at(path, 0)
    }

    /// A reader that starts at `offset`, where a record starts.
    ///
    /// # Errors
    /// A file that cannot be opened, or not read from there.
    pub fn open_at(path: &Path, offset: u64) -> Result<Self, ReadError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self::new(file, name, offset)),
            Err(error) => Err(ReadError {
                file: name,
                offset,
                flaw: Flaw::Io(error),
            }),
        }
    }
}

impl<R: Read> Reader<R> {
    /// A reader of `input`, which stands at `offset` of the file named `file`.
    pub fn new(input: R, file: impl Into<String>, offset: u64) -> Self {
        let input = Counting {
            inner: BufReader::with_capacity(CHUNK, input),
            count: offset,
        };
        Self {
            file: file.into(),
            input,
            broken: false,
        }
    }

    /// Where the next record starts.
    pub fn offset(&self) -> u64 {
        self.input.count
    }

    /// Reads the next record and shows its payload in pieces; none at the end of the file, and after an error.
    ///
    /// # Errors
    /// A record that is damaged or torn. What lies behind it cannot be found by this reader.
    pub fn next(&mut self, payload: &mut dyn FnMut(&[u8])) -> Result<Option<Entry>, ReadError> {
        if self.broken {
            return Ok(None);
        }
        let offset = self.input.count;
        self.read(offset, payload).map_err(|flaw| {
            self.broken = true;
            let torn =
                matches!(&flaw, Flaw::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof);
            ReadError {
                file: self.file.clone(),
                offset,
                flaw: if torn { Flaw::Torn } else { flaw },
            }
        })
    }

    fn read(&mut self, offset: u64, payload: &mut dyn FnMut(&[u8])) -> Result<Option<Entry>, Flaw> {
        let Some(first) = self.input.fill_buf()?.first().copied() else {
            return Ok(None);
        };
        let mut entry = if first == GZIP_FIRST_BYTE {
            let mut member = BufReader::with_capacity(CHUNK, GzDecoder::new(&mut self.input));
            let entry = read_record(&mut member, payload)?;
            // The end of the member is where its CRC and length are checked.
            if !member.fill_buf()?.is_empty() {
                return Err(Flaw::Shared);
            }
            entry
        } else {
            read_record(&mut self.input, payload)?
        };
        entry.offset = offset;
        entry.length = self.input.count - offset;
        Ok(Some(entry))
    }
}

const GZIP_FIRST_BYTE: u8 = 0x1f;

/// Counts what is taken from the file, so that offsets are those of the file.
#[derive(Debug)]
struct Counting<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(out)?;
        self.count += got as u64;
        Ok(got)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.count += amount as u64;
    }
}

fn read_record(input: &mut impl BufRead, payload: &mut dyn FnMut(&[u8])) -> Result<Entry, Flaw> {
    let fields = Fields::parse(&read_header(input)?)?;
    let mut left: u64 = fields
        .get("Content-Length")
        .and_then(|text| text.parse().ok())
        .ok_or(Flaw::Length)?;
    let mut digests = Digests::new(&fields);
    let mut head = HeadSplit::new(&fields);
    let mut payload_len = 0;
    while left > 0 {
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            return Err(Flaw::Torn);
        }
        let take = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        let piece = &piece[..take];
        digests.block(piece);
        let body = head.split(piece);
        if !body.is_empty() {
            digests.payload(body);
            payload(body);
            payload_len += body.len() as u64;
        }
        input.consume(take);
        left -= take as u64;
    }
    let mut ending = [0; 4];
    input.read_exact(&mut ending)?;
    if &ending != b"\r\n\r\n" {
        return Err(Flaw::Ending);
    }
    let (payload, block) = digests.end();
    // Offset and length are the file's business; the caller fills them in.
    Ok(Entry {
        fields,
        offset: 0,
        length: 0,
        http_head: head.end(),
        payload_len,
        payload,
        block,
    })
}

/// Reads up to and including the header's empty line, and gives what is before it.
fn read_header(input: &mut impl BufRead) -> Result<Vec<u8>, Flaw> {
    let mut header = Vec::with_capacity(1_024);
    loop {
        let start = header.len();
        let room = (HEADER_MAX - start) as u64;
        input.by_ref().take(room).read_until(b'\n', &mut header)?;
        if start == 0 && !b"WARC/1.".starts_with(&header[..header.len().min(7)]) {
            return Err(Flaw::Version);
        }
        if header.last() != Some(&b'\n') {
            return Err(if header.len() >= HEADER_MAX {
                Flaw::HeaderTooLong
            } else {
                Flaw::Torn
            });
        }
        if matches!(&header[start..], b"\r\n" | b"\n") {
            header.truncate(start);
            return Ok(header);
        }
    }
}

/// Finds where an HTTP head ends and keeps it.
struct HeadSplit {
    /// None once the end has been passed, or where there is no head.
    open: Option<Vec<u8>>,
    whole: Option<Vec<u8>>,
}

impl HeadSplit {
    fn new(fields: &Fields) -> Self {
        let holds_http = fields.get("Content-Type").is_some_and(|mime| {
            mime.get(..16)
                .is_some_and(|start| start.eq_ignore_ascii_case("application/http"))
        });
        Self {
            open: holds_http.then(Vec::new),
            whole: None,
        }
    }

    /// Takes what belongs to the head from `piece` and gives the rest.
    fn split<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let Some(head) = &mut self.open else {
            return piece;
        };
        let searched = head.len().saturating_sub(3);
        let had = head.len();
        let room = HTTP_HEAD_MAX.saturating_sub(had);
        head.extend_from_slice(&piece[..piece.len().min(room)]);
        match memchr::memmem::find(&head[searched..], b"\r\n\r\n") {
            Some(at) => {
                let end = searched + at + 4;
                head.truncate(end);
                self.whole = self.open.take();
                piece.get(end - had..).unwrap_or_default()
            }
            // A head without an end: all of the block is head, and too much of it is not kept.
            None => &[],
        }
    }

    fn end(self) -> Option<Vec<u8>> {
        self.whole.or(self.open)
    }
}

/// Digests that the record names, computed beside the reading.
struct Digests {
    block: Option<(Digest, Running)>,
    payload: Option<(Digest, Running)>,
}

impl Digests {
    fn new(fields: &Fields) -> Self {
        let named = |name| {
            fields
                .get(name)
                .and_then(Digest::parse)
                .map(|digest| (digest, Running::default()))
        };
        // A revisit's payload is elsewhere.
        let elsewhere = fields
            .get("WARC-Type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("revisit"));
        Self {
            block: named("WARC-Block-Digest"),
            payload: if elsewhere {
                None
            } else {
                named("WARC-Payload-Digest")
            },
        }
    }

    fn block(&mut self, piece: &[u8]) {
        if let Some((_, running)) = &mut self.block {
            running.add(piece);
        }
    }

    fn payload(&mut self, piece: &[u8]) {
        if let Some((_, running)) = &mut self.payload {
            running.add(piece);
        }
    }

    fn end(self) -> (Check, Check) {
        let check = |digest: Option<(Digest, Running)>| match digest {
            None => Check::Absent,
            Some((named, running)) if running.clone().end() == named => Check::Right,
            Some(_) => Check::Wrong,
        };
        (check(self.payload), check(self.block))
    }
}

#[cfg(test)]
mod tests;

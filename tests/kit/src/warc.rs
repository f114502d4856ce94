//! An independent reader of WARC 1.1 files (ISO 28500), so that no test checks our writer by our own reader.
//!
//! It is strict where the crawler's own reader forgives: one gzip member a record, exact lengths, digests that
//! are right. It knows nothing of indexes or ledgers. Other people's readers of the same files: [`crate::tools`].
//! Start reading at [`Records`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE32;
use flate2::bufread::GzDecoder;
use sha1::{Digest as _, Sha1};

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its gzip member begins in the file, in bytes.
    pub offset: u64,
    /// How long its gzip member is, in bytes.
    pub length: u64,
    /// Its named fields, in order, as written.
    pub fields: Vec<(String, String)>,
    /// Its block.
    pub block: Vec<u8>,
}

/// What a digest field says against what the bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// There is no such field.
    Absent,
    /// It is the digest of the bytes.
    Right,
    /// It is not.
    Wrong,
}

/// The records of a file, in order. After an error there are no more.
pub struct Records {
    path: PathBuf,
    reader: BufReader<File>,
    broken: bool,
}

impl Record {
    /// The first field called `name` (any case).
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `WARC-Type`.
    pub fn kind(&self) -> &str {
        self.field("WARC-Type").unwrap_or_default()
    }

    /// `WARC-Target-URI`, without the angle brackets that WARC 1.0 wrote.
    pub fn target(&self) -> Option<&str> {
        Some(
            self.field("WARC-Target-URI")?
                .trim_start_matches('<')
                .trim_end_matches('>'),
        )
    }

    /// `WARC-Date`.
    pub fn date(&self) -> &str {
        self.field("WARC-Date").unwrap_or_default()
    }

    /// Head and body of the HTTP message that the block holds; `None` when it holds none.
    pub fn http(&self) -> Option<(String, &[u8])> {
        let end = self
            .block
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")?;
        Some((
            String::from_utf8_lossy(&self.block[..end]).into_owned(),
            &self.block[end + 4..],
        ))
    }

    /// The status of the HTTP response that the block holds.
    pub fn status(&self) -> Option<u16> {
        self.http()?
            .0
            .strip_prefix("HTTP/")?
            .split(' ')
            .nth(1)?
            .parse()
            .ok()
    }

    /// The HTTP body with a gzip content coding undone: the page as its author wrote it.
    ///
    /// # Errors
    /// When there is no HTTP message, or its body is not gzip though it says so.
    pub fn page(&self) -> Result<Vec<u8>> {
        let (head, body) = self.http().context("the block holds no HTTP message")?;
        if crate::log::header(&head, "content-encoding").is_none_or(|coding| coding != "gzip") {
            return Ok(body.to_vec());
        }
        let mut page = Vec::new();
        GzDecoder::new(body)
            .read_to_end(&mut page)
            .context("the body is no gzip")?;
        Ok(page)
    }

    /// `WARC-Block-Digest` against the block.
    pub fn block_digest(&self) -> Digest {
        self.digest("WARC-Block-Digest", &self.block)
    }

    /// `WARC-Payload-Digest` against the HTTP body, or against the whole block where it holds no HTTP message.
    pub fn payload_digest(&self) -> Digest {
        let http = matches!(self.kind(), "request" | "response" | "revisit");
        let body = self.http().map_or(&[][..], |(_, body)| body);
        self.digest("WARC-Payload-Digest", if http { body } else { &self.block })
    }

    fn digest(&self, name: &str, bytes: &[u8]) -> Digest {
        match self.field(name) {
            None => Digest::Absent,
            Some(said) if said == sha1_of(bytes) => Digest::Right,
            Some(_) => Digest::Wrong,
        }
    }
}

/// `sha1:` and the digest in base 32, as WARC files write it.
pub fn sha1_of(bytes: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(bytes)))
}

impl Records {
    /// Opens a `.warc.gz` file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 16, file),
            broken: false,
        })
    }

    fn read(&mut self) -> Result<Option<Record>> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let offset = self.reader.stream_position()?;
        let mut text = Vec::new();
        // A decoder of one member: it stops at the member's trailer and leaves the next one unread.
        let member = GzDecoder::new(&mut self.reader).read_to_end(&mut text);
        member.with_context(|| format!("no whole gzip member at {offset}"))?;
        let length = self.reader.stream_position()? - offset;
        let (fields, block) = parse(&text).with_context(|| format!("no record at {offset}"))?;
        Ok(Some(Record {
            offset,
            length,
            fields,
            block,
        }))
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let found = self.read().with_context(|| self.path.display().to_string());
        self.broken = found.is_err();
        found.transpose()
    }
}

/// All records of all `.warc.gz` files below `folder`, file after file in order of their names.
///
/// # Errors
/// At the first thing that is not as it should be.
pub fn read_all(folder: &Path) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    for path in archives(folder)? {
        for record in Records::open(&path)? {
            all.push(record?);
        }
    }
    Ok(all)
}

/// Makes the answer whole in each revisit of an identical payload (6.7.2): it becomes a response with the body of the record
/// that it refers to by URL and date. Its block is not what was written any more, so that the block's digest goes.
///
/// # Errors
/// A revisit that refers to no response among `records`, or to one whose payload has another digest.
pub fn resolve(records: &mut [Record]) -> Result<()> {
    let mut bodies = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind() == "response") {
        let place = (record.target().map(str::to_owned), record.date().to_owned());
        let body = record.http().map_or(&[][..], |(_, body)| body);
        bodies.insert(place, body.to_vec());
    }
    let same = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";
    for record in records {
        if record.kind() != "revisit" || record.field("WARC-Profile") != Some(same) {
            continue;
        }
        let target = record.field("WARC-Refers-To-Target-URI");
        let date = record.field("WARC-Refers-To-Date").unwrap_or_default();
        let place = (target.map(str::to_owned), date.to_owned());
        let body = bodies.get(&place).with_context(|| {
            format!(
                "{:?} refers to {place:?}, which is not there",
                record.target()
            )
        })?;
        record.block.extend_from_slice(body);
        record
            .fields
            .retain(|(name, _)| name != "WARC-Block-Digest");
        for (name, value) in &mut record.fields {
            if name == "WARC-Type" {
                *value = "response".to_owned();
            }
        }
        ensure!(
            record.payload_digest() == Digest::Right,
            "{:?} refers to {place:?}, whose payload is another",
            record.target()
        );
    }
    Ok(())
}

/// The `.warc.gz` files right in `folder`, sorted.
///
/// # Errors
/// When the folder cannot be listed.
pub fn archives(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".warc.gz") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

type Fields = Vec<(String, String)>;

/// One record, and nothing but one record.
fn parse(text: &[u8]) -> Result<(Fields, Vec<u8>)> {
    let end = text
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .context("its header has no end")?;
    let header = std::str::from_utf8(&text[..end]).context("its header is not UTF-8")?;
    let mut lines = header.split("\r\n");
    let version = lines.next().unwrap_or_default();
    ensure!(version == "WARC/1.1", "it begins with {version:?}");
    let mut fields = Fields::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            bail!("{line:?} is no field")
        };
        ensure!(
            !name.is_empty() && !name.contains(' '),
            "{name:?} is no field's name"
        );
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    for name in ["WARC-Type", "WARC-Record-ID", "WARC-Date", "Content-Length"] {
        let times = fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .count();
        ensure!(times == 1, "{name} stands {times} times");
    }
    let length = fields
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("Content-Length"));
    let length: usize = length
        .map_or("", |(_, value)| value)
        .parse()
        .context("its Content-Length is no number")?;
    let rest = &text[end + 4..];
    ensure!(
        rest.len() == length + 4 && rest.ends_with(b"\r\n\r\n"),
        "its block of {length} bytes and two line ends are {} bytes",
        rest.len()
    );
    Ok((fields, rest[..length].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn response(uri: &str, body: &str, digest: &str) -> String {
        let block = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}");
        format!(
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:0>\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n\
             WARC-Target-URI: {uri}\r\nWARC-Payload-Digest: {digest}\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
            block.len()
        )
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.warc.gz");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn records_are_read_with_their_places_and_digests() {
        let first = member(&response("http://a.test/", "hello", &sha1_of(b"hello")));
        let second = member(&response("http://a.test/b", "hello", &sha1_of(b"else")));
        let (folder, _) = file(&[first.clone(), second.clone()].concat());
        let records = read_all(folder.path()).unwrap();
        assert_eq!(records.len(), 2);
        let places: Vec<_> = records.iter().map(|r| (r.offset, r.length)).collect();
        let (one, two) = (first.len() as u64, second.len() as u64);
        assert_eq!(places, [(0, one), (one, two)]);
        assert_eq!(records[1].target(), Some("http://a.test/b"));
        assert_eq!(
            (records[0].kind(), records[0].status()),
            ("response", Some(200))
        );
        assert_eq!(records[0].page().unwrap(), b"hello");
        assert_eq!(records[0].payload_digest(), Digest::Right);
        assert_eq!(records[1].payload_digest(), Digest::Wrong);
        assert_eq!(records[1].block_digest(), Digest::Absent);
    }

    #[test]
    fn sha1_is_the_published_one() {
        assert_eq!(sha1_of(b"abc"), "sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5"); // FIPS 180, example
    }

    #[test]
    fn whatever_is_not_exact_is_an_error() {
        #[track_caller]
        fn check(bytes: &[u8], whole: usize, message: &str) {
            let (_folder, path) = file(bytes);
            let mut found: Vec<_> = Records::open(&path).unwrap().collect();
            let error = format!("{:#}", found.pop().unwrap().unwrap_err());
            assert!(error.contains(message), "{error}");
            assert_eq!(found.len(), whole);
            assert!(found.iter().all(Result::is_ok));
        }
        let good = response("http://a.test/", "hello", "");
        let torn = [member(&good), member(&good)[..40].to_vec()].concat();
        check(&torn, 1, "no whole gzip member");
        check(&member(&format!("{good}{good}")), 0, "two line ends");
        check(&member(&good.replace("hello", "hell")), 0, "two line ends");
        check(
            &member(&good.replace("WARC/1.1", "WARC/1.0")),
            0,
            "begins with",
        );
        check(
            &member(&good.replace("WARC-Date", "WARC-Dat")),
            0,
            "WARC-Date stands 0 times",
        );
        check(good.as_bytes(), 0, "no whole gzip member");
    }
}

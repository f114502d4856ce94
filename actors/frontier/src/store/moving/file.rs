//! A crawl as a file: JSON lines behind gzip, so that any store's crawl can be kept, looked at and taken into another.
//!
//! The first line says the format's version and by which rules URLs and domains were told apart; the second what the crawl
//! is as a whole; then a line for each row; the last counts the lines and has their checksum. Reading and writing hold one
//! line. Invariant: a file that is cut, changed or of other rules is refused before the crawl it was read into can be
//! worked on. Start at [`export`] and [`Import`].

use std::io::{self, BufRead, BufReader, Read, Write};

use contract::canonical::CANONICAL_VERSION;
use contract::host::PSL_VERSION;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{Moves, Part, Row, Whole};
use crate::error::StoreError;

/// The format of the file.
pub const VERSION: u32 = 1;
/// Rows that are read from a store, or taken in, at once.
const ROWS_TOGETHER: usize = 1_024;
/// No line is longer: a robots.txt of 500 KiB as numbers is the longest.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// Why a crawl was not written to a file or read from one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the file")]
    Write(#[source] io::Error),
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    #[error("this is no file of a frontier")]
    Foreign,
    #[error(
        "the file is of format {found}, this program reads up to {VERSION}; use the newer program"
    )]
    Newer { found: u32 },
    #[error(
        "the file was made with {what} {found}, this program has {known}; use the program that made it"
    )]
    OtherRules {
        what: &'static str,
        found: String,
        known: String,
    },
    #[error("the file ends at line {line}, before its end; it was cut, export it anew")]
    Cut { line: u64 },
    #[error("line {line} cannot be read: {why}; the file is damaged, export it anew")]
    Damaged { line: u64, why: String },
    #[error(
        "the crawl was worked on while it was read: {counted} URLs are queued, {read} were read; stop it first"
    )]
    Moving { counted: u64, read: u64 },
}

#[derive(Serialize, Deserialize)]
struct Head {
    argiope_frontier: u32,
    canonical: u16,
    psl: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Whole(Whole),
    Row(Row),
    End { lines: u64, xxh3: String },
}

struct Writer<W: Write> {
    out: GzEncoder<W>,
    sum: Xxh3,
    lines: u64,
}

impl<W: Write> Writer<W> {
    fn put(&mut self, line: &impl Serialize) -> Result<(), FileError> {
        let mut bytes =
            serde_json::to_vec(line).map_err(|error| FileError::Write(io::Error::other(error)))?;
        bytes.push(b'\n');
        self.sum.update(&bytes);
        self.lines += 1;
        self.out.write_all(&bytes).map_err(FileError::Write)
    }
}

/// Writes the store's crawl; answers what it is as a whole.
///
/// # Errors
/// A crawl that is worked on, a store or a file that fails.
pub async fn export<W: Write>(store: &impl Moves, out: W) -> Result<(Whole, W), FileError> {
    let whole = store.whole().await?;
    let mut file = Writer {
        out: GzEncoder::new(out, Compression::default()),
        sum: Xxh3::new(),
        lines: 0,
    };
    file.put(&Head {
        argiope_frontier: VERSION,
        canonical: CANONICAL_VERSION,
        psl: PSL_VERSION.to_owned(),
    })?;
    file.put(&Line::Whole(whole.clone()))?;
    let (mut from, mut queued) = (None, 0);
    loop {
        let some = store.rows_from(from, ROWS_TOGETHER).await?;
        for row in some.rows {
            queued += u64::from(matches!(row, Row::Queued { .. }));
            file.put(&Line::Row(row))?;
        }
        from = some.next;
        if from.is_none() {
            break;
        }
    }
    if queued != whole.queued {
        return Err(FileError::Moving {
            counted: whole.queued,
            read: queued,
        });
    }
    let (lines, xxh3) = (file.lines, format!("{:032x}", file.sum.digest128()));
    file.put(&Line::End { lines, xxh3 })?;
    let out = file.out.finish().map_err(FileError::Write)?;
    Ok((whole, out))
}

/// A file that is being read: its head is, and fits.
pub struct Import<R> {
    lines: Lines<R>,
    pub whole: Whole,
}

struct Lines<R> {
    input: BufReader<MultiGzDecoder<R>>,
    sum: Xxh3,
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next line; the checksum is that of those before it.
    fn next(&mut self) -> Result<&[u8], FileError> {
        self.sum.update(&self.line);
        self.line.clear();
        self.number += 1;
        let mut some = (&mut self.input).take(LINE_BYTES_MAX);
        let line = self.number;
        match some.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => Ok(&self.line),
            Ok(_) if self.line.len() as u64 == LINE_BYTES_MAX => {
                Err(self.damaged("it is too long"))
            }
            Ok(_) => Err(FileError::Cut { line }),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(FileError::Cut { line })
            }
            Err(error) if line == 1 && error.kind() == io::ErrorKind::InvalidInput => {
                Err(FileError::Foreign)
            }
            Err(error) => Err(FileError::Read(error)),
        }
    }

    fn damaged(&self, why: impl ToString) -> FileError {
        FileError::Damaged {
            line: self.number,
            why: why.to_string(),
        }
    }

    fn parsed(&mut self) -> Result<Line, FileError> {
        let parsed = serde_json::from_slice(self.next()?);
        parsed.map_err(|error| self.damaged(error))
    }
}

impl<R: Read> Import<R> {
    /// Reads the file's head.
    ///
    /// # Errors
    /// A file of another kind, a later version or other rules.
    pub fn open(input: R) -> Result<Self, FileError> {
        let mut lines = Lines {
            input: BufReader::new(MultiGzDecoder::new(input)),
            sum: Xxh3::new(),
            number: 0,
            line: Vec::new(),
        };
        let head: Result<Head, _> = serde_json::from_slice(lines.next()?);
        let head = head.map_err(|_| FileError::Foreign)?;
        if head.argiope_frontier > VERSION {
            let found = head.argiope_frontier;
            return Err(FileError::Newer { found });
        }
        for (what, found, known) in [
            (
                "URL comparison version",
                head.canonical.to_string(),
                CANONICAL_VERSION.to_string(),
            ),
            ("public suffix list", head.psl, PSL_VERSION.to_owned()),
        ] {
            if found != known {
                return Err(FileError::OtherRules { what, found, known });
            }
        }
        match lines.parsed()? {
            Line::Whole(whole) => Ok(Self { lines, whole }),
            _ => Err(lines.damaged("it does not say what the crawl is")),
        }
    }

    /// Takes the crawl into a new store.
    ///
    /// # Errors
    /// A damaged file or a store that fails; then the store is no whole crawl and refuses to be worked on.
    pub async fn into_store(mut self, store: &impl Moves) -> Result<Whole, FileError> {
        store.take_in(Part::Begin(&self.whole)).await?;
        let mut rows = Vec::with_capacity(ROWS_TOGETHER);
        loop {
            match self.lines.parsed()? {
                Line::Row(row) => rows.push(row),
                Line::End { lines, xxh3 } => {
                    let sum = format!("{:032x}", self.lines.sum.digest128());
                    if (lines, xxh3) != (self.lines.number - 1, sum) {
                        return Err(self.lines.damaged("the checksum is another"));
                    }
                    break;
                }
                Line::Whole(_) => return Err(self.lines.damaged("a second crawl begins")),
            }
            if rows.len() == ROWS_TOGETHER {
                store.take_in(Part::Rows(&rows)).await?;
                rows.clear();
            }
        }
        store.take_in(Part::Rows(&rows)).await?;
        store.take_in(Part::End(&self.whole)).await?;
        Ok(self.whole)
    }
}

//! Files of records: named as IIPC asks, written as `.open`, sealed by their name.
//!
//! Owns one open file at a time and the compressor. It never blocks on a sync: [`Writer::to_sync`] and
//! [`Sealing`] carry that work elsewhere. Invariants: records appended together lie in one file, one after the
//! other, or not at all; a file with its final name is whole and durable; nothing is written over.
//! Start at [`Writer::append`].

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use contract::clock::{Chance, Clock};

use super::member::Packer;
use super::record::{Kind, Record, RecordId};
use crate::disk::{Appender, Disk, ToSync};
use crate::error::StoreError;
use crate::stamp;

/// End of the name of a file that is still written to.
pub const OPEN_SUFFIX: &str = ".open";
/// Names tried before giving up, when files of the same millisecond exist.
const SERIALS: u32 = 100_000;

/// Where and how files are written.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    pub folder: PathBuf,
    /// Start of every file's name: the crawl's; characters other than letters, digits, `_` and `.` become `_`.
    pub prefix: String,
    /// A file this long takes no more records, in bytes.
    pub size_max: u64,
    /// What the warcinfo record says beside the format: software, robots, operator, settings (6.2, DCMI terms).
    pub info: Vec<(String, String)>,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub offset: u64,
    /// Length of its gzip member.
    pub length: u64,
}

/// Writes records.
#[derive(Debug)]
pub struct Writer {
    config: WriterConfig,
    disk: Disk,
    clock: Clock,
    chance: Chance,
    packer: Packer,
    serial: u32,
    open: Option<OpenFile>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    file: Appender,
    warcinfo: RecordId,
}

impl Writer {
    /// A writer without a file yet: the first record makes it.
    pub fn new(mut config: WriterConfig, disk: Disk, clock: Clock, chance: Chance) -> Self {
        config.prefix = config
            .prefix
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let packer = Packer::default();
        Self {
            config,
            disk,
            clock,
            chance,
            packer,
            serial: 0,
            open: None,
            scratch: Vec::new(),
        }
    }

    /// A name for a record, to be told to others of its exchange.
    pub fn draw_id(&mut self) -> RecordId {
        RecordId::draw(&mut self.chance)
    }

    /// The final name of the file that the next records go to, made if there is none.
    ///
    /// # Errors
    /// The disk's.
    pub fn file(&mut self) -> Result<&str, StoreError> {
        if self.open.is_none() {
            self.open = Some(self.create()?);
        }
        // Just filled.
        Ok(self.open.as_ref().map_or("", |open| open.name.as_str()))
    }

    /// Appends records that belong together.
    ///
    /// # Errors
    /// The disk's, or a body that cannot be read back: then the file is as it was.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<Vec<Span>, StoreError> {
        self.file()?;
        let Some(open) = &mut self.open else {
            return Ok(Vec::new());
        };
        let start = open.file.end();
        let mut spans = Vec::with_capacity(records.len());
        for record in records {
            let offset = open.file.end();
            let wrote = put(
                &mut self.packer,
                &mut self.scratch,
                &mut open.file,
                record,
                None,
                Some(open.warcinfo),
            );
            if let Err(error) = wrote {
                // If the cut fails too, the file stays ragged, is never sealed as it is, and is repaired at the
                // next start; the first error is the one to tell.
                let _told_below = open.file.cut(start);
                return Err(error);
            }
            spans.push(Span {
                offset,
                length: open.file.end() - offset,
            });
        }
        Ok(spans)
    }

    /// Gives what is buffered to the system.
    ///
    /// # Errors
    /// The disk's; the buffer is kept and may be tried again.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.open.as_mut().map_or(Ok(()), |open| open.file.flush())
    }

    /// The sync that makes all flushed records of the open file durable.
    pub fn to_sync(&self) -> Option<ToSync> {
        self.open.as_ref().map(|open| open.file.to_sync())
    }

    /// True when the open file takes no more records.
    pub fn is_full(&self) -> bool {
        let len = self.open.as_ref().map_or(0, |open| open.file.end());
        len >= self.config.size_max
    }

    /// Takes the open file out, to be sealed; the next record makes a new one. What is buffered is flushed first.
    ///
    /// # Errors
    /// The disk's: then the file stays open.
    pub fn take(&mut self) -> Result<Option<Sealing>, StoreError> {
        self.flush()?;
        Ok(self.open.take().map(|open| Sealing {
            disk: self.disk.clone(),
            sync: open.file.to_sync(),
            ragged: open.file.is_ragged(),
            name: open.name,
        }))
    }

    /// Gives the open file up after a sync error: cut to `durable` bytes where that still works, and left to the
    /// repair of the next start. Gives its final name.
    pub fn abandon(&mut self, durable: u64) -> Option<String> {
        let mut open = self.open.take()?;
        // A file that cannot be cut is repaired just the same.
        let _repaired_later = open.file.cut(durable.min(open.file.end()));
        Some(open.name)
    }

    fn create(&mut self) -> Result<OpenFile, StoreError> {
        let now = self.clock.wall();
        let (name, mut file) = loop {
            let name = format!(
                "{}-{}-{:05}.warc.gz",
                self.config.prefix,
                stamp::digits17(now),
                self.serial % SERIALS
            );
            self.serial = self.serial.wrapping_add(1);
            let sealed = self.config.folder.join(&name);
            let open = self.config.folder.join(format!("{name}{OPEN_SUFFIX}"));
            if !sealed.exists() && !open.exists() {
                break (name, self.disk.create(&open)?);
            }
        };
        let warcinfo = self.draw_id();
        let mut block = Vec::new();
        for (field, value) in self.config.info.iter().map(|(f, v)| (f.as_str(), v.as_str())).chain([
            ("format", "WARC File Format 1.1"),
            ("conformsTo", "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"),
        ]) {
            super::http_head::field(&mut block, field.as_bytes(), value.as_bytes());
        }
        let record = Record::new(
            Kind::Warcinfo,
            warcinfo,
            now,
            "application/warc-fields",
            &block,
        );
        let wrote = put(
            &mut self.packer,
            &mut self.scratch,
            &mut file,
            &record,
            Some(&name),
            None,
        );
        if let Err(error) = wrote.and_then(|()| self.disk.sync_folder_of(file.path())) {
            // An empty file is removed by the repair of the next start, if not here.
            let _repaired_later = self.disk.remove(file.path());
            return Err(error);
        }
        Ok(OpenFile {
            name,
            file,
            warcinfo,
        })
    }
}

/// Writes one record as one member.
fn put(
    packer: &mut Packer,
    scratch: &mut Vec<u8>,
    file: &mut Appender,
    record: &Record<'_>,
    name: Option<&str>,
    warcinfo: Option<RecordId>,
) -> Result<(), StoreError> {
    scratch.clear();
    record.write_header(scratch, name, warcinfo);
    scratch.extend_from_slice(record.head);
    packer.begin(file, record.packing);
    packer.piece(file, scratch)?;
    if let Some(body) = record.body {
        let mut failed = None;
        body.for_each(|piece| match packer.piece(file, piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })
        .map_err(StoreError::Body)?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    packer.piece(file, b"\r\n\r\n")?;
    packer.end(file)
}

/// A file that takes no more records and waits for its final name.
#[derive(Debug)]
pub struct Sealing {
    disk: Disk,
    sync: ToSync,
    ragged: bool,
    name: String,
}

impl Sealing {
    /// The file's final name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the file's records durable, without sealing it.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.sync.run()
    }

    /// Seals the file, whose records are durable: cuts off what a failed write may have left, and names it.
    ///
    /// # Errors
    /// The disk's: the file keeps its open name, which the next start repairs.
    pub fn seal(&self) -> Result<PathBuf, StoreError> {
        let open = self.sync.path();
        let sealed = sealed_path(open, &self.name);
        if self.ragged {
            self.disk.cut(open, self.sync.upto())?;
        }
        self.disk.rename(open, &sealed)?;
        Ok(sealed)
    }
}

fn sealed_path(open: &Path, name: &str) -> PathBuf {
    open.with_file_name(name)
}

#[cfg(test)]
mod tests;

//! Pages become records: the archive and its index, kept in step.
//!
//! Decides which pages are archived and what their records say; owns the WARC writer and the pieces of the index.
//! It knows no groups and no settles. Invariants: the answer of a page and its request lie in one file; a file is
//! sealed only when its records and its part of the index are durable. Start at [`Archive::keep`].

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use contract::clock::{Chance, Clock};
use contract::earlier::Earlier;
use contract::keep::ParsedPage;
use contract::outcome::Outcome;
use contract::page::{Cut, Exchange, Fate, Place};
use http::Version;

use crate::cdx::pieces::{self, Pieces};
use crate::cdx::{self, Line};
use crate::change::{Change, not_modified as not_modified_since};
use crate::disk::{Disk, ToSync};
use crate::duplicates::{Duplicates, First, is_comparable};
use crate::error::StoreError;
use crate::layout::Layout;
use crate::stamp;
use crate::warc::digest::Digest;
use crate::warc::http_head;
use crate::warc::member::Packing;
use crate::warc::record::{Kind, NOT_MODIFIED, Record, Refers, SAME_PAYLOAD, Truncated};
use crate::warc::repair::{Repaired, repair};
use crate::warc::writer::{OPEN_SUFFIX, Sealing, Span, Writer, WriterConfig};

/// Where a page is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Name of the WARC file, once it is sealed.
    pub file: Arc<str>,
    /// The record of the answer.
    pub span: Span,
    /// What the page added to the archive, its request included.
    pub bytes: u64,
    /// Of the body as received.
    pub digest: Digest,
    /// The record that has the payload, where this one names it instead.
    pub same_as: Option<First>,
    /// What a refresh found.
    pub change: Option<Change>,
}

/// The WARC files of a crawl and their index.
#[derive(Debug)]
pub struct Archive {
    disk: Disk,
    layout: Layout,
    writer: Writer,
    file: Option<(Arc<str>, Pieces)>,
    full: Vec<Full>,
    durable: u64,
    head: Vec<u8>,
    duplicates: Duplicates,
}

/// A file to be sealed, with the pieces of its index. Without them it is left to the repair of the next start.
#[derive(Debug)]
struct Full {
    sealing: Sealing,
    pieces: Option<Vec<PathBuf>>,
}

impl Archive {
    /// Opens the archive; repairs and seals what a crash has left, and says so.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        disk: &Disk,
        layout: &Layout,
        config: WriterConfig,
        duplicates: Duplicates,
        clock: Clock,
        chance: Chance,
    ) -> Result<(Self, Vec<Repaired>), StoreError> {
        disk.folder(&config.folder)?;
        disk.folder(&layout.pieces())?;
        let mut repaired = Vec::new();
        for path in unsealed(&config.folder)? {
            repaired.push(repair_with_index(disk, layout, &path)?);
        }
        let writer = Writer::new(config, disk.clone(), clock, chance);
        let archive = Self {
            disk: disk.clone(),
            layout: layout.clone(),
            writer,
            file: None,
            full: Vec::new(),
            durable: 0,
            head: Vec::new(),
            duplicates,
        };
        Ok((archive, repaired))
    }

    /// Appends a page's records; none where the page has nothing to archive. Not durable yet.
    ///
    /// # Errors
    /// The disk's, or a body that cannot be read back: nothing of the page is left in the archive then.
    pub fn keep(&mut self, parsed: &ParsedPage) -> Result<Option<Kept>, StoreError> {
        let page = &parsed.page;
        let Some(exchange) = page.exchange.as_deref().filter(|_| is_archived(parsed)) else {
            return Ok(None);
        };
        self.begin()?;
        let digest = Digest::of_body(&exchange.body).map_err(StoreError::Body)?;
        let not_modified = page.verdict.outcome == Outcome::NotModified;
        let compares = is_comparable(exchange);
        // What a 304 stands for: its payload is the earlier one's.
        let told = not_modified_since(parsed)
            .and_then(|earlier| Some((earlier, Digest::parse(&earlier.digest)?)));
        let stands_for = told.map(|(earlier, _)| earlier);
        let body_digest = digest;
        let digest = told.map_or(digest, |(_, digest)| digest);
        let refreshed = page.queued.earlier.as_deref();
        let refreshed = refreshed.filter(|earlier| {
            stands_for.is_some() || compares && Digest::parse(&earlier.digest) == Some(digest)
        });
        // A payload is left out only where its record is in this folder; that of another node's may get lost.
        let before = refreshed.filter(|earlier| self.layout.warc(&earlier.warc).is_some());
        let same_as = match before.map(first_of) {
            Some(first) => Some(first),
            None => compares.then(|| self.duplicates.find(&digest)).flatten(),
        };
        let (id, request_id) = (self.writer.draw_id(), self.writer.draw_id());
        let protocols = [protocol(exchange.version)];
        let mut head = std::mem::take(&mut self.head);
        answer_head(&mut head, exchange);
        let header = |name| exchange.headers.get(name).map(http::HeaderValue::as_bytes);
        let (coding, named) = (
            header(http::header::CONTENT_ENCODING),
            header(http::header::CONTENT_TYPE),
        );
        let refers = match (&same_as, stands_for.or(before)) {
            (_, _) if not_modified => Some(Refers {
                profile: NOT_MODIFIED,
                first: stands_for.map(|earlier| (&*earlier.url, &*earlier.date)),
                id: stands_for.map(|earlier| &*earlier.record),
            }),
            (Some(first), earlier) => Some(Refers {
                profile: SAME_PAYLOAD,
                first: Some((&first.url, &first.ts)),
                id: earlier.map(|earlier| &*earlier.record),
            }),
            (None, _) => None,
        };
        let kind = match refers {
            Some(_) => Kind::Revisit,
            None => Kind::Response,
        };
        let response = Record {
            target: Some(page.url.as_str()),
            ip: exchange.remote.map(|remote| remote.ip()),
            protocols: &protocols,
            identified: parsed.facts.mime.as_deref(),
            truncated: exchange.cut.map(truncated),
            refers,
            payload_digest: Some(digest),
            body: Some(&exchange.body).filter(|body| !body.is_empty() && same_as.is_none()),
            packing: match same_as {
                Some(_) => Packing::Deflate,
                None => Packing::of(coding, named),
            },
            ..Record::new(
                kind,
                id,
                page.began,
                "application/http; msgtype=response",
                &head,
            )
        };
        let request = Record {
            target: Some(page.url.as_str()),
            concurrent_to: Some(id),
            ip: response.ip,
            protocols: &protocols,
            packing: REQUEST_PACKING,
            ..Record::new(
                Kind::Request,
                request_id,
                page.began,
                "application/http; msgtype=request",
                &exchange.request_head,
            )
        };
        let rights_block = rights(parsed);
        let mut records = vec![response, request];
        if !rights_block.is_empty() {
            records.push(Record {
                target: Some(page.url.as_str()),
                concurrent_to: Some(id),
                ..Record::new(
                    Kind::Metadata,
                    self.writer.draw_id(),
                    page.began,
                    "application/warc-fields",
                    &rights_block,
                )
            });
        }
        let wrote = self.writer.append(&records);
        self.head = head;
        let spans = wrote?;
        let (Some((name, pieces)), Some(span)) = (&mut self.file, spans.first().copied()) else {
            return Ok(None);
        };
        let mime = match kind {
            Kind::Revisit => Some("warc/revisit".to_owned()),
            _ => named.map(cdx::mime_of),
        };
        if compares && !not_modified && same_as.is_none() {
            let first = First {
                url: page.url.as_str().into(),
                ts: stamp::iso(page.began).into(),
                warc: (**name).into(),
                offset: span.offset,
            };
            self.duplicates.add(digest, first);
        }
        pieces.add(
            &Line {
                url: page.url.as_str(),
                time: &stamp::digits14(page.began),
                mime: mime.as_deref(),
                status: Some(exchange.status.as_str()),
                digest: &digest.to_string(),
                length: span.length,
                offset: span.offset,
                file: name,
            }
            .write(),
        )?;
        let bytes = spans.iter().map(|span| span.length).sum();
        Ok(Some(Kept {
            file: name.clone(),
            span,
            bytes,
            digest,
            same_as,
            change: Change::of_page(parsed, Some(&body_digest)),
        }))
    }

    /// Appends what is known of an answer that may not be kept: a metadata record, without a byte of the body. Gives
    /// the bytes it added to the archive; 0 where the page is none of these. It is no capture: no index has it.
    ///
    /// # Errors
    /// The disk's.
    pub fn note(&mut self, parsed: &ParsedPage) -> Result<u64, StoreError> {
        let page = &parsed.page;
        let Some(exchange) = page.exchange.as_deref().filter(|_| is_noted(parsed)) else {
            return Ok(0);
        };
        self.begin()?;
        let protocols = [protocol(exchange.version)];
        let block = noted(parsed, exchange);
        let record = Record {
            target: Some(page.url.as_str()),
            ip: exchange.remote.map(|remote| remote.ip()),
            protocols: &protocols,
            identified: parsed.facts.mime.as_deref(),
            ..Record::new(
                Kind::Metadata,
                self.writer.draw_id(),
                page.began,
                "application/warc-fields",
                &block,
            )
        };
        let spans = self.writer.append(&[record])?;
        Ok(spans.iter().map(|span| span.length).sum())
    }

    /// Sees that there is a file that takes records, with its index.
    fn begin(&mut self) -> Result<(), StoreError> {
        if self.writer.is_full() {
            self.retire()?;
        }
        if self.file.is_none() {
            let name: Arc<str> = self.writer.file()?.into();
            let pieces = Pieces::begin(&self.disk, &self.layout.pieces(), &name)?;
            self.file = Some((name, pieces));
        }
        Ok(())
    }

    /// Sets the file aside to be sealed with the next sync; the next page begins another.
    ///
    /// # Errors
    /// The disk's.
    pub fn retire(&mut self) -> Result<(), StoreError> {
        let Some(sealing) = self.writer.take()? else {
            return Ok(());
        };
        self.durable = 0;
        let finished = self
            .file
            .take()
            .map(|(_, pieces)| pieces.finish())
            .transpose();
        let (pieces, result) = match finished {
            Ok(pieces) => (pieces, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.full.push(Full { sealing, pieces });
        result
    }

    /// Gives all to the system and says what makes it durable.
    ///
    /// # Errors
    /// The disk's.
    pub fn to_sync(&mut self) -> Result<ArchiveSync, StoreError> {
        self.writer.flush()?;
        Ok(ArchiveSync {
            disk: self.disk.clone(),
            full: std::mem::take(&mut self.full),
            current: self.writer.to_sync(),
        })
    }

    /// Notes that a sync has succeeded.
    pub fn synced(&mut self, file: Option<(PathBuf, u64)>) {
        let current = self.writer.to_sync();
        if let (Some((path, upto)), Some(current)) = (file, current)
            && path == current.path()
        {
            self.durable = self.durable.max(upto);
        }
    }

    /// After a failed flush or sync: what is not durable is given up, and the file is left to the next repair.
    pub fn abandon(&mut self) {
        self.writer.abandon(self.durable);
        self.file = None;
        self.durable = 0;
        self.full.clear();
        self.duplicates.clear();
    }
}

/// The record that has the payload of an earlier capture.
fn first_of(earlier: &Earlier) -> First {
    First {
        url: earlier.url.clone(),
        ts: earlier.date.clone(),
        warc: earlier.warc.clone(),
        offset: earlier.offset,
    }
}

/// Requests are small: packing them saves a few hundred bytes each and costs more than the rest of the record.
const REQUEST_PACKING: Packing = Packing::Stored;

/// A page is archived when it is decided, and its answer may be kept.
fn is_archived(parsed: &ParsedPage) -> bool {
    is_decided(parsed) && parsed.page.verdict.outcome != Outcome::DirectiveRefused
}

/// A page's metadata is kept when it is decided, and its answer may not be kept.
fn is_noted(parsed: &ParsedPage) -> bool {
    is_decided(parsed) && parsed.page.verdict.outcome == Outcome::DirectiveRefused
}

fn is_decided(parsed: &ParsedPage) -> bool {
    parsed.page.verdict.fate == Fate::Done || !matches!(parsed.page.place, Place::Queue(_))
}

/// The block of a metadata record: `via` and `fetchTimeMs` are Heritrix' names, the others those of the ledger.
fn noted(parsed: &ParsedPage, exchange: &Exchange) -> Vec<u8> {
    let page = &parsed.page;
    let mut block = Vec::with_capacity(256);
    let mut field = |name: &str, value: Option<&[u8]>| {
        if let Some(value) = value {
            http_head::field(&mut block, name.as_bytes(), value);
        }
    };
    field("via", page.queued.via.as_deref().map(str::as_bytes));
    let took = contract::clock::millis(exchange.took).to_string();
    field("fetchTimeMs", Some(took.as_bytes()));
    field("outcome", Some(page.verdict.outcome.code().as_bytes()));
    field("detail", page.verdict.detail.as_deref().map(str::as_bytes));
    field("robots", parsed.facts.robots.as_deref().map(str::as_bytes));
    field("status", Some(exchange.status.as_str().as_bytes()));
    field("size", Some(exchange.body.len().to_string().as_bytes()));
    let mime = exchange.headers.get(http::header::CONTENT_TYPE);
    field("mime", mime.map(http::HeaderValue::as_bytes));
    block.extend(rights(parsed));
    block
}

/// What site and page say of the page's use, a field each; empty where they say nothing.
fn rights(parsed: &ParsedPage) -> Vec<u8> {
    let mut block = Vec::new();
    for statement in &parsed.facts.rights {
        http_head::field(&mut block, b"rights", statement.to_string().as_bytes());
    }
    block
}

fn answer_head(head: &mut Vec<u8>, exchange: &Exchange) {
    head.clear();
    // What came over HTTP/2 is told in the words of HTTP/1.1, which is all that archives know; WARC-Protocol
    // says how it came.
    let version = if exchange.version == Version::HTTP_10 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    http_head::status_line(head, version, exchange.status.as_u16(), &exchange.reason);
    let fields = exchange
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    http_head::answer_fields(head, fields, exchange.body.len());
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "http/0.9",
        Version::HTTP_10 => "http/1.0",
        Version::HTTP_2 => "h2",
        Version::HTTP_3 => "h3",
        _ => "http/1.1",
    }
}

fn truncated(cut: Cut) -> Truncated {
    match cut {
        Cut::Length => Truncated::Length,
        Cut::Time => Truncated::Time,
        Cut::Disconnect => Truncated::Disconnect,
    }
}

fn unsealed(folder: &std::path::Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| StoreError::disk("list", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.to_string_lossy().ends_with(OPEN_SUFFIX) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Repairs a file and makes its index again from its records.
fn repair_with_index(
    disk: &Disk,
    layout: &Layout,
    path: &std::path::Path,
) -> Result<Repaired, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = name.strip_suffix(OPEN_SUFFIX).unwrap_or(&name).to_owned();
    let index = std::cell::RefCell::new(Some(Pieces::begin(disk, &layout.pieces(), &file)?));
    repair(
        disk,
        path,
        &mut |entry| match (cdx::line_of(entry, &file), index.borrow_mut().as_mut()) {
            (Some(line), Some(pieces)) => pieces.add(&line),
            _ => Ok(()),
        },
        &mut || {
            let done = index.take().map_or(Ok(Vec::new()), Pieces::finish)?;
            pieces::sync(disk, &done)
        },
    )
}

/// A sync of the archive to be done: blocks.
#[derive(Debug)]
pub struct ArchiveSync {
    disk: Disk,
    full: Vec<Full>,
    current: Option<ToSync>,
}

impl ArchiveSync {
    /// The open file, and its length that this sync makes durable.
    pub fn current(&self) -> Option<(PathBuf, u64)> {
        self.current
            .as_ref()
            .map(|sync| (sync.path().to_owned(), sync.upto()))
    }

    /// Makes every record appended so far durable.
    ///
    /// # Errors
    /// The disk's: nobody knows then which of them are.
    pub fn run(&self) -> Result<(), StoreError> {
        for full in &self.full {
            full.sealing.sync()?;
        }
        self.current.as_ref().map_or(Ok(()), ToSync::run)
    }

    /// Seals the full files, once they are durable, and gives their paths.
    ///
    /// # Errors
    /// The disk's: the records are safe all the same, their file is sealed by the next start.
    pub fn seal(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut sealed = Vec::new();
        for full in &self.full {
            let Some(pieces) = &full.pieces else { continue };
            pieces::sync(&self.disk, pieces)?;
            sealed.push(full.sealing.seal()?);
        }
        Ok(sealed)
    }
}

//! The group commit: many pages, one sync.
//!
//! Pages are appended as they come; a group is made durable by one sync of the archive and one of the ledger, and
//! then settled by one batch. While a group syncs elsewhere ([`Job::run`] blocks), the next one fills. A plain
//! state machine: it knows no actor and no clock. Invariants: a ledger line is written only after its record is
//! on the disk; a settle comes out only after its line is; one job runs at a time. Start at [`Store::add`].

use std::io;

use contract::clock::{Boot, Chance, Clock};
use contract::keep::ParsedPage;
use contract::page::{Fate, PageLife};
use contract::settle::{Settle, settle_of};

use crate::archive::{Archive, ArchiveSync};
use crate::config::StorageConfig;
use crate::disk::Disk;
use crate::duplicates::{self, Duplicates};
use crate::error::StoreError;
use crate::jsonl::Logs;
use crate::layout::Layout;
use crate::ledger::{self, LedgerReader};
use crate::pages;
use crate::refused::Written;
use crate::warc::repair::Repaired;
use crate::warc::writer::WriterConfig;

/// A page that is appended and not durable yet, with whatever its sender waits by.
#[derive(Debug)]
pub struct Waiting<S> {
    pub settle: Settle,
    pub life: PageLife,
    pub slot: S,
}

/// When the next sync is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing waits, or a sync is running.
    No,
    /// At this moment, unless more pages come.
    At(Boot),
    Now,
}

/// The job of a group, and the group that waits for it.
pub type Begun<S> = (Job, Vec<Waiting<S>>);

/// What was found when the folder was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    pub repaired: Vec<Repaired>,
    /// Bytes of torn last lines that were cut off.
    pub torn: u64,
}

/// What became of a page that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Bytes it added to the archive; none when it was not archived.
    pub bytes: Option<u64>,
}

/// Archive, ledger and page list of one folder.
#[derive(Debug)]
pub struct Store<S> {
    config: StorageConfig,
    archive: Archive,
    /// Away while a job runs.
    logs: Option<Logs>,
    ledger_lines: Vec<u8>,
    page_lines: Vec<u8>,
    group: Vec<Waiting<S>>,
    first: Boot,
    written: Written,
    chance: Chance,
}

impl<S> Store<S> {
    /// Opens a folder, repairing what a crash has left. Waits while a job of a former owner in this process runs.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        config: StorageConfig,
        layout: &Layout,
        disk: &Disk,
        warc: WriterConfig,
        clock: Clock,
        mut chance: Chance,
    ) -> Result<(Self, Opened), StoreError> {
        for path in [layout.ledger(), layout.pages()] {
            disk.folder(path.parent().unwrap_or(layout.root()))?;
        }
        let (mut logs, torn) = Logs::open(disk, layout)?;
        if logs.pages.end() == 0 {
            logs.pages
                .buffer()
                .extend_from_slice(pages::HEADER.as_bytes());
            logs.pages.flush()?;
        }
        let (archive, repaired) = Archive::open(
            disk,
            layout,
            warc,
            known(layout)?,
            clock,
            Chance::seeded(chance.draw()),
        )?;
        let store = Self {
            config,
            archive,
            logs: Some(logs),
            ledger_lines: Vec::new(),
            page_lines: Vec::new(),
            group: Vec::new(),
            first: Boot(0),
            written: Written::new(chance.draw()),
            chance,
        };
        Ok((store, Opened { repaired, torn }))
    }

    /// Appends a page to the group that fills.
    ///
    /// # Errors
    /// The disk's: the page is dropped, which ends its life unsettled, and comes again.
    pub fn add(&mut self, parsed: ParsedPage, slot: S, now: Boot) -> Result<Added, StoreError> {
        let kept = self.archive.keep(&parsed)?;
        let noted = self.archive.note(&parsed)?;
        let unwritable = |error| StoreError::NotDurable(format!("a ledger line: {error}"));
        let start = self.ledger_lines.len();
        let lines =
            ledger::of_page(&mut self.ledger_lines, &parsed, kept.as_ref()).and_then(|()| {
                for link in &parsed.refused {
                    if self.written.is_first(link) {
                        ledger::of_refused(&mut self.ledger_lines, &parsed.page, link)?;
                    }
                }
                Ok(())
            });
        if let Err(error) = lines {
            self.ledger_lines.truncate(start);
            return Err(unwritable(error));
        }
        if let Some(kept) = kept
            .as_ref()
            .filter(|_| parsed.page.verdict.fate == Fate::Done)
        {
            pages::of_page(&mut self.page_lines, &parsed, kept, &mut self.chance)
                .map_err(unwritable)?;
        }
        if self.group.is_empty() {
            self.first = now;
        }
        let bytes = kept.map(|kept| kept.bytes);
        let (settle, life) = settle_of(parsed, bytes.is_some(), bytes.unwrap_or(noted));
        self.group.push(Waiting { settle, life, slot });
        Ok(Added { bytes })
    }

    /// When [`Store::begin`] is to be called, while `settling` pages of earlier groups wait for the frontier's answer.
    /// No group waits for pages that nobody works on: a host whose lease has ended gets no other before its last
    /// pages are settled. While a job runs the group grows beyond its usual size; the slots of the arrow bound it.
    pub fn due(&self, settling: usize) -> Due {
        let Some(last) = self.group.last().filter(|_| !self.is_busy()) else {
            return Due::No;
        };
        let elsewhere = usize::try_from(last.life.in_ring())
            .unwrap_or(0)
            .saturating_sub(self.group.len() + settling);
        if self.group.len() >= self.config.group_pages_max || elsewhere == 0 {
            Due::Now
        } else {
            Due::At(
                self.first
                    .after(std::time::Duration::from_millis(self.config.group_wait_ms)),
            )
        }
    }

    /// True while a job runs.
    pub fn is_busy(&self) -> bool {
        self.logs.is_none()
    }

    /// True when no page waits here and no job runs.
    pub fn is_idle(&self) -> bool {
        self.group.is_empty() && !self.is_busy()
    }

    /// Refused links that were not written again.
    pub fn repeats(&self) -> u64 {
        self.written.repeats()
    }

    /// Takes the group that has filled and the job that makes it durable; none while another job runs. With
    /// `seal` the open file is sealed too, also when no page waits.
    ///
    /// # Errors
    /// The disk's: the group's pages are dropped, and come again.
    pub fn begin(&mut self, seal: bool) -> Result<Option<Begun<S>>, StoreError> {
        let Some(logs) = self.logs.take() else {
            return Ok(None);
        };
        let sync =
            if seal { self.archive.retire() } else { Ok(()) }.and_then(|()| self.archive.to_sync());
        match sync {
            Ok(archive) => {
                let job = Job {
                    logs,
                    archive,
                    ledger_lines: std::mem::take(&mut self.ledger_lines),
                    page_lines: std::mem::take(&mut self.page_lines),
                };
                Ok(Some((job, std::mem::take(&mut self.group))))
            }
            Err(error) => {
                self.logs = Some(logs);
                self.give_up();
                Err(error)
            }
        }
    }

    /// Takes a job's end. If it failed, the group that has filled meanwhile is dropped with the job's own: its
    /// records lie behind those that nobody knows the disk to have.
    ///
    /// # Errors
    /// Why the job's group is not durable: its pages must be dropped, and come again.
    pub fn end(&mut self, done: Done) -> Result<Durable, StoreError> {
        self.logs = Some(done.logs);
        match done.result {
            Ok(durable) => {
                self.archive.synced(done.file);
                Ok(durable)
            }
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    fn give_up(&mut self) {
        self.archive.abandon();
        self.ledger_lines.clear();
        self.page_lines.clear();
        self.group.clear();
    }
}

/// The payloads that the end of the ledger tells of.
fn known(layout: &Layout) -> Result<Duplicates, StoreError> {
    let path = layout.ledger();
    let failed = |error| StoreError::disk("read", &path, error);
    let mut ledger = LedgerReader::open_tail(&path, duplicates::LEDGER_BYTES).map_err(failed)?;
    let mut known = Duplicates::default();
    loop {
        match ledger.next_entry() {
            Ok(Some(entry)) => known.add_line(entry),
            Ok(None) => return Ok(known),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// What makes a group durable. Runs on a thread that may block.
#[derive(Debug)]
pub struct Job {
    logs: Logs,
    archive: ArchiveSync,
    ledger_lines: Vec<u8>,
    page_lines: Vec<u8>,
}

/// A job's end, to be handed to [`Store::end`].
#[derive(Debug)]
pub struct Done {
    logs: Logs,
    file: Option<(std::path::PathBuf, u64)>,
    result: Result<Durable, StoreError>,
}

/// A group is durable.
#[derive(Debug)]
pub struct Durable {
    /// WARC files that were sealed.
    pub sealed: Vec<std::path::PathBuf>,
    /// What went wrong after the group was durable: a file not sealed, a page list not written.
    pub trouble: Option<StoreError>,
}

impl Job {
    /// Blocks until the group is durable: records first, then the ledger.
    pub fn run(mut self) -> Done {
        let file = self.archive.current();
        let start = self.logs.ledger.end();
        let synced = self.archive.run().and_then(|()| {
            self.logs
                .ledger
                .buffer()
                .extend_from_slice(&self.ledger_lines);
            self.logs.ledger.flush()?;
            self.logs.ledger.to_sync().run()
        });
        let result = match synced {
            Ok(()) => {
                let sealed = self.archive.seal();
                let listed = self.list();
                let (sealed, trouble) = match (sealed, listed) {
                    (Ok(sealed), listed) => (sealed, listed.err()),
                    (Err(error), _) => (Vec::new(), Some(error)),
                };
                Ok(Durable { sealed, trouble })
            }
            Err(error) => {
                // What cannot be cut either is read as lines of pages that come again, or as a torn last line.
                let _comes_again = self.logs.ledger.cut(start);
                Err(error)
            }
        };
        Done {
            logs: self.logs,
            file,
            result,
        }
    }

    fn list(&mut self) -> Result<(), StoreError> {
        let start = self.logs.pages.end();
        self.logs.pages.buffer().extend_from_slice(&self.page_lines);
        let wrote = self.logs.pages.flush();
        if wrote.is_err() {
            self.logs.pages.cut(start)?;
        }
        wrote
    }
}

#[cfg(test)]
mod tests;

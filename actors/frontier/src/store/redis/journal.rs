//! Pages that are durable in the archive and could not be settled because their shards were away.
//!
//! Owns one file of this node, bounded ([`BYTES_MAX`]): a row for each page, with its length and check sum, synced before
//! the page counts as settled. When the store answers again the rows are settled, in order, before anything is claimed;
//! a row whose lease has ended meanwhile is refused by its token, and its links are in all the same. A full journal
//! takes no more: then pages wait in the ring, and the node stops leasing. Invariant: a page that `append` answered is
//! settled or refused, whatever happens to this process. Start at [`Journal::append`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::canonical::Fingerprint;
use contract::codec::{self, CodecError};
use contract::host::{Host, Origin};
use contract::lease::Token;
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::robots::RobotsRecord;
use contract::settle::{Settle, Settles};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;

/// Bytes of a journal at most.
const BYTES_MAX: u64 = 64 << 20;
/// Rows settled at once.
const ROWS_TOGETHER: usize = 64;
const VERSION: u8 = 1;

/// See the module.
pub(super) struct Journal {
    path: PathBuf,
    file: Arc<tokio::sync::Mutex<File>>,
    pages: AtomicU64,
    bytes: AtomicU64,
}

/// A page, version 1.
#[derive(Serialize, Deserialize)]
struct Row {
    host: String,
    token: u64,
    via: String,
    what: What,
    links: Vec<LinkRow>,
}

#[derive(Serialize, Deserialize)]
enum What {
    Url {
        position: u32,
        outcome: Outcome,
        fate: FateRow,
        kept: bool,
        bytes: u64,
    },
    Robots {
        https: bool,
        host: String,
        port: u16,
        record: RobotsRecord,
    },
    Beside,
}

#[derive(Serialize, Deserialize)]
enum FateRow {
    Done,
    Retry { tries: u8, rest_us: u64 },
    Return,
}

#[derive(Serialize, Deserialize)]
struct LinkRow {
    host: String,
    url: String,
    fingerprint: u64,
    kind: LinkKind,
    depth: u16,
    hops: u8,
}

impl Journal {
    /// Opens the file, or makes it; what a crash left half written at its end is cut off.
    pub(super) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let failed = failed_at(&path);
        let at = path.clone();
        let opened = blocking(move || {
            if let Some(folder) = at.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&at)?;
            let (rows, whole) = read(&mut file)?;
            file.set_len(whole)?;
            Ok((file, rows.len(), whole))
        });
        let (file, rows, bytes) = opened.await.map_err(failed)?;
        if rows > 0 {
            info!(pages = rows, "pages of an earlier run are settled first");
        }
        Ok(Self {
            path,
            file: Arc::new(tokio::sync::Mutex::new(file)),
            pages: AtomicU64::new(u64::try_from(rows).unwrap_or(0)),
            bytes: AtomicU64::new(bytes),
        })
    }

    /// Pages that wait in it.
    pub(super) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Acquire)
    }

    /// Writes pages down, durably.
    ///
    /// # Errors
    /// [`StoreError::Refusing`] when it is full; a disk that refuses.
    pub(super) async fn append(&self, settles: &[&Settle]) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for settle in settles {
            let row = codec::encode(VERSION, &Row::of(settle)).map_err(unwritable)?;
            rows.extend(u32::try_from(row.len()).unwrap_or(u32::MAX).to_le_bytes());
            rows.extend(xxh3_64(&row).to_le_bytes());
            rows.extend(row);
        }
        let more = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if self.bytes.load(Ordering::Acquire).saturating_add(more) > BYTES_MAX {
            return Err(StoreError::Refusing("away, and the journal is full"));
        }
        let file = self.file.clone().lock_owned().await;
        let written = blocking(move || {
            let mut file = file;
            file.write_all(&rows)?;
            file.sync_data()
        });
        written.await.map_err(failed_at(&self.path))?;
        let count = u64::try_from(settles.len()).unwrap_or(0);
        self.pages.fetch_add(count, Ordering::AcqRel);
        self.bytes.fetch_add(more, Ordering::AcqRel);
        warn!(
            pages = count,
            "the shared frontier is away: pages go into the journal"
        );
        Ok(())
    }

    /// Gives all rows to `settle`, which says whether it took them; forgets them when it took all.
    pub(super) async fn replay(
        &self,
        mut settle: impl AsyncFnMut(&[Settle]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let file = self.file.clone().lock_owned().await;
        let failed = failed_at(&self.path);
        let at = self.path.clone();
        let read = blocking(move || read(&mut File::open(at)?));
        let (rows, _) = read.await.map_err(&failed)?;
        for rows in rows.chunks(ROWS_TOGETHER) {
            let settles = rows.iter().map(|row| {
                let row: Row = codec::decode(VERSION, row).map_err(unwritable)?;
                Ok(row.settle())
            });
            let settles: Vec<Settle> = settles.collect::<Result<_, StoreError>>()?;
            if !settle(&settles).await? {
                return Ok(());
            }
        }
        let emptied = blocking(move || {
            file.set_len(0)?;
            file.sync_data()?;
            Ok(file)
        });
        // The lock is held until the counts agree with the file.
        let _file = emptied.await.map_err(&failed)?;
        let count = self.pages.swap(0, Ordering::AcqRel);
        self.bytes.store(0, Ordering::Release);
        info!(pages = count, "the journal is settled");
        Ok(())
    }
}

/// Whole rows, and up to where the file holds them.
fn read(file: &mut File) -> io::Result<(Vec<Vec<u8>>, u64)> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (mut rows, mut at) = (Vec::new(), 0);
    while let Some((head, rest)) = bytes[at..].split_at_checked(12) {
        let (length, sum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        let Some(row) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
        else {
            break;
        };
        if xxh3_64(row).to_le_bytes() != *sum {
            break;
        }
        rows.push(row.to_vec());
        at += 12 + row.len();
    }
    Ok((rows, u64::try_from(at).unwrap_or(0)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn failed_at(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Folder {
        path: path.clone(),
        source,
    }
}

fn unwritable(source: CodecError) -> StoreError {
    StoreError::Value {
        what: "page of the journal",
        source,
    }
}

impl Row {
    fn of(settle: &Settle) -> Self {
        let what = match &settle.what {
            Settles::Beside => What::Beside,
            Settles::Robots { origin, record } => What::Robots {
                https: origin.https,
                host: origin.host.to_string(),
                port: origin.port,
                record: (**record).clone(),
            },
            &Settles::Url {
                position,
                outcome,
                fate,
                kept,
                bytes,
            } => What::Url {
                position,
                outcome,
                fate: match fate {
                    Fate::Done => FateRow::Done,
                    Fate::Retry { tries, rest } => FateRow::Retry {
                        tries,
                        rest_us: contract::clock::micros(rest),
                    },
                    Fate::Return => FateRow::Return,
                },
                kept,
                bytes,
            },
        };
        Self {
            host: settle.host.to_string(),
            token: settle.token.0,
            via: settle.via.to_string(),
            what,
            links: settle.links.iter().map(LinkRow::of).collect(),
        }
    }

    fn settle(self) -> Settle {
        let what = match self.what {
            What::Beside => Settles::Beside,
            What::Robots {
                https,
                host,
                port,
                record,
            } => Settles::Robots {
                origin: Origin {
                    https,
                    host: Host::from_stored(&host),
                    port,
                },
                record: Box::new(record),
            },
            What::Url {
                position,
                outcome,
                fate,
                kept,
                bytes,
            } => Settles::Url {
                position,
                outcome,
                fate: match fate {
                    FateRow::Done => Fate::Done,
                    FateRow::Retry { tries, rest_us } => Fate::Retry {
                        tries,
                        rest: Duration::from_micros(rest_us),
                    },
                    FateRow::Return => Fate::Return,
                },
                kept,
                bytes,
            },
        };
        Settle {
            host: Host::from_stored(&self.host),
            token: Token(self.token),
            what,
            via: self.via.into(),
            links: self.links.into_iter().map(LinkRow::link).collect(),
            read: None,
        }
    }
}

impl LinkRow {
    fn of(link: &Link) -> Self {
        Self {
            host: link.host.to_string(),
            url: link.url.to_string(),
            fingerprint: link.fingerprint.0,
            kind: link.kind,
            depth: link.depth,
            hops: link.hops,
        }
    }

    fn link(self) -> Link {
        Link {
            host: Host::from_stored(&self.host),
            url: self.url.into(),
            fingerprint: Fingerprint(self.fingerprint),
            kind: self.kind,
            depth: self.depth,
            hops: self.hops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Wall;
    use contract::robots::RobotsAnswer;

    fn settles() -> Vec<Settle> {
        let host = Host::from_stored("a.test");
        let link = Link {
            host: Host::from_stored("b.test"),
            url: "http://b.test/".into(),
            fingerprint: Fingerprint(u64::MAX),
            kind: LinkKind::Embed,
            depth: 300,
            hops: 1,
        };
        let url = |position, fate| Settles::Url {
            position,
            outcome: Outcome::Ok,
            fate,
            kept: true,
            bytes: 7,
        };
        let rest = Duration::from_micros(5);
        let origin = Origin {
            https: true,
            host: host.clone(),
            port: 8443,
        };
        let record = Box::new(RobotsRecord {
            answer: RobotsAnswer::Unavailable { status: 404 },
            fetched: Wall(3),
            failures: 0,
        });
        let whats = [
            url(0, Fate::Done),
            url(1, Fate::Retry { tries: 2, rest }),
            url(2, Fate::Return),
            Settles::Robots { origin, record },
            Settles::Beside,
        ];
        let settle = |what| Settle {
            host: host.clone(),
            token: Token(9),
            what,
            via: "http://a.test/x".into(),
            links: vec![link.clone()],
            read: None,
        };
        whats.into_iter().map(settle).collect()
    }

    #[tokio::test]
    async fn what_was_written_down_is_settled_after_a_crash_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node").join("settles");
        let settles = settles();
        let all: Vec<&Settle> = settles.iter().collect();
        let journal = Journal::open(path.clone()).await.unwrap();
        journal.append(&all[..2]).await.unwrap();
        journal.append(&all[2..]).await.unwrap();
        drop(journal);
        // A crash in the middle of the next row.
        let torn = std::fs::read(&path).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&torn[..30]).unwrap();
        let journal = Journal::open(path.clone()).await.unwrap();
        assert_eq!(journal.pages(), 5);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), torn.len() as u64);
        journal.replay(async |_| Ok(false)).await.unwrap();
        assert_eq!(journal.pages(), 5, "the store is still away");
        let mut seen = String::new();
        let take = async |rows: &[Settle]| {
            seen.push_str(&format!("{rows:?}"));
            Ok(true)
        };
        journal.replay(take).await.unwrap();
        assert_eq!(seen, format!("{settles:?}"));
        assert_eq!(journal.pages(), 0);
        assert_eq!(Journal::open(path).await.unwrap().pages(), 0);
    }

    #[tokio::test]
    async fn a_full_journal_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("settles")).await.unwrap();
        journal.bytes.store(BYTES_MAX, Ordering::Release);
        let settles = settles();
        let refused = journal.append(&[&settles[0]]).await.unwrap_err();
        assert!(refused.may_pass(), "{refused}");
        assert_eq!(journal.pages(), 0);
    }
}

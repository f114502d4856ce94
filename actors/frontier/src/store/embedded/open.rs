//! Opening the embedded store: whose folder it is, whether this program may read it, and what a crash left.
//!
//! Owns the lock, the facts that a store is made with, and the recovery of leases. A new store is made beside and
//! renamed, so that a crash leaves either none or a whole one. Invariant: nothing is deleted that was ever
//! acknowledged; what cannot be read is refused with what, where and what to do.

use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use contract::canonical::CANONICAL_VERSION;
use contract::fault::FailPlan;
use contract::guarded::Panicked;
use contract::host::PSL_VERSION;
use serde::{Deserialize, Serialize};

use super::EmbeddedOptions;
use super::disk::{Counters, Disk};
use super::moving::UNFINISHED;
use super::seen::{Seen, SeenOptions};
use super::work::{RUNS, Work};
use crate::error::StoreError;
use crate::events;
use crate::store::machine::host::HostState;
use crate::store::machine::schedule::Schedule;
use crate::store::time::StoreTime;

/// Version of the store's keys and values as a whole. Of version 2 are folders whose queue's rows hold one URL each: they are
/// read as they are.
const SCHEMA_VERSION: u16 = 3;
const SCHEMA_READ: u16 = 2;
/// The engine's folder, and where a new one is made.
const STORE: &str = "store";
const STORE_NEW: &str = "store.new";
/// The folder of the seen set's runs.
const SEEN: &str = "seen";
/// The file that the engine leaves in every whole database.
const ENGINE_MARK: &str = "version";
/// Hosts whose leases are taken back in one commit.
const RECOVERED_TOGETHER: usize = 1_000;

/// What a store is made with and never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    canonical: u16,
    psl: String,
    pub(super) seed: u64,
}

/// Holds the folder against other processes until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held for its Drop")] File);

fn folder_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Folder { path, source }
}

fn lock(folder: &Path) -> Result<FolderLock, StoreError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(folder_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::Folder { path, source }),
    }
}

/// Opens the engine; whatever it makes of foreign bytes becomes an error.
fn open_disk(path: &Path, memory: u64, fail: FailPlan) -> Result<Disk, StoreError> {
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    match catch_unwind(AssertUnwindSafe(|| Disk::open(path, memory, fail))) {
        Ok(Ok(disk)) => Ok(disk),
        Ok(Err(StoreError::Engine(fjall::Error::Locked))) => Err(StoreError::Locked {
            path: path.to_path_buf(),
        }),
        Ok(Err(StoreError::Write(source))) => match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                Err(damaged(source.to_string()))
            }
            _ => Err(folder_error(path)(source)),
        },
        Ok(Err(StoreError::Engine(error))) => Err(damaged(error.to_string())),
        Ok(Err(other)) => Err(other),
        Err(payload) => Err(damaged(Panicked::caught(payload.as_ref()).to_string())),
    }
}

/// Makes a new store beside and puts it in place whole.
fn create(folder: &Path, store: &Path, options: &EmbeddedOptions) -> Result<(), StoreError> {
    let new = folder.join(STORE_NEW);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(folder_error(&new)(error));
        }
        _ => {}
    }
    let disk = open_disk(&new, options.memory_bytes, FailPlan::none())?;
    let facts = Facts {
        canonical: CANONICAL_VERSION,
        psl: PSL_VERSION.to_owned(),
        seed: options.fingerprint_seed,
    };
    let mut batch = disk.batch();
    disk.put_meta(&mut batch, "schema", &SCHEMA_VERSION)?;
    disk.put_meta(&mut batch, "facts", &facts)?;
    disk.put_meta(&mut batch, "counters", &Counters::default())?;
    disk.commit(batch)?;
    disk.flush()?;
    drop(disk);
    fs::rename(&new, store).map_err(folder_error(store))?;
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(folder_error(folder))
}

/// Reads what a store was made with and refuses what this program cannot go on with.
fn check_facts(disk: &Disk, path: &Path) -> Result<Facts, StoreError> {
    let path = || PathBuf::from(path);
    let missing = |what: &str| StoreError::Damaged {
        path: path(),
        what: format!("it has no {what}"),
    };
    let found: u16 = disk.meta("schema")?.ok_or_else(|| missing("schema"))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema {
            path: path(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    let other = |what, found: String, known: String| StoreError::OtherRules {
        path: path(),
        what,
        found,
        known,
    };
    if found < SCHEMA_READ {
        let (found, known) = (found.to_string(), SCHEMA_VERSION.to_string());
        return Err(other("schema", found, known));
    }
    let facts: Facts = disk.meta("facts")?.ok_or_else(|| missing("facts"))?;
    if facts.canonical != CANONICAL_VERSION {
        let (found, known) = (facts.canonical.to_string(), CANONICAL_VERSION.to_string());
        return Err(other("URL comparison version", found, known));
    }
    if disk.meta(UNFINISHED)? == Some(true) {
        return Err(StoreError::Damaged {
            path: path(),
            what: "taking a crawl in was not finished".to_owned(),
        });
    }
    if facts.psl != PSL_VERSION {
        let (found, known) = (facts.psl, PSL_VERSION.to_owned());
        return Err(other("public suffix list", found, known));
    }
    Ok(facts)
}

/// From now on the folder may hold what only this version reads.
fn write_schema(disk: &Disk) -> Result<(), StoreError> {
    if disk.meta("schema")? == Some(SCHEMA_VERSION) {
        return Ok(());
    }
    let mut batch = disk.batch();
    disk.put_meta(&mut batch, "schema", &SCHEMA_VERSION)?;
    disk.commit(batch)
}

/// Opens the folder's store, made anew if there is none.
pub(super) fn open(
    folder: &Path,
    options: EmbeddedOptions,
) -> Result<(Work, Facts, FolderLock), StoreError> {
    fs::create_dir_all(folder).map_err(folder_error(folder))?;
    let held = lock(folder)?;
    let path = folder.join(STORE);
    if !path.try_exists().map_err(folder_error(&path))? {
        create(folder, &path, &options)?;
    }
    let mark = path.join(ENGINE_MARK);
    if !mark.try_exists().map_err(folder_error(&mark))? {
        // The engine would make an empty database in its place.
        return Err(StoreError::Damaged {
            path,
            what: format!("it has no file {ENGINE_MARK:?}"),
        });
    }
    let disk = open_disk(&path, options.memory_bytes, options.fail.clone())?;
    let recovered = catch_unwind(AssertUnwindSafe(|| {
        let facts = check_facts(&disk, &path)?;
        write_schema(&disk)?;
        Ok((recover(disk, &folder.join(SEEN), options)?, facts))
    }));
    match recovered {
        Ok(Ok((work, facts))) => Ok((work, facts, held)),
        Ok(Err(
            error @ (StoreError::Value { .. } | StoreError::Missing { .. } | StoreError::Engine(_)),
        )) => Err(StoreError::Damaged {
            path,
            what: error.to_string(),
        }),
        Ok(Err(error)) => Err(error),
        Err(payload) => Err(StoreError::Damaged {
            path,
            what: Panicked::caught(payload.as_ref()).to_string(),
        }),
    }
}

/// Fills the schedule, and takes back the leases that were out: their process is gone, as the lock proves.
fn recover(disk: Disk, runs: &Path, options: EmbeddedOptions) -> Result<Work, StoreError> {
    let mut counters: Counters = disk
        .meta("counters")?
        .ok_or(StoreError::Missing { what: "counters" })?;
    let time = StoreTime::open(options.clock.clone(), counters.time);
    let (mut schedule, mut leased) = (Schedule::default(), Vec::new());
    let (mut queued, mut active) = (0, 0);
    for row in disk.all_hosts() {
        let (id, _, record) = row?;
        queued += record.total();
        active += u64::from(record.total() > 0);
        schedule.moved(id, None, record.due());
        if record.out.is_some() {
            leased.push(id);
        }
    }
    if counters.queued != queued {
        events::CountsMended {
            counted: counters.queued,
            found: queued,
        }
        .emit();
        counters.queued = queued;
    }
    let seen = open_seen(&disk, runs, &options)?;
    let mut work = Work::new((disk, seen), counters, time, schedule, active, options)?;
    for hosts in leased.chunks(RECOVERED_TOGETHER) {
        work.take_back(hosts, leased.len() == 1)?;
    }
    events::Opened {
        known: work.counters.known,
        queued,
        hosts: active,
        taken_back: leased.len(),
    }
    .emit();
    Ok(work)
}

/// The seen set: its runs, and what the log holds beside them.
fn open_seen(disk: &Disk, runs: &Path, options: &EmbeddedOptions) -> Result<Seen, StoreError> {
    let listing: Vec<(u64, u64)> = disk.meta(RUNS)?.unwrap_or_default();
    let seen = SeenOptions {
        memory_bytes: options.memory_bytes / 2,
        fail: options.fail.clone(),
    };
    let mut seen = Seen::open(runs, &listing, seen)?;
    for entry in disk.fresh() {
        let (entry, fingerprints) = entry?;
        seen.replay(entry, fingerprints.into_iter());
    }
    Ok(seen)
}

/// A host as it was stored.
pub(super) fn load(disk: &Disk, id: u32) -> Result<HostState, StoreError> {
    let (name, record) = disk.host(id)?;
    let host = contract::host::Host::from_stored(&name);
    Ok(HostState::new(host, record))
}

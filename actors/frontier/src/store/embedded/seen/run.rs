//! A run: fingerprints in ascending order in one file that is never changed.
//!
//! Owns the file's form, its writing and its reading. Blocks of 4,096 bytes: 511 fingerprints, least significant byte
//! first, and a hash over them, the run's number and the block's, so that a spoilt, missing or foreign block is never
//! believed. The first fingerprint of each block and a sieve are kept in memory: 0.02 and at most 1.4 bytes a URL.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::sieve::Sieve;
use crate::error::StoreError;

/// A block's bytes.
const BLOCK: usize = 4_096;
/// Fingerprints in a block; the hash takes the place of one more.
const BLOCK_KEYS: usize = BLOCK / 8 - 1;
/// What is written to the file at once.
const WRITE_BYTES: usize = 64 * BLOCK;

/// See the module.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    path: PathBuf,
    number: u64,
    count: u64,
    /// The first fingerprint of each block.
    firsts: Vec<u64>,
    sieve: Option<Sieve>,
}

/// Where the run of this number is.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.run"))
}

fn hash(number: u64, block: usize, keys: &[u8]) -> u64 {
    let block = u64::try_from(block).unwrap_or(u64::MAX);
    xxh3_64_with_seed(keys, (number << 32) ^ block)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at * 8..at * 8 + 8);
    bytes.map_or(0, |eight| {
        u64::from_le_bytes(eight.try_into().unwrap_or_default())
    })
}

impl Run {
    /// Opens a run and reads it through once.
    pub(super) fn open(
        folder: &Path,
        (number, count): (u64, u64),
        sieve_bytes: u64,
    ) -> Result<Self, StoreError> {
        let path = path(folder, number);
        let unusable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Damaged {
                path: path.clone(),
                what: "the file is missing".to_owned(),
            },
            _ => StoreError::Folder {
                path: path.clone(),
                source,
            },
        };
        let file = File::open(&path).map_err(unusable)?;
        let mut run = Self {
            file,
            number,
            count,
            firsts: Vec::new(),
            sieve: Sieve::of(count, sieve_bytes),
            path,
        };
        let blocks = count.div_ceil(u64::try_from(BLOCK_KEYS).unwrap_or(1));
        let mut keys = Vec::with_capacity(BLOCK_KEYS);
        for block in 0..usize::try_from(blocks).unwrap_or(usize::MAX) {
            run.read(block, &mut keys)?;
            run.firsts.extend(keys.first());
            if let Some(sieve) = &mut run.sieve {
                keys.iter().for_each(|&key| sieve.insert(key));
            }
        }
        Ok(run)
    }

    /// What a list of runs says of it: number and count.
    pub(super) fn listed(&self) -> (u64, u64) {
        (self.number, self.count)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Reads a block's fingerprints.
    fn read(&self, block: usize, keys: &mut Vec<u64>) -> Result<(), StoreError> {
        keys.clear();
        let mut bytes = [0; BLOCK];
        let before = u64::try_from(block * BLOCK_KEYS).unwrap_or(u64::MAX);
        let at = u64::try_from(block * BLOCK).unwrap_or(u64::MAX);
        let damaged = |what: &str| StoreError::Damaged {
            path: self.path.clone(),
            what: format!("block {block} {what}"),
        };
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("is missing"));
            }
            Err(source) => {
                return Err(StoreError::Folder {
                    path: self.path.clone(),
                    source,
                });
            }
        }
        let (held, sum) = bytes.split_at(BLOCK_KEYS * 8);
        if word(sum, 0) != hash(self.number, block, held) {
            return Err(damaged("does not match its checksum"));
        }
        let here = usize::try_from(self.count.saturating_sub(before)).unwrap_or(usize::MAX);
        keys.extend((0..here.min(BLOCK_KEYS)).map(|at| word(held, at)));
        Ok(())
    }

    /// Whether the fingerprint is in it. `keys` is room that is used again.
    pub(super) fn contains(
        &self,
        fingerprint: u64,
        keys: &mut Vec<u64>,
    ) -> Result<bool, StoreError> {
        if let Some(sieve) = &self.sieve
            && !sieve.may_hold(fingerprint)
        {
            return Ok(false);
        }
        let after = self.firsts.partition_point(|&first| first <= fingerprint);
        let Some(block) = after.checked_sub(1) else {
            return Ok(false);
        };
        self.read(block, keys)?;
        Ok(keys.binary_search(&fingerprint).is_ok())
    }

    /// Removes the file; the run can still be read while somebody holds it.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        fs::remove_file(&self.path).map_err(|source| StoreError::Folder {
            path: self.path.clone(),
            source,
        })
    }
}

/// The fingerprints of a run from one on, ascending.
pub(super) struct Keys {
    run: Arc<Run>,
    /// The block that is read next.
    block: usize,
    keys: Vec<u64>,
    at: usize,
    from: u64,
}

impl Keys {
    pub(super) fn from(run: Arc<Run>, from: u64) -> Self {
        let after = run.firsts.partition_point(|&first| first <= from);
        Self {
            run,
            block: after.saturating_sub(1),
            keys: Vec::new(),
            at: 0,
            from,
        }
    }
}

impl Iterator for Keys {
    type Item = Result<u64, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(&key) = self.keys.get(self.at) {
                self.at += 1;
                if key < self.from {
                    continue;
                }
                return Some(Ok(key));
            }
            if self.block >= self.run.firsts.len() {
                return None;
            }
            if let Err(error) = self.run.read(self.block, &mut self.keys) {
                self.block = usize::MAX;
                return Some(Err(error));
            }
            self.block += 1;
            self.at = 0;
        }
    }
}

/// Writes a run, fingerprint by fingerprint.
pub(super) struct RunWriter {
    out: BufWriter<File>,
    /// The block that is being filled.
    block: Vec<u8>,
    run: (PathBuf, u64, u64),
    firsts: Vec<u64>,
    sieve: Option<Sieve>,
}

impl RunWriter {
    /// Begins the run of this number for at most so many fingerprints.
    pub(super) fn create(
        folder: &Path,
        number: u64,
        count_max: u64,
        sieve_bytes: u64,
    ) -> Result<Self, StoreError> {
        let path = path(folder, number);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::Write)?;
        Ok(Self {
            out: BufWriter::with_capacity(WRITE_BYTES, file),
            block: Vec::with_capacity(BLOCK),
            run: (path, number, 0),
            firsts: Vec::new(),
            sieve: Sieve::of(count_max, sieve_bytes),
        })
    }

    /// Adds a fingerprint greater than those before.
    pub(super) fn push(&mut self, fingerprint: u64) -> Result<(), StoreError> {
        if self.block.is_empty() {
            self.firsts.push(fingerprint);
        }
        self.block.extend(fingerprint.to_le_bytes());
        self.run.2 += 1;
        if let Some(sieve) = &mut self.sieve {
            sieve.insert(fingerprint);
        }
        match self.block.len() / 8 {
            BLOCK_KEYS => self.end_block(),
            _ => Ok(()),
        }
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        self.block.resize(BLOCK_KEYS * 8, 0);
        let sum = hash(self.run.1, self.firsts.len() - 1, &self.block);
        self.block.extend(sum.to_le_bytes());
        let written = self.out.write_all(&self.block);
        self.block.clear();
        written.map_err(StoreError::Write)
    }

    /// The whole run, durable with its name.
    pub(super) fn finish(mut self) -> Result<Run, StoreError> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let (path, number, count) = self.run;
        let written = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        let synced = written.and_then(|file| {
            file.sync_all()?;
            // The folder names it.
            let folder = path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            Ok(file)
        });
        Ok(Run {
            file: synced.map_err(StoreError::Write)?,
            path,
            number,
            count,
            firsts: self.firsts,
            sieve: self.sieve,
        })
    }
}

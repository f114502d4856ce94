//! Files that only grow, and never pretend.
//!
//! Owns the buffer before a file, what it takes to sync what was written while more is appended, and the room's
//! fail points: each write, sync, cut, rename and creation passes one. It knows no formats.
//! Invariant: after an error the file can be cut back to any earlier length, so that half a record never stays.
//! Start at [`Appender`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::fault::FailPlan;

use crate::error::StoreError;

/// A buffer longer than this is written out before the record goes on: it is still in the cache of the core then.
const SPILL: usize = 256 << 10;

/// The disk, with the places where a test lets it fail.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    faults: FailPlan,
}

impl Disk {
    pub fn new(faults: FailPlan) -> Self {
        Self { faults }
    }

    fn run<T>(
        &self,
        doing: &'static str,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, StoreError> {
        self.faults
            .step()
            .and_then(|()| act())
            .map_err(|error| StoreError::disk(doing, path, error))
    }

    /// Makes a folder and those above it.
    pub fn folder(&self, path: &Path) -> Result<(), StoreError> {
        self.run("create folder", path, || fs::create_dir_all(path))
    }

    /// A new file; an error if it exists.
    pub fn create(&self, path: &Path) -> Result<Appender, StoreError> {
        let file = self.run("create", path, || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        })?;
        Ok(Appender::new(self.clone(), path, file, 0))
    }

    /// A file to append to, made if it does not exist.
    pub fn append(&self, path: &Path) -> Result<Appender, StoreError> {
        let (file, len) = self.run("open", path, || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        })?;
        Ok(Appender::new(self.clone(), path, file, len))
    }

    /// Renames, and makes the name durable.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.run("rename", from, || fs::rename(from, to))?;
        self.sync_folder_of(to)
    }

    /// Makes a file's name durable: it is part of its folder.
    pub fn sync_folder_of(&self, path: &Path) -> Result<(), StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        self.run("sync folder", folder, || File::open(folder)?.sync_all())
    }

    /// Makes a file's bytes durable, by its path.
    pub fn sync_file(&self, path: &Path) -> Result<(), StoreError> {
        self.run("sync", path, || File::open(path)?.sync_all())
    }

    /// Cuts a file to `len` bytes, durably.
    pub fn cut(&self, path: &Path, len: u64) -> Result<(), StoreError> {
        self.run("cut", path, || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(len)?;
            file.sync_all()
        })
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.run("remove", path, || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }
}

/// A file that is appended to through a buffer.
#[derive(Debug)]
pub struct Appender {
    disk: Disk,
    path: PathBuf,
    file: Arc<File>,
    /// Bytes not yet given to the system.
    buffer: Vec<u8>,
    /// Bytes in the file; the buffer goes there.
    written: u64,
    /// A write failed and the cut after it too: there may be bytes behind `written`.
    ragged: bool,
}

impl Appender {
    fn new(disk: Disk, path: &Path, file: File, len: u64) -> Self {
        Self {
            disk,
            path: path.to_owned(),
            file: Arc::new(file),
            buffer: Vec::new(),
            written: len,
            ragged: false,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length including what is still in the buffer: where the next byte goes.
    pub fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// The buffer, to write into.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer out if it has grown long. Called between the pieces of a record.
    pub fn spill(&mut self) -> Result<(), StoreError> {
        if self.buffer.len() > SPILL {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Gives the buffer to the system. On an error the buffer stays, and the file is as long as before.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.ragged {
            // A shorter write over what was left behind would leave a part of it.
            self.cut_file()?;
        }
        let wrote = self
            .disk
            .faults
            .step()
            .and_then(|()| self.file.write_all_at(&self.buffer, self.written));
        match wrote {
            Ok(()) => {
                self.written += self.buffer.len() as u64;
                self.buffer.clear();
                // One large page must not hold its buffer for ever.
                self.buffer.shrink_to(2 * SPILL);
                Ok(())
            }
            Err(error) => {
                self.ragged = self.file.set_len(self.written).is_err();
                Err(StoreError::disk("write", &self.path, error))
            }
        }
    }

    /// Takes back everything from `len` on.
    pub fn cut(&mut self, len: u64) -> Result<(), StoreError> {
        if let Some(kept) = len.checked_sub(self.written) {
            self.buffer
                .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            if !self.ragged {
                return Ok(());
            }
        } else {
            self.buffer.clear();
            self.written = len;
        }
        self.cut_file()
    }

    fn cut_file(&mut self) -> Result<(), StoreError> {
        self.ragged = true;
        let (file, written) = (&self.file, self.written);
        self.disk.run("cut", &self.path, || file.set_len(written))?;
        self.ragged = false;
        Ok(())
    }

    /// What a sync of the bytes written so far needs; runs anywhere, while more is appended here.
    pub fn to_sync(&self) -> ToSync {
        ToSync {
            disk: self.disk.clone(),
            path: self.path.clone(),
            file: self.file.clone(),
            upto: self.written,
        }
    }

    /// True when there may be bytes behind the end: such a file is not sealed but repaired at the next start.
    pub fn is_ragged(&self) -> bool {
        self.ragged
    }
}

/// A sync to be done: fdatasync, which blocks.
#[derive(Debug)]
pub struct ToSync {
    disk: Disk,
    path: PathBuf,
    file: Arc<File>,
    upto: u64,
}

impl ToSync {
    /// Bytes that are durable once [`ToSync::run`] has succeeded.
    pub fn upto(&self) -> u64 {
        self.upto
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Blocks until the disk has the bytes. After an error nobody knows which of them it has.
    pub fn run(&self) -> Result<(), StoreError> {
        self.disk.run("sync", &self.path, || self.file.sync_data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOSPC: i32 = 28;

    #[test]
    fn a_refused_write_leaves_the_file_as_it_was_and_can_be_tried_again() {
        let dir = crate::testing::scratch();
        let path = dir.path().join("log");
        // 1 create, 2 first flush, 3 second flush.
        let mut file = Disk::new(FailPlan::nth(3, ENOSPC, false))
            .create(&path)
            .unwrap();
        file.buffer().extend_from_slice(b"one\n");
        file.flush().unwrap();
        file.buffer().extend_from_slice(b"two\n");
        let error = file.flush().unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_cut_reaches_into_the_buffer_or_the_file() {
        let dir = crate::testing::scratch();
        let path = dir.path().join("log");
        let mut file = Disk::default().create(&path).unwrap();
        file.buffer().extend_from_slice(b"0123456789");
        file.flush().unwrap();
        file.buffer().extend_from_slice(b"abc");
        file.cut(11).unwrap();
        assert_eq!((file.end(), fs::read(&path).unwrap().len()), (11, 10));
        file.cut(4).unwrap();
        file.buffer().extend_from_slice(b"x");
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123x");
    }

    #[test]
    fn what_a_sync_covers_is_what_was_written_before_it() {
        let dir = crate::testing::scratch();
        let mut file = Disk::default().create(&dir.path().join("log")).unwrap();
        file.buffer().extend_from_slice(b"one");
        file.flush().unwrap();
        let sync = file.to_sync();
        file.buffer().extend_from_slice(b"two");
        file.flush().unwrap();
        sync.run().unwrap();
        assert_eq!((sync.upto(), file.end()), (3, 6));
    }
}

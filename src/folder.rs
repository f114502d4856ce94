//! The crawl's folder: its layout, and what of it an `--overwrite` may remove.
//!
//! Owns the names of the parts and the lock that keeps a second process off. Invariants: nothing that a crawl did
//! not make is ever removed; whoever holds a [`Folder`] works on it alone.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::exit::{Code, Failure};

/// What a crawl makes in its folder.
const PARTS: [&str; 7] = [
    "archive", "indexes", "pages", "logs", "reports", "frontier", "tmp",
];
/// Where a running crawl can be reached.
pub const CONTROL: &str = "control.json";
/// Held by the process that works on the folder; the file itself stays, so that nobody locks a removed one.
const LOCK: &str = "crawl.lock";

/// A crawl's folder that exists, can be written, and is nobody else's as long as this value lives.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Arc<File>,
}

impl Folder {
    /// Makes the folder and its parts, or takes an earlier crawl's.
    ///
    /// # Errors
    /// A folder that cannot be made or written, one with other people's files in it, or one in use.
    pub fn open(dir: &Path, overwrite: bool) -> Result<Self, Failure> {
        let failed = |what: &str, error: &io::Error| {
            let code = if error.raw_os_error() == Some(28) {
                Code::DiskFull
            } else {
                Code::BadInput
            };
            Failure::new(
                code,
                format!("output folder {}: {what}: {error}", dir.display()),
            )
        };
        fs::create_dir_all(dir).map_err(|error| failed("cannot be made", &error))?;
        let is_crawl = dir.join("frontier").is_dir();
        let strange = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|e| e.file_name() != LOCK);
        let is_strange = fs::read_dir(dir)
            .map_err(|error| failed("cannot be read", &error))?
            .any(strange);
        if !is_crawl && is_strange {
            return Err(Failure::input(format!(
                "output folder {}: it is not empty and no crawl made it; name another with --output",
                dir.display()
            )));
        }
        let lock =
            File::create(dir.join(LOCK)).map_err(|error| failed("cannot be written", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::input(format!(
                    "output folder {0}: another process works on it (`argiope status {0}` asks it)",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("cannot be locked", &error)),
        }
        if overwrite && is_crawl {
            for part in PARTS {
                match fs::remove_dir_all(dir.join(part)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed("cannot be emptied", &error));
                    }
                    _ => {}
                }
            }
        }
        for part in PARTS {
            fs::create_dir_all(dir.join(part))
                .map_err(|error| failed("cannot be written", &error))?;
        }
        Ok(Self {
            path: dir.to_owned(),
            _lock: Arc::new(lock),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn part(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwrite_removes_a_crawls_parts_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), false).unwrap();
        fs::write(folder.part("archive").join("x.warc.gz"), "x").unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        drop(folder);
        Folder::open(dir.path(), false).unwrap();
        assert!(
            dir.path().join("archive/x.warc.gz").exists(),
            "a resume keeps everything"
        );
        Folder::open(dir.path(), true).unwrap();
        assert!(!dir.path().join("archive/x.warc.gz").exists());
        assert!(dir.path().join("notes.txt").exists());
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), false).unwrap();
        fs::write(folder.part("archive").join("x.warc.gz"), "x").unwrap();
        let failure = Folder::open(dir.path(), true).unwrap_err();
        assert!(failure.message.contains("another process"), "{failure}");
        assert!(dir.path().join("archive/x.warc.gz").exists());
        drop(folder);
        Folder::open(dir.path(), true).unwrap();
    }

    #[test]
    fn a_strangers_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let failure = Folder::open(dir.path(), true).unwrap_err();
        assert!(failure.message.contains("no crawl made it"), "{failure}");
        assert!(dir.path().join("thesis.tex").exists());
    }
}

//! The crawl's folder: its layout, and what of it an `--overwrite` may remove.
//!
//! Owns the names of the parts and the lock that keeps a second process off. Invariants: nothing that a crawl did
//! not make is ever removed; whoever holds a [`Folder`] works on it alone.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::fleet::{CrawlNumber, NodeName};
use frontier::fleet::crawls::Crawl;
use serde::{Deserialize, Serialize};
use storage::layout::Layout;
use storage::together::Part;

use crate::exit::{Code, Failure};

/// What a crawl makes in its folder.
const PARTS: [&str; 6] = ["archive", "indexes", "pages", "logs", "reports", "tmp"];
/// Where the frontier is, unless it lives in a shared store.
const FRONTIER: &str = "frontier";
/// Where a running crawl can be reached.
pub const CONTROL: &str = "control.json";
/// Whose folder it is, where the frontier lives in a shared store.
const OWNER: &str = "fleet.json";
/// Held by the process that works on the folder; the file itself stays, so that nobody locks a removed one.
const LOCK: &str = "crawl.lock";

/// Whose part of which crawl a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Owner {
    crawl: String,
    number: CrawlNumber,
    /// When the crawl was made, which tells it from one of the same name in another store.
    made_ms: u64,
    node: String,
}

impl Owner {
    pub fn of(crawl: &Crawl, node: &NodeName) -> Self {
        Self {
            crawl: crawl.name.as_str().to_owned(),
            number: crawl.number,
            made_ms: crawl.made_ms,
            node: node.as_str().to_owned(),
        }
    }
}

impl Owner {
    fn read(folder: &Path) -> Option<Self> {
        let bytes = fs::read(folder.join(OWNER)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn is_of(&self, crawl: &Crawl) -> bool {
        (self.number, self.made_ms) == (crawl.number, crawl.made_ms)
    }
}

/// The nodes' parts of a crawl in a shared store: all folders in `dir` that say that they are one, in order of their names.
///
/// # Errors
/// A folder that cannot be read, one with no such part, or one with parts of another crawl than this (or than each other).
pub fn parts(dir: &Path, crawl: Option<&Crawl>) -> Result<Vec<Part>, Failure> {
    let unreadable = |error: io::Error| failed(dir, "cannot be read", &error);
    let (mut parts, mut owners) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Some(owner) = Owner::read(&entry.path()) else {
            continue;
        };
        let is_other =
            |other: &Owner| (other.number, other.made_ms) != (owner.number, owner.made_ms);
        if crawl.is_some_and(|crawl| !owner.is_of(crawl)) || owners.first().is_some_and(is_other) {
            return Err(Failure::input(format!(
                "{}: part of another crawl ({OWNER} says of which); move it away",
                entry.path().display()
            )));
        }
        owners.push(owner);
        parts.push(Part {
            name: entry.file_name().to_string_lossy().into_owned(),
            layout: Layout::new(entry.path()),
        });
    }
    if parts.is_empty() {
        return Err(Failure::input(format!(
            "{}: no node's folder is in it; name the folder with the nodes' folders, DIR/CRAWL",
            dir.display()
        )));
    }
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(parts)
}

fn failed(dir: &Path, what: &str, error: &io::Error) -> Failure {
    let code = if error.raw_os_error() == Some(28) {
        Code::DiskFull
    } else {
        Code::BadInput
    };
    Failure::new(
        code,
        format!("output folder {}: {what}: {error}", dir.display()),
    )
}

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
        let is_crawl = dir.join(FRONTIER).is_dir();
        let folder = Self::take(dir, is_crawl)?;
        if overwrite && is_crawl {
            for part in PARTS.into_iter().chain([FRONTIER]) {
                match fs::remove_dir_all(dir.join(part)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed(dir, "cannot be emptied", &error));
                    }
                    _ => {}
                }
            }
        }
        folder.make(PARTS.into_iter().chain([FRONTIER]))?;
        Ok(folder)
    }

    /// The same for one node's part of a crawl in a shared store. The folder says whose it is.
    ///
    /// # Errors
    /// As [`Self::open`], and a folder of another crawl, node or store.
    pub fn shared(dir: &Path, owner: &Owner) -> Result<Self, Failure> {
        let file = dir.join(OWNER);
        let folder = Self::take(dir, file.is_file())?;
        let old = Owner::read(dir);
        // Without an archive nothing was ever kept here: a first run died while it wrote whose the folder is.
        let is_new = old.is_none() && !dir.join("archive").is_dir();
        if is_new {
            let bytes = serde_json::to_vec_pretty(owner).unwrap_or_default();
            fs::write(&file, bytes).map_err(|error| failed(dir, "cannot be written", &error))?;
        } else if old.as_ref() != Some(owner) {
            return Err(Failure::input(format!(
                "output folder {}: another crawl's or another store's ({OWNER} says whose); name another with --output",
                dir.display()
            )));
        }
        folder.make(PARTS)?;
        Ok(folder)
    }

    /// Makes the folder if need be and locks it.
    fn take(dir: &Path, is_crawl: bool) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(|error| failed(dir, "cannot be made", &error))?;
        let strange = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|e| e.file_name() != LOCK);
        let is_strange = fs::read_dir(dir)
            .map_err(|error| failed(dir, "cannot be read", &error))?
            .any(strange);
        if !is_crawl && is_strange {
            return Err(Failure::input(format!(
                "output folder {}: it is not empty and no crawl made it; name another with --output",
                dir.display()
            )));
        }
        let lock = File::create(dir.join(LOCK))
            .map_err(|error| failed(dir, "cannot be written", &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: dir.to_owned(),
                _lock: Arc::new(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(Failure::input(format!(
                "output folder {0}: another process works on it (`argiope status {0}` asks it)",
                dir.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(dir, "cannot be locked", &error)),
        }
    }

    fn make(&self, parts: impl IntoIterator<Item = &'static str>) -> Result<(), Failure> {
        for part in parts {
            fs::create_dir_all(self.path.join(part))
                .map_err(|error| failed(&self.path, "cannot be written", &error))?;
        }
        Ok(())
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
    fn a_nodes_folder_stays_with_its_crawl_and_its_node() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("docs").join("n1");
        let owner = Owner {
            crawl: "docs".into(),
            number: CrawlNumber(1),
            made_ms: 5,
            node: "n1".into(),
        };
        let folder = Folder::shared(&dir, &owner).unwrap();
        assert!(folder.part("archive").is_dir() && !folder.part("frontier").exists());
        assert!(Folder::shared(&dir, &owner).is_err(), "it is in use");
        drop(folder);
        drop(Folder::shared(&dir, &owner).unwrap());
        let again = Owner {
            made_ms: 6,
            ..owner
        };
        let failure = Folder::shared(&dir, &again).unwrap_err();
        assert!(failure.message.contains("another store's"), "{failure}");
        let failure = Folder::open(&dir, true).unwrap_err();
        assert!(failure.message.contains("no crawl made it"), "{failure}");
    }

    #[test]
    fn the_parts_of_a_crawl_are_found_and_those_of_another_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(parts(dir.path(), None).is_err(), "there is none");
        let owner = |node: &str, made_ms| Owner {
            crawl: "docs".into(),
            number: CrawlNumber(1),
            made_ms,
            node: node.into(),
        };
        for node in ["n2", "n1"] {
            Folder::shared(&dir.path().join(node), &owner(node, 5)).unwrap();
        }
        fs::create_dir(dir.path().join("reports")).unwrap();
        let found = parts(dir.path(), None).unwrap();
        let names: Vec<_> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["n1", "n2"]);
        Folder::shared(&dir.path().join("n3"), &owner("n3", 6)).unwrap();
        let failure = parts(dir.path(), None).unwrap_err();
        assert!(failure.message.contains("another crawl"), "{failure}");
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

//! The crawl's folder: its layout, and what of it an `--overwrite` may remove.
//!
//! Owns the names of the parts. Invariant: nothing that a crawl did not make is ever removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};

/// What a crawl makes in its folder.
const PARTS: [&str; 7] = [
    "archive", "indexes", "pages", "logs", "reports", "frontier", "tmp",
];
/// Where a running crawl can be reached.
pub const CONTROL: &str = "control.json";

/// A crawl's folder that exists and can be written.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder and its parts, or takes an earlier crawl's.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or one with other people's files in it.
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
        let is_empty = fs::read_dir(dir)
            .map_err(|error| failed("cannot be read", &error))?
            .next()
            .is_none();
        if !is_crawl && !is_empty {
            return Err(Failure::input(format!(
                "output folder {}: it is not empty and no crawl made it; name another with --output",
                dir.display()
            )));
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
        Ok(Self(dir.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn part(&self, name: &str) -> PathBuf {
        self.0.join(name)
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
    fn a_strangers_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let failure = Folder::open(dir.path(), true).unwrap_err();
        assert!(failure.message.contains("no crawl made it"), "{failure}");
        assert!(dir.path().join("thesis.tex").exists());
    }
}

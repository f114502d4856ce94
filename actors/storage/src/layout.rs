//! Where things lie in an output folder. Names follow Browsertrix and Heritrix, whose users know them.

use std::path::{Path, PathBuf};

use crate::warc::writer::OPEN_SUFFIX;

/// The parts of an output folder that this room writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// WARC files.
    pub fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// A WARC file by its name, sealed or not; none where there is none, and for a name that points out of the archive.
    pub fn warc(&self, file: &str) -> Option<PathBuf> {
        if file.is_empty() || file.contains('/') || file.starts_with('.') {
            return None;
        }
        let folder = self.archive();
        [file.to_owned(), format!("{file}{OPEN_SUFFIX}")]
            .into_iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    }

    /// The whole index.
    pub fn index(&self) -> PathBuf {
        self.root.join("indexes").join("index.cdxj")
    }

    /// Sorted pieces that are not in the whole index yet.
    pub fn pieces(&self) -> PathBuf {
        self.root.join("indexes").join("pieces")
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("logs").join("crawl.jsonl")
    }

    /// HTML pages in Browsertrix' form.
    pub fn pages(&self) -> PathBuf {
        self.root.join("pages").join("pages.jsonl")
    }

    /// Reports of the whole crawl.
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }
}

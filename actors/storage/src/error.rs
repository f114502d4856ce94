//! What can go wrong in the storage room, and what its caller does next.

use std::io;
use std::path::{Path, PathBuf};

use contract::error::ErrorClass;
use contract::health::FaultKind;

use crate::warc::reader::ReadError;

/// Why something was not stored, or could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused: full, read-only, failing. Nothing of the refused write is left in the file.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The page's own body, spilled to a file, cannot be read back.
    #[error("the page's body cannot be read back")]
    Body(#[source] io::Error),
    /// A WARC file of ours is damaged.
    #[error("an archive file is damaged")]
    Damaged(#[from] ReadError),
    /// A group could not be made durable; its pages were not settled and come again.
    #[error("not durable: {0}")]
    NotDurable(String),
}

impl StoreError {
    /// A disk error with what was being done, and to which file.
    pub(crate) fn disk(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// What the caller does next.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Disk { .. } | Self::Body(_) | Self::NotDurable(_) => ErrorClass::System,
            Self::Damaged(_) => ErrorClass::Permanent,
        }
    }

    /// What kind of fault of the node it is, where it is one.
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::Disk { source, .. } | Self::Body(source) => FaultKind::of_io(source),
            Self::Damaged(_) | Self::NotDurable(_) => FaultKind::Other,
        }
    }

    /// True when the disk has no room left: the node's exit code says so.
    pub fn is_disk_full(&self) -> bool {
        self.fault() == FaultKind::DiskFull
    }
}

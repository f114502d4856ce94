//! What can go wrong with a store, and what the caller does about it.

use std::path::PathBuf;

use contract::admit::FrontierError;
use contract::codec::CodecError;
use contract::error::{ErrorClass, chain};
use contract::health::FaultKind;

use crate::fleet::FleetError;

/// Why a store could not be opened or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process works on this folder.
    #[error("the frontier in {path} is in use by another process; stop that one first")]
    Locked { path: PathBuf },
    /// The folder cannot be made, read or written.
    #[error("cannot use {path} for the frontier")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The files are not (or no longer) a frontier that this program can read.
    #[error(
        "the frontier in {path} is damaged or not a frontier ({what}); move the folder away to start anew, the archive is not affected"
    )]
    Damaged { path: PathBuf, what: String },
    /// Written by a later version of this program.
    #[error(
        "the frontier in {path} has schema {found}, this program reads up to {known}; use the newer program"
    )]
    NewerSchema {
        path: PathBuf,
        found: u16,
        known: u16,
    },
    /// URLs or domains were told apart by other rules than this program's.
    #[error(
        "the frontier in {path} was made with {what} {found}, this program has {known}; go on with the program that made it"
    )]
    OtherRules {
        path: PathBuf,
        what: &'static str,
        found: String,
        known: String,
    },
    /// Claims are refused.
    #[error("the frontier is {0}")]
    Refusing(&'static str),
    /// What is to be taken in does not fit.
    #[error("the frontier does not take this crawl in: {0}")]
    Unfit(String),
    /// A stored value makes no sense.
    #[error("a stored {what} cannot be read")]
    Value {
        what: &'static str,
        source: CodecError,
    },
    /// A value that must be there is not.
    #[error("a stored {what} is missing")]
    Missing { what: &'static str },
    /// The disk refused a write.
    #[error("cannot write to the frontier's store")]
    Write(#[source] std::io::Error),
    /// The storage engine failed.
    #[error("the frontier's storage engine failed")]
    Engine(#[source] fjall::Error),
    /// The shared store does not answer, or has no room: it may later.
    #[error("the shared frontier does not answer")]
    Away(#[source] redis::RedisError),
    /// The shared store refused what it must never refuse.
    #[error("the shared frontier refused a step")]
    Remote(#[source] redis::RedisError),
    /// An answer of the shared store that this program does not understand.
    #[error("the shared frontier gave an odd answer ({what})")]
    Answer { what: &'static str },
    /// Packing a queue failed.
    #[error("a chunk of a queue cannot be packed or unpacked")]
    Pack(#[source] std::io::Error),
    /// A shard that every deployment has is not there.
    #[error(
        "the shared frontier has no shard {shard}: its keys were removed, or belong to another deployment"
    )]
    NoShard { shard: u16 },
    /// What belongs to the fleet failed.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The storage engine panicked; caught here.
    #[error("the frontier's storage engine broke down: {0}")]
    BrokeDown(String),
    /// An earlier failure left memory and disk apart: only opening again helps.
    #[error("the frontier's store failed before and must be opened again")]
    Broken,
}

impl StoreError {
    /// What the caller does next.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refusing(_) => ErrorClass::Transient,
            Self::Fleet(error) => error.class(),
            Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::NewerSchema { .. }
            | Self::OtherRules { .. }
            | Self::Unfit(_) => ErrorClass::Permanent,
            Self::Folder { .. }
            | Self::Value { .. }
            | Self::Missing { .. }
            | Self::Write(_)
            | Self::Engine(_)
            | Self::Away(_)
            | Self::Remote(_)
            | Self::Answer { .. }
            | Self::Pack(_)
            | Self::NoShard { .. }
            | Self::BrokeDown(_)
            | Self::Broken => ErrorClass::System,
        }
    }
}

impl StoreError {
    /// The store may answer when it is asked again: it is away, full, paused or being moved. No fault of this node.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Refusing(_) | Self::Away(_) | Self::Fleet(FleetError::Away(_))
        )
    }

    /// The node's fault that this is.
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::Write(source) | Self::Folder { source, .. } => match FaultKind::of_io(source) {
                FaultKind::Other => FaultKind::Store,
                kind => kind,
            },
            _ => FaultKind::Store,
        }
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(source) => Self::Write(source),
            // A full disk or the like, one layer deeper: nothing is wrong with the files then.
            fjall::Error::Storage(fjall::LsmError::Io(source))
                if FaultKind::of_io(&source) != FaultKind::Other =>
            {
                Self::Write(source)
            }
            other => Self::Engine(other),
        }
    }
}

impl From<StoreError> for FrontierError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Refusing(why) = error {
            return Self::Refusing(why);
        }
        Self::Store(chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_damage_however_deep_it_is_told() {
        #[track_caller]
        fn check(errno: i32, want: FaultKind) {
            let source = std::io::Error::from_raw_os_error(errno);
            let deep = fjall::Error::Storage(fjall::LsmError::Io(source));
            assert_eq!(StoreError::from(deep).fault(), want, "errno {errno}");
        }
        check(28, FaultKind::DiskFull);
        check(24, FaultKind::Descriptors);
        check(22, FaultKind::Store); // EINVAL: of bytes that make no sense
    }

    #[test]
    fn other_rooms_read_the_whole_chain() {
        let error = StoreError::Write(std::io::Error::from_raw_os_error(28));
        assert_eq!(error.class(), ErrorClass::System);
        let FrontierError::Store(text) = FrontierError::from(error) else {
            panic!("a failed write is the store's failure");
        };
        assert!(text.contains("No space left"), "{text}");
        assert_eq!(
            FrontierError::from(StoreError::Refusing("paused")),
            FrontierError::Refusing("paused")
        );
    }
}

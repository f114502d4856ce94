//! A node's faults: a room that cannot work says so here, and the coordinator stops leasing.
//!
//! Owns the first [`Fault`] of a generation; later ones follow from it. Only `System` errors belong here
//! (DESIGN.md, Errors and lifecycle): no URL burns a try for them.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// What kind of fault ends the work, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    DiskFull,
    Descriptors,
    Store,
    Other,
}

/// Why this node cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub room: &'static str,
    pub kind: FaultKind,
    pub detail: String,
}

impl FaultKind {
    /// The kind of an I/O error.
    pub fn of_io(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            // By its kind, which an error that wraps the system's own keeps.
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Self::DiskFull,
            // ENFILE, EMFILE
            (_, Some(23 | 24)) => Self::Descriptors,
            _ => Self::Other,
        }
    }
}

/// Shared by the rooms of a generation.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<Option<Fault>>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Health {
    /// Says that this room cannot work; the first fault is kept.
    pub fn report(&self, fault: Fault) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                tracing::error!(
                    severity = "CRITICAL",
                    room = fault.room,
                    detail = fault.detail,
                    "node fault"
                );
                *first = Some(fault);
            }
            is_first
        });
    }

    /// The fault, if there is one.
    pub fn fault(&self) -> Option<Fault> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_number_and_when_wrapped() {
        #[track_caller]
        fn check(error: io::Error, want: FaultKind) {
            assert_eq!(FaultKind::of_io(&error), want, "{error:?}");
        }
        for (errno, want) in [
            (28, FaultKind::DiskFull),  // ENOSPC
            (122, FaultKind::DiskFull), // EDQUOT
            (24, FaultKind::Descriptors),
            (5, FaultKind::Other),
        ] {
            check(io::Error::from_raw_os_error(errno), want);
        }
        let wrapped = io::Error::new(io::ErrorKind::StorageFull, "at some path");
        check(wrapped, FaultKind::DiskFull);
    }

    #[test]
    fn the_first_fault_is_kept_and_named_by_its_kind() {
        let health = Health::default();
        assert_eq!(health.fault(), None);
        let kind = FaultKind::of_io(&io::Error::from_raw_os_error(28));
        health.report(Fault {
            room: "storage",
            kind,
            detail: "no space".into(),
        });
        health.report(Fault {
            room: "frontier",
            kind: FaultKind::Store,
            detail: "late".into(),
        });
        assert_eq!(
            health.fault().map(|f| (f.room, f.kind)),
            Some(("storage", FaultKind::DiskFull))
        );
    }
}

//! What this room logs and counts: a struct per event, its text, its metrics and their help in one place.
//!
//! Metrics are named `argiope_storage_*`; labels come from closed sets. Counting is per group, not per page.

use std::time::Duration;

use contract::error::ErrorClass;
use metrics::{counter, describe_counter, describe_histogram, histogram};
use tracing::{debug, error, info, warn};

use crate::error::StoreError;
use crate::group::Opened;

/// Describes the metrics to the recorder; call once it is installed.
pub fn describe() {
    describe_counter!("argiope_storage_pages_total", "Pages made durable");
    describe_counter!(
        "argiope_storage_archived_bytes_total",
        "Bytes of records made durable, as compressed"
    );
    describe_counter!(
        "argiope_storage_groups_total",
        "Groups of pages made durable by one sync"
    );
    describe_histogram!(
        "argiope_storage_sync_seconds",
        "Time from a group's end to its being durable"
    );
    describe_counter!(
        "argiope_storage_settles_total",
        "Pages settled, by how the frontier took them"
    );
    describe_counter!(
        "argiope_storage_refused_repeats_total",
        "Refused links met again and not written again"
    );
    describe_counter!(
        "argiope_storage_failures_total",
        "Pages or groups that were not stored, by class of error"
    );
    describe_counter!("argiope_storage_files_sealed_total", "WARC files sealed");
}

/// The folder is open; what a crash had left is repaired.
pub(crate) struct FolderOpened<'a> {
    pub(crate) opened: &'a Opened,
}

impl FolderOpened<'_> {
    pub(crate) fn emit(self) {
        for file in &self.opened.repaired {
            warn!(
                file = file.file,
                records = file.records,
                cut_bytes = file.cut,
                why = file.why,
                "an unsealed archive file was repaired"
            );
        }
        if self.opened.torn > 0 {
            warn!(
                cut_bytes = self.opened.torn,
                "a torn last line was cut off a log"
            );
        }
        info!(repaired = self.opened.repaired.len(), "storage started");
    }
}

/// A group is on the disk.
pub(crate) struct GroupDurable {
    pub(crate) pages: usize,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    pub(crate) sealed: usize,
    /// Refused links not written again since the last group.
    pub(crate) repeats: u64,
}

impl GroupDurable {
    pub(crate) fn emit(self) {
        counter!("argiope_storage_groups_total").increment(1);
        counter!("argiope_storage_pages_total").increment(self.pages as u64);
        counter!("argiope_storage_archived_bytes_total").increment(self.bytes);
        counter!("argiope_storage_files_sealed_total").increment(self.sealed as u64);
        counter!("argiope_storage_refused_repeats_total").increment(self.repeats);
        histogram!("argiope_storage_sync_seconds").record(self.took.as_secs_f64());
        debug!(pages = self.pages, bytes = self.bytes, took = ?self.took, "group durable");
    }
}

/// The frontier has taken a group's settles.
pub(crate) struct Settles {
    pub(crate) applied: u64,
    pub(crate) duplicate: u64,
    pub(crate) fenced: u64,
}

impl Settles {
    pub(crate) fn emit(self) {
        for (how, number) in [
            ("applied", self.applied),
            ("duplicate", self.duplicate),
            ("fenced", self.fenced),
        ] {
            counter!("argiope_storage_settles_total", "how" => how).increment(number);
        }
    }
}

/// A group is durable, but the frontier did not take its settles: its URLs come again.
pub(crate) struct SettlesLost {
    pub(crate) pages: usize,
    pub(crate) why: String,
}

impl SettlesLost {
    pub(crate) fn emit(self) {
        counter!("argiope_storage_settles_total", "how" => "lost").increment(self.pages as u64);
        warn!(
            pages = self.pages,
            why = self.why,
            "settles were not taken; their pages come again"
        );
    }
}

/// A page, or a whole group, was not stored.
pub(crate) struct NotStored<'a> {
    pub(crate) error: &'a StoreError,
    pub(crate) what: &'static str,
}

impl NotStored<'_> {
    pub(crate) fn emit(self) {
        let class = self.error.class();
        counter!("argiope_storage_failures_total", "class" => class.as_str()).increment(1);
        let source = std::error::Error::source(self.error).map(ToString::to_string);
        let severity = if class == ErrorClass::System {
            "CRITICAL"
        } else {
            "ERROR"
        };
        error!(severity, error = %self.error, source, what = self.what, "not stored; it comes again");
    }
}

/// A sync takes longer than the layer's limit.
pub(crate) struct SyncLate {
    pub(crate) pages: usize,
    pub(crate) limit: Duration,
}

impl SyncLate {
    pub(crate) fn emit(self) {
        counter!("argiope_storage_failures_total", "class" => ErrorClass::System.as_str())
            .increment(1);
        error!(
            severity = "CRITICAL",
            pages = self.pages,
            limit = ?self.limit,
            cause = "deadline(store)",
            "the disk does not answer; the group is not settled and comes again"
        );
    }
}

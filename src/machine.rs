//! What this process used of the machine: CPU by thread, peak memory, time waited at each arrow.
//!
//! Owns the reading of /proc/self; written to `reports/machine.json` before the rooms' threads end, since a thread's
//! CPU time goes with it. Figures of this process alone, not of the crawl's earlier runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use contract::outbox::ArrowLoad;
use coordinator::Status;
use serde::Serialize;

use crate::gauges::kib;

/// The file's content.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub frontier: contract::control::FrontierStats,
    pub cpu_ms_by_thread: BTreeMap<String, u64>,
    pub rss_peak_bytes: u64,
    pub waited_ms_by_arrow: BTreeMap<&'static str, u64>,
}

impl Machine {
    /// Reads the process's figures now.
    pub fn read(status: &Status, arrows: &[ArrowLoad]) -> Self {
        let waited = |load: &ArrowLoad| (load.arrow, contract::clock::millis(load.waited));
        Self {
            frontier: status.frontier.clone(),
            cpu_ms_by_thread: cpu_by_thread(Path::new("/proc/self/task")),
            rss_peak_bytes: kib(
                &fs::read_to_string("/proc/self/status").unwrap_or_default(),
                "VmHWM:",
            )
            .unwrap_or(0),
            waited_ms_by_arrow: arrows.iter().map(waited).collect(),
        }
    }

    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, reports: &Path) -> io::Result<()> {
        fs::write(
            reports.join("machine.json"),
            serde_json::to_vec_pretty(self)?,
        )
    }
}

/// Resident memory now, in bytes.
pub fn rss() -> u64 {
    kib(
        &fs::read_to_string("/proc/self/status").unwrap_or_default(),
        "VmRSS:",
    )
    .unwrap_or(0)
}

/// CPU time by thread name, threads of one name together. A thread that ends while we look is passed over.
fn cpu_by_thread(tasks: &Path) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos = schedstat
            .split_whitespace()
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_insert(0) += nanos / 1_000_000;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let machine = Machine::read(&Status::default(), &[]);
        assert!(machine.rss_peak_bytes > 1 << 20);
        assert!(!machine.cpu_ms_by_thread.is_empty());
        assert_eq!(kib("Name:\tx\nVmHWM:\t   12 kB\n", "VmHWM:"), Some(12_288));
        assert!(rss() > 1 << 20 && rss() <= machine.rss_peak_bytes.max(rss()));
    }
}

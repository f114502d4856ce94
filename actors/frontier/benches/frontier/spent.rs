//! Processor time, as Linux counts it for each thread.

use std::time::Duration;

fn nanoseconds(path: &str) -> Duration {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let first = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}

/// CPU time of this thread.
pub(crate) fn own_cpu() -> Duration {
    nanoseconds("/proc/thread-self/schedstat")
}

/// CPU time of all threads that live.
pub(crate) fn all_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .map(|task| nanoseconds(&format!("{}/schedstat", task.path().display())))
        .sum()
}

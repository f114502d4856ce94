//! The coordinator's configuration.

use std::time::Duration;

/// How the coordinator works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// Pause between two looks at the rooms.
    pub look_every: Duration,
    /// Pause between two looks at the frontier while there is work; zero: with every look. For a frontier that nodes share,
    /// of which a look asks every shard.
    pub frontier_every: Duration,
    /// `--time-limit`: running time over the crawl's life.
    pub time_limit: Option<Duration>,
    /// `--size-limit`: bytes of archive.
    pub size_limit: Option<u64>,
    /// `pace.weight`: what a request counts in the shared rates.
    pub weight: u32,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            look_every: Duration::from_millis(200),
            frontier_every: Duration::ZERO,
            time_limit: None,
            size_limit: None,
            weight: 1,
        }
    }
}

//! The room's settings: those of this node, and the rules that a crawl's settings give the store.

use std::time::Duration;

use contract::crawl::CrawlConfig;
use serde::Deserialize;

/// How this node keeps its frontier.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrontierConfig {
    /// Memory for the embedded store's caches and write buffers, in bytes. The engine's own needs come on top:
    /// reckon with 1.5 times this in all.
    pub memory_bytes: u64,
    /// A lease's term, in milliseconds, and how long a released one waits for pages that are still in the ring.
    pub lease_ms: u64,
    /// Questions queued or in work at once; the sum of the slots of the room's outboxes must not be greater.
    pub slots_max: usize,
}

impl Default for FrontierConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 48 << 20,
            lease_ms: 90_000,
            slots_max: 1_024,
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frontier.{key} must be {must}, it is {found}")]
pub struct ConfigError {
    pub key: &'static str,
    pub must: &'static str,
    pub found: u64,
}

impl FrontierConfig {
    /// The same settings, if they can be used.
    ///
    /// # Errors
    /// The first key that cannot.
    pub fn validate(self) -> Result<Self, ConfigError> {
        let bounds: [(_, _, u64, u64, _); 2] = [
            (
                "memory-bytes",
                "at least 16 MiB",
                16 << 20,
                u64::MAX,
                self.memory_bytes,
            ),
            ("lease-ms", "1 s to 1 h", 1_000, 3_600_000, self.lease_ms),
        ];
        for (key, must, least, most, found) in bounds {
            if !(least..=most).contains(&found) {
                return Err(ConfigError { key, must, found });
            }
        }
        Ok(self)
    }
}

/// What the store decides by. The same rules in every store give the same decisions (I10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Pause from the end of one request to a host to the start of the next, where the host asks no more.
    pub delay: Duration,
    /// Tries of a URL in all, before it is given up.
    pub tries_max: u8,
    /// Leases of one registrable domain at once; none: without limit (networks that the user allowed by name).
    pub domain_leases_max: Option<u32>,
    /// Leases of one address at once; none: without limit.
    pub address_leases_max: Option<u32>,
    /// Kept pages over the crawl's life.
    pub limit: Option<u64>,
    /// A lease's term, and how long a released one waits for its pages in the ring: longer than storing one takes, and
    /// if its node has died in between, others go on when a lease of it would have run out.
    pub lease: Duration,
}

impl Rules {
    /// The rules that follow from a crawl's and a node's settings.
    pub fn new(crawl: &CrawlConfig, node: &FrontierConfig) -> Self {
        Self {
            delay: crawl.pace.delay(),
            tries_max: crawl.pace.tries_max,
            domain_leases_max: Some(crawl.pace.domain_leases_max),
            address_leases_max: Some(crawl.pace.address_leases_max),
            limit: crawl.limits.limit,
            lease: Duration::from_millis(node.lease_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_bounds_is_named() {
        assert!(FrontierConfig::default().validate().is_ok());
        let config = FrontierConfig {
            lease_ms: 10,
            ..FrontierConfig::default()
        };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "frontier.lease-ms must be 1 s to 1 h, it is 10"
        );
    }
}

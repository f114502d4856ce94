//! How hard one fetcher works. What all nodes of a crawl share (pace, limits, agent) is the crawl's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One fetcher's settings; there are as many fetchers as cores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FetcherConfig {
    /// Requests in flight at once, over all hosts.
    pub in_flight_max: usize,
    /// Hosts leased at once. Most of them wait for their delay, which costs a timer each.
    pub leases_max: usize,
    /// Hosts asked for in one claim.
    pub claim_hosts_max: usize,
    /// URLs of one host in one claim.
    pub claim_urls_max: usize,
    /// Connections open at once, those kept for a next request included.
    pub connections_max: usize,
    /// A connection without a request is kept for so long, in milliseconds.
    pub connection_idle_ms: u64,
    /// Pause before a URL's second try within a lease, in milliseconds; twice that before the third.
    pub retry_ms: u64,
    /// Rest of a host that asks to be left alone and does not say for how long, in milliseconds; four times as much
    /// each further time in a row, at most 15 minutes.
    pub rest_ms: u64,
    /// Rests of a host whose robots.txt cannot be had, in seconds; after the last its URLs are settled.
    pub robots_retry_s: Vec<u64>,
    /// Rests of a host of which nothing can be reached, in seconds; after the last its URLs are settled.
    pub unreached_retry_s: Vec<u64>,
    /// Offer HTTP/2 to servers.
    pub http2: bool,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            in_flight_max: 50,
            leases_max: 400,
            claim_hosts_max: 32,
            claim_urls_max: 64,
            connections_max: 500,
            connection_idle_ms: 30_000,
            retry_ms: 1_000,
            rest_ms: 10_000,
            robots_retry_s: vec![60, 300, 900],
            unreached_retry_s: vec![10, 60, 300, 900],
            http2: false,
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    pub key: &'static str,
    pub problem: String,
}

impl FetcherConfig {
    /// Checks the settings once, at the start.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(self) -> Result<Self, ConfigError> {
        let counts = [
            ("in-flight-max", self.in_flight_max),
            ("leases-max", self.leases_max),
            ("claim-hosts-max", self.claim_hosts_max),
            ("claim-urls-max", self.claim_urls_max),
        ];
        for (key, value) in counts {
            if value == 0 {
                return Err(ConfigError {
                    key,
                    problem: "must be at least 1".to_owned(),
                });
            }
        }
        if self.connections_max < self.leases_max {
            let problem = format!(
                "must be at least leases-max ({}): each lease may hold one",
                self.leases_max
            );
            return Err(ConfigError {
                key: "connections-max",
                problem,
            });
        }
        Ok(self)
    }

    pub(crate) fn connection_idle(&self) -> Duration {
        Duration::from_millis(self.connection_idle_ms)
    }

    /// The rest of a host that has asked to be left alone so many times in a row (from 1).
    pub(crate) fn rest_after(&self, refused: u8) -> Duration {
        const REST_MAX: Duration = Duration::from_secs(900);
        let factor = 4_u64.saturating_pow(u32::from(refused.saturating_sub(1)));
        Duration::from_millis(self.rest_ms.saturating_mul(factor)).min(REST_MAX)
    }

    /// The rest of a host whose robots.txt could not be had so many times in a row (from 1); none when it has been
    /// asked often enough.
    pub(crate) fn robots_rest(&self, failures: u8) -> Option<Duration> {
        rung(&self.robots_retry_s, failures)
    }

    /// The rest of a host of which nothing could be reached so many times in a row (from 1); none when it has been tried
    /// often enough, where a URL is tried so often at most: it rests twice for each try after the first.
    pub(crate) fn unreached_rest(&self, times: u8, tries_max: u8) -> Option<Duration> {
        let rests = 2 * usize::from(tries_max.saturating_sub(1));
        let ladder = &self.unreached_retry_s;
        rung(&ladder[..rests.min(ladder.len())], times)
    }
}

fn rung(ladder_s: &[u64], times: u8) -> Option<Duration> {
    let rung = ladder_s.get(usize::from(times.saturating_sub(1)));
    rung.map(|seconds| Duration::from_secs(*seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_odd_values_are_named() {
        assert_eq!(
            FetcherConfig::default().validate(),
            Ok(FetcherConfig::default())
        );
        let none = FetcherConfig {
            in_flight_max: 0,
            ..FetcherConfig::default()
        };
        assert_eq!(
            none.validate().unwrap_err().to_string(),
            "in-flight-max: must be at least 1"
        );
        let few = FetcherConfig {
            connections_max: 399,
            ..FetcherConfig::default()
        };
        assert_eq!(few.validate().unwrap_err().key, "connections-max");
    }

    #[test]
    fn rests_grow_and_end() {
        let config = FetcherConfig::default();
        let seconds = |n| config.rest_after(n).as_secs();
        assert_eq!(
            [seconds(1), seconds(2), seconds(3), seconds(4), seconds(99)],
            [10, 40, 160, 640, 900]
        );
        let robots = |n| config.robots_rest(n).map(|rest| rest.as_secs());
        assert_eq!(
            [robots(1), robots(2), robots(3), robots(4)],
            [Some(60), Some(300), Some(900), None]
        );
        let rests = |tries| {
            let rest = |n| config.unreached_rest(n, tries);
            (1..9).map_while(rest).map(|rest| rest.as_secs()).collect()
        };
        let all: [Vec<u64>; 4] = [rests(1), rests(2), rests(3), rests(9)];
        let whole = vec![10, 60, 300, 900];
        assert_eq!(all, [vec![], vec![10, 60], whole.clone(), whole]);
    }
}

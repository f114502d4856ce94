//! Which numbers of a crawl's configuration can be used.
//!
//! Owns the bounds, each said once for files, flags and changes at run time. Pure: what needs more than the value
//! itself (patterns, addresses, headers) is judged where it is used. Start at [`check`].

use crate::crawl::CrawlConfig;
use crate::rate::WEIGHT_MAX;

/// A setting that cannot be used; nothing of its configuration is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {least} to {most}, it is {found}")]
pub struct Invalid {
    /// As in the file: section, dot, key.
    pub field: &'static str,
    pub least: u64,
    pub most: u64,
    pub found: u64,
}

/// Requests in flight at once for one fetcher, at most.
pub const CONCURRENCY_MAX: u64 = 10_000;
const DAY_S: u64 = 86_400;
const DAY_MS: u64 = DAY_S * 1_000;

/// Checks every bounded number.
///
/// # Errors
/// The first field that is out of its bounds.
pub fn check(config: &CrawlConfig) -> Result<(), Invalid> {
    let (pace, limits) = (&config.pace, &config.limits);
    let rows: [(&'static str, u64, u64, u64); 23] = [
        ("pace.delay-ms", 0, DAY_MS, pace.delay_ms),
        ("pace.crawl-delay-s-max", 0, DAY_S, pace.crawl_delay_s_max),
        (
            "pace.retry-after-s-max",
            0,
            30 * DAY_S,
            pace.retry_after_s_max,
        ),
        ("pace.tries-max", 1, 100, u64::from(pace.tries_max)),
        ("pace.redirects-max", 0, 100, u64::from(pace.redirects_max)),
        (
            "pace.domain-leases-max",
            1,
            u64::from(u32::MAX),
            u64::from(pace.domain_leases_max),
        ),
        (
            "pace.address-leases-max",
            1,
            u64::from(u32::MAX),
            u64::from(pace.address_leases_max),
        ),
        ("pace.burst", 1, 1_000_000, u64::from(pace.burst)),
        (
            "pace.weight",
            1,
            u64::from(WEIGHT_MAX),
            u64::from(pace.weight),
        ),
        (
            "pace.concurrency",
            1,
            CONCURRENCY_MAX,
            pace.concurrency.map_or(1, |most| most as u64),
        ),
        ("limits.limit", 1, u64::MAX, limits.limit.unwrap_or(1)),
        (
            "limits.time-limit-s",
            1,
            u64::MAX,
            limits.time_limit_s.unwrap_or(1),
        ),
        (
            "limits.size-limit-bytes",
            1,
            u64::MAX,
            limits.size_limit_bytes.unwrap_or(1),
        ),
        ("limits.body-bytes-max", 1, 1 << 40, limits.body_bytes_max),
        ("limits.parse-bytes-max", 1, 1 << 40, limits.parse_bytes_max),
        ("limits.drain-ms-max", 1, DAY_MS, limits.drain_ms_max),
        ("limits.page-ms-max", 1, DAY_MS, limits.page_ms_max),
        ("limits.connect-ms-max", 1, DAY_MS, limits.connect_ms_max),
        ("limits.head-ms-max", 1, DAY_MS, limits.head_ms_max),
        ("limits.stall-ms-max", 1, DAY_MS, limits.stall_ms_max),
        ("limits.answer-ms-max", 1, DAY_MS, limits.answer_ms_max),
        ("limits.parse-ms-max", 1, DAY_MS, limits.parse_ms_max),
        ("limits.store-ms-max", 1, DAY_MS, limits.store_ms_max),
    ];
    for (field, least, most, found) in rows {
        if !(least..=most).contains(&found) {
            return Err(Invalid {
                field,
                least,
                most,
                found,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_out_of_bounds_is_named() {
        #[track_caller]
        fn check_one(change: impl FnOnce(&mut CrawlConfig), want: Option<&str>) {
            let mut config = CrawlConfig::default();
            change(&mut config);
            assert_eq!(check(&config).err().map(|error| error.field), want);
        }
        check_one(|_| {}, None);
        check_one(|config| config.pace.delay_ms = 0, None);
        check_one(
            |config| config.pace.delay_ms = u64::MAX,
            Some("pace.delay-ms"),
        );
        check_one(|config| config.pace.tries_max = 0, Some("pace.tries-max"));
        check_one(|config| config.limits.limit = Some(0), Some("limits.limit"));
        check_one(
            |config| config.limits.head_ms_max = 0,
            Some("limits.head-ms-max"),
        );
        let mut config = CrawlConfig::default();
        config.pace.tries_max = 0;
        assert_eq!(
            check(&config).unwrap_err().to_string(),
            "pace.tries-max must be 1 to 100, it is 0"
        );
    }
}

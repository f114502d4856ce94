//! A crawl's configurations: versions, each whole, the last one in force.
//!
//! Owns `{argiope}:c<c>:conf`. Invariants: a version never changes its bytes; what cannot be used is refused before
//! anything is stored; the same bytes make no new version, so that asking twice is asking once. The last
//! [`VERSIONS_MAX`] are kept. Start at [`set`].

use std::sync::LazyLock;

use contract::crawl::CrawlConfig;
use contract::fleet::CrawlNumber;
use contract::valid;
use redis::Script;
use redis::aio::ConnectionLike;
use serde_json::Value;

use super::{FleetError, config_key, crawl_key};

/// Versions that are kept.
pub const VERSIONS_MAX: u64 = 64;
/// Bytes of a configuration at most: a hundred thousand seeds fit.
pub const BYTES_MAX: usize = 16 << 20;
/// Lines of [`changes`] at most; seeds may differ by the thousand.
const CHANGES_MAX: usize = 20;

/// A version that is in force, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub version: u64,
    pub config: CrawlConfig,
}

/// A version and what is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub version: u64,
    /// By the store's clock, in ms since 1970.
    pub at_ms: u64,
    pub by: String,
    /// What is different from the version before, a line each; empty for the oldest that is kept.
    pub changes: Vec<String>,
}

/// The configuration in force.
///
/// # Errors
/// No such crawl, or a configuration of a later program.
pub async fn current(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
) -> Result<Version, FleetError> {
    static CURRENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("current.lua")));
    let mut get = CURRENT.key(crawl_key(crawl));
    get.key(config_key(crawl));
    let found: Option<(u64, String)> = get.invoke_async(conn).await?;
    let (version, json) = found.ok_or(FleetError::NoVersion { crawl, version: 0 })?;
    let config = of_json(&json)?;
    Ok(Version { version, config })
}

/// One version.
///
/// # Errors
/// No such version, or one of a later program.
pub async fn version(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
    version: u64,
) -> Result<Version, FleetError> {
    let get = redis::cmd("HGET")
        .arg(config_key(crawl))
        .arg(version)
        .to_owned();
    let json: Option<String> = get.query_async(conn).await?;
    let config = of_json(&json.ok_or(FleetError::NoVersion { crawl, version })?)?;
    Ok(Version { version, config })
}

/// Puts a configuration in force, if `base` is still the one that is, and returns its version.
///
/// # Errors
/// A value that cannot be used, by its field; or [`FleetError::Conflict`]. Nothing is stored then.
pub async fn set(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
    base: u64,
    config: &CrawlConfig,
    by: &str,
) -> Result<u64, FleetError> {
    static SET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("set.lua")));
    let json = to_json(config)?;
    let mut set = SET.key(crawl_key(crawl));
    set.key(config_key(crawl))
        .arg(base)
        .arg(json)
        .arg(by)
        .arg(VERSIONS_MAX);
    let (is_set, current): (bool, u64) = set.invoke_async(conn).await?;
    match (is_set, current) {
        (_, 0) => Err(FleetError::NoVersion { crawl, version: 0 }),
        (true, version) => Ok(version),
        (false, current) => Err(FleetError::Conflict { current }),
    }
}

/// Puts an earlier version's configuration in force again, as a new version, and returns that.
///
/// # Errors
/// No such version, or a change by somebody else meanwhile.
pub async fn roll_back(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
    to: u64,
    by: &str,
) -> Result<u64, FleetError> {
    let old = version(conn, crawl, to).await?;
    let base = current(conn, crawl).await?.version;
    set(conn, crawl, base, &old.config, by).await
}

/// The versions that are kept, the newest first.
///
/// # Errors
/// A version of a later program.
pub async fn history(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
) -> Result<Vec<Past>, FleetError> {
    let newest = current(conn, crawl).await?.version;
    let oldest = newest.saturating_sub(VERSIONS_MAX - 1).max(1);
    let mut all = Vec::new();
    let mut before: Option<CrawlConfig> = None;
    for number in oldest..=newest {
        let get = redis::cmd("HMGET")
            .arg(config_key(crawl))
            .arg(number)
            .arg(format!("{number}:by"))
            .to_owned();
        let (json, by): (Option<String>, Option<String>) = get.query_async(conn).await?;
        // Pruned since we asked for the newest.
        let (Some(json), Some(by)) = (json, by) else {
            continue;
        };
        let config = of_json(&json)?;
        let (at_ms, by) = by.split_once(' ').unwrap_or((&by, ""));
        all.push(Past {
            version: number,
            at_ms: at_ms.parse().unwrap_or(0),
            by: by.to_owned(),
            changes: before
                .as_ref()
                .map_or_else(Vec::new, |before| changes(before, &config)),
        });
        before = Some(config);
    }
    all.reverse();
    Ok(all)
}

/// What is different, by field: `pace.delay-ms: 1000 -> 500`.
pub fn changes(old: &CrawlConfig, new: &CrawlConfig) -> Vec<String> {
    let value = |config| serde_json::to_value(config).unwrap_or(Value::Null);
    let mut lines = Vec::new();
    differences("", &value(old), &value(new), &mut lines);
    if lines.len() > CHANGES_MAX {
        let more = lines.len() - CHANGES_MAX;
        lines.truncate(CHANGES_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn differences(path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                let path = match path {
                    "" => key.clone(),
                    _ => format!("{path}.{key}"),
                };
                differences(&path, old.get(key).unwrap_or(&Value::Null), value, lines);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let gone = old.iter().filter(|item| !new.contains(item));
            lines.extend(gone.map(|item| format!("{path}: - {item}")));
            let come = new.iter().filter(|item| !old.contains(item));
            lines.extend(come.map(|item| format!("{path}: + {item}")));
        }
        _ if old != new => lines.push(format!("{path}: {old} -> {new}")),
        _ => {}
    }
}

/// As it is stored: checked, then written.
pub(super) fn to_json(config: &CrawlConfig) -> Result<String, FleetError> {
    valid::check(config)?;
    let json = serde_json::to_string(config).map_err(|error| not_read(&error))?;
    match json.len() {
        0..=BYTES_MAX => Ok(json),
        found => Err(FleetError::Long {
            found,
            most: BYTES_MAX,
        }),
    }
}

fn of_json(json: &str) -> Result<CrawlConfig, FleetError> {
    serde_json::from_str(json).map_err(|error| not_read(&error))
}

fn not_read(error: &serde_json::Error) -> FleetError {
    FleetError::Text {
        what: "configuration",
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_crawl;
    use super::*;

    fn delay(delay_ms: u64) -> CrawlConfig {
        let mut config = CrawlConfig::default();
        config.pace.delay_ms = delay_ms;
        config
    }

    #[tokio::test]
    async fn a_change_is_a_version_and_a_stale_change_is_refused() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let crawl = crawl.number;
        assert_eq!(
            set(&mut conn, crawl, 1, &delay(500), "anna").await.unwrap(),
            2
        );
        let again = set(&mut conn, crawl, 1, &delay(500), "anna").await;
        assert_eq!(
            again.unwrap(),
            2,
            "after a lost reply the same change is asked for again"
        );
        let stale = set(&mut conn, crawl, 1, &delay(9), "ben")
            .await
            .unwrap_err();
        assert!(
            matches!(stale, FleetError::Conflict { current: 2 }),
            "{stale}"
        );
        let now = current(&mut conn, crawl).await.unwrap();
        assert_eq!((now.version, now.config.pace.delay_ms), (2, 500));
        let back = roll_back(&mut conn, crawl, 1, "ben").await.unwrap();
        assert_eq!(back, 3);
        let now = current(&mut conn, crawl).await.unwrap();
        assert_eq!((now.version, now.config), (3, CrawlConfig::default()));
        let past = history(&mut conn, crawl).await.unwrap();
        let told: Vec<_> = past
            .iter()
            .map(|past| (past.version, past.by.as_str(), past.changes.join("; ")))
            .collect();
        assert_eq!(
            told,
            [
                (3, "ben", "pace.delay-ms: 500 -> 1000".to_owned()),
                (2, "anna", "pace.delay-ms: 1000 -> 500".to_owned()),
                (1, "test", String::new()),
            ]
        );
        assert!(past.iter().all(|past| past.at_ms > 1_500_000_000_000));
    }

    #[tokio::test]
    async fn an_invalid_value_is_refused_whole_by_its_field() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let mut config = delay(500);
        config.limits.stall_ms_max = 0;
        let refused = set(&mut conn, crawl.number, 1, &config, "anna")
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the configuration is refused, nothing was changed: limits.stall-ms-max must be 1 to 86400000, it is 0"
        );
        let now = current(&mut conn, crawl.number).await.unwrap();
        assert_eq!((now.version, now.config), (1, CrawlConfig::default()));
    }

    #[tokio::test]
    async fn old_versions_are_forgotten_and_missing_ones_are_named() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let crawl = crawl.number;
        for version in 1..=VERSIONS_MAX {
            set(&mut conn, crawl, version, &delay(version), "anna")
                .await
                .unwrap();
        }
        let kept = history(&mut conn, crawl).await.unwrap();
        assert_eq!(kept.len() as u64, VERSIONS_MAX);
        assert_eq!(
            (kept[0].version, kept.last().unwrap().version),
            (VERSIONS_MAX + 1, 2)
        );
        let gone = roll_back(&mut conn, crawl, 1, "anna").await.unwrap_err();
        assert_eq!(
            gone.to_string(),
            "crawl number 1 has no configuration 1 (any more)"
        );
        let none = CrawlNumber(99);
        let gone = set(&mut conn, none, 1, &delay(1), "anna")
            .await
            .unwrap_err();
        assert!(matches!(gone, FleetError::NoVersion { .. }), "{gone}");
        current(&mut conn, none).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_later_programs_configuration_is_refused() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let set = redis::cmd("HSET")
            .arg(config_key(crawl.number))
            .arg(1)
            .arg(r#"{"pace":{"warp":9}}"#)
            .to_owned();
        let _: i64 = set.query_async(&mut conn).await.unwrap();
        let refused = current(&mut conn, crawl.number)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("unknown field `warp`"), "{refused}");
    }

    #[test]
    fn seeds_that_come_and_go_are_listed_and_bounded() {
        let with = |seeds: Vec<String>| CrawlConfig {
            seeds,
            ..CrawlConfig::default()
        };
        let (old, new) = (
            with(vec!["http://a/".into()]),
            with(vec!["http://b/".into()]),
        );
        assert_eq!(
            changes(&old, &new),
            ["seeds: - \"http://a/\"", "seeds: + \"http://b/\""]
        );
        let many = with((0..100).map(|n| format!("http://a/{n}")).collect());
        let lines = changes(&CrawlConfig::default(), &many);
        assert_eq!(
            (lines.len(), lines[CHANGES_MAX].as_str()),
            (21, "and 80 more")
        );
    }
}

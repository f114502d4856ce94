//! What a log proves: politeness, obedience, repeats, completeness.
//!
//! Pure functions over [`Entry`]s, whoever wrote them: our origin, nginx, or several of both put together.
//! A host here is a host name without its port, as the crawler's unit of politeness is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::log::Entry;
use crate::web::Truth;

/// Two requests to one host that were in work at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The one that began first.
    pub first: Entry,
    /// The one that began before the first had ended.
    pub second: Entry,
}

/// The time between the end of one request to a host and the start of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the end to the start; zero when they overlap.
    pub between: Duration,
    /// The path of the request before it.
    pub before: String,
    /// The path of the request after it.
    pub after: String,
}

/// What was fetched against what there was to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// URLs never answered in whole with the status they have in the end.
    pub missing: BTreeSet<String>,
    /// URLs asked for that no link, redirect or sitemap leads to; robots.txt and sitemap.xml not counted.
    pub unexpected: BTreeSet<String>,
    /// URLs asked for though robots.txt disallows them.
    pub forbidden: BTreeSet<String>,
}

impl Coverage {
    /// Whether exactly the truth was fetched.
    pub fn is_exact(&self) -> bool {
        *self == Self::default()
    }
}

/// Every request that began while another to the same host was in work (invariant I2 wants none).
pub fn overlaps(log: &[Entry]) -> Vec<Overlap> {
    let mut found = Vec::new();
    for (first, second) in neighbours(log) {
        if second.start < first.end_or_open() {
            found.push(Overlap {
                first: first.clone(),
                second: second.clone(),
            });
        }
    }
    found
}

/// The shortest gap of each host that was asked more than once.
pub fn shortest_gaps(log: &[Entry]) -> BTreeMap<String, Gap> {
    let mut shortest: BTreeMap<String, Gap> = BTreeMap::new();
    for (first, second) in neighbours(log) {
        let between = second.start.saturating_sub(first.end_or_open());
        let gap = Gap {
            between,
            before: first.path.clone(),
            after: second.path.clone(),
        };
        shortest
            .entry(first.host.clone())
            .and_modify(|least| {
                if gap.between < least.between {
                    *least = gap.clone();
                }
            })
            .or_insert(gap);
    }
    shortest
}

/// How often each URL was asked for.
pub fn counts(log: &[Entry]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in log {
        *counts.entry(entry.url()).or_default() += 1;
    }
    counts
}

/// Requests beyond the first for a URL, summed over all URLs but robots.txt (I1 bounds them by k·F). A request
/// that follows an answer of 429 or 5xx is a retry and no repeat.
pub fn repeats(log: &[Entry]) -> usize {
    let mut settled: BTreeSet<String> = BTreeSet::new();
    let mut repeats = 0;
    for entry in log.iter().filter(|entry| entry.path != "/robots.txt") {
        if settled.contains(&entry.url()) {
            repeats += 1;
        } else if entry.status != 429 && entry.status < 500 {
            settled.insert(entry.url());
        }
    }
    repeats
}

/// The most requests that began within any window of this length (invariant I3).
pub fn busiest(log: &[Entry], window: Duration) -> usize {
    let mut starts: Vec<Duration> = log.iter().map(|entry| entry.start).collect();
    starts.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for (to, start) in starts.iter().enumerate() {
        while *start - starts[from] >= window {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}

/// What was fetched against `truth`.
pub fn coverage(log: &[Entry], truth: &Truth) -> Coverage {
    let mut coverage = Coverage {
        missing: truth.pages.keys().cloned().collect(),
        ..Coverage::default()
    };
    for entry in log {
        let url = entry.url();
        match truth.pages.get(&url) {
            Some(&status) => {
                if status == entry.status && entry.whole {
                    coverage.missing.remove(&url);
                }
            }
            None if truth.forbidden.contains(&url) => {
                coverage.forbidden.insert(url);
            }
            None if entry.path == "/robots.txt" || entry.path == "/sitemap.xml" => {}
            None => {
                coverage.unexpected.insert(url);
            }
        }
    }
    coverage
}

/// Each request paired with the one to the same host before it that ended last.
fn neighbours(log: &[Entry]) -> Vec<(&Entry, &Entry)> {
    let mut ordered: Vec<&Entry> = log.iter().collect();
    ordered.sort_by_key(|entry| entry.start);
    let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut pairs = Vec::new();
    for entry in ordered {
        let latest = last.entry(&entry.host).or_insert(entry);
        if !std::ptr::eq(*latest, entry) {
            pairs.push((*latest, entry));
            if entry.end_or_open() > latest.end_or_open() {
                *latest = entry;
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{Place, Web};

    fn entry(host: &str, path: &str, start: u64, end: u64) -> Entry {
        Entry {
            start: Duration::from_millis(start),
            end: Some(Duration::from_millis(end)),
            scheme: "http".to_owned(),
            host: host.to_owned(),
            address: [127, 0, 0, 1].into(),
            port: 80,
            path: path.to_owned(),
            peer: ([127, 0, 0, 1], 9).into(),
            agent: String::new(),
            status: 200,
            whole: true,
            head: String::new(),
        }
    }

    #[test]
    fn a_planted_overlap_is_found() {
        let clean = vec![
            entry("a", "/1", 0, 10),
            entry("b", "/1", 5, 15),
            entry("a", "/2", 10, 20),
        ];
        assert_eq!(overlaps(&clean), []);
        let mut log = clean;
        log.push(entry("a", "/3", 19, 30));
        let found = overlaps(&log);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].first.path.as_str(), found[0].second.path.as_str()),
            ("/2", "/3")
        );
    }

    #[test]
    fn a_long_request_overlaps_all_that_begin_within_it() {
        let log = [
            entry("a", "/long", 0, 100),
            entry("a", "/1", 10, 20),
            entry("a", "/2", 30, 40),
        ];
        assert_eq!(overlaps(&log).len(), 2);
        let open = [
            Entry {
                end: None,
                ..entry("a", "/open", 0, 0)
            },
            entry("a", "/1", 10, 20),
        ];
        assert_eq!(overlaps(&open).len(), 1);
    }

    #[test]
    fn the_shortest_gap_is_told_for_each_host() {
        let log = [
            entry("a", "/1", 0, 10),
            entry("a", "/2", 110, 120),
            entry("a", "/3", 150, 160),
            entry("b", "/1", 0, 10),
            entry("b", "/2", 5, 30),
            entry("c", "/1", 0, 10),
        ];
        let gaps = shortest_gaps(&log);
        assert_eq!(gaps["a"].between, Duration::from_millis(30));
        assert_eq!(
            (gaps["a"].before.as_str(), gaps["a"].after.as_str()),
            ("/2", "/3")
        );
        assert_eq!(gaps["b"].between, Duration::ZERO);
        assert!(!gaps.contains_key("c"));
    }

    #[test]
    fn a_retry_is_no_repeat() {
        let failed = Entry {
            status: 503,
            ..entry("a", "/1", 0, 1)
        };
        let log = [
            failed,
            entry("a", "/1", 2, 3),
            entry("a", "/1", 4, 5),
            entry("a", "/2", 6, 7),
        ];
        assert_eq!(repeats(&log), 1);
        assert_eq!(counts(&log)["http://a:80/1"], 3);
    }

    #[test]
    fn the_busiest_window_slides() {
        let log: Vec<Entry> = [0, 90, 100, 110, 199, 400]
            .map(|at| entry("a", "/", at, at + 1))
            .to_vec();
        assert_eq!(busiest(&log, Duration::from_millis(100)), 3);
        assert_eq!(busiest(&log, Duration::from_millis(110)), 4);
        assert_eq!(busiest(&log, Duration::from_millis(1)), 1);
        assert_eq!(busiest(&[], Duration::from_secs(1)), 0);
    }

    #[test]
    fn coverage_tells_missing_from_unexpected_from_forbidden() {
        let web = Web {
            pages_per_host: 13,
            ..Web::default()
        };
        let truth = web.truth(80, |_| true);
        let mut log: Vec<Entry> = truth
            .pages
            .iter()
            .map(|(url, &status)| Entry {
                status,
                ..entry(
                    "h0.zoo.test",
                    url.strip_prefix("http://h0.zoo.test:80").unwrap(),
                    0,
                    1,
                )
            })
            .collect();
        log.push(entry("h0.zoo.test", "/robots.txt", 0, 1));
        assert!(coverage(&log, &truth).is_exact());

        let lost = log.remove(0).url();
        log[0].whole = false;
        let cut = log[0].url();
        log.push(entry("h0.zoo.test", "/orphan", 0, 1));
        log.push(entry("h0.zoo.test", &Place::Private(11).path(), 0, 1));
        let found = coverage(&log, &truth);
        assert_eq!(found.missing, BTreeSet::from([lost, cut]));
        assert_eq!(
            found.unexpected,
            BTreeSet::from(["http://h0.zoo.test:80/orphan".to_owned()])
        );
        assert_eq!(
            found.forbidden,
            BTreeSet::from(["http://h0.zoo.test:80/private/11.html".to_owned()])
        );
    }
}

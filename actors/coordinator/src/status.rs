//! What the coordinator publishes of the crawl, for progress lines, the API and reports.

use std::time::Duration;

use contract::control::FrontierStats;
use serde::Serialize;

/// The crawl on this node, at the last look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    pub state: State,
    pub frontier: FrontierStats,
    /// Pages settled as done a second, over the last 10 s.
    pub pages_per_s: f64,
    pub bytes_per_s: f64,
    /// Settled pages that ended in an error, in this process.
    pub errors: Errors,
    /// This node's part of it.
    pub node: NodePart,
    /// Requests in flight now.
    pub in_flight: usize,
    /// Pages between fetcher and settle now.
    pub in_ring: u64,
    /// Running time over the crawl's life.
    pub running_ms: u64,
    /// What the crawl waits for, in words; none while requests are in flight.
    pub waiting_for: Option<String>,
    /// Time to the end, with what it is reckoned from.
    pub eta: Option<String>,
}

/// What of a crawl is one node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NodePart {
    /// Pages settled a second, over the last 10 s.
    pub pages_per_s: f64,
    /// Leases held now.
    pub leases: u64,
    /// Its part of the crawl's and the cluster's rate; none where none limits it.
    pub rate: Option<RatePart>,
    /// Connections kept for a next request.
    pub connections_idle: u64,
    /// Answers in the resolvers' caches, at most.
    pub dns_entries: u64,
}

/// A node's part of the shared rates: slots a second over the last 10 s, and how many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RatePart {
    pub granted_per_s: f64,
    pub used_per_s: f64,
    /// Ended before a request was ready.
    pub lapsed_per_s: f64,
    pub held: u64,
    /// Requests that wait for a slot.
    pub waiting: u64,
}

/// Errors by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    pub transient: u64,
    pub permanent: u64,
    pub system: u64,
}

impl Errors {
    pub fn total(self) -> u64 {
        self.transient + self.permanent + self.system
    }
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = [
            (self.transient, "transient"),
            (self.permanent, "permanent"),
            (self.system, "system"),
        ];
        let words: Vec<_> = rows
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, class)| format!("{n} {class}"))
            .collect();
        f.write_str(&words.join(", "))
    }
}

/// Where the crawl stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Starting,
    Running,
    Paused,
    Draining,
}

/// "waiting for the delay of docs.example.org, 0.7 s".
pub(crate) fn waiting_words(host: &str, wait: Duration) -> String {
    format!("the delay of {host}, {:.1} s", wait.as_secs_f64())
}

/// "12 min (720 queued at 1.0 pages/s)".
pub(crate) fn eta_words(queued: u64, pages_per_s: f64) -> Option<String> {
    if queued == 0 || pages_per_s <= 0.0 {
        return None;
    }
    let seconds = queued as f64 / pages_per_s;
    let time = match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    };
    Some(format!(
        "{time} ({queued} queued at {pages_per_s:.1} pages/s)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eta_says_what_it_is_reckoned_from() {
        assert_eq!(
            eta_words(720, 1.0).unwrap(),
            "12 min (720 queued at 1.0 pages/s)"
        );
        assert_eq!(
            eta_words(10, 20.0).unwrap(),
            "0 s (10 queued at 20.0 pages/s)"
        );
        assert_eq!(
            eta_words(20_000, 1.0).unwrap(),
            "5.6 h (20000 queued at 1.0 pages/s)"
        );
        assert_eq!((eta_words(0, 1.0), eta_words(5, 0.0)), (None, None));
        assert_eq!(
            waiting_words("a.test", Duration::from_millis(740)),
            "the delay of a.test, 0.7 s"
        );
    }
}

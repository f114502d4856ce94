//! What the room tells: a struct for each event; `emit` logs and counts in one place.
//!
//! Names begin with `argiope_frontier_`. Labels come from small closed sets, never a URL or a host.

use contract::admit::Admitted;
use contract::earlier::Reopened as Again;
use contract::settle::Settled;
use metrics::counter;
use tracing::{debug, error, info, warn};

use crate::error::StoreError;
use crate::store::Taken;
use crate::traps::Trapped;

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A family of URLs was given up as a trap.
pub(crate) struct FamilyGivenUp<'a> {
    pub(crate) trapped: &'a Trapped,
}

impl FamilyGivenUp<'_> {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_traps_total").increment(1);
        let Trapped {
            host,
            family,
            evidence,
        } = self.trapped;
        let (why, examples) = (evidence.why.as_str(), &evidence.examples);
        let (pages, fresh) = (evidence.pages, evidence.fresh);
        info!(%host, family, why, pages, fresh, ?examples, "a trap: the rest of this family is not asked for");
    }
}

/// A store was opened.
pub(crate) struct Opened {
    pub(crate) known: u64,
    pub(crate) queued: u64,
    pub(crate) hosts: u64,
    /// Hosts whose leases an earlier process left.
    pub(crate) taken_back: usize,
}

impl Opened {
    pub(crate) fn emit(self) {
        let Self {
            known,
            queued,
            hosts,
            taken_back,
        } = self;
        info!(known, queued, hosts, taken_back, "frontier opened");
    }
}

/// The stored counter and the queues disagreed; the queues are believed.
pub(crate) struct CountsMended {
    pub(crate) counted: u64,
    pub(crate) found: u64,
}

impl CountsMended {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_mended_total").increment(1);
        let Self { counted, found } = self;
        warn!(counted, found, "the count of queued URLs was wrong");
    }
}

/// A host's record promised URLs that its queue does not hold.
pub(crate) struct QueueMended {
    pub(crate) lost: u64,
}

impl QueueMended {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_mended_total").increment(1);
        error!(
            lost = self.lost,
            "a host's queue holds less than its record says"
        );
    }
}

/// A claim was answered.
pub(crate) struct Claimed {
    pub(crate) leases: usize,
    pub(crate) urls: usize,
}

impl Claimed {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_claims_total").increment(1);
        counter!("argiope_frontier_leases_total").increment(count(self.leases));
        counter!("argiope_frontier_urls_leased_total").increment(count(self.urls));
    }
}

/// The first URLs of a long queue's tail were packed.
pub(crate) struct Spilled {
    pub(crate) urls: usize,
    pub(crate) bytes: usize,
}

impl Spilled {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_urls_spilled_total").increment(count(self.urls));
        counter!("argiope_frontier_spilled_bytes_total").increment(count(self.bytes));
    }
}

/// A chunk of a queue came back into its head.
pub(crate) struct Unspilled {
    pub(crate) urls: usize,
}

impl Unspilled {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_urls_unspilled_total").increment(count(self.urls));
    }
}

/// Settled URLs were reopened.
pub(crate) struct Reopened {
    pub(crate) reopened: Again,
}

impl Reopened {
    pub(crate) fn emit(self) {
        let Again { queued, waiting } = self.reopened;
        counter!("argiope_frontier_urls_reopened_total").increment(queued);
        debug!(queued, waiting, "urls were reopened");
    }
}

/// A lease ran out: its holder or its pages have vanished.
pub(crate) struct LeaseExpired;

impl LeaseExpired {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_leases_expired_total").increment(1);
        debug!("a lease ran out");
    }
}

/// A URL ended its lease too often.
pub(crate) struct GaveUp<'a> {
    pub(crate) host: &'a str,
    pub(crate) url: &'a str,
}

impl GaveUp<'_> {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_urls_given_up_total").increment(1);
        // Debug form: nothing that a page says reaches the log unescaped (I9).
        warn!(host = ?self.host, url = ?self.url, "a URL is not tried again");
    }
}

/// The shared store was asked, several shards at once.
pub(crate) struct RoundTrip {
    pub(crate) calls: usize,
}

impl RoundTrip {
    pub(crate) fn emit(self) {
        counter!("argiope_frontier_round_trips_total").increment(1);
        counter!("argiope_frontier_calls_total").increment(count(self.calls));
    }
}

fn links(admitted: Admitted) {
    counter!("argiope_frontier_links_total", "was" => "new").increment(admitted.new);
    counter!("argiope_frontier_links_total", "was" => "known").increment(admitted.known);
}

/// Links were admitted.
pub(crate) struct LinksTaken {
    pub(crate) admitted: Admitted,
}

impl LinksTaken {
    pub(crate) fn emit(self) {
        links(self.admitted);
    }
}

/// A group of pages was settled.
pub(crate) struct PagesSettled<'a> {
    pub(crate) taken: &'a Taken,
}

impl PagesSettled<'_> {
    pub(crate) fn emit(self) {
        links(self.taken.links);
        for (settled, answer) in [
            (Settled::Applied, "applied"),
            (Settled::Duplicate, "duplicate"),
            (Settled::Fenced, "fenced"),
        ] {
            let number = self.taken.answers.iter().filter(|&&a| a == settled).count();
            if number > 0 {
                counter!("argiope_frontier_settles_total", "answer" => answer)
                    .increment(count(number));
            }
        }
    }
}

/// The store did not do what it was asked.
pub(crate) struct StoreFailed<'a> {
    pub(crate) verb: &'static str,
    pub(crate) error: &'a StoreError,
}

impl StoreFailed<'_> {
    pub(crate) fn emit(self) {
        let class = self.error.class().as_str();
        counter!("argiope_frontier_failures_total", "class" => class).increment(1);
        error!(verb = self.verb, class, error = ?self.error, "the frontier's store failed");
    }
}

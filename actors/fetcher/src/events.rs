//! What the fetcher tells: names and help texts of its metrics, and the places where they are counted.
//!
//! Labels come from closed sets (outcome codes), never from a URL or host.

use contract::outcome::Outcome;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::dns::DnsLoad;
use crate::error::FetchError;
use crate::http::Answered;

/// Names the metrics once, for the exporter.
pub fn describe() {
    describe_counter!(
        "argiope_fetcher_requests_total",
        "Requests sent that ended, by outcome"
    );
    describe_counter!(
        "argiope_fetcher_bytes_total",
        "Body bytes received, as on the wire"
    );
    describe_counter!(
        "argiope_fetcher_pages_total",
        "URLs handed on to the parser, by outcome"
    );
    describe_counter!(
        "argiope_fetcher_retries_total",
        "Tries repeated within a lease"
    );
    describe_counter!(
        "argiope_fetcher_rests_total",
        "Leases given back because the host has to rest"
    );
    describe_counter!(
        "argiope_fetcher_panics_total",
        "Panics while a page was fetched"
    );
    describe_counter!("argiope_fetcher_dns_queries_total", "Names looked up");
    describe_counter!(
        "argiope_fetcher_dns_hits_total",
        "Names answered from the cache"
    );
    describe_gauge!(
        "argiope_fetcher_leases",
        "Leases held now, over all fetchers of the node"
    );
    describe_gauge!(
        "argiope_fetcher_in_flight",
        "Requests in flight now, over all fetchers of the node"
    );
    describe_histogram!(
        "argiope_fetcher_head_seconds",
        "From sending a request to its answer's head"
    );
}

/// A request is in flight as long as this lives.
pub(crate) struct InFlight;

impl InFlight {
    pub(crate) fn begin() -> Self {
        gauge!("argiope_fetcher_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("argiope_fetcher_in_flight").decrement(1.0);
    }
}

pub(crate) fn request_ended(result: &Result<Answered, FetchError>) {
    let outcome = match result {
        Ok(answered) => Outcome::of_status(answered.exchange.status.as_u16()),
        Err(error) => error.outcome(),
    };
    counter!("argiope_fetcher_requests_total", "outcome" => outcome.code()).increment(1);
    if let Ok(Answered { exchange, .. }) = result {
        counter!("argiope_fetcher_bytes_total").increment(exchange.body.len());
        histogram!("argiope_fetcher_head_seconds").record(exchange.head_after.as_secs_f64());
    }
}

pub(crate) fn page_handed(outcome: Outcome) {
    counter!("argiope_fetcher_pages_total", "outcome" => outcome.code()).increment(1);
}

pub(crate) fn retried() {
    counter!("argiope_fetcher_retries_total").increment(1);
}

pub(crate) fn host_rests() {
    counter!("argiope_fetcher_rests_total").increment(1);
}

pub(crate) fn panicked(panic: &contract::guarded::Panicked) {
    counter!("argiope_fetcher_panics_total").increment(1);
    tracing::error!(severity = "CRITICAL", %panic, "a page's fetch panicked");
}

/// A lease is held as long as this lives.
pub(crate) struct LeaseHeld;

impl LeaseHeld {
    pub(crate) fn begin() -> Self {
        gauge!("argiope_fetcher_leases").increment(1.0);
        Self
    }
}

impl Drop for LeaseHeld {
    fn drop(&mut self) {
        gauge!("argiope_fetcher_leases").decrement(1.0);
    }
}

/// What the resolver did since the last time.
pub(crate) fn dns(before: DnsLoad, now: DnsLoad) {
    counter!("argiope_fetcher_dns_queries_total")
        .increment(now.queries.saturating_sub(before.queries));
    counter!("argiope_fetcher_dns_hits_total").increment(now.hits.saturating_sub(before.hits));
}

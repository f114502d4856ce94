//! What the fetcher tells: names and help texts of its metrics, and [`Meters`], which counts them.
//!
//! Labels come from closed sets (outcome codes), never from a URL or host.

use contract::outcome::Outcome;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

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
    describe_counter!(
        "argiope_fetcher_handshakes_total",
        "Connections made, by layer: each has a TCP handshake, some a TLS one"
    );
    describe_gauge!(
        "argiope_fetcher_connections",
        "Connections open now, idle ones included, over all fetchers of the node"
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

/// The handles of what is counted for every page: counting costs no look-up by name.
pub(crate) struct Meters {
    /// One for each of [`Outcome::ALL`], in that order.
    requests: Vec<Counter>,
    pages: Vec<Counter>,
    bytes: Counter,
    head: Histogram,
    pub(crate) retries: Counter,
    pub(crate) rests: Counter,
    dns_queries: Counter,
    dns_hits: Counter,
    in_flight: Gauge,
    leases: Gauge,
}

impl Meters {
    /// Of one fetcher; those of all add up.
    pub(crate) fn new() -> Self {
        let by_outcome = |name: &'static str| {
            let counter = |outcome: &Outcome| counter!(name, "outcome" => outcome.code());
            Outcome::ALL.iter().map(counter).collect()
        };
        Self {
            requests: by_outcome("argiope_fetcher_requests_total"),
            pages: by_outcome("argiope_fetcher_pages_total"),
            bytes: counter!("argiope_fetcher_bytes_total"),
            head: histogram!("argiope_fetcher_head_seconds"),
            retries: counter!("argiope_fetcher_retries_total"),
            rests: counter!("argiope_fetcher_rests_total"),
            dns_queries: counter!("argiope_fetcher_dns_queries_total"),
            dns_hits: counter!("argiope_fetcher_dns_hits_total"),
            in_flight: gauge!("argiope_fetcher_in_flight"),
            leases: gauge!("argiope_fetcher_leases"),
        }
    }

    /// A request is in flight as long as the answer lives.
    pub(crate) fn in_flight(&self) -> Raised {
        Raised::by_one(self.in_flight.clone())
    }

    /// A lease is held as long as the answer lives.
    pub(crate) fn lease_held(&self) -> Raised {
        Raised::by_one(self.leases.clone())
    }

    pub(crate) fn request_ended(&self, result: &Result<Answered, FetchError>) {
        let outcome = match result {
            Ok(answered) => Outcome::of_status(answered.exchange.status.as_u16()),
            Err(error) => error.outcome(),
        };
        count(&self.requests, outcome);
        if let Ok(Answered { exchange, .. }) = result {
            self.bytes.increment(exchange.body.len());
            self.head.record(exchange.head_after.as_secs_f64());
        }
    }

    pub(crate) fn page_handed(&self, outcome: Outcome) {
        count(&self.pages, outcome);
    }

    /// What the resolver did since the last time.
    pub(crate) fn dns(&self, before: DnsLoad, now: DnsLoad) {
        self.dns_queries
            .increment(now.queries.saturating_sub(before.queries));
        self.dns_hits
            .increment(now.hits.saturating_sub(before.hits));
    }
}

/// What is counted of connections.
#[derive(Clone, Debug)]
pub(crate) struct LineMeters {
    pub(crate) tcp: Counter,
    pub(crate) tls: Counter,
    open: Gauge,
}

impl LineMeters {
    /// Of one fetcher; those of all add up.
    pub(crate) fn new() -> Self {
        let handshakes = |layer| counter!("argiope_fetcher_handshakes_total", "layer" => layer);
        Self {
            tcp: handshakes("tcp"),
            tls: handshakes("tls"),
            open: gauge!("argiope_fetcher_connections"),
        }
    }

    /// A connection is open as long as the answer lives.
    pub(crate) fn open(&self) -> Raised {
        Raised::by_one(self.open.clone())
    }
}

fn count(counters: &[Counter], outcome: Outcome) {
    // [`Outcome::ALL`] lists the variants in their order.
    if let Some(counter) = counters.get(outcome as usize) {
        counter.increment(1);
    }
}

/// A gauge stands one higher as long as this lives.
#[derive(Debug)]
pub(crate) struct Raised(Gauge);

impl Raised {
    fn by_one(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

pub(crate) fn panicked(panic: &contract::guarded::Panicked) {
    counter!("argiope_fetcher_panics_total").increment(1);
    tracing::error!(severity = "CRITICAL", %panic, "a page's fetch panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_at_their_own_number() {
        for (at, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, at);
        }
    }
}

//! What the coordinator logs and counts, in one place.

use contract::control::Order;
use contract::outbox::ArrowLoad;
use contract::rate::Grant;
use contract::turns::Demand;
use metrics::{counter, gauge};
use tracing::{info, warn};

use crate::course::End;
use crate::status::Status;

pub(crate) fn looked(status: &Status) {
    gauge!("argiope_frontier_known").set(status.frontier.known as f64);
    gauge!("argiope_frontier_queued").set(status.frontier.queued as f64);
    gauge!("argiope_frontier_done").set(status.frontier.done as f64);
    gauge!("argiope_frontier_leases").set(status.frontier.leases as f64);
    gauge!("argiope_pages_in_ring").set(status.in_ring as f64);
    gauge!("argiope_requests_in_flight").set(status.in_flight as f64);
}

/// What waits for the shared rate.
pub(crate) fn turns(load: &ArrowLoad) {
    gauge!("argiope_rate_waiting").set(load.held as f64);
    gauge!("argiope_rate_waited_seconds").set(load.waited.as_secs_f64());
}

pub(crate) fn reserved(grant: &Grant, demand: Demand) {
    if let Grant::Slots(slots) = grant {
        counter!("argiope_rate_slots_total").increment(u64::from(slots.granted));
        counter!("argiope_rate_slots_lapsed_total").increment(demand.lapsed);
    }
}

pub(crate) fn no_rate(error: &dyn std::fmt::Display) {
    warn!(%error, "no slots of the shared rate; nothing is sent until there are");
}

pub(crate) fn rate_again() {
    info!("slots of the shared rate come again");
}

pub(crate) fn ended(end: &End) {
    info!(?end, "the crawl ends");
}

pub(crate) fn ordered(order: &Order) {
    info!(?order, "operator's order");
}

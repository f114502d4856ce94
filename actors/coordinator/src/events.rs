//! What the coordinator logs and counts, in one place.

use contract::control::Order;
use metrics::gauge;
use tracing::info;

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

pub(crate) fn ended(end: &End) {
    info!(?end, "the crawl ends");
}

pub(crate) fn ordered(order: &Order) {
    info!(?order, "operator's order");
}

//! What the coordinator logs and counts, in one place.

use contract::control::Order;
use contract::rate::Grant;
use contract::turns::Demand;
use metrics::counter;
use tracing::{info, warn};

use crate::course::End;

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

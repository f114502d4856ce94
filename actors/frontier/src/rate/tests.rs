//! What the rates promise: the reckoning by tables and on simulated nodes, and the script held against it.

mod nodes;
mod reckoning;
mod script;

use contract::rate::{Grant, Limit, Rate, Reserve, Reserved, Slots, StoreTime};

/// A limit as people write it; "" for none.
fn limit(rate: &str, burst: u32) -> Limit {
    Limit {
        rate: rate.parse::<Rate>().ok(),
        burst,
    }
}

fn ask(want: u32) -> Reserve {
    Reserve {
        want,
        weight: 1,
        last: StoreTime(0),
        share: StoreTime(0),
    }
}

/// The slots of an answer that is limited.
#[track_caller]
fn slots(reserved: &Reserved) -> Slots {
    match reserved.grant {
        Grant::Slots(slots) => slots,
        Grant::Unlimited => panic!("not limited: {reserved:?}"),
    }
}

/// Due times of an answer's slots, in microseconds of the store's clock.
fn due(reserved: &Reserved) -> Vec<u64> {
    let slots = slots(reserved);
    let nth = |n| slots.start.0 + slots.step_ns * u64::from(n) / 1_000;
    (0..slots.granted).map(nth).collect()
}

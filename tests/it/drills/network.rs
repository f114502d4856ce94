//! Drills of the network between nodes and store: cut off both ways or one way, and lossy.

use std::time::Duration;

use kit::log::now;
use kit::proxy::{Direction, Proxy};

use super::{Allowed, Drill, LEASE, UNSETTLED, apart, pass};

/// One of three nodes is cut off for longer than its leases.
fn cut_off(name: &'static str, direction: Direction) {
    let mut drill = Drill::new(name, Duration::from_millis(50));
    let proxy = Proxy::start(drill.fleet.redis.address()).unwrap();
    drill.join_apart("n1", proxy.address());
    drill.join("n2");
    drill.join("n3");
    drill.moment(5, 60);
    proxy.black_hole(direction);
    let cut = now();
    let time = drill.some_ms(3_000, 8_000);
    pass(time);
    let healed = now();
    proxy.heal().unwrap();
    let allowed = Allowed {
        repeats: UNSETTLED,
        late: 0,
    };
    drill.ends_and(allowed, |log| {
        // I4: its leases end two seconds after they were last extended at the latest; the rest is the way to the origin.
        let over = cut + LEASE + Duration::from_millis(500);
        let sent = apart(log).filter(|entry| entry.start > over && entry.start < healed);
        let sent: Vec<_> = sent.map(|entry| entry.start - cut).collect();
        assert!(sent.is_empty(), "sent after its leases: {sent:?}");
    });
}

#[test]
fn a_node_is_cut_off() {
    cut_off("net-cut-off", Direction::Both);
}

#[test]
fn a_node_is_not_heard() {
    cut_off("net-not-heard", Direction::ToUpstream);
}

#[test]
fn a_node_does_not_hear() {
    cut_off("net-does-not-hear", Direction::ToClient);
}

#[test]
fn half_of_what_is_said_is_lost() {
    let mut drill = Drill::new("net-loss", Duration::from_millis(50));
    let proxy = Proxy::start(drill.fleet.redis.address()).unwrap();
    for node in ["n1", "n2", "n3"] {
        drill.join_at(node, proxy.address(), &[]);
    }
    drill.moment(5, 60);
    proxy.loss(50, drill.seed);
    let time = drill.some_ms(3_000, 8_000);
    pass(time);
    proxy.heal().unwrap();
    drill.ends(Allowed {
        repeats: 3 * UNSETTLED,
        late: 0,
    });
}

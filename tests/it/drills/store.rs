//! Drills of the store: killed, cut back, frozen, full, read-only.

use std::time::Duration;

use kit::log::now;

use super::{Allowed, Drill, UNSETTLED, pass};

/// What three nodes that lose every lease at once may fetch once more.
const ALL: Allowed = Allowed {
    repeats: 3 * UNSETTLED,
    late: 0,
};

#[test]
fn the_store_is_killed_and_started_again() {
    let mut drill = Drill::start("store-kill");
    drill.moment(5, 60);
    drill.fleet.redis.kill().unwrap();
    let time = drill.some_ms(0, 3_000);
    pass(time);
    drill.fleet.redis.restart().unwrap();
    drill.ends(ALL);
}

#[test]
fn the_store_forgets_its_last_seconds() {
    let mut drill = Drill::start("store-forgets");
    drill.moment(10, 50);
    let length = |drill: &Drill| -> u64 {
        let field = drill.fleet.redis.info("aof_current_size").unwrap();
        field.parse().unwrap()
    };
    let (before, requests) = (length(&drill), drill.stand.origin.requests());
    let time = drill.some_ms(1_000, 2_000);
    pass(time);
    let after = length(&drill);
    drill.fleet.redis.kill().unwrap();
    let forgotten = drill.stand.origin.requests() - requests;
    drill.fleet.redis.aof_cut(after - before).unwrap();
    drill.fleet.redis.restart().unwrap();
    drill.ends(Allowed {
        repeats: forgotten + ALL.repeats,
        late: 0,
    });
}

#[test]
fn the_store_is_frozen() {
    let mut drill = Drill::start("store-frozen");
    drill.moment(5, 60);
    let frozen = now();
    drill.fleet.redis.freeze().unwrap();
    let time = drill.some_ms(3_500, 6_000);
    pass(time);
    let thawed = now();
    drill.fleet.redis.thaw().unwrap();
    drill.ends_and(ALL, |log| {
        // Two seconds after the last answer nobody sends; half a second for what was on its way to the origin.
        let quiet = frozen + Duration::from_millis(2_500);
        let sent = log
            .iter()
            .filter(|entry| entry.start > quiet && entry.start < thawed);
        assert_eq!(sent.count(), 0, "they sent without their store");
    });
}

#[test]
fn the_store_is_full() {
    let mut drill = Drill::start("store-full");
    drill.moment(5, 60);
    let used = drill.fleet.redis.used_memory().unwrap();
    drill
        .fleet
        .redis
        .config_set("maxmemory", &(used / 2).to_string())
        .unwrap();
    let time = drill.some_ms(2_000, 6_000);
    pass(time);
    drill.fleet.redis.config_set("maxmemory", "0").unwrap();
    drill.fleet.redis.info("errorstat_OOM").expect("a refusal");
    drill.ends(ALL);
}

#[test]
fn the_store_takes_no_writes() {
    let mut drill = Drill::start("store-read-only");
    drill.moment(5, 60);
    // The replica of a master that is not there keeps what it has and refuses every write.
    let time = drill.some_ms(2_000, 5_000);
    let redis = &drill.fleet.redis;
    redis.call(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    pass(time);
    redis.call(&["REPLICAOF", "NO", "ONE"]).unwrap();
    redis.info("errorstat_READONLY").expect("a refusal");
    drill.ends(ALL);
}

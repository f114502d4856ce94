//! Drills of what nodes share: the rate, the time, the form of what is stored.

use std::time::Duration;

use kit::audit;
use kit::log::now;
use rand::Rng as _;

use super::{Allowed, Drill, UNHURRIED};
use crate::crawl::ended;

#[test]
fn the_rate_is_lowered_at_full_speed() {
    const RATE: usize = 20;
    let mut drill = Drill::start_with("rate-lowered", UNHURRIED);
    drill.moment(5, 40);
    drill.fleet.ask("rate", &["20/s"]);
    let from = now() + Duration::from_secs(2);
    super::pass(Duration::from_secs(8));
    let to = now();
    drill.fleet.ask("rate", &["none"]);
    drill.ends_and(Allowed::default(), |log| {
        let slow = log
            .iter()
            .filter(|entry| entry.start >= from && entry.start < to);
        let slow: Vec<_> = slow.cloned().collect();
        assert!(slow.len() > RATE, "nothing went on: {}", slow.len());
        for seconds in [1, 3] {
            // I3: rate * (w + 0.2 s) + burst.
            let bound = RATE * seconds + RATE / 5 + 1;
            let most = audit::busiest(&slow, Duration::from_secs(seconds as u64));
            assert!(
                most <= bound,
                "I3: {most} requests in {seconds} s, not {bound}"
            );
        }
    });
}

#[test]
fn the_clock_of_a_node_jumps_by_an_hour() {
    let mut drill = Drill::new("clock-jump", Duration::from_millis(50));
    drill.lease = UNHURRIED;
    let library = std::fs::read_dir("/usr/lib").unwrap();
    let library = library
        .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketime.so.1")))
        .find(|file| file.is_file())
        .expect("libfaketime: `tests/run` installs it");
    let time = drill.fleet.folder.path().join("time");
    std::fs::write(&time, "+0s").unwrap();
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", time.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let store = drill.fleet.redis.address();
    drill.join_at("n1", store, &environment);
    drill.join("n2");
    drill.join("n3");
    drill.moment(5, 60);
    let jump = if drill.rng.random() { "+1h" } else { "-1h" };
    std::fs::write(&time, jump).unwrap();
    drill.ends(Allowed::default());
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let mut drill = Drill::start_with("newer-store", UNHURRIED);
    drill.moment(5, 60);
    let conf = |words: &[&str]| drill.fleet.redis.call(words).unwrap().text();
    conf(&["HSET", "{argiope}:conf", "schema", "9"]);
    let refused = drill.fleet.run("node", &["--node-name", "old"]);
    let refused = ended(refused, 4).err;
    assert!(refused.contains("use the newer program"), "{refused}");
    assert_eq!(conf(&["HGET", "{argiope}:conf", "schema"]), "9");
    conf(&["HSET", "{argiope}:conf", "schema", "1"]);
    drill.ends(Allowed::default());
}

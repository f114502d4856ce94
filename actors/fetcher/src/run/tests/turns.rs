//! The rate that all nodes share: a request waits for its turn, and for nothing is anything held meanwhile.

use contract::rate::{Grant, Slots, StoreTime};

use super::*;
use crate::testing::ring::reserved;

/// Slots that are due now.
fn slots(granted: u32) -> Grant {
    let (now, step_ns) = (StoreTime(1), 1_000);
    Grant::Slots(Slots {
        granted,
        start: now,
        step_ns,
        booked: now,
        booked_step_ns: step_ns,
        share: now,
    })
}

impl Bench {
    fn grant(&self, granted: u32) {
        let sent = Clock::machine().boot();
        self.ring.turns.take(&reserved(slots(granted)), sent);
    }

    /// Waits until somebody waits for a turn.
    async fn waiting(&self) {
        while self.ring.turns.load().held == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[actix::test]
async fn every_request_has_its_turn_and_whoever_waits_for_one_holds_nothing() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => page(""),
        "/a" => answer("301 Moved", "location: /a?\r\n", ""),
        _ => page("hello"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.grant(0);
    let shell = bench.fetcher.shell();
    let turns = async {
        for requests in 0..4 {
            bench.waiting().await;
            assert_eq!(site.seen().len(), requests);
            let permits = shell.in_flight.available_permits();
            assert_eq!(permits, shell.config.in_flight_max);
            assert_eq!(bench.ring.bytes.held(), 0);
            bench.grant(1);
        }
    };
    tokio::join!(bench.fetch(&site, &["/a", "/b"]), turns);
    assert_eq!(site.paths(), ["/robots.txt", "/a", "/a?", "/b"]);
    assert_eq!(bench.released(), Some(2));
    assert_eq!(bench.ring.turns.demand().spent, 4);
}

#[actix::test]
async fn a_lease_outlives_a_long_wait_for_a_turn() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    bench.grant(0);
    let turns = async {
        bench.waiting().await;
        tokio::time::sleep(TERM * 3).await;
        bench
            .ring
            .turns
            .take(&reserved(Grant::Unlimited), Clock::machine().boot());
    };
    tokio::join!(bench.fetch(&site, &["/a"]), turns);
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
    let extends = bench.ring.log.lock().unwrap().extends;
    assert!(extends >= 8, "{extends} extensions");
}

#[actix::test]
async fn a_drain_ends_the_wait_for_a_turn() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    bench.grant(0);
    let drain = async {
        bench.waiting().await;
        bench.fetcher.shell().drain.cancel("drain");
    };
    tokio::join!(bench.fetch(&site, &["/a"]), drain);
    assert_eq!(site.paths().len(), 0);
    assert_eq!(bench.released(), Some(0));
    assert_eq!(bench.ring.turns.load().held, 0, "nobody waits any more");
}

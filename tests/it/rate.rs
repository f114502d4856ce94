//! The rate of a whole crawl, judged by the origin's log: however many hosts there are, and whatever is asked of them.

use std::collections::BTreeSet;
use std::time::Duration;

use kit::audit;
use kit::web::Web;
use serde_json::Value;

use crate::archive;
use crate::stand::Stand;

/// Invariant I3: in any window w no more than rate · (w + 0.2 s) + burst.
#[test]
fn many_hosts_together_are_asked_no_faster_than_the_rate() {
    const RATE: f64 = 50.0;
    let stand = Stand::of(Web {
        hosts: 16,
        pages_per_host: 10,
        moved_every: 3,
        gone_every: 7,
        private_every: 5,
        flaky_every: 0,
        delay_ms: (0, 5),
        ..Web::default()
    });
    let crawl = stand
        .crawl()
        .flags(&["--rate", "50/s", "--delay", "0", "--scope-type", "domain"]);
    let crawl = crawl.seed(&stand.origin.home());
    crawl.ends(0);
    archive::sound(&crawl);

    let log = stand.origin.log();
    let kinds: BTreeSet<u16> = log.iter().map(|entry| entry.status).collect();
    assert!(kinds.is_superset(&[200, 301, 404].into()), "{kinds:?}");
    let robots = log.iter().filter(|entry| entry.path == "/robots.txt");
    assert_eq!(robots.count(), 16);
    for ms in [1, 50, 100, 200, 500, 1_000, 2_000, 4_000, 60_000] {
        let window = Duration::from_millis(ms);
        let most = audit::busiest(&log, window);
        let bound = RATE * (window.as_secs_f64() + 0.2) + 1.0;
        assert!(
            most as f64 <= bound,
            "{most} requests within {window:?}, {} in all",
            log.len()
        );
    }
    // It was the rate that held it up, not the hosts.
    let machine = std::fs::read(crawl.path("reports/machine.json")).unwrap();
    let machine: Value = serde_json::from_slice(&machine).unwrap();
    assert!(machine["waited_ms_by_arrow"]["turn"].as_u64() > Some(0));
}

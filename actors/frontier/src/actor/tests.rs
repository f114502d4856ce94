//! The room as its neighbours see it: through outboxes, over a real store or the model.

use contract::canonical::Fingerprint;
use contract::clock::Wall;
use contract::error::ErrorClass;
use contract::fault::FailPlan;
use contract::health::FaultKind;
use contract::host::Host;
use contract::lease::Taker;
use contract::link::{Link, LinkKind};
use contract::outbox::Outbox;
use contract::settle::{Read, Settled};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::config::{FrontierConfig, Rules};
use crate::rate::local::LocalRates;
use crate::store::embedded::{Embedded, EmbeddedOptions};
use crate::store::memory::Memory;
use crate::store::memory::Ways;
use crate::store::suite;

/// Longer than anything waited for here.
const LONG: Duration = Duration::from_secs(600);

struct Doors {
    claim: Outbox<Claim>,
    settle: Outbox<SettleBatch>,
    admit: Outbox<Admit>,
    release: Outbox<Release>,
    report: Outbox<FrontierReport>,
    order: Outbox<FrontierOrder>,
    bell: Bell,
    clock: Clock,
    health: Health,
    died: mpsc::Receiver<contract::beacon::Died>,
}

fn rules() -> Rules {
    Rules::new(&Default::default(), &FrontierConfig::default())
}

fn open<S: Store>(store: S, clock: &Clock) -> Doors {
    let (to, died) = mpsc::channel(1);
    let bell = Bell::new(1);
    let (health, beacon) = (Health::default(), Beacon::new("frontier", to));
    let room = Frontier::new(
        Arc::new(store),
        Arc::new(LocalRates::new(clock.clone())),
        clock.clone(),
        bell.clone(),
        64,
        health.clone(),
        beacon,
    )
    .start();
    Doors {
        claim: Outbox::new("lease", vec![room.clone().recipient()], 8, LONG),
        settle: Outbox::new("settle", vec![room.clone().recipient()], 8, LONG),
        admit: Outbox::new("admit", vec![room.clone().recipient()], 8, LONG),
        release: Outbox::new("release", vec![room.clone().recipient()], 8, LONG),
        report: Outbox::new("report", vec![room.clone().recipient()], 8, LONG),
        order: Outbox::new("order", vec![room.recipient()], 8, LONG),
        bell,
        clock: clock.clone(),
        health,
        died,
    }
}

fn model() -> Doors {
    tokio::time::pause();
    let clock = Clock::manual(Wall(1_000_000_000_000));
    open(Memory::new(Ways::Embedded, rules(), clock.clone()), &clock)
}

fn links(count: u64) -> Admit {
    let link = |number: u64| Link {
        host: Host::from_stored("a.test"),
        url: format!("http://a.test/{number}").into(),
        fingerprint: Fingerprint(number + 1),
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
    };
    Admit {
        links: (0..count).map(link).collect(),
        via: "seed".into(),
        force: false,
    }
}

const ONE: Claim = Claim {
    taker: Taker::ALONE,
    hosts: 1,
    urls_per_host: 1,
};

impl Doors {
    /// How long the bell was silent, up to [`LONG`].
    async fn silence(&self) -> Duration {
        let began = Instant::now();
        self.bell.heard(LONG).await;
        began.elapsed()
    }

    /// Claims one URL, settles it and releases its host.
    async fn one_page(&self) {
        let lease = self.claim.ask(ONE).await.unwrap().unwrap().leases.remove(0);
        let settle = suite::done(&lease, Vec::new());
        let settles = vec![settle];
        let answers = self.settle.ask(SettleBatch { settles }).await.unwrap();
        assert_eq!(answers, Ok(vec![Settled::Applied]));
        let release = Release {
            host: lease.host,
            token: lease.token,
            handed: 1,
            last_end: Some(self.clock.boot()),
        };
        self.release.ask(release).await.unwrap().unwrap();
    }
}

#[actix::test]
async fn the_bell_rings_when_something_is_due_and_not_before() {
    let doors = model();
    assert_eq!(doors.silence().await, Duration::ZERO, "once at the start");
    assert!(doors.silence().await >= LONG, "nothing is known");
    doors.admit.ask(links(3)).await.unwrap().unwrap();
    assert_eq!(doors.silence().await, Duration::ZERO, "a host is due");
    doors.one_page().await;
    let silence = doors.silence().await;
    let delay = Duration::from_secs(1);
    assert!(
        silence >= delay && silence < delay + Duration::from_millis(50),
        "the alarm of its delay: {silence:?}"
    );
    assert!(doors.silence().await >= LONG, "it rings once for it");
    doors.clock.advance(delay);
    doors.one_page().await;
}

#[actix::test]
async fn a_pause_refuses_claims_alone() {
    let doors = model();
    doors.admit.ask(links(2)).await.unwrap().unwrap();
    doors
        .order
        .ask(FrontierOrder::Pause)
        .await
        .unwrap()
        .unwrap();
    let refused = doors.claim.ask(ONE).await.unwrap().unwrap_err();
    assert_eq!(refused, FrontierError::Refusing("paused"));
    assert_eq!(refused.class(), ErrorClass::Transient);
    doors.admit.ask(links(3)).await.unwrap().unwrap();
    doors.silence().await;
    doors
        .order
        .ask(FrontierOrder::Resume)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(doors.silence().await, Duration::ZERO, "what waited is due");
    doors.one_page().await;
    let ran = FrontierOrder::Ran(Duration::from_secs(3));
    doors.order.ask(ran).await.unwrap().unwrap();
    let stats = doors.report.ask(FrontierReport).await.unwrap().unwrap();
    assert_eq!((stats.known, stats.done, stats.kept), (3, 1, 1));
    assert_eq!(stats.ran, Duration::from_secs(3));
}

#[actix::test]
async fn a_full_disk_is_told_as_the_stores_failure() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::machine();
    let options = |fail| EmbeddedOptions {
        rules: rules(),
        clock: clock.clone(),
        memory_bytes: 16 << 20,
        fingerprint_seed: 1,
        fail,
    };
    let full = options(FailPlan::nth(2, 28, true));
    let mut doors = open(Embedded::open(folder.path(), full).unwrap(), &clock);
    doors.admit.ask(links(1)).await.unwrap().unwrap();
    let failed = doors.admit.ask(links(2)).await.unwrap().unwrap_err();
    assert_eq!(failed.class(), ErrorClass::System);
    assert!(failed.to_string().contains("No space left"), "{failed}");
    let fault = doors.health.fault().expect("the coordinator is told");
    assert_eq!((fault.room, fault.kind), ("frontier", FaultKind::DiskFull));
    let failed = doors.claim.ask(ONE).await.unwrap().unwrap_err();
    assert!(failed.to_string().contains("opened again"), "{failed}");
    // The room lives until its owner ends it; then its light says that it went quietly.
    let mut died = std::mem::replace(&mut doors.died, mpsc::channel(1).1);
    drop(doors);
    let died = died.recv().await.unwrap();
    assert!(!died.panicking);
    let store = Embedded::open(folder.path(), options(FailPlan::none())).unwrap();
    let stats = crate::store::suite::now(store.stats()).unwrap();
    assert_eq!(stats.known, 1, "what was acknowledged is there");
}

#[actix::test]
async fn urls_of_a_family_that_was_given_up_are_leased_with_the_rule() {
    let doors = model();
    let link = |number: u64, kind| Link {
        host: Host::from_stored("a.test"),
        url: format!("http://a.test/cal/2099/{number}").into(),
        fingerprint: Fingerprint(number + 1),
        kind,
        depth: 0,
        hops: 0,
    };
    let first = Admit {
        links: vec![link(0, LinkKind::Page)],
        via: "seed".into(),
        force: false,
    };
    doors.admit.ask(first).await.unwrap().unwrap();
    for number in 1..400 {
        doors.clock.advance(Duration::from_secs(1));
        let lease = doors
            .claim
            .ask(ONE)
            .await
            .unwrap()
            .unwrap()
            .leases
            .remove(0);
        if let [(0, rule)] = &*lease.trapped {
            assert!(rule.contains("texts were seen before"), "{rule}");
            assert!(number > 100, "after {number} pages");
            return;
        }
        let mut settle = suite::done(&lease, vec![link(number, LinkKind::Page)]);
        settle.read = Some(Read {
            found_at: Some("http://a.test/".into()),
            depth: 1,
            text: None,
        });
        let settles = vec![settle];
        doors
            .settle
            .ask(SettleBatch { settles })
            .await
            .unwrap()
            .unwrap();
        let release = Release {
            host: lease.host,
            token: lease.token,
            handed: 1,
            last_end: Some(doors.clock.boot()),
        };
        doors.release.ask(release).await.unwrap().unwrap();
    }
    panic!("it goes on for ever");
}

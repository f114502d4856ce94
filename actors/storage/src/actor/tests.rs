//! The room between a fetcher that hands it pages and a frontier that may refuse.

use super::*;
use crate::ledger::LedgerReader;
use crate::testing::{PageBuilder, scratch};
use contract::admit::FrontierError;
use contract::page::{PageGauge, PageLife};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// A frontier that remembers what was settled, and refuses while it is told to.
#[derive(Clone, Default)]
struct FakeFrontier {
    settled: Arc<Mutex<Vec<Vec<String>>>>,
    refuses: bool,
}

impl Actor for FakeFrontier {
    type Context = Context<Self>;
}

impl Handler<Work<SettleBatch>> for FakeFrontier {
    type Result = MessageResult<Work<SettleBatch>>;
    fn handle(&mut self, work: Work<SettleBatch>, _: &mut Self::Context) -> Self::Result {
        if self.refuses {
            return MessageResult(Err(FrontierError::Store("away".to_owned())));
        }
        let urls: Vec<String> = work
            .item
            .settles
            .iter()
            .map(|settle| settle.via.to_string())
            .collect();
        let answer = vec![Settled::Applied; urls.len()];
        self.settled.lock().unwrap().push(urls);
        MessageResult(Ok(answer))
    }
}

struct Room {
    dir: tempfile::TempDir,
    keep: Outbox<Keep>,
    seal: Outbox<Seal>,
    frontier: FakeFrontier,
    gauge: Arc<PageGauge>,
    health: Health,
}

impl Room {
    fn start(faults: FailPlan, refuses: bool, config: StorageConfig) -> Self {
        let dir = scratch();
        let frontier = FakeFrontier {
            refuses,
            ..FakeFrontier::default()
        };
        let patience = Duration::from_secs(60);
        let settle = Outbox::new(
            "settle",
            vec![frontier.clone().start().recipient()],
            8,
            patience,
        );
        let (died, _) = mpsc::channel(1);
        let setup = Setup {
            layout: Layout::new(dir.path()),
            prefix: "t".to_owned(),
            info: Vec::new(),
            clock: Clock::machine(),
            chance: Chance::seeded(1),
            faults,
            config: config.clone(),
        };
        let health = Health::default();
        let room = Storage::open(setup, settle, health.clone(), Beacon::new("storage", died))
            .unwrap()
            .start();
        Self {
            dir,
            keep: Outbox::new(
                "keep",
                vec![room.clone().recipient()],
                config.slots_max,
                patience,
            ),
            seal: Outbox::new("seal", vec![room.recipient()], 1, patience),
            frontier,
            gauge: Arc::new(PageGauge::default()),
            health,
        }
    }

    async fn keep(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let url = format!("http://a.test/{number}");
            let page = PageBuilder::new(&url)
                .gauge(&self.gauge)
                .position(number)
                .html("<p>hi")
                .build();
            self.keep.ask(Keep(page)).await.unwrap();
        }
    }

    fn settled(&self) -> Vec<String> {
        self.frontier.settled.lock().unwrap().concat()
    }

    fn kept(&self) -> usize {
        let mut ledger = LedgerReader::open(&Layout::new(self.dir.path()).ledger()).unwrap();
        let mut kept = 0;
        while let Some(line) = ledger.next_entry().unwrap() {
            kept += usize::from(line.warc.is_some());
        }
        kept
    }
}

#[actix::test]
async fn pages_are_settled_after_their_group_and_sealed_at_the_end() {
    let config = StorageConfig {
        group_pages_max: 8,
        ..StorageConfig::default()
    };
    let room = Room::start(FailPlan::none(), false, config);
    let fetched = PageLife::begin(&room.gauge);
    room.keep(0..100).await;
    drop(fetched);
    assert_eq!(room.seal.ask(Seal).await.unwrap(), Ok(()));
    let mut settled = room.settled();
    settled.sort();
    settled.dedup();
    assert_eq!((settled.len(), room.kept()), (100, 100));
    assert_eq!(
        (
            room.gauge.in_ring(),
            room.gauge.settled(),
            room.gauge.dropped()
        ),
        (0, 100, 1)
    );
    let batches = room.frontier.settled.lock().unwrap().len();
    assert!(
        batches < 40,
        "{batches} batches for 100 pages: groups do not gather"
    );
    let open: Vec<_> = std::fs::read_dir(Layout::new(room.dir.path()).archive())
        .unwrap()
        .collect();
    let name = open[0].as_ref().unwrap().file_name().into_string().unwrap();
    assert!(open.len() == 1 && name.ends_with(".warc.gz"), "{name}");
    // Sealing again with nothing to seal is no error, and work goes on after it.
    assert_eq!(room.seal.ask(Seal).await.unwrap(), Ok(()));
    room.keep(100..101).await;
    assert_eq!(room.seal.ask(Seal).await.unwrap(), Ok(()));
    assert_eq!(room.kept(), 101);
}

#[actix::test]
async fn a_single_page_does_not_wait_for_others() {
    let room = Room::start(FailPlan::none(), false, StorageConfig::default());
    room.keep(0..1).await;
    while room.gauge.settled() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.settled(), ["http://a.test/0"]);
}

#[actix::test]
async fn slots_are_held_until_the_settle() {
    let config = StorageConfig {
        slots_max: 4,
        group_pages_max: 100,
        group_wait_ms: 1,
        ..StorageConfig::default()
    };
    let room = Room::start(FailPlan::none(), false, config);
    // More pages than slots: they get in as those before them are settled, never more at once.
    for number in 0..20 {
        room.keep(number..number + 1).await;
        assert!(room.keep.load().held <= 4 && room.gauge.in_ring() <= 5);
    }
    assert_eq!(room.seal.ask(Seal).await.unwrap(), Ok(()));
    assert_eq!((room.settled().len(), room.keep.load().held), (20, 0));
}

#[actix::test]
async fn a_full_disk_is_reported_and_no_page_is_settled() {
    // From the first write of a record on.
    let room = Room::start(FailPlan::nth(12, 28, true), false, StorageConfig::default());
    room.keep(0..10).await;
    assert!(room.seal.ask(Seal).await.unwrap().is_err());
    let fault = room.health.fault().unwrap();
    assert_eq!((fault.room, fault.kind), ("storage", FaultKind::DiskFull));
    assert_eq!((room.settled().len(), room.kept()), (0, 0));
    assert_eq!(
        (
            room.gauge.in_ring(),
            room.gauge.dropped(),
            room.keep.load().held
        ),
        (0, 10, 0)
    );
}

#[actix::test]
async fn settles_that_the_frontier_refuses_are_not_counted_as_settled() {
    let room = Room::start(FailPlan::none(), true, StorageConfig::default());
    room.keep(0..3).await;
    assert_eq!(room.seal.ask(Seal).await.unwrap(), Ok(()));
    assert_eq!(
        (room.kept(), room.gauge.settled(), room.gauge.dropped()),
        (3, 0, 3)
    );
}

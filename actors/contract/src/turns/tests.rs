//! Turns on a clock that is moved by hand: who gets which slot, when, and what becomes of the others.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::Wall;
use crate::rate::{StoreTime, Versions};

const MS: u64 = 1_000;

struct Stand {
    clock: Clock,
    turns: Turns,
}

/// A fetcher that waits for its turn.
type Waits<'a> = Pin<Box<dyn Future<Output = Turn> + 'a>>;

impl Stand {
    fn new() -> Self {
        let clock = Clock::manual(Wall(0));
        let turns = Turns::new(clock.clone());
        Self { clock, turns }
    }

    /// Both clocks, in steps of a millisecond.
    async fn pass(&self, ms: u64) {
        for _ in 0..ms {
            self.clock.advance(Duration::from_millis(1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    /// Slots at these milliseconds from now on the store's clock, which is another one; booked where they are due.
    fn slots(&self, start_ms: u64, step_ms: u64, granted: u32) {
        self.answer(start_ms, step_ms, granted, self.clock.boot());
    }

    fn answer(&self, start_ms: u64, step_ms: u64, granted: u32, sent: Boot) {
        let now = StoreTime(77_000_000_000);
        let start = StoreTime(now.0 + start_ms * MS);
        let step_ns = step_ms * 1_000_000;
        let grant = Grant::Slots(Slots {
            granted,
            start,
            step_ns,
            booked: start,
            booked_step_ns: step_ns,
            share: StoreTime(0),
        });
        self.reserved(now, grant, sent);
    }

    fn reserved(&self, now: StoreTime, grant: Grant, sent: Boot) {
        let versions = Versions::default();
        let reserved = Reserved {
            now,
            versions,
            grant,
        };
        self.turns.take(&reserved, sent);
    }

    fn unlimited(&self) {
        self.reserved(StoreTime(0), Grant::Unlimited, self.clock.boot());
    }

    fn waits(&self) -> Waits<'_> {
        let mut waits: Waits<'_> = Box::pin(self.turns.turn());
        assert!(now(&mut waits).is_none(), "a turn came without a slot");
        waits
    }
}

fn now(waits: &mut Waits<'_>) -> Option<Turn> {
    match waits.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_asked_each_when_it_is_due() {
    let stand = Stand::new();
    let (mut first, mut second, mut third) = (stand.waits(), stand.waits(), stand.waits());
    stand.slots(10, 20, 2);
    assert!(now(&mut first).is_none() && now(&mut second).is_none());
    stand.pass(10).await;
    let turn = now(&mut first).expect("due at 10 ms");
    assert!(stand.turns.holds(&turn));
    turn.spend();
    stand.pass(19).await;
    assert!(now(&mut second).is_none(), "early");
    stand.pass(1).await;
    now(&mut second).expect("due at 30 ms").spend();
    stand.pass(500).await;
    assert!(now(&mut third).is_none(), "there were two slots");
    let demand = stand.turns.demand();
    assert_eq!((demand.waiting, demand.held, demand.spent), (1, 0, 2));
    assert_eq!(demand.want(), 3);
    assert_eq!(stand.turns.demand().spent, 0);
    assert_eq!(stand.turns.load().waited, Duration::from_millis(40));
    stand.slots(1_000, 50, 3);
    stand.pass(5_000).await;
    let fared = Fared {
        granted: 5,
        used: 2,
        lapsed: 2,
    };
    // The third one waited for the first of the three, and was not there in its time.
    assert_eq!(stand.turns.fared(), Some(fared));
    stand.unlimited();
    assert_eq!(stand.turns.fared(), None, "nothing limits it");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_his_slot_to_the_next() {
    let stand = Stand::new();
    let (first, mut second, third, mut fourth) =
        (stand.waits(), stand.waits(), stand.waits(), stand.waits());
    // One goes before there is a slot, one with a slot that is not due yet, one with the turn in hand.
    drop(third);
    assert_eq!(stand.turns.demand().waiting, 3);
    stand.slots(10, 10, 1);
    drop(first);
    stand.pass(10).await;
    let turn = now(&mut second).expect("the first one's slot");
    assert!(now(&mut fourth).is_none());
    drop(turn);
    now(&mut fourth).expect("the second one's turn").spend();
    assert_eq!(stand.turns.demand().spent, 1);
    assert!(stand.turns.try_turn().is_none(), "one slot, one request");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_over_after_a_chunk_and_never_made_up() {
    let stand = Stand::new();
    stand.slots(0, 50, 3);
    assert!(
        stand
            .turns
            .try_turn()
            .is_some_and(|turn| stand.turns.holds(&turn))
    );
    let held = stand.turns.try_turn().expect("what was dropped unspent");
    stand.pass(199).await;
    assert!(stand.turns.holds(&held));
    stand.pass(1).await;
    assert!(!stand.turns.holds(&held));
    drop(held);
    stand
        .turns
        .try_turn()
        .expect("the second ends at 250 ms")
        .spend();
    stand.pass(100).await;
    assert!(
        stand.turns.try_turn().is_none(),
        "the third ended at 300 ms"
    );
    let demand = stand.turns.demand();
    assert_eq!((demand.spent, demand.lapsed), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_makes_slots_fewer_and_none_early() {
    let stand = Stand::new();
    let sent = stand.clock.boot();
    stand.pass(150).await;
    // Due 100 ms after the answer, over 200 ms after they could have been due by the question.
    stand.answer(100, 60, 1, sent);
    let mut waits = Box::pin(stand.turns.turn()) as Waits<'_>;
    assert!(now(&mut waits).is_none());
    stand.pass(100).await;
    let turn = now(&mut waits).expect("due by the answer");
    stand.pass(49).await;
    assert!(stand.turns.holds(&turn));
    stand.pass(1).await;
    assert!(!stand.turns.holds(&turn), "ends by the question");
    drop(turn);
    let sent = stand.clock.boot();
    stand.pass(300).await;
    stand.answer(50, 10, 4, sent);
    assert_eq!(stand.turns.demand().held, 0, "over before they are due");
}

#[tokio::test(start_paused = true)]
async fn booked_early_is_over_early() {
    let stand = Stand::new();
    let at = StoreTime(5_000_000);
    let grant = Grant::Slots(Slots {
        granted: 2,
        start: StoreTime(at.0 + 100 * MS),
        step_ns: 100_000_000,
        booked: at,
        booked_step_ns: 1_000_000,
        share: at,
    });
    stand.reserved(at, grant, stand.clock.boot());
    stand.pass(100).await;
    let turn = stand.turns.try_turn().expect("due at 100 ms");
    stand.pass(99).await;
    assert!(stand.turns.holds(&turn));
    stand.pass(1).await;
    assert!(!stand.turns.holds(&turn));
    drop(turn);
    let second = stand.turns.try_turn().expect("due at 200, over at 201 ms");
    stand.pass(1).await;
    assert!(!stand.turns.holds(&second));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nobody_waits_until_there_is_one() {
    let stand = Stand::new();
    let mut waits = stand.waits();
    stand.unlimited();
    let turn = now(&mut waits).expect("no limit");
    assert!(stand.turns.holds(&turn));
    turn.spend();
    let turn = stand.turns.turn().await;
    stand.slots(0, 10, 1);
    assert!(!stand.turns.holds(&turn), "given before there was a limit");
    drop(turn);
    stand.turns.try_turn().expect("the slot").spend();
    assert!(stand.turns.try_turn().is_none());
    stand.unlimited();
    stand.turns.close();
    assert!(now(&mut stand.waits()).is_none(), "the store is silent");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_heard_of() {
    let stand = Stand::new();
    let heard = stand.turns.wanted();
    tokio::pin!(heard);
    let poll = |heard: Pin<&mut _>| {
        Future::poll(heard, &mut Context::from_waker(Waker::noop())).is_ready()
    };
    assert!(!poll(heard.as_mut()));
    let waits = stand.waits();
    drop(waits);
    assert!(!poll(heard.as_mut()), "nobody is there any more");
    let _waits = stand.waits();
    assert!(poll(heard.as_mut()));
}

/// Threads that take turns, give them up at any moment, and let them fall: each slot is one request at most.
#[test]
fn no_slot_is_spent_twice_whatever_becomes_of_those_who_wait() {
    const SLOTS: u32 = 5_000;
    let seed = Clock::machine().boot().0;
    println!("seed {seed}");
    let clock = Clock::machine();
    let turns = Turns::new(clock.clone());
    let done = Arc::new(AtomicBool::new(false));
    let fetcher = |n: u64| {
        let (turns, done) = (turns.clone(), done.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            let local = tokio::task::LocalSet::new();
            let task = |n: u64| {
                let (turns, done) = (turns.clone(), done.clone());
                let mut chance = crate::clock::Chance::seeded(seed ^ n);
                async move {
                    let mut spent = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let patience = Duration::from_micros(chance.draw() % 3_000);
                        match tokio::time::timeout(patience, turns.turn()).await {
                            Ok(turn) if !chance.draw().is_multiple_of(4) && turns.holds(&turn) => {
                                turn.spend();
                                spent += 1;
                            }
                            Ok(_) | Err(_) => {}
                        }
                        tokio::task::yield_now().await;
                    }
                    spent
                }
            };
            let tasks: Vec<_> = (0..16)
                .map(|m| local.spawn_local(task(n * 16 + m)))
                .collect();
            local.block_on(&runtime.unwrap(), async {
                let mut spent = 0;
                for task in tasks {
                    spent += task.await.unwrap();
                }
                spent
            })
        })
    };
    let threads: Vec<_> = (0..4).map(fetcher).collect();
    let (mut spent, mut lapsed) = (0_u64, 0);
    let mut look = |turns: &Turns| {
        let demand = turns.demand();
        spent += u64::from(demand.spent);
        lapsed += demand.lapsed;
        spent + lapsed
    };
    let step_ns = 20_000;
    for at in 0..SLOTS / 50 {
        let now = StoreTime(1_000_000);
        let grant = Grant::Slots(Slots {
            granted: 50,
            start: now,
            step_ns,
            booked: now,
            booked_step_ns: step_ns,
            share: now,
        });
        let versions = Versions::default();
        turns.take(
            &Reserved {
                now,
                versions,
                grant,
            },
            clock.boot(),
        );
        while look(&turns) < u64::from(at) * 50 {
            std::thread::yield_now();
        }
    }
    while look(&turns) < u64::from(SLOTS) {
        std::thread::yield_now();
    }
    done.store(true, Ordering::Relaxed);
    let taken: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(
        look(&turns),
        u64::from(SLOTS),
        "slots are spent or lapse, once"
    );
    assert_eq!((taken, turns.load().held), (spent, 0));
    assert!(spent > u64::from(SLOTS) / 2, "{spent} spent");
}

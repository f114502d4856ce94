//! This node's part of the shared rate: slots are asked for before those in hand are used up, for as long as it lives.
//!
//! Owns when to ask and for how many. It knows neither the rates nor the store that keeps them, only answers; what
//! they grant goes to [`Turns`]. Invariants: one question at a time; nobody waits for turns without a question being
//! asked within [`WAIT_MAX`]; a store that is silent for [`SILENCE`] closes the turns, also where nothing limited them.
//! Start at [`Reserving::keep`].

use std::time::Duration;

use contract::clock::{Boot, Chance, Clock};
use contract::outbox::{Outbox, OutboxError};
use contract::rate::{AHEAD, Grant, Reserve, Reserved, StoreTime};
use contract::turns::Turns;
use tokio::time::{sleep, timeout};

use crate::events;

/// Between two questions while slots are wanted: less than half of [`AHEAD`], up to which anybody may book.
const PERIOD: Duration = Duration::from_millis(60);
/// Between two questions while nothing is limited: a limit then holds within two seconds, also after one lost answer.
const LOOK: Duration = Duration::from_millis(500);
/// A slot that is further off is asked for again, since the rate may be changed before.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Between two questions while the store fails.
const RETRY: Duration = Duration::from_millis(200);
/// What the store said last holds for so long, and for one more question: less than two seconds in all.
const SILENCE: Duration = Duration::from_millis(1_000);
/// An answer that takes longer is none.
const ANSWER: Duration = Duration::from_millis(500);

/// The loop, and what it goes by.
pub struct Reserving {
    pub turns: Turns,
    pub door: Outbox<Reserve>,
    pub clock: Clock,
    /// What a request of this crawl counts.
    pub weight: u32,
}

/// What the store said last.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// When it was asked; none before the first answer.
    at: Option<Boot>,
    limited: bool,
    failing: bool,
    last: StoreTime,
    share: StoreTime,
}

impl Reserving {
    /// Asks until the frontier's room is closed.
    pub async fn keep(self) {
        let mut chance = Chance::seeded(self.clock.boot().0);
        let mut heard = Heard::default();
        loop {
            let mut demand = self.turns.demand();
            if demand.want() == 0 && heard.limited && !heard.failing {
                self.turns.wanted().await;
                let lapsed = demand.lapsed;
                demand = self.turns.demand();
                demand.lapsed += lapsed;
            }
            let want = demand.want();
            let sent = self.clock.boot();
            let ask = Reserve {
                want,
                weight: self.weight,
                last: heard.last,
                share: heard.share,
            };
            let answer = timeout(ANSWER, self.door.ask(ask)).await;
            let pause = match answer.unwrap_or(Err(OutboxError::TooSlow("frontier"))) {
                Ok(Ok(reserved)) => {
                    self.turns.take(&reserved, sent);
                    heard.take(&reserved, want, sent);
                    events::reserved(&reserved.grant, demand);
                    pause(&reserved)
                }
                Err(OutboxError::Closed(_)) => return,
                Ok(Err(error)) => self.failed(&mut heard, &error, &mut chance),
                Err(error @ OutboxError::TooSlow(_)) => {
                    self.failed(&mut heard, &error, &mut chance)
                }
            };
            sleep(pause).await;
        }
    }

    /// No answer: what was said before holds a little longer, and then nothing is sent.
    fn failed(
        &self,
        heard: &mut Heard,
        error: &dyn std::fmt::Display,
        chance: &mut Chance,
    ) -> Duration {
        if !std::mem::replace(&mut heard.failing, true) {
            events::no_rate(error);
        }
        let now = self.clock.boot();
        if heard.at.is_none_or(|at| now.since(at) >= SILENCE) {
            self.turns.close();
        }
        chance.jitter(RETRY)
    }
}

impl Heard {
    fn take(&mut self, reserved: &Reserved, want: u32, sent: Boot) {
        if std::mem::take(&mut self.failing) {
            events::rate_again();
        }
        self.at = Some(sent);
        self.limited = matches!(reserved.grant, Grant::Slots(_));
        if want > 0 {
            self.last = reserved.now;
        }
        if let Grant::Slots(slots) = reserved.grant {
            self.share = slots.share;
        }
    }
}

/// Until the next question: when the slot after the granted ones may be had, within bounds.
fn pause(reserved: &Reserved) -> Duration {
    let Grant::Slots(slots) = reserved.grant else {
        return LOOK;
    };
    let granted = Duration::from_nanos(slots.step_ns.saturating_mul(u64::from(slots.granted)));
    let next = slots.start.since(reserved.now).saturating_add(granted);
    next.saturating_sub(AHEAD / 2).clamp(PERIOD, WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use actix::prelude::*;
    use contract::admit::FrontierError;
    use contract::clock::Wall;
    use contract::outbox::Work;
    use contract::rate::{Slots, Versions};

    #[test]
    fn the_next_question_comes_when_there_is_something_to_have() {
        #[track_caller]
        fn check(start_ms: u64, step_ms: u64, granted: u32, want_ms: u64) {
            let now = StoreTime(9_000_000);
            let start = StoreTime(now.0 + start_ms * 1_000);
            let slots = Slots {
                granted,
                start,
                step_ns: step_ms * 1_000_000,
                booked: start,
                booked_step_ns: 0,
                share: now,
            };
            let reserved = Reserved {
                now,
                versions: Versions::default(),
                grant: Grant::Slots(slots),
            };
            assert_eq!(pause(&reserved), Duration::from_millis(want_ms));
        }
        check(0, 1, 75, 60); // a fast rate
        check(0, 500, 1, 425); // the next one is due in 500 ms
        check(400, 500, 0, 325); // none yet
        check(60_000, 60_000, 0, 1_000); // far off: the rate may change
        let unlimited = Reserved {
            now: StoreTime(1),
            versions: Versions::default(),
            grant: Grant::Unlimited,
        };
        assert_eq!(pause(&unlimited), LOOK);
    }

    const UNLIMITED: Reserved = Reserved {
        now: StoreTime(1),
        versions: Versions {
            cluster: 1,
            crawl: 1,
        },
        grant: Grant::Unlimited,
    };

    /// A frontier that answers so, and then fails; each question takes 300 ms.
    struct Room(VecDeque<Option<Reserved>>, Clock);

    impl Actor for Room {
        type Context = Context<Self>;
    }

    impl Handler<Work<Reserve>> for Room {
        type Result = MessageResult<Work<Reserve>>;

        fn handle(&mut self, work: Work<Reserve>, _: &mut Self::Context) -> Self::Result {
            assert_eq!((work.item.want, work.item.weight), (0, 3));
            self.1.advance(Duration::from_millis(300));
            let answer = self.0.pop_front().flatten();
            MessageResult(answer.ok_or_else(|| FrontierError::Store("away".into())))
        }
    }

    #[actix::test]
    async fn a_silent_store_closes_what_was_unlimited_until_it_speaks_again() {
        tokio::time::pause();
        let clock = Clock::manual(Wall(0));
        let (turns, none) = (Turns::new(clock.clone()), None);
        let says = [
            Some(UNLIMITED),
            none,
            Some(UNLIMITED),
            none,
            none,
            none,
            Some(UNLIMITED),
        ];
        let room = Room(says.into(), clock.clone()).start();
        let patience = Duration::from_secs(30);
        let reserving = Reserving {
            turns: turns.clone(),
            door: Outbox::new("reserve", vec![room.recipient()], 1, patience),
            clock: clock.clone(),
            weight: 3,
        };
        let began = clock.boot();
        actix_rt::spawn(reserving.keep());
        // How the turns stood after each question.
        let mut open = Vec::new();
        for question in 1..=7 {
            while clock.boot() < began.after(question * Duration::from_millis(300)) {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_millis(1)).await;
            open.push(turns.try_turn().is_some());
        }
        assert_eq!(open, [true, true, true, true, true, false, true]);
    }
}

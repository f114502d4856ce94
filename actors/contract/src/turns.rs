//! Turns: this node's time slots of the shared rate, handed to all its fetchers in the order in which they ask.
//!
//! Owns the slots that the store has booked for this node ([`Turns::take`], told by the coordinator) and the queue of
//! those who wait for one. It knows no host, no connection and no store: who waits here holds neither.
//! Invariants: a slot is spent once at most; never before it is due nor after its end; a turn that is dropped unspent
//! goes to the next in the queue; with slots lying there nobody waits. Without slots nothing is sent: closed is how it
//! starts and what it becomes when the store is silent. Start at [`Turns::turn`].

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use crate::clock::{Boot, Clock, micros};
use crate::outbox::ArrowLoad;
use crate::rate::{CHUNK, Grant, Reserved, Slots, WANT_MAX};

/// Shared by the fetchers of a node and its coordinator.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    /// No rate limits this node.
    unlimited: AtomicBool,
    state: Mutex<State>,
    /// Rings when somebody begins to wait.
    wanted: Notify,
    waited: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Earliest first; at most [`WANT_MAX`].
    slots: VecDeque<Slot>,
    /// In the order they came; each is a task of a lease, so that leases are their bound.
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// Slots spent and lapsed since they were last asked for.
    spent: u32,
    lapsed: u64,
    fared: Fared,
}

/// How this node has fared with the shared rate: counts since it began, that never shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fared {
    /// Slots that the store booked for it.
    pub granted: u64,
    /// Slots that a request was sent with.
    pub used: u64,
    /// Slots that ended unused.
    pub lapsed: u64,
}

/// A slot on this node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    due: Boot,
    /// After this moment it is over.
    end: Boot,
}

/// The right to send one request, now. Dropped unspent, it is the next one's.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    /// None: no rate limited this node when it was given, or it is spent.
    slot: Option<(Turns, Slot)>,
}

/// What a node needs, for the next [`crate::rate::Reserve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Who waits without a slot.
    pub waiting: u32,
    /// Slots that nobody has taken.
    pub held: u32,
    /// Slots spent since the last look.
    pub spent: u32,
    /// Slots that ended unused since the last look.
    pub lapsed: u64,
}

impl Demand {
    /// Slots to ask for: for those who wait, and for as many as came lately.
    pub fn want(&self) -> u32 {
        let more = self.spent.saturating_sub(self.held);
        self.waiting.saturating_add(more).min(WANT_MAX)
    }
}

impl Turns {
    /// Without slots: nothing is sent before the first [`Turns::take`].
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            unlimited: AtomicBool::new(false),
            state: Mutex::default(),
            wanted: Notify::new(),
            waited: AtomicU64::new(0),
        }))
    }

    /// Waits until a request may be sent; at once where no rate limits this node. A turn that is not spent soon ends
    /// ([`Turns::holds`]). May be dropped at any time.
    pub async fn turn(&self) -> Turn {
        if let Some(turn) = self.unlimited() {
            return turn;
        }
        let began = self.0.clock.boot();
        let turn = loop {
            let turn = self.queued().await;
            if let Some((_, slot)) = &turn.slot {
                let early = slot.due.since(self.0.clock.boot());
                if !early.is_zero() {
                    sleep(early).await;
                }
            }
            // It is over when this thread was kept from running.
            if self.holds(&turn) {
                break turn;
            }
        };
        let waited = micros(self.0.clock.boot().since(began));
        self.0.waited.fetch_add(waited, Ordering::Relaxed);
        turn
    }

    /// A turn that is due now and for which nobody waits, if there is one.
    pub fn try_turn(&self) -> Option<Turn> {
        if let Some(turn) = self.unlimited() {
            return Some(turn);
        }
        let now = self.0.clock.boot();
        let mut state = self.lock();
        let slot = state.first(now).filter(|slot| slot.due <= now)?;
        state.slots.pop_front();
        Some(self.of(slot))
    }

    /// A turn without a slot, where none is needed.
    fn unlimited(&self) -> Option<Turn> {
        let unlimited = self.0.unlimited.load(Ordering::Acquire);
        unlimited.then_some(Turn { slot: None })
    }

    /// Whether a request may be sent on this turn now.
    pub fn holds(&self, turn: &Turn) -> bool {
        match turn.slot {
            Some((_, slot)) => {
                let now = self.0.clock.boot();
                slot.due <= now && now < slot.end
            }
            None => self.0.unlimited.load(Ordering::Acquire),
        }
    }

    /// The next slot, due or not, for whoever stands first in the queue.
    async fn queued(&self) -> Turn {
        let turn = {
            let mut state = self.lock();
            if let Some(turn) = self.unlimited() {
                return turn;
            }
            if let Some(slot) = state.first(self.0.clock.boot()) {
                state.slots.pop_front();
                return self.of(slot);
            }
            let (give, turn) = oneshot::channel();
            state.waiting.push_back(give);
            turn
        };
        let mut place = Place {
            turns: self,
            turn,
            given: false,
        };
        self.0.wanted.notify_one();
        place.wait().await
    }

    /// Takes what the store has booked, as it answered to a question that was sent at `sent`. Slots are due by the
    /// moment of the answer and end by that of the question, so that a slow answer makes them fewer and never early.
    pub fn take(&self, reserved: &Reserved, sent: Boot) {
        let Grant::Slots(slots) = reserved.grant else {
            self.0.unlimited.store(true, Ordering::Release);
            let mut state = self.lock();
            state.slots.clear();
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            for give in waiting {
                // Whoever waited may have gone; a turn without a slot is no loss.
                let _gone = give.send(Turn { slot: None });
            }
            return;
        };
        let received = self.0.clock.boot();
        let mut state = self.lock();
        self.0.unlimited.store(false, Ordering::Release);
        state.fared.granted += u64::from(slots.granted.min(WANT_MAX));
        for n in 0..slots.granted.min(WANT_MAX) {
            state.put(on_this_clock(reserved, &slots, n, sent, received));
        }
        self.hand_out(state);
    }

    /// The store is silent: what is held may be used, and then nothing is sent.
    pub fn close(&self) {
        self.0.unlimited.store(false, Ordering::Release);
    }

    /// How many slots are needed; counts from one look to the next.
    pub fn demand(&self) -> Demand {
        let now = self.0.clock.boot();
        let mut state = self.lock();
        state.forget_lapsed(now);
        Demand {
            waiting: u32::try_from(state.waiting.len()).unwrap_or(u32::MAX),
            held: u32::try_from(state.slots.len()).unwrap_or(u32::MAX),
            spent: std::mem::take(&mut state.spent),
            lapsed: std::mem::take(&mut state.lapsed),
        }
    }

    /// Waits until somebody waits for a turn.
    pub async fn wanted(&self) {
        while self.lock().waiting.is_empty() {
            self.0.wanted.notified().await;
        }
    }

    /// How this node's wait for turns fares, beside the arrows: slots held, and the time waited in all.
    pub fn load(&self) -> ArrowLoad {
        let state = self.lock();
        ArrowLoad {
            arrow: "turn",
            slots: state.slots.len(),
            held: state.waiting.len(),
            waited: Duration::from_micros(self.0.waited.load(Ordering::Relaxed)),
        }
    }

    /// How this node has fared with the shared rate so far; none where no rate limits it now.
    pub fn fared(&self) -> Option<Fared> {
        if self.0.unlimited.load(Ordering::Acquire) {
            return None;
        }
        let now = self.0.clock.boot();
        let mut state = self.lock();
        state.forget_lapsed(now);
        Some(state.fared)
    }

    /// Gives slots to those who wait, in order; the state is let go before a turn can be dropped.
    fn hand_out(&self, mut state: MutexGuard<'_, State>) {
        let now = self.0.clock.boot();
        while !state.waiting.is_empty() {
            let Some(slot) = state.first(now) else { return };
            state.slots.pop_front();
            let Some(give) = state.waiting.pop_front() else {
                return;
            };
            if let Err(mut turn) = give.send(self.of(slot)) {
                // Nobody waits there any more: the slot is the next one's.
                turn.slot = None;
                state.put(slot);
            }
        }
    }

    fn of(&self, slot: Slot) -> Turn {
        Turn {
            slot: Some((self.clone(), slot)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The earliest slot that is not over.
    fn first(&mut self, now: Boot) -> Option<Slot> {
        self.forget_lapsed(now);
        self.slots.front().copied()
    }

    fn forget_lapsed(&mut self, now: Boot) {
        let before = self.slots.len();
        self.slots.retain(|slot| now < slot.end);
        let lapsed = (before - self.slots.len()) as u64;
        self.lapsed += lapsed;
        self.fared.lapsed += lapsed;
    }

    /// In its place by when it is due; the latest goes when there are too many.
    fn put(&mut self, slot: Slot) {
        let at = self.slots.partition_point(|other| other.due <= slot.due);
        self.slots.insert(at, slot);
        self.slots.truncate(WANT_MAX as usize);
    }
}

/// The n-th slot of an answer.
fn on_this_clock(reserved: &Reserved, slots: &Slots, n: u32, sent: Boot, received: Boot) -> Slot {
    let later = |step_ns: u64| Duration::from_nanos(step_ns.saturating_mul(u64::from(n)));
    let now = reserved.now.0;
    let due = slots.start.0.saturating_add(micros(later(slots.step_ns)));
    let booked = slots
        .booked
        .0
        .saturating_add(micros(later(slots.booked_step_ns)));
    Slot {
        due: received.after(Duration::from_micros(due.saturating_sub(now))),
        end: sent.after(Duration::from_micros(booked.saturating_sub(now)).saturating_add(CHUNK)),
    }
}

impl Turn {
    /// The request is being sent.
    pub fn spend(mut self) {
        if let Some((turns, _)) = self.slot.take() {
            let mut state = turns.lock();
            state.spent = state.spent.saturating_add(1);
            state.fared.used += 1;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((turns, slot)) = self.slot.take() {
            let mut state = turns.lock();
            state.put(slot);
            turns.hand_out(state);
        }
    }
}

/// A place in the queue; given up when dropped.
struct Place<'a> {
    turns: &'a Turns,
    turn: oneshot::Receiver<Turn>,
    given: bool,
}

impl Place<'_> {
    async fn wait(&mut self) -> Turn {
        let turn = (&mut self.turn).await;
        self.given = true;
        turn.expect("the other end goes only when it has sent, or when this one is closed")
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.given {
            return;
        }
        self.turn.close();
        // What was given meanwhile goes to the next by its own drop.
        let _given = self.turn.try_recv().ok();
        let mut state = self.turns.lock();
        state.waiting.retain(|waiting| !waiting.is_closed());
    }
}

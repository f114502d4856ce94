//! The only door into a room: a bounded hand-over.
//!
//! An actix mailbox alone bounds nothing (`send` goes past its capacity, handlers that return futures empty it
//! at once). So the bound is a [`Slot`] that rides with the item until the receiver drops it, and the type lets
//! nobody build a [`Work`] without one. Time lost waiting is counted for each arrow: `why-slow` reads it.
//! Invariant: at most `slots` items of an outbox are queued or in work, over all its clones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// A question one room may put to another, and the type of the answer.
pub trait Ask: Send + 'static {
    type Reply: Send + 'static;
}

/// An item and the slot it holds until the receiver drops it, even if the sender has given up.
pub struct Work<T> {
    pub item: T,
    pub slot: Slot,
}

impl<T: Ask> Message for Work<T> {
    type Result = T::Reply;
}

/// A place in a room. Only an [`Outbox`] makes one; dropping it lets the next item in.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// Why an item was not taken or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// The room is gone (its generation ends).
    #[error("the {0} room is closed")]
    Closed(&'static str),
    /// No answer within the arrow's patience; the item may yet be worked on.
    #[error("the {0} room did not answer in time")]
    TooSlow(&'static str),
}

/// A door into one room (or into several equal actors of one room, taken in turn).
pub struct Outbox<T: Ask> {
    arrow: &'static str,
    to: Arc<[Recipient<Work<T>>]>,
    turn: Arc<AtomicUsize>,
    slots: Arc<Semaphore>,
    bound: usize,
    patience: Duration,
    waited: Arc<AtomicU64>,
}

impl<T: Ask> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self {
            arrow: self.arrow,
            to: self.to.clone(),
            turn: self.turn.clone(),
            slots: self.slots.clone(),
            bound: self.bound,
            patience: self.patience,
            waited: self.waited.clone(),
        }
    }
}

impl<T: Ask> Outbox<T> {
    /// A door named `arrow` (as in the ring's drawing) with this many slots over all receivers. A receiver must
    /// set its mailbox capacity to at least `slots` in `started`, which [`Outbox::give`] relies on.
    pub fn new(
        arrow: &'static str,
        to: Vec<Recipient<Work<T>>>,
        slots: usize,
        patience: Duration,
    ) -> Self {
        Self {
            arrow,
            to: to.into(),
            turn: Arc::default(),
            slots: Arc::new(Semaphore::new(slots)),
            bound: slots,
            patience,
            waited: Arc::default(),
        }
    }

    fn receiver(&self) -> Option<&Recipient<Work<T>>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.to.get(turn % self.to.len().max(1))
    }

    async fn slot(&self) -> Result<Slot, OutboxError> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(Slot(permit));
        }
        let began = Instant::now();
        let permit = self.slots.clone().acquire_owned().await;
        let waited = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(waited, Ordering::Relaxed);
        permit
            .map(Slot)
            .map_err(|_| OutboxError::Closed(self.arrow))
    }

    /// Waits for a slot, hands the item over and waits for its answer.
    ///
    /// # Errors
    /// [`OutboxError::Closed`] when the room is gone, [`OutboxError::TooSlow`] after the arrow's patience: the
    /// item may then still be worked on, so what it asks for must be idempotent.
    pub async fn ask(&self, item: T) -> Result<T::Reply, OutboxError> {
        let slot = self.slot().await?;
        let to = self.receiver().ok_or(OutboxError::Closed(self.arrow))?;
        let reply = to.send(Work { item, slot });
        timeout(self.patience, reply)
            .await
            .map_err(|_| OutboxError::TooSlow(self.arrow))?
            .map_err(|_| OutboxError::Closed(self.arrow))
    }

    /// Waits for a slot and hands the item over, without waiting for an answer.
    ///
    /// # Errors
    /// The item back, when the room is gone or its mailbox is smaller than the slots.
    pub async fn give(&self, item: T) -> Result<(), Box<Refused<T>>> {
        let slot = match self.slot().await {
            Ok(slot) => slot,
            Err(error) => return Err(Box::new(Refused { item, error })),
        };
        let Some(to) = self.receiver() else {
            return Err(Box::new(Refused {
                item,
                error: OutboxError::Closed(self.arrow),
            }));
        };
        match to.try_send(Work { item, slot }) {
            Ok(()) => Ok(()),
            Err(SendError::Closed(work)) => Err(Box::new(Refused {
                item: work.item,
                error: OutboxError::Closed(self.arrow),
            })),
            Err(SendError::Full(work)) => Err(Box::new(Refused {
                item: work.item,
                error: OutboxError::TooSlow(self.arrow),
            })),
        }
    }

    /// Refuses everything from now on; waiting senders get [`OutboxError::Closed`].
    pub fn close(&self) {
        self.slots.close();
    }

    /// How this arrow fares.
    pub fn load(&self) -> ArrowLoad {
        ArrowLoad {
            arrow: self.arrow,
            slots: self.bound,
            held: self.bound.saturating_sub(self.slots.available_permits()),
            waited: Duration::from_micros(self.waited.load(Ordering::Relaxed)),
        }
    }
}

/// An item that was not taken, with the reason.
#[derive(Debug)]
pub struct Refused<T> {
    pub item: T,
    pub error: OutboxError,
}

/// Slots held of an arrow, and the time its senders have waited in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrowLoad {
    pub arrow: &'static str,
    pub slots: usize,
    pub held: usize,
    pub waited: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Double(u32);
    impl Ask for Double {
        type Reply = u32;
    }
    /// Keeps every slot it is handed, like a room that is busy.
    #[derive(Default)]
    struct Busy(Vec<Slot>);
    impl Actor for Busy {
        type Context = Context<Self>;
    }
    impl Handler<Work<Double>> for Busy {
        type Result = u32;
        fn handle(&mut self, work: Work<Double>, _: &mut Self::Context) -> u32 {
            self.0.push(work.slot);
            work.item.0 * 2
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct LetGo;
    impl Handler<LetGo> for Busy {
        type Result = ();
        fn handle(&mut self, _: LetGo, _: &mut Self::Context) {
            self.0.clear();
        }
    }

    #[actix::test]
    async fn the_slot_is_the_bound_and_its_release_lets_the_next_in() {
        let room = Busy::default().start();
        let door = Outbox::new(
            "double",
            vec![room.clone().recipient()],
            2,
            Duration::from_secs(5),
        );
        assert_eq!(door.ask(Double(1)).await, Ok(2));
        assert_eq!(door.ask(Double(2)).await, Ok(4));
        assert_eq!(door.load().held, 2);
        let third = door.ask(Double(3));
        tokio::pin!(third);
        assert!(
            futures_poll_once(&mut third).await.is_none(),
            "a third item got in past two slots"
        );
        room.send(LetGo).await.unwrap();
        assert_eq!(third.await, Ok(6));
    }

    #[actix::test]
    async fn a_closed_room_gives_the_item_back() {
        let room = Busy::default().start();
        let door = Outbox::new("double", vec![room.recipient()], 1, Duration::from_secs(5));
        door.close();
        assert_eq!(
            door.ask(Double(1)).await,
            Err(OutboxError::Closed("double"))
        );
        let back = door.give(Double(7)).await.unwrap_err();
        assert_eq!(back.item.0, 7);
    }

    async fn futures_poll_once<F: Future + Unpin>(f: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *f).poll(cx) {
                std::task::Poll::Ready(v) => Some(v),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}

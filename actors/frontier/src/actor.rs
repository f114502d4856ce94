//! The room: answers claims, settles, admits and orders, one store verb each, and rings the bell.
//!
//! Owns no state but the next alarm and the rule against traps, which is told of every page and asked about every lease;
//! all else is the store's. It answers and never asks, so that the ring cannot
//! lock. Verbs reach an embedded store in the order of their messages. The bell rings when a host may be granted:
//! after each verb that may have made one due, and by an alarm when time does.
//! Invariant: while a claim could be granted, the bell has been rung since the last claim.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use contract::admit::{Admit, FrontierError};
use contract::beacon::Beacon;
use contract::clock::{Boot, Clock};
use contract::control::{FrontierOrder, FrontierReport, GivenUp};
use contract::health::{Fault, Health};
use contract::lease::{Bell, Claim, Claimed, EnterAddress, Extend, Release, Schedule, Visit};
use contract::link::LinkKind;
use contract::outbox::{Ask, Slot, Work};
use contract::rate::Reserve;
use contract::settle::{Settle, SettleBatch, Settled};

use crate::error::StoreError;
use crate::events;
use crate::rate::RateStore;
use crate::store::Store;
use crate::traps::Traps;

/// Alarms closer together than this are one.
const ALARM_GRAIN: Duration = Duration::from_millis(2);

/// The frontier's actor.
pub struct Frontier<S: Store> {
    store: Arc<S>,
    rates: Arc<dyn RateStore>,
    clock: Clock,
    bell: Bell,
    slots_max: usize,
    alarm: Option<(Boot, SpawnHandle)>,
    health: Health,
    traps: Traps,
    _beacon: Beacon,
}

impl<S: Store> Frontier<S> {
    /// The room over an open store. `slots_max` is the sum of the slots of its outboxes.
    pub fn new(
        store: Arc<S>,
        rates: Arc<dyn RateStore>,
        clock: Clock,
        bell: Bell,
        slots_max: usize,
        health: Health,
        beacon: Beacon,
    ) -> Self {
        Self {
            store,
            rates,
            clock,
            bell,
            slots_max,
            alarm: None,
            health,
            traps: Traps::default(),
            _beacon: beacon,
        }
    }

    /// Tells the rule against traps of what was settled.
    fn fold(&mut self, settles: &[Settle], answers: &[Settled]) {
        let now = self.clock.wall();
        let applied = settles
            .iter()
            .zip(answers)
            .filter(|(_, answer)| **answer == Settled::Applied);
        for (settle, _) in applied {
            if let Some(trapped) = self.traps.fold(settle, now) {
                events::FamilyGivenUp { trapped: &trapped }.emit();
            }
        }
    }

    /// Says of each URL that is leased whether it is to be asked for. What a person, a sitemap or a capture before this
    /// stands for always is.
    fn mark(&mut self, claimed: &mut Claimed) {
        for lease in &mut claimed.leases {
            for (position, queued) in (0..).zip(&lease.urls) {
                let is_found = matches!(
                    queued.kind,
                    LinkKind::Page | LinkKind::Redirect | LinkKind::Embed
                );
                if is_found
                    && queued.earlier.is_none()
                    && let Some(rule) = self.traps.verdict(&lease.host, &queued.url)
                {
                    lease.trapped.push((position, rule));
                }
            }
        }
    }

    /// Runs one verb, then sees to the bell. The slot is held until the answer is there.
    fn verb<T: 'static, F>(
        &self,
        name: &'static str,
        slot: Slot,
        verb: impl FnOnce(Arc<S>) -> F,
    ) -> ResponseActFuture<Self, Result<T, FrontierError>>
    where
        F: Future<Output = Result<T, StoreError>> + 'static,
    {
        let store = self.store.clone();
        let done = verb(self.store.clone());
        let work = async move {
            let done = done.await;
            let wake = store.next_wake().await.unwrap_or(None);
            drop(slot);
            (done, wake)
        };
        Box::pin(work.into_actor(self).map(move |(done, wake), room, ctx| {
            room.wake_in(wake, ctx);
            done.map_err(|error| {
                if !error.may_pass() {
                    events::StoreFailed {
                        verb: name,
                        error: &error,
                    }
                    .emit();
                    // A store that failed once refuses everything until it is opened again.
                    let kind = error.fault();
                    let detail = FrontierError::from(error);
                    room.health.report(Fault {
                        room: "frontier",
                        kind,
                        detail: detail.to_string(),
                    });
                    return detail;
                }
                FrontierError::from(error)
            })
        }))
    }

    /// Rings now, or sets the alarm, if something can be waited for.
    fn wake_in(&mut self, wake: Option<Duration>, ctx: &mut Context<Self>) {
        let Some(wait) = wake else { return };
        if wait.is_zero() {
            self.bell.ring();
            return;
        }
        let at = self.clock.boot().after(wait);
        if let Some((set, handle)) = self.alarm {
            if set <= at.after(ALARM_GRAIN) {
                return;
            }
            ctx.cancel_future(handle);
        }
        let handle = ctx.run_later(wait, |room, _| {
            room.alarm = None;
            room.bell.ring();
        });
        self.alarm = Some((at, handle));
    }
}

impl<S: Store> Actor for Frontier<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.slots_max);
        tracing::debug!(slots_max = self.slots_max, "frontier started");
        // What was due before this process began.
        self.bell.ring();
    }
}

/// A message of an arrow, answered by one verb of the store.
macro_rules! verbs {
    ($($ask:ty, $name:literal, |$store:ident, $item:pat_param, $clock:pat_param| $verb:expr;)*) => {$(
        impl<S: Store> Handler<Work<$ask>> for Frontier<S> {
            type Result = ResponseActFuture<Self, <$ask as Ask>::Reply>;

            fn handle(&mut self, work: Work<$ask>, _: &mut Self::Context) -> Self::Result {
                let $clock = self.clock.clone();
                self.verb($name, work.slot, move |$store| async move {
                    let $item = work.item;
                    $verb
                })
            }
        }
    )*};
}

verbs! {
    Visit, "visit", |store, visit, _| store.visit(&visit).await;
    Admit, "admit", |store, admit, _| store.admit(&admit).await;
    Extend, "extend", |store, extend, _| store.extend(&extend).await;
    Release, "release", |store, release, clock| {
        let since_end = release.last_end.map(|end| clock.boot().since(end));
        store.release(&release, since_end).await
    };
    Schedule, "schedule", |store, wants, _| store.schedule(&wants).await;
    EnterAddress, "enter address", |store, enter, _| store.enter_address(&enter).await;
    FrontierReport, "report", |store, FrontierReport, _| store.stats().await;
    GivenUp, "given up", |store, GivenUp { told }, _| store.gave_up(&told).await;
    FrontierOrder, "order", |store, order, _| match order {
        FrontierOrder::Pause => store.pause().await,
        FrontierOrder::Resume => store.resume().await,
        FrontierOrder::Flush => store.flush().await,
        FrontierOrder::Ran(more) => store.add_running_time(more).await.map(|_whole| ()),
    };
}

impl<S: Store> Handler<Work<Claim>> for Frontier<S> {
    type Result = ResponseActFuture<Self, <Claim as Ask>::Reply>;

    fn handle(&mut self, Work { item, slot }: Work<Claim>, _: &mut Self::Context) -> Self::Result {
        let claim = self.verb("claim", slot, move |store| async move {
            store.claim(item).await
        });
        Box::pin(claim.map(|claimed, room, _| {
            claimed.map(|mut claimed| {
                room.mark(&mut claimed);
                claimed
            })
        }))
    }
}

impl<S: Store> Handler<Work<SettleBatch>> for Frontier<S> {
    type Result = ResponseActFuture<Self, <SettleBatch as Ask>::Reply>;

    fn handle(
        &mut self,
        Work { item, slot }: Work<SettleBatch>,
        _: &mut Self::Context,
    ) -> Self::Result {
        let batch = Rc::new(item);
        let settles = batch.clone();
        let settle = self.verb("settle", slot, move |store| async move {
            store.settle(&batch.settles).await
        });
        Box::pin(settle.map(move |taken, room, _| {
            let answers = taken?.answers;
            room.fold(&settles.settles, &answers);
            Ok(answers)
        }))
    }
}

/// Of the rates, not of the store's verbs: nothing becomes due by it, and whoever asks sends nothing without an answer,
/// so that a failure needs no fault to be told.
impl<S: Store> Handler<Work<Reserve>> for Frontier<S> {
    type Result = ResponseFuture<<Reserve as Ask>::Reply>;

    fn handle(&mut self, work: Work<Reserve>, _: &mut Self::Context) -> Self::Result {
        let rates = self.rates.clone();
        Box::pin(async move {
            let Work { item, slot } = work;
            let reserved = rates.reserve(item).await;
            drop(slot);
            reserved.map_err(FrontierError::from)
        })
    }
}

#[cfg(test)]
mod tests;

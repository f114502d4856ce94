//! The storage actor: takes pages, lets groups sync on a thread that may block, sends their settles.
//!
//! Owns the timer of the group that fills and the settles on their way; what is stored, and when, is decided by
//! [`Store`]. A page's slot is held until it is settled or dropped: so the arrow into this room bounds all of it.
//! Invariant: whatever fails, a page that is not durable ends unsettled, and its lease brings it back.

use std::panic::resume_unwind;
use std::time::Duration;

use actix::prelude::*;
use contract::beacon::Beacon;
use contract::cause::{Cause, Layer};
use contract::clock::{Chance, Clock};
use contract::control::Seal;
use contract::fault::FailPlan;
use contract::health::{Fault, FaultKind, Health};
use contract::keep::Keep;
use contract::outbox::{Outbox, Slot, Work};
use contract::settle::{SettleBatch, Settled, Settles as What};
use tokio::sync::oneshot;

use crate::config::StorageConfig;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::events::{FolderOpened, GroupDurable, NotStored, Settles, SettlesLost, SyncLate};
use crate::group::{Done, Due, Opened, Store, Waiting};
use crate::layout::Layout;
use crate::warc::writer::WriterConfig;

/// Pages of a lease are settled in batches of at most this many, so that one answer does not take long.
const SETTLES_MAX: usize = 256;

/// All that the room is given.
#[derive(Debug)]
pub struct Setup {
    /// Validated.
    pub config: StorageConfig,
    pub layout: Layout,
    /// Start of the WARC files' names.
    pub prefix: String,
    /// Fields of each warcinfo record: software, robots, operator, settings.
    pub info: Vec<(String, String)>,
    pub clock: Clock,
    pub chance: Chance,
    pub faults: FailPlan,
}

/// The storage room.
pub struct Storage {
    store: Store<Slot>,
    opened: Opened,
    config: StorageConfig,
    settle: Outbox<SettleBatch>,
    health: Health,
    clock: Clock,
    timer: Option<SpawnHandle>,
    /// Pages whose settles the frontier has not answered yet.
    settling: usize,
    seal: Option<Sealer>,
    repeats_told: u64,
    _beacon: Beacon,
}

/// Somebody waits for everything to be sealed.
struct Sealer {
    reply: oneshot::Sender<Result<(), String>>,
    begun: bool,
    trouble: Option<String>,
    _slot: Slot,
}

impl Storage {
    /// Opens the folder. Blocks while it repairs what a crash has left, so it belongs where blocking is allowed.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        setup: Setup,
        settle: Outbox<SettleBatch>,
        health: Health,
        beacon: Beacon,
    ) -> Result<Self, StoreError> {
        let Setup {
            config,
            layout,
            prefix,
            info,
            clock,
            chance,
            faults,
        } = setup;
        let warc = WriterConfig {
            folder: layout.archive(),
            prefix,
            size_max: config.file_bytes_max,
            info,
        };
        let disk = Disk::new(faults);
        let (store, opened) =
            Store::open(config.clone(), &layout, &disk, warc, clock.clone(), chance)?;
        Ok(Self {
            store,
            opened,
            config,
            settle,
            health,
            clock,
            timer: None,
            settling: 0,
            seal: None,
            repeats_told: 0,
            _beacon: beacon,
        })
    }

    /// Starts what is due: a sync, a timer, the answer to who waits for the seal.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if let Some(seal) = &mut self.seal
            && !self.store.is_busy()
        {
            if !seal.begun || !self.store.is_idle() {
                seal.begun = true;
                return self.commit(true, ctx);
            }
            if self.settling == 0
                && let Some(seal) = self.seal.take()
            {
                // Who asked may have given up waiting; all is sealed just the same.
                let _gone = seal.reply.send(seal.trouble.map_or(Ok(()), Err));
            }
        }
        match self.store.due(self.settling) {
            Due::No => {}
            Due::Now => self.commit(false, ctx),
            Due::At(at) if self.timer.is_none() => {
                let wait = at.since(self.clock.boot());
                self.timer = Some(ctx.run_later(wait, |this, ctx| {
                    this.timer = None;
                    match this.store.due(this.settling) {
                        Due::At(at) if at > this.clock.boot() => this.pump(ctx),
                        Due::At(_) => this.commit(false, ctx),
                        Due::No | Due::Now => this.pump(ctx),
                    }
                }));
            }
            Due::At(_) => {}
        }
    }

    /// Sends the group that has filled to be synced.
    fn commit(&mut self, seal: bool, ctx: &mut Context<Self>) {
        let (job, waiting) = match self.store.begin(seal) {
            Ok(Some(begun)) => begun,
            Ok(None) => return,
            Err(error) => {
                self.failed(&error, "group");
                return self.pump_later(ctx);
            }
        };
        let (began, limit) = (
            self.clock.boot(),
            Duration::from_secs(self.config.store_s_max),
        );
        let health = self.health.clone();
        let synced = async move {
            let mut run = tokio::task::spawn_blocking(|| job.run());
            match tokio::time::timeout(limit, &mut run).await {
                Ok(joined) => (joined, waiting),
                Err(_) => {
                    SyncLate {
                        pages: waiting.len(),
                        limit,
                    }
                    .emit();
                    let detail = format!(
                        "{}: a sync takes longer than {limit:?}",
                        Cause::Deadline(Layer::Store)
                    );
                    health.report(Fault {
                        room: "storage",
                        kind: FaultKind::Other,
                        detail,
                    });
                    // Its pages and slots are let go now; the thread cannot be, and nothing is written until it ends.
                    drop(waiting);
                    (run.await, Vec::new())
                }
            }
        };
        ctx.spawn(
            synced
                .into_actor(self)
                .map(move |(joined, waiting), this, ctx| {
                    let done = match joined {
                        Ok(done) => done,
                        Err(join) if join.is_panic() => resume_unwind(join.into_panic()),
                        // The runtime is being shut down: nothing of this group is settled.
                        Err(_) => return ctx.stop(),
                    };
                    this.committed(done, waiting, began, ctx);
                }),
        );
    }

    fn committed(
        &mut self,
        done: Done,
        waiting: Vec<Waiting<Slot>>,
        began: contract::clock::Boot,
        ctx: &mut Context<Self>,
    ) {
        match self.store.end(done) {
            Ok(durable) => {
                let repeats = self.store.repeats();
                GroupDurable {
                    pages: waiting.len(),
                    bytes: waiting.iter().map(bytes_of).sum(),
                    took: self.clock.boot().since(began),
                    sealed: durable.sealed.len(),
                    repeats: repeats - self.repeats_told,
                }
                .emit();
                self.repeats_told = repeats;
                if let Some(error) = &durable.trouble {
                    self.failed(error, "sealing or page list");
                }
                self.send(waiting, ctx);
            }
            Err(error) => {
                self.failed(&error, "group");
                drop(waiting);
            }
        }
        self.pump(ctx);
    }

    /// Sends the settles of a durable group.
    fn send(&mut self, mut waiting: Vec<Waiting<Slot>>, ctx: &mut Context<Self>) {
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(SETTLES_MAX));
            let batch = std::mem::replace(&mut waiting, rest);
            let pages = batch.len();
            self.settling += pages;
            let door = self.settle.clone();
            let asked = async move {
                let (settles, held): (Vec<_>, Vec<_>) = batch
                    .into_iter()
                    .map(|waiting| (waiting.settle, (waiting.life, waiting.slot)))
                    .unzip();
                let answer = match door.ask(SettleBatch { settles }).await {
                    Ok(Ok(answer)) => Ok(answer),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                match answer {
                    Ok(answer) => {
                        let count =
                            |how| answer.iter().filter(|settled| **settled == how).count() as u64;
                        Settles {
                            applied: count(Settled::Applied),
                            duplicate: count(Settled::Duplicate),
                            fenced: count(Settled::Fenced),
                        }
                        .emit();
                        for (life, _slot) in held {
                            life.settle();
                        }
                    }
                    Err(why) => SettlesLost {
                        pages: held.len(),
                        why,
                    }
                    .emit(),
                }
            };
            ctx.spawn(asked.into_actor(self).map(move |(), this, ctx| {
                this.settling -= pages;
                this.pump(ctx);
            }));
        }
    }

    /// Pumps again from the actor's own loop, not from within this call.
    fn pump_later(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(Duration::ZERO, |this, ctx| this.pump(ctx));
    }

    /// Tells of an error where it is handled; a System error stops the node's leasing.
    fn failed(&mut self, error: &StoreError, what: &'static str) {
        NotStored { error, what }.emit();
        let source = std::error::Error::source(error)
            .map_or_else(String::new, |source| format!(": {source}"));
        let detail = format!("{error}{source}");
        if let Some(seal) = &mut self.seal {
            seal.trouble.get_or_insert_with(|| detail.clone());
        }
        if error.class() == contract::error::ErrorClass::System {
            self.health.report(Fault {
                room: "storage",
                kind: error.fault(),
                detail,
            });
        }
    }
}

fn bytes_of(waiting: &Waiting<Slot>) -> u64 {
    match waiting.settle.what {
        What::Url { bytes, .. } => bytes,
        What::Robots { .. } | What::Beside => 0,
    }
}

impl Actor for Storage {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Every page that has a slot finds a place, and so does the order to seal.
        ctx.set_mailbox_capacity(self.config.slots_max + 1);
        FolderOpened {
            opened: &self.opened,
        }
        .emit();
    }
}

impl Handler<Work<Keep>> for Storage {
    type Result = ();

    fn handle(
        &mut self,
        Work {
            item: Keep(parsed),
            slot,
        }: Work<Keep>,
        ctx: &mut Self::Context,
    ) {
        let now = self.clock.boot();
        if let Err(error) = self.store.add(parsed, slot, now) {
            self.failed(&error, "page");
        }
        self.pump(ctx);
    }
}

impl Handler<Work<Seal>> for Storage {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(
        &mut self,
        Work { item: Seal, slot }: Work<Seal>,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let (reply, sealed) = oneshot::channel();
        // A second order takes the first one's place; the first is told so by its closed channel.
        self.seal = Some(Sealer {
            reply,
            begun: false,
            trouble: None,
            _slot: slot,
        });
        self.pump(ctx);
        Box::pin(async move {
            sealed
                .await
                .unwrap_or_else(|_| Err("another order to seal took its place".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests;

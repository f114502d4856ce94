//! The threads of a generation: one actix Arbiter for each room that works alone.
//!
//! Owns the Arbiters; names their threads after the room, so that CPU time can be told apart. Invariant: after
//! [`Threads::end`] no thread of the generation runs.

use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Addr, Context};
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::warn;

use crate::exit::{Code, Failure};

/// Threads in the order they were started.
#[derive(Default)]
pub struct Threads {
    started: Vec<(String, Arbiter)>,
    runtimes: Runtimes,
}

/// The threads' runtimes, for who counts their tasks; clones are the same list.
#[derive(Clone, Default)]
pub struct Runtimes(Arc<Mutex<Vec<Handle>>>);

impl Runtimes {
    /// Those that run by now.
    pub fn handles(&self) -> Vec<Handle> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, handle: Handle) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
    }
}

impl Threads {
    /// Starts a thread of this name, makes the actor there and starts it. `make` may block: nobody else is on it.
    ///
    /// # Errors
    /// What `make` says, or a thread that died of it.
    pub async fn start<A>(
        &mut self,
        name: &str,
        make: impl FnOnce() -> Result<A, Failure> + Send + 'static,
    ) -> Result<Addr<A>, Failure>
    where
        A: Actor<Context = Context<A>>,
    {
        let (tell, told) = oneshot::channel();
        self.thread(name).spawn_fn(move || {
            let _nobody_waits = tell.send(make().map(Actor::start));
        });
        match told.await {
            Ok(started) => started,
            Err(_) => Err(Failure::new(
                Code::Error,
                format!("the {name} room died while it started"),
            )),
        }
    }

    /// Starts a thread of this name, for a room that starts itself there.
    pub fn thread(&mut self, name: &str) -> ArbiterHandle {
        let arbiter = Arbiter::new();
        // Names only serve the eye and the CPU report; the kernel keeps 15 bytes.
        if let Ok(name) = CString::new(name) {
            arbiter.spawn_fn(move || {
                let _kept_unnamed = nix::sys::prctl::set_name(&name);
            });
        }
        let runtimes = self.runtimes.clone();
        arbiter.spawn_fn(move || runtimes.add(Handle::current()));
        let handle = arbiter.handle();
        self.started.push((name.to_owned(), arbiter));
        handle
    }

    pub fn runtimes(&self) -> Runtimes {
        self.runtimes.clone()
    }

    /// Stops and joins every thread, the last started first.
    pub async fn end(self) {
        let joined = tokio::task::spawn_blocking(move || {
            for (_, arbiter) in self.started.iter().rev() {
                arbiter.stop();
            }
            for (name, arbiter) in self.started.into_iter().rev() {
                if arbiter.join().is_err() {
                    warn!(name, "a room's thread had panicked");
                }
            }
        });
        if joined.await.is_err() {
            warn!("the threads could not be joined");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Handler, Message};
    use contract::beacon::{Beacon, Died};
    use tokio::sync::mpsc;

    struct Fragile(#[expect(dead_code, reason = "held for its Drop")] Beacon);
    impl Actor for Fragile {
        type Context = Context<Self>;
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;
    impl Handler<Break> for Fragile {
        type Result = ();
        fn handle(&mut self, _: Break, _: &mut Context<Self>) {
            panic!("on purpose");
        }
    }

    #[actix::test]
    async fn a_panic_is_told_and_the_threads_end_all_the_same() {
        let (tell, mut died) = mpsc::channel(2);
        let mut threads = Threads::default();
        let fragile = |name: &str| Fragile(Beacon::new(name, tell.clone()));
        let (one, other) = (fragile("one"), fragile("other"));
        let broken = threads.start("one", move || Ok(one)).await.unwrap();
        let whole = threads.start("other", move || Ok(other)).await.unwrap();
        assert!(broken.send(Break).await.is_err());
        assert_eq!(
            died.recv().await,
            Some(Died {
                actor: "one".into(),
                panicking: true
            })
        );
        assert!(whole.connected(), "its neighbour lives");
        threads.end().await;
        assert_eq!(
            died.recv().await,
            Some(Died {
                actor: "other".into(),
                panicking: false
            })
        );
    }

    #[actix::test]
    async fn a_room_that_cannot_start_says_why() {
        let mut threads = Threads::default();
        let refused: Result<Addr<Fragile>, _> = threads
            .start("storage", || Err(Failure::input("no such folder")))
            .await;
        assert_eq!(refused.map(drop).unwrap_err().message, "no such folder");
        threads.end().await;
    }
}

//! The threads of a generation: one actix Arbiter for each room that works alone.
//!
//! Owns the Arbiters; names their threads after the room, so that CPU time can be told apart. Invariant: after
//! [`Threads::end`] no thread of the generation runs.

use std::ffi::CString;

use actix::{Actor, Addr, Context};
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;
use tracing::warn;

use crate::exit::{Code, Failure};

/// Threads in the order they were started.
#[derive(Default)]
pub struct Threads(Vec<(String, Arbiter)>);

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
        let handle = arbiter.handle();
        self.0.push((name.to_owned(), arbiter));
        handle
    }

    /// Stops and joins every thread, the last started first.
    pub async fn end(self) {
        let joined = tokio::task::spawn_blocking(move || {
            for (_, arbiter) in self.0.iter().rev() {
                arbiter.stop();
            }
            for (name, arbiter) in self.0.into_iter().rev() {
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

//! The end of a run: signal → no new leases → drain in the ring's order → files sealed → exit.
//!
//! Owns the signals and the drain's deadline. The first Ctrl-C or SIGTERM drains (at most 30 s), the second stops at
//! once; both lose nothing, because a crash loses nothing.

use std::io;
use std::time::Duration;

use coordinator::State;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::wiring::{Generation, Plan};

/// SIGINT and SIGTERM.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// # Errors
    /// Handlers that cannot be installed.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next of either.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything under way is settled and sealed.
    Clean,
    /// Cut short; what was under way comes again.
    Forced,
}

/// Drains the generation and ends its threads.
pub async fn drain(plan: &Plan, mut generation: Generation, signals: &mut Signals) -> Drained {
    plan.status
        .send_modify(|status| status.state = State::Draining);
    info!("draining: no new requests; a second signal stops at once");
    let limit = Duration::from_millis(plan.settings.crawl.limits.drain_ms_max);
    let drained = tokio::select! {
        done = tokio::time::timeout(limit, generation.drain()) => match done {
            Ok(Ok(())) => Drained::Clean,
            Ok(Err(error)) => {
                warn!(error, "the drain did not end well; what is not settled comes again");
                Drained::Forced
            }
            Err(_) => {
                warn!(limit_ms = plan.settings.crawl.limits.drain_ms_max, "deadline(drain)");
                Drained::Forced
            }
        },
        () = signals.next() => Drained::Forced,
    };
    // A forced end joins nobody: a thread may hang in the very thing that made the drain late.
    if drained == Drained::Clean {
        generation.kill().await;
    }
    drained
}

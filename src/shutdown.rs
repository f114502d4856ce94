//! The end of a run: signal → no new leases → drain in the ring's order → files sealed → exit.
//!
//! Owns the signals and the drain's deadline. The first Ctrl-C or SIGTERM drains (at most 30 s), the second stops at
//! once; both lose nothing, because a crash loses nothing.

use std::time::Duration;

use coordinator::State;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::exit::{Code, Failure};
use crate::wiring::{Generation, Plan};

/// SIGINT and SIGTERM, as this process gets them or as somebody in it passes them on.
pub struct Signals(Source);

enum Source {
    Process {
        interrupt: Signal,
        terminate: Signal,
    },
    Relayed(watch::Receiver<()>),
}

impl Signals {
    /// # Errors
    /// Handlers that cannot be installed.
    pub fn install() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::new(Code::Error, format!("signals: {error}")))
        };
        Ok(Self(Source::Process {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        }))
    }

    /// One for each time that the sender sends.
    pub fn relayed(from: &watch::Sender<()>) -> Self {
        Self(Source::Relayed(from.subscribe()))
    }

    /// The next one.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Source::Process {
                interrupt,
                terminate,
            } => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Source::Relayed(relayed) => {
                if relayed.changed().await.is_err() {
                    // Nobody is left who could send one.
                    std::future::pending().await
                }
            }
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

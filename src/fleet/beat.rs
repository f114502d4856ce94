//! The heartbeat: once a second this node tells how it stands and hears what the fleet wants.
//!
//! Owns the node's name in the store, from [`Beat::begin`] to [`Beat::leave`]. Invariant: what was heard is published
//! as it came; a store that does not answer changes nothing of it. Start at [`Beat::keep`].

use std::sync::Arc;
use std::time::Duration;

use contract::clock::{Clock, millis};
use contract::error::chain;
use contract::fleet::{NodeName, NodeStatus};
use frontier::fleet::nodes::{self, Heard, LIFE, Me};
use frontier::fleet::{FleetError, Link};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::failed;
use crate::exit::{Code, Failure};

/// Between two heartbeats: what is wanted is known everywhere within two seconds, also after a lost one.
const EVERY: Duration = Duration::from_secs(1);

/// This node's heart. A clone may leave for it.
#[derive(Clone)]
pub struct Beat {
    link: Link,
    me: Me,
    clock: Clock,
    lag: Duration,
}

impl Beat {
    /// Takes the name. One that a process of ours left behind is free after its life; that is waited for.
    ///
    /// # Errors
    /// Another process lives under this name, or the store fails.
    pub async fn begin(
        link: Link,
        name: NodeName,
        clock: Clock,
        status: NodeStatus,
    ) -> Result<(Self, Heard), Failure> {
        let process: u128 = rand::random();
        let mut beat = Self {
            link,
            me: Me {
                name,
                process: process.to_be_bytes(),
            },
            lag: Duration::ZERO,
            clock,
        };
        let began = beat.clock.boot();
        loop {
            match beat.once(status.clone()).await {
                Ok(heard) => return Ok((beat, heard)),
                Err(FleetError::NameTaken(name))
                    if beat.clock.boot().since(began) < LIFE + EVERY =>
                {
                    info!(
                        node = name.as_str(),
                        "the name is still taken; waiting for its end"
                    );
                    sleep(EVERY).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    async fn once(&mut self, status: NodeStatus) -> Result<Heard, FleetError> {
        let status = NodeStatus {
            lag_ms: millis(self.lag),
            ..status
        };
        let sent = self.clock.boot();
        let heard = nodes::heartbeat(&mut self.link, &self.me, &status).await;
        self.lag = self.clock.boot().since(sent);
        heard
    }

    /// Beats until another process takes the name, which it can while the store does not hear of us; says so then.
    /// `status` is asked before each beat; each answer is published. `hurry` brings the next beat forward.
    pub async fn keep(
        mut self,
        status: impl Fn() -> NodeStatus,
        heard: watch::Sender<Heard>,
        hurry: Arc<Notify>,
    ) -> Failure {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = hurry.notified() => {}
            }
            let beat = timeout(LIFE, self.once(status())).await;
            let why = match beat {
                Ok(Ok(news)) => {
                    if std::mem::take(&mut is_away) {
                        info!("the store answers again");
                    }
                    heard.send_replace(news);
                    continue;
                }
                Ok(Err(error @ FleetError::NameTaken(_))) => {
                    return Failure::new(Code::BadInput, chain(&error));
                }
                Ok(Err(error)) => chain(&error),
                Err(_) => "no answer in time".to_owned(),
            };
            if !std::mem::replace(&mut is_away, true) {
                warn!(why, "the store does not hear this node");
            }
        }
    }

    /// Gives the name free.
    pub async fn leave(mut self) {
        let left = timeout(EVERY, nodes::leave(&mut self.link, &self.me)).await;
        if !matches!(left, Ok(Ok(()))) {
            info!("the store did not hear that this node leaves; its name is free in {LIFE:?}");
        }
    }
}

//! A node's life: heard in the fleet from its first heartbeat to its last, working on what it hears of.
//!
//! Owns the order: name, heartbeats, crawls; and back again on a signal, leases given back before the name is. Start at
//! [`run`].

use std::path::PathBuf;
use std::sync::Arc;

use contract::clock::Clock;
use contract::fleet::{CrawlName, NodeName, NodeState, NodeStatus};
use coordinator::Status;
use fetcher::address::Dial;
use tokio::sync::{Notify, watch};
use tracing::info;

use super::beat::Beat;
use super::store::Shared;
use super::works::{Bench, Came, Works};
use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::gauges::Gauges;
use crate::machine;
use crate::shutdown::Signals;
use crate::wiring::Memory;

/// What a node is.
pub struct Member {
    pub shared: Shared,
    pub node: NodeConfig,
    pub dial: Dial,
    pub memory: Memory,
    pub gauges: Gauges,
    pub name: NodeName,
    /// Where the crawls' folders are.
    pub output: PathBuf,
    /// Only these crawls; all where it is empty.
    pub only: Vec<CrawlName>,
    /// `crawl --store`: the status of its one crawl, with whose end the node leaves.
    pub shown: Option<watch::Sender<Status>>,
}

/// Why a node left.
pub enum Left {
    /// The one crawl that it was there for has come to this.
    With(Came),
    /// A signal; and perhaps a second one, that cut the drain short.
    Signalled { twice: bool },
}

/// Works until a signal, or until the one crawl that it is there for has ended.
///
/// # Errors
/// A name that is taken, or a store that fails at the start.
pub async fn run(member: Member, signals: &mut Signals) -> Result<Left, Failure> {
    let clock = Clock::machine();
    let born = clock.boot();
    let is_one = member.shown.is_some();
    let hurry = Arc::new(Notify::new());
    let status = {
        let clock = clock.clone();
        move |state, crawls| NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            lag_ms: 0,
            up_s: clock.boot().since(born).as_secs(),
            memory_bytes: machine::rss(),
            crawls,
        }
    };
    let first = status(NodeState::Working, Vec::new());
    let begun = Beat::begin(
        member.shared.link.clone(),
        member.name.clone(),
        clock.clone(),
        first,
    )
    .await;
    let (beat, first) = begun?;
    info!(
        node = member.name.as_str(),
        store = member.shared.address,
        "in the fleet"
    );
    let (heard, mut news) = watch::channel(first);
    let state = watch::Sender::new(NodeState::Working);
    let mut works = Works::new(Bench {
        memory: member.memory,
        gauges: member.gauges,
        shared: member.shared,
        node: member.node,
        dial: member.dial,
        name: member.name,
        output: member.output,
        only: member.only,
        clock,
        hurry: hurry.clone(),
        shown: member.shown,
    });
    let teller = works.teller();
    let state_now = state.subscribe();
    let leaving = beat.clone();
    let tell = move || status(*state_now.borrow(), teller());
    // On its own: it must not wait for what the loop below waits for.
    let mut beating = tokio::task::spawn_local(beat.keep(tell, heard, hurry));
    let mut outcome = loop {
        let wanted = news.borrow_and_update().clone();
        if let Err(failure) = works.reconcile(&wanted).await {
            break Err(failure);
        }
        let joined = tokio::select! {
            _ = news.changed() => continue,
            Some(joined) = works.next() => joined,
            () = signals.next() => break Ok(Left::Signalled { twice: false }),
            lost = &mut beating => break Err(lost.unwrap_or_else(|error| {
                Failure::new(Code::Error, format!("the heartbeat broke down: {error}"))
            })),
        };
        if let Some(came) = works.came(joined).await
            && is_one
            && !came.goes_on()
        {
            break Ok(Left::With(came));
        }
    };
    state.send_replace(NodeState::Draining);
    works.drain();
    loop {
        let joined = tokio::select! {
            joined = works.next() => joined,
            () = signals.next() => {
                works.stop();
                if let Ok(Left::Signalled { twice }) = &mut outcome {
                    *twice = true;
                }
                continue;
            }
        };
        let Some(joined) = joined else { break };
        let came = works.came(joined).await;
        if is_one && let (Some(came), Ok(Left::Signalled { twice: false })) = (came, &outcome) {
            outcome = Ok(Left::With(came));
        }
    }
    beating.abort();
    leaving.leave().await;
    outcome
}

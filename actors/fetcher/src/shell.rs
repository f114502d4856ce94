//! What the runs of one fetcher share: its doors, its connections and resolver, its permits and its settings.
//!
//! Lives on the fetcher's own thread and dies with the actor; nothing of it is shared with another fetcher but what
//! is a node's by nature (byte budget, gauge, health). It decides nothing. Start at [`Shell`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use contract::cause::Cancel;
use contract::clock::{Boot, Clock};
use contract::halt::Halt;
use contract::health::{Fault, FaultKind, Health};
use contract::host::{Host, Origin};
use contract::lease::{Bell, Claim, EnterAddress, Extend, Release, Schedule, Taker, Visit};
use contract::outbox::Outbox;
use contract::page::{Page, PageGauge};
use contract::pulse::Pulse;
use contract::turns::Turns;
use contract::wanted::Wanted;
use tokio::sync::Semaphore;

use crate::address::Dial;
use crate::config::FetcherConfig;
use crate::connection::Connection;
use crate::dns::Dns;
use crate::error::FetchError;
use crate::events::Meters;
use crate::http::Exchanger;
use crate::pool::Pool;
use crate::settings::Settings;

/// The arrows that leave this room.
#[derive(Clone)]
pub struct Doors {
    pub claim: Outbox<Claim>,
    pub extend: Outbox<Extend>,
    pub release: Outbox<Release>,
    pub schedule: Outbox<Schedule>,
    pub enter: Outbox<EnterAddress>,
    pub visit: Outbox<Visit>,
    pub page: Outbox<Page>,
    /// Rings when a host may have become due.
    pub bell: Bell,
    /// Where a request waits for the rate that all nodes share.
    pub turns: Turns,
    /// Whether leases still hold as far as the frontier can be asked.
    pub pulse: Pulse,
    /// Whether the crawl is paused.
    pub halt: Halt,
    /// Whether another node waits for one of this node's leases.
    pub wanted: Wanted,
    /// Which of the node's fetchers this is.
    pub taker: Taker,
}

pub(crate) struct Shell {
    pub(crate) config: FetcherConfig,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) doors: Doors,
    pub(crate) gauge: Arc<PageGauge>,
    pub(crate) health: Health,
    pub(crate) meters: Meters,
    pub(crate) dial: Arc<Dial>,
    pub(crate) dns: Arc<Dns>,
    pub(crate) exchanger: Exchanger,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) pool: RefCell<Pool>,
    /// No new requests.
    pub(crate) drain: Cancel,
    /// Running requests end too.
    pub(crate) stop: Cancel,
    pub(crate) waits: RefCell<HashMap<Host, Boot>>,
    /// Each origin's tdmrep.json.
    pub(crate) tdm: RefCell<HashMap<Origin, Good>>,
}

/// A body, and until when it is good.
#[derive(Clone)]
pub(crate) struct Good {
    pub(crate) until: Boot,
    pub(crate) body: Rc<[u8]>,
}

impl Shell {
    /// The host whose delay ends first, and in how long.
    pub(crate) fn next_wait(&self) -> Option<(Host, Duration)> {
        let waits = self.waits.borrow();
        let (host, until) = waits.iter().min_by_key(|(_, until)| **until)?;
        Some((host.clone(), until.since(self.clock.boot())))
    }

    /// A fault of this node, which no URL may suffer for.
    pub(crate) fn fault(&self, error: &FetchError) {
        if let Some(io) = error.fault() {
            let detail = format!("{error}: {io}");
            self.health.report(Fault {
                room: "fetcher",
                kind: FaultKind::of_io(io),
                detail,
            });
        }
    }
}

/// Room for a host's connection for the time of a lease; goes back to the pool when dropped, with what is in it.
pub(crate) struct Taken {
    shell: Rc<Shell>,
    host: Host,
    connection: Option<Connection>,
}

impl Taken {
    pub(crate) fn new(shell: &Rc<Shell>, host: &Host) -> Self {
        let connection = shell.pool.borrow_mut().take(host);
        Self {
            shell: shell.clone(),
            host: host.clone(),
            connection,
        }
    }

    /// What is kept between two requests.
    pub(crate) fn connection(&mut self) -> &mut Option<Connection> {
        &mut self.connection
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut pool = self.shell.pool.borrow_mut();
        pool.give_back(self.host.clone(), self.connection.take());
    }
}

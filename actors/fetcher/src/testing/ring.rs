//! The neighbouring rooms as fakes: a frontier that grants what a test says, a parser that keeps what it is given.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use contract::admit::FrontierError;
use contract::beacon::{Beacon, Died};
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::halt::Halt;
use contract::health::Health;
use contract::host::Host;
use contract::lease::{
    Bell, Claim, Claimed, EnterAddress, Extend, Lease, Queued, Release, Schedule, Strikes, Taker,
    Token, Visit, Visited,
};
use contract::link::LinkKind;
use contract::memory::ByteBudget;
use contract::outbox::{Ask, Outbox, Work};
use contract::outcome::Outcome;
use contract::page::{Cut, Fate, Page, PageGauge, Place};
use contract::pulse::Pulse;
use contract::rate::{Grant, Reserved, StoreTime, Versions};
use contract::turns::Turns;
use contract::wanted::Wanted;
use tokio::sync::mpsc;

use crate::FetcherConfig;
use crate::actor::Parts;
use crate::address::{Dial, OwnSockets};
use crate::shell::Doors;

/// A page as the parser got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) place: Place,
    pub(crate) url: String,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) fate: Fate,
    pub(crate) status: Option<u16>,
    pub(crate) cut: Option<Cut>,
    pub(crate) body: u64,
    pub(crate) said: Vec<contract::rights::Statement>,
}

impl Got {
    /// Position in the lease, outcome and fate of a URL of the queue.
    pub(crate) fn settled(&self) -> Option<(u32, Outcome, Fate)> {
        match self.place {
            Place::Queue(position) => Some((position, self.outcome, self.fate)),
            Place::Robots { .. } | Place::Beside => None,
        }
    }
}

/// What the rooms were asked.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) pages: Vec<Got>,
    pub(crate) claims: usize,
    pub(crate) extends: usize,
    pub(crate) releases: Vec<Release>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) enters: Vec<EnterAddress>,
    pub(crate) visits: Vec<Host>,
}

/// What the fake frontier answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Says {
    pub(crate) grants: Arc<Mutex<VecDeque<Vec<Lease>>>>,
    /// The term of an extended lease; none: it is lost.
    pub(crate) extend: Option<Duration>,
    /// An address has no room.
    pub(crate) crowded: bool,
    /// What visitors get, in this order; then the host.
    pub(crate) visits: Arc<Mutex<VecDeque<Visited>>>,
}

#[derive(Clone)]
struct Rooms {
    log: Arc<Mutex<Log>>,
    says: Says,
}

impl Actor for Rooms {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($ask:ty, |$rooms:ident, $item:ident| $answer:expr) => {
        impl Handler<Work<$ask>> for Rooms {
            type Result = MessageResult<Work<$ask>>;
            fn handle(&mut self, work: Work<$ask>, _: &mut Self::Context) -> Self::Result {
                let ($rooms, $item) = (self, work.item);
                MessageResult($answer)
            }
        }
    };
}

answers!(Claim, |rooms, _claim| {
    rooms.log.lock().unwrap().claims += 1;
    let leases = rooms
        .says
        .grants
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or_default();
    Ok::<_, FrontierError>(Claimed {
        leases,
        next_due: None,
    })
});
answers!(Extend, |rooms, _extend| {
    rooms.log.lock().unwrap().extends += 1;
    Ok(rooms.says.extend)
});
answers!(Release, |rooms, release| {
    rooms.log.lock().unwrap().releases.push(release);
    Ok(())
});
answers!(Schedule, |rooms, schedule| {
    rooms.log.lock().unwrap().schedules.push(schedule);
    Ok(())
});
answers!(EnterAddress, |rooms, enter| {
    rooms.log.lock().unwrap().enters.push(enter);
    Ok(!rooms.says.crowded)
});
answers!(Visit, |rooms, visit| {
    rooms.log.lock().unwrap().visits.push(visit.host.clone());
    let says = rooms.says.visits.lock().unwrap().pop_front();
    Ok::<_, FrontierError>(says.unwrap_or_else(|| {
        Visited::Granted(Lease {
            host: visit.host,
            token: Token(8),
            urls: Vec::new(),
            delay: Duration::from_secs(1),
            term: Duration::from_secs(90),
            robots: Vec::new(),
            strikes: Strikes::default(),
            trapped: Vec::new(),
        })
    }))
});
answers!(Page, |rooms, page| {
    let exchange = page.exchange.as_deref();
    rooms.log.lock().unwrap().pages.push(Got {
        url: page.url.to_string(),
        outcome: page.verdict.outcome,
        detail: page.verdict.detail.clone().unwrap_or_default(),
        fate: page.verdict.fate,
        status: exchange.map(|exchange| exchange.status.as_u16()),
        cut: exchange.and_then(|exchange| exchange.cut),
        body: exchange.map_or(0, |exchange| exchange.body.len()),
        said: page.said.clone(),
        place: page.place,
    });
    page.life.settle();
});

/// An answer of the store that grants this.
pub(crate) fn reserved(grant: Grant) -> Reserved {
    Reserved {
        now: StoreTime(1),
        versions: Versions::default(),
        grant,
    }
}

/// A fetcher's surroundings.
pub(crate) struct Ring {
    pub(crate) log: Arc<Mutex<Log>>,
    pub(crate) gauge: Arc<PageGauge>,
    pub(crate) bytes: ByteBudget,
    pub(crate) health: Health,
    pub(crate) bell: Bell,
    pub(crate) halt: Halt,
    pub(crate) wanted: Wanted,
    /// Unlimited unless a test limits them.
    pub(crate) turns: Turns,
    pub(crate) died: mpsc::Receiver<Died>,
    beacon: mpsc::Sender<Died>,
    rooms: Addr<Rooms>,
    spill: tempfile::TempDir,
}

impl Ring {
    pub(crate) fn new(says: Says) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let rooms = Rooms {
            log: log.clone(),
            says,
        }
        .start();
        let (beacon, died) = mpsc::channel(8);
        let (clock, turns) = (Clock::machine(), Turns::new(Clock::machine()));
        turns.take(&reserved(Grant::Unlimited), clock.boot());
        Self {
            log,
            gauge: Arc::default(),
            bytes: ByteBudget::new(64 << 20),
            health: Health::default(),
            bell: Bell::new(1),
            halt: Halt::default(),
            wanted: Wanted::default(),
            turns,
            died,
            beacon,
            rooms,
            spill: tempfile::tempdir().unwrap(),
        }
    }

    /// Parts of a fetcher that may dial loopback at the ports of a test's servers.
    pub(crate) fn parts(
        &self,
        config: FetcherConfig,
        crawl: CrawlConfig,
        clock: &Clock,
        ports: &[u16],
    ) -> Parts {
        let dial = Dial {
            nets: vec!["127.0.0.0/8".parse().unwrap()],
            ports: ports.to_vec(),
            own: OwnSockets::default(),
        };
        Parts {
            config,
            crawl: Arc::new(crawl),
            dial: Arc::new(dial),
            // Nobody listens there: these tests use address literals and names below localhost.
            dns: Some("127.0.0.1:9".parse().unwrap()),
            tls: Arc::new(super::tls()),
            spill: PathBuf::from(self.spill.path()),
            doors: self.doors(),
            clock: clock.clone(),
            bytes: self.bytes.clone(),
            gauge: self.gauge.clone(),
            health: self.health.clone(),
            beacon: Beacon::new("fetcher", self.beacon.clone()),
        }
    }

    fn doors(&self) -> Doors {
        Doors {
            claim: self.door("claim"),
            extend: self.door("extend"),
            release: self.door("release"),
            schedule: self.door("schedule"),
            enter: self.door("enter"),
            visit: self.door("visit"),
            page: self.door("page"),
            bell: self.bell.clone(),
            turns: self.turns.clone(),
            pulse: Pulse::always(),
            halt: self.halt.clone(),
            wanted: self.wanted.clone(),
            taker: Taker::ALONE,
        }
    }

    fn door<T: Ask>(&self, name: &'static str) -> Outbox<T>
    where
        Rooms: Handler<Work<T>>,
    {
        Outbox::new(
            name,
            vec![self.rooms.clone().recipient()],
            8,
            Duration::from_secs(30),
        )
    }

    /// What became of the lease's URLs, once the parser has seen all that was handed on.
    pub(crate) async fn settled(&self) -> Vec<(u32, Outcome, Fate)> {
        self.quiet().await;
        self.log
            .lock()
            .unwrap()
            .pages
            .iter()
            .filter_map(Got::settled)
            .collect()
    }

    pub(crate) async fn pages(&self) -> Vec<Got> {
        self.quiet().await;
        self.log.lock().unwrap().pages.clone()
    }

    async fn quiet(&self) {
        while self.gauge.in_ring() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A lease of these URLs, all of one host.
pub(crate) fn lease(urls: &[String]) -> Lease {
    let host = Host::of(&contract::Url::parse(&urls[0]).unwrap()).unwrap();
    let queued = urls.iter().map(|url| Queued {
        url: url.as_str().into(),
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
        tries: 0,
        via: None,
        earlier: None,
    });
    Lease {
        host,
        token: Token(7),
        urls: queued.collect(),
        delay: Duration::from_secs(1),
        term: Duration::from_secs(90),
        robots: Vec::new(),
        strikes: Strikes::default(),
        trapped: Vec::new(),
    }
}

//! Shards on their way from one master of a cluster to another, while crawls run.
//!
//! Owns the order of a slot's move: its shards' gates are closed, its keys are sent, its new owner is announced, the gates
//! are opened there. A script that ran in a slot that is half moved would make anew what is on the other side; the closed
//! gate, which moves along, refuses it on both (FRONTIER, section 9). Invariants: keys move only behind closed gates; a
//! gate is opened only when all keys of its slot are in one place; whatever ends a move, the same order goes on with it,
//! for a slot's state is read from the servers. Start at [`Masters::move_slot`].

use std::path::PathBuf;
use std::time::Duration;

use contract::clock::{Clock, micros};
use redis::{Cmd, FromRedisValue, RedisError};

use super::gates;
use crate::error::StoreError;
use crate::fleet::Link;
use crate::fleet::address::{Address, Server, Topology};
use crate::fleet::deployment::Deployment;
use crate::fleet::link::LinkError;

/// Keys that are sent in one step.
const STEP_KEYS: usize = 100;
/// How long the two servers may take for a step, in milliseconds: one key may be a host's whole queue.
const STEP_MS: u64 = 10_000;

/// Why a slot was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the store is no Redis Cluster: its shards are all on one server")]
    NoCluster,
    #[error("no server of the cluster says who is in it")]
    NobodyTells(#[source] Option<LinkError>),
    #[error("{server} is no master of the cluster; its masters: {masters}")]
    NoMaster { server: String, masters: String },
    #[error("{server} does not answer")]
    Away { server: String },
    #[error("no master that answers has slot {slot}")]
    NoOwner { slot: u16 },
    #[error("CLUSTER NODES says {line:?}")]
    Odd { line: String },
    /// Nothing has changed.
    #[error("slot {slot} was not moved, its shards go on where they are")]
    Undone {
        slot: u16,
        #[source]
        source: Step,
    },
    /// Its gates stay closed.
    #[error("slot {slot} is half moved, its shards wait: give the same command again")]
    HalfWay {
        slot: u16,
        #[source]
        source: Step,
    },
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// What failed of a move.
#[derive(Debug, thiserror::Error)]
pub enum Step {
    #[error("{server}: {what}")]
    Redis {
        server: String,
        what: &'static str,
        source: RedisError,
    },
    #[error("a gate cannot be turned")]
    Gate(#[from] StoreError),
}

/// A cluster's masters, each with a connection of its own if it answers.
pub struct Masters {
    all: Vec<Master>,
    login: Vec<String>,
}

struct Master {
    id: String,
    server: Server,
    link: Option<Link>,
}

/// What a master says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct View {
    epoch: u64,
    slots: Vec<(u16, u16)>,
    /// Slots on their way from or to it.
    open: Vec<u16>,
}

/// A slot that has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub slot: u16,
    pub keys: u64,
    /// For so long its shards answered nobody; zero where it was there already.
    pub closed: Duration,
}

impl Masters {
    /// Connects to all masters of the cluster at this address.
    ///
    /// # Errors
    /// A store that is no cluster, or of which no server answers.
    pub async fn open(address: &Address, ca: Option<PathBuf>) -> Result<Self, MoveError> {
        let Topology::Cluster(servers) = &address.topology else {
            return Err(MoveError::NoCluster);
        };
        let alone = |server: &Server| {
            let mut alone = address.clone();
            alone.topology = Topology::Single(server.clone());
            alone
        };
        let (mut told, mut away) = (None, None);
        for server in servers {
            match Link::open(&alone(server), ca.clone()).await {
                Ok(mut link) => told = nodes(&mut link, server).await.ok(),
                Err(error) => away = Some(error),
            }
            if told.is_some() {
                break;
            }
        }
        let mut all = Vec::new();
        for line in told.ok_or(MoveError::NobodyTells(away))?.lines() {
            let Some((id, server)) = master_of(line)? else {
                continue;
            };
            let link = Link::open(&alone(&server), ca.clone()).await.ok();
            all.push(Master { id, server, link });
        }
        let login = match (address.username(), address.password()) {
            (_, None) => Vec::new(),
            (None, Some(password)) => vec!["AUTH".to_owned(), password.to_owned()],
            (Some(name), Some(password)) => {
                vec!["AUTH2".to_owned(), name.to_owned(), password.to_owned()]
            }
        };
        Ok(Self { all, login })
    }

    /// The masters' servers, by their numbers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.all.iter().map(|master| &master.server)
    }

    /// The number of the master at this server.
    ///
    /// # Errors
    /// No master of the cluster, or one that does not answer.
    pub fn number(&self, server: &Server) -> Result<usize, MoveError> {
        let found = self.servers().position(|known| known == server);
        let number = found.ok_or_else(|| MoveError::NoMaster {
            server: name(server),
            masters: self.servers().map(name).collect::<Vec<_>>().join(", "),
        })?;
        self.link(number).map(|_| number)
    }

    /// The owner's number of each of these slots (none where it does not answer), and whether the slot is on its way.
    ///
    /// # Errors
    /// A master that answers and says something odd.
    pub async fn owners(
        &mut self,
        slots: &[u16],
    ) -> Result<Vec<(u16, Option<usize>, bool)>, MoveError> {
        let views = self.views().await?;
        let of = |slot: u16| {
            let is_open = views.iter().flatten().any(|view| view.open.contains(&slot));
            (slot, owner(&views, slot), is_open)
        };
        Ok(slots.iter().map(|slot| of(*slot)).collect())
    }

    /// Moves a slot with all its keys to a master, or goes on with such a move.
    ///
    /// # Errors
    /// What failed, and what became of the slot.
    pub async fn move_slot(
        &mut self,
        deployment: &Deployment,
        slot: u16,
        to: usize,
        clock: &Clock,
    ) -> Result<Moved, MoveError> {
        let [(_, owner, was_open)] = self.owners(&[slot]).await?[..] else {
            return Err(MoveError::NoOwner { slot });
        };
        let from = owner.ok_or(MoveError::NoOwner { slot })?;
        let shards = gates::shards_in(deployment, &(slot..=slot));
        let began = clock.boot();
        let mut moved = Moved {
            slot,
            keys: 0,
            closed: Duration::ZERO,
        };
        let mut times = Vec::new();
        if from != to {
            let sent = self.send(slot, &shards, from, to, &mut times, &mut moved.keys);
            if let Err(source) = sent.await {
                if moved.keys > 0 || was_open {
                    return Err(MoveError::HalfWay { slot, source });
                }
                return Err(match self.undo(slot, &shards, from, to).await {
                    Ok(()) => MoveError::Undone { slot, source },
                    Err(_) => MoveError::HalfWay { slot, source },
                });
            }
        }
        let ended = async {
            self.announce(slot, to).await?;
            let took = clock.boot().since(began);
            let link = self.link_of(to)?;
            for (nth, shard) in shards.iter().enumerate() {
                // A move that another began left no time to go on from but the one in the gate.
                let time = times.get(nth).copied().flatten();
                let time = time.map(|at: u64| at + micros(took));
                gates::open(link, *shard, time).await?;
            }
            Ok(())
        };
        let ended: Result<(), Step> = ended.await;
        ended.map_err(|source| MoveError::HalfWay { slot, source })?;
        if from != to {
            moved.closed = clock.boot().since(began);
        }
        Ok(moved)
    }

    /// Closes the gates and sends all keys.
    async fn send(
        &mut self,
        slot: u16,
        shards: &[u16],
        from: usize,
        to: usize,
        times: &mut Vec<Option<u64>>,
        keys: &mut u64,
    ) -> Result<(), Step> {
        for shard in shards {
            times.push(match gates::close(self.link_of(from)?, *shard).await {
                Ok(time) => Some(time),
                // The gate has gone ahead, closed.
                Err(StoreError::Away(error)) if error.code() == Some("ASK") => None,
                Err(error) => return Err(error.into()),
            });
        }
        let (source, target) = (self.all[from].id.clone(), self.all[to].id.clone());
        self.set(to, slot, &["IMPORTING", &source]).await?;
        self.set(from, slot, &["MIGRATING", &target]).await?;
        loop {
            let mut list = redis::cmd("CLUSTER");
            list.arg("GETKEYSINSLOT").arg(slot).arg(STEP_KEYS);
            let some: Vec<Vec<u8>> = self.ask(from, "GETKEYSINSLOT", &list).await?;
            if some.is_empty() {
                return Ok(());
            }
            let server = &self.all[to].server;
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg(&server.host).arg(server.port).arg("").arg(0);
            // What is there already came with an answer that was lost: nobody has written it since.
            migrate.arg(STEP_MS).arg("REPLACE").arg(&self.login);
            migrate.arg("KEYS").arg(&some);
            // Even where the answer is lost.
            *keys += u64::try_from(some.len()).unwrap_or(u64::MAX);
            let _done: String = self.ask(from, "MIGRATE", &migrate).await?;
        }
    }

    /// The new owner first: were it the last and failed, nobody would own the slot. Masters that are away hear of it.
    async fn announce(&mut self, slot: u16, to: usize) -> Result<(), Step> {
        let target = self.all[to].id.clone();
        self.set(to, slot, &["NODE", &target]).await?;
        for number in 0..self.all.len() {
            if number != to && self.all[number].link.is_some() {
                let _heard_later = self.set(number, slot, &["NODE", &target]).await;
            }
        }
        Ok(())
    }

    /// Nothing was sent: all as it was.
    async fn undo(
        &mut self,
        slot: u16,
        shards: &[u16],
        from: usize,
        to: usize,
    ) -> Result<(), Step> {
        self.set(from, slot, &["STABLE"]).await?;
        let _it_may_be_gone = self.set(to, slot, &["STABLE"]).await;
        for shard in shards {
            gates::open(self.link_of(from)?, *shard, None).await?;
        }
        Ok(())
    }

    async fn set(&mut self, number: usize, slot: u16, words: &[&str]) -> Result<(), Step> {
        let mut set = redis::cmd("CLUSTER");
        set.arg("SETSLOT").arg(slot).arg(words);
        self.ask::<String>(number, "CLUSTER SETSLOT", &set)
            .await
            .map(drop)
    }

    async fn ask<T: FromRedisValue>(
        &mut self,
        number: usize,
        what: &'static str,
        cmd: &Cmd,
    ) -> Result<T, Step> {
        let server = name(&self.all[number].server);
        let answer = cmd.query_async(self.link_of(number)?).await;
        answer.map_err(|source| Step::Redis {
            server,
            what,
            source,
        })
    }

    fn link_of(&mut self, number: usize) -> Result<&mut Link, Step> {
        let master = &mut self.all[number];
        let away = || RedisError::from((redis::ErrorKind::Io, "it does not answer"));
        let server = name(&master.server);
        master.link.as_mut().ok_or_else(|| Step::Redis {
            server,
            what: "no connection",
            source: away(),
        })
    }

    fn link(&self, number: usize) -> Result<&Link, MoveError> {
        let master = &self.all[number];
        master.link.as_ref().ok_or_else(|| MoveError::Away {
            server: name(&master.server),
        })
    }

    /// What each master that answers says of itself: the others may not have heard yet.
    async fn views(&mut self) -> Result<Vec<Option<View>>, MoveError> {
        let mut views = Vec::with_capacity(self.all.len());
        for Master { id, server, link } in &mut self.all {
            let told = match link {
                Some(link) => nodes(link, server).await.ok(),
                None => None,
            };
            let own = told.as_deref().and_then(|told| {
                let mut lines = told.lines();
                lines.find(|line| line.starts_with(id.as_str()))
            });
            views.push(own.map(View::read).transpose()?);
        }
        Ok(views)
    }
}

impl View {
    /// A line of `CLUSTER NODES`: id, address, flags, master, ping, pong, epoch, link, then slots; those in brackets are
    /// on their way.
    fn read(line: &str) -> Result<Self, MoveError> {
        let odd = || MoveError::Odd {
            line: line.to_owned(),
        };
        let mut fields = line.split(' ').skip(6);
        let epoch = fields.next().ok_or_else(odd)?.parse().map_err(|_| odd())?;
        let mut view = Self {
            epoch,
            ..Self::default()
        };
        for field in fields.skip(1) {
            if let Some(on_its_way) = field.strip_prefix('[') {
                let slot = on_its_way.split('-').next().unwrap_or_default();
                view.open.push(slot.parse().map_err(|_| odd())?);
                continue;
            }
            let (first, last) = field.split_once('-').unwrap_or((field, field));
            let number = |text: &str| text.parse().map_err(|_| odd());
            view.slots.push((number(first)?, number(last)?));
        }
        Ok(view)
    }
}

/// One that comes back claims what it had until it hears of a later claim.
fn owner(views: &[Option<View>], slot: u16) -> Option<usize> {
    let claims = views.iter().enumerate().filter_map(|(number, view)| {
        let view = view.as_ref()?;
        let has = |(first, last): &(u16, u16)| (*first..=*last).contains(&slot);
        view.slots.iter().any(has).then_some((view.epoch, number))
    });
    claims.max().map(|(_, number)| number)
}

async fn nodes(link: &mut Link, server: &Server) -> Result<String, MoveError> {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("NODES");
    let told = ask.query_async(link).await;
    told.map_err(|_| MoveError::Away {
        server: name(server),
    })
}

/// The id and address of a line's server, if it is a master.
fn master_of(line: &str) -> Result<Option<(String, Server)>, MoveError> {
    let odd = || MoveError::Odd {
        line: line.to_owned(),
    };
    let mut fields = line.split(' ');
    let (Some(id), Some(at), Some(flags)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(odd());
    };
    let flags: Vec<&str> = flags.split(',').collect();
    if !flags.contains(&"master") || flags.contains(&"noaddr") || flags.contains(&"handshake") {
        return Ok(None);
    }
    // host:port@bus, then perhaps names.
    let at = at.split(['@', ',']).next().unwrap_or_default();
    let (host, port) = at.rsplit_once(':').ok_or_else(odd)?;
    let server = Server {
        host: host.to_owned(),
        port: port.parse().map_err(|_| odd())?,
    };
    Ok(Some((id.to_owned(), server)))
}

fn name(server: &Server) -> String {
    format!("{}:{}", server.host, server.port)
}

#[cfg(test)]
mod tests;

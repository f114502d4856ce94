//! A Redis Cluster on loopback whose nodes die and come back, and whose slots move while it is in use.
//!
//! It is put together as `redis-cli --cluster create` does it, by the nodes' own commands, so that each step is
//! awaited by what the nodes say. A node is meant by its number, the masters of the start first.
//! What it says of who owns what comes from the owners alone, so it is true during a failover too.
//! Start reading at [`RedisCluster::start`].

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{FOLLOW_AT_ONCE, Redis, RedisOptions};
use crate::port::Port;
use crate::until::until_or_none;

/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// Silence of a node after which the others take it for dead, in milliseconds.
const NODE_TIMEOUT_MS: u64 = 2_000;
/// How long the nodes may take to agree.
const WITHIN: Duration = Duration::from_secs(30);
/// Keys that move in one step.
const KEYS_A_STEP: &str = "100";
/// How long the move of a step may take, in milliseconds.
const STEP_MS: &str = "5000";

/// Servers that share the slots; dropping it ends them all.
pub struct RedisCluster {
    nodes: Vec<Node>,
}

struct Node {
    redis: Redis,
    /// Its name among the nodes.
    id: String,
    /// Where the nodes talk to each other.
    bus: Port,
}

/// What one node says of one node.
struct View {
    id: String,
    flags: Vec<String>,
    epoch: u64,
    slots: Vec<(u16, u16)>,
}

impl RedisCluster {
    /// Starts so many masters, which share the slots evenly, each with so many replicas, and waits until all nodes
    /// say that the cluster is whole and every replica follows. A cluster needs three masters to replace a dead one.
    ///
    /// # Errors
    /// When a server does not start, or they do not agree within half a minute.
    pub fn start(masters: usize, replicas_per_master: usize) -> Result<Self> {
        ensure!((1..=SLOTS).contains(&masters), "{masters} masters");
        let nodes = (0..masters * (1 + replicas_per_master)).map(|_| Node::start());
        let cluster = Self {
            nodes: nodes.collect::<Result<_>>()?,
        };
        for (n, node) in cluster.nodes.iter().enumerate() {
            // Epochs that differ from the start need not be fought out.
            let epoch = (n + 1).to_string();
            node.redis.call(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
        }
        for (n, node) in cluster.nodes.iter().take(masters).enumerate() {
            let first = (SLOTS * n / masters).to_string();
            let last = (SLOTS * (n + 1) / masters - 1).to_string();
            node.redis
                .call(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
        }
        let host = cluster.nodes[0].redis.address().ip().to_string();
        for node in &cluster.nodes[1..] {
            let (port, bus) = (node.redis.port().to_string(), node.bus.number().to_string());
            let met = cluster.nodes[0]
                .redis
                .call(&["CLUSTER", "MEET", &host, &port, &bus]);
            met.context("CLUSTER MEET")?;
        }
        cluster.agree("know each other", |view| {
            view.len() == cluster.nodes.len() && view.iter().all(View::is_settled)
        })?;
        for (n, node) in cluster.nodes.iter().enumerate().skip(masters) {
            let master = &cluster.nodes[n % masters].id;
            node.redis.call(&["CLUSTER", "REPLICATE", master])?;
        }
        cluster.agree("know who follows whom", |view| {
            view.iter().filter(|node| node.is_master()).count() == masters
        })?;
        cluster.wait_ok()?;
        Ok(cluster)
    }

    /// How to connect to each node, in order of their numbers; dead ones too.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.redis.url()).collect()
    }

    /// The server of node `n`, to be asked, frozen or thawed.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node(&self, n: usize) -> &Redis {
        &self.nodes[n].redis
    }

    /// Kills node `n` (SIGKILL). The others notice after two seconds; a replica then takes the slots over.
    ///
    /// # Errors
    /// When it cannot be killed.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        self.nodes[n].redis.kill()
    }

    /// Starts a dead node `n` again, with what it knew of the cluster, and waits until it answers.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn restart(&mut self, n: usize) -> Result<()> {
        self.nodes[n].redis.restart()
    }

    /// Waits until every node that runs says that all slots are served, and every replica follows its master.
    ///
    /// # Errors
    /// When they do not within half a minute.
    pub fn wait_ok(&self) -> Result<()> {
        until_or_none(WITHIN, || {
            let good = self
                .running()
                .all(|(_, node)| node.is_ok().unwrap_or(false));
            good.then_some(())
        })
        .with_context(|| format!("the cluster is not whole:\n{}", self.told()))
    }

    /// The number of the master that owns `slot`; `None` when no running node does, as during a failover.
    ///
    /// # Errors
    /// When a node that runs does not answer.
    pub fn node_of_slot(&self, slot: u16) -> Result<Option<usize>> {
        let mut owner: Option<(u64, usize)> = None;
        for (n, node) in self.running() {
            let view = node.view()?;
            let own = view.iter().find(|seen| seen.id == node.id);
            let own = own.context("a node does not know itself")?;
            // One that comes back claims what it had until it hears of a later claim.
            if own.is_master() && own.has(slot) && owner.is_none_or(|(epoch, _)| epoch < own.epoch)
            {
                owner = Some((own.epoch, n));
            }
        }
        Ok(owner.map(|(_, n)| n))
    }

    /// Moves slots with their keys from one master to another, key by key, while both serve (`MIGRATE`): clients see
    /// `ASK`, `TRYAGAIN`, then `MOVED`.
    ///
    /// # Errors
    /// With the server's words when a step is refused, such as by a node that does not own the slot; what has moved
    /// stays so.
    ///
    /// # Panics
    /// When there are no such nodes.
    pub fn move_slots(
        &self,
        slots: impl IntoIterator<Item = u16>,
        from: usize,
        to: usize,
    ) -> Result<()> {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        for slot in slots {
            let told = || format!("slot {slot} from node {from} to node {to}");
            let slot = slot.to_string();
            let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source.id];
            target.redis.call(&importing).with_context(told)?;
            let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target.id];
            source.redis.call(&migrating).with_context(told)?;
            while source.send_keys(&slot, target).with_context(told)? {}
            // The new owner first: were it the last and failed, nobody would own the slot.
            let mut hear: Vec<&Node> = self.running().map(|(_, node)| node).collect();
            hear.sort_by_key(|node| (node.id != target.id, node.id != source.id));
            for node in hear {
                let is_master = node
                    .view()?
                    .iter()
                    .any(|seen| seen.id == node.id && seen.is_master());
                if is_master {
                    let owned = ["CLUSTER", "SETSLOT", &slot, "NODE", &target.id];
                    node.redis.call(&owned).with_context(told)?;
                }
            }
        }
        Ok(())
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.redis.is_running())
    }

    /// Waits until every node that runs sees the cluster so.
    fn agree(&self, what: &str, seen: impl Fn(&[View]) -> bool) -> Result<()> {
        until_or_none(WITHIN, || {
            let all = self
                .running()
                .all(|(_, node)| node.view().is_ok_and(|view| seen(&view)));
            all.then_some(())
        })
        .with_context(|| format!("the nodes do not {what}:\n{}", self.told()))
    }

    /// What each running node sees, for messages.
    fn told(&self) -> String {
        self.running().fold(String::new(), |text, (n, node)| {
            let view = node.redis.call(&["CLUSTER", "NODES"]);
            let view = view.map_or_else(|error| format!("{error:#}\n"), |view| view.text());
            format!("{text}node {n} sees\n{view}")
        })
    }
}

impl Node {
    fn start() -> Result<Self> {
        let bus = Port::reserve().context("no free port")?;
        let lines = [
            "cluster-enabled yes".to_owned(),
            format!("cluster-port {}", bus.number()),
            format!("cluster-node-timeout {NODE_TIMEOUT_MS}"),
            FOLLOW_AT_ONCE.to_owned(),
        ];
        let redis = Redis::start(RedisOptions {
            appendonly: true,
            lines: lines.into(),
            ..RedisOptions::default()
        })?;
        let id = redis.call(&["CLUSTER", "MYID"])?.text();
        Ok(Self { redis, id, bus })
    }

    /// What it sees of all nodes.
    fn view(&self) -> Result<Vec<View>> {
        let text = self.redis.call(&["CLUSTER", "NODES"])?.text();
        text.lines().map(View::read).collect()
    }

    fn is_ok(&self) -> Result<bool> {
        let info = self.redis.call(&["CLUSTER", "INFO"])?.text();
        let ok = info.lines().any(|line| line == "cluster_state:ok");
        let follows =
            self.redis.info("role")? == "master" || self.redis.info("master_link_status")? == "up";
        Ok(ok && follows)
    }

    /// Sends some keys of a slot; whether there were any.
    fn send_keys(&self, slot: &str, target: &Self) -> Result<bool> {
        let keys = ["CLUSTER", "GETKEYSINSLOT", slot, KEYS_A_STEP];
        let keys: Vec<Vec<u8>> = self
            .redis
            .call(&keys)?
            .members()
            .into_iter()
            .filter_map(|key| match key {
                super::Value::Bulk(key) => Some(key),
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return Ok(false);
        }
        let (host, port) = (
            target.redis.address().ip().to_string(),
            target.redis.port().to_string(),
        );
        let head = ["MIGRATE", &host, &port, "", "0", STEP_MS, "KEYS"];
        let head = head.iter().map(|word| word.as_bytes().to_vec());
        self.redis.call(&head.chain(keys).collect::<Vec<_>>())?;
        Ok(true)
    }
}

impl View {
    /// A line of `CLUSTER NODES`: id, address, flags, master, ping, pong, epoch, link, then slots.
    fn read(line: &str) -> Result<Self> {
        let told = || format!("CLUSTER NODES has {line:?}");
        let fields: Vec<&str> = line.split(' ').collect();
        let [id, _, flags, _, _, _, epoch, _, slots @ ..] = fields.as_slice() else {
            return Err(anyhow::anyhow!(told()));
        };
        // In brackets are slots on the move, which their owner lists as its own as well.
        let slots = slots.iter().filter(|slots| !slots.starts_with('['));
        let slots = slots.map(|slots| {
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            Ok((first.parse()?, last.parse()?))
        });
        Ok(Self {
            id: (*id).to_owned(),
            flags: flags.split(',').map(str::to_owned).collect(),
            epoch: epoch.parse().with_context(told)?,
            slots: slots.collect::<Result<_>>().with_context(told)?,
        })
    }

    fn is_master(&self) -> bool {
        self.flags.iter().any(|flag| flag == "master")
    }

    fn is_settled(&self) -> bool {
        !self
            .flags
            .iter()
            .any(|flag| flag == "handshake" || flag == "noaddr")
    }

    fn has(&self, slot: u16) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|(first, last)| (first..=last).contains(&&slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_s_view_is_read() {
        let view =
            View::read("a1 127.0.0.1:1@2 myself,master - 0 7 3 connected 0-5 9 [6->-b2] [8-<-b2]")
                .unwrap();
        assert!(view.is_master() && view.is_settled());
        assert_eq!((view.id.as_str(), view.epoch), ("a1", 3));
        let has: Vec<u16> = (0..12).filter(|&slot| view.has(slot)).collect();
        assert_eq!(has, [0, 1, 2, 3, 4, 5, 9]);
        let view = View::read("b2 :0@0 slave,handshake a1 0 7 3 disconnected").unwrap();
        assert!(!view.is_master() && !view.is_settled() && !view.has(0));
        assert!(View::read("a1 127.0.0.1:1@2 master").is_err());
        assert!(View::read("a1 127.0.0.1:1@2 master - 0 7 3 connected x-y").is_err());
    }
}

//! A master and its replica under three sentinels, which put the replica in the master's place when it dies.
//!
//! Two sentinels must agree, after a second of silence. They look around and speak of themselves more often than by
//! their defaults (seconds), so that they find each other, and put a server that comes back in its place, at once.
//! Who is the master is what the sentinels say, as for any client. Start reading at [`Sentinel::start`].

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::server::Server;
use super::{FOLLOW_AT_ONCE, Redis, RedisOptions};
use crate::until::until_or_none;

/// Sentinels, and how many of them must agree.
const SENTINELS: usize = 3;
const QUORUM: usize = 2;
/// Silence after which a server is taken for dead, in milliseconds.
const DOWN_AFTER_MS: u64 = 1_000;
/// How often a sentinel leaves word of itself at the servers, how often it asks them what they are, and how long it
/// does nothing after a pause of its own, as it may have on a busy machine; in milliseconds.
const PACES_MS: [(&str, u64); 3] = [
    ("PUBLISH-PERIOD", 200),
    ("INFO-PERIOD", 500),
    ("TILT-PERIOD", 1_000),
];
/// How long finding each other, or a failover, may take.
const WITHIN: Duration = Duration::from_secs(30);

/// Two servers and their sentinels; dropping it ends them all.
pub struct Sentinel {
    name: String,
    nodes: Vec<Redis>,
    sentinels: Vec<Server>,
}

impl Sentinel {
    /// Starts them, the sentinels know the master as `name`, and waits until all know of all.
    ///
    /// # Errors
    /// When one does not start, or they do not find each other within half a minute.
    pub fn start(name: &str) -> Result<Self> {
        let node = |lines: Vec<String>| {
            Redis::start(RedisOptions {
                appendonly: true,
                lines,
                ..RedisOptions::default()
            })
        };
        let at_once = || FOLLOW_AT_ONCE.to_owned();
        let master = node(vec![at_once()])?;
        let follow = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = node(vec![at_once(), follow])?;
        until_or_none(WITHIN, || follows(&replica).then_some(()))
            .context("the replica does not follow its master")?;
        let watch = |_: &std::path::Path, port| {
            Ok(format!(
                "port {port}\nsentinel monitor {name} 127.0.0.1 {} {QUORUM}\n\
                 sentinel down-after-milliseconds {name} {DOWN_AFTER_MS}\nsentinel failover-timeout {name} 10000\n",
                master.port()
            ))
        };
        let sentinels = (0..SENTINELS).map(|_| Server::start(true, watch));
        let sentinels = sentinels.collect::<Result<_>>()?;
        let started = Self {
            name: name.to_owned(),
            nodes: vec![master, replica],
            sentinels,
        };
        started.find_each_other()?;
        Ok(started)
    }

    /// What the sentinels call the master.
    pub fn master_name(&self) -> &str {
        &self.name
    }

    /// How to connect to each sentinel.
    pub fn urls(&self) -> Vec<String> {
        let sentinels = self.sentinels.iter();
        sentinels
            .map(|sentinel| format!("redis://{}", sentinel.port().address()))
            .collect()
    }

    /// The number of the master, 0 or 1, once all sentinels say the same; `None` before.
    ///
    /// # Errors
    /// When a sentinel does not answer, or says what is neither.
    pub fn master(&self) -> Result<Option<usize>> {
        let mut master = None;
        for sentinel in &self.sentinels {
            let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.name];
            let told = sentinel.call(&ask)?.members();
            let port = told.get(1).map(super::Value::text).unwrap_or_default();
            let mut nodes = self.nodes.iter();
            let n = nodes
                .position(|node| node.port().to_string() == port)
                .with_context(|| format!("a sentinel says that the master is {told:?}"))?;
            if master.is_some_and(|master| master != n) {
                return Ok(None);
            }
            master = Some(n);
        }
        Ok(master)
    }

    /// One of the two servers, to be asked, frozen or thawed; 0 is the master of the start.
    ///
    /// # Panics
    /// When `n` is neither 0 nor 1.
    pub fn node(&self, n: usize) -> &Redis {
        &self.nodes[n]
    }

    /// Kills server `n` (SIGKILL). If it is the master, the sentinels notice after a second.
    ///
    /// # Errors
    /// When it cannot be killed.
    ///
    /// # Panics
    /// When `n` is neither 0 nor 1.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        self.nodes[n].kill()
    }

    /// Starts a dead server `n` again and waits until it answers. A former master believes to be one until the
    /// sentinels tell it otherwise, a second or so later.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    ///
    /// # Panics
    /// When `n` is neither 0 nor 1.
    pub fn restart(&mut self, n: usize) -> Result<()> {
        self.nodes[n].restart()
    }

    /// Has the sentinels put the replica in the master's place, though nothing is amiss, and waits until all say so
    /// and the former master follows. Returns the new master's number.
    ///
    /// # Errors
    /// When a server is dead, or it is not done within half a minute.
    pub fn failover(&self) -> Result<usize> {
        let old = self.master()?.context("the sentinels are at odds")?;
        let new = 1 - old;
        let order = ["SENTINEL", "FAILOVER", &self.name];
        // Refused while the last one is not over, or the replica has not been looked at.
        let mut last = None;
        until_or_none(WITHIN, || match self.sentinels[0].call(&order) {
            Ok(_) => Some(()),
            Err(error) => {
                last = Some(error);
                None
            }
        })
        .with_context(|| format!("no failover: {last:?}"))?;
        until_or_none(WITHIN, || {
            let told = self.master().is_ok_and(|master| master == Some(new));
            (told && follows(&self.nodes[old])).then_some(())
        })
        .with_context(|| format!("the failover does not end:\n{}", self.told()))?;
        Ok(new)
    }

    fn find_each_other(&self) -> Result<()> {
        for sentinel in &self.sentinels {
            for (pace, ms) in PACES_MS {
                sentinel.call(&["SENTINEL", "DEBUG", pace, &ms.to_string()])?;
            }
        }
        let others = (SENTINELS - 1).to_string();
        until_or_none(WITHIN, || {
            let mut sentinels = self.sentinels.iter();
            let all = sentinels.all(|sentinel| {
                self.says(sentinel, "num-other-sentinels").as_deref() == Some(&others)
                    && self.says(sentinel, "num-slaves").as_deref() == Some("1")
            });
            all.then_some(())
        })
        .with_context(|| format!("the sentinels do not find each other:\n{}", self.told()))
    }

    /// What each sentinel has logged, for messages.
    pub(super) fn told(&self) -> String {
        let sentinels = self.sentinels.iter().enumerate();
        sentinels.fold(String::new(), |text, (n, sentinel)| {
            format!("{text}sentinel {n} said\n{}", sentinel.said())
        })
    }

    /// What a sentinel says of the master under `field`.
    fn says(&self, sentinel: &Server, field: &str) -> Option<String> {
        let told = sentinel.call(&["SENTINEL", "MASTER", &self.name]).ok()?;
        let told = told.members();
        let mut pairs = told.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0].text() == field)?;
        Some(pair[1].text())
    }
}

/// Whether a server is a replica that has its master's data.
fn follows(node: &Redis) -> bool {
    node.info("master_link_status")
        .is_ok_and(|status| status == "up")
}

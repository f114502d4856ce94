//! Fault drills of the cluster: three nodes and a store crawl a web whose every page is known, and something breaks.
//!
//! A drill prints its seed, which decides the web and the moment of the fault, and one line of what came of it.
//! `cargo xtask drills` runs many seeds; docs/drills.md says what each promises. Leases are of two seconds, so that a
//! fault outlives them soon. Start reading at [`Drill`], then at any drill.

mod fleet;
mod judge;
mod network;
mod nodes;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kit::Seed;
use kit::dns::{Dns, Reply, Zone};
use kit::log::Entry;
use kit::origin::Site;
use kit::process::{Ended, Running};
use kit::until::until_or_none;
use kit::web::{Truth, Web};
use rand::Rng as _;
use rand::rngs::StdRng;

use crate::cluster::{Fleet, drained, reach_by};
use crate::crawl::{ARGIOPE, PATIENCE, clean};
use crate::stand::Stand;
pub(crate) use judge::Allowed;

/// A lease's term on every node, where the drill says nothing else.
const LEASE: Duration = Duration::from_secs(2);
/// The same where nobody's leases are to end early: a busy machine must not look like a fault.
const UNHURRIED: Duration = Duration::from_secs(30);
/// Requests that a node may have under way at once.
const IN_FLIGHT: usize = 50;
/// Hosts of the web, and the registered domains that they are of: each domain is in a shard of its own.
const HOSTS: usize = 40;
const DOMAINS: usize = 7;
/// Where the origin listens for the one node that its log is to tell from the others.
const APART: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Pages that a node may have fetched and not settled when it loses its leases: of every host the three URLs that a
/// lease of two seconds has at a delay of 50 ms (FRONTIER, section 12). The F of invariant I1.
const UNSETTLED: usize = 3 * HOSTS;

/// A crawl by a fleet, to be disturbed.
struct Drill {
    name: &'static str,
    seed: Seed,
    rng: StdRng,
    stand: Stand,
    /// Leads the node that is told apart.
    dns_apart: Dns,
    truth: Truth,
    fleet: Fleet,
    delay: Duration,
    lease: Duration,
    nodes: Vec<(String, Running)>,
}

impl Drill {
    /// A web, a store and a crawl of it; no node yet.
    fn new(name: &'static str, delay: Duration) -> Self {
        let seed = Seed::take(name);
        let web = Site::of(Web {
            seed: seed.0,
            hosts: HOSTS,
            suffix: "test".to_owned(),
            domains: DOMAINS,
            pages_per_host: 24,
            body_bytes: 800,
            flaky_every: 0,
            delay_ms: (5, 40),
            ..Web::default()
        });
        let web = web.on_addresses(vec![Ipv4Addr::LOCALHOST, APART]);
        let stand = Stand {
            origin: web.start().unwrap(),
            dns: Dns::start(Zone::default()).unwrap(),
        };
        let apart = Zone::empty().under("test", Reply::Addresses(vec![APART.into()]));
        let fleet = Fleet::start();
        let homes = stand.origin.web().host_names();
        let homes: Vec<String> = homes.map(|host| stand.origin.url(&host, "/")).collect();
        let seeds = fleet.folder.path().join("seeds.txt");
        std::fs::write(&seeds, homes.join("\n")).unwrap();
        let drill = Self {
            name,
            seed,
            rng: seed.rng(name),
            truth: stand.origin.truth(|_| true),
            stand,
            dns_apart: Dns::start(apart).unwrap(),
            fleet,
            delay,
            lease: LEASE,
            nodes: Vec::new(),
        };
        let pause = format!("{}ms", delay.as_millis());
        let seeds = seeds.to_str().unwrap();
        drill
            .fleet
            .crawl(&drill.stand, &["--delay", &pause, "--seed-file", seeds]);
        drill
    }

    /// The same with three nodes at work.
    fn start(name: &'static str) -> Self {
        Self::start_with(name, LEASE)
    }

    /// The same with leases of this term.
    fn start_with(name: &'static str, lease: Duration) -> Self {
        let mut drill = Self::new(name, Duration::from_millis(50));
        drill.lease = lease;
        for node in ["n1", "n2", "n3"] {
            drill.join(node);
        }
        drill
    }

    /// A node of this name, which reaches the store directly.
    fn join(&mut self, name: &str) {
        self.join_at(name, self.fleet.redis.address(), &[]);
    }

    /// A node that reaches the store at this address, under these variables of the environment.
    fn join_at(&mut self, name: &str, store: SocketAddr, environment: &[(&str, &str)]) {
        self.join_by(name, store, environment, self.stand.dns.address());
    }

    /// A node that the origin's log tells from the others; it has begun to send.
    fn join_apart(&mut self, name: &str, store: SocketAddr) {
        self.join_by(name, store, &[], self.dns_apart.address());
        self.requests(1);
    }

    fn join_by(
        &mut self,
        name: &str,
        store: SocketAddr,
        environment: &[(&str, &str)],
        dns: SocketAddr,
    ) {
        let folder = self.fleet.folder.path();
        let config = folder.join(format!("{name}.toml"));
        let lease = self.lease.as_millis();
        std::fs::write(&config, format!("[node]\nlease-ms = {lease}\n")).unwrap();
        let mut command = clean(ARGIOPE);
        command
            .current_dir(folder)
            .arg("node")
            .args(reach_by(&self.stand, dns));
        command.args([
            "--node-name",
            name,
            "--fetchers",
            "1",
            "--store",
            &format!("redis://{store}"),
        ]);
        command.arg("--concurrency").arg(IN_FLIGHT.to_string());
        command.arg("--config").arg(config);
        command.envs(environment.iter().copied());
        let node = Running::start(&mut command).unwrap();
        self.nodes.push((name.to_owned(), node));
    }

    /// The node of this name.
    fn node(&self, name: &str) -> &Running {
        &self.nodes.iter().find(|(node, _)| node == name).unwrap().1
    }

    /// The same, which the fleet then no longer counts.
    fn take(&mut self, name: &str) -> Running {
        let at = self.nodes.iter().position(|(node, _)| node == name);
        self.nodes.remove(at.unwrap()).1
    }

    /// Ends a node by SIGTERM, which it must take for a drain.
    fn leave(&mut self, name: &str) -> Ended {
        drained(self.take(name))
    }

    /// One of the nodes.
    fn any_node(&mut self) -> String {
        let at = self.rng.random_range(0..self.nodes.len());
        self.nodes[at].0.clone()
    }

    /// Waits until so many requests were made, of which there will be about one for each page.
    fn requests(&self, requests: usize) {
        let made = until_or_none(PATIENCE, || {
            (self.stand.origin.requests() >= requests).then_some(())
        });
        assert!(made.is_some(), "{requests} requests: {}", self.report());
    }

    /// Waits for a moment that chance picks from this part of the crawl, in percent.
    fn moment(&mut self, from: usize, to: usize) {
        let pages = self.truth.pages.len();
        let moment = self.rng.random_range(pages * from / 100..pages * to / 100);
        self.requests(moment);
    }

    /// A time that chance picks, in milliseconds.
    fn some_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(from..to))
    }

    /// Waits until one of the nodes has ended the crawl, which must then be done, drains them, and judges.
    fn ends(self, allowed: Allowed) {
        self.ends_and(allowed, |_| ());
    }

    /// The same, and this too must be true of the origin's log.
    fn ends_and(mut self, allowed: Allowed, also: impl FnOnce(&[Entry])) {
        let said = |(_, node): &(String, Running)| {
            let lines = node.lines();
            lines
                .iter()
                .any(|(_, line)| line.contains("the crawl ended"))
        };
        let over = until_or_none(PATIENCE, || self.nodes.iter().any(said).then_some(()));
        assert!(over.is_some(), "it never ended: {}", self.report());
        let status = self.fleet.status();
        assert_eq!(status["crawls"][0]["state"], "ended: done", "{status:#}");
        for (_, node) in std::mem::take(&mut self.nodes) {
            drained(node);
        }
        judge::judge(&self, allowed);
        also(&self.stand.origin.log());
    }

    /// What the nodes say, for who has to find out why it failed.
    fn report(&self) -> String {
        let mut text = format!("{:#}\n", self.fleet.status());
        for (name, node) in &self.nodes {
            let lines = node.lines();
            let last = lines.iter().rev().take(30).rev();
            last.for_each(|(_, line)| text += &format!("{name}: {line}\n"));
        }
        text
    }
}

/// What the node that is told apart sent.
fn apart(log: &[Entry]) -> impl Iterator<Item = &Entry> {
    log.iter().filter(|entry| entry.address == APART)
}

/// Lets this time pass: what is drilled is that nothing comes of it.
fn pass(time: Duration) {
    until_or_none(time, || None::<()>);
}

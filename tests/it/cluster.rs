//! Several nodes, one store: they crawl together what one would, politely, and do what their operator says.
//!
//! The store is a real redis-server; what is true is judged from the origin's log. Start reading at [`Fleet`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::audit;
use kit::process::{Ended, Running};
use kit::redis::{Redis, RedisOptions};
use kit::until::until_or_none;
use kit::web::Web;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::crawl::{ARGIOPE, CONTACT, PATIENCE, argiope, clean, ended};
use crate::stand::Stand;

/// A store, and a folder for what its nodes write.
pub(crate) struct Fleet {
    pub(crate) redis: Redis,
    pub(crate) folder: TempDir,
}

impl Fleet {
    pub(crate) fn start() -> Self {
        let redis = Redis::start(RedisOptions {
            appendonly: true,
            ..RedisOptions::default()
        });
        Self {
            redis: redis.unwrap(),
            folder: tempfile::Builder::new()
                .prefix("argiope-it-")
                .tempdir()
                .unwrap(),
        }
    }

    /// The program with this verb and words, led to the store.
    pub(crate) fn run(&self, verb: &str, words: &[&str]) -> Running {
        let mut command = clean(ARGIOPE);
        command
            .current_dir(self.folder.path())
            .arg(verb)
            .args(words);
        command.args(["--store", &self.redis.url()]);
        Running::start(&mut command).unwrap()
    }

    /// A node of this name that can reach the stand.
    pub(crate) fn node(&self, stand: &Stand, name: &str) -> Running {
        let reach = reach(stand);
        let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
        words.extend(["--node-name", name, "--fetchers", "1"]);
        self.run("node", &words)
    }

    /// Starts a crawl of the stand's web, and no node.
    pub(crate) fn crawl(&self, stand: &Stand, more: &[&str]) -> Ended {
        self.crawl_as("zoo", stand, more)
    }

    /// The same under another name.
    pub(crate) fn crawl_as(&self, name: &str, stand: &Stand, more: &[&str]) -> Ended {
        let home = stand.origin.home();
        let reach = reach(stand);
        let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
        words.extend([&home, "--name", name, "--contact", CONTACT, "--detach"]);
        words.extend(["--scope-type", "domain"]);
        words.extend(more);
        ended(self.run("crawl", &words), 0)
    }

    pub(crate) fn ask(&self, verb: &str, words: &[&str]) -> String {
        ended(self.run(verb, words), 0).out
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ask("status", &["--json"])).unwrap()
    }

    /// Waits until one of these nodes has ended the crawl, which must then be done.
    #[track_caller]
    pub(crate) fn awaits_done(&self, nodes: &[&Running]) {
        let said = |node: &&Running| {
            let lines = node.lines();
            lines
                .iter()
                .any(|(_, line)| line.contains("the crawl ended"))
        };
        let ended = until_or_none(PATIENCE, || nodes.iter().any(said).then_some(()));
        let status = self.status();
        assert!(ended.is_some(), "it never ended: {status:#}");
        assert_eq!(status["crawls"][0]["state"], "ended: done", "{status:#}");
    }

    /// The folders that nodes wrote.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let nodes = std::fs::read_dir(self.folder.path().join("zoo")).unwrap();
        nodes.map(|node| node.unwrap().path()).collect()
    }
}

pub(crate) fn reach(stand: &Stand) -> [String; 6] {
    reach_by(stand, stand.dns.address())
}

/// The same with names that this resolver answers.
pub(crate) fn reach_by(stand: &Stand, dns: SocketAddr) -> [String; 6] {
    let port = stand.origin.port();
    let words = ["--allow-net", "127.0.0.0/8", "--allow-port"].map(str::to_owned);
    let [net, cidr, allow] = words;
    [
        net,
        cidr,
        allow,
        port.to_string(),
        "--dns".to_owned(),
        dns.to_string(),
    ]
}

/// Ends a node by SIGTERM, which it must take for a drain.
#[track_caller]
pub(crate) fn drained(node: Running) -> Ended {
    node.signal(Signal::SIGTERM).unwrap();
    ended(node, 11)
}

fn web() -> Web {
    Web {
        hosts: 6,
        pages_per_host: 12,
        flaky_every: 0,
        delay_ms: (1, 10),
        ..Web::default()
    }
}

/// One that takes a while.
fn large() -> Web {
    Web {
        hosts: 8,
        pages_per_host: 60,
        ..web()
    }
}

#[test]
fn a_detached_crawl_is_taken_up_by_a_node_that_comes_later() {
    let (stand, fleet) = (Stand::of(web()), Fleet::start());
    let said = fleet.crawl(&stand, &["--delay", "0"]);
    assert!(said.out.contains("zoo: running"), "{}", said.out);
    assert_eq!(stand.origin.requests(), 0, "nobody works yet");
    assert_eq!(fleet.status()["crawls"][0]["state"], "running");
    let node = fleet.node(&stand, "late");
    fleet.awaits_done(&[&node]);
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!((audit::repeats(&log), audit::overlaps(&log)), (0, vec![]));
    drained(node);
    assert_eq!(
        fleet.status()["nodes"],
        serde_json::json!([]),
        "it said that it leaves"
    );
    assert_eq!(fleet.folders(), [fleet.folder.path().join("zoo/late")]);
}

#[test]
fn two_nodes_crawl_what_one_would() {
    // More hosts than one node leases at once, all known from the start.
    let web = Web {
        hosts: 130,
        pages_per_host: 5,
        ..web()
    };
    let (stand, fleet) = (Stand::of(web), Fleet::start());
    let homes = stand.origin.web().host_names();
    let homes: Vec<String> = homes.map(|host| stand.origin.url(&host, "/")).collect();
    let seeds = fleet.folder.path().join("seeds.txt");
    std::fs::write(&seeds, homes.join("\n")).unwrap();
    let seeds = seeds.to_str().unwrap();
    fleet.crawl(&stand, &["--delay", "300ms", "--seed-file", seeds]);
    let nodes = [fleet.node(&stand, "n1"), fleet.node(&stand, "n2")];
    let both = until_or_none(PATIENCE, || {
        let status = fleet.status();
        let nodes = status["nodes"].as_array()?;
        let at_work = |node: &&Value| node["status"]["crawls"][0]["crawl"] == 1;
        (nodes.iter().filter(at_work).count() == 2).then_some(())
    });
    assert!(both.is_some(), "never both there: {:#}", fleet.status());
    fleet.awaits_done(&nodes.each_ref());
    nodes.into_iter().for_each(|node| drop(drained(node)));

    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!(audit::overlaps(&log), []);
    for (host, gap) in audit::shortest_gaps(&log) {
        assert!(gap.between >= Duration::from_millis(300), "{host}: {gap:?}");
    }
    assert_eq!(audit::repeats(&log), 0);
    for folder in fleet.folders() {
        let ledger = std::fs::read_to_string(folder.join("logs/crawl.jsonl")).unwrap();
        assert!(
            ledger.lines().count() > 10,
            "{} did little",
            folder.display()
        );
    }
    assert_eq!(fleet.folders().len(), 2);
}

#[test]
fn a_node_that_is_told_to_end_gives_its_leases_back() {
    let (stand, fleet) = (Stand::of(web()), Fleet::start());
    fleet.crawl(&stand, &["--delay", "300ms"]);
    let first = fleet.node(&stand, "first");
    let holds = until_or_none(PATIENCE, || (stand.origin.requests() > 6).then_some(()));
    let at_work = fleet.status();
    let leases = at_work["crawls"][0]["frontier"]["leases"].as_u64();
    assert!(holds.is_some() && leases > Some(0), "{at_work:#}");
    let longest = &at_work["crawls"][0]["longest-queues"][0];
    assert!(longest[1].as_u64() > Some(0), "{at_work:#}");
    let said = drained(first).err;
    let left = fleet.status();
    let leases = &left["crawls"][0]["frontier"]["leases"];
    assert_eq!(leases, 0, "{left:#}\n{said}");
    assert_eq!(
        left["crawls"][0]["state"], "running",
        "a node's end ends no crawl"
    );
    let second = fleet.node(&stand, "second");
    fleet.awaits_done(&[&second]);
    drained(second);
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!((audit::repeats(&log), audit::overlaps(&log)), (0, vec![]));
}

#[test]
fn a_running_crawl_is_slowed_down_on_every_node() {
    let (stand, fleet) = (Stand::of(large()), Fleet::start());
    fleet.crawl(&stand, &["--delay", "0", "--rate", "60/s"]);
    let nodes = [fleet.node(&stand, "n1"), fleet.node(&stand, "n2")];
    let begun = |requests| {
        let more = until_or_none(PATIENCE, || {
            (stand.origin.requests() >= requests).then_some(())
        });
        assert!(
            more.is_some(),
            "no {requests} requests: {:#}",
            fleet.status()
        );
    };
    begun(60);
    let said = fleet.ask("rate", &["8/s"]);
    assert!(said.contains("zoo: configuration 2"), "{said}");
    let told = stand.origin.log().last().unwrap().start;
    let at = told + Duration::from_secs(2);
    let slow = until_or_none(PATIENCE, || {
        let log = stand.origin.log();
        let last = log.last()?.start;
        (last > at + Duration::from_secs(2)).then_some(log)
    });
    let slow: Vec<_> = slow
        .unwrap()
        .into_iter()
        .filter(|entry| entry.start >= at)
        .collect();
    // I3: rate * (w + 0.2 s) + burst.
    let most = audit::busiest(&slow, Duration::from_secs(1));
    assert!(
        (1..=10).contains(&most),
        "{most} requests in a second of {}",
        slow.len()
    );

    // Who holds the rate is told by the nodes, a heartbeat later.
    let held = until_or_none(PATIENCE, || {
        let status = fleet.status();
        let held = |node: usize| {
            let rate = &status["nodes"][node]["status"]["crawls"][0]["rate"];
            rate["millislots_per_s"].as_u64().filter(|held| *held > 0)
        };
        held(0).zip(held(1))
    });
    assert!(held.is_some(), "{:#}", fleet.status());

    let history = fleet.ask("config", &["history"]);
    let mut lines = history.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .contains("pace.rate: \"60/s\" -> \"8/s\""),
        "{history}"
    );
    let refused = fleet.run("rate", &["--host-delay", "100d"]);
    let refused = ended(refused, 4).err;
    assert!(
        refused.contains("pace.delay-ms must be 0 to 86400000"),
        "{refused}"
    );
    let config = fleet.ask("config", &["print"]);
    assert!(
        config.contains("rate = \"8/s\"") && config.contains("delay-ms = 0"),
        "{config}"
    );
    let back = fleet.ask("config", &["rollback", "1"]);
    assert!(back.contains("zoo: configuration 3, as 1 was"), "{back}");
    fleet.ask("rate", &["none"]);
    fleet.awaits_done(&nodes.each_ref());
    nodes.into_iter().for_each(|node| drop(drained(node)));
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
}

#[test]
fn a_longer_delay_holds_for_hosts_that_are_leased_already() {
    let (stand, fleet) = (Stand::of(large()), Fleet::start());
    fleet.crawl(&stand, &["--delay", "20ms"]);
    let node = fleet.node(&stand, "n1");
    let begun = until_or_none(PATIENCE, || (stand.origin.requests() > 30).then_some(()));
    assert!(begun.is_some(), "{:#}", fleet.status());
    fleet.ask("rate", &["--host-delay", "700ms"]);
    let at = stand.origin.log().last().unwrap().start + Duration::from_secs(2);
    let slow = until_or_none(PATIENCE, || {
        let log = stand.origin.log();
        (log.last()?.start > at + Duration::from_secs(4)).then_some(log)
    });
    let slow: Vec<_> = slow
        .unwrap()
        .into_iter()
        .filter(|entry| entry.start >= at)
        .collect();
    let gaps = audit::shortest_gaps(&slow);
    assert!(!gaps.is_empty());
    for (host, gap) in gaps {
        assert!(gap.between >= Duration::from_millis(700), "{host}: {gap:?}");
    }
    fleet.ask("rate", &["--host-delay", "0"]);
    fleet.awaits_done(&[&node]);
    drained(node);
    let log = stand.origin.log();
    assert_eq!((audit::repeats(&log), audit::overlaps(&log)), (0, vec![]));
}

#[test]
fn a_pause_holds_on_every_node_and_a_stop_ends_the_crawl() {
    let (stand, fleet) = (Stand::of(large()), Fleet::start());
    fleet.crawl(&stand, &["--delay", "50ms"]);
    let nodes = [fleet.node(&stand, "n1"), fleet.node(&stand, "n2")];
    let begun = until_or_none(PATIENCE, || (stand.origin.requests() > 20).then_some(()));
    assert!(begun.is_some(), "{:#}", fleet.status());
    assert_eq!(fleet.ask("pause", &[]), "zoo: paused\n");
    let idle = until_or_none(PATIENCE, || {
        let status = fleet.status();
        (status["crawls"][0]["frontier"]["leases"] == 0).then_some(stand.origin.requests())
    });
    let idle = idle.expect("leases run out while it is paused");
    // The node that comes now hears of the pause before it asks for anything.
    let third = fleet.node(&stand, "n3");
    let there = until_or_none(PATIENCE, || {
        let status = fleet.status();
        let crawls = &status["nodes"]
            .as_array()?
            .iter()
            .find(|node| node["name"] == "n3")?["status"]["crawls"];
        crawls
            .as_array()
            .filter(|crawls| !crawls.is_empty())
            .map(drop)
    });
    assert!(there.is_some(), "{:#}", fleet.status());
    assert_eq!(
        stand.origin.requests(),
        idle,
        "nobody asks while it is paused"
    );
    assert_eq!(fleet.ask("resume", &[]), "zoo: running\n");
    let more = until_or_none(PATIENCE, || {
        (stand.origin.requests() > idle + 5).then_some(())
    });
    assert!(more.is_some(), "{:#}", fleet.status());
    let said = fleet.ask("stop", &[]);
    assert!(said.starts_with("zoo: ended: stopped\n"), "{said}");
    let gone = until_or_none(PATIENCE, || {
        let status = fleet.status();
        let nodes = status["nodes"].as_array()?;
        let idle = |node: &Value| {
            node["status"]["crawls"]
                .as_array()
                .is_some_and(Vec::is_empty)
        };
        (nodes.len() == 3 && nodes.iter().all(idle)).then_some(())
    });
    assert!(gone.is_some(), "{:#}", fleet.status());
    let refused = ended(fleet.run("pause", &["--crawl", "zoo"]), 4).err;
    assert!(
        refused.contains("the crawl zoo is ended: stopped: it cannot be paused"),
        "{refused}"
    );
    // The same command goes on.
    fleet.crawl(&stand, &["--delay", "0"]);
    fleet.awaits_done(&[&nodes[0], &nodes[1], &third]);
    nodes
        .into_iter()
        .chain([third])
        .for_each(|node| drop(drained(node)));
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!((audit::repeats(&log), audit::overlaps(&log)), (0, vec![]));
}

#[test]
fn a_crawl_that_is_attached_ends_like_one_in_a_folder() {
    let (stand, fleet) = (Stand::of(web()), Fleet::start());
    let home = stand.origin.home();
    let reach = reach(&stand);
    let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
    words.extend([&home, "--name", "zoo", "--contact", CONTACT, "--delay", "0"]);
    words.extend(["--scope-type", "domain", "--node-name", "mine"]);
    let limited = [&words[..], &["--limit", "5"]].concat();
    let said = ended(fleet.run("crawl", &limited), 16).out;
    assert!(said.contains("page limit reached: 5 pages kept"), "{said}");
    assert_eq!(fleet.status()["crawls"][0]["state"], "ended: page limit");
    let other = [&words[..], &["http://other.zoo.test/"]].concat();
    let refused = ended(fleet.run("crawl", &other), 4).err;
    assert!(
        refused.contains("+ seed http://other.zoo.test/"),
        "{refused}"
    );
    let said = ended(fleet.run("crawl", &words), 0).out;
    assert!(said.contains("done: "), "{said}");
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!(audit::repeats(&log), 0);
    let refused = ended(fleet.run("add", &["http://www.zoo.test:1/x"]), 4).err;
    assert!(
        refused.contains("no crawl of this store is open"),
        "{refused}"
    );
}

#[test]
fn bad_words_for_a_store_are_refused_in_one_sentence() {
    #[track_caller]
    fn check(words: &[&str], code: i32, want: &str) {
        let said = argiope(words, code).err;
        assert!(said.contains(want), "{words:?} said:\n{said}");
    }
    check(&["node"], 4, "no store is given: name one with --store");
    check(
        &["node", "--store", "http://a"],
        4,
        "is no scheme of a store",
    );
    check(&["status"], 4, "name the crawl's folder, or a store");
    check(
        &["node", "--store", "redis://:geheim@127.0.0.1:1"],
        8,
        "the store at redis://:***@127.0.0.1:1 does not let us in",
    );
    let redis = Redis::start(RedisOptions::default()).unwrap();
    let store = redis.url();
    check(
        &["status", "--store", &store],
        4,
        "no crawl was ever started in this store",
    );
    redis.config_set("maxmemory-policy", "allkeys-lru").unwrap();
    check(
        &["node", "--store", &store],
        4,
        "maxmemory-policy noeviction",
    );
}

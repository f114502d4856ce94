//! A site is crawled by containers that come, fall and are cut off. Start at the one story below.

use std::collections::BTreeSet;
use std::time::Duration;

use kit::log::Entry;
use kit::until;
use kit::until::until_or_none;

use crate::compose::{Cluster, Container, docker};
use crate::judge;
use crate::prometheus;
use crate::site::{Site, now};

const DELAY: Duration = Duration::from_millis(500);
/// As `tests/cluster/run` sets it: long enough that what was given back is told from what ran out.
const LEASE: Duration = Duration::from_secs(7);
/// What a fleet may need beyond a lease's end.
const SOON: Duration = Duration::from_secs(5);
/// A step of the story that takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(90);
/// argiope's exit code for a drain on SIGTERM (docs/reference/exit-codes.md).
const INTERRUPTED: i64 = 11;

#[test]
#[ignore = "needs Docker and images: tests/cluster/run brings them and starts it"]
fn a_site_is_crawled_whole_while_nodes_come_fall_and_are_cut_off() {
    let truth = Site::truth();
    let site = Site::new();
    let cluster = Cluster::up(site.folder());
    let first = living(&cluster, 3);
    start(&cluster);
    for node in &first {
        asked(&site, node, Duration::ZERO);
    }

    cluster.compose(&[
        "up",
        "-d",
        "--no-build",
        "--no-recreate",
        "--scale",
        "node=5",
    ]);
    let five = living(&cluster, 5);
    // Every host is somebody's by now: some of those that have several give one away.
    for node in five.iter().filter(|node| !first.contains(node)) {
        let took = asked(&site, node, Duration::ZERO).saturating_sub(node.started);
        eprintln!(
            "node {}: its first request {took:?} after its start",
            node.name
        );
        assert!(took <= SOON, "{took:?} until a new node had work");
    }
    watched(&cluster, &five);

    let killed = busiest(&site, &five, &[]);
    docker(&["kill", &killed.id]);
    let wait = gone_on(&site, again(&cluster, &killed).ended);
    eprintln!(
        "killed {}: every host is asked again within {wait:?}",
        killed.name
    );
    assert!(wait <= LEASE + SOON, "{wait:?} after a node was killed");

    let stopped = busiest(&site, &five, &[&killed]);
    docker(&["stop", &stopped.id]);
    let drained = again(&cluster, &stopped);
    let wait = gone_on(&site, drained.ended);
    eprintln!(
        "stopped {}: every host is asked again within {wait:?}",
        stopped.name
    );
    assert!(
        wait <= SOON,
        "{wait:?} after a node had drained: leases were not given back"
    );
    assert_eq!(drained.exit_code, INTERRUPTED);

    let cut = busiest(&site, &five, &[&killed, &stopped]);
    let store = cluster.network("store");
    docker(&["network", "disconnect", &store, &cut.id]);
    let cut_off = now();
    let wait = gone_on(&site, cut_off + SOON);
    eprintln!(
        "cut off {}: every host is asked again within {:?}",
        cut.name,
        wait + SOON
    );
    assert!(wait <= LEASE, "{:?} after a node was cut off", wait + SOON);
    docker(&["start", &killed.id]);
    let back = again(&cluster, &killed);
    asked(&site, &back, back.started);
    let healed = now();
    docker(&["network", "connect", &store, &cut.id]);
    let took = asked(&site, &cut, healed) - healed;
    eprintln!("healed {}: it asks again after {took:?}", cut.name);

    until("the crawl's end", PATIENCE * 2, || {
        let status = cluster.status(&back);
        (status["crawls"][0]["state"] == "ended: done").then_some(())
    });
    let told = cluster.compose(&["run", "--rm", "argiope", "status"]);
    eprintln!("{told}");
    cluster.compose(&["stop", "node"]);
    for node in cluster.containers("node") {
        assert_eq!(node.exit_code, INTERRUPTED, "{}", node.name);
    }

    let log = site.log();
    judge::polite(&log, DELAY);
    let silent = |entry: &&Entry| {
        entry.start > cut_off + SOON && entry.start < healed && by(entry) == cut.address
    };
    assert_eq!(log.iter().find(silent), None, "asked while it was cut off");
    let fallen = [&killed, &cut].map(|node| node.address.as_str());
    let repeats = judge::repeated_only_after(&log, &fallen);
    let data = tempfile::tempdir().unwrap();
    let from = format!("{}:/data/docs", back.id);
    docker(&["cp", &from, data.path().to_str().unwrap()]);
    let kept = judge::stored(&data.path().join("docs"));
    judge::whole(&kept, &truth);
    eprintln!(
        "{} requests, {repeats} of them again; {} pages kept",
        log.len(),
        kept.len()
    );
}

/// Starts the crawl as the guide says, in one line.
fn start(cluster: &Cluster) {
    let delay = format!("{}ms", DELAY.as_millis());
    let seeds = Site::seeds();
    let mut words = vec![
        "run", "--rm", "argiope", "crawl", "--detach", "--name", "docs",
    ];
    words.extend(["--contact", "mailto:operator@docs.test", "--delay", &delay]);
    words.extend(seeds.iter().map(String::as_str));
    let said = cluster.compose(&words);
    assert!(said.contains("docs: running"), "{said}");
}

/// So many nodes that run and that the fleet knows.
#[track_caller]
fn living(cluster: &Cluster, count: usize) -> Vec<Container> {
    let nodes = until(&format!("{count} containers"), PATIENCE, || {
        let nodes = cluster.containers("node");
        let are_up = nodes
            .iter()
            .all(|node| node.is_running && !node.address.is_empty());
        (are_up && nodes.len() == count).then_some(nodes)
    });
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    until("all nodes in the fleet", PATIENCE, || {
        let status = cluster.status(&nodes[0]);
        let known = status["nodes"].as_array()?.iter();
        let known: BTreeSet<_> = known.filter_map(|node| node["name"].as_str()).collect();
        (known == names).then_some(())
    });
    nodes
}

/// The container as it is now.
fn again(cluster: &Cluster, node: &Container) -> Container {
    let mut nodes = cluster.containers("node").into_iter();
    nodes.find(|now| now.id == node.id).unwrap()
}

fn by(entry: &Entry) -> String {
    entry.peer.ip().to_string()
}

/// When a node first asked the site after a moment; waits for it.
#[track_caller]
fn asked(site: &Site, node: &Container, after: Duration) -> Duration {
    until(&format!("a request of {}", node.name), PATIENCE, || {
        let log = site.log();
        let own = log.iter().filter(|entry| by(entry) == node.address);
        own.map(|entry| entry.start)
            .filter(|start| *start >= after)
            .min()
    })
}

/// The node that asked most of the last requests, so that its fall is felt.
fn busiest(site: &Site, nodes: &[Container], but: &[&Container]) -> Container {
    let log = site.log();
    let last = &log[log.len().saturating_sub(100)..];
    let asked = |node: &&Container| {
        last.iter()
            .filter(|entry| by(entry) == node.address)
            .count()
    };
    let left = nodes.iter().filter(|node| !but.contains(node));
    left.max_by_key(asked).unwrap().clone()
}

/// Waits until every host has been asked after a moment, and tells how long the last one waited.
#[track_caller]
fn gone_on(site: &Site, after: Duration) -> Duration {
    let all = until_or_none(PATIENCE, || {
        let log = site.log();
        judge::left_alone(&log, after).is_empty().then_some(log)
    });
    match all {
        Some(log) => judge::longest_wait(&log, after),
        None => panic!(
            "never asked again: {:?}",
            judge::left_alone(&site.log(), after)
        ),
    }
}

/// Prometheus has found every node, reaches it, and counts its requests.
#[track_caller]
fn watched(cluster: &Cluster, nodes: &[Container]) {
    let at = cluster.compose(&["port", "prometheus", "9090"]);
    let wanted: BTreeSet<&str> = nodes.iter().map(|node| node.address.as_str()).collect();
    for expression in ["up", "sum by(instance) (argiope_fetcher_requests_total)"] {
        until(&format!("{expression} of every node"), PATIENCE, || {
            let told = prometheus::by_node(at.trim(), expression);
            let working = told.iter().filter(|(_, value)| **value > 0.0);
            let working: BTreeSet<&str> = working.map(|(node, _)| node.as_str()).collect();
            (working == wanted).then_some(())
        });
    }
}

//! `status --store`: the whole fleet, as the store knows it now.
//!
//! Owns how it reads for a person and for a program. Start at [`fleet`].

use std::fmt::Write as _;
use std::time::Duration;

use contract::control::FrontierStats;
use contract::crawl::CrawlConfig;
use contract::error::chain;
use contract::fleet::{CrawlNumber, NodeState, RateOnNode};
use contract::rate::{Limit, RateScope};
use frontier::fleet::crawls::{self, Crawl};
use frontier::fleet::nodes::{self, Node};
use frontier::rate::RateStore;
use frontier::rate::shared::RedisRates;
use frontier::store::Store;
use frontier::store::redis::LongestQueues;
use serde_json::{Value, json};

use crate::cli::StatusArgs;
use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::fleet::failed;
use crate::fleet::store::{self, Shared};
use crate::home::{self, SharedCrawl};
use crate::identity;
use crate::units::bytes_words;

use super::fleet::words;

/// What the store tells of a fleet.
#[derive(Debug)]
struct Fleet {
    store: String,
    shards: u16,
    rate: Limit,
    crawls: Vec<CrawlNow>,
    nodes: Vec<Node>,
}

/// A crawl, its part of the rate and its frontier.
#[derive(Debug)]
struct CrawlNow {
    crawl: Crawl,
    rate: Limit,
    /// None of one that has ended and was not asked for by name.
    figures: Option<Figures>,
}

/// A crawl's frontier over all shards.
#[derive(Debug)]
struct Figures {
    all: FrontierStats,
    longest: LongestQueues,
}

/// Prints how the fleet stands.
///
/// # Errors
/// A store that is away or that cannot be read.
pub async fn fleet(args: &StatusArgs) -> Result<(), Failure> {
    if args.fleet.store.store.is_none() {
        return Err(Failure::input(
            "name the crawl's folder, or a store with --store",
        ));
    }
    let mut shared = store::find(&args.fleet.store).await?;
    let fleet = read(&mut shared, args).await?;
    if args.json {
        println!("{:#}", value(&fleet));
    } else {
        print!("{}", text(&fleet));
    }
    Ok(())
}

async fn read(shared: &mut Shared, args: &StatusArgs) -> Result<Fleet, Failure> {
    let mut found = crawls::list(&mut shared.link).await.map_err(failed)?;
    if let Some(name) = &args.fleet.crawl {
        found.retain(|crawl| crawl.name == *name);
        if found.is_empty() {
            return Err(failed(frontier::fleet::FleetError::NoCrawl(name.clone())));
        }
    }
    let mut crawls = Vec::with_capacity(found.len());
    for crawl in found {
        let rate = limit(shared, crawl.number, RateScope::Crawl).await?;
        let is_asked = args.fleet.crawl.is_some() || !crawl.state.is_ended();
        let figures = match is_asked {
            true => Some(figures(shared, &crawl, args.hosts).await?),
            false => None,
        };
        crawls.push(CrawlNow {
            crawl,
            rate,
            figures,
        });
    }
    Ok(Fleet {
        store: shared.address.clone(),
        shards: shared.deployment.shards,
        rate: limit(shared, CrawlNumber(0), RateScope::Cluster).await?,
        crawls,
        nodes: nodes::list(&mut shared.link).await.map_err(failed)?,
    })
}

async fn figures(shared: &Shared, crawl: &Crawl, hosts: usize) -> Result<Figures, Failure> {
    let home = SharedCrawl {
        link: shared.link.clone(),
        deployment: shared.deployment,
        crawl: crawl.clone(),
    };
    let (config, node) = (CrawlConfig::default(), NodeConfig::default());
    let store = home::attach_for_orders(&home, &config, &node).await?;
    Ok(Figures {
        all: store.stats().await.map_err(identity::failed)?,
        longest: store
            .longest_queues(hosts)
            .await
            .map_err(identity::failed)?,
    })
}

async fn limit(shared: &Shared, crawl: CrawlNumber, scope: RateScope) -> Result<Limit, Failure> {
    let rates = RedisRates::new(shared.link.clone(), crawl);
    let found = rates.limit(scope).await;
    let found = found.map_err(|error| Failure::new(Code::Store, chain(&error)))?;
    Ok(found.map_or_else(Limit::default, |(limit, _)| limit))
}

fn text(fleet: &Fleet) -> String {
    let mut out = String::new();
    let living = fleet.nodes.iter().filter(|node| node.is_alive()).count();
    // Writing to a text cannot fail.
    let _written = writeln!(
        out,
        "{}: {} shards, {living} nodes, {} crawls; rate of all: {}{}",
        fleet.store,
        fleet.shards,
        fleet.crawls.len(),
        words(fleet.rate),
        held_by_all(fleet)
    );
    for now in &fleet.crawls {
        let CrawlNow {
            crawl,
            rate,
            figures,
        } = now;
        let _written = writeln!(
            out,
            "crawl {}: {}; configuration {}, rate: {}",
            crawl.name,
            crawl.state,
            crawl.config,
            words(*rate)
        );
        if let Some(Figures { all, longest }) = figures {
            let _written = writeln!(
                out,
                "  {} done of {} known, {} queued; {} leases, {} hosts active, {} waiting",
                all.done, all.known, all.queued, all.leases, all.hosts_active, all.hosts_waiting
            );
            for (host, queued) in &longest.hosts {
                let _written = writeln!(out, "  {queued:>10} queued at {host}");
            }
            if !longest.is_whole {
                let _written = writeln!(out, "  (there are more hosts than were looked at)");
            }
        }
    }
    for node in &fleet.nodes {
        let _written = writeln!(out, "{}", node_line(node));
        for on in node.status.iter().flat_map(|status| &status.crawls) {
            let _written = writeln!(
                out,
                "  {}: {:.1} pages/s, {} leases, {} in flight, {} unsent, configuration {}",
                name(fleet, on.crawl),
                on.millipages_per_s as f64 / 1e3,
                on.leases,
                on.in_flight,
                on.unsent,
                on.config
            );
            if let Some(rate) = on.rate.filter(|_| node.is_alive()) {
                let _written = writeln!(out, "    {}", rate_line(rate));
            }
        }
    }
    out
}

/// "; 180.5 slots/s held by 3 nodes", where a rate limits any.
fn held_by_all(fleet: &Fleet) -> String {
    let living = fleet.nodes.iter().filter(|node| node.is_alive());
    let (mut nodes, mut millislots) = (0, 0);
    for status in living.filter_map(|node| node.status.as_ref()) {
        let rates = status.crawls.iter().filter_map(|on| on.rate);
        let held: u64 = rates.map(|rate| rate.millislots_per_s).sum();
        nodes += u32::from(held > 0);
        millislots += held;
    }
    match nodes {
        0 => String::new(),
        nodes => format!(
            "; {:.1} slots/s held by {nodes} nodes",
            millislots as f64 / 1e3
        ),
    }
}

fn rate_line(rate: RateOnNode) -> String {
    let a_second = |millislots: u64| millislots as f64 / 1e3;
    format!(
        "rate: {:.1} slots/s granted, {:.1} used, {:.1} ended unused; now {} held, {} requests wait",
        a_second(rate.millislots_per_s),
        a_second(rate.used_millislots_per_s),
        a_second(rate.lapsed_millislots_per_s),
        rate.held,
        rate.waiting
    )
}

fn name(fleet: &Fleet, number: CrawlNumber) -> String {
    let crawl = fleet.crawls.iter().find(|now| now.crawl.number == number);
    crawl.map_or_else(
        || format!("crawl number {number}"),
        |now| now.crawl.name.to_string(),
    )
}

fn node_line(node: &Node) -> String {
    let name = &node.name;
    if !node.is_alive() {
        return format!("node {name}: silent for {:.0} s", node.silent.as_secs_f64());
    }
    let Some(status) = &node.status else {
        return format!("node {name}: of a newer version");
    };
    format!(
        "node {name}: {}, lag {} ms, up {}, {}, version {}",
        state(status.state),
        status.lag_ms,
        up(Duration::from_secs(status.up_s)),
        bytes_words(status.memory_bytes as f64),
        status.version
    )
}

fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Working => "working",
        NodeState::Draining => "draining",
        NodeState::Ill => "ill",
    }
}

fn up(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..90 => format!("{s} s"),
        s @ 90..5_400 => format!("{} min", s / 60),
        s => format!("{:.1} h", s as f64 / 3_600.0),
    }
}

fn value(fleet: &Fleet) -> Value {
    let crawls: Vec<Value> = fleet.crawls.iter().map(crawl_value).collect();
    let nodes: Vec<Value> = fleet
        .nodes
        .iter()
        .map(|node| {
            json!({
                "name": node.name.as_str(),
                "alive": node.is_alive(),
                "silent-ms": contract::clock::millis(node.silent),
                "status": node.status,
            })
        })
        .collect();
    json!({
        "store": fleet.store,
        "shards": fleet.shards,
        "rate": words(fleet.rate),
        "crawls": crawls,
        "nodes": nodes,
    })
}

fn crawl_value(now: &CrawlNow) -> Value {
    json!({
        "name": now.crawl.name.as_str(),
        "number": now.crawl.number,
        "state": now.crawl.state.as_str(),
        "config": now.crawl.config,
        "rate": words(now.rate),
        "frontier": now.figures.as_ref().map(|figures| &figures.all),
        "longest-queues": now.figures.as_ref().map(|figures| &figures.longest.hosts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::fleet::{CrawlOnNode, CrawlState, NodeStatus};

    #[test]
    fn a_fleet_reads_crawl_by_crawl_and_node_by_node() {
        let crawl = Crawl {
            name: "docs".parse().unwrap(),
            number: CrawlNumber(3),
            fingerprint_seed: 1,
            bucket_bits: 0,
            made_ms: 0,
            state: CrawlState::Running,
            config: 2,
        };
        let status = NodeStatus {
            version: "0.1.0".into(),
            state: NodeState::Working,
            lag_ms: 3,
            up_s: 200,
            memory_bytes: 120_000_000,
            crawls: vec![CrawlOnNode {
                crawl: CrawlNumber(3),
                config: 2,
                millipages_per_s: 12_500,
                leases: 12,
                in_flight: 30,
                unsent: 3,
                rate: Some(RateOnNode {
                    millislots_per_s: 60_250,
                    used_millislots_per_s: 58_000,
                    lapsed_millislots_per_s: 1_500,
                    held: 4,
                    waiting: 9,
                }),
            }],
        };
        let node = |name: &str, silent, status| Node {
            name: name.parse().unwrap(),
            silent: Duration::from_secs(silent),
            status,
        };
        let fleet = Fleet {
            store: "redis://:***@r.test:6379".into(),
            shards: 64,
            rate: Limit {
                rate: "200/s".parse().ok(),
                burst: 1,
            },
            crawls: vec![CrawlNow {
                crawl,
                rate: Limit::default(),
                figures: Some(Figures {
                    all: FrontierStats {
                        known: 50,
                        done: 20,
                        queued: 30,
                        leases: 12,
                        hosts_active: 13,
                        hosts_waiting: 1,
                        ..FrontierStats::default()
                    },
                    longest: LongestQueues {
                        hosts: vec![("a.test".into(), 20), ("b.test".into(), 3)],
                        is_whole: true,
                    },
                }),
            }],
            nodes: vec![
                node("n1", 1, Some(status)),
                node("n2", 7, None),
                node("n3", 0, None),
            ],
        };
        assert_eq!(
            text(&fleet),
            "redis://:***@r.test:6379: 64 shards, 2 nodes, 1 crawls; rate of all: 200/s, burst 1; \
             60.2 slots/s held by 1 nodes\n\
             crawl docs: running; configuration 2, rate: no limit\n\
             \x20 20 done of 50 known, 30 queued; 12 leases, 13 hosts active, 1 waiting\n\
             \x20         20 queued at a.test\n\
             \x20          3 queued at b.test\n\
             node n1: working, lag 3 ms, up 3 min, 120.0 MB, version 0.1.0\n\
             \x20 docs: 12.5 pages/s, 12 leases, 30 in flight, 3 unsent, configuration 2\n\
             \x20   rate: 60.2 slots/s granted, 58.0 used, 1.5 ended unused; now 4 held, 9 requests wait\n\
             node n2: silent for 7 s\n\
             node n3: of a newer version\n"
        );
        let value = value(&fleet);
        assert_eq!(value["nodes"][0]["status"]["crawls"][0]["leases"], 12);
        assert_eq!(value["crawls"][0]["state"], "running");
    }
}

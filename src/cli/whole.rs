//! The command line of what is done to a cluster's output and shards as a whole.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use contract::fleet::CrawlName;
use frontier::fleet::address::Server;
use frontier::store::redis::gates::SLOTS;

use super::{FleetFlags, MachineFlags, StoreFlags};
use crate::units;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The crawl's folder (not with --store)
    pub folder: Option<PathBuf>,
    /// Where the crawls' folders are, each with one folder of each node
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        help_heading = "Cluster",
        conflicts_with = "folder"
    )]
    pub dir: PathBuf,
    #[command(flatten)]
    pub fleet: FleetFlags,
}

#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Merge the indexes of all nodes' folders of a crawl, and write the reports over all
    Merge {
        /// The folder that the nodes' folders are in
        dir: PathBuf,
        /// The merged index; it names WARC files as they are found from DIR [default: DIR/index.cdxj]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct TrapsArgs {
    /// The crawl's folder, or the one that its nodes' folders are in
    pub folder: PathBuf,
    /// A JSON object a line, for programs
    #[arg(long)]
    pub jsonl: bool,
}

#[derive(Debug, Args)]
pub struct RecrawlArgs {
    /// The crawl's folder
    pub folder: PathBuf,
    /// Kept pages that were looked at so long ago (say 12h, 7d) [default: each page by what was found of it]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub older_than: Option<Duration>,
    /// No more pages than this
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub machine: MachineFlags,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, args = ["missing", "outcome"])]
pub struct ReopenArgs {
    /// The crawl's folder (with --outcome)
    #[arg(conflicts_with = "missing", required_unless_present = "missing")]
    pub folder: Option<PathBuf>,
    /// URLs that ended so, say host_unreachable (repeatable, or with commas between)
    #[arg(long, value_name = "CODE", value_delimiter = ',', conflicts_with_all = ["store", "dir", "crawl"])]
    pub outcome: Vec<String>,
    /// What is done in the store, and in no node's folder that is there
    #[arg(long, conflicts_with = "outcome")]
    pub missing: bool,
    /// Where the crawls' folders are, each with one folder of each node
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        help_heading = "Cluster"
    )]
    pub dir: PathBuf,
    #[command(flatten)]
    pub fleet: FleetFlags,
}

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Crawls of the store that have ended
    #[arg(required = true, value_name = "NAME")]
    pub crawls: Vec<CrawlName>,
    #[command(flatten)]
    pub store: StoreFlags,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ShardsArgs {
    #[command(subcommand)]
    pub command: Option<ShardsCommand>,
    #[command(flatten)]
    pub store: StoreFlags,
}

#[derive(Debug, Subcommand)]
pub enum ShardsCommand {
    /// Close the gates of shards: nodes wait, leases run on
    Hold(Which),
    /// Open the gates of shards again
    Free(Which),
    /// Move slots of a Redis Cluster with their shards to another master, while crawls run
    Move {
        /// These slots: one, or a range A-B
        #[arg(long, value_name = "SLOTS", value_parser = slots)]
        slots: RangeInclusive<u16>,
        /// The master that takes them
        #[arg(long, value_name = "HOST:PORT", value_parser = server)]
        to: Server,
        #[command(flatten)]
        store: StoreFlags,
    },
}

/// Which shards.
#[derive(Debug, Args)]
#[group(id = "which", multiple = false)]
pub struct Which {
    /// These shards: one, or a range N..M
    #[arg(value_name = "SHARDS", value_parser = shards, required_unless_present = "slots", conflicts_with = "slots")]
    pub shards: Option<RangeInclusive<u16>>,
    /// The shards in these slots: one, or a range A-B
    #[arg(long, value_name = "SLOTS", value_parser = slots)]
    pub slots: Option<RangeInclusive<u16>>,
    #[command(flatten)]
    pub store: StoreFlags,
}

fn shards(text: &str) -> Result<RangeInclusive<u16>, String> {
    range(text, "..", "a shard's number, or two as N..M")
}

fn slots(text: &str) -> Result<RangeInclusive<u16>, String> {
    let slots = range(text, "-", "a slot's number, or two as A-B")?;
    match *slots.end() < SLOTS {
        true => Ok(slots),
        false => Err(format!("the last slot is {}", SLOTS - 1)),
    }
}

fn range(text: &str, between: &str, wanted: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(format!("not {wanted}")),
    }
}

fn server(text: &str) -> Result<Server, String> {
    let parts = text.rsplit_once(':');
    let server = parts.and_then(|(host, port)| {
        let host = host.to_owned();
        let port = port.parse().ok()?;
        (!host.is_empty()).then_some(Server { host, port })
    });
    server.ok_or_else(|| "not HOST:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(shards("3..7"), Ok(3..=7));
        assert_eq!(shards("5"), Ok(5..=5));
        assert_eq!(slots("0-16383"), Ok(0..=16_383));
        for wrong in ["", "7..3", "3-7", "a", "3..", "70000"] {
            assert!(shards(wrong).is_err(), "{wrong}");
        }
        assert!(slots("0-16384").is_err());
        assert!(server("[::1]:7000").is_ok() && server("a").is_err() && server(":1").is_err());
    }
}

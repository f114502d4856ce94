//! The command line of a cluster: the flags that lead to a shared store, and the verbs that need one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use contract::fleet::{CrawlName, NodeName};
use contract::rate::Rate;

use super::MachineFlags;
use crate::units;

/// Where the shared store is.
#[derive(Debug, Args)]
pub struct StoreFlags {
    /// The store that nodes share: redis://[user:pass@]host[:port][/db], redis+cluster://h1,h2 or
    /// redis+sentinel://h1,h2/MASTER; with rediss for TLS
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Cluster",
        env = "ARGIOPE_STORE",
        hide_env_values = true
    )]
    pub store: Option<String>,
    /// A file with the store's password
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Cluster",
        env = "ARGIOPE_STORE_PASSWORD_FILE"
    )]
    pub store_password_file: Option<PathBuf>,
    /// Trust the certificates of this PEM file for the store
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Cluster",
        env = "ARGIOPE_STORE_CA"
    )]
    pub store_ca: Option<PathBuf>,
}

/// What `crawl` takes for a crawl in a shared store.
#[derive(Debug, Args)]
pub struct SharedFlags {
    #[command(flatten)]
    pub store: StoreFlags,
    /// The crawl's name in the store [default: the first seed's host]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub name: Option<CrawlName>,
    /// Only start the crawl; the nodes of the store work on it
    #[arg(long, help_heading = "Cluster")]
    pub detach: bool,
    /// How many URLs are expected, for the layout of a new crawl [default: 10000000]
    #[arg(long, value_name = "N", help_heading = "Cluster")]
    pub expected_urls: Option<u64>,
    /// This node's name [default: the machine's]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Cluster",
        env = "ARGIOPE_NODE_NAME"
    )]
    pub node_name: Option<NodeName>,
}

#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    pub store: StoreFlags,
    /// Work on this crawl only (repeatable) [default: on all that run]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Cluster",
        env = "ARGIOPE_CRAWL"
    )]
    pub crawl: Vec<CrawlName>,
    /// This node's name; what it fetches is written to DIR/CRAWL/NAME/ [default: the machine's]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Cluster",
        env = "ARGIOPE_NODE_NAME"
    )]
    pub node_name: Option<NodeName>,
    /// Where the crawls' folders are [default: here]
    #[arg(short, long, value_name = "DIR", env = "ARGIOPE_OUTPUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// Which crawls of a shared store.
#[derive(Debug, Args)]
pub struct FleetFlags {
    #[command(flatten)]
    pub store: StoreFlags,
    /// The crawl's name in the store [default: the only one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub crawl: Option<CrawlName>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The crawl's folder, or the URL of its control API (then with ARGIOPE_TOKEN)
    pub target: Option<String>,
    #[command(flatten)]
    pub fleet: FleetFlags,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// So many hosts with the longest queues
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Cluster")]
    pub hosts: usize,
}

#[derive(Debug, Args)]
pub struct RateArgs {
    /// Requests in a time over all nodes, say 200/s, 30/m or 100/h; "none" lifts the limit
    #[arg(value_parser = rate)]
    pub rate: Option<RateWord>,
    /// Pause between two requests to a host
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub host_delay: Option<Duration>,
    /// Requests in flight at once for each fetcher
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,
    /// Requests that may go out at once after a pause
    #[arg(long, value_name = "N")]
    pub burst: Option<u32>,
    /// The rate of all crawls of the store together
    #[arg(long, conflicts_with_all = ["crawl", "host_delay", "concurrency"])]
    pub cluster: bool,
    #[command(flatten)]
    pub fleet: FleetFlags,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateWord {
    None,
    At(Rate),
}

fn rate(text: &str) -> Result<RateWord, String> {
    match text {
        "none" => Ok(RateWord::None),
        _ => text
            .parse()
            .map(RateWord::At)
            .map_err(|error: contract::rate::NoRate| error.to_string()),
    }
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the configuration that a crawl of a shared store works by
    Print {
        /// Another version than the one in force
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        #[command(flatten)]
        fleet: FleetFlags,
    },
    /// Show who changed a crawl's configuration, when, and what
    History {
        #[command(flatten)]
        fleet: FleetFlags,
    },
    /// Put an earlier version in force again
    Rollback {
        /// The version, as `config history` numbers it
        version: u64,
        #[command(flatten)]
        fleet: FleetFlags,
    },
}

/// What is done with a crawl's frontier as a whole.
#[derive(Debug, Subcommand)]
pub enum FrontierCommand {
    /// Write the frontier of a crawl that nobody works on to a file
    Export {
        /// The crawl's folder (not with --store), then the file
        #[arg(required = true, num_args = 1..=2, value_name = "[DIR] FILE")]
        words: Vec<PathBuf>,
        #[command(flatten)]
        fleet: Box<FleetFlags>,
    },
    /// Read a file of `export` into a new crawl
    Import {
        /// The file, then the new crawl's folder (not with --store)
        #[arg(required = true, num_args = 1..=2, value_name = "FILE [DIR]")]
        words: Vec<PathBuf>,
        #[command(flatten)]
        fleet: Box<FleetFlags>,
    },
}

//! The command line: flags under the names that Browsertrix, Heritrix and wget users know.
//!
//! Owns the grammar and the help texts only; what flags mean together is [`crate::config`]'s.

mod fleet;
mod read;
mod whole;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contract::crawl::{Embeds, RobotsPolicy, ScopeType};
use contract::rate::Rate;
use contract::rights::Purpose;

pub use self::fleet::{
    ConfigCommand, FleetFlags, FrontierCommand, NodeArgs, RateArgs, RateWord, SharedFlags,
    StatusArgs, StoreFlags,
};
pub use self::read::{CharsetArgs, FetchFlags, LinksArgs, RobotsArgs, SitemapArgs, UrlCommand};
pub use self::whole::{
    ForgetArgs, IndexCommand, RecrawlArgs, ReopenArgs, ShardsArgs, ShardsCommand, TrapsArgs,
    VerifyArgs, Which,
};
use crate::units;

/// A polite, complete and accountable web crawler.
#[derive(Debug, Parser)]
#[command(
    name = "argiope",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 3 disk full, 4 bad input, \
    8 store, 9 no page, 11 interrupted, 13 forced, 14 size, 15 time, 16 page limit (docs/reference/exit-codes.md)"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Crawl sites into a folder; the same command goes on where it stopped
    Crawl(Box<CrawlArgs>),
    /// Prove that what a crawl says is done is stored and readable
    Verify(Box<VerifyArgs>),
    /// Show the traps of a crawl: what was not asked for because it has no end and brings nothing
    Traps(TrapsArgs),
    /// The index of what several nodes wrote
    #[command(subcommand)]
    Index(IndexCommand),
    /// Fetch kept pages of a folder's crawl again, those that have changed in whole
    Recrawl(Box<RecrawlArgs>),
    /// Queue again what is done: lost with a node's folder, or ended in an outcome
    Reopen(Box<ReopenArgs>),
    /// Show the shards of a shared store; hold, free or move them
    Shards(Box<ShardsArgs>),
    /// Work on the crawls of a shared store, beside other nodes
    Node(Box<NodeArgs>),
    /// Show how a running crawl stands; with --store the whole fleet
    Status(Box<StatusArgs>),
    /// Is this machine fit to crawl, or a running crawl well? Exit code 1 if not
    Doctor(Box<DoctorArgs>),
    /// Send no more requests until `resume`; outlives a restart
    Pause(Box<Target>),
    /// Go on after `pause`
    Resume(Box<Target>),
    /// End a running crawl by a drain; the same command goes on later
    Stop(Box<Target>),
    /// Take ended crawls off a shared store; what the nodes have written stays
    Forget(Box<ForgetArgs>),
    /// Give a running crawl more URLs
    Add {
        /// The crawl's folder or the URL of its control API (not with --store), then URLs in the crawl's scope
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        fleet: Box<FleetFlags>,
    },
    /// Change how fast a crawl of a shared store goes, while it runs
    Rate(Box<RateArgs>),
    /// The configuration of a crawl in a shared store
    #[command(subcommand)]
    Config(ConfigCommand),
    /// A crawl as a file: out of a folder or a shared store, and into another
    #[command(subcommand)]
    Frontier(FrontierCommand),
    /// The links of a document, with what a crawl makes of each
    Links(Box<LinksArgs>),
    /// Which encoding a document is in, and who says so
    Charset(Box<CharsetArgs>),
    /// What the crawl makes of a URL: its parts, its form for comparing, a reference resolved
    #[command(subcommand)]
    Url(UrlCommand),
    /// What a robots.txt says to an agent, and which line decides about a URL
    Robots(Box<RobotsArgs>),
    /// What a sitemap or feed lists: pages, sitemaps, posts, and what is wrong with it
    Sitemap(Box<SitemapArgs>),
}

/// Which running crawl: one on this machine, or one in a shared store.
#[derive(Debug, Args)]
pub struct Target {
    /// The crawl's folder, or the URL of its control API (then with ARGIOPE_TOKEN)
    pub target: Option<String>,
    #[command(flatten)]
    pub fleet: FleetFlags,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A running crawl: its folder, or the URL of its control API (then with ARGIOPE_TOKEN) [default: this machine]
    pub target: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Where crawls are to be stored
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = ".",
        conflicts_with = "target"
    )]
    pub output: PathBuf,
    /// The DNS server that is to answer [default: the system's]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        conflicts_with = "target",
        env = "ARGIOPE_DNS"
    )]
    pub dns: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct CrawlArgs {
    /// Where to begin
    pub seeds: Vec<String>,
    /// The crawl's folder [default: named after the first seed's host]; with --store, where CRAWL/NODE/ is made
    /// [default: here]
    #[arg(short, long, value_name = "DIR", env = "ARGIOPE_OUTPUT")]
    pub output: Option<PathBuf>,
    /// Who runs this crawl: a mailto: or https: address, sent with each request
    #[arg(long, value_name = "URI", env = "ARGIOPE_CONTACT")]
    pub contact: Option<String>,
    /// A file of seeds, one URL a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub seed_file: Option<PathBuf>,
    /// Begin anew: removes what an earlier crawl left in the folder
    #[arg(long)]
    pub overwrite: bool,
    /// Go on with an existing crawl under changed seeds, scope or purpose
    #[arg(long, conflicts_with = "overwrite")]
    pub change: bool,

    /// How far from the seeds [default: prefix]
    #[arg(long, value_enum, help_heading = "Scope", env = "ARGIOPE_SCOPE_TYPE")]
    pub scope_type: Option<ScopeArg>,
    /// Regular expression of URLs that are in scope too (repeatable)
    #[arg(long, value_name = "REGEX", help_heading = "Scope")]
    pub include: Vec<String>,
    /// Regular expression of URLs that are out of scope (repeatable; wins)
    #[arg(long, value_name = "REGEX", help_heading = "Scope")]
    pub exclude: Vec<String>,
    /// Clicks from a seed [default: no limit]
    #[arg(long, value_name = "N", help_heading = "Scope", env = "ARGIOPE_DEPTH")]
    pub depth: Option<u16>,
    /// Images, styles and scripts of pages [default: all]
    #[arg(long, value_enum, help_heading = "Scope", env = "ARGIOPE_EMBEDS")]
    pub embeds: Option<EmbedsArg>,
    /// Try /sitemap.xml on hosts whose robots.txt names no sitemap
    #[arg(long, help_heading = "Scope")]
    pub well_known_sitemaps: bool,

    /// End after this many kept pages
    #[arg(long, value_name = "N", help_heading = "Limits", env = "ARGIOPE_LIMIT")]
    pub limit: Option<u64>,
    /// End after this much running time (say 90, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Limits", env = "ARGIOPE_TIME_LIMIT")]
    pub time_limit: Option<Duration>,
    /// End after this many bytes of archive (say 500MB, 10GiB)
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = "Limits", env = "ARGIOPE_SIZE_LIMIT")]
    pub size_limit: Option<u64>,

    /// Pause between two requests to a host; a longer Crawl-delay wins [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Politeness", env = "ARGIOPE_DELAY")]
    pub delay: Option<Duration>,
    /// Requests in a time over all hosts and nodes, say 200/s, 30/m or 100/h [default: no limit]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Politeness",
        env = "ARGIOPE_RATE"
    )]
    pub rate: Option<Rate>,
    /// Whether robots.txt is obeyed; ignore only on your own site [default: obey]
    #[arg(long, value_enum, help_heading = "Politeness", env = "ARGIOPE_ROBOTS")]
    pub robots: Option<RobotsArg>,
    /// What the content is for: decides which directives of sites and pages refuse it [default: archive]
    #[arg(long, value_enum, help_heading = "Politeness", env = "ARGIOPE_PURPOSE")]
    pub purpose: Option<PurposeArg>,
    /// Replaces the whole User-Agent line
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Politeness",
        env = "ARGIOPE_USER_AGENT"
    )]
    pub user_agent: Option<String>,
    /// The name looked for in robots.txt [default: argiope]
    #[arg(
        long,
        value_name = "TOKEN",
        help_heading = "Politeness",
        env = "ARGIOPE_ROBOTS_AGENT"
    )]
    pub robots_agent: Option<String>,
    /// A further request header, "Name: value" (repeatable)
    #[arg(long, value_name = "LINE", help_heading = "Politeness")]
    pub header: Vec<String>,

    #[command(flatten)]
    pub shared: SharedFlags,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// Whom this process may dial, and how it finds and trusts him.
#[derive(Debug, Args)]
pub struct NetworkFlags {
    /// Allow private or loopback addresses of this network, say 127.0.0.0/8 (repeatable, or with commas between)
    #[arg(
        long,
        value_name = "CIDR",
        value_delimiter = ',',
        help_heading = "Network",
        env = "ARGIOPE_ALLOW_NET"
    )]
    pub allow_net: Vec<String>,
    /// Allow this port beside 80, 443, 8080 and 8443 (repeatable)
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub allow_port: Vec<u16>,
    /// Ask this DNS server instead of the system's
    #[arg(
        long,
        value_name = "ADDR:PORT",
        help_heading = "Network",
        env = "ARGIOPE_DNS"
    )]
    pub dns: Option<SocketAddr>,
    /// Trust the certificates of this PEM file too
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Network",
        env = "ARGIOPE_CA"
    )]
    pub ca: Option<PathBuf>,
}

/// What belongs to this process, whatever it crawls.
#[derive(Debug, Args)]
pub struct MachineFlags {
    /// A TOML file of settings; flags win over environment, environment over file
    #[arg(long, value_name = "FILE", env = "ARGIOPE_CONFIG")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub network: NetworkFlags,

    /// Fetchers, each with its own thread, connections and resolver [default: one a core]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine",
        env = "ARGIOPE_FETCHERS"
    )]
    pub fetchers: Option<usize>,
    /// Requests in flight at once for each fetcher [default: 50]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Machine",
        env = "ARGIOPE_CONCURRENCY"
    )]
    pub concurrency: Option<usize>,
    /// Memory of the whole process [default: 512MB]
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = "Machine", env = "ARGIOPE_MAX_MEMORY")]
    pub max_memory: Option<u64>,
    /// Without word from a node for so long, its hosts are free for others [default: 90s]
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Machine", env = "ARGIOPE_LEASE")]
    pub lease: Option<Duration>,
    /// Serve Prometheus metrics at /metrics, and their verdict at /health, on this address
    #[arg(
        long,
        value_name = "ADDR:PORT",
        help_heading = "Machine",
        env = "ARGIOPE_METRICS_LISTEN"
    )]
    pub metrics_listen: Option<SocketAddr>,

    /// How log lines look on stderr
    #[arg(
        long,
        value_enum,
        default_value = "text",
        help_heading = "Display",
        env = "ARGIOPE_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// No progress, only warnings and errors
    #[arg(short, long, help_heading = "Display")]
    pub quiet: bool,
}

macro_rules! value_enum {
    ($(#[$doc:meta])* $name:ident => $target:ident { $($variant:ident),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum $name { $($variant),* }

        impl From<$name> for $target {
            fn from(arg: $name) -> Self {
                match arg { $($name::$variant => Self::$variant),* }
            }
        }
    };
}

value_enum!(
    /// `--scope-type`
    ScopeArg => ScopeType { Page, Prefix, Host, Domain, Any, Custom });
value_enum!(
    /// `--embeds`
    EmbedsArg => Embeds { All, Scope, None });
value_enum!(
    /// `--purpose`
    PurposeArg => Purpose { Search, AiTrain, AiInput, Archive, Research });
value_enum!(
    /// `--robots`
    RobotsArg => RobotsPolicy { Obey, Ignore });

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

//! The grammar of the readers' commands: what the crawl reads on its way, each reader usable by itself.

use clap::{Args, Subcommand};

use super::NetworkFlags;

/// `url …`
#[derive(Debug, Subcommand)]
pub enum UrlCommand {
    /// The parts of a URL by the URL standard
    Parse {
        /// The URL (not with --jsonl)
        #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
        url: Option<String>,
        /// The base that a relative URL is resolved against
        #[arg(long, value_name = "URL", conflicts_with = "jsonl")]
        base: Option<String>,
        #[command(flatten)]
        lines: LinesFlag,
    },
    /// The form by which the crawl compares URLs
    Canonicalize {
        /// The URLs (not with --jsonl)
        #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
        urls: Vec<String>,
        #[command(flatten)]
        lines: LinesFlag,
    },
    /// A reference resolved against a base
    Resolve {
        /// The base (not with --jsonl)
        #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
        base: Option<String>,
        /// The reference as a page writes it (not with --jsonl)
        #[arg(
            value_name = "REF",
            required_unless_present = "jsonl",
            conflicts_with = "jsonl"
        )]
        reference: Option<String>,
        #[command(flatten)]
        lines: LinesFlag,
    },
}

/// `links`
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// The document (not with --jsonl)
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub file: Option<String>,
    /// The URL that the document has (not with --jsonl)
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "jsonl",
        conflicts_with = "jsonl"
    )]
    pub base: Option<String>,
    /// The Content-Type that the document came with; an empty one has the type sniffed [default: text/html]
    #[arg(long, value_name = "TYPE", conflicts_with = "jsonl")]
    pub content_type: Option<String>,
    /// An attribute in lower case, such as data-src, whose value is a URL on any element (repeatable)
    #[arg(long = "attribute", value_name = "NAME", conflicts_with = "jsonl")]
    pub attributes: Vec<String>,
    #[command(flatten)]
    pub lines: LinesFlag,
}

/// `charset`
#[derive(Debug, Args)]
pub struct CharsetArgs {
    /// The document (not with --jsonl)
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub file: Option<String>,
    /// The Content-Type that the document came with
    #[arg(long, value_name = "TYPE", conflicts_with = "jsonl")]
    pub content_type: Option<String>,
    /// The top-level domain that the document is from, which helps guessing
    #[arg(long, value_name = "LABEL", conflicts_with = "jsonl")]
    pub tld: Option<String>,
    #[command(flatten)]
    pub lines: LinesFlag,
}

/// `robots`
#[derive(Debug, Args)]
pub struct RobotsArgs {
    /// The robots.txt: a file, - for stdin, or a URL, which is fetched once (not with --jsonl)
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub file: Option<String>,
    /// URLs or paths to decide about (not with --jsonl)
    #[arg(conflicts_with = "jsonl")]
    pub urls: Vec<String>,
    /// The product token of who asks
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "argiope",
        conflicts_with = "jsonl"
    )]
    pub agent: String,
    #[command(flatten)]
    pub fetch: FetchFlags,
    #[command(flatten)]
    pub lines: LinesFlag,
}

/// The flag that every reader has.
#[derive(Clone, Copy, Debug, Args)]
pub struct LinesFlag {
    /// Read cases from stdin, one JSON object a line, and answer each with one line
    #[arg(long)]
    pub jsonl: bool,
}

/// How a document is fetched where a URL stands for a file.
#[derive(Debug, Args)]
pub struct FetchFlags {
    /// Who asks, where a URL is given: a mailto: or https: address, sent with the request
    #[arg(
        long,
        value_name = "URI",
        help_heading = "Network",
        env = "ARGIOPE_CONTACT"
    )]
    pub contact: Option<String>,
    /// Replaces the whole User-Agent line
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Network",
        env = "ARGIOPE_USER_AGENT"
    )]
    pub user_agent: Option<String>,
    #[command(flatten)]
    pub network: NetworkFlags,
}

/// `sitemap`
#[derive(Debug, Args)]
pub struct SitemapArgs {
    /// A file, - for stdin, or an http(s) URL, which is fetched once (not with --jsonl)
    #[arg(
        value_name = "FILE|URL",
        required_unless_present = "jsonl",
        conflicts_with = "jsonl"
    )]
    pub source: Option<String>,
    /// Where the document is, for what it says relative to itself [default: the URL it was fetched from]
    #[arg(long, value_name = "URL", conflicts_with = "jsonl")]
    pub base: Option<String>,
    #[command(flatten)]
    pub lines: LinesFlag,
    #[command(flatten)]
    pub fetch: FetchFlags,
}

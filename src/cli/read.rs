//! The grammar of the readers' commands: what the crawl reads on its way, each reader usable by itself.

use clap::{Args, Subcommand};

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

/// The flag that every reader has.
#[derive(Clone, Copy, Debug, Args)]
pub struct LinesFlag {
    /// Read cases from stdin, one JSON object a line, and answer each with one line
    #[arg(long)]
    pub jsonl: bool,
}

//! What this room logs and counts: a struct per event, its text, its metrics and their help in one place.
//!
//! Metrics are named `argiope_parser_*`; labels come from closed sets. [`Meters`] keeps the handles, so that counting a page
//! costs no look-up.

use std::time::Duration;

use metrics::{Counter, counter, describe_counter};
use tracing::{debug, error, warn};

use crate::error::ParserError;
use crate::sniff::Kind;

/// Describes the metrics to the recorder; call once it is installed.
pub fn describe() {
    describe_counter!(
        "argiope_parser_pages_total",
        "Pages that went through the parser, by kind of document"
    );
    describe_counter!(
        "argiope_parser_bytes_total",
        "Bytes of documents read for links, decoded"
    );
    describe_counter!(
        "argiope_parser_busy_microseconds_total",
        "Time spent reading pages"
    );
    describe_counter!(
        "argiope_parser_links_total",
        "Distinct links found on pages, by whether they are in scope"
    );
    describe_counter!(
        "argiope_parser_failures_total",
        "Pages not read to their end or not handed on, by class of error"
    );
}

/// The handles of what is counted for every page.
pub(crate) struct Meters {
    html: Counter,
    css: Counter,
    sitemap: Counter,
    other: Counter,
    bytes: Counter,
    busy: Counter,
    links: Counter,
    refused: Counter,
    left_out: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let kind = |kind: &'static str| counter!("argiope_parser_pages_total", "kind" => kind);
        let links =
            |decision: &'static str| counter!("argiope_parser_links_total", "decision" => decision);
        Self {
            html: kind("html"),
            css: kind("css"),
            sitemap: kind("sitemap"),
            other: kind("other"),
            bytes: counter!("argiope_parser_bytes_total"),
            busy: counter!("argiope_parser_busy_microseconds_total"),
            links: links("in"),
            refused: links("refused"),
            left_out: links("left_out"),
        }
    }
}

/// A page was read.
pub(crate) struct PageParsed<'u> {
    pub(crate) url: &'u str,
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
    pub(crate) links: usize,
    pub(crate) refused: usize,
    pub(crate) left_out: u64,
    pub(crate) took: Duration,
}

impl PageParsed<'_> {
    pub(crate) fn emit(self, meters: &Meters) {
        let kind = match self.kind {
            Kind::Html => &meters.html,
            Kind::Css => &meters.css,
            Kind::Sitemap => &meters.sitemap,
            Kind::Svg | Kind::Text | Kind::Other => &meters.other,
        };
        kind.increment(1);
        meters.bytes.increment(self.bytes as u64);
        meters.busy.increment(contract::clock::micros(self.took));
        meters.links.increment(self.links as u64);
        meters.refused.increment(self.refused as u64);
        if self.left_out > 0 {
            meters.left_out.increment(self.left_out);
            warn!(
                url = self.url,
                left_out = self.left_out,
                "a page has more links than are kept"
            );
        }
        debug!(
            url = self.url,
            links = self.links,
            refused = self.refused,
            "page parsed"
        );
    }
}

/// A page was not read to its end, or not handed on.
pub(crate) struct PageFailed<'e> {
    pub(crate) url: &'e str,
    pub(crate) error: &'e ParserError,
}

impl PageFailed<'_> {
    pub(crate) fn emit(self) {
        counter!("argiope_parser_failures_total", "class" => self.error.class().as_str())
            .increment(1);
        let error = self.error.detail();
        match self.error {
            ParserError::Panicked(_) => error!(url = self.url, error, "reading a page panicked"),
            ParserError::Coding(_) => {
                debug!(url = self.url, error, "a page was not read to its end")
            }
            ParserError::Late(_) | ParserError::HandOver(_) | ParserError::PartLost => {
                warn!(url = self.url, error, "a page was not read or handed on")
            }
        }
    }
}

//! A link that is to be fetched, and one that is not.

use serde::{Deserialize, Serialize};

use crate::canonical::Fingerprint;
use crate::host::Host;
use crate::outcome::Outcome;

/// A URL of more bytes is not fetched.
pub const URL_BYTES_MAX: usize = 2_048;

/// How a URL was found; decides its class and how scope treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Given by the user, or the redirect target of such a URL.
    Seed,
    /// A link that a reader would follow.
    Page,
    /// What a browser needs to show a page: image, style, script, frame.
    Embed,
    /// A sitemap named by robots.txt or by a sitemap index.
    Sitemap,
    /// The target of a redirect.
    Redirect,
}

impl LinkKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Page => "page",
            Self::Embed => "embed",
            Self::Sitemap => "sitemap",
            Self::Redirect => "redirect",
        }
    }

    /// The queue class: 0 seeds and sitemaps, 1 the rest. (2 is for refreshes, 3 for retries.)
    pub fn class(self) -> u8 {
        match self {
            Self::Seed | Self::Sitemap => 0,
            Self::Page | Self::Embed | Self::Redirect => 1,
        }
    }
}

/// A URL in scope, on its way into the frontier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub host: Host,
    /// As found and resolved, without fragment: what will be requested.
    pub url: Box<str>,
    pub fingerprint: Fingerprint,
    pub kind: LinkKind,
    /// Clicks from a seed; embeds and redirects do not count.
    pub depth: u16,
    /// Redirects, or embeds of embeds, in a row that led here.
    pub hops: u8,
}

/// A URL that will not be fetched; written to the ledger with what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLink {
    /// As found, cut to [`URL_BYTES_MAX`].
    pub url: String,
    pub kind: LinkKind,
    pub outcome: Outcome,
    /// The rule that decided: a scope rule, a pattern, a limit.
    pub rule: String,
}

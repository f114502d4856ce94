//! A crawl's configuration: what to fetch, how hard, under which name. Lives with the frontier, versioned.
//!
//! Owns the settings that all nodes of a crawl share; a node's own (store, DNS, memory, listen) are elsewhere.
//! Every limit of DESIGN.md that a user may change is a field here, with its default. Units are in the names.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::{Limit, Rate};
use crate::rights::Purpose;

/// The settings of one crawl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CrawlConfig {
    pub seeds: Vec<String>,
    pub scope: ScopeConfig,
    pub agent: AgentConfig,
    pub pace: PaceConfig,
    pub limits: LimitsConfig,
}

/// Which URLs belong to the crawl (Browsertrix' and Heritrix' words).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScopeConfig {
    /// How far the crawl goes from its seeds.
    pub scope_type: ScopeType,
    /// Regular expressions; a URL that one matches is in scope (with `custom`, only those).
    pub include: Vec<String>,
    /// Regular expressions; a URL that one matches is out of scope, whatever else says.
    pub exclude: Vec<String>,
    /// Links are followed to this many clicks from a seed; none: without limit.
    pub depth: Option<u16>,
    /// Whether images, styles and scripts of a page are fetched.
    pub embeds: Embeds,
    /// Whether `/sitemap.xml` is tried on a host whose robots.txt names no sitemap.
    pub well_known_sitemaps: bool,
}

impl Default for ScopeConfig {
    fn default() -> Self {
        Self {
            scope_type: ScopeType::Prefix,
            include: Vec::new(),
            exclude: Vec::new(),
            depth: None,
            embeds: Embeds::All,
            well_known_sitemaps: false,
        }
    }
}

/// How far a crawl goes from its seeds. Scheme and a leading `www.` do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeType {
    /// The seeds alone.
    Page,
    /// What lies in a seed's directory or below.
    Prefix,
    /// A seed's host.
    Host,
    /// A seed's registrable domain with all its hosts.
    Domain,
    /// Everything.
    Any,
    /// What `include` matches.
    Custom,
}

/// Which page requisites are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embeds {
    /// Those of every page in scope, one hop out.
    All,
    /// Those in scope.
    Scope,
    None,
}

/// Under which name the crawl asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentConfig {
    /// `mailto:` or `https:` address of who runs the crawl.
    pub contact: Option<String>,
    /// Replaces the whole User-Agent line.
    pub user_agent: Option<String>,
    /// The product token that robots.txt groups are matched with (RFC 9309 section 2.2.1).
    pub robots_agent: String,
    /// Whether robots.txt is obeyed.
    pub robots: RobotsPolicy,
    /// What the content is for: decides which statements of sites and pages refuse it.
    pub purpose: Purpose,
    /// Further request header lines, "Name: value".
    pub headers: Vec<String>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            contact: None,
            user_agent: None,
            robots_agent: "argiope".to_owned(),
            robots: RobotsPolicy::Obey,
            purpose: Purpose::Archive,
            headers: Vec::new(),
        }
    }
}

impl AgentConfig {
    /// The User-Agent line.
    pub fn user_agent(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match (&self.user_agent, &self.contact) {
            (Some(line), _) => line.clone(),
            (None, Some(contact)) => {
                format!("Mozilla/5.0 (compatible; argiope/{version}; +{contact})")
            }
            (None, None) => format!("Mozilla/5.0 (compatible; argiope/{version})"),
        }
    }
}

/// Whether robots.txt is obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RobotsPolicy {
    Obey,
    /// For one's own site; said in warcinfo.
    Ignore,
}

/// How hard the crawl asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PaceConfig {
    /// Pause from the end of one request to a host to the start of the next, in milliseconds.
    pub delay_ms: u64,
    /// A longer Crawl-delay parks the host, in seconds.
    pub crawl_delay_s_max: u64,
    /// A longer Retry-After parks the host, in seconds.
    pub retry_after_s_max: u64,
    /// Tries of a URL in all.
    pub tries_max: u8,
    /// Redirects in a row.
    pub redirects_max: u8,
    /// Leases of one registrable domain at once.
    pub domain_leases_max: u32,
    /// Leases of one address at once.
    pub address_leases_max: u32,
    /// Requests over all nodes of the crawl, of any kind; none: no limit but the hosts' delays.
    pub rate: Option<Rate>,
    /// Of these, how many may go out at once after a pause.
    pub burst: u32,
    /// What one request counts, in this rate and in the cluster's.
    pub weight: u32,
    /// Requests in flight at once for each fetcher; none: as each node is set.
    pub concurrency: Option<usize>,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            delay_ms: 1_000,
            crawl_delay_s_max: 3_600,
            retry_after_s_max: 86_400,
            tries_max: 3,
            redirects_max: 10,
            domain_leases_max: 4,
            address_leases_max: 8,
            rate: None,
            burst: 1,
            weight: 1,
            concurrency: None,
        }
    }
}

impl PaceConfig {
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// How fast the crawl may go in all.
    pub fn limit(&self) -> Limit {
        Limit {
            rate: self.rate,
            burst: self.burst,
        }
    }
}

/// When the crawl ends, and how large one answer may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Kept pages over the crawl's life; never exceeded.
    pub limit: Option<u64>,
    /// Running time over the crawl's life, in seconds.
    pub time_limit_s: Option<u64>,
    /// Bytes of archive; ends the crawl when reached.
    pub size_limit_bytes: Option<u64>,
    /// Bytes of one body, on the wire and decoded; what is longer is kept cut.
    pub body_bytes_max: u64,
    /// Bytes of one decoded document that are read for links.
    pub parse_bytes_max: u64,
    /// The page layer: from its turn to its settle, in milliseconds.
    pub page_ms_max: u64,
    pub connect_ms_max: u64,
    pub head_ms_max: u64,
    pub stall_ms_max: u64,
    pub answer_ms_max: u64,
    pub parse_ms_max: u64,
    pub store_ms_max: u64,
    pub drain_ms_max: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            limit: None,
            time_limit_s: None,
            size_limit_bytes: None,
            body_bytes_max: 10_000_000,
            parse_bytes_max: 5_000_000,
            page_ms_max: 120_000,
            connect_ms_max: 5_000,
            head_ms_max: 5_000,
            stall_ms_max: 5_000,
            answer_ms_max: 30_000,
            parse_ms_max: 10_000,
            store_ms_max: 20_000,
            drain_ms_max: 30_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_names_itself_and_its_contact() {
        let mut agent = AgentConfig {
            contact: Some("mailto:me@a.test".into()),
            ..AgentConfig::default()
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            agent.user_agent(),
            format!("Mozilla/5.0 (compatible; argiope/{version}; +mailto:me@a.test)")
        );
        agent.user_agent = Some("other/1".into());
        assert_eq!(agent.user_agent(), "other/1");
    }

    #[test]
    fn an_empty_file_is_the_default_and_unknown_keys_are_refused() {
        assert_eq!(
            serde_json::from_str::<CrawlConfig>("{}").unwrap(),
            CrawlConfig::default()
        );
        let error = serde_json::from_str::<CrawlConfig>(r#"{"pace":{"dealy-ms":1}}"#).unwrap_err();
        assert!(error.to_string().contains("dealy-ms"), "{error}");
    }
}

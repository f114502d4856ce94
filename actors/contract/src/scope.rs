//! Which URLs belong to a crawl.
//!
//! Owns the compiled scope: one decision per URL, with the rule that decided. It knows neither robots.txt nor
//! addresses (those are the fetch's). Invariant: `exclude` always wins; scheme and a leading `www.` never matter.
//! The seed set grows while a crawl runs (a seed's redirect target becomes a seed), so it stands behind a lock
//! that readers hold for a decision only. Start at [`Scope::decide`].

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use regex::RegexSet;
use url::Url;

use crate::crawl::{Embeds, ScopeConfig, ScopeType};
use crate::host::Host;
use crate::link::LinkKind;
use crate::outcome::Outcome;

/// Embeds of embeds (a style's images) are followed to this many hops.
pub const EMBED_HOPS_MAX: u8 = 3;

/// A crawl's compiled scope.
#[derive(Debug)]
pub struct Scope {
    config: ScopeConfig,
    include: RegexSet,
    exclude: RegexSet,
    seeds: RwLock<Seeds>,
}

/// What the seeds let in, found by host: a crawl may have a hundred thousand of them.
#[derive(Debug, Default)]
struct Seeds {
    /// By host without `www.`.
    by_host: HashMap<String, Vec<SeedRule>>,
    domains: HashSet<String>,
}

/// What a seed lets in on its host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SeedRule {
    /// A port that the seed names must be the same one.
    port: Option<u16>,
    /// The seed's path up to and with its last slash.
    directory: String,
    url: String,
}

/// Whether a URL belongs to the crawl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    In,
    Out { outcome: Outcome, rule: String },
}

/// Where a link stands: how it was found, how deep, and whether the page it is on is itself in scope.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub kind: LinkKind,
    pub depth: u16,
    pub hops: u8,
    pub from_scope: bool,
}

/// A URL in pieces, for who knows them without parsing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlParts<'u> {
    /// All of it.
    pub url: &'u str,
    pub host: &'u str,
    /// None where it is the scheme's own.
    pub port: Option<u16>,
    pub path: &'u str,
}

impl<'u> From<&'u Url> for UrlParts<'u> {
    fn from(url: &'u Url) -> Self {
        Self {
            url: url.as_str(),
            host: url.host_str().unwrap_or_default(),
            port: url.port(),
            path: url.path(),
        }
    }
}

/// A pattern that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("{field}: not a regular expression")]
pub struct ScopeError {
    pub field: &'static str,
    #[source]
    pub source: Box<regex::Error>,
}

impl Scope {
    /// Compiles a scope around its seeds.
    ///
    /// # Errors
    /// The pattern that does not compile.
    pub fn new<'a>(
        config: &ScopeConfig,
        seeds: impl IntoIterator<Item = &'a Url>,
    ) -> Result<Self, ScopeError> {
        let compile = |field, patterns: &[String]| {
            RegexSet::new(patterns).map_err(|source| ScopeError {
                field,
                source: Box::new(source),
            })
        };
        let scope = Self {
            include: compile("scope.include", &config.include)?,
            exclude: compile("scope.exclude", &config.exclude)?,
            config: config.clone(),
            seeds: RwLock::default(),
        };
        for seed in seeds {
            scope.add_seed(seed);
        }
        Ok(scope)
    }

    /// Lets in what a seed lets in; idempotent.
    pub fn add_seed(&self, seed: &Url) {
        let Some(host) = Host::of(seed) else { return };
        let path = seed.path();
        let rule = SeedRule {
            port: seed.port(),
            directory: path
                .rfind('/')
                .map_or("/", |slash| &path[..=slash])
                .to_owned(),
            url: without_fragment(seed.as_str()).to_owned(),
        };
        let mut seeds = self.seeds.write().unwrap_or_else(PoisonError::into_inner);
        if !seeds.domains.contains(host.domain()) {
            seeds.domains.insert(host.domain().to_owned());
        }
        let rules = seeds
            .by_host
            .entry(without_www(host.as_str()).to_owned())
            .or_default();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }

    /// Whether `url`, found so, belongs to the crawl.
    pub fn decide(&self, url: &Url, found: Found) -> Decision {
        self.decide_parts(url.into(), found)
    }

    /// The same for a URL in pieces.
    pub fn decide_parts(&self, url: UrlParts<'_>, found: Found) -> Decision {
        if !self.exclude.is_empty()
            && let Some(index) = self.exclude.matches(url.url).iter().next()
        {
            return out(
                Outcome::OutOfScope,
                format!("exclude {}", self.config.exclude[index]),
            );
        }
        match found.kind {
            // The user named it, robots.txt named it.
            LinkKind::Seed | LinkKind::Sitemap => return Decision::In,
            LinkKind::Embed => match self.config.embeds {
                Embeds::None => return out(Outcome::OutOfScope, "embeds none".to_owned()),
                Embeds::All if found.from_scope || found.hops > 0 => {
                    return if found.hops < EMBED_HOPS_MAX {
                        Decision::In
                    } else {
                        out(Outcome::OutOfScope, format!("embed hops {EMBED_HOPS_MAX}"))
                    };
                }
                Embeds::All | Embeds::Scope => {}
            },
            LinkKind::Page | LinkKind::Redirect => {}
        }
        if let Some(limit) = self.config.depth
            && found.depth > limit
        {
            return out(Outcome::TooDeep, format!("depth {limit}"));
        }
        if self.contains_parts(url) {
            Decision::In
        } else {
            out(Outcome::OutOfScope, self.name())
        }
    }

    /// Whether a sitemap is looked for where robots.txt names none.
    pub fn tries_sitemaps(&self) -> bool {
        self.config.well_known_sitemaps
    }

    /// Whether `url` lies in the scope, however it was found (depth and embeds aside).
    pub fn contains(&self, url: &Url) -> bool {
        self.contains_parts(url.into())
    }

    fn contains_parts(&self, url: UrlParts<'_>) -> bool {
        if !self.include.is_empty() && self.include.is_match(url.url) {
            return true;
        }
        let seeds = self.seeds.read().unwrap_or_else(PoisonError::into_inner);
        match self.config.scope_type {
            ScopeType::Any => true,
            ScopeType::Custom => false,
            ScopeType::Page => seeds
                .of_host(url)
                .any(|seed| seed.url == without_fragment(url.url)),
            ScopeType::Host => seeds.of_host(url).next().is_some(),
            ScopeType::Prefix => seeds
                .of_host(url)
                .any(|seed| url.path.starts_with(seed.directory.as_str())),
            ScopeType::Domain => seeds.has_domain_of(url.host),
        }
    }

    /// Whether the crawl has business on `url`'s host: a sitemap of any other host has nothing to say to it.
    pub fn has_host(&self, url: &Url) -> bool {
        let seeds = self.seeds.read().unwrap_or_else(PoisonError::into_inner);
        match self.config.scope_type {
            // Where patterns decide, any host may have what they match.
            ScopeType::Any | ScopeType::Custom => true,
            ScopeType::Domain => seeds.has_domain_of(url.host_str().unwrap_or_default()),
            ScopeType::Page | ScopeType::Host | ScopeType::Prefix => {
                seeds.of_host(url.into()).next().is_some()
            }
        }
    }

    fn name(&self) -> String {
        let kind = match self.config.scope_type {
            ScopeType::Page => "page",
            ScopeType::Prefix => "prefix",
            ScopeType::Host => "host",
            ScopeType::Domain => "domain",
            ScopeType::Any => "any",
            ScopeType::Custom => "custom",
        };
        format!("scope {kind}")
    }
}

impl Seeds {
    /// The seeds on the URL's host and port.
    fn of_host<'s>(&'s self, url: UrlParts<'_>) -> impl Iterator<Item = &'s SeedRule> {
        let name = url.host.strip_suffix('.').unwrap_or(url.host);
        let rules = self.by_host.get(without_www(name)).into_iter().flatten();
        rules.filter(move |seed| seed.port == url.port)
    }

    fn has_domain_of(&self, host: &str) -> bool {
        let host = Host::from_stored(host.strip_suffix('.').unwrap_or(host));
        self.domains.contains(host.domain())
    }
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

fn without_fragment(url: &str) -> &str {
    url.find('#').map_or(url, |hash| &url[..hash])
}

fn out(outcome: Outcome, rule: String) -> Decision {
    Decision::Out { outcome, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(scope_type: ScopeType, change: impl FnOnce(&mut ScopeConfig)) -> Scope {
        let mut config = ScopeConfig {
            scope_type,
            ..ScopeConfig::default()
        };
        change(&mut config);
        Scope::new(
            &config,
            [&Url::parse("https://www.docs.example.org/guide/index.html").unwrap()],
        )
        .unwrap()
    }

    #[track_caller]
    fn check(scope: &Scope, url: &str, kind: LinkKind, depth: u16, want: &str) {
        let found = Found {
            kind,
            depth,
            hops: 0,
            from_scope: true,
        };
        let got = match scope.decide(&Url::parse(url).unwrap(), found) {
            Decision::In => "in".to_owned(),
            Decision::Out { outcome, rule } => format!("{}: {rule}", outcome.code()),
        };
        assert_eq!(got, want, "{url}");
    }

    #[test]
    fn each_type_draws_its_line() {
        use LinkKind::Page;
        let prefix = scope(ScopeType::Prefix, |_| ());
        check(
            &prefix,
            "https://www.docs.example.org/guide/a/b",
            Page,
            9,
            "in",
        );
        check(&prefix, "http://docs.example.org/guide/", Page, 1, "in");
        check(
            &prefix,
            "https://docs.example.org/other",
            Page,
            1,
            "out_of_scope: scope prefix",
        );
        check(
            &prefix,
            "https://docs.example.org:8443/guide/",
            Page,
            1,
            "out_of_scope: scope prefix",
        );
        check(
            &prefix,
            "https://evil.test/guide/",
            Page,
            1,
            "out_of_scope: scope prefix",
        );
        let host = scope(ScopeType::Host, |_| ());
        check(&host, "http://docs.example.org/other", Page, 1, "in");
        check(
            &host,
            "http://example.org/",
            Page,
            1,
            "out_of_scope: scope host",
        );
        let domain = scope(ScopeType::Domain, |_| ());
        check(&domain, "http://a.b.example.org:8080/", Page, 1, "in");
        check(
            &domain,
            "http://notexample.org/",
            Page,
            1,
            "out_of_scope: scope domain",
        );
        let page = scope(ScopeType::Page, |_| ());
        check(
            &page,
            "https://www.docs.example.org/guide/index.html#x",
            Page,
            1,
            "in",
        );
        check(
            &page,
            "https://www.docs.example.org/guide/",
            Page,
            1,
            "out_of_scope: scope page",
        );
        check(
            &scope(ScopeType::Any, |_| ()),
            "http://any.test/",
            Page,
            1,
            "in",
        );
        let custom = scope(ScopeType::Custom, |c| {
            c.include.push("^https?://x\\.test/".into())
        });
        check(&custom, "http://x.test/1", Page, 1, "in");
        check(
            &custom,
            "https://www.docs.example.org/guide/a",
            Page,
            1,
            "out_of_scope: scope custom",
        );
    }

    #[test]
    fn exclude_depth_and_embeds_have_their_say() {
        use LinkKind::{Embed, Page, Seed};
        let strict = scope(ScopeType::Prefix, |c| {
            c.exclude.push("/private/".into());
            c.depth = Some(2);
        });
        check(
            &strict,
            "https://docs.example.org/guide/private/x",
            Page,
            1,
            "out_of_scope: exclude /private/",
        );
        check(
            &strict,
            "https://docs.example.org/guide/private/x",
            Seed,
            0,
            "out_of_scope: exclude /private/",
        );
        check(&strict, "https://docs.example.org/guide/x", Page, 2, "in");
        check(
            &strict,
            "https://docs.example.org/guide/x",
            Page,
            3,
            "too_deep: depth 2",
        );
        check(&strict, "https://cdn.test/logo.png", Embed, 3, "in");
        let own = scope(ScopeType::Prefix, |c| c.embeds = Embeds::Scope);
        check(
            &own,
            "https://cdn.test/logo.png",
            Embed,
            1,
            "out_of_scope: scope prefix",
        );
        let none = scope(ScopeType::Prefix, |c| c.embeds = Embeds::None);
        check(
            &none,
            "https://docs.example.org/guide/l.png",
            Embed,
            1,
            "out_of_scope: embeds none",
        );
    }

    #[test]
    fn business_is_had_on_the_seeds_hosts() {
        #[track_caller]
        fn check(scope_type: ScopeType, url: &str, want: bool) {
            let scope = scope(scope_type, |_| ());
            let url = Url::parse(url).unwrap();
            assert_eq!(scope.has_host(&url), want, "{scope_type:?} {url}");
        }
        check(
            ScopeType::Prefix,
            "http://docs.example.org/robots.txt",
            true,
        );
        check(
            ScopeType::Prefix,
            "http://cdn.example.org/robots.txt",
            false,
        );
        check(ScopeType::Domain, "http://cdn.example.org/robots.txt", true);
        check(ScopeType::Domain, "http://cdn.test/robots.txt", false);
        check(ScopeType::Any, "http://cdn.test/robots.txt", true);
    }

    #[test]
    fn a_new_seed_widens_the_scope() {
        let scope = scope(ScopeType::Host, |_| ());
        let moved = Url::parse("https://new.example.net/").unwrap();
        assert!(!scope.contains(&moved));
        scope.add_seed(&moved);
        assert!(scope.contains(&moved));
    }

    #[test]
    fn a_bad_pattern_names_its_field() {
        let config = ScopeConfig {
            exclude: vec!["(".into()],
            ..ScopeConfig::default()
        };
        assert_eq!(Scope::new(&config, []).unwrap_err().field, "scope.exclude");
    }
}

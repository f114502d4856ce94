//! Is this the same crawl? What a folder's frontier knows of the crawl against what the command asks for.
//!
//! Owns the rule: the same command resumes; other seeds or another scope need `--change`, and the difference is shown;
//! everything else (pace, limits, agent) only makes a new version of the configuration. Start at [`take_up`].

use std::collections::HashSet;

use contract::Url;
use contract::admit::Admit;
use contract::canonical::{CANONICAL_VERSION, Fingerprinter};
use contract::crawl::{CrawlConfig, RobotsPolicy};
use contract::error::{ErrorClass, chain};
use contract::health::FaultKind;
use contract::host::{Host, PSL_VERSION};
use contract::link::{Link, LinkKind};
use frontier::error::StoreError;
use frontier::store::Store;

use crate::config::Settings;
use crate::exit::{Code, Failure};

/// Compares, admits the seeds that are new, and stores the configuration.
///
/// # Errors
/// Another crawl's folder, or a store that fails.
pub async fn take_up(
    store: &impl Store,
    settings: &Settings,
    change: bool,
    fingerprints: Fingerprinter,
) -> Result<(), Failure> {
    let stored = store.config().await.map_err(failed)?;
    let known: Option<CrawlConfig> = match stored {
        Some(stored) => Some(serde_json::from_slice(&stored.bytes).map_err(|error| {
            Failure::input(format!(
                "the crawl's stored configuration cannot be read: {error}; --overwrite starts anew"
            ))
        })?),
        None => None,
    };
    let asked = &settings.crawl;
    let mut old_seeds: &[String] = &[];
    if let Some(known) = &known {
        let place = format!("output folder {}", settings.output.display());
        compare(known, asked, change, &place)?;
        old_seeds = &known.seeds;
    }
    // Before the configuration: after a crash between the two, they are admitted again and none is missing.
    admit_seeds(store, settings, old_seeds, fingerprints).await?;
    let bytes =
        serde_json::to_vec(asked).map_err(|error| Failure::new(Code::Error, chain(&error)))?;
    store.set_config(&bytes).await.map_err(failed)?;
    Ok(())
}

/// Whether what is asked for is the crawl that is there, but for what may change.
///
/// # Errors
/// Other seeds or another scope, line by line, unless `change` allows them.
pub fn compare(
    known: &CrawlConfig,
    asked: &CrawlConfig,
    change: bool,
    place: &str,
) -> Result<(), Failure> {
    let difference = difference(known, asked);
    if difference.is_empty() || change {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{place}: another crawl's:\n  {}\ngive the same command to resume it, --change to go on \
         with these, or start anew (--overwrite or another --output in a folder, another --name in a store)",
        difference.join("\n  ")
    )))
}

/// Lets in the seeds that are not among the old ones.
///
/// # Errors
/// A store that fails.
pub async fn admit_seeds(
    store: &impl Store,
    settings: &Settings,
    old: &[String],
    fingerprints: Fingerprinter,
) -> Result<(), Failure> {
    let old: HashSet<&str> = old.iter().map(String::as_str).collect();
    let new = settings
        .seeds
        .iter()
        .filter(|seed| !old.contains(seed.as_str()));
    let links: Vec<Link> = new.filter_map(|seed| link(seed, fingerprints)).collect();
    if links.is_empty() {
        return Ok(());
    }
    let admit = Admit {
        links,
        via: "seed".into(),
        force: true,
    };
    store.admit(&admit).await.map(drop).map_err(failed)
}

/// The seeds given, and those that redirects made.
///
/// # Errors
/// A store that fails.
pub async fn seeds(store: &impl Store, settings: &Settings) -> Result<Vec<Url>, Failure> {
    let mut seeds = settings.seeds.clone();
    let stored = store.seeds().await.map_err(failed)?;
    seeds.extend(stored.iter().filter_map(|text| Url::parse(text).ok()));
    Ok(seeds)
}

fn link(seed: &Url, fingerprints: Fingerprinter) -> Option<Link> {
    Some(Link {
        host: Host::of(seed)?,
        url: seed.as_str().into(),
        fingerprint: fingerprints.of(seed),
        kind: LinkKind::Seed,
        depth: 0,
        hops: 0,
    })
}

/// Lines that say what of seeds, scope and purpose is different.
fn difference(known: &CrawlConfig, asked: &CrawlConfig) -> Vec<String> {
    let mut lines = Vec::new();
    let old_seeds: HashSet<&String> = known.seeds.iter().collect();
    let new_seeds: HashSet<&String> = asked.seeds.iter().collect();
    for gone in known.seeds.iter().filter(|seed| !new_seeds.contains(seed)) {
        lines.push(format!("- seed {gone}"));
    }
    for new in asked.seeds.iter().filter(|seed| !old_seeds.contains(seed)) {
        lines.push(format!("+ seed {new}"));
    }
    let mut field = |name: &str, known: String, asked: String| {
        if known != asked {
            lines.push(format!("{name}: {known} -> {asked}"));
        }
    };
    field(
        "purpose",
        known.agent.purpose.as_str().to_owned(),
        asked.agent.purpose.as_str().to_owned(),
    );
    let (old, new) = (&known.scope, &asked.scope);
    field(
        "scope-type",
        format!("{:?}", old.scope_type),
        format!("{:?}", new.scope_type),
    );
    field(
        "include",
        format!("{:?}", old.include),
        format!("{:?}", new.include),
    );
    field(
        "exclude",
        format!("{:?}", old.exclude),
        format!("{:?}", new.exclude),
    );
    field(
        "depth",
        format!("{:?}", old.depth),
        format!("{:?}", new.depth),
    );
    field(
        "embeds",
        format!("{:?}", old.embeds),
        format!("{:?}", new.embeds),
    );
    field(
        "well-known-sitemaps",
        old.well_known_sitemaps.to_string(),
        new.well_known_sitemaps.to_string(),
    );
    lines
}

/// The fields of warcinfo records (WARC 1.1 section 6.2, and what a reader must know to judge the archive).
pub fn warc_info(settings: &Settings) -> Vec<(String, String)> {
    let CrawlConfig {
        agent,
        scope,
        pace,
        limits,
        ..
    } = &settings.crawl;
    let robots = match agent.robots {
        RobotsPolicy::Obey => "obey (RFC 9309)",
        RobotsPolicy::Ignore => "ignore",
    };
    let mut fields = vec![
        (
            "software".to_owned(),
            concat!("argiope/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("robots".to_owned(), robots.to_owned()),
        (
            "argiope-purpose".to_owned(),
            agent.purpose.as_str().to_owned(),
        ),
        ("http-header-user-agent".to_owned(), agent.user_agent()),
    ];
    if let Some(contact) = &agent.contact {
        fields.push(("operator".to_owned(), contact.clone()));
    }
    let seeds: Vec<_> = settings.seeds.iter().take(10).map(Url::as_str).collect();
    fields.push((
        "argiope-seeds".to_owned(),
        format!("{} ({} in all)", seeds.join(" "), settings.seeds.len()),
    ));
    fields.push((
        "argiope-scope".to_owned(),
        format!("{:?} embeds {:?}", scope.scope_type, scope.embeds),
    ));
    fields.push(("argiope-delay-ms".to_owned(), pace.delay_ms.to_string()));
    fields.push((
        "argiope-body-bytes-max".to_owned(),
        limits.body_bytes_max.to_string(),
    ));
    fields.push((
        "argiope-canonical".to_owned(),
        format!("{CANONICAL_VERSION} {PSL_VERSION}"),
    ));
    fields
}

/// A store's error as the program's.
pub fn failed(error: StoreError) -> Failure {
    let code = match (&error, error.class(), error.fault()) {
        (_, _, FaultKind::DiskFull) => Code::DiskFull,
        (StoreError::Folder { .. }, ..) | (_, ErrorClass::Permanent, _) => Code::BadInput,
        _ => Code::Store,
    };
    Failure::new(code, chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::crawl::ScopeType;
    use contract::rights::Purpose;

    #[test]
    fn only_seeds_scope_and_purpose_make_another_crawl() {
        let known = CrawlConfig {
            seeds: vec!["http://a.test/".into()],
            ..CrawlConfig::default()
        };
        let mut asked = known.clone();
        asked.pace.delay_ms = 5;
        asked.limits.limit = Some(3);
        assert!(difference(&known, &asked).is_empty());
        asked.seeds = vec!["http://b.test/".into()];
        asked.scope.scope_type = ScopeType::Host;
        asked.agent.purpose = Purpose::Search;
        assert_eq!(
            difference(&known, &asked),
            [
                "- seed http://a.test/",
                "+ seed http://b.test/",
                "purpose: archive -> search",
                "scope-type: Prefix -> Host"
            ]
        );
    }
}

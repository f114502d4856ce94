//! A crawl's start in a shared store: made or joined, its seeds in, then given to the nodes.
//!
//! Owns the rule of [`crate::identity`] for a store: the same command goes on; other seeds or another scope need
//! `--change`. Order: crawl and configuration, seeds, start; after a crash between two, the same command does the rest,
//! and no node has seen a crawl without its seeds. Start at [`start`].

use contract::canonical::Fingerprinter;
use contract::error::chain;
use contract::fleet::CrawlName;
use contract::rate::RateScope;
use frontier::fleet::configs::{self, Version};
use frontier::fleet::crawls::{self, Crawl, NewCrawl};
use frontier::rate::RateStore;
use frontier::rate::shared::RedisRates;

use super::store::Shared;
use super::{failed, who};
use crate::cli::SharedFlags;
use crate::config::{Settings, folder_name};
use crate::exit::{Code, Failure};
use crate::home::{self, SharedCrawl};
use crate::identity;

/// URLs that a crawl is laid out for, where nobody says; one of up to sixteen times as many is no slower.
const EXPECTED_URLS: u64 = 10_000_000;

/// Makes the crawl or goes on with it, so that nodes work on it.
///
/// # Errors
/// Another crawl of this name, a configuration that is refused, or a store that fails.
pub async fn start(
    shared: &mut Shared,
    settings: &Settings,
    flags: &SharedFlags,
    change: bool,
) -> Result<Crawl, Failure> {
    let name = match &flags.name {
        Some(name) => name.clone(),
        None => name_of(settings)?,
    };
    let who = who::person();
    let expected = flags.expected_urls.unwrap_or(EXPECTED_URLS);
    let new = NewCrawl {
        name: name.clone(),
        fingerprint_seed: rand::random(),
        bucket_bits: crawls::bucket_bits(expected, shared.deployment.shards),
        by: who.clone(),
    };
    let crawl = crawls::create(&mut shared.link, &new, &settings.crawl)
        .await
        .map_err(failed)?;
    let is_new = crawl.fingerprint_seed == new.fingerprint_seed;
    let known = configs::current(&mut shared.link, crawl.number)
        .await
        .map_err(failed)?;
    let place = format!("crawl {name} of this store");
    identity::compare(&known.config, &settings.crawl, change, &place)?;
    seeds(shared, settings, &crawl, &known, is_new).await?;
    if known.config != settings.crawl {
        let set = configs::set(
            &mut shared.link,
            crawl.number,
            known.version,
            &settings.crawl,
            &who,
        );
        set.await.map_err(failed)?;
    }
    let rates = RedisRates::new(shared.link.clone(), crawl.number);
    let limit = settings.crawl.pace.limit();
    let set = rates.set_rate(RateScope::Crawl, limit).await;
    set.map_err(|error| Failure::new(Code::Store, chain(&error)))?;
    crawls::start(&mut shared.link, &name).await.map_err(failed)
}

/// Lets in the seeds that are not in yet.
async fn seeds(
    shared: &Shared,
    settings: &Settings,
    crawl: &Crawl,
    known: &Version,
    is_new: bool,
) -> Result<(), Failure> {
    let is_unfinished = crawl.state == contract::fleet::CrawlState::Preparing;
    let old = match is_new || is_unfinished {
        true => &[],
        false => known.config.seeds.as_slice(),
    };
    let fingerprints = Fingerprinter {
        seed: crawl.fingerprint_seed,
    };
    let home = SharedCrawl {
        link: shared.link.clone(),
        deployment: shared.deployment,
        crawl: crawl.clone(),
    };
    let store = home::attach_for_orders(&home, &settings.crawl, &settings.node).await?;
    identity::admit_seeds(&store, settings, old, fingerprints).await
}

/// The first seed's host, as a crawl's name.
fn name_of(settings: &Settings) -> Result<CrawlName, Failure> {
    let name = settings.seeds.first().map_or_else(String::new, folder_name);
    name.parse().map_err(|_| {
        Failure::input(format!(
            "{name:?} cannot be a crawl's name; give one with --name"
        ))
    })
}

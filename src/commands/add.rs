//! `add --store`: more URLs for a crawl in a shared store, whichever nodes work on it.

use std::collections::HashSet;

use contract::canonical::Fingerprinter;
use contract::error::chain;
use contract::scope::Scope;
use coordinator::Added;
use frontier::fleet::configs;
use frontier::store::Store;

use crate::cli::FleetFlags;
use crate::config::{NodeConfig, Settings, dial};
use crate::exit::Failure;
use crate::fleet::{failed, store};
use crate::home::{self, SharedCrawl};
use crate::identity;

/// Admits what the crawl's scope lets in.
///
/// # Errors
/// No such crawl, one that has ended, or a store that fails.
pub async fn shared(urls: &[String], flags: &FleetFlags) -> Result<(), Failure> {
    let mut shared = store::find(&flags.store).await?;
    let crawl = store::crawl(&mut shared, flags).await?;
    if crawl.state.is_ended() {
        return Err(Failure::input(format!(
            "the crawl {} is {}; the same `argiope crawl` goes on with it",
            crawl.name, crawl.state
        )));
    }
    let config = configs::current(&mut shared.link, crawl.number)
        .await
        .map_err(failed)?
        .config;
    let node = NodeConfig::default();
    let dial = dial(&node)?;
    let settings = Settings::shared(config, node, dial, std::path::PathBuf::new())?;
    let fingerprints = Fingerprinter {
        seed: crawl.fingerprint_seed,
    };
    let home = SharedCrawl {
        link: shared.link,
        deployment: shared.deployment,
        crawl,
    };
    let store = home::attach_for_orders(&home, &settings.crawl, &settings.node).await?;
    let seeds = identity::seeds(&store, &settings).await?;
    let scope = Scope::new(&settings.crawl.scope, &seeds);
    let scope = scope.map_err(|error| Failure::input(chain(&error)))?;
    let mut seen = HashSet::new();
    let urls: Vec<String> = urls
        .iter()
        .filter(|url| seen.insert(*url))
        .cloned()
        .collect();
    let added = Added::of(&urls, &scope, fingerprints);
    let admitted = store.admit(&added.admit).await.map_err(identity::failed)?;
    for line in &added.lines {
        println!("{line}");
    }
    println!("{}", Added::summary(&admitted));
    Ok(())
}

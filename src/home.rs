//! Where a crawl's frontier lives: in its folder, for this process alone, or in a store that nodes share.
//!
//! Owns the opening of either; above this file nobody knows which it is. Start at [`Home`].

use std::path::PathBuf;
use std::sync::Arc;

use contract::canonical::Fingerprinter;
use contract::clock::Clock;
use contract::error::chain;
use contract::fault::FailPlan;
use contract::rate::{Limit, RateScope};
use frontier::config::{FrontierConfig, Rules};
use frontier::rate::RateStore;
use frontier::rate::local::LocalRates;
use frontier::store::Store;
use frontier::store::embedded::{Embedded, EmbeddedOptions};

use crate::config::Settings;
use crate::exit::{Code, Failure};
use crate::identity;
use crate::wiring::Plan;

/// Where the frontier lives.
#[derive(Clone, Debug)]
pub enum Home {
    /// In the crawl's folder.
    Folder {
        /// `--change`: seeds and scope of an existing crawl may differ.
        change: bool,
    },
}

/// An open frontier.
pub struct Opened<S> {
    pub store: Arc<S>,
    pub rates: Arc<dyn RateStore>,
    pub fingerprints: Fingerprinter,
}

/// This node's part of a frontier's settings.
pub fn config(memory_bytes: u64) -> FrontierConfig {
    FrontierConfig {
        memory_bytes,
        ..FrontierConfig::default()
    }
}

/// What the store decides by.
pub fn rules(settings: &Settings, config: &FrontierConfig) -> Rules {
    let mut rules = Rules::new(&settings.crawl, config);
    if !settings.node.allow_net.is_empty() {
        // Networks that the user allowed by name are his own (DESIGN.md, Budgets).
        rules.domain_leases_max = None;
        rules.address_leases_max = None;
    }
    rules
}

/// Opens the frontier in the folder, and takes up the crawl that is there or begins one.
///
/// # Errors
/// A folder that cannot be used, or another crawl's.
pub async fn in_folder(
    plan: &Plan,
    config: &FrontierConfig,
    change: bool,
    fingerprint_seed: u64,
) -> Result<Opened<Embedded>, Failure> {
    let options = EmbeddedOptions {
        rules: rules(&plan.settings, config),
        clock: plan.clock.clone(),
        memory_bytes: config.memory_bytes,
        fingerprint_seed,
        fail: FailPlan::none(),
    };
    let store = open(plan.folder.part("frontier"), options).await?;
    let fingerprints = Fingerprinter {
        seed: store.fingerprint_seed().await.map_err(identity::failed)?,
    };
    identity::take_up(&store, &plan.settings, change, fingerprints).await?;
    Ok(Opened {
        store: Arc::new(store),
        rates: alone(&plan.clock, plan.settings.crawl.pace.limit()).await?,
        fingerprints,
    })
}

async fn open(folder: PathBuf, options: EmbeddedOptions) -> Result<Embedded, Failure> {
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&folder, options)).await;
    match opened {
        Ok(opened) => opened.map_err(identity::failed),
        Err(join) => Err(Failure::input(format!(
            "the frontier cannot be opened: {join}"
        ))),
    }
}

/// The rates of a crawl that this process alone works on.
async fn alone(clock: &Clock, crawl: Limit) -> Result<Arc<dyn RateStore>, Failure> {
    let rates = LocalRates::new(clock.clone());
    for (scope, limit) in [
        (RateScope::Cluster, Limit::default()),
        (RateScope::Crawl, crawl),
    ] {
        let begun = rates.begin(scope, limit).await;
        begun.map_err(|error| Failure::new(Code::Error, chain(&error)))?;
    }
    Ok(Arc::new(rates))
}

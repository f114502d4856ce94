//! Where a crawl's frontier lives: in its folder, for this process alone, or in a store that nodes share.
//!
//! Owns the opening of either; above this file nobody knows which it is. Start at [`Home`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::canonical::Fingerprinter;
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::error::chain;
use contract::fault::FailPlan;
use contract::pulse::Pulse;
use contract::rate::{Limit, RateScope};
use contract::wanted::Wanted;
use frontier::config::{FrontierConfig, Rules};
use frontier::fleet::Link;
use frontier::fleet::crawls::Crawl;
use frontier::fleet::deployment::Deployment;
use frontier::rate::RateStore;
use frontier::rate::local::LocalRates;
use frontier::rate::shared::RedisRates;
use frontier::store::Store;
use frontier::store::embedded::{Embedded, EmbeddedOptions};
use frontier::store::redis::{RedisOptions, RedisStore};
use storage::layout::Layout;

use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::identity;
use crate::older;
use crate::wiring::Plan;

/// Where the frontier lives.
#[derive(Clone, Debug)]
pub enum Home {
    /// In the crawl's folder.
    Folder {
        /// `--change`: seeds and scope of an existing crawl may differ.
        change: bool,
    },
    /// In a store that nodes share.
    Shared(SharedCrawl),
}

/// A crawl in a shared store.
#[derive(Clone, Debug)]
pub struct SharedCrawl {
    pub link: Link,
    pub deployment: Deployment,
    pub crawl: Crawl,
}

/// An open frontier.
pub struct Opened<S> {
    pub store: Arc<S>,
    pub rates: Arc<dyn RateStore>,
    pub fingerprints: Fingerprinter,
    /// Whether leases still hold as far as the store can be asked.
    pub pulse: Pulse,
    /// Whether another node waits for one of this node's leases.
    pub wanted: Wanted,
    /// Pages that wait on this node's disk for a store that is away.
    pub unsettled: Unsettled,
}

/// Counts pages.
pub type Unsettled = Arc<dyn Fn() -> u64 + Send + Sync>;

/// This node's part of a frontier's settings.
pub fn config(node: &NodeConfig, memory_bytes: u64) -> FrontierConfig {
    FrontierConfig {
        memory_bytes,
        lease_ms: node.lease_ms,
        ..FrontierConfig::default()
    }
}

/// What the store decides by.
pub fn rules(crawl: &CrawlConfig, node: &NodeConfig, config: &FrontierConfig) -> Rules {
    let mut rules = Rules::new(crawl, config);
    if !node.allow_net.is_empty() {
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
        rules: rules(&plan.settings.crawl, &plan.settings.node, config),
        clock: plan.clock.clone(),
        memory_bytes: config.memory_bytes,
        fingerprint_seed,
        fail: FailPlan::none(),
    };
    let store = open(plan.folder.part("frontier"), options).await?;
    older::look(&store, &Layout::new(plan.folder.path()).ledger()).await?;
    let fingerprints = Fingerprinter {
        seed: store.fingerprint_seed().await.map_err(identity::failed)?,
    };
    identity::take_up(&store, &plan.settings, change, fingerprints).await?;
    Ok(Opened {
        store: Arc::new(store),
        rates: alone(&plan.clock, plan.settings.crawl.pace.limit()).await?,
        fingerprints,
        pulse: Pulse::always(),
        wanted: Wanted::default(),
        unsettled: Arc::new(|| 0),
    })
}

/// The frontier of a folder for one order from outside of a run.
///
/// # Errors
/// A folder that is no crawl's, or one that a running crawl holds.
pub async fn folder_for_orders(dir: &Path) -> Result<Embedded, Failure> {
    let frontier = dir.join("frontier");
    if !frontier.is_dir() {
        return Err(Failure::input(format!(
            "{}: no crawl's folder (it has no frontier/)",
            dir.display()
        )));
    }
    open(frontier, options_for_orders(0)).await
}

/// How a folder's frontier is opened where nobody crawls: by no rules but the usual ones. `fingerprint_seed` is that of a
/// new one.
pub fn options_for_orders(fingerprint_seed: u64) -> EmbeddedOptions {
    let config = FrontierConfig::default();
    EmbeddedOptions {
        rules: Rules::new(&CrawlConfig::default(), &config),
        clock: Clock::machine(),
        memory_bytes: config.memory_bytes,
        fingerprint_seed,
        fail: FailPlan::none(),
    }
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

/// Opens the crawl's part of the store, with a journal for what cannot be settled while it is away, if one is named.
///
/// # Errors
/// A store that is away or that was tampered with.
pub async fn attach(
    home: &SharedCrawl,
    rules: Rules,
    clock: &Clock,
    memory_bytes: u64,
    journal: Option<PathBuf>,
) -> Result<RedisStore, Failure> {
    let options = RedisOptions {
        rules,
        clock: clock.clone(),
        memory_bytes,
        journal,
    };
    let opened = RedisStore::open(
        home.link.clone(),
        &home.deployment,
        home.crawl.clone(),
        options,
    );
    opened.await.map_err(identity::failed)
}

/// The same for one order from outside of any crawl's run.
///
/// # Errors
/// As [`attach`].
pub async fn attach_for_orders(
    home: &SharedCrawl,
    crawl: &CrawlConfig,
    node: &NodeConfig,
) -> Result<RedisStore, Failure> {
    /// Enough for the seeds of a large crawl; nothing of it lives longer than the order.
    const MEMORY_BYTES: u64 = 1 << 20;
    let rules = rules(crawl, node, &config(node, MEMORY_BYTES));
    attach(home, rules, &Clock::machine(), MEMORY_BYTES, None).await
}

/// Opens the frontier in a store that nodes share, with the rates that they share there.
///
/// # Errors
/// A store that is away or that was tampered with.
pub async fn in_store(
    plan: &Plan,
    config: &FrontierConfig,
    home: &SharedCrawl,
) -> Result<Opened<RedisStore>, Failure> {
    let rates = RedisRates::new(home.link.clone(), home.crawl.number);
    for (scope, limit) in [
        (RateScope::Cluster, Limit::default()),
        (RateScope::Crawl, plan.settings.crawl.pace.limit()),
    ] {
        let begun = rates.begin(scope, limit).await;
        begun.map_err(|error| Failure::new(Code::Store, chain(&error)))?;
    }
    let rules = rules(&plan.settings.crawl, &plan.settings.node, config);
    let journal = Some(plan.folder.part("journal"));
    let memory = config.memory_bytes / 4;
    let store = attach(home, rules, &plan.clock, memory, journal).await?;
    older::look(&store, &Layout::new(plan.folder.path()).ledger()).await?;
    let store = Arc::new(store);
    let unsettled = {
        let store = store.clone();
        Arc::new(move || store.unsettled())
    };
    Ok(Opened {
        pulse: store.pulse(),
        wanted: store.wanted(),
        unsettled,
        store,
        rates: Arc::new(rates),
        fingerprints: Fingerprinter {
            seed: home.crawl.fingerprint_seed,
        },
    })
}

//! What stories about real servers are told with: a crawl of bare links in a deployment, its leases and settles.

use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprinter;
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::host::Host;
use contract::lease::{Claim, Lease, Taker};
use contract::link::{Link as Found, LinkKind};

use super::{RedisOptions, RedisStore};
use crate::config::Rules;
use crate::fleet::Link;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::deployment::{self, Deployment};
use crate::store::{Store, suite};

pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// Of every deployment's fingerprints here.
pub(crate) const SEED: u64 = 7;

/// A node's store at this address, of a deployment with so many shards.
pub(crate) async fn open(
    url: &str,
    shards: u16,
    journal: Option<std::path::PathBuf>,
) -> (RedisStore, Deployment) {
    let address = Address::parse(url).unwrap();
    let mut link = Link::open(&address, None).await.unwrap();
    let (deployment, _) = deployment::open_or_create(&mut link, shards).await.unwrap();
    let new = NewCrawl {
        name: "a".parse().unwrap(),
        fingerprint_seed: SEED,
        bucket_bits: 3,
        by: "test".into(),
    };
    let config = CrawlConfig::default();
    let crawl = crawls::create(&mut link, &new, &config).await.unwrap();
    let options = RedisOptions {
        rules: Rules {
            delay: Duration::ZERO,
            domain_leases_max: None,
            lease: LEASE,
            ..suite::rules()
        },
        clock: Clock::machine(),
        memory_bytes: 64 << 10,
        journal,
    };
    let store = RedisStore::open(link, &deployment, crawl, options)
        .await
        .unwrap();
    (store, deployment)
}

/// A page on a host of its own.
pub(crate) fn link(number: u32) -> Found {
    link_on(number, "")
}

/// A page on this host of that number.
pub(crate) fn link_on(number: u32, path: &str) -> Found {
    let url = format!("http://h{number}.test/{path}");
    Found {
        host: Host::from_stored(&format!("h{number}.test")),
        fingerprint: Fingerprinter { seed: SEED }.of(&url.parse().unwrap()),
        url: url.into(),
        kind: LinkKind::Page,
        depth: 1,
        hops: 0,
    }
}

pub(crate) async fn admit(store: &RedisStore, numbers: std::ops::Range<u32>) {
    let admit = Admit {
        links: numbers.map(link).collect(),
        via: "seed".into(),
        force: false,
    };
    store.admit(&admit).await.unwrap();
}

/// What is granted now.
pub(crate) async fn claim(store: &RedisStore) -> Vec<Lease> {
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 100,
        urls_per_host: 1,
    };
    store
        .claim(claim)
        .await
        .map_or(Vec::new(), |claimed| claimed.leases)
}

/// Claims until something is granted.
pub(crate) async fn claim_some(store: &RedisStore) -> Vec<Lease> {
    loop {
        let leases = claim(store).await;
        if !leases.is_empty() {
            return leases;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! A deployment on real servers, in which tests open stores.

use std::cell::RefCell;

use contract::clock::{Clock, Wall};
use contract::crawl::CrawlConfig;
use futures_util::future::join_all;
use kit::redis::{Redis, RedisCluster, RedisOptions as ServerOptions};

use super::super::{RedisOptions, RedisStore};
use crate::config::Rules;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::failing::Failures;
use crate::fleet::{Link, deployment};
use crate::store::suite::nodes::Yard;
use crate::store::suite::now;

/// Names of crawls.
const CRAWLS: [&str; 2] = ["a", "b"];

/// See the module.
pub(super) struct Deployed {
    pub(super) servers: Servers,
    shards: u16,
    /// Of the tests' own questions; nothing of it is made to fail.
    link: Link,
    /// What fails of the stores' questions.
    pub(super) failures: Failures,
}

/// Where it is.
pub(super) enum Servers {
    One(RefCell<Redis>),
    Cluster(RedisCluster),
}

impl Servers {
    pub(super) fn one(options: ServerOptions) -> Self {
        Self::One(RefCell::new(Redis::start(options).unwrap()))
    }

    fn address(&self) -> Address {
        let url = match self {
            Self::One(redis) => redis.borrow().url(),
            Self::Cluster(cluster) => cluster.urls()[0].replace("redis://", "redis+cluster://"),
        };
        Address::parse(&url).unwrap()
    }

    fn empty(&self) {
        let flush = |redis: &Redis| redis.call(&["FLUSHALL"]).map(drop).unwrap();
        match self {
            Self::One(redis) => flush(&redis.borrow()),
            Self::Cluster(cluster) => (0..3).for_each(|n| flush(cluster.node(n))),
        }
    }
}

impl Deployed {
    /// An empty deployment of so many shards, where another may have been before.
    pub(super) fn new(servers: Servers, shards: u16) -> Self {
        servers.empty();
        let link = now(async {
            let mut link = Link::open(&servers.address(), None).await.unwrap();
            let made = deployment::open_or_create(&mut link, shards).await;
            made.unwrap();
            link
        });
        Self {
            servers,
            shards,
            link,
            failures: Failures::default(),
        }
    }

    /// The same with other shards, empty.
    pub(super) fn anew(self, shards: u16) -> Self {
        Self::new(self.servers, shards)
    }

    /// The one server.
    pub(super) fn server(&self) -> std::cell::Ref<'_, Redis> {
        match &self.servers {
            Servers::One(redis) => redis.borrow(),
            Servers::Cluster(_) => panic!("it is a cluster"),
        }
    }

    /// The one server, to end and start it.
    pub(super) fn server_mut(&self) -> std::cell::RefMut<'_, Redis> {
        match &self.servers {
            Servers::One(redis) => redis.borrow_mut(),
            Servers::Cluster(_) => panic!("it is a cluster"),
        }
    }

    /// Sets a field of every shard's gate.
    pub(super) async fn gates(&self, field: &str, value: &str) {
        let set = (0..self.shards).map(|shard| async move {
            let mut set = redis::cmd("HSET");
            set.arg(format!("{{s{shard}}}:m")).arg(field).arg(value);
            // The connection may have to come back first.
            let set = async || set.query_async::<u64>(&mut self.link.clone()).await;
            while let Err(error) = set().await {
                assert!(
                    error.is_io_error() || error.is_unrecoverable_error(),
                    "{error:?}"
                );
            }
        });
        join_all(set).await;
    }

    pub(super) async fn store(&self, crawl: usize, rules: &Rules, clock: &Clock) -> RedisStore {
        let link = Link::open(&self.servers.address(), None).await.unwrap();
        let mut link = link.failing(self.failures.clone());
        let (deployment, _) = deployment::open_or_create(&mut link, self.shards)
            .await
            .unwrap();
        let new = NewCrawl {
            name: CRAWLS[crawl].parse().unwrap(),
            fingerprint_seed: 7,
            bucket_bits: 3,
            by: "test".into(),
        };
        let crawl = crawls::create(&mut link, &new, &CrawlConfig::default()).await;
        let options = RedisOptions {
            rules: rules.clone(),
            clock: clock.clone(),
            memory_bytes: 64 << 10,
            journal: None,
        };
        let store = RedisStore::open(link, &deployment, crawl.unwrap(), options).await;
        store.unwrap()
    }
}

impl Yard for Deployed {
    type Store = RedisStore;

    fn open(&self, crawl: usize, rules: &Rules, clock: &Clock) -> RedisStore {
        now(self.store(crawl, rules, clock))
    }

    fn tell_time(&self, time: Wall) {
        now(self.gates("clock", &time.0.to_string()));
    }
}

//! The store in Redis before the suite: a real server, the shard's clock in the test's hands.

use std::cell::RefCell;

use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use kit::redis::{Redis, RedisOptions as ServerOptions};
use proptest::prelude::*;

use super::*;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::deployment;
use crate::store::memory::Ways;
use crate::store::suite::acts::Act;
use crate::store::suite::{Stage, Subject, now, rules, story};

/// A crawl in a server of this thread, in one shard.
struct OnServer {
    server: std::rc::Rc<Redis>,
    options: RedisOptions,
    clock: Clock,
    store: Option<RedisStore>,
}

thread_local! {
    static SERVER: RefCell<Option<std::rc::Rc<Redis>>> = const { RefCell::new(None) };
}

fn server() -> std::rc::Rc<Redis> {
    SERVER.with_borrow_mut(|server| {
        server
            .get_or_insert_with(|| {
                std::rc::Rc::new(Redis::start(ServerOptions::default()).unwrap())
            })
            .clone()
    })
}

impl OnServer {
    fn open(&mut self) {
        self.store = None;
        self.store = Some(now(async {
            let address = Address::parse(&self.server.url()).unwrap();
            let mut link = Link::open(&address, None).await.unwrap();
            let (deployment, _) = deployment::open_or_create(&mut link, 1).await.unwrap();
            self.tell_time();
            let new = NewCrawl {
                name: "a".parse().unwrap(),
                fingerprint_seed: 7,
                bucket_bits: 3,
                by: "test".into(),
            };
            let crawl = crawls::create(&mut link, &new, &CrawlConfig::default())
                .await
                .unwrap();
            RedisStore::open(link, &deployment, crawl, self.options.clone())
                .await
                .unwrap()
        }));
    }

    fn tell_time(&self) {
        let time = self.clock.wall().0.to_string();
        self.server
            .call(&["HSET", "{s0}:m", "clock", &time])
            .unwrap();
    }
}

impl Subject for OnServer {
    type Store = RedisStore;
    const WAYS: Ways = Ways::OneShard;

    fn may_say(found: Option<Duration>, wanted: Option<Duration>) -> bool {
        // Other nodes may have done something: it never waits for long, and never in vain for what is there.
        let most = wanted.unwrap_or(claims::LOOK_EVERY).min(claims::LOOK_EVERY);
        found.is_some_and(|found| found <= most)
    }

    fn knows(act: &Act) -> bool {
        // Configuration and running time are the fleet's here; who wants nothing asks nobody.
        let nothing = |act: &Act| matches!(act, Act::Claim { hosts: 0, .. });
        !matches!(act, Act::Configure(_) | Act::Ran(_) | Act::Wake) && !nothing(act)
    }

    fn new(rules: Rules, clock: Clock) -> Self {
        let server = server();
        server.call(&["FLUSHALL"]).unwrap();
        let options = RedisOptions {
            rules,
            clock: clock.clone(),
            memory_bytes: 64 << 10,
            journal: None,
        };
        let mut subject = Self {
            server,
            options,
            clock,
            store: None,
        };
        subject.open();
        subject
    }

    fn store(&self) -> &RedisStore {
        self.store.as_ref().expect("it is opened when it is made")
    }

    fn passed(&self) {
        self.tell_time();
    }

    fn crash(&mut self) {
        self.open();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn redis_does_what_the_model_does(acts in story()) {
        let mut stage = Stage::<OnServer>::new(&rules());
        for act in &acts {
            stage.play(act);
            stage.compare();
        }
        stage.finish();
    }

    #[test]
    fn redis_never_exceeds_the_limit(acts in story(), limit in 0u64..12) {
        let mut stage = Stage::<OnServer>::new(&Rules { limit: Some(limit), ..rules() });
        for act in &acts {
            stage.play(act);
        }
        stage.finish();
        let stats = now(stage.subject.store().stats()).unwrap();
        prop_assert!(stats.kept <= limit, "{} kept of {}", stats.kept, limit);
    }
}

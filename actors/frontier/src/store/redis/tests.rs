//! The store in Redis before the suite: real servers, the shards' clocks in the test's hands.
//!
//! Here one shard is held against the model; [`nodes`] has many shards, nodes and crawls, [`lost`] answers that are lost,
//! [`faults`] what servers do. All of them open stores in a [`Deployed`].

mod deployed;
mod faults;
mod lost;
mod nodes;

use std::cell::RefCell;

use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::host::Host;
use contract::lease::Taker;
use contract::link::{Link as Found, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::settle::Settles;
use kit::redis::{Redis, RedisOptions as ServerOptions};
use proptest::prelude::*;

use super::*;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::deployment;
use crate::store::memory::Ways;
use crate::store::suite::acts::{Act, links};
use crate::store::suite::{Stage, Subject, now, rules, story};

/// So short that most hosts of a story have cold queues.
const TINY: Lengths = Lengths {
    queue_max: 4,
    chunk: 2,
    low: 2,
};

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
            RedisStore::open_with(link, &deployment, crawl, self.options.clone(), TINY)
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
    fn redis_does_what_the_model_does(many in links(60), acts in story(), more in links(60), others in story()) {
        let mut stage = Stage::<OnServer>::new(&rules());
        let flood = |links: &[_]| Act::Admit { links: links.to_vec(), force: false };
        for act in std::iter::once(&flood(&many)).chain(&acts).chain([&flood(&more)]).chain(&others) {
            stage.play(act);
            stage.compare();
        }
        stage.finish();
    }
}

/// Admits one page of each host.
fn first_page_of(hosts: &[&str]) -> Act {
    let link = |(number, name): (u64, &&str)| Found {
        host: Host::from_stored(name),
        url: format!("http://{name}/").into(),
        fingerprint: Fingerprint(number),
        kind: LinkKind::Page,
        depth: 1,
        hops: 0,
    };
    Act::Admit {
        links: (1..).zip(hosts).map(link).collect(),
        force: false,
    }
}

/// Claims one URL of each of so many hosts.
fn claim(hosts: usize) -> Act {
    Act::Claim {
        taker: 0,
        hosts,
        urls: 1,
    }
}

/// A node dies, and another that goes on with its leases does not know at which addresses they count.
#[test]
fn what_a_dead_node_counted_at_an_address_counts_until_its_leases_would_have_ended() {
    let mut stage = Stage::<OnServer>::new(&rules());
    let enter = |lease| Act::Enter { lease, address: 1 };
    let acts = [
        first_page_of(&["a.test", "b.one.test", "c.one.test"]),
        claim(2),
        enter(0),
        enter(1),
        Act::Crash,
        Act::Release {
            lease: 1,
            handed: 0,
            ago: Some(Duration::ZERO),
        },
        claim(1),
        // Turned away by the lease that is out, and by the one that the dead node had entered.
        enter(0),
        Act::Pass(Duration::from_secs(4)),
        Act::Extend { lease: 0 },
        Act::Pass(Duration::from_secs(1)),
        enter(0),
    ];
    for act in acts {
        stage.play(&act);
        stage.compare();
    }
    stage.finish();
}

/// Of a domain that may have two leases the third host waits. Its turn moves while it waits, and it comes when its turn is.
#[test]
fn a_host_that_rests_while_its_domain_is_full_keeps_no_older_turn() {
    let mut stage = Stage::<OnServer>::new(&rules());
    let hosts = ["b.one.test", "c.one.test", "d.one.test"];
    let back = |lease, ago| Act::Release {
        lease,
        handed: 0,
        ago,
    };
    let rest = Act::Schedule {
        lease: 2,
        delay: None,
        rest: Some(Duration::from_millis(500)),
        strikes: None,
    };
    let acts = [
        first_page_of(&hosts),
        // Leases are counted back from the last. All three go back unused.
        claim(3),
        Act::Pass(Duration::from_millis(1)),
        back(0, None),
        back(1, None),
        claim(1),
        back(0, None),
        // b and c are leased, d waits for room, and then for its rest.
        claim(3),
        rest,
        Act::Pass(Duration::from_millis(200)),
        back(1, Some(Duration::ZERO)),
        Act::Pass(Duration::from_millis(400)),
        // b may be asked since 300 ms, d since 100.
        claim(1),
    ];
    for act in acts {
        stage.play(&act);
        stage.compare();
    }
    stage.finish();
}

/// One round of a node: claims, and settles the first URL of each lease as kept and the others as not.
fn work(store: &RedisStore, limit: u64) {
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 8,
        urls_per_host: 2,
    };
    let leases = now(store.claim(claim)).unwrap().leases;
    for lease in leases {
        let settles: Vec<Settle> = (0u32..)
            .zip(&lease.urls)
            .map(|(position, queued)| Settle {
                host: lease.host.clone(),
                token: lease.token,
                what: Settles::Url {
                    position,
                    outcome: Outcome::Ok,
                    fate: Fate::Done,
                    kept: position == 0,
                    bytes: 1,
                },
                via: queued.url.clone(),
                links: Vec::new(),
                read: None,
            })
            .collect();
        now(store.settle(&settles)).unwrap();
        let release = Release {
            host: lease.host,
            token: lease.token,
            handed: usize::MAX,
            last_end: None,
        };
        now(store.release(&release, None)).unwrap();
        let kept = now(store.stats()).unwrap().kept;
        assert!(kept <= limit, "{kept} of {limit}");
    }
}

#[test]
fn a_limit_holds_over_two_nodes_and_is_reached_although_one_dies_with_permits() {
    const LIMIT: u64 = 17;
    let clock = Clock::manual(contract::clock::Wall(1_000_000_000_000));
    let rules = Rules {
        limit: Some(LIMIT),
        delay: Duration::ZERO,
        domain_leases_max: None,
        ..rules()
    };
    let mut subject = OnServer::new(rules, clock.clone());
    let links = (0..60u64).map(|number| Found {
        host: Host::from_stored(&format!("h{}.test", number / 3)),
        url: format!("http://h{}.test/{number}", number / 3).into(),
        fingerprint: Fingerprint(number + 1),
        kind: LinkKind::Page,
        depth: 1,
        hops: 0,
    });
    let admit = Admit {
        links: links.collect(),
        via: "seed".into(),
        force: false,
    };
    now(subject.store().admit(&admit)).unwrap();
    work(subject.store(), LIMIT);
    // A node dies with leases, and with permits that it had for a claim whose answer it never got.
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 3,
        urls_per_host: 2,
    };
    assert!(!now(subject.store().claim(claim)).unwrap().leases.is_empty());
    let held = now(subject.store().core.permits.take(&subject.store().core, 4)).unwrap();
    assert!(held.is_some_and(|held| held.count > 0));
    subject.crash();
    for _ in 0..200 {
        work(subject.store(), LIMIT);
        // As the coordinator does.
        now(subject.store().stats()).unwrap();
        clock.advance(Duration::from_millis(500));
        subject.passed();
    }
    let stats = now(subject.store().stats()).unwrap();
    assert_eq!((stats.kept, stats.limit_reached), (LIMIT, true));
}

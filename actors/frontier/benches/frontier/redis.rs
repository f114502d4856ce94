//! What the store in Redis costs: processor time of the server and of the client a page, calls a page, bytes a known URL.
//!
//! `cargo bench -p frontier --bench frontier -- redis [KNOWN] [STORES] [LOOPS] [SHARDS]`. So many nodes' stores, each with
//! so many loops of claim, settle in groups of 64, release, work on one crawl until so many URLs are known. A page has 40
//! links, 8 of them new; of the others the node's cache and the group itself know most. Wall time depends on what else
//! the machine does, processor time hardly; making up the links is timed apart and not counted.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contract::admit::Admit;
use contract::canonical::Fingerprinter;
use contract::clock::{Chance, Clock};
use contract::crawl::CrawlConfig;
use contract::host::{Area, Host};
use contract::lease::{Claim, Lease, Release, Taker};
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::settle::{Settle, Settled, Settles};
use frontier::config::{FrontierConfig, Rules};
use frontier::fleet::address::Address;
use frontier::fleet::crawls::{self, NewCrawl, bucket_bits};
use frontier::fleet::{Link as Connection, deployment};
use frontier::store::Store;
use frontier::store::redis::{RedisOptions, RedisStore};
use futures_util::future::join_all;
use kit::redis::{Redis, RedisOptions as ServerOptions, Value};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::spent::own_cpu;

/// Links of a page, before anything is left out.
const LINKS: usize = 40;
/// Of them on hosts other than the page's, new or known.
const ELSEWHERE: usize = 3;
/// Of them never seen before.
const NEW: usize = 8;
/// Of them known for long: seldom in the cache.
const OLD: usize = 6;
/// Links that every page of a host has.
const TEMPLATE: u64 = 26;
/// Pages settled in one durable group.
const GROUP: usize = 64;
/// Hosts and URLs of each that a loop asks for at once.
const HOSTS_CLAIMED: usize = 16;
const URLS_CLAIMED: usize = 16;
/// Memory of a node's cache of fingerprints: so little that about 14 links of a page are sent.
const CACHE_BYTES: u64 = 512 << 10;
const HOSTS: usize = 20_000;

/// Hosts, each a domain of its own, and how many pages of each were made up.
struct Web {
    hosts: Vec<(Host, Area, u64)>,
    fingerprints: Fingerprinter,
    chance: Chance,
    making: Duration,
}

impl Web {
    fn link(&self, host: usize, page: u64) -> Link {
        let (name, area, _) = &self.hosts[host];
        let mut hash = Chance::seeded((u64::try_from(host).unwrap_or(0) << 40) | page);
        let (month, word) = (page % 97, hash.draw() as u32);
        let url = format!("https://{name}/articles/{month:02}/{page}-{word:x}-of-the-web.html");
        Link {
            fingerprint: self.fingerprints.of_plain(&url, *area),
            host: name.clone(),
            url: url.into(),
            kind: LinkKind::Page,
            depth: 3,
            hops: 0,
        }
    }

    fn new_link(&mut self, host: usize) -> Link {
        let page = self.hosts[host].2;
        self.hosts[host].2 += 1;
        self.link(host, page)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.chance.draw() % below.max(1)
    }

    fn other(&mut self) -> usize {
        let hosts = u64::try_from(self.hosts.len()).unwrap_or(1);
        usize::try_from(self.draw(hosts)).unwrap_or(0)
    }

    fn links(&mut self, host: usize) -> Vec<Link> {
        let mut links = Vec::with_capacity(LINKS);
        for at in 0..NEW {
            let whose = if at == 0 { self.other() } else { host };
            links.push(self.new_link(whose));
        }
        for at in 1..=OLD {
            let whose = if at < ELSEWHERE { self.other() } else { host };
            let page = self.hosts[whose].2;
            let page = self.draw(page);
            links.push(self.link(whose, page));
        }
        while links.len() < LINKS {
            let page = self.draw(TEMPLATE.min(self.hosts[host].2));
            links.push(self.link(host, page));
        }
        links
    }

    /// The settles of a group of pages.
    fn pages(&mut self, group: &[(&Lease, u32)]) -> Vec<Settle> {
        let before = own_cpu();
        let page = |&(lease, position): &(&Lease, u32)| Settle {
            host: lease.host.clone(),
            token: lease.token,
            what: Settles::Url {
                position,
                outcome: Outcome::Ok,
                fate: Fate::Done,
                kept: true,
                bytes: 10_000,
            },
            via: lease.urls[position as usize].url.clone(),
            links: self.links(number_of(&lease.host)),
            read: None,
        };
        let settles = group.iter().map(page).collect();
        self.making += own_cpu() - before;
        settles
    }
}

/// The number in a host's name, `h<n>.com`.
fn number_of(host: &Host) -> usize {
    let number = host.as_str()[1..].split('.').next();
    number.and_then(|n| n.parse().ok()).expect("our own name")
}

struct Bench {
    redis: Redis,
    stores: Vec<RedisStore>,
    web: RefCell<Web>,
    known: u64,
    shards: u16,
    bucket_bits: u8,
    counted: Counted,
    pages: Cell<u64>,
}

impl Bench {
    async fn open(known: u64, stores: usize, shards: u16, counted: Counted) -> Self {
        let redis = Redis::start(ServerOptions::default()).expect("redis-server is installed");
        let address = Address::parse(&redis.url()).expect("the kit's own address");
        let clock = Clock::machine();
        let rules = Rules {
            delay: Duration::ZERO,
            ..Rules::new(&CrawlConfig::default(), &FrontierConfig::default())
        };
        let mut bench = Self {
            redis,
            stores: Vec::new(),
            web: RefCell::new(Web {
                hosts: (0..HOSTS).map(host).collect(),
                fingerprints: Fingerprinter { seed: 1 },
                chance: Chance::seeded(1),
                making: Duration::ZERO,
            }),
            known,
            shards,
            bucket_bits: bucket_bits(known, shards),
            counted,
            pages: Cell::new(0),
        };
        for _ in 0..stores {
            let mut link = Connection::open(&address, None).await.expect("it runs");
            let made = deployment::open_or_create(&mut link, shards).await;
            let (deployment, _) = made.expect("an empty server");
            let new = NewCrawl {
                name: "bench".parse().expect("a name"),
                fingerprint_seed: 1,
                bucket_bits: bench.bucket_bits,
                by: "bench".to_owned(),
            };
            let crawl = crawls::create(&mut link, &new, &CrawlConfig::default()).await;
            let options = RedisOptions {
                rules: rules.clone(),
                clock: clock.clone(),
                memory_bytes: CACHE_BYTES,
                journal: None,
            };
            let crawl = crawl.expect("room for one");
            let store = RedisStore::open(link, &deployment, crawl, options).await;
            bench.stores.push(store.expect("it was just made"));
        }
        bench
    }

    /// Gives every host a first page and its template.
    async fn seed(&self) {
        for first in (0..HOSTS).step_by(50) {
            let mut links = Vec::new();
            for host in first..(first + 50).min(HOSTS) {
                links.extend((0..TEMPLATE).map(|_| self.web.borrow_mut().new_link(host)));
            }
            let admit = Admit {
                links,
                via: "seed".into(),
                force: false,
            };
            self.stores[0].admit(&admit).await.expect("it runs");
        }
    }

    /// One loop's work until enough is known.
    async fn work(&self, store: usize, taker: Taker) {
        let store = &self.stores[store];
        while store.stats().await.expect("it runs").known < self.known {
            for _ in 0..16 {
                self.round(store, taker).await;
            }
        }
    }

    async fn round(&self, store: &RedisStore, taker: Taker) {
        let claim = Claim {
            taker,
            hosts: HOSTS_CLAIMED,
            urls_per_host: URLS_CLAIMED,
        };
        let leases = store.claim(claim).await.expect("it runs").leases;
        let pages: Vec<(&Lease, u32)> = leases
            .iter()
            .flat_map(|lease| (0u32..).take(lease.urls.len()).map(move |at| (lease, at)))
            .collect();
        let groups = pages.chunks(GROUP).map(|group| async move {
            let settles = self.web.borrow_mut().pages(group);
            let taken = store.settle(&settles).await.expect("it runs");
            let is_new = |answer: &Settled| *answer == Settled::Applied;
            assert!(taken.answers.iter().all(is_new), "{:?}", taken.answers);
        });
        join_all(groups).await;
        let count = u64::try_from(pages.len()).unwrap_or(0);
        self.pages.set(self.pages.get() + count);
        let released = leases.iter().map(|lease| async move {
            let release = Release {
                host: lease.host.clone(),
                token: lease.token,
                handed: lease.urls.len(),
                last_end: None,
            };
            let released = store.release(&release, Some(Duration::ZERO)).await;
            released.expect("it runs");
        });
        join_all(released).await;
    }

    /// A line of `INFO commandstats`: calls and microseconds.
    fn command(&self, name: &str) -> (f64, f64) {
        let line = self.redis.info(&format!("cmdstat_{name}"));
        let line = line.unwrap_or_default();
        let field = |field: &str| {
            let mut fields = line.split(',');
            let value = fields.find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
            value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
        };
        (field("calls"), field("usec"))
    }
}

fn host(n: usize) -> (Host, Area, u64) {
    let host = Host::from_stored(&format!("h{n}.com"));
    let area = host.area();
    (host, area, 0)
}

pub(crate) fn run(words: &[String]) {
    let word = |at: usize, or: u64| {
        let word = words.get(at).map(|word| word.parse().expect("a number"));
        word.unwrap_or(or)
    };
    let (known, shards) = (word(0, 2_000_000), word(3, 64));
    let size = |number: u64| usize::try_from(number).expect("not so many");
    let (stores, loops) = (size(word(1, 1)), size(word(2, 4)));
    let shards = u16::try_from(shards).expect("shards are few");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let counted = Counted::default();
    metrics::set_global_recorder(counted.clone()).expect("none was set");
    runtime.block_on(async {
        let bench = Bench::open(known, stores, shards, counted).await;
        bench.seed().await;
        bench.redis.call(&["CONFIG", "RESETSTAT"]).expect("it runs");
        bench.counted.trips.store(0, Ordering::Relaxed);
        bench.web.borrow_mut().making = Duration::ZERO;
        let first = bench.stores[0].stats().await.expect("it runs").known;
        let memory = bench.redis.used_memory().expect("it runs");
        let (server, client) = (bench.redis.used_cpu_us().expect("it runs"), own_cpu());
        let began = Instant::now();
        let all = (0..stores * loops).map(|n| {
            let taker = Taker {
                index: n % loops,
                of: loops,
            };
            bench.work(n / loops, taker)
        });
        join_all(all).await;
        let (took, making) = (began.elapsed(), bench.web.borrow().making);
        let server = bench.redis.used_cpu_us().expect("it runs") - server;
        let client = own_cpu().saturating_sub(client + making);
        bench.report(first, server, client, memory).await;
        let rate = bench.pages.get() as f64 / took.saturating_sub(making).as_secs_f64();
        println!("wall: {rate:.0} pages/s, links made up not counted");
    });
}

/// Commands that scripts give, for the report.
const COMMANDS: [&str; 16] = [
    "sadd",
    "rpush",
    "hmget",
    "hset",
    "hincrby",
    "zadd",
    "zrem",
    "zrange",
    "lrange",
    "ltrim",
    "hget",
    "hexists",
    "zcard",
    "zpopmin",
    "zremrangebyscore",
    "time",
];
/// Buckets of the seen set that are weighed.
const WEIGHED: u32 = 256;

impl Bench {
    async fn report(&self, first: u64, server: u64, client: Duration, memory: u64) {
        let pages = self.pages.get() as f64;
        let known = self.stores[0].stats().await.expect("it runs").known - first;
        let kept = self.redis.used_memory().expect("it runs") - memory;
        let (scripts, scripts_us) = self.command("evalsha");
        let (sent, _) = self.command("sadd");
        let server = server as f64 / pages;
        println!(
            "{pages} pages, {} stores: server {server:.1} us/page ({:.0} pages/s a core), client {:.1} us/page",
            self.stores.len(),
            1e6 / server,
            client.as_secs_f64() * 1e6 / pages,
        );
        println!(
            "script calls {:.3}/page of {:.0} us each, {:.1} us/page in all; round trips {:.4}/page; links sent {:.1}/page, new {:.1}",
            scripts / pages,
            scripts_us / scripts,
            scripts_us / pages,
            self.counted.trips.load(Ordering::Relaxed) as f64 / pages,
            sent / pages,
            known as f64 / pages,
        );
        let mut text = String::from("in scripts, calls/page (us/page):");
        for name in COMMANDS {
            let (count, us) = self.command(name);
            // Writing to a string does not fail.
            let _ = write!(text, " {name} {:.2} ({:.1})", count / pages, us / pages);
        }
        println!("{text}");
        println!(
            "a URL found: {:.1} B in all, {:.2} B as seen",
            kept as f64 / known as f64,
            self.seen_bytes()
        );
    }

    /// Bytes of the seen set for each of its members, of some buckets.
    fn seen_bytes(&self) -> f64 {
        let mut client = self.redis.client().expect("it runs");
        let mut number = |words: &[&str]| match client.call(words) {
            Ok(Value::Int(number)) => number as f64,
            _ => 0.0,
        };
        let (mut bytes, mut members) = (0.0, 0.0);
        let buckets = 1 << self.bucket_bits;
        for n in 0..WEIGHED {
            let key = format!(
                "{{s{}}}:1:u:{}",
                n % u32::from(self.shards),
                (n * 7) % buckets
            );
            bytes += number(&["MEMORY", "USAGE", &key]);
            members += number(&["SCARD", &key]);
        }
        bytes / members
    }
}

/// Counts the round trips that the stores tell of.
#[derive(Clone, Default)]
struct Counted {
    trips: Arc<AtomicU64>,
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "argiope_frontier_round_trips_total" => Counter::from_arc(self.trips.clone()),
            _ => Counter::noop(),
        }
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

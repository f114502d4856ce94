//! Cold queues: bytes for bytes, between nodes that get in each other's way, and a million URLs of one host.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::clock::{Chance, Clock};
use contract::crawl::CrawlConfig;
use contract::host::Host;
use contract::lease::{Claim, Lease, Release, Taker};
use contract::link::{Link as Found, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::settle::{Settle, Settles};
use kit::redis::{Redis, RedisOptions as ServerOptions};
use proptest::prelude::*;

use super::*;
use crate::config::Rules;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::{Link, deployment};
use crate::store::Store;
use crate::store::element::{QueuedRef, encode_alone};
use crate::store::redis::{RedisOptions, RedisStore};
use crate::store::suite::{now, rules};

fn packed(elements: &[Vec<u8>]) -> Vec<u8> {
    let (used, chunk) = pack(elements).unwrap();
    assert_eq!(used, elements.len());
    chunk
}

proptest! {
    #[test]
    fn what_was_packed_comes_back_in_order(elements in prop::collection::vec(prop::collection::vec(0..4u8, 0..300), 0..40)) {
        prop_assert_eq!(unpack(&packed(&elements)).unwrap(), elements);
    }

    #[test]
    fn odd_bytes_are_an_error_and_no_panic(cut in 0..200usize, at in 0..200usize, byte: u8) {
        let elements: Vec<_> = (0..50u8).map(|n| vec![n, n / 2, 7, 7, 7, 7]).collect();
        let whole = packed(&elements);
        prop_assert!(unpack(&whole[..cut % whole.len()]).is_err());
        let mut other = whole.clone();
        other[at % whole.len()] = byte;
        // It may be the same byte, or one that nobody reads.
        let _either = unpack(&other);
    }
}

#[test]
fn a_chunk_has_bounds_in_bytes_too() {
    let large = vec![vec![1; CHUNK_BYTES_MAX]; 3];
    let (used, chunk) = pack(&large).unwrap();
    assert_eq!((used, unpack(&chunk).unwrap().len()), (1, 1));
    let mut chunk = vec![VERSION, 1];
    put_number(&mut chunk, UNPACKED_BYTES_MAX + 1);
    let error = unpack(&chunk).unwrap_err();
    assert!(matches!(error, StoreError::Answer { .. }), "{error:?}");
    let error = unpack(&[9, 1, 1]).unwrap_err();
    assert!(matches!(error, StoreError::Value { .. }), "{error:?}");
}

const HOST: &str = "a.test";

fn found(number: u64, path: &str) -> Found {
    Found {
        host: Host::from_stored(HOST),
        url: format!("https://{HOST}{path}").into(),
        // The host's area comes first; the rest spreads.
        fingerprint: Fingerprint(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16),
        kind: LinkKind::Page,
        depth: 3,
        hops: 0,
    }
}

fn admit(links: Vec<Found>, via: &str) -> Admit {
    Admit {
        links,
        via: format!("https://{HOST}{via}").into(),
        force: false,
    }
}

async fn opened(server: &Redis, cold: Lengths) -> RedisStore {
    let address = Address::parse(&server.url()).unwrap();
    let mut link = Link::open(&address, None).await.unwrap();
    let (deployment, _) = deployment::open_or_create(&mut link, 1).await.unwrap();
    let new = NewCrawl {
        name: "a".parse().unwrap(),
        fingerprint_seed: 7,
        bucket_bits: 11,
        by: "test".into(),
    };
    let crawl = crawls::create(&mut link, &new, &CrawlConfig::default())
        .await
        .unwrap();
    let options = RedisOptions {
        rules: Rules {
            delay: Duration::ZERO,
            lease: Duration::from_secs(90),
            ..rules()
        },
        clock: Clock::machine(),
        memory_bytes: 1 << 20,
        journal: None,
    };
    RedisStore::open_with(link, &deployment, crawl, options, cold)
        .await
        .unwrap()
}

/// One lease of the host, if one is to be had now.
async fn lease(store: &RedisStore, urls: usize) -> Option<Lease> {
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 1,
        urls_per_host: urls,
    };
    store.claim(claim).await.unwrap().leases.pop()
}

/// Fetches all of a lease.
async fn finish(store: &RedisStore, lease: &Lease) {
    let settle = |position| Settle {
        host: lease.host.clone(),
        token: lease.token,
        what: Settles::Url {
            position,
            outcome: Outcome::Ok,
            fate: Fate::Done,
            kept: true,
            bytes: 1,
        },
        via: "".into(),
        links: Vec::new(),
        read: None,
    };
    let settles: Vec<_> = (0u32..).take(lease.urls.len()).map(settle).collect();
    store.settle(&settles).await.unwrap();
    let release = Release {
        host: lease.host.clone(),
        token: lease.token,
        handed: lease.urls.len(),
        last_end: None,
    };
    store.release(&release, None).await.unwrap();
}

#[test]
fn nodes_that_pack_and_unpack_one_queue_at_once_lose_nothing() {
    const URLS: u64 = 600;
    let server = Redis::start(ServerOptions::default()).unwrap();
    let tiny = Lengths {
        queue_max: 4,
        chunk: 2,
        low: 3,
    };
    now(async {
        let nodes = [opened(&server, tiny).await, opened(&server, tiny).await];
        let finds = |node: usize| {
            let nodes = &nodes;
            async move {
                let first = if node == 0 { 0 } else { URLS };
                for from in (first..first + URLS).step_by(20) {
                    let links = (from..from + 20).map(|n| found(n, &format!("/{n}")));
                    nodes[node]
                        .admit(&admit(links.collect(), "/"))
                        .await
                        .unwrap();
                }
            }
        };
        let fetched = async {
            let (mut fetched, mut idle) = (Vec::new(), 0);
            while fetched.len() < 2 * URLS as usize {
                let node = &nodes[fetched.len() % 2];
                match lease(node, 5).await {
                    Some(lease) => {
                        finish(node, &lease).await;
                        fetched.extend(lease.urls.into_iter().map(|queued| queued.url));
                        idle = 0;
                    }
                    None => {
                        idle += 1;
                        // A claim that need not ask does not wait, and the others have work to do.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                assert!(idle < 10_000, "stuck after {} URLs", fetched.len());
            }
            fetched
        };
        let (_, _, fetched) = futures_util::join!(finds(0), finds(1), fetched);
        let distinct: BTreeSet<_> = fetched.iter().collect();
        assert_eq!((fetched.len(), distinct.len()), (1_200, 1_200));
        for half in [0, URLS] {
            let of = |url: &str| url[HOST.len() + 9..].parse::<u64>().unwrap();
            let half = fetched
                .iter()
                .map(|url| of(url))
                .filter(|n| n / URLS == half / URLS);
            let half: Vec<_> = half.collect();
            assert!(
                half.is_sorted(),
                "not in the order in which they came: {half:?}"
            );
        }
        let stats = nodes[0].stats().await.unwrap();
        assert_eq!(
            (stats.queued, stats.done, stats.hosts_active),
            (0, 1_200, 0)
        );
    });
    let left = server.call(&["KEYS", "*:[qkt]1:*"]).unwrap();
    assert_eq!(
        format!("{left:?}"),
        format!("{:?}", kit::redis::Value::Array(Vec::new()))
    );
}

/// Words as they are in the names of files and articles.
fn words(chance: &mut Chance, many: usize) -> Vec<String> {
    const PARTS: [&str; 24] = [
        "con", "ter", "in", "a", "pro", "li", "men", "to", "re", "sta", "on", "er", "ing", "de",
        "ma", "po", "ser", "ti", "al", "ex", "un", "com", "par", "ver",
    ];
    let part = |chance: &mut Chance| PARTS[(chance.draw() % PARTS.len() as u64) as usize];
    (0..many)
        .map(|_| (0..2 + chance.draw() % 3).map(|_| part(chance)).collect())
        .collect()
}

/// New links of a page; its other links are known already.
const PER_PAGE: usize = 8;

/// Paths of a site of one kind.
fn paths(kind: &str, many: usize) -> Vec<String> {
    let mut chance = Chance::seeded(1);
    let words = words(&mut chance, 2_000);
    // Some words come much more often than others.
    let mut word = || {
        let (one, other) = (chance.draw() % 2_000, chance.draw() % 2_000);
        words[(one * other / 2_000) as usize].as_str()
    };
    let path = |n: usize| match kind {
        "files" => format!("/3/library/{}-{}.{n}.html", word(), word()),
        "articles" => {
            let slug: Vec<_> = (0..6).map(|_| word()).collect();
            format!("/2026/{}/{}", n / 4_000 % 12 + 1, slug.join("-"))
        }
        _ => format!("/forum/viewtopic.php?id={}&page={}", 400_000 + n / 3, n % 3),
    };
    (0..many).map(path).collect()
}

#[test]
fn a_packed_url_costs_few_bytes() {
    #[track_caller]
    fn check(kind: &str, with_via: bool, most: f64) {
        let paths: Vec<_> = paths(kind, 10 * 1_024);
        let url = |path: &str| format!("https://{HOST}{path}");
        let mut bytes = 0;
        let elements: Vec<_> = (0..paths.len())
            .map(|n| {
                let (url, via) = (url(&paths[n]), url(&paths[n / PER_PAGE]));
                let queued = QueuedRef {
                    url: &url,
                    kind: LinkKind::Page,
                    depth: 3,
                    hops: 0,
                    tries: 0,
                    via: with_via.then_some(&via),
                    earlier: None,
                };
                encode_alone(HOST, queued).unwrap()
            })
            .collect();
        for chunk in elements.chunks(1_024) {
            bytes += packed(chunk).len();
        }
        let plain: usize = elements.iter().map(Vec::len).sum();
        let each = |bytes: usize| bytes as f64 / elements.len() as f64;
        println!(
            "{kind}, via {with_via}: {:.1} of {:.1}",
            each(bytes),
            each(plain)
        );
        assert!(each(bytes) <= most, "{kind}: {} a URL", each(bytes));
    }
    check("files", false, 12.0);
    check("files", true, 14.0);
    check("articles", false, 20.0);
    check("articles", true, 24.0);
    check("queries", false, 8.0);
    check("queries", true, 10.0);
}

#[test]
fn a_million_urls_of_one_host_cost_few_bytes_and_keep_their_order() {
    const URLS: usize = 1_000_000;
    let server = Redis::start(ServerOptions::default()).unwrap();
    let paths = paths("files", URLS);
    let url = |n: usize| format!("https://{HOST}{}", paths[n]);
    let pages: Vec<_> = (0..URLS / PER_PAGE)
        .map(|page| {
            let of = PER_PAGE * page..PER_PAGE * (page + 1);
            admit(
                of.map(|n| found(n as u64, &paths[n])).collect(),
                &paths[page],
            )
        })
        .collect();
    now(async {
        let store = opened(&server, Lengths::USUAL).await;
        for pages in pages.chunks(64) {
            let admits = pages.iter().map(|page| store.admit(page));
            futures_util::future::try_join_all(admits).await.unwrap();
        }
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.known, stats.queued), (URLS as u64, URLS as u64));
        let number = |words: &[&str]| match server.call(words).unwrap() {
            kit::redis::Value::Int(number) => usize::try_from(number).unwrap(),
            other => panic!("{other:?}"),
        };
        let (chunks, tail) = ("{s0}:1:k1:a.test", "{s0}:1:t1:a.test");
        let cold = number(&["LLEN", chunks]) * Lengths::USUAL.chunk;
        assert!(
            cold + 2 * Lengths::USUAL.queue_max >= URLS,
            "only {cold} are packed"
        );
        assert!(number(&["LLEN", tail]) < Lengths::USUAL.queue_max);
        let bytes = number(&["MEMORY", "USAGE", chunks, "SAMPLES", "0"]);
        println!(
            "{} bytes for {cold} URLs: {:.2} each",
            bytes,
            bytes as f64 / cold as f64
        );
        assert!(bytes < 20 * cold, "{bytes} bytes for {cold} URLs");
        let (mut read, mut after) = (0, None);
        loop {
            let some = store.queued_after(after, 5_000).await.unwrap();
            let Some(last) = some.last() else { break };
            assert!(some.len() < 7_000, "{} at once", some.len());
            after = Some(last.at.clone());
            for queued in some {
                assert_eq!(*queued.queued.url, *url(read));
                read += 1;
            }
        }
        assert_eq!(read, URLS);
        let mut fetched = 0;
        while fetched < 10_000 {
            let lease = lease(&store, 150).await.expect("it is due");
            assert_eq!(lease.urls.len(), 150, "at {fetched}");
            finish(&store, &lease).await;
            for queued in lease.urls {
                assert_eq!(*queued.url, *url(fetched));
                fetched += 1;
            }
        }
    });
}

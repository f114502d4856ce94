//! Crawls that move between stores, as files: nothing is lost, changed or out of its order; bad files are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::clock::{Clock, Wall};
use contract::control::FrontierStats;
use contract::crawl::CrawlConfig;
use contract::fault::FailPlan;
use contract::host::{Host, Origin};
use contract::lease::{Claim, Lease, Release, Schedule, Taker};
use contract::link::{Link as Found, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::robots::{RobotsAnswer, RobotsRecord};
use contract::settle::{Settle, Settles};
use flate2::read::GzDecoder;
use kit::redis::{Redis, RedisOptions as ServerOptions};

use super::file::{FileError, Import, export};
use super::*;
use crate::fleet::address::Address;
use crate::fleet::crawls::{self, NewCrawl};
use crate::fleet::{Link, deployment};
use crate::store::embedded::{Embedded, EmbeddedOptions};
use crate::store::redis::{RedisOptions, RedisStore};
use crate::store::suite::{now, rules};

const SEED: u64 = 77;
const HOSTS: u64 = 12;

fn at_first() -> Clock {
    Clock::manual(Wall(1_700_000_000_000_000))
}

fn in_folder(folder: &Path, clock: &Clock) -> Result<Embedded, StoreError> {
    let options = EmbeddedOptions {
        rules: rules(),
        clock: clock.clone(),
        memory_bytes: 16 << 20,
        fingerprint_seed: SEED,
        fail: FailPlan::none(),
    };
    Embedded::open(folder, options)
}

fn tell_time(server: &Redis, clock: &Clock) {
    for shard in 0..4 {
        let (gate, time) = (format!("{{s{shard}}}:m"), clock.wall().0.to_string());
        server.call(&["HSET", &gate, "clock", &time]).unwrap();
    }
}

/// A crawl in Redis of four shards, whose clock is the test's.
async fn on_server(server: &Redis, name: &str, clock: &Clock) -> RedisStore {
    let address = Address::parse(&server.url()).unwrap();
    let mut link = Link::open(&address, None).await.unwrap();
    let (deployment, _) = deployment::open_or_create(&mut link, 4).await.unwrap();
    tell_time(server, clock);
    let new = NewCrawl {
        name: name.parse().unwrap(),
        fingerprint_seed: SEED,
        bucket_bits: 4,
        by: "test".into(),
    };
    let config = CrawlConfig::default();
    let crawl = crawls::create(&mut link, &new, &config).await.unwrap();
    let options = RedisOptions {
        rules: rules(),
        clock: clock.clone(),
        memory_bytes: 1 << 20,
        journal: None,
    };
    RedisStore::open(link, &deployment, crawl, options)
        .await
        .unwrap()
}

fn url(host: u64, page: u64) -> Found {
    let name = format!("h{host}.d{}.test", host % 5);
    let host = Host::from_stored(&name);
    let spread = (host.area().0 as u64) << 48;
    let low = (page + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    Found {
        url: format!(
            "{}://{name}/p/{page}",
            if page.is_multiple_of(7) {
                "https"
            } else {
                "http"
            }
        )
        .into(),
        fingerprint: Fingerprint(spread | (low ^ u64::from(host.area().0))),
        kind: if page == 0 {
            LinkKind::Seed
        } else {
            LinkKind::Page
        },
        host,
        depth: 3,
        hops: u8::from(page.is_multiple_of(3)),
    }
}

async fn leases(store: &impl Store) -> Vec<Lease> {
    let claim = Claim {
        taker: Taker::ALONE,
        hosts: 20,
        urls_per_host: 7,
    };
    store.claim(claim).await.unwrap().leases
}

fn settle(lease: &Lease, position: u32, fate: Fate) -> Settle {
    Settle {
        host: lease.host.clone(),
        token: lease.token,
        what: Settles::Url {
            position,
            outcome: Outcome::Ok,
            fate,
            kept: fate == Fate::Done,
            bytes: 100,
        },
        via: "".into(),
        links: Vec::new(),
        read: None,
    }
}

async fn release(store: &impl Store, lease: &Lease) {
    let release = Release {
        host: lease.host.clone(),
        token: lease.token,
        handed: lease.urls.len(),
        last_end: None,
    };
    store.release(&release, Some(Duration::ZERO)).await.unwrap();
}

/// A crawl half done: pages of every fate, robots.txt, delays, a host with a queue of thousands.
async fn half_done(store: &impl Store) {
    for host in 0..HOSTS {
        let pages = if host == 3 { 5_000 } else { 30 + host };
        for pages in (0..pages).collect::<Vec<_>>().chunks(500) {
            let links = pages.iter().map(|&page| url(host, page)).collect();
            let via = "http://via.test/".into();
            let force = false;
            store.admit(&Admit { links, via, force }).await.unwrap();
        }
    }
    let forced = Found {
        url: "http://h1.d1.test/forced".into(),
        ..url(1, 900)
    };
    let admit = Admit {
        links: vec![forced],
        via: "".into(),
        force: true,
    };
    store.admit(&admit).await.unwrap();
    let bytes = serde_json::to_vec(&CrawlConfig::default()).unwrap();
    store.set_config(&bytes).await.unwrap();
    for lease in leases(store).await {
        let origin = Origin {
            https: false,
            host: lease.host.clone(),
            port: 80,
        };
        let record = Box::new(RobotsRecord {
            answer: RobotsAnswer::File((*b"User-agent: *\nDisallow: /x\xff").into()),
            fetched: Wall(5),
            failures: 1,
        });
        let mut robots = settle(&lease, 0, Fate::Done);
        robots.what = Settles::Robots { origin, record };
        let mut settles = vec![robots];
        for position in (0u32..).take(lease.urls.len()) {
            let fate = match position % 4 {
                0 => Fate::Retry {
                    tries: 1,
                    rest: Duration::from_secs(u64::from(position)),
                },
                1 => Fate::Retry {
                    tries: 3,
                    rest: Duration::ZERO,
                },
                2 => Fate::Return,
                _ => Fate::Done,
            };
            settles.push(settle(&lease, position, fate));
        }
        store.settle(&settles).await.unwrap();
        let wants = Schedule {
            host: lease.host.clone(),
            token: lease.token,
            delay: Some(Duration::from_secs(3)),
            rest: Some(Duration::from_secs(40)),
            strikes: None,
        };
        store.schedule(&wants).await.unwrap();
        release(store, &lease).await;
    }
    store
        .add_running_time(Duration::from_millis(1_500))
        .await
        .unwrap();
}

async fn exported(store: &impl Moves) -> Vec<u8> {
    export(store, Vec::new()).await.unwrap().1
}

fn lines(file: &[u8]) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What a file says, under a mask of fingerprints: rows of each kind in one order, each queue's in its own.
fn said(file: &[u8], mask: u64) -> (Whole, BTreeMap<String, Vec<String>>) {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let lines = lines(file);
    let mut whole: BTreeMap<String, Whole> = serde_json::from_str(&lines[1]).unwrap();
    for line in &lines[2..lines.len() - 1] {
        let row: BTreeMap<String, Row> = serde_json::from_str(line).unwrap();
        let row = &row["row"];
        let (name, rows) = match row {
            Row::Known(some) => {
                let some = some.iter().map(|one| format!("{:016x}", one & mask));
                ("known".to_owned(), some.collect())
            }
            Row::Queued { host, class, .. } => {
                (format!("queue {class} {host}"), vec![format!("{row:?}")])
            }
            _ => {
                let text = format!("{row:?}");
                (text[..4].to_owned(), vec![text])
            }
        };
        said.entry(name).or_default().extend(rows);
    }
    for (name, rows) in &mut said {
        if !name.starts_with("queue") {
            rows.sort();
        }
    }
    let whole = Whole {
        fingerprint_mask: mask,
        ..whole.remove("whole").unwrap()
    };
    (whole, said)
}

/// Fetches all that is left; answers the URLs.
async fn finish(store: &impl Store, pass: impl Fn(Duration)) -> BTreeSet<String> {
    let mut fetched = BTreeSet::new();
    while store.stats().await.unwrap().queued > 0 {
        let leases = leases(store).await;
        if leases.is_empty() {
            pass(Duration::from_secs(60));
        }
        for lease in leases {
            let settles = (0u32..).take(lease.urls.len());
            let settles: Vec<_> = settles.map(|at| settle(&lease, at, Fate::Done)).collect();
            store.settle(&settles).await.unwrap();
            for queued in &lease.urls {
                assert!(
                    fetched.insert(queued.url.to_string()),
                    "{queued:?} comes twice"
                );
            }
            release(store, &lease).await;
        }
    }
    fetched
}

#[test]
fn a_crawl_goes_from_a_folder_to_redis_and_back_and_is_the_same() {
    let (clock, server) = (at_first(), Redis::start(ServerOptions::default()).unwrap());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    now(async {
        let first = in_folder(folders[0].path(), &clock).unwrap();
        half_done(&first).await;
        let file = exported(&first).await;
        let redis = on_server(&server, "a", &clock).await;
        Import::open(&file[..])
            .unwrap()
            .into_store(&redis)
            .await
            .unwrap();
        let second = exported(&redis).await;
        let back = in_folder(folders[1].path(), &clock).unwrap();
        Import::open(&second[..])
            .unwrap()
            .into_store(&back)
            .await
            .unwrap();
        let third = exported(&back).await;
        let mask = redis.whole().await.unwrap().fingerprint_mask;
        assert_eq!(back.whole().await.unwrap().fingerprint_mask, mask);
        let (wanted, in_redis, back_again) =
            (said(&file, mask), said(&second, mask), said(&third, mask));
        assert!(wanted.1.len() > HOSTS as usize, "{:?}", wanted.1.keys());
        assert_eq!(wanted, in_redis);
        assert_eq!(wanted, back_again);
        let figures = |stats: FrontierStats| FrontierStats {
            hosts_waiting: 0,
            next: None,
            ..stats
        };
        let of = figures(first.stats().await.unwrap());
        // Running time is asked of the fleet.
        let mut on_redis = figures(redis.stats().await.unwrap());
        on_redis.ran = of.ran;
        assert_eq!(
            (&on_redis, &figures(back.stats().await.unwrap())),
            (&of, &of)
        );

        // Each goes on with the same: what is known stays known, what is left is fetched, no token comes twice.
        let again = Admit {
            links: vec![url(3, 4_999), url(0, 5)],
            via: "".into(),
            force: false,
        };
        for links in [
            redis.admit(&again).await.unwrap(),
            back.admit(&again).await.unwrap(),
        ] {
            assert_eq!((links.new, links.known), (0, 2));
        }
        let on_redis = finish(&redis, |by| {
            clock.advance(by);
            tell_time(&server, &clock);
        });
        let on_redis = on_redis.await;
        assert_eq!(on_redis.len() as u64, of.queued);
        assert_eq!(finish(&back, |by| clock.advance(by)).await, on_redis);
        assert_eq!(finish(&first, |by| clock.advance(by)).await, on_redis);
    });
}

#[test]
fn a_lease_whose_node_died_does_not_hold_a_crawl_back() {
    let (clock, server) = (at_first(), Redis::start(ServerOptions::default()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    now(async {
        let redis = on_server(&server, "a", &clock).await;
        half_done(&redis).await;
        let pass = |by| {
            clock.advance(by);
            tell_time(&server, &clock);
        };
        pass(Duration::from_secs(100));
        let leased = leases(&redis).await;
        let settled = settle(&leased[0], 0, Fate::Done);
        redis.settle(&[settled]).await.unwrap();
        redis.pause().await.unwrap();
        let error = export(&redis, Vec::new()).await.unwrap_err();
        assert!(
            matches!(error, FileError::Store(StoreError::Refusing(_))),
            "{error:?}"
        );
        // No claim can end it while the crawl is paused.
        pass(rules().lease);
        let file = exported(&redis).await;
        let (whole, rows) = said(&file, u64::MAX);
        let lost = rows["Host"]
            .iter()
            .filter(|row| row.contains("failures: 1"));
        assert_eq!(lost.count(), leased.len());
        let back = in_folder(folder.path(), &clock).unwrap();
        let import = Import::open(&file[..]).unwrap();
        import.into_store(&back).await.unwrap();
        let fetched = finish(&back, |by| clock.advance(by)).await;
        assert_eq!(fetched.len() as u64, whole.queued);
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let (clock, server) = (at_first(), Redis::start(ServerOptions::default()).unwrap());
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    now(async {
        let first = in_folder(folders[0].path(), &clock).unwrap();
        half_done(&first).await;
        let file = exported(&first).await;
        // While it is worked on.
        clock.advance(Duration::from_secs(100));
        let leases = leases(&first).await;
        assert!(!leases.is_empty());
        let error = export(&first, Vec::new()).await.unwrap_err();
        assert!(
            matches!(error, FileError::Store(StoreError::Refusing(_))),
            "{error:?}"
        );
        // Into a crawl that is there.
        let error = Import::open(&file[..])
            .unwrap()
            .into_store(&first)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FileError::Store(StoreError::Unfit(_))),
            "{error:?}"
        );
        // Of another seed.
        let mut import = Import::open(&file[..]).unwrap();
        import.whole.fingerprint_seed += 1;
        let store = in_folder(folders[1].path(), &clock).unwrap();
        let error = import.into_store(&store).await.unwrap_err();
        assert!(
            error.to_string().contains("another fingerprint seed"),
            "{error}"
        );
        // Of too few bits.
        let mut import = Import::open(&file[..]).unwrap();
        import.whole.fingerprint_mask = u64::MAX >> 8;
        let redis = on_server(&server, "a", &clock).await;
        let error = import.into_store(&redis).await.unwrap_err();
        assert!(error.to_string().contains("too few bits"), "{error}");
        // Cut at any place: refused, and the store is not to be worked on.
        let store = in_folder(folders[2].path(), &clock).unwrap();
        let cut = &file[..file.len() * 9 / 10];
        let error = Import::open(cut)
            .unwrap()
            .into_store(&store)
            .await
            .unwrap_err();
        assert!(matches!(error, FileError::Cut { .. }), "{error:?}");
        drop(store);
        let error = in_folder(folders[2].path(), &clock).err().unwrap();
        assert!(error.to_string().contains("not finished"), "{error}");
        let error = Import::open(cut)
            .unwrap()
            .into_store(&redis)
            .await
            .unwrap_err();
        assert!(matches!(error, FileError::Cut { .. }), "{error:?}");
        assert!(matches!(redis.resume().await, Err(StoreError::Refusing(_))));
        let claim = Claim {
            taker: Taker::ALONE,
            hosts: 5,
            urls_per_host: 5,
        };
        assert!(matches!(
            redis.claim(claim).await,
            Err(StoreError::Refusing(_))
        ));
    });
    let lines = lines(&file_of(&clock));
    #[track_caller]
    fn check(lines: &[String], want: &str) {
        let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for line in lines {
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
        }
        let file = file.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let read = || {
            let store = in_folder(folder.path(), &at_first()).unwrap();
            now(Import::open(&file[..])?.into_store(&store))
        };
        let error = read().map(drop).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    let with = |at: usize, line: String| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines
    };
    check(&["<html>".to_owned()], "no file of a frontier");
    check(&with(0, lines[0].replace(":1,", ":9,")), "format 9");
    check(
        &with(0, lines[0].replace("psl-", "other-")),
        "public suffix list other-",
    );
    check(&with(3, "{".to_owned()), "line 4 cannot be read");
    check(&with(3, lines[4].clone()), "checksum");
    check(&lines[..lines.len() - 1], "it was cut");
}

/// A small crawl's file.
fn file_of(clock: &Clock) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    now(async {
        let store = in_folder(folder.path(), clock).unwrap();
        let links = (0..3).map(|page| url(1, page)).collect();
        let admit = Admit {
            links,
            via: "".into(),
            force: false,
        };
        store.admit(&admit).await.unwrap();
        exported(&store).await
    })
}

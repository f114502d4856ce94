//! What the embedded store costs: pages a second, CPU a page, memory and disk a known URL.
//!
//! `cargo bench -p frontier --bench frontier -- [links|crawl] [KNOWN] [HOSTS]`. `links` finds 13 new URLs among the 20 links of a page,
//! `crawl` one. Everything is as in a crawl: hosts are claimed, pages settled in durable groups of 64 with their
//! links, leases released. Making up the links is timed apart and not counted.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use contract::canonical::Fingerprint;
use contract::clock::{Chance, Clock};
use contract::fault::FailPlan;
use contract::host::Host;
use contract::lease::{Claim, Lease, Release, Taker};
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::settle::{Settle, Settled, Settles};
use frontier::config::{FrontierConfig, Rules};
use frontier::store::Store;
use frontier::store::embedded::{Embedded, EmbeddedOptions};

use crate::spent::{all_cpu, own_cpu};

const LINKS: usize = 20;
/// Pages settled in one durable group.
const GROUP: usize = 64;
/// Links that every page of a host has.
const TEMPLATE: u64 = 12;

fn now<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the embedded store does not wait"),
    }
}

/// A web of `hosts` hosts, whose pages are numbered as they are found.
struct Web {
    hosts: Vec<(Host, u64)>,
    new_links: usize,
    chance: Chance,
}

impl Web {
    fn link(&self, host: usize, page: u64) -> Link {
        let (name, _) = &self.hosts[host];
        let mut hash = Chance::seeded((u64::try_from(host).unwrap_or(0) << 40) | page);
        let word = hash.draw();
        Link {
            host: name.clone(),
            url: format!(
                "https://{name}/articles/{:02}/{page}-{word:x}-of-the-web.html",
                page % 97
            )
            .into(),
            fingerprint: Fingerprint(hash.draw()),
            kind: LinkKind::Page,
            depth: 3,
            hops: 0,
        }
    }

    /// New ones first, then links of the template, then some of anywhere on the host.
    fn links(&mut self, host: usize) -> Vec<Link> {
        let mut links = Vec::with_capacity(LINKS);
        for at in 0..LINKS {
            let found = self.hosts[host].1;
            let page = if at < self.new_links {
                self.hosts[host].1 += 1;
                found
            } else if at % 10 == 7 {
                self.chance.draw() % found
            } else {
                self.chance.draw() % TEMPLATE.min(found)
            };
            links.push(self.link(host, page));
        }
        links
    }
}

fn rss_anon() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

struct Run {
    store: Embedded,
    web: Web,
    pages: u64,
    making: Duration,
}

impl Run {
    fn settle(&mut self, group: &[(usize, &Lease, u32)]) {
        let before = own_cpu();
        let settles: Vec<Settle> = group
            .iter()
            .map(|&(host, lease, position)| Settle {
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
                links: self.web.links(host),
                read: None,
            })
            .collect();
        self.making += own_cpu() - before;
        let taken = now(self.store.settle(&settles)).expect("the disk holds");
        assert!(
            taken
                .answers
                .iter()
                .all(|&answer| answer == Settled::Applied)
        );
        self.pages += u64::try_from(group.len()).unwrap_or(0);
        let before = own_cpu();
        drop(settles);
        self.making += own_cpu() - before;
    }

    /// One fetcher's round: claim, settle all in groups, release.
    fn round(&mut self) {
        let claim = Claim {
            taker: Taker::ALONE,
            hosts: 8,
            urls_per_host: 16,
        };
        let claimed = now(self.store.claim(claim)).expect("the disk holds");
        let leases: Vec<(usize, Lease)> = claimed
            .leases
            .into_iter()
            .map(|lease| {
                let number = lease.host.as_str()[1..].split('.').next();
                let host = number.and_then(|n| n.parse().ok()).expect("our own name");
                (host, lease)
            })
            .collect();
        let mut group = Vec::with_capacity(GROUP);
        for (host, lease) in &leases {
            for position in 0..lease.urls.len() {
                group.push((*host, lease, u32::try_from(position).unwrap_or(0)));
                if group.len() == GROUP {
                    self.settle(&group);
                    group.clear();
                }
            }
        }
        self.settle(&group);
        for (_, lease) in &leases {
            let release = Release {
                host: lease.host.clone(),
                token: lease.token,
                handed: lease.urls.len(),
                last_end: None,
            };
            now(self.store.release(&release, Some(Duration::ZERO))).expect("the disk holds");
        }
    }

    fn report(
        &self,
        (began, cpu_before): (Instant, (Duration, Duration)),
        idle: u64,
        folder: &Path,
    ) {
        let stats = now(self.store.stats()).expect("the disk holds");
        let (own, all) = (own_cpu(), all_cpu());
        let pages = self.pages.max(1) as f64;
        let each = |spent: Duration, before: Duration| {
            spent.saturating_sub(before + self.making).as_secs_f64() * 1e6 / pages
        };
        println!(
            "{:>9} known {:>9} queued {:>8} pages: {:>6.0} pages/s; us CPU/page {:>5.1} in the verbs, {:>5.1} in all; {:>4} MB RSS; a known URL {:>5.1} B RAM, {:>5.1} B disk",
            stats.known,
            stats.queued,
            self.pages,
            pages / began.elapsed().saturating_sub(self.making).as_secs_f64(),
            each(own, cpu_before.0),
            each(all, cpu_before.1),
            rss_anon() >> 20,
            rss_anon().saturating_sub(idle) as f64 / stats.known as f64,
            bytes_below(folder) as f64 / stats.known as f64,
        );
    }
}

pub(crate) fn run(words: &[String]) {
    let word = |at: usize, default: &str| words.get(at).map_or(default, String::as_str).to_owned();
    let new_links = if word(0, "links") == "crawl" { 1 } else { 13 };
    let known: u64 = word(1, "1000000").parse().expect("KNOWN is a number");
    let hosts: usize = word(2, "1000").parse().expect("HOSTS is a number");
    let folder = std::env::temp_dir().join(format!("frontier-bench-{}", std::process::id()));
    let idle = rss_anon();
    let node = FrontierConfig::default();
    let rules = Rules {
        delay: Duration::ZERO,
        domain_leases_max: None,
        ..Rules::new(&contract::crawl::CrawlConfig::default(), &node)
    };
    let options = EmbeddedOptions {
        rules,
        clock: Clock::machine(),
        memory_bytes: node.memory_bytes,
        fingerprint_seed: 1,
        fail: FailPlan::none(),
    };
    let store = Embedded::open(&folder, options.clone()).expect("the folder is new");
    let hosts = (0..hosts)
        .map(|n| (Host::from_stored(&format!("h{n}.example.com")), 0))
        .collect();
    let web = Web {
        hosts,
        new_links,
        chance: Chance::seeded(1),
    };
    let mut run = Run {
        store,
        web,
        pages: 0,
        making: Duration::ZERO,
    };
    for host in 0..run.web.hosts.len() {
        // A crawl of few new links a page has long had a queue.
        let links = (0..if new_links == 1 { 100 } else { 1 })
            .map(|page| run.web.link(host, page))
            .collect::<Vec<_>>();
        run.web.hosts[host].1 = u64::try_from(links.len()).unwrap_or(0);
        let admit = contract::admit::Admit {
            links,
            via: "seed".into(),
            force: false,
        };
        now(run.store.admit(&admit)).expect("the disk holds");
    }
    let start = (Instant::now(), (own_cpu(), all_cpu()));
    let first = now(run.store.stats()).expect("the disk holds").known;
    let mut next = first + known / 10;
    loop {
        run.round();
        let stats = now(run.store.stats()).expect("the disk holds").known;
        if stats >= next {
            run.report(start, idle, &folder);
            next += (known / 10).max(1);
        }
        if stats >= first + known {
            break;
        }
    }
    drop(run);
    let (began, before) = (Instant::now(), rss_anon());
    let store = Embedded::open(&folder, options).expect("it was closed well");
    let stats = now(store.stats()).expect("the disk holds");
    println!(
        "opened again in {:?} ({} known, {} MB RSS before, {} MB after)",
        began.elapsed(),
        stats.known,
        before >> 20,
        rss_anon() >> 20
    );
    drop(store);
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("cannot remove {}: {error}", folder.display());
    }
}

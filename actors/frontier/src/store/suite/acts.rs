//! What can happen to a store, as values that proptest draws and shrinks.

use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::clock::{Clock, Wall};
use contract::control::GaveUp;
use contract::earlier::{Again, Earlier, Reopened};
use contract::host::{Host, Origin};
use contract::lease::{
    Claim, EnterAddress, Extend, Release, Schedule, Strikes, Taker, Visit, Visited,
};
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::robots::{RobotsAnswer, RobotsRecord};
use contract::settle::{Settle, Settles};
use proptest::prelude::*;

use super::now;
use super::witness::{Granted, Witness};
use crate::error::StoreError;
use crate::store::Store;

/// One act. Leases are named by the order in which they were given; also those that ended long ago can act.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Admit {
        links: Vec<Link>,
        force: bool,
    },
    /// Those of these that were done, or leased once; as refreshes or not, and as kept before or not.
    Reopen {
        links: Vec<Link>,
        refresh: bool,
        was_kept: bool,
    },
    Claim {
        taker: usize,
        hosts: usize,
        urls: usize,
    },
    /// One request to a host of this number, which may have nothing queued.
    Visit {
        host: usize,
    },
    /// A group of settles; sent twice if the reply was lost.
    Settle {
        pages: Vec<Page>,
        twice: bool,
    },
    /// Every URL of a lease, done and kept.
    SettleAll {
        lease: usize,
    },
    Robots {
        lease: usize,
        port: u16,
        failures: u8,
    },
    Extend {
        lease: usize,
    },
    Release {
        lease: usize,
        handed: usize,
        ago: Option<Duration>,
    },
    Schedule {
        lease: usize,
        delay: Option<Duration>,
        rest: Option<Duration>,
        strikes: Option<Strikes>,
    },
    Enter {
        lease: usize,
        address: u8,
    },
    Pause,
    Resume,
    /// What was given up, all of it forgotten if `told`.
    GaveUp {
        told: bool,
    },
    Ran(Duration),
    Configure(u8),
    Wake,
    Pass(Duration),
    Crash,
}

/// A page that is settled.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(super) lease: usize,
    pub(super) position: u32,
    pub(super) fate: Fate,
    pub(super) kept: bool,
    pub(super) links: Vec<Link>,
}

const HOSTS: [&str; 5] = [
    "a.test",
    "b.one.test",
    "c.one.test",
    "d.one.test",
    "127.0.0.1",
];

fn link() -> impl Strategy<Value = Link> {
    let kind = prop_oneof![
        4 => Just(LinkKind::Page),
        1 => Just(LinkKind::Embed),
        1 => Just(LinkKind::Sitemap),
        1 => Just(LinkKind::Seed),
    ];
    (0..HOSTS.len(), 0..12u64, kind, any::<bool>()).prop_map(|(host, page, kind, tls)| {
        let name = HOSTS[host];
        let scheme = if tls { "https" } else { "http" };
        let host_number = u64::try_from(host).unwrap();
        Link {
            host: Host::from_stored(name),
            url: format!("{scheme}://{name}/{page}").into(),
            // Distinct pages of two schemes collide on purpose here and there.
            fingerprint: Fingerprint(
                1 + host_number * 100 + page * 2 + u64::from(tls && page < 10),
            ),
            kind,
            depth: 1,
            hops: 0,
        }
    })
}

/// Links of a few hosts, fewer than this.
pub(crate) fn links(most: usize) -> impl Strategy<Value = Vec<Link>> {
    prop::collection::vec(link(), 0..most)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Done),
        1 => Just(Fate::Return),
        2 => (1..4u8, 0..90u64).prop_map(|(tries, rest)| Fate::Retry {
            tries,
            rest: Duration::from_secs(rest),
        }),
    ]
}

fn page() -> impl Strategy<Value = Page> {
    (0..8usize, 0..6u32, fate(), any::<bool>(), links(3)).prop_map(
        |(lease, position, fate, kept, links)| Page {
            lease,
            position,
            fate,
            kept,
            links,
        },
    )
}

fn ms(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn strikes() -> impl Strategy<Value = Option<Strikes>> {
    let strikes = (0..3u8, 0..3u8, 0..2_u64).prop_map(|(unreached, refused, n)| Strikes {
        unreached,
        refused,
        last: Wall(n * 1_800_000_000_123_456),
    });
    prop::option::of(strikes)
}

/// Any act; leases count back from the latest.
pub(super) fn act() -> impl Strategy<Value = Act> {
    let lease = || 0..6usize;
    prop_oneof![
        4 => (links(8), any::<bool>()).prop_map(|(links, force)| Act::Admit { links, force }),
        3 => (links(8), any::<bool>(), any::<bool>())
            .prop_map(|(links, refresh, was_kept)| Act::Reopen { links, refresh, was_kept }),
        6 => (0..2usize, 0..4usize, 0..6usize)
            .prop_map(|(taker, hosts, urls)| Act::Claim { taker, hosts, urls }),
        2 => (0..HOSTS.len()).prop_map(|host| Act::Visit { host }),
        6 => (prop::collection::vec(page(), 1..5), any::<bool>())
            .prop_map(|(pages, twice)| Act::Settle { pages, twice }),
        2 => lease().prop_map(|lease| Act::SettleAll { lease }),
        1 => (lease(), 80..82u16, 0..3u8)
            .prop_map(|(lease, port, failures)| Act::Robots { lease, port, failures }),
        2 => lease().prop_map(|lease| Act::Extend { lease }),
        5 => (lease(), 0..6usize, prop::option::of(ms(0..500)))
            .prop_map(|(lease, handed, ago)| Act::Release { lease, handed, ago }),
        2 => (lease(), prop::option::of(ms(0..2_000)), prop::option::of(ms(0..9_000)), strikes())
            .prop_map(|(lease, delay, rest, strikes)| Act::Schedule { lease, delay, rest, strikes }),
        2 => (lease(), 0..2u8).prop_map(|(lease, address)| Act::Enter { lease, address }),
        1 => prop_oneof![Just(Act::Pause), Just(Act::Resume), Just(Act::Resume)],
        1 => any::<bool>().prop_map(|told| Act::GaveUp { told }),
        1 => ms(0..5_000).prop_map(Act::Ran),
        1 => any::<bool>().prop_map(|other| Act::Configure(u8::from(other))),
        1 => Just(Act::Wake),
        4 => ms(1..400).prop_map(Act::Pass),
        1 => ms(1_000..9_000).prop_map(Act::Pass),
        1 => ms(30_000..90_000).prop_map(Act::Pass),
        1 => Just(Act::Crash),
    ]
}

impl Act {
    /// The same with fingerprints that tell the areas of their hosts, as they do in a crawl.
    pub(super) fn in_areas(mut self) -> Self {
        let place = |link: &mut Link| {
            link.fingerprint.0 |= u64::from(link.host.area().0) << 48;
        };
        match &mut self {
            Self::Admit { links, .. } => links.iter_mut().for_each(place),
            Self::Settle { pages, .. } => {
                let links = pages.iter_mut().flat_map(|page| &mut page.links);
                links.for_each(place);
            }
            _ => {}
        }
        self
    }
}

/// What was answered, in a form that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// As it prints.
    Said(String),
    Claimed(Vec<Granted>, Option<Option<Duration>>),
    Visited(Granted),
    Reopened(Reopened),
    Refused,
    /// How each settle was taken, first and second time.
    Settled(Vec<Settle1>),
    GaveUp(Vec<GaveUp>),
}

/// One settle with its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settle1 {
    pub(super) lease: usize,
    pub(super) position: u32,
    pub(super) done: bool,
    pub(super) kept: bool,
    pub(super) answer: contract::settle::Settled,
}

impl Act {
    /// Does it to a store. Acts on leases that were never given do nothing.
    pub(super) fn tell<S: Store>(
        &self,
        store: &S,
        witness: &Witness,
        clock: &Clock,
    ) -> Result<Answer, StoreError> {
        let said = |text: &dyn std::fmt::Debug| Ok(Answer::Said(format!("{text:?}")));
        let nothing = Ok(Answer::Said(String::new()));
        match self {
            Self::Pass(_) | Self::Crash => nothing,
            Self::Admit { links, force } => said(&now(store.admit(&Admit {
                links: links.clone(),
                via: "http://a.test/".into(),
                force: *force,
            }))?),
            Self::Reopen {
                links,
                refresh,
                was_kept,
            } => {
                let again = links.iter().filter(|link| witness.was_met(&link.url));
                let again = again.map(|link| Again {
                    link: link.clone(),
                    via: None,
                    earlier: refresh.then(|| {
                        Box::new(Earlier {
                            digest: "sha1:X".into(),
                            url: link.url.clone(),
                            ..Earlier::default()
                        })
                    }),
                    was_kept: *was_kept,
                });
                let again: Vec<_> = again.collect();
                Ok(Answer::Reopened(now(store.reopen(&again))?))
            }
            Self::Claim { taker, hosts, urls } => {
                let taker = Taker {
                    index: *taker,
                    of: 2,
                };
                let claim = Claim {
                    taker,
                    hosts: *hosts,
                    urls_per_host: *urls,
                };
                match now(store.claim(claim)) {
                    Err(StoreError::Refusing(_)) => Ok(Answer::Refused),
                    Err(error) => Err(error),
                    Ok(claimed) => {
                        // A store need not look behind the last host that was asked for.
                        let looked = claimed.leases.len() < *hosts && *urls > 0;
                        let granted = claimed.leases.iter().map(Granted::from).collect();
                        Ok(Answer::Claimed(granted, looked.then_some(claimed.next_due)))
                    }
                }
            }
            Self::Visit { host } => {
                let host = Host::from_stored(HOSTS[*host]);
                match now(store.visit(&Visit { host })) {
                    Err(StoreError::Refusing(_)) => Ok(Answer::Refused),
                    Err(error) => Err(error),
                    Ok(Visited::Granted(lease)) => Ok(Answer::Visited(Granted::from(&lease))),
                    Ok(other) => said(&other),
                }
            }
            Self::Settle { pages, twice } => {
                let mut told = Vec::new();
                for _ in 0..1 + usize::from(*twice) {
                    told.extend(settle(store, witness, pages)?);
                }
                Ok(Answer::Settled(told))
            }
            Self::SettleAll { lease } => {
                let urls = witness.lease(*lease).map_or(0, |lease| lease.urls.len());
                let pages: Vec<Page> = (0..u32::try_from(urls).unwrap())
                    .map(|position| Page {
                        lease: *lease,
                        position,
                        fate: Fate::Done,
                        kept: true,
                        links: Vec::new(),
                    })
                    .collect();
                Ok(Answer::Settled(settle(store, witness, &pages)?))
            }
            Self::Robots {
                lease,
                port,
                failures,
            } => {
                let Some(lease) = witness.lease(*lease) else {
                    return nothing;
                };
                let origin = Origin {
                    https: false,
                    host: lease.host.clone(),
                    port: *port,
                };
                let record = Box::new(RobotsRecord {
                    answer: RobotsAnswer::Unavailable { status: 404 },
                    fetched: Wall(9),
                    failures: *failures,
                });
                said(&now(store.settle(&[Settle {
                    host: lease.host.clone(),
                    token: lease.token,
                    what: Settles::Robots { origin, record },
                    via: "http://a.test/robots.txt".into(),
                    links: Vec::new(),
                    read: None,
                }]))?)
            }
            Self::Extend { lease } => match witness.lease(*lease) {
                None => nothing,
                Some(lease) => said(&now(store.extend(&Extend {
                    host: lease.host.clone(),
                    token: lease.token,
                }))?),
            },
            Self::Release { lease, handed, ago } => match witness.lease(*lease) {
                None => nothing,
                Some(lease) => {
                    let release = Release {
                        host: lease.host.clone(),
                        token: lease.token,
                        handed: *handed,
                        last_end: ago.map(|_| clock.boot()),
                    };
                    said(&now(store.release(&release, *ago))?)
                }
            },
            Self::Schedule {
                lease,
                delay,
                rest,
                strikes,
            } => match witness.lease(*lease) {
                None => nothing,
                Some(lease) => said(&now(store.schedule(&Schedule {
                    host: lease.host.clone(),
                    token: lease.token,
                    delay: *delay,
                    rest: *rest,
                    strikes: *strikes,
                }))?),
            },
            Self::Enter { lease, address } => match witness.lease(*lease) {
                None => nothing,
                Some(lease) => said(&now(store.enter_address(&EnterAddress {
                    host: lease.host.clone(),
                    token: lease.token,
                    address: [192, 0, 2, *address].into(),
                }))?),
            },
            Self::Pause => said(&now(store.pause())?),
            Self::Resume => said(&now(store.resume())?),
            Self::GaveUp { told } => {
                let mut gave_up = now(store.gave_up(&[]))?;
                if *told {
                    let numbers: Vec<_> = gave_up.iter().map(|gave| gave.number).collect();
                    let left = now(store.gave_up(&numbers))?;
                    assert!(left.is_empty(), "told, and not forgotten: {left:?}");
                }
                // Numbers are each store's own.
                gave_up.iter_mut().for_each(|gave| gave.number = 0);
                gave_up.sort_by_key(|gave| gave.token);
                Ok(Answer::GaveUp(gave_up))
            }
            Self::Ran(more) => said(&now(store.add_running_time(*more))?),
            Self::Configure(bytes) => said(&now(store.set_config(&[*bytes]))?),
            // A store may wake a fetcher for nothing, never let it sleep over something.
            Self::Wake => said(&now(store.next_wake()).map(|_| ())?),
        }
    }
}

fn settle<S: Store>(
    store: &S,
    witness: &Witness,
    pages: &[Page],
) -> Result<Vec<Settle1>, StoreError> {
    let (mut settles, mut told) = (Vec::new(), Vec::new());
    for page in pages {
        let Some(lease) = witness.lease(page.lease) else {
            continue;
        };
        settles.push(Settle {
            host: lease.host.clone(),
            token: lease.token,
            what: Settles::Url {
                position: page.position,
                outcome: Outcome::Ok,
                fate: page.fate,
                kept: page.kept && page.fate == Fate::Done,
                bytes: 10,
            },
            via: "http://a.test/x".into(),
            links: page.links.clone(),
            read: None,
        });
        told.push(page);
    }
    let taken = now(store.settle(&settles))?;
    assert_eq!(taken.answers.len(), settles.len());
    Ok(told
        .into_iter()
        .zip(taken.answers)
        .map(|(page, answer)| Settle1 {
            lease: page.lease,
            position: page.position,
            done: page.fate == Fate::Done,
            kept: page.kept,
            answer,
        })
        .collect())
}

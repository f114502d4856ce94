//! A synthetic web by formula: every page is computed from its URL and a seed, nothing is stored.
//!
//! [`Web`] says how many hosts, pages and oddities there are; [`Web::answer`] is what its servers say, and
//! [`Web::truth`] is exactly what a crawler that starts at the first host's home page must find, and what it must
//! leave alone. A kind of page that only a well-behaved crawler reaches hangs on each oddity: `/landed/` behind
//! a redirect, `/after/` behind an answer that first was 503, `/listed/` in the sitemap alone.
//! Start reading at [`Place`], the map of one host; what its servers say is in `content.rs`.

mod content;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::seed::mix;

/// The shape of a web. The default is one small host with some of everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Decides which pages are linked, how links are spelled, what the text is.
    pub seed: u64,
    /// `http` or `https`, for links that are written in full.
    pub scheme: String,
    /// Hosts, named `h0.SUFFIX` and so on; each home page links to the next host's.
    pub hosts: usize,
    /// What host names end in.
    pub suffix: String,
    /// Registered domains that the hosts are shared out among, `d0.SUFFIX` and so on where `SUFFIX` is a public one; 0: all
    /// hosts are `hN.SUFFIX`.
    pub domains: usize,
    /// Ordinary pages of each host, the home page included; all are linked.
    pub pages_per_host: usize,
    /// Links to ordinary pages on each ordinary page (at least 2 where pages are left to be linked).
    pub links_per_page: usize,
    /// Bytes of text on each page, about.
    pub body_bytes: usize,
    /// Every so many pages link to a redirect (0: none); likewise the next three.
    pub moved_every: usize,
    /// … to a page that is 404.
    pub gone_every: usize,
    /// … to a page that robots.txt disallows.
    pub private_every: usize,
    /// … to a page that is 503 at first.
    pub flaky_every: usize,
    /// How often a flaky page answers 503 before it answers 200.
    pub flaky_times: u32,
    /// `Retry-After` of those answers, in seconds.
    pub retry_after_s: Option<u64>,
    /// Pages of each host that only its sitemap names.
    pub listed: usize,
    /// What `/robots.txt` answers.
    pub robots: Robots,
    /// `Crawl-delay` in robots.txt, in seconds.
    pub crawl_delay_s: Option<f64>,
    /// Least and most milliseconds an answer takes; which, the URL decides.
    pub delay_ms: (u64, u64),
    /// Every so many URLs take `slow_ms` (0: none).
    pub slow_every: u64,
    /// Milliseconds that a slow answer takes.
    pub slow_ms: u64,
    /// Whether pages are gzip-coded for a client that accepts it.
    pub gzip: bool,
}

/// What `/robots.txt` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Robots {
    /// Rules: `/private/` is disallowed, the sitemap is named.
    Rules,
    /// This status and no rules.
    Status(u16),
}

impl Default for Web {
    fn default() -> Self {
        Self {
            seed: 1,
            scheme: "http".to_owned(),
            hosts: 1,
            suffix: "zoo.test".to_owned(),
            domains: 0,
            pages_per_host: 60,
            links_per_page: 6,
            body_bytes: 2_000,
            moved_every: 10,
            gone_every: 15,
            private_every: 12,
            flaky_every: 20,
            flaky_times: 1,
            retry_after_s: None,
            listed: 3,
            robots: Robots::Rules,
            crawl_delay_s: None,
            delay_ms: (0, 0),
            slow_every: 0,
            slow_ms: 0,
            gzip: true,
        }
    }
}

/// A place of one host. The number of a place that hangs on an ordinary page is that page's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `/robots.txt`
    Robots,
    /// `/sitemap.xml`
    Sitemap,
    /// `/` for 0, else `/p/N.html`
    Page(usize),
    /// `/moved/N`: redirects to `Landed`.
    Moved(usize),
    /// `/landed/N.html`: found by redirect alone.
    Landed(usize),
    /// `/gone/N.html`: 404.
    Gone(usize),
    /// `/private/N.html`: disallowed, though it would answer.
    Private(usize),
    /// `/flaky/N.html`: 503 at first.
    Flaky(usize),
    /// `/after/N.html`: linked from the flaky page alone.
    After(usize),
    /// `/listed/N.html`: named by the sitemap alone.
    Listed(usize),
}

/// What there is to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Every URL that must be fetched, with the status it has in the end; robots.txt and sitemaps not counted.
    pub pages: BTreeMap<String, u16>,
    /// Every URL that is found and must not be fetched.
    pub forbidden: BTreeSet<String>,
    /// Every host that is reached.
    pub hosts: BTreeSet<String>,
}

impl Place {
    /// The path of this place.
    pub fn path(self) -> String {
        match self {
            Self::Robots => "/robots.txt".to_owned(),
            Self::Sitemap => "/sitemap.xml".to_owned(),
            Self::Page(0) => "/".to_owned(),
            Self::Page(n) => format!("/p/{n}.html"),
            Self::Moved(n) => format!("/moved/{n}"),
            Self::Landed(n) => format!("/landed/{n}.html"),
            Self::Gone(n) => format!("/gone/{n}.html"),
            Self::Private(n) => format!("/private/{n}.html"),
            Self::Flaky(n) => format!("/flaky/{n}.html"),
            Self::After(n) => format!("/after/{n}.html"),
            Self::Listed(n) => format!("/listed/{n}.html"),
        }
    }

    /// The place of a path; `None` for a path that no page is made for.
    pub fn of(path: &str) -> Option<Self> {
        let place = match path {
            "/" => Self::Page(0),
            "/robots.txt" => Self::Robots,
            "/sitemap.xml" => Self::Sitemap,
            _ => {
                let (kind, rest) = path.strip_prefix('/')?.split_once('/')?;
                let n = rest.strip_suffix(".html").unwrap_or(rest).parse().ok()?;
                match kind {
                    "p" => Self::Page(n),
                    "moved" => Self::Moved(n),
                    "landed" => Self::Landed(n),
                    "gone" => Self::Gone(n),
                    "private" => Self::Private(n),
                    "flaky" => Self::Flaky(n),
                    "after" => Self::After(n),
                    "listed" => Self::Listed(n),
                    _ => return None,
                }
            }
        };
        // One spelling each: `/p/01.html` and `/p/0.html` are no pages.
        (place.path() == path).then_some(place)
    }
}

impl Web {
    /// The name of the host number `n`.
    pub fn host(&self, n: usize) -> String {
        match self.domains {
            0 => format!("h{n}.{}", self.suffix),
            domains => format!("h{n}.d{}.{}", n % domains, self.suffix),
        }
    }

    /// The number of the host of this name.
    pub fn number(&self, host: &str) -> Option<usize> {
        let n = host.strip_prefix('h')?.split('.').next()?.parse().ok()?;
        (n < self.hosts && self.host(n) == host).then_some(n)
    }

    /// The names of all hosts.
    pub fn host_names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.hosts).map(|n| self.host(n))
    }

    /// The URL of a place, on servers that listen on `port`.
    pub fn url(&self, host: usize, place: Place, port: u16) -> String {
        format!(
            "{}://{}:{port}{}",
            self.scheme,
            self.host(host),
            place.path()
        )
    }

    /// What a crawler finds that starts at the first host's home page, reads sitemaps, obeys robots.txt and stays
    /// on the hosts that `scope` accepts.
    pub fn truth(&self, port: u16, scope: impl Fn(&str) -> bool) -> Truth {
        let mut truth = Truth::default();
        let mut due = VecDeque::from([(0, Place::Page(0))]);
        while let Some((host, place)) = due.pop_front() {
            let name = self.host(host);
            if !scope(&name) {
                continue;
            }
            let url = self.url(host, place, port);
            if self.robots == Robots::Rules && matches!(place, Place::Private(_)) {
                truth.forbidden.insert(url);
                continue;
            }
            if truth.pages.insert(url, self.status(place)).is_some() {
                continue;
            }
            if truth.hosts.insert(name) && self.robots == Robots::Rules {
                due.extend((0..self.listed).map(|n| (host, Place::Listed(n))));
            }
            due.extend(self.links(host, place));
        }
        truth
    }

    /// The status that a place has in the end.
    fn status(&self, place: Place) -> u16 {
        match place {
            Place::Moved(_) => 301,
            Place::Gone(_) => 404,
            _ => 200,
        }
    }

    /// Where a place leads: its links, or its redirect's target.
    pub fn links(&self, host: usize, place: Place) -> Vec<(usize, Place)> {
        let here = |place| (host, place);
        match place {
            Place::Page(n) => {
                let mut links: Vec<_> = self.page_links(host, n).into_iter().map(here).collect();
                let hangs = |every: usize| every != 0 && n % every == every - 1;
                links.extend(hangs(self.moved_every).then_some(here(Place::Moved(n))));
                links.extend(hangs(self.gone_every).then_some(here(Place::Gone(n))));
                links.extend(hangs(self.private_every).then_some(here(Place::Private(n))));
                links.extend(hangs(self.flaky_every).then_some(here(Place::Flaky(n))));
                if n == 0 && self.hosts > 1 {
                    links.push(((host + 1) % self.hosts, Place::Page(0)));
                }
                links
            }
            Place::Moved(n) => vec![here(Place::Landed(n))],
            Place::Flaky(n) => vec![here(Place::After(n)), here(Place::Page(0))],
            Place::Landed(_) | Place::After(_) | Place::Listed(_) | Place::Private(_) => {
                vec![here(Place::Page(0))]
            }
            Place::Robots | Place::Sitemap | Place::Gone(_) => Vec::new(),
        }
    }

    /// Links of an ordinary page to ordinary pages: its children in a tree that holds all pages, then any others.
    fn page_links(&self, host: usize, n: usize) -> Vec<Place> {
        let fan = (self.links_per_page / 2).max(2);
        let children = (n * fan + 1..=n * fan + fan).filter(|&child| child < self.pages_per_host);
        let mut links: Vec<Place> = children.map(Place::Page).collect();
        for extra in links.len()..self.links_per_page {
            let any = mix(self.seed, &format!("link {host} {n} {extra}"));
            links.push(Place::Page(remainder(any, self.pages_per_host)));
        }
        links
    }
}

/// `number` modulo `of`, as an index.
fn remainder(number: u64, of: usize) -> usize {
    // A remainder of a usize fits a usize; of 0 things there is only the first.
    usize::try_from(number % (of.max(1) as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_name() {
        let mut web = Web {
            hosts: 5,
            ..Web::default()
        };
        assert_eq!(web.number("h4.zoo.test"), Some(4));
        assert_eq!(web.number("h5.zoo.test"), None, "there are five");
        (web.suffix, web.domains) = ("test".to_owned(), 3);
        let names: Vec<String> = web.host_names().collect();
        let want = [
            "h0.d0.test",
            "h1.d1.test",
            "h2.d2.test",
            "h3.d0.test",
            "h4.d1.test",
        ];
        assert_eq!(names, want);
        assert_eq!(web.number("h4.d1.test"), Some(4));
        assert_eq!(web.number("h4.d2.test"), None);
    }

    #[test]
    fn a_place_has_one_path() {
        #[track_caller]
        fn check(path: &str, want: Option<Place>) {
            assert_eq!(Place::of(path), want, "{path}");
            if let Some(place) = want {
                assert_eq!(place.path(), path);
            }
        }
        check("/", Some(Place::Page(0)));
        check("/p/7.html", Some(Place::Page(7)));
        check("/moved/7", Some(Place::Moved(7)));
        check("/p/0.html", None);
        check("/p/07.html", None);
        check("/moved/7.html", None);
        check("/elsewhere/1.html", None);
    }

    #[test]
    fn truth_counts_by_hand() {
        // 60 pages; /moved/ hangs on 9 19 29 39 49 59, /gone/ on 14 29 44 59, /flaky/ on 19 39 59.
        let web = Web {
            hosts: 3,
            ..Web::default()
        };
        let truth = web.truth(80, |_| true);
        let per_host = 60 + 6 + 6 + 4 + 3 + 3 + 3;
        assert_eq!(truth.pages.len(), 3 * per_host);
        assert_eq!(truth.forbidden.len(), 3 * 5);
        assert_eq!(truth.hosts.len(), 3);
        let one = web.truth(80, |host| host == "h0.zoo.test");
        assert_eq!((one.pages.len(), one.hosts.len()), (per_host, 1));
    }

    #[test]
    fn without_rules_nothing_is_forbidden_and_no_sitemap_is_known() {
        let web = Web {
            robots: Robots::Status(404),
            ..Web::default()
        };
        let truth = web.truth(80, |_| true);
        assert!(truth.forbidden.is_empty());
        assert!(
            truth
                .pages
                .contains_key("http://h0.zoo.test:80/private/11.html")
        );
        assert!(!truth.pages.keys().any(|url| url.contains("/listed/")));
    }

    #[test]
    fn pages_differ_and_stay_the_same() {
        let web = Web::default();
        let page = |n| {
            web.answer("h0.zoo.test", &Place::Page(n).path(), 80, 1, false)
                .body
        };
        assert_eq!(page(3), page(3));
        assert_ne!(page(3), page(4));
        assert_ne!(
            page(3),
            Web {
                seed: 2,
                ..Web::default()
            }
            .answer("h0.zoo.test", "/p/3.html", 80, 1, false)
            .body
        );
    }
}

//! Kinds of traps: each goes on for ever.

use super::{Said, chance, number, page, text, value, word};

/// A kind of endless site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// Months, a link to the next and the one before.
    Calendar,
    /// Days by query, with a link to the next year.
    CalendarQuery,
    /// A new session id in each link's path.
    SessionPath,
    /// … in its query, under a key that nobody knows.
    SessionQuery,
    /// A list narrowed by any set of facets.
    Facets,
    /// A link that is relative by mistake: /a/a/a.
    Growing,
    /// Two such parts in turn.
    GrowingTwo,
    /// Names put together at random, texts of whole sentences from a stock.
    Maze,
    /// Names and texts at random.
    RandomMaze,
    /// Hashes for names, texts at random.
    HashMaze,
    /// A list that goes on behind its end.
    Pages,
    /// A list in any order of any columns.
    Sorted,
    /// Redirects that go on.
    Redirects,
    /// "Not found" with 200 and links that are relative.
    SoftNotFound,
    /// Any tags joined by "+".
    Tags,
    /// An archive of days without news, back to all ages.
    Archive,
    /// Variants of variants: print, share, reply.
    Variants,
    /// Languages of languages: /en/de/fr.
    Languages,
}

impl Trap {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Calendar,
        Self::CalendarQuery,
        Self::SessionPath,
        Self::SessionQuery,
        Self::Facets,
        Self::Growing,
        Self::GrowingTwo,
        Self::Maze,
        Self::RandomMaze,
        Self::HashMaze,
        Self::Pages,
        Self::Sorted,
        Self::Redirects,
        Self::SoftNotFound,
        Self::Tags,
        Self::Archive,
        Self::Variants,
        Self::Languages,
    ];

    /// The way in.
    pub(super) fn entry(self, seed: u64) -> String {
        match self {
            Self::Calendar => "/calendar/2026/12".into(),
            Self::CalendarQuery => "/events?date=2026-12-01".into(),
            Self::SessionPath => format!("/s/{}/shop/0", session(seed, "entry")),
            Self::SessionQuery => format!("/shop/0?tok={}", session(seed, "entry")),
            Self::Facets => "/list?color=1".into(),
            Self::Growing => "/docs/".into(),
            Self::GrowingTwo => "/en/".into(),
            Self::Maze | Self::RandomMaze => "/maze/start".into(),
            Self::HashMaze => "/x/00000000".into(),
            Self::Pages => "/news?page=1".into(),
            Self::Sorted => "/table?sort=a".into(),
            Self::Redirects => "/go/1".into(),
            Self::SoftNotFound => "/old/index".into(),
            Self::Tags => "/tag/red".into(),
            Self::Archive => "/archive/2026/12/01/".into(),
            Self::Variants => "/read?id=1".into(),
            Self::Languages => "/lang/en/".into(),
        }
    }

    pub(super) fn answer(self, seed: u64, path: &str) -> Said {
        let links_of =
            |count: u64, make: &dyn Fn(u64) -> String| (0..count).map(make).collect::<Vec<_>>();
        match self {
            Self::Calendar => {
                let mut parts = path
                    .split('/')
                    .skip(2)
                    .filter_map(|part| part.parse::<u64>().ok());
                let (Some(year), Some(month)) = (parts.next(), parts.next()) else {
                    return Said::NotFound;
                };
                let at = year * 12 + month - 1;
                let links =
                    [at + 1, at - 1].map(|at| format!("/calendar/{}/{:02}", at / 12, at % 12 + 1));
                let days: String = (1..=31).map(|day| format!("{day} ")).collect();
                html(
                    &format!("{year}-{month}"),
                    &format!("Mo Tu We Th Fr Sa Su {days} no events"),
                    links,
                )
            }
            Self::CalendarQuery => {
                let Some(date) = value(path, "date") else {
                    return Said::NotFound;
                };
                let year: u64 = date
                    .split('-')
                    .next()
                    .and_then(|y| y.parse().ok())
                    .unwrap_or(0);
                let rest = date.split_once('-').map_or("01-01", |(_, rest)| rest);
                let links = [year + 1, year.saturating_sub(1)]
                    .map(|year| format!("/events?date={year:04}-{rest}"));
                html(
                    date,
                    "There are no events on this day. Subscribe to our calendar to hear of new ones.",
                    links,
                )
            }
            Self::SessionPath => {
                let at = path
                    .rsplit('/')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                let links = links_of(4, &|n| {
                    let page = (at + n + 1) % 40;
                    format!("/s/{}/shop/{page}", session(seed, &format!("{path}{n}")))
                });
                html("Shop", &text(seed, &format!("shop{at}"), 80), links)
            }
            Self::SessionQuery => {
                let plain = path.split('?').next().unwrap_or_default();
                let at = plain
                    .rsplit('/')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                let links = links_of(4, &|n| {
                    let page = (at + n + 1) % 40;
                    format!("/shop/{page}?tok={}", session(seed, &format!("{path}{n}")))
                });
                html("Shop", &text(seed, &format!("shop{at}"), 80), links)
            }
            Self::Facets => {
                let query = path.split_once('?').map_or("", |(_, query)| query);
                let facets = ["color", "size", "brand", "price", "form", "year"];
                let links = links_of(12, &|n| {
                    let facet = facets[(n % 6) as usize];
                    format!(
                        "/list?{query}&{facet}={}",
                        chance(seed, &format!("{query}{n}"), 9)
                    )
                });
                let first = chance(seed, query, 40);
                let shown: String = (first..first + 6)
                    .map(|n| text(seed, &format!("product{}", n % 40), 12))
                    .collect();
                html("Products", &shown, links)
            }
            Self::Growing => {
                let base = if path.ends_with('/') {
                    path.to_owned()
                } else {
                    format!("{path}/")
                };
                html(
                    "Docs",
                    &text(seed, "docs", 80),
                    [format!("{base}docs/"), format!("{base}help/")],
                )
            }
            Self::GrowingTwo => {
                let next = if path.ends_with("/en/") {
                    "shop/"
                } else {
                    "en/"
                };
                html("Shop", &text(seed, next, 80), [format!("{path}{next}")])
            }
            Self::Maze => {
                let sentences: String = (0..8)
                    .map(|n| {
                        text(
                            seed,
                            &format!("sentence{}", chance(seed, &format!("{path}#{n}"), 60)),
                            11,
                        )
                    })
                    .collect();
                html(
                    last(path),
                    &sentences,
                    links_of(5, &|n| format!("/maze/{}", names(seed, path, n))),
                )
            }
            Self::RandomMaze => html(
                last(path),
                &text(seed, path, 120),
                links_of(5, &|n| format!("/maze/{}", names(seed, path, n))),
            ),
            Self::HashMaze => {
                let links = links_of(3, &|n| {
                    format!("/x/{}", session(seed, &format!("{path}{n}")))
                });
                html(last(path), &text(seed, path, 120), links)
            }
            Self::Pages => {
                let at = number(path, "page").unwrap_or(1);
                let shown = if at < 20 {
                    text(seed, path, 80)
                } else {
                    "There is nothing here.".into()
                };
                html(
                    &format!("News, page {at}"),
                    &shown,
                    [format!("/news?page={}", at + 1)],
                )
            }
            Self::Sorted => {
                let sort = value(path, "sort").unwrap_or("a");
                let links = links_of(4, &|n| {
                    format!("/table?sort={sort}{}", char::from(b'a' + n as u8))
                });
                html("Table", &text(seed, "table", 100), links)
            }
            Self::Redirects => {
                let at: u64 = path
                    .strip_prefix("/go/")
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                if at.is_multiple_of(4) {
                    return html(
                        "Please wait",
                        "You are being redirected.",
                        [format!("/go/{}", at + 1)],
                    );
                }
                Said::Redirect(format!("/go/{}", at + 1))
            }
            Self::SoftNotFound => {
                let base = path.rsplit_once('/').map_or("", |(base, _)| base);
                let links = links_of(3, &|n| {
                    format!(
                        "{base}/{}/index",
                        word(chance(seed, &format!("{base}{n}"), 4_096))
                    )
                });
                html(
                    "Sorry",
                    "The page that you look for is not here. Perhaps one of these is what you want?",
                    links,
                )
            }
            Self::Tags => {
                let tags = path.strip_prefix("/tag/").unwrap_or_default();
                let links = links_of(6, &|n| {
                    format!(
                        "/tag/{tags}+{}",
                        word(chance(seed, &format!("{tags}{n}"), 30))
                    )
                });
                let shown: String = (0..5)
                    .map(|n| {
                        text(
                            seed,
                            &format!("post{}", chance(seed, &format!("{tags}#{n}"), 50)),
                            14,
                        )
                    })
                    .collect();
                html("Posts", &shown, links)
            }
            Self::Archive => {
                let date: Vec<u64> = path
                    .split('/')
                    .filter_map(|part| part.parse().ok())
                    .collect();
                let [year, month, day] = date[..] else {
                    return Said::NotFound;
                };
                let links = [
                    (year - 1, month, day),
                    (year, month % 12 + 1, day),
                    (year, month, day % 28 + 1),
                ];
                let links = links.map(|(y, m, d)| format!("/archive/{y}/{m:02}/{d:02}/"));
                html(
                    "Archive",
                    "No articles were published on this day. Look at another day of our archive.",
                    links,
                )
            }
            Self::Variants => {
                let query = path.split_once('?').map_or("", |(_, query)| query);
                let links = links_of(3, &|n| {
                    let variant = ["print", "share", "reply"][n as usize];
                    format!(
                        "/read?{query}&{variant}={}",
                        chance(seed, &format!("{query}{n}"), 1_000)
                    )
                });
                html("Article", &text(seed, "article", 100), links)
            }
            Self::Languages => {
                let links = ["en", "de", "fr", "es"].map(|lang| format!("{path}{lang}/"));
                html(
                    "Welcome",
                    &text(seed, last(path.trim_end_matches('/')), 80),
                    links,
                )
            }
        }
    }
}

fn html(title: &str, text: &str, links: impl IntoIterator<Item = String>) -> Said {
    Said::Html(page(title, text, links))
}

fn session(seed: u64, about: &str) -> String {
    format!("{:016x}", crate::seed::mix(seed, about))
}

/// Two words for the next page of a maze.
fn names(seed: u64, path: &str, n: u64) -> String {
    let word = |part: &str| word(chance(seed, &format!("{path}{n}{part}"), 4_096));
    format!("{}/{}", word("first"), word("second"))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

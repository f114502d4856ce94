//! Kinds of honest sites: large, and with an end.

use super::{Said, chance, number, page, text, value};

/// A kind of site that is to be had whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honest {
    /// Numbered chapters with next, previous and contents.
    Docs,
    /// Articles that link to each other, with a history and old versions.
    Wiki,
    /// Products in lists, with others that are like them; their texts are short and much alike.
    Shop,
    /// Threads of several pages, and users.
    Forum,
    /// Articles by day, over a hundred years.
    News,
    /// Pictures one after another, almost without text.
    Gallery,
    /// Pages that lead to two more, and never back.
    Tree,
}

/// Pages of each kind, about.
const SIZE: u64 = 2_400;

impl Honest {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Docs,
        Self::Wiki,
        Self::Shop,
        Self::Forum,
        Self::News,
        Self::Gallery,
        Self::Tree,
    ];

    pub(super) fn answer(self, seed: u64, path: &str) -> Said {
        let found = match self {
            Self::Docs => docs(seed, path),
            Self::Wiki => wiki(seed, path),
            Self::Shop => shop(seed, path),
            Self::Forum => forum(seed, path),
            Self::News => news(seed, path),
            Self::Gallery => gallery(path),
            Self::Tree => tree(seed, path),
        };
        found.map_or(Said::NotFound, Said::Html)
    }
}

/// The number behind a prefix.
fn after(path: &str, prefix: &str, below: u64) -> Option<u64> {
    let number = path
        .strip_prefix(prefix)?
        .trim_end_matches(".html")
        .parse()
        .ok();
    number.filter(|number| *number < below)
}

fn docs(seed: u64, path: &str) -> Option<String> {
    if path == "/" {
        return Some(page(
            "Contents",
            "All chapters.",
            (0..60).map(|n| format!("/docs/{}.html", n * SIZE / 60)),
        ));
    }
    let at = after(path, "/docs/", SIZE)?;
    let links = [at + 1, at.saturating_sub(1)].map(|n| format!("/docs/{}.html", n.min(SIZE - 1)));
    Some(page(
        &format!("Chapter {at}"),
        &text(seed, path, 120),
        links.into_iter().chain(["/".to_owned()]),
    ))
}

fn wiki(seed: u64, path: &str) -> Option<String> {
    const ARTICLES: u64 = SIZE / 4;
    let name = |n: u64| format!("{}_{n}", super::word(n));
    let article = |n: u64| format!("/wiki/{}", name(n));
    if path == "/" {
        return Some(page("Main page", "Welcome.", (0..20).map(article)));
    }
    if let Some(title) = path.strip_prefix("/wiki/") {
        let at: u64 = title
            .rsplit('_')
            .next()?
            .parse()
            .ok()
            .filter(|n| *n < ARTICLES)?;
        let others = (0..8).map(|n| article(chance(seed, &format!("{at}{n}"), ARTICLES)));
        let own = [
            format!("/w?title={title}&action=history"),
            article((at + 1) % ARTICLES),
        ];
        return Some(page(title, &text(seed, path, 100), others.chain(own)));
    }
    let title = value(path, "title")?;
    let at: u64 = title
        .rsplit('_')
        .next()?
        .parse()
        .ok()
        .filter(|n| *n < ARTICLES)?;
    if let Some(version) = number(path, "oldid") {
        let old = text(seed, &format!("/wiki/{title}"), 90) + &version.to_string();
        return Some(page(
            title,
            &old,
            [format!("/w?title={title}&action=history")],
        ));
    }
    let versions =
        (0..chance(seed, path, 5)).map(|n| format!("/w?title={title}&oldid={}", at * 10 + n));
    Some(page(
        &format!("{title}: history"),
        "Changes of this page",
        versions.chain([article(at)]),
    ))
}

fn shop(seed: u64, path: &str) -> Option<String> {
    let product = |n: u64| format!("/product/{n}");
    if path == "/" {
        return Some(page(
            "Shop",
            "All that we sell.",
            (0..4).map(|n| format!("/list/{n}?page=0")),
        ));
    }
    if let Some(at) = after(path, "/product/", SIZE) {
        let about = format!(
            "Product {at} of our shop. Price {} EUR. {} Delivered in three days by our own people, who are friendly. Send it back within thirty days if it is not what you want, and you get your money back.",
            chance(seed, path, 90_000),
            text(seed, path, 6)
        );
        let like = (0..4).map(|n| product(chance(seed, &format!("{at}{n}"), SIZE)));
        return Some(page(
            &format!("Product {at}"),
            &about,
            like.chain(["/".to_owned()]),
        ));
    }
    let list: u64 = path
        .strip_prefix("/list/")?
        .split('?')
        .next()?
        .parse()
        .ok()?;
    let at = number(path, "page").filter(|page| list < 4 && page * 20 < SIZE / 4)?;
    let shown: Vec<u64> = (0..20).map(|n| list * (SIZE / 4) + at * 20 + n).collect();
    let links = shown
        .iter()
        .map(|n| product(*n))
        .chain([format!("/list/{list}?page={}", at + 1)]);
    let names: String = shown.iter().map(|n| text(seed, &product(*n), 2)).collect();
    Some(page("Products", &names, links))
}

fn forum(seed: u64, path: &str) -> Option<String> {
    const THREADS: u64 = SIZE / 5;
    if path == "/" {
        return Some(page("Forum", "Threads", ["/threads?page=0".to_owned()]));
    }
    if let Some(at) = path
        .strip_prefix("/threads")
        .and_then(|_| number(path, "page"))
    {
        let shown = (at * 20..at * 20 + 20).filter(|n| *n < THREADS);
        let links = shown
            .map(|n| format!("/thread/{n}?start=0"))
            .chain([format!("/threads?page={}", at + 1)]);
        return (at * 20 < THREADS).then(|| page("Threads", &text(seed, path, 60), links));
    }
    if let Some(rest) = path.strip_prefix("/thread/") {
        let thread: u64 = rest
            .split('?')
            .next()?
            .parse()
            .ok()
            .filter(|n| *n < THREADS)?;
        let start = number(path, "start")
            .filter(|start| *start <= chance(seed, rest, 4) * 10 || *start == 0)?;
        let users =
            (0..3).map(|n| format!("/user/{}", chance(seed, &format!("{path}{n}"), THREADS)));
        let links = users.chain([format!("/thread/{thread}?start={}", start + 10)]);
        return Some(page(
            &format!("Thread {thread}"),
            &text(seed, path, 90),
            links,
        ));
    }
    let user = after(path, "/user/", THREADS)?;
    let about =
        format!("User {user} has joined our forum and has not written anything about himself yet.");
    Some(page(
        "User",
        &about,
        [format!("/user/{}", (user + 1) % THREADS), "/".to_owned()],
    ))
}

fn news(seed: u64, path: &str) -> Option<String> {
    const FIRST: u64 = 1920;
    let month = |at: u64| format!("/news/{}/{:02}/", FIRST + at / 12, at % 12 + 1);
    const MONTHS: u64 = 105 * 12;
    if path == "/" {
        return Some(page("News", "By month.", [month(MONTHS - 1)]));
    }
    let parts: Vec<&str> = path.strip_prefix("/news/")?.split('/').collect();
    let at = parts[0].parse::<u64>().ok()?.checked_sub(FIRST)? * 12
        + parts.get(1)?.parse::<u64>().ok()?.checked_sub(1)?;
    if at >= MONTHS {
        return None;
    }
    match parts.get(2) {
        Some(&"") => {
            let story = format!("{}story-of-{}", month(at), super::word(at));
            let before = at.checked_sub(1).map(month);
            Some(page(
                "Month",
                &text(seed, path, 40),
                [Some(story), before].into_iter().flatten(),
            ))
        }
        _ => Some(page("Story", &text(seed, path, 120), [month(at)])),
    }
}

fn gallery(path: &str) -> Option<String> {
    const PICTURES: u64 = 1_000;
    if path == "/" {
        return Some(page("Gallery", "Pictures", ["/picture/0".to_owned()]));
    }
    let at = after(path, "/picture/", PICTURES)?;
    let next = [
        format!("/picture/{}", at + 1),
        format!("/picture/{}", at.saturating_sub(1)),
    ];
    let picture = page(&format!("Picture {at}"), "", next);
    Some(picture.replace("<main>", &format!("<main><img src=\"/pictures/{at}.jpg\">")))
}

fn tree(seed: u64, path: &str) -> Option<String> {
    let at = if path == "/" {
        0
    } else {
        after(path, "/node/", SIZE)?
    };
    let links = [at * 2 + 1, at * 2 + 2].into_iter().filter(|n| *n < SIZE);
    Some(page(
        &format!("Node {at}"),
        &text(seed, path, 100),
        links.map(|n| format!("/node/{n}")),
    ))
}

//! Sites without an end, and large ones with one: by formula, so that a rule against traps can be judged.
//!
//! A [`Site`] is a kind and a seed. Every trap stands beside [`GOOD`] good pages, which lead to each other. Nothing here
//! knows how the crawler tells traps. Start at [`Site::answer`]; the kinds are in `endless.rs` and `honest.rs`.

mod endless;
mod honest;

use crate::seed::mix;

pub use endless::Trap;
pub use honest::Honest;

/// Good pages beside every trap, the home page not counted.
pub const GOOD: u64 = 30;

/// What a site says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Html(String),
    /// To this path.
    Redirect(String),
    NotFound,
}

/// A site of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    Trap(Trap, u64),
    Honest(Honest, u64),
}

impl Site {
    /// What it answers to a path with its query.
    pub fn answer(self, path: &str) -> Said {
        match self {
            Self::Honest(kind, seed) => kind.answer(seed, path),
            Self::Trap(kind, seed) => match good(seed, path, &kind.entry(seed)) {
                Some(page) => Said::Html(page),
                None => kind.answer(seed, path),
            },
        }
    }
}

/// True for a page that is to be fetched, whatever stands beside it.
pub fn is_good(path: &str) -> bool {
    path == "/" || path.starts_with("/good/")
}

fn good(seed: u64, path: &str, entry: &str) -> Option<String> {
    let links = |first: u64| (first..first + 10).map(|n| format!("/good/{}", n % GOOD));
    if path == "/" {
        return Some(page(
            "Home",
            &text(seed, "home", 60),
            links(0).chain([entry.to_owned()]),
        ));
    }
    let number: u64 = path.strip_prefix("/good/")?.parse().ok()?;
    (number < GOOD).then(|| {
        let title = format!("Good page {number}");
        page(
            &title,
            &text(seed, path, 120),
            links(number + 1).chain(["/".to_owned()]),
        )
    })
}

/// A page as a site would write it.
fn page(title: &str, text: &str, links: impl IntoIterator<Item = String>) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><head><title>{title}</title></head><body><header>Our site</header><main><h1>{title}</h1><p>{text}</p><ul>"
    );
    for link in links {
        page += &format!(
            "<li><a href=\"{}\">more</a></li>",
            link.replace('&', "&amp;")
        );
    }
    page + "</ul></main><footer>all rights reserved</footer></body></html>"
}

/// Words of a text that `about` decides, out of a vocabulary of 4,096.
fn text(seed: u64, about: &str, words: u64) -> String {
    let mut text = String::new();
    let mut at = mix(seed, about);
    for n in 0..words {
        at = at
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text += &word(at >> 40 & 4_095);
        text.push(if n % 12 == 11 { '.' } else { ' ' });
    }
    text
}

/// The word of this number, pronounceable.
fn word(number: u64) -> String {
    const CONSONANTS: &[u8; 16] = b"bcdfghjklmnprstv";
    const VOWELS: &[u8; 4] = b"aeio";
    let mut word = String::new();
    let mut rest = number + 64;
    while rest > 0 {
        word.push(char::from(CONSONANTS[(rest % 16) as usize]));
        word.push(char::from(VOWELS[(rest / 16 % 4) as usize]));
        rest /= 64;
    }
    word
}

/// A number below `below` that `about` decides.
fn chance(seed: u64, about: &str, below: u64) -> u64 {
    mix(seed, about) % below
}

/// A query's value.
fn value<'q>(path: &'q str, key: &str) -> Option<&'q str> {
    let (_, query) = path.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

fn number(path: &str, key: &str) -> Option<u64> {
    value(path, key)?.parse().ok()
}

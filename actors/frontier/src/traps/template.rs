//! URL templates: which URLs are of one kind.
//!
//! Numbers, hashes, dates and names are left out of a path, values out of a query, so that the pages of one script or one
//! table are one *family*. Which first parts of a path are names of a section and which are values cannot be told from one
//! URL: a host's first few are taken for sections ([`Names`]), whatever comes when they are full is a value.
//! Invariant: a URL has one template while names do not change, and names are only added. Start at [`Names::template`].

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

/// First parts of paths that are taken for sections, for each host.
const FIRST_MAX: usize = 24;
/// Second parts, for each first.
const SECOND_MAX: usize = 6;
/// Sets of query keys, for each path.
const KEYS_MAX: usize = 6;
/// Names of a host in all.
const NAMES_MAX: usize = 256;
/// Parts of a path that are looked at.
const PARTS_MAX: usize = 32;
/// A longer part of a path is a value, not a section.
const SECTION_BYTES_MAX: usize = 24;
/// A part that comes so often in one path is repeated.
const REPEATS: usize = 3;

/// A URL's template and what its spelling tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) text: String,
    /// A part of its path that is no number comes three times or more.
    pub(super) repeats: bool,
    /// The year of a date in it, where it has one.
    pub(super) year: Option<u16>,
}

/// Sections and query keys of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Hashes of (where, name).
    known: HashSet<u64>,
    /// Hashes of a place, and how many names are known there.
    counts: HashMap<u64, usize>,
}

impl Names {
    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        self.known.len() * 16 + self.counts.len() * 32
    }

    /// True where the name is told apart at this place; `learn` it if there is room.
    fn tells(&mut self, place: &str, name: &str, most: usize, learn: bool) -> bool {
        let at = xxh3_64(place.as_bytes());
        let hash = at.rotate_left(17) ^ xxh3_64(name.as_bytes());
        if self.known.contains(&hash) {
            return true;
        }
        let count = self.counts.get(&at).copied().unwrap_or(0);
        if count >= most || self.known.len() >= NAMES_MAX {
            return false;
        }
        if learn {
            self.known.insert(hash);
            *self.counts.entry(at).or_default() += 1;
        }
        true
    }

    /// The template of an absolute URL of this host. `learn`: its names are remembered.
    pub(super) fn template(&mut self, url: &str, learn: bool) -> Template {
        let (path, query) = split(url);
        let parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .take(PARTS_MAX)
            .collect();
        let repeats = repeats(&parts);
        let mut text = String::new();
        let mut last = String::new();
        for (at, part) in parts.iter().enumerate() {
            let ends = at + 1 == parts.len() && !path.ends_with('/');
            let shape = match shape(part, ends) {
                Shape::Word(word) => {
                    let section = (!ends || query.is_some()) && part.len() <= SECTION_BYTES_MAX;
                    let most = [FIRST_MAX, SECOND_MAX].get(at).copied().unwrap_or(0);
                    match section && self.tells(&text, part, most, learn) {
                        true => (*part).to_owned(),
                        false => word,
                    }
                }
                Shape::Value(value) => value,
            };
            // A path of any depth is one family: what goes on in the same way is not told again.
            if shape == last {
                if !text.ends_with('+') {
                    text.push('+');
                }
                continue;
            }
            if repeats && at >= 2 {
                text.push_str("/…");
                break;
            }
            text.push('/');
            text.push_str(&shape);
            last = shape;
        }
        if parts.is_empty() || path.ends_with('/') {
            text.push('/');
        }
        if repeats {
            text.push_str(" (repeats)");
        }
        if let Some(query) = query {
            let keys = keys(query);
            let told = self.tells(&format!("{text}?"), &keys, KEYS_MAX, learn);
            text.push('?');
            text.push_str(if told { &keys } else { "…" });
        }
        Template {
            text,
            repeats,
            year: year(&parts, query),
        }
    }
}

/// Path and query of an absolute URL.
fn split(url: &str) -> (&str, Option<&str>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
    match path.split_once('?') {
        Some((path, query)) => (path, Some(query).filter(|query| !query.is_empty())),
        None => (path, None),
    }
}

fn repeats(parts: &[&str]) -> bool {
    let word = |part: &&&str| !part.bytes().all(|byte| byte.is_ascii_digit());
    parts
        .iter()
        .filter(word)
        .any(|one| parts.iter().filter(|other| *other == one).count() >= REPEATS)
}

enum Shape {
    /// A name: of a section, or of a page.
    Word(String),
    Value(String),
}

/// What a part of a path is like; a file's extension is kept.
fn shape(part: &str, ends: bool) -> Shape {
    let (stem, extension) = match part.rsplit_once('.') {
        Some((stem, extension)) if ends && is_extension(extension) => (stem, &part[stem.len()..]),
        _ => (part, ""),
    };
    let digits = stem.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return Shape::Word(format!("{{s}}{extension}"));
    }
    let value = if digits == stem.len() {
        "{n}".to_owned()
    } else if is_random(stem) {
        "{h}".to_owned()
    } else {
        match numbered(stem) {
            Some(numbered) => numbered,
            None => "{s}".to_owned(),
        }
    };
    Shape::Value(value + extension)
}

fn is_extension(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Hexadecimal digits, a UUID, or letters and digits thrown together.
fn is_random(stem: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let letters = stem.bytes().filter(u8::is_ascii_alphabetic).count();
    if stem.len() >= 8 && letters > 0 && stem.bytes().all(hex) {
        return true;
    }
    let kinds = stem.as_bytes().windows(2).filter(|pair| {
        pair.iter().all(u8::is_ascii_alphanumeric)
            && pair[0].is_ascii_digit() != pair[1].is_ascii_digit()
    });
    stem.len() >= 6 && kinds.count() >= 3
}

/// "item-12" as "item-{n}", if it is short and has no more words than two.
fn numbered(stem: &str) -> Option<String> {
    let mut text = String::new();
    let mut words = 0;
    let mut digit = false;
    for char in stem.chars() {
        if char.is_ascii_digit() {
            if !digit {
                text.push_str("{n}");
            }
        } else {
            text.push(char);
            let begins =
                text.len() == char.len_utf8() || digit || text.ends_with(['-', '_', '+', ' ']);
            words += usize::from(begins && char.is_alphabetic());
            words += usize::from(matches!(char, '-' | '_' | '+') && !digit);
        }
        digit = char.is_ascii_digit();
    }
    (words <= 2 && text.len() <= 24).then_some(text)
}

/// The keys of a query, each once, in order; numbers in them left out.
fn keys(query: &str) -> String {
    let mut keys: Vec<String> = query
        .split('&')
        .take(PARTS_MAX)
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .map(|key| {
            key.chars()
                .take(SECTION_BYTES_MAX)
                .filter(|char| !char.is_ascii_digit())
                .collect()
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys.join("&")
}

/// The year of a date: parts year and month, one part or value that begins "2031-05", or a year by its key.
fn year(parts: &[&str], query: Option<&str>) -> Option<u16> {
    let in_path = parts.iter().enumerate().find_map(|(at, part)| {
        dashed(part).or_else(|| {
            let month = parts.get(at + 1)?;
            let month: u8 = month.split('.').next()?.parse().ok()?;
            (part.len() == 4 && (1..=12).contains(&month))
                .then(|| plausible(part))
                .flatten()
        })
    });
    in_path.or_else(|| {
        query?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = key.to_ascii_lowercase();
            let named = ["y", "yr", "year", "date", "month", "day", "cal"].contains(&key.as_str());
            dashed(value).or_else(|| {
                (named && value.len() == 4)
                    .then(|| plausible(value))
                    .flatten()
            })
        })
    })
}

/// "2031-05" and longer, also "20310501".
fn dashed(text: &str) -> Option<u16> {
    let text = text.split('.').next().unwrap_or_default();
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let dashed = digits(0..4) && bytes.get(4) == Some(&b'-') && digits(5..7);
    let plain = bytes.len() == 8 && digits(0..8) && bytes[4] <= b'1' && bytes[6] <= b'3';
    (dashed || plain).then(|| plausible(&text[..4])).flatten()
}

fn plausible(year: &str) -> Option<u16> {
    year.parse()
        .ok()
        .filter(|year| (1_000..=9_999).contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, want: &str) {
        let mut names = Names::default();
        assert_eq!(names.template(url, true).text, want, "{url}");
    }

    #[test]
    fn what_varies_is_left_out() {
        check("http://a.test/", "/");
        check("http://a.test", "/");
        check("http://a.test/about", "/{s}");
        check("http://a.test/wiki/Main_Page", "/wiki/{s}");
        check("http://a.test/shop/item-12.html", "/shop/item-{n}.html");
        check("http://a.test/2024/05/06/a-long-title-of-2024", "/{n}+/{s}");
        check("http://a.test/s/0a1b2c3d4e/page/3", "/s/{h}/{s}/{n}");
        check("http://a.test/x/k3j9x2q/", "/x/{h}/");
        check("http://a.test/maze/one/two/three/four", "/maze/one/{s}+");
        check("http://a.test/list?page=3&sort=up", "/list?page&sort");
        check("http://a.test/list?f[0]=a&f[1]=b", "/list?f[]");
        check("http://a.test/a/b/a/b/a/b", "/a/b/… (repeats)");
    }

    #[test]
    fn more_names_than_a_site_has_sections_are_values() {
        let mut names = Names::default();
        for n in 0..FIRST_MAX {
            let word = char::from(b'a' + u8::try_from(n).unwrap());
            names.template(&format!("http://a.test/{word}/x"), true);
        }
        let late = names.template("http://a.test/later/x", true);
        assert_eq!(late.text, "/{s}+");
        for n in 0..9_u8 {
            let key = char::from(b'a' + n);
            names.template(&format!("http://a.test/list?{key}=1"), true);
        }
        assert_eq!(
            names.template("http://a.test/list?z=1", true).text,
            "/{s}?…"
        );
    }

    #[test]
    fn dates_are_seen() {
        #[track_caller]
        fn check(url: &str, want: Option<u16>) {
            assert_eq!(Names::default().template(url, true).year, want, "{url}");
        }
        check("http://a.test/cal/2031/05", Some(2031));
        check("http://a.test/cal/2031-05-01", Some(2031));
        check("http://a.test/cal/20310501.html", Some(2031));
        check("http://a.test/cal?date=2031-05", Some(2031));
        check("http://a.test/cal?year=2031&m=2", Some(2031));
        check("http://a.test/item/2031", None);
        check("http://a.test/item/2031/99", None);
        check("http://a.test/cal?id=2031", None);
    }
}

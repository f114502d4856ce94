//! One host: its names, its families and what it has shown.
//!
//! Start at [`HostBook::fold`] and [`HostBook::verdict`].

use std::collections::HashMap;

use contract::clock::Wall;
use contract::host::Host;
use contract::keep::TextFacts;
use contract::link::{Link, LinkKind};
use xxhash_rust::xxh3::xxh3_64;

use super::family::{Brought, Family, GivenUpFamily, Text};
use super::seen::Seen;
use super::template::Names;

/// Families of one host that are kept; what comes beyond replaces the one that was longest without a page.
const FAMILIES_MAX: usize = 48;
/// Links of one host that are remembered, 4 bytes each.
const LINKS_MAX: usize = 1 << 15;
/// Hashes of texts and phrases that are remembered, 4 bytes each.
const TEXTS_MAX: usize = 1 << 14;
/// Years between which dates are not far.
const YEARS_BACK: i32 = 40;
const YEARS_AHEAD: i32 = 3;
const MS_A_YEAR: u64 = 31_556_952_000;

/// A page that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageRead<'a> {
    pub(super) host: &'a Host,
    pub(super) url: &'a str,
    pub(super) found_at: Option<&'a str>,
    pub(super) text: Option<TextFacts>,
    pub(super) links: &'a [Link],
    pub(super) is_redirect: bool,
    pub(super) now: Wall,
}

#[derive(Clone, Debug)]
pub(super) struct HostBook {
    names: Names,
    families: HashMap<String, Family>,
    links: Seen,
    texts: Seen,
    pages: u64,
}

impl Default for HostBook {
    fn default() -> Self {
        Self {
            names: Names::default(),
            families: HashMap::new(),
            links: Seen::new(LINKS_MAX),
            texts: Seen::new(TEXTS_MAX),
            pages: 0,
        }
    }
}

impl HostBook {
    /// Takes a page in; the family that is given up by it.
    pub(super) fn fold(&mut self, page: &PageRead<'_>) -> Option<(String, GivenUpFamily)> {
        self.pages += 1;
        let own = self.names.template(page.url, true);
        self.room_for(&own.text);
        let mut brought = Brought {
            url: page.url,
            text: Text::Same,
            own_new: 0,
            own_known: 0,
            elsewhere: false,
            from_own: false,
            repeats: own.repeats,
            far: own.year.is_some_and(|year| is_far(year, page.now)),
        };
        for link in page.links {
            self.link(page, link, &own.text, &mut brought);
        }
        brought.from_own = page.found_at.is_some_and(|at| {
            of_host(at, page.host) && self.names.template(at, false).text == own.text
        });
        let pages = self.pages;
        let simhash = page.text.and_then(|text| text.simhash);
        let seen = simhash.is_some_and(|simhash| !self.texts.is_new(simhash));
        let phrases = page.text.map(|text| text.phrases).unwrap_or_default();
        let mut phrases_new = false;
        for phrase in phrases {
            phrases_new |= self.texts.is_new(phrase);
        }
        let family = self.families.entry(own.text.clone()).or_default();
        family.last = pages;
        if page.is_redirect && brought.own_new == 0 {
            // It leads elsewhere: what is there will tell.
            return None;
        }
        brought.text = family.compare(simhash, seen, phrases_new);
        let words = own.text.contains("{s}") || own.text.contains("{h}");
        let given_up = family.fold(&brought, words);
        let family = family.given_up.clone().filter(|_| given_up)?;
        Some((own.text, family))
    }

    fn link(&mut self, page: &PageRead<'_>, link: &Link, own: &str, brought: &mut Brought<'_>) {
        if !matches!(link.kind, LinkKind::Page | LinkKind::Redirect) || link.host != *page.host {
            return;
        }
        let is_new = self.links.is_new(xxh3_64(link.url.as_bytes()));
        if !is_new {
            // Most links by far: templates would cost too much, and the path's beginning tells it well enough. A way back
            // is no sign of an end.
            let is_back = page.found_at == Some(&*link.url)
                || page.url.starts_with(link.url.trim_end_matches('/'));
            brought.own_known += u32::from(!is_back && is_akin(page.url, &link.url));
            return;
        }
        let template = self.names.template(&link.url, false);
        if template.text == own {
            brought.own_new += 1;
        } else {
            let family = self.families.get(&template.text);
            brought.elsewhere |= family.is_none_or(Family::is_worth);
        }
    }

    /// The evidence where this URL's family was given up.
    pub(super) fn verdict(&mut self, url: &str) -> Option<(String, &GivenUpFamily)> {
        // Every URL of every lease comes by here, and most hosts have no trap.
        if !self.is_decided() {
            return None;
        }
        let template = self.names.template(url, false);
        let family = self.families.get(&template.text)?;
        let given_up = family.given_up.as_ref()?;
        Some((template.text, given_up))
    }

    fn room_for(&mut self, family: &str) {
        if self.families.len() < FAMILIES_MAX || self.families.contains_key(family) {
            return;
        }
        let open = self
            .families
            .iter()
            .filter(|(_, family)| family.given_up.is_none());
        let oldest = open.min_by_key(|(_, family)| family.last);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            self.families.remove(&oldest);
        }
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        let families = self.families.iter();
        let families: usize = families
            .map(|(name, family)| name.len() + size_of::<Family>() + 64 + family.bytes())
            .sum();
        self.names.bytes() + families + self.links.bytes() + self.texts.bytes()
    }

    /// True now and then: when it is worth while to count the memory anew.
    pub(super) fn is_to_be_measured(&self) -> bool {
        self.pages == 1 || self.pages.is_multiple_of(32)
    }

    /// True where a verdict made it more than a cache.
    pub(super) fn is_decided(&self) -> bool {
        self.families
            .values()
            .any(|family| family.given_up.is_some())
    }
}

/// True where two URLs' paths begin with the same part, or have but one.
fn is_akin(one: &str, other: &str) -> bool {
    fn first(url: &str) -> Option<&str> {
        let path = url.splitn(4, '/').nth(3)?;
        match path.find(['/', '?']) {
            Some(end) => Some(&path[..end]),
            None => Some(""),
        }
    }
    first(one) == first(other)
}

/// True for an absolute URL of this host, whatever its port.
fn of_host(url: &str, host: &Host) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.strip_prefix(host.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '?']))
}

fn is_far(year: u16, now: Wall) -> bool {
    let this = 1_970 + i32::try_from(now.millis() / MS_A_YEAR).unwrap_or(0);
    !(this - YEARS_BACK..this + YEARS_AHEAD).contains(&i32::from(year))
}

//! The distinct raw links of one document, so that each is resolved, hashed and judged once.
//!
//! Owns the comparison: by a 64-bit hash of the value up to its fragment, under the crawl's secret seed, so that a page
//! cannot aim collisions. Bounded in number; their bytes are the document's. Invariant: the first of equal links keeps its place, a
//! later one adds its kind.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use contract::link::LinkKind;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A hasher for keys that are hashes already, or fingerprints.
#[derive(Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is used; anything else still hashes, if not well.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        // Fingerprints of one domain have one head, in which a table looks first.
        self.0 = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A hash map's way to take a hash as it is.
pub type AsHashed = BuildHasherDefault<Hashed>;

/// A raw link, the same for all places where the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinctLink<'a> {
    /// Without fragment.
    pub value: Cow<'a, str>,
    /// A reader would follow it.
    pub page: bool,
    /// A browser needs it.
    pub embed: bool,
}

/// Gathers distinct links.
pub struct Distinct<'a> {
    seed: u64,
    links_max: usize,
    seen: HashMap<u64, u32, AsHashed>,
    links: Vec<DistinctLink<'a>>,
    /// Links found past the bound; not all distinct.
    over: u64,
}

impl<'a> Distinct<'a> {
    pub fn new(seed: u64, links_max: usize) -> Self {
        Self {
            seed,
            links_max,
            seen: HashMap::default(),
            links: Vec::new(),
            over: 0,
        }
    }

    /// Takes in a link.
    pub fn add(&mut self, value: Cow<'a, str>, kind: LinkKind) {
        let (page, embed) = (kind != LinkKind::Embed, kind == LinkKind::Embed);
        let value = without_fragment(value);
        let hash = xxh3_64_with_seed(value.as_bytes(), self.seed);
        if let Some(&at) = self.seen.get(&hash) {
            let known = &mut self.links[at as usize];
            known.page |= page;
            known.embed |= embed;
            return;
        }
        let full = self.links.len() >= self.links_max;
        let Some(at) = u32::try_from(self.links.len()).ok().filter(|_| !full) else {
            self.over += 1;
            return;
        };
        self.seen.insert(hash, at);
        self.links.push(DistinctLink { value, page, embed });
    }

    /// The links in order of their first appearance, and how many were left out by the bound.
    pub fn finish(self) -> (Vec<DistinctLink<'a>>, u64) {
        (self.links, self.over)
    }
}

fn without_fragment(value: Cow<'_, str>) -> Cow<'_, str> {
    let Some(hash) = memchr::memchr(b'#', value.as_bytes()) else {
        return value;
    };
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..hash]),
        Cow::Owned(mut text) => {
            text.truncate(hash);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(links: &[(&'static str, LinkKind)]) -> (Vec<(String, bool, bool)>, u64) {
        let mut distinct = Distinct::new(7, 3);
        for (value, kind) in links {
            distinct.add(Cow::Borrowed(value), *kind);
        }
        let (links, over) = distinct.finish();
        (
            links
                .into_iter()
                .map(|link| (link.value.into_owned(), link.page, link.embed))
                .collect(),
            over,
        )
    }

    #[test]
    fn equal_links_meet_and_kinds_add_up() {
        use LinkKind::{Embed, Page};
        let (links, over) = gather(&[
            ("a", Page),
            ("b#x", Embed),
            ("a#y", Page),
            ("#z", Page),
            ("b", Page),
        ]);
        let want = [
            ("a".to_owned(), true, false),
            ("b".to_owned(), true, true),
            (String::new(), true, false),
        ];
        assert_eq!((links, over), (want.to_vec(), 0));
    }

    #[test]
    fn the_bound_holds() {
        use LinkKind::Page;
        assert_eq!(
            gather(&[
                ("a", Page),
                ("b", Page),
                ("c", Page),
                ("d", Page),
                ("a", Page)
            ])
            .1,
            1
        );
    }
}

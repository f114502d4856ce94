//! Near duplicates: pages whose main text is almost that of another page of the same URL template.
//!
//! A template is a URL with what varies within a family of pages left out: `http://a.test/item/*?id`. Families of one template
//! that bring the same text again and again are what a crawl wastes its requests on. Counted from the page list, in bounded
//! memory: a page is compared with the last few of its template that were unlike, and templates beyond a limit are counted
//! together and not compared. It knows how texts were hashed no more than that few bits differ. Start at [`count`].

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use contract::Url;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::error::StoreError;
use crate::figures::OTHERS;
use crate::layout::Layout;
use crate::ledger::LedgerReader;

/// Two texts are near duplicates if their simhashes differ in at most so many of 64 bits (Manku, Jain and Das Sarma, 2007).
pub const DISTANCE_MAX: u32 = 3;
/// Templates told apart: some 5 MB with what is compared.
const TEMPLATES_MAX: usize = 5_000;
/// Unlike pages of a template that are remembered.
const REMEMBERED: usize = 64;
/// Longer path segments vary.
const SEGMENT_MAX: usize = 40;

/// A template in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TemplateRow {
    /// Its HTML pages with a main text.
    pub pages: u64,
    /// Of those, near duplicates of one before.
    pub near: u64,
}

/// What of a line of the page list matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PageLine {
    url: String,
    status: u16,
    simhash: Option<String>,
    same_as: Option<String>,
    change: Option<Change>,
}

#[derive(Debug, Default)]
struct Family {
    row: TemplateRow,
    /// Simhash, and a hash of the URL.
    unlike: VecDeque<(u64, u64)>,
}

/// Counts the pages of several folders by their templates. What is a duplicate to the byte, is an answer other than 2xx, was
/// fetched before, or has no main text is left out.
///
/// # Errors
/// A page list that cannot be read; one that is not there has no pages.
pub fn count(layouts: &[Layout]) -> Result<BTreeMap<String, TemplateRow>, StoreError> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for layout in layouts {
        let path = layout.pages();
        let failed = |error| StoreError::disk("read", &path, error);
        let mut pages = match LedgerReader::open(&path) {
            Ok(pages) => pages,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        loop {
            match pages.next_line() {
                Ok(Some(line)) => add(&mut families, &line),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    let rows = families.into_iter();
    Ok(rows.map(|(name, family)| (name, family.row)).collect())
}

fn add(families: &mut BTreeMap<String, Family>, line: &PageLine) {
    let simhash = line.simhash.as_deref();
    let Some(simhash) = simhash.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
        return;
    };
    if line.same_as.is_some() || line.change.is_some() || !(200..300).contains(&line.status) {
        return;
    }
    let Some(name) = template(&line.url) else {
        return;
    };
    if families.len() >= TEMPLATES_MAX && !families.contains_key(&name) {
        families.entry(OTHERS.to_owned()).or_default().row.pages += 1;
        return;
    }
    let mut hasher = DefaultHasher::new();
    line.url.hash(&mut hasher);
    families
        .entry(name)
        .or_default()
        .add(simhash, hasher.finish());
}

impl Family {
    fn add(&mut self, simhash: u64, url: u64) {
        if self.unlike.iter().any(|(_, other)| *other == url) {
            // The price of a crash, no other page.
            return;
        }
        self.row.pages += 1;
        let is_near = |(other, _): &(u64, u64)| (simhash ^ other).count_ones() <= DISTANCE_MAX;
        if self.unlike.iter().any(is_near) {
            self.row.near += 1;
            return;
        }
        if self.unlike.len() == REMEMBERED {
            self.unlike.pop_front();
        }
        self.unlike.push_back((simhash, url));
    }
}

/// A URL's template: path segments with a digit in them, or that are long, become `*`; of a query the names stay, in order.
fn template(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut name = format!("{}://{}", url.scheme(), url.host_str()?);
    if let Some(port) = url.port() {
        name.push_str(&format!(":{port}"));
    }
    for segment in url.path_segments()? {
        let varies = segment.len() > SEGMENT_MAX || segment.bytes().any(|b| b.is_ascii_digit());
        name.push('/');
        name.push_str(if varies { "*" } else { segment });
    }
    if let Some(query) = url.query() {
        let mut names: Vec<&str> = query
            .split('&')
            .filter_map(|pair| pair.split('=').next())
            .collect();
        names.sort_unstable();
        names.dedup();
        name.push('?');
        name.push_str(&names.join("&"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PageBuilder, scratch, store_pages};
    use contract::keep::TextFacts;

    #[test]
    fn a_template_leaves_out_what_varies() {
        #[track_caller]
        fn check(url: &str, want: &str) {
            assert_eq!(template(url).as_deref(), Some(want));
        }
        check("http://a.test/", "http://a.test/");
        check(
            "https://a.test:8443/item/42/about",
            "https://a.test:8443/item/*/about",
        );
        check("http://a.test/2024/05/a-page2.html", "http://a.test/*/*/*");
        check("http://a.test/x?id=7&a=&id=8&b", "http://a.test/x?a&b&id");
        check(
            &format!("http://a.test/{}", "x".repeat(41)),
            "http://a.test/*",
        );
        assert_eq!(template("no url"), None);
    }

    #[test]
    fn pages_are_near_within_their_template_only() {
        let dir = scratch();
        let page = |url: &str, simhash: u64| {
            let mut page = PageBuilder::new(url).html(url).build();
            page.facts.text = Some(TextFacts {
                chars: 1,
                simhash: Some(simhash),
                phrases: [0; contract::keep::PHRASES],
                language: None,
            });
            page
        };
        let layout = store_pages(
            dir.path(),
            [
                page("http://a.test/i/1", 0),
                page("http://a.test/i/2", 0b111),
                page("http://a.test/i/3", 0b1111),
                page("http://a.test/i/1", 0),
                page("http://a.test/other", 0),
                PageBuilder::new("http://a.test/i/9").html("").build(),
            ],
        );
        let rows = count(std::slice::from_ref(&layout)).unwrap();
        let want = [
            (
                "http://a.test/i/*".to_owned(),
                TemplateRow { pages: 3, near: 1 },
            ),
            (
                "http://a.test/other".to_owned(),
                TemplateRow { pages: 1, near: 0 },
            ),
        ];
        assert_eq!(rows, BTreeMap::from(want));
        // A folder without pages has none.
        let empty = scratch();
        assert_eq!(
            count(&[Layout::new(empty.path())]).unwrap(),
            BTreeMap::new()
        );
    }

    #[test]
    fn memory_is_bounded_by_templates_and_pages() {
        let mut families = BTreeMap::new();
        for n in 0..TEMPLATES_MAX + 7 {
            // Letters only: each its own template.
            let name: String = n.to_string().bytes().map(|b| char::from(b + 49)).collect();
            let line = PageLine {
                url: format!("http://a.test/{name}"),
                status: 200,
                simhash: Some("0".to_owned()),
                same_as: None,
                change: None,
            };
            add(&mut families, &line);
        }
        assert_eq!(families.len(), TEMPLATES_MAX + 1);
        assert_eq!(families[OTHERS].row, TemplateRow { pages: 7, near: 0 });
        let mut family = Family::default();
        for n in 0..1_000_u64 {
            family.add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n);
        }
        assert_eq!(family.unlike.len(), REMEMBERED);
    }
}

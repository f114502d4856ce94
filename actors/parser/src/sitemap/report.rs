//! A whole document read for a person who asks: what it is, what it lists, what is wrong with it.
//!
//! The same reading as the crawl's ([`super::Sitemap`]), with gzip and the charset undone first, relative URLs made whole,
//! dates in one form beside the written ones, and what a site's owner might put right. Start at [`read`].

use std::collections::HashSet;
use std::ops::ControlFlow;

use contract::body::Body;
use contract::coding::{self, Coding};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::Serialize;
use url::Url;

use super::entry::{Entry, Format, Role};
use super::{ENTRIES_MAX, End, Finished, Sitemap, dates, each_link};
use crate::{charset, sniff};

/// A longer document is not read to its end (sitemaps.org: "no larger than 50MB").
const BYTES_MAX: u64 = 50_000_000;
/// More complaints than that are not told.
const PROBLEMS_MAX: usize = 100;
/// Bytes of it that are decoded at once.
const PIECE: usize = 64 * 1_024;
const GZIP: &[u8] = b"\x1F\x8B";

/// A document to read.
#[derive(Debug)]
pub struct Document<'d> {
    pub bytes: &'d [u8],
    /// The bytes are UTF-8, whatever the document says of itself.
    pub is_text: bool,
    /// Its Content-Type, for the charset.
    pub content_type: Option<&'d str>,
    /// Where it is.
    pub base: Option<&'d Url>,
}

/// What a document is and lists.
#[derive(Debug, Serialize)]
pub struct Report {
    pub kind: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The charset it was decoded from, by the Encoding Standard's name.
    pub encoding: &'static str,
    pub gzip: bool,
    /// Whether it was read to its end and all was closed.
    pub end: End,
    /// Pages of a sitemap, posts of a feed.
    pub entries: Vec<Listed>,
    /// Sitemaps of an index.
    pub sitemaps: Vec<Listed>,
    /// What a feed says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<Listed>,
    /// Every URL that the crawl takes from it, once.
    pub links: Vec<Link>,
    pub problems: Vec<String>,
}

/// An entry as it is shown.
#[derive(Debug, Default, Serialize)]
pub struct Listed {
    /// The URL of a page or sitemap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loc: Option<String>,
    /// The URL of a post or of a feed's site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// When it was published or else updated, in UTC by RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// `lastmod` in UTC by RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastmod_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    #[serde(flatten)]
    pub entry: Entry,
}

/// A link that the crawl takes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub url: String,
    /// `page`, `sitemap` or `embed`.
    pub kind: &'static str,
}

/// Reads the document.
pub fn read(document: &Document<'_>) -> Report {
    let mut problems = Problems::default();
    let gzip = document.bytes.starts_with(GZIP);
    let mut unpacked = gzip.then(|| unpack(document.bytes, &mut problems));
    // Packed twice: a packed file that the server packed again.
    if let Some(again) = unpacked.take_if(|bytes| bytes.starts_with(GZIP)) {
        unpacked = Some(unpack(&again, &mut problems));
    }
    let bytes = unpacked.as_deref().unwrap_or(document.bytes);
    let bytes = &bytes[..bytes
        .len()
        .min(usize::try_from(BYTES_MAX).unwrap_or(usize::MAX))];
    let header = document.content_type.and_then(sniff::charset);
    let (encoding, bom) = if document.is_text {
        (
            UTF_8,
            if bytes.starts_with(b"\xEF\xBB\xBF") {
                3
            } else {
                0
            },
        )
    } else {
        encoding_of(bytes, header, &mut problems)
    };
    let mut gathered = Gathered::new(document.base);
    let finished = decode(
        encoding,
        &bytes[bom..],
        document.base,
        &mut |role, entry| {
            gathered.take(role, entry, &mut problems);
        },
    );
    problems.of(&finished, &gathered);
    Report {
        kind: finished.format,
        version: finished.version,
        encoding: encoding.name(),
        gzip,
        end: finished.end,
        entries: gathered.entries,
        sitemaps: gathered.sitemaps,
        feed: gathered.feed.filter(|_| finished.format.is_feed()),
        links: gathered.links,
        problems: problems.told,
    }
}

fn unpack(bytes: &[u8], problems: &mut Problems) -> Vec<u8> {
    let body = Body::in_memory(vec![bytes.to_vec().into()], None);
    let mut plain = Vec::new();
    let ended = coding::decode(&body, &[Coding::Gzip], BYTES_MAX, &mut |piece| {
        plain.extend_from_slice(piece);
        ControlFlow::Continue(())
    });
    if let Err(error) = ended {
        problems.tell(format!("gzip: {error}"));
    }
    plain
}

/// The encoding, and the length of the byte order mark. What is declared is believed, unless the bytes are plainly another.
fn encoding_of(
    bytes: &[u8],
    header: Option<&str>,
    problems: &mut Problems,
) -> (&'static Encoding, usize) {
    // XML 1.0, appendix F: UTF-16 that has no mark is told by its first characters.
    match bytes {
        [b'<', 0, next, 0, ..] if *next != 0 => return (UTF_16LE, 0),
        [0, b'<', 0, next, ..] if *next != 0 => return (UTF_16BE, 0),
        _ => {}
    }
    let (encoding, bom) = charset::of_xml(bytes, header);
    if encoding == UTF_8 && std::str::from_utf8(&bytes[bom..]).is_err() {
        let text = String::from_utf8_lossy(&bytes[bom..]);
        let broken = text.chars().filter(|c| *c == '\u{FFFD}').count();
        let sound = text.chars().filter(|c| !c.is_ascii()).count() - broken;
        problems.tell("bytes that are not UTF-8".to_owned());
        if broken > sound && bom == 0 {
            return (WINDOWS_1252, 0);
        }
    }
    (encoding, bom)
}

fn decode(
    encoding: &'static Encoding,
    bytes: &[u8],
    base: Option<&Url>,
    found: &mut dyn FnMut(Role, Entry),
) -> Finished {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut sitemap = Sitemap::new(base.cloned());
    let mut text = String::new();
    let mut pieces = bytes.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        text.clear();
        // More than enough for every encoding, so that one call takes it all.
        text.reserve(
            decoder
                .max_utf8_buffer_length(piece.len())
                .unwrap_or(piece.len() * 3 + 16),
        );
        let _all_of_it = decoder.decode_to_string(piece, &mut text, pieces.peek().is_none());
        if sitemap.feed(&text, found).is_break() {
            break;
        }
    }
    sitemap.finish(found)
}

/// What was read so far.
struct Gathered<'b> {
    base: Option<&'b Url>,
    entries: Vec<Listed>,
    sitemaps: Vec<Listed>,
    feed: Option<Listed>,
    links: Vec<Link>,
    known: HashSet<String>,
}

impl<'b> Gathered<'b> {
    fn new(base: Option<&'b Url>) -> Self {
        Self {
            base,
            entries: Vec::new(),
            sitemaps: Vec::new(),
            feed: None,
            links: Vec::new(),
            known: HashSet::new(),
        }
    }

    fn take(&mut self, role: Role, mut entry: Entry, problems: &mut Problems) {
        self.absolute(&mut entry);
        each_link(role, &entry, |raw, kind| match self.url(raw) {
            Some(url) => {
                let url = String::from(url);
                if self.known.insert(url.clone()) {
                    self.links.push(Link {
                        url,
                        kind: kind.as_str(),
                    });
                }
            }
            None => problems.tell(format!("{raw:?} is no URL to crawl")),
        });
        let loc = entry.loc.take();
        let place = loc.clone().unwrap_or_else(|| "an entry".to_owned());
        let mut date = |name: &str, text: &Option<String>| {
            let seconds = dates::seconds(text.as_deref()?);
            if seconds.is_none() {
                problems.tell(format!("{place}: {name} {text:?} is no date"));
            }
            seconds.map(dates::rfc3339)
        };
        let lastmod_utc = date("lastmod", &entry.lastmod);
        let published = date("published", &entry.published);
        let updated = date("updated", &entry.updated);
        let priority = entry.priority.as_deref().and_then(|text| {
            let priority = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
            if priority.is_none() {
                problems.tell(format!("{place}: priority {text:?} is not from 0.0 to 1.0"));
            }
            priority
        });
        if let Some(often) = &mut entry.changefreq {
            often.make_ascii_lowercase();
            let known = [
                "always", "hourly", "daily", "weekly", "monthly", "yearly", "never",
            ];
            if !known.contains(&often.as_str()) {
                problems.tell(format!(
                    "{place}: changefreq {often:?} is none of the protocol's"
                ));
            }
        }
        let is_post = matches!(role, Role::Post | Role::Feed);
        let (loc, link) = if is_post { (None, loc) } else { (loc, None) };
        let listed = Listed {
            loc,
            link,
            date: published.or(updated).filter(|_| is_post),
            lastmod_utc,
            priority,
            entry,
        };
        match role {
            Role::Page | Role::Post => self.entries.push(listed),
            Role::Sitemap => self.sitemaps.push(listed),
            Role::Feed => self.feed = Some(listed),
        }
    }

    /// The URL as the crawl asks for it.
    fn url(&self, raw: &str) -> Option<Url> {
        let mut url = match self.base {
            Some(base) => base.join(raw),
            None => Url::parse(raw),
        }
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
        url.set_fragment(None);
        Some(url)
    }

    /// Relative URLs made whole; all others stay as they are written.
    fn absolute(&self, entry: &mut Entry) {
        let Some(base) = self.base else { return };
        let whole = |url: &mut String| {
            if Url::parse(url) == Err(url::ParseError::RelativeUrlWithoutBase)
                && let Ok(joined) = base.join(url)
            {
                *url = joined.into();
            }
        };
        let videos = entry.videos.iter_mut().flat_map(|video| {
            [
                &mut video.thumbnail_loc,
                &mut video.content_loc,
                &mut video.player_loc,
            ]
            .into_iter()
            .flatten()
        });
        entry.loc.iter_mut().for_each(whole);
        entry.comments.iter_mut().for_each(whole);
        entry.images.iter_mut().for_each(whole);
        videos.for_each(whole);
        entry
            .alternates
            .iter_mut()
            .map(|a| &mut a.href)
            .for_each(whole);
        entry
            .enclosures
            .iter_mut()
            .map(|e| &mut e.url)
            .for_each(whole);
        entry.links.iter_mut().map(|l| &mut l.href).for_each(whole);
    }
}

#[derive(Default)]
struct Problems {
    told: Vec<String>,
}

impl Problems {
    fn tell(&mut self, problem: String) {
        if self.told.len() < PROBLEMS_MAX {
            self.told.push(problem);
        }
    }

    fn of(&mut self, finished: &Finished, gathered: &Gathered<'_>) {
        match finished.end {
            End::Whole => {}
            End::Full => self.tell(format!(
                "more than {ENTRIES_MAX} entries: the rest is not read"
            )),
            End::Broken => self.tell("it breaks off, or elements are never closed".to_owned()),
        }
        if finished.without_loc > 0 {
            self.tell(format!("{} entries without a URL", finished.without_loc));
        }
        let wrong_root = match finished.format {
            Format::None => Some("neither a sitemap nor a feed"),
            Format::Urlset if !gathered.sitemaps.is_empty() => Some("a urlset that lists sitemaps"),
            Format::SitemapIndex if !gathered.entries.is_empty() => {
                Some("an index that lists pages")
            }
            _ => None,
        };
        if let Some(wrong) = wrong_root {
            self.tell(wrong.to_owned());
        }
    }
}

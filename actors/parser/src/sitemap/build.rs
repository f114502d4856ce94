//! Elements to entries: what belongs to which page, sitemap, post or feed.
//!
//! Owns the open elements and the entry that they fill. Roles come from names and from what an element stands in, not from
//! the root, so that a document with a wrong root or none is read still. Tags that are never closed are closed by what
//! cannot stand in them: an entry by the next one, a URL by the next element. It knows no bytes and no crawl.
//! Start at [`Builder::token`].

use url::{ParseError, Url};

use super::entry::{Alternate, Enclosure, Entry, Format, News, Related, Role, Video};
use super::names::{Names, Space};
use super::parts::{Field, Part, Place};
use super::xml::{Tag, Token};
use super::{ENTRIES_MAX, TEXT_MAX};

/// Open elements that are remembered; deeper ones are counted only.
const DEPTH_MAX: usize = 32;
/// Images, alternates, links … of one entry.
const PARTS_MAX: usize = 1_000;

/// Takes entries as they are complete; the feed's own comes last.
pub(super) type Found<'f> = &'f mut dyn FnMut(Role, Entry);

/// An open element.
#[derive(Debug)]
struct Open {
    name: String,
    part: Part,
}

#[derive(Debug, Default)]
pub(super) struct Builder {
    pub format: Format,
    pub version: Option<String>,
    pub entries: usize,
    /// Entries without a URL, which were passed over.
    pub without_loc: u64,
    names: Names,
    open: Vec<Open>,
    deeper: usize,
    capture: Option<(Field, String)>,
    entry: Option<(Role, Entry)>,
    /// A post's other names for its URL: of its permalink, of its RDF element.
    guid: Option<String>,
    about: Option<String>,
    feed: Entry,
    document: Option<Url>,
    /// The bases of `xml:base` in force, and how many elements were open where each was said.
    bases: Vec<(usize, Url)>,
}

impl Builder {
    pub(super) fn new(document: Option<Url>) -> Self {
        Self {
            document,
            ..Self::default()
        }
    }

    pub(super) fn token(&mut self, token: Token<'_>, found: Found<'_>) {
        match token {
            Token::Start(tag) => self.start(&tag, found),
            Token::End(name) => self.end(name, found),
            Token::Text(text) => {
                if let Some((_, kept)) = &mut self.capture {
                    let room = TEXT_MAX.saturating_sub(kept.len());
                    kept.push_str(&text[..text.floor_char_boundary(room)]);
                }
            }
        }
    }

    /// A line of a text sitemap: a URL, or nothing.
    pub(super) fn line(&mut self, line: &str, found: Found<'_>) {
        let line = line.trim();
        let begins = |scheme: &str| {
            line.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if !begins("http://") && !begins("https://") {
            return;
        }
        self.begin(Role::Page);
        self.format = Format::Text;
        let kept = line[..line.floor_char_boundary(TEXT_MAX)].to_owned();
        if let Some((_, entry)) = &mut self.entry {
            entry.loc = Some(kept);
        }
        self.emit(found);
    }

    /// Nothing more comes. True if all that was opened was closed.
    pub(super) fn finish(&mut self, found: Found<'_>) -> bool {
        let closed = self.open.is_empty();
        // What the end of the document cut off may be half a URL.
        self.capture = None;
        self.emit(found);
        if self.format.is_feed() && self.feed != Entry::default() {
            found(Role::Feed, std::mem::take(&mut self.feed));
        }
        closed
    }

    fn start(&mut self, tag: &Tag<'_>, found: Found<'_>) {
        let (mut space, local) = self.names.of(tag);
        if space == Space::Other && self.format == Format::None && is_root(&local) {
            // Whatever namespace a root gives itself, it is the document's own.
            self.names.is_own(tag.name);
            space = Space::Own;
        }
        let place = Place {
            format: self.format,
            in_image: self.within(Part::Image),
            in_feed_image: self.within(Part::FeedImage),
        };
        let is_prose = matches!(&self.capture, Some((field, _)) if field.is_prose());
        let part = match space {
            // Markup of a title.
            Space::Xhtml if is_prose => Part::Other,
            _ => place.part(space, &local, tag),
        };
        // An entry cannot stand within text for people: that was never closed.
        if let Some(opaque) = self.opaque().filter(|_| part != Part::Entry(Role::Post)) {
            if !tag.is_empty && self.open[opaque].name == local {
                self.push(local, Part::Other);
            }
            return;
        }
        if let Part::Root(format) = part
            && self.format == Format::None
        {
            self.format = format;
            let usual = (format == Format::Atom).then(|| "1.0".to_owned());
            self.version = tag.attribute("version").or(usual);
        }
        if self.capture.is_some() && (part != Part::Other || !is_prose) {
            self.commit();
            self.pop_field();
        }
        if let Part::Entry(role) = part {
            self.emit(found);
            // Whatever is open within the list was never closed.
            let keep = self
                .open
                .iter()
                .rposition(|open| matches!(open.part, Part::Root(_)));
            self.truncate(keep.map_or(0, |root| root + 1));
            self.deeper = 0;
            self.begin(role);
            self.about = tag.attribute("about");
        }
        let base = tag
            .attributes()
            .any(|(name, _)| name == "xml:base")
            .then(|| tag.attribute("base"))
            .flatten();
        if let Some(base) = base.and_then(|base| self.join(&base).ok()) {
            self.bases.push((self.open.len(), base));
        }
        self.attributes(space, &local, part, tag);
        if tag.is_empty {
            if matches!(part, Part::Entry(_)) {
                self.emit(found);
            }
            let open = self.open.len();
            self.bases.retain(|(at, _)| *at < open);
            return;
        }
        if let Part::Field(field) = part {
            if local == "loc" && field == Field::Loc {
                // A URL without an entry of its own, or a second one in it, is listed all the same.
                let role = match &self.entry {
                    None if self.format == Format::SitemapIndex => Some(Role::Sitemap),
                    None => Some(Role::Page),
                    Some((role, entry)) => entry.loc.is_some().then_some(*role),
                };
                if let Some(role) = role {
                    self.emit(found);
                    self.begin(role);
                }
            }
            self.capture = Some((field, String::new()));
        }
        self.push(local, part);
    }

    fn end(&mut self, name: &str, found: Found<'_>) {
        let (_, local) = super::xml::split(name);
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(at) = self
            .open
            .iter()
            .rposition(|open| open.name.eq_ignore_ascii_case(local))
        else {
            // The wrong name at a URL's end ends it all the same.
            if self
                .capture
                .as_ref()
                .is_some_and(|(field, _)| !field.is_prose())
            {
                self.commit();
                self.pop_field();
            }
            return;
        };
        if self.opaque().is_some_and(|opaque| {
            at < opaque && !matches!(self.open[at].part, Part::Entry(_) | Part::Root(_))
        }) {
            return;
        }
        if self.capture.is_some()
            && self.open[at..]
                .iter()
                .any(|open| matches!(open.part, Part::Field(_)))
        {
            self.commit();
        }
        let ends_entry = self.open[at..]
            .iter()
            .any(|open| matches!(open.part, Part::Entry(_)));
        self.truncate(at);
        let is_bare = self.entry.is_some()
            && !self
                .open
                .iter()
                .any(|open| matches!(open.part, Part::Entry(_)));
        if ends_entry || is_bare {
            self.emit(found);
        }
    }

    fn push(&mut self, name: String, part: Part) {
        if self.open.len() < DEPTH_MAX {
            self.open.push(Open { name, part });
        } else {
            self.deeper += 1;
        }
    }

    fn truncate(&mut self, length: usize) {
        self.open.truncate(length);
        self.bases.retain(|(at, _)| *at < length);
    }

    /// Where the text for people begins, if some is open.
    fn opaque(&self) -> Option<usize> {
        self.open.iter().position(|open| open.part == Part::Opaque)
    }

    /// The field whose text was taken is no longer open.
    fn pop_field(&mut self) {
        if self
            .open
            .last()
            .is_some_and(|open| matches!(open.part, Part::Field(_)))
        {
            self.truncate(self.open.len() - 1);
        }
    }

    fn begin(&mut self, role: Role) {
        self.entry = Some((role, Entry::default()));
        self.guid = None;
        self.about = None;
        if self.format == Format::None {
            self.format = match role {
                Role::Sitemap => Format::SitemapIndex,
                Role::Post => Format::Rss,
                Role::Page | Role::Feed => Format::Urlset,
            };
        }
    }

    /// The open entry is complete.
    fn emit(&mut self, found: Found<'_>) {
        let Some((role, mut entry)) = self.entry.take() else {
            return;
        };
        entry.loc = entry.loc.or(self.guid.take()).or(self.about.take());
        if entry.loc.is_none() {
            self.without_loc += 1;
            // A post need not be at a URL of its own.
            if role != Role::Post {
                return;
            }
        }
        if self.entries < ENTRIES_MAX {
            self.entries += 1;
            found(role, entry);
        }
    }

    fn within(&self, part: Part) -> bool {
        self.open.iter().any(|open| open.part == part)
    }

    /// Links that stand in attributes.
    fn attributes(&mut self, space: Space, local: &str, part: Part, tag: &Tag<'_>) {
        match (space, local) {
            (Space::Xhtml, "link") => {
                if let Some(href) = tag.attribute("href") {
                    let href = self.absolute(href);
                    let alternate = Alternate {
                        href,
                        hreflang: tag.attribute("hreflang"),
                        media: tag.attribute("media"),
                    };
                    push(&mut self.target().alternates, alternate);
                }
            }
            (Space::Own | Space::Other, "link") if part != Part::Field(Field::Loc) => {
                self.link(tag)
            }
            (Space::Own | Space::Other, "enclosure") => {
                let url = tag.attribute("url").or_else(|| tag.attribute("resource"));
                self.enclosure(url, tag);
            }
            (Space::Own, "content") => {
                let source = tag.attribute("src");
                self.enclosure(source, tag);
            }
            (Space::Media, "content") => {
                let url = tag.attribute("url");
                self.enclosure(url, tag);
            }
            (Space::Media, "player") => {
                let url = tag.attribute("url");
                self.related("player", url);
            }
            (Space::Media, "thumbnail") => {
                let url = tag.attribute("url");
                self.image(url);
            }
            (Space::Itunes, "image") => {
                let url = tag.attribute("href");
                self.image(url);
            }
            (Space::Video, "video") => push(&mut self.target().videos, Video::default()),
            (Space::News, "news") => self.target().news = Some(News::default()),
            _ => {}
        }
    }

    /// Atom's `link` (RFC 4287 section 4.2.7): without a relation it is `alternate`.
    fn link(&mut self, tag: &Tag<'_>) {
        let Some(href) = tag.attribute("href").filter(|href| !href.is_empty()) else {
            return;
        };
        let rel = tag.attribute("rel").map(|rel| rel.to_ascii_lowercase());
        let rel = rel
            .as_deref()
            .map(|rel| rel.rsplit('/').next().unwrap_or(rel));
        match rel.unwrap_or("alternate") {
            "alternate" => {
                let href = self.absolute(href);
                let has_loc = self.target().loc.is_some();
                if has_loc {
                    let alternate = Alternate {
                        href,
                        hreflang: tag.attribute("hreflang"),
                        media: None,
                    };
                    push(&mut self.target().alternates, alternate);
                } else {
                    self.target().loc = Some(href);
                }
            }
            "enclosure" => self.enclosure(Some(href), tag),
            rel => self.related(rel, Some(href)),
        }
    }

    fn related(&mut self, rel: &str, href: Option<String>) {
        if let Some(href) = href.filter(|href| !href.is_empty()) {
            let href = self.absolute(href);
            let rel = rel.chars().take(64).collect();
            push(&mut self.target().links, Related { rel, href });
        }
    }

    fn enclosure(&mut self, url: Option<String>, tag: &Tag<'_>) {
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let enclosure = Enclosure {
                url: self.absolute(url),
                media_type: tag.attribute("type"),
                length: tag
                    .attribute("length")
                    .or_else(|| tag.attribute("filesize")),
            };
            let enclosures = &mut self.target().enclosures;
            if enclosures.iter().all(|known| known.url != enclosure.url) {
                push(enclosures, enclosure);
            }
        }
    }

    fn image(&mut self, url: Option<String>) {
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let url = self.absolute(url);
            push(&mut self.target().images, url);
        }
    }

    /// What is being filled: the open entry, or the feed itself.
    fn target(&mut self) -> &mut Entry {
        match &mut self.entry {
            Some((_, entry)) => entry,
            None => &mut self.feed,
        }
    }

    /// A field's text is complete.
    fn commit(&mut self) {
        let Some((field, text)) = self.capture.take() else {
            return;
        };
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let url = || {
            let text: String = text
                .chars()
                .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
                .collect();
            self.absolute(text)
        };
        let first = |slot: &mut Option<String>, value: String| {
            slot.get_or_insert(value);
        };
        let said = || text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match field {
            Field::Loc | Field::Comments | Field::ImageLoc | Field::OrigLink => {
                let url = url();
                let target = self.target();
                match field {
                    Field::Comments => first(&mut target.comments, url),
                    Field::ImageLoc => push(&mut target.images, url),
                    Field::OrigLink => push(
                        &mut target.links,
                        Related {
                            rel: "origlink".to_owned(),
                            href: url,
                        },
                    ),
                    _ => first(&mut target.loc, url),
                }
            }
            Field::Guid { permalink } => {
                let is_url = text
                    .get(..4)
                    .is_some_and(|s| s.eq_ignore_ascii_case("http"));
                if permalink && is_url {
                    let url = url();
                    let known = self.target().loc.clone();
                    if known.as_ref().is_some_and(|loc| *loc != url) {
                        push(
                            &mut self.target().links,
                            Related {
                                rel: "permalink".to_owned(),
                                href: url,
                            },
                        );
                    } else {
                        self.guid = Some(url);
                    }
                }
                first(&mut self.target().id, text.to_owned());
            }
            Field::VideoTitle
            | Field::VideoThumbnail
            | Field::VideoContent
            | Field::VideoPlayer => {
                let value = if field == Field::VideoTitle {
                    said()
                } else {
                    url()
                };
                let videos = &mut self.target().videos;
                if videos.is_empty() {
                    videos.push(Video::default());
                }
                let Some(video) = videos.last_mut() else {
                    return;
                };
                let slot = match field {
                    Field::VideoTitle => &mut video.title,
                    Field::VideoThumbnail => &mut video.thumbnail_loc,
                    Field::VideoContent => &mut video.content_loc,
                    _ => &mut video.player_loc,
                };
                first(slot, value);
            }
            Field::NewsName | Field::NewsLanguage | Field::NewsDate | Field::NewsTitle => {
                let value = said();
                let news = self.target().news.get_or_insert_default();
                let slot = match field {
                    Field::NewsName => &mut news.name,
                    Field::NewsLanguage => &mut news.language,
                    Field::NewsDate => &mut news.publication_date,
                    _ => &mut news.title,
                };
                first(slot, value);
            }
            _ => {
                let value = said();
                let target = self.target();
                let slot = match field {
                    Field::Lastmod => &mut target.lastmod,
                    Field::ChangeFreq => &mut target.changefreq,
                    Field::Priority => &mut target.priority,
                    Field::Id => &mut target.id,
                    Field::Published => &mut target.published,
                    Field::Updated => &mut target.updated,
                    Field::Language => &mut target.language,
                    _ => &mut target.title,
                };
                first(slot, value);
            }
        }
    }

    /// A reference under `xml:base` made whole; any other stays as it is, for whoever knows where the document is.
    fn absolute(&self, href: String) -> String {
        if self.bases.is_empty() || Url::parse(&href) != Err(ParseError::RelativeUrlWithoutBase) {
            return href;
        }
        self.join(&href).map_or(href, String::from)
    }

    fn join(&self, href: &str) -> Result<Url, ParseError> {
        match self
            .bases
            .last()
            .map(|(_, base)| base)
            .or(self.document.as_ref())
        {
            Some(base) => base.join(href),
            None => Url::parse(href),
        }
    }
}

fn is_root(local: &str) -> bool {
    matches!(local, "urlset" | "sitemapindex" | "rss" | "rdf" | "feed")
}

/// Appends within the bound.
fn push<T>(list: &mut Vec<T>, part: T) {
    if list.len() < PARTS_MAX {
        list.push(part);
    }
}

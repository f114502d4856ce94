//! What each element of a sitemap or feed is, by its name and what it stands in.
//!
//! The one list of elements that mean something; all others are passed over. Start at [`Place::part`].

use super::entry::{Format, Role};
use super::names::Space;
use super::xml::Tag;

/// What an element is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An element that says what the document is.
    Root(Format),
    Entry(Role),
    /// The page's image, video or article; the feed's picture.
    Image,
    Video,
    News,
    FeedImage,
    Field(Field),
    /// Text for people: nothing in it is read.
    Opaque,
    Other,
}

/// An element whose text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Loc,
    Guid { permalink: bool },
    OrigLink,
    Lastmod,
    ChangeFreq,
    Priority,
    Id,
    Title,
    Published,
    Updated,
    Language,
    Comments,
    ImageLoc,
    VideoTitle,
    VideoThumbnail,
    VideoContent,
    VideoPlayer,
    NewsName,
    NewsLanguage,
    NewsDate,
    NewsTitle,
}

impl Field {
    /// Text that people read may have markup in it.
    pub(super) fn is_prose(self) -> bool {
        matches!(
            self,
            Self::Title | Self::VideoTitle | Self::NewsTitle | Self::NewsName
        )
    }
}

/// Where an element stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) format: Format,
    /// In a page's image.
    pub(super) in_image: bool,
    /// In a feed's picture.
    pub(super) in_feed_image: bool,
}

impl Place {
    /// What this element is there.
    pub(super) fn part(&self, space: Space, local: &str, tag: &Tag<'_>) -> Part {
        let feed = self.format.is_feed();
        match (space, local) {
            (Space::Own, "urlset") => Part::Root(Format::Urlset),
            (Space::Own, "sitemapindex") => Part::Root(Format::SitemapIndex),
            (Space::Own, "rss" | "channel") => Part::Root(Format::Rss),
            (Space::Own, "rdf") => Part::Root(Format::Rdf),
            (Space::Own, "feed") => Part::Root(Format::Atom),
            (Space::Own, "url") if self.in_feed_image => Part::Field(Field::ImageLoc),
            (Space::Own, "url") if !feed => Part::Entry(Role::Page),
            (Space::Own, "sitemap") if !feed => Part::Entry(Role::Sitemap),
            (Space::Own, "item" | "entry")
                if !matches!(self.format, Format::Urlset | Format::SitemapIndex) =>
            {
                Part::Entry(Role::Post)
            }
            (Space::Image, "image") => Part::Image,
            (Space::Image, "loc") => Part::Field(Field::ImageLoc),
            (Space::Own, "loc") if self.in_image => Part::Field(Field::ImageLoc),
            (Space::Own, "loc") => Part::Field(Field::Loc),
            (Space::Own, "lastmod") => Part::Field(Field::Lastmod),
            (Space::Own, "changefreq") => Part::Field(Field::ChangeFreq),
            (Space::Own, "priority") => Part::Field(Field::Priority),
            (Space::Video, "video") => Part::Video,
            (Space::Video, "title") => Part::Field(Field::VideoTitle),
            (Space::Video, "thumbnail_loc") => Part::Field(Field::VideoThumbnail),
            (Space::Video, "content_loc") => Part::Field(Field::VideoContent),
            (Space::Video, "player_loc") => Part::Field(Field::VideoPlayer),
            (Space::News, "news") => Part::News,
            (Space::News, "name") => Part::Field(Field::NewsName),
            (Space::News, "language") => Part::Field(Field::NewsLanguage),
            (Space::News, "publication_date") => Part::Field(Field::NewsDate),
            (Space::News, "title") => Part::Field(Field::NewsTitle),
            (Space::Own, "image") if feed => Part::FeedImage,
            (Space::Own, _) if self.in_feed_image => Part::Other,
            (Space::Own, "link") if tag.attribute("href").is_none() => Part::Field(Field::Loc),
            (Space::Own, "guid") => Part::Field(Field::Guid {
                permalink: !tag
                    .attribute("ispermalink")
                    .is_some_and(|is| is.eq_ignore_ascii_case("false")),
            }),
            (Space::Other, "origlink") => Part::Field(Field::OrigLink),
            (Space::Own, "id") => Part::Field(Field::Id),
            (Space::Own | Space::Dublin, "title") => Part::Field(Field::Title),
            (Space::Own, "pubdate" | "published" | "issued")
            | (Space::Dublin, "date" | "created" | "issued") => Part::Field(Field::Published),
            (Space::Own, "updated" | "modified" | "lastbuilddate")
            | (Space::Dublin, "modified") => Part::Field(Field::Updated),
            (Space::Own | Space::Dublin, "language") => Part::Field(Field::Language),
            (Space::Own, "comments") => Part::Field(Field::Comments),
            (Space::Own, "logo" | "icon") => Part::Field(Field::ImageLoc),
            (
                Space::Own,
                "description" | "summary" | "content" | "source" | "author" | "contributor"
                | "textinput" | "subtitle" | "tagline" | "info" | "copyright" | "rights",
            )
            | (Space::Other, "encoded")
            | (Space::Media, "description" | "title" | "text" | "credit") => Part::Opaque,
            (Space::Xhtml, "body" | "div") => Part::Opaque,
            _ => Part::Other,
        }
    }
}

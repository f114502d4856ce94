//! What a sitemap or feed lists: pages, other sitemaps, posts, and what is said of each.
//!
//! Plain data; URLs and dates are as the document writes them, but for white space around them. Every list and text is
//! bounded where it is filled. Field names are those of the formats; they are the answer of `argiope sitemap` too.

use serde::Serialize;

/// The format of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Neither a sitemap nor a feed.
    #[default]
    None,
    /// sitemaps.org's list of pages.
    Urlset,
    /// sitemaps.org's list of sitemaps.
    SitemapIndex,
    /// One URL a line.
    Text,
    /// RSS 0.91 to 2.0.
    Rss,
    /// RSS 0.90 and 1.0.
    Rdf,
    /// Atom 0.3 and 1.0.
    Atom,
    /// JSON Feed 1 and 1.1.
    JsonFeed,
}

impl Format {
    pub fn is_feed(self) -> bool {
        matches!(self, Self::Rss | Self::Rdf | Self::Atom | Self::JsonFeed)
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A page of a sitemap.
    Page,
    /// A sitemap of an index.
    Sitemap,
    /// An item or entry of a feed.
    Post,
    /// The feed itself.
    Feed,
}

/// An entry. Its URL and priority are shown by whoever shows it ([`super::report`]). What the document does not say is none or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The page's, sitemap's or post's URL.
    #[serde(skip)]
    pub loc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastmod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changefreq: Option<String>,
    #[serde(skip)]
    pub priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub videos: Vec<Video>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news: Option<News>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Alternate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enclosures: Vec<Enclosure>,
    /// Links with a relation that is none of the above: `self`, `next`, `hub`, `related` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Related>,
}

/// A video of a page (Google's video sitemaps).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Video {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_loc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_loc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player_loc: Option<String>,
}

/// A page's article (Google's news sitemaps).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The same page in another language or for another medium.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alternate {
    pub href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hreflang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
}

/// A file that belongs to a post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Enclosure {
    pub url: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}

/// A link and its relation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Related {
    pub rel: String,
    pub href: String,
}

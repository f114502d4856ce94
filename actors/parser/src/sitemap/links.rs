//! Which links the crawl takes from an entry, and as what.

use contract::link::LinkKind;

use super::entry::{Entry, Role};
use crate::html::links::Standing;
use crate::html::rel;

/// Shows each of an entry's links: pages, sitemaps of an index, and what belongs to a page.
pub(super) fn each(role: Role, entry: &Entry, mut found: impl FnMut(&str, LinkKind)) {
    let own = match role {
        Role::Sitemap => LinkKind::Sitemap,
        Role::Page | Role::Post | Role::Feed => LinkKind::Page,
    };
    let pages = entry.alternates.iter().map(|alternate| &alternate.href);
    for url in entry.loc.iter().chain(&entry.comments).chain(pages) {
        found(url, own);
    }
    for link in &entry.links {
        if let Some(kind) = of_rel(&link.rel) {
            found(&link.href, kind);
        }
    }
    let videos = entry.videos.iter().flat_map(|video| {
        [&video.thumbnail_loc, &video.content_loc, &video.player_loc]
            .into_iter()
            .flatten()
    });
    let files = entry.enclosures.iter().map(|enclosure| &enclosure.url);
    for url in entry.images.iter().chain(videos).chain(files) {
        found(url, LinkKind::Embed);
    }
}

/// What an Atom link is: not the feed itself, not what is posted to or subscribed at.
fn of_rel(rel: &str) -> Option<LinkKind> {
    match rel {
        "self" | "edit" | "edit-media" | "search" | "hub" => None,
        "player" => Some(LinkKind::Embed),
        "origlink" | "permalink" => Some(LinkKind::Page),
        rel => rel::kind(rel)
            .filter(|(_, standing)| *standing == Standing::Followed)
            .map(|(kind, _)| kind),
    }
}

//! What the elements of sitemaps and feeds are called, whatever prefix they have.
//!
//! Owns the namespaces' names. A prefix means what it was declared for, anywhere in the document; one that was never
//! declared means what it usually does. Start at [`Names::of`].

use super::xml::{Tag, split};

/// A vocabulary that gives elements their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// The document's own: sitemaps.org's, RSS', Atom's, or none.
    Own,
    Image,
    Video,
    News,
    Xhtml,
    Media,
    Dublin,
    Itunes,
    Other,
}

/// Declarations that are remembered.
const PREFIXES_MAX: usize = 64;

/// The prefixes of one document.
#[derive(Debug, Default)]
pub(super) struct Names {
    declared: Vec<(String, Space)>,
}

impl Names {
    /// An element's vocabulary and local name in lower case. Takes in what it declares.
    pub(super) fn of(&mut self, tag: &Tag<'_>) -> (Space, String) {
        let (prefix, local) = split(tag.name);
        let mut own = None;
        for (name, value) in tag.attributes() {
            if name == "xmlns" {
                own = Some(of_uri(value));
            } else if let Some(prefix) = name.strip_prefix("xmlns:")
                && self.declared.len() < PREFIXES_MAX
            {
                self.declared.push((prefix.to_owned(), of_uri(value)));
            }
        }
        let space = match (prefix, own) {
            ("", None) => Space::Own,
            ("", Some(own)) => own,
            _ => self.of_prefix(prefix),
        };
        (space, local.to_ascii_lowercase())
    }

    /// The prefix of this name is the document's own.
    pub(super) fn is_own(&mut self, name: &str) {
        let (prefix, _) = split(name);
        if !prefix.is_empty() && self.declared.len() < PREFIXES_MAX {
            self.declared.push((prefix.to_owned(), Space::Own));
        }
    }

    fn of_prefix(&self, prefix: &str) -> Space {
        let declared = self.declared.iter().rev().find(|(name, _)| name == prefix);
        match declared {
            Some((_, space)) if *space != Space::Other => *space,
            _ => usual(prefix),
        }
    }
}

/// By the parts of the namespaces' names that every version has; schemes, `www.` and slashes at the end differ in use.
fn of_uri(uri: &str) -> Space {
    let uri = uri.trim_ascii().to_ascii_lowercase();
    let has = |part: &str| uri.contains(part);
    if has("sitemap-image") {
        Space::Image
    } else if has("sitemap-video") {
        Space::Video
    } else if has("sitemap-news") {
        Space::News
    } else if has("1999/xhtml") {
        Space::Xhtml
    } else if has("search.yahoo.com/mrss") {
        Space::Media
    } else if has("purl.org/dc/") {
        Space::Dublin
    } else if has("itunes.com/dtds") {
        Space::Itunes
    } else if uri.is_empty()
        || [
            "sitemap",
            "2005/atom",
            "purl.org/atom",
            "purl.org/rss/1.0/",
            "rss/0.9",
            "my.netscape.com",
            "backend.userland",
            "rss2",
            "22-rdf-syntax",
        ]
        .iter()
        .any(|own| has(own))
            && !has("/modules/")
    {
        Space::Own
    } else {
        Space::Other
    }
}

fn usual(prefix: &str) -> Space {
    match prefix.to_ascii_lowercase().as_str() {
        "image" => Space::Image,
        "video" => Space::Video,
        "news" | "n" => Space::News,
        "xhtml" => Space::Xhtml,
        "media" => Space::Media,
        "dc" | "dcterms" => Space::Dublin,
        "itunes" | "googleplay" => Space::Itunes,
        "atom" | "atom10" | "a10" | "rss" | "rdf" | "sm" | "s" | "sitemap" | "ns" | "ns0"
        | "ns1" => Space::Own,
        _ => Space::Other,
    }
}

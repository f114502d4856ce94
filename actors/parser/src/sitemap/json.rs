//! JSON Feed 1 and 1.1 (jsonfeed.org) to entries.
//!
//! A document of JSON is read whole: there is nothing to tell before its end. Members of another type than the standard's
//! count as absent, but for an `id` that is a number.

use serde_json::{Map, Value};

use super::ENTRIES_MAX;
use super::entry::{Enclosure, Entry, Related, Role};

/// Whether the head of a document is JSON Feed's: its first member should be the version.
pub(crate) fn is_head(head: &str) -> bool {
    head.trim_start().starts_with('{') && head.contains("jsonfeed.org/version/")
}

/// What a document of JSON is.
pub(super) enum Read {
    /// A feed, and its version.
    Feed(Option<String>),
    Other,
}

/// Reads a feed's items, and itself; none where the text is no JSON object.
pub(super) fn read(text: &str, found: &mut dyn FnMut(Role, Entry)) -> Option<Read> {
    let Ok(Value::Object(feed)) = serde_json::from_str(text) else {
        return None;
    };
    let items = feed.get("items").and_then(Value::as_array);
    let version = string(&feed, "version");
    // Any other object.
    if items.is_none()
        && !version
            .as_ref()
            .is_some_and(|version| version.contains("jsonfeed.org"))
    {
        return Some(Read::Other);
    }
    for item in items
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .take(ENTRIES_MAX)
    {
        found(Role::Post, post(item));
    }
    let mut entry = Entry {
        loc: string(&feed, "home_page_url"),
        title: string(&feed, "title"),
        language: string(&feed, "language"),
        images: strings(&feed, &["icon", "favicon"]),
        ..Entry::default()
    };
    for (rel, name) in [("self", "feed_url"), ("next", "next_url")] {
        entry.links.extend(string(&feed, name).map(|href| Related {
            rel: rel.to_owned(),
            href,
        }));
    }
    found(Role::Feed, entry);
    let version = version.map(|version| version.rsplit('/').next().unwrap_or_default().to_owned());
    Some(Read::Feed(version))
}

fn post(item: &Map<String, Value>) -> Entry {
    let external = string(item, "external_url");
    let url = string(item, "url");
    let related = external.clone().filter(|_| url.is_some());
    let attachments = item.get("attachments").and_then(Value::as_array);
    let attachments = attachments
        .into_iter()
        .flatten()
        .filter_map(Value::as_object);
    Entry {
        loc: url.or(external),
        id: string(item, "id").or_else(|| Some(item.get("id")?.as_number()?.to_string())),
        title: string(item, "title"),
        published: string(item, "date_published"),
        updated: string(item, "date_modified"),
        language: string(item, "language"),
        images: strings(item, &["image", "banner_image"]),
        enclosures: attachments
            .filter_map(|attachment| {
                Some(Enclosure {
                    url: string(attachment, "url")?,
                    media_type: string(attachment, "mime_type"),
                    length: attachment
                        .get("size_in_bytes")
                        .and_then(Value::as_number)
                        .map(ToString::to_string),
                })
            })
            .collect(),
        links: related
            .map(|href| Related {
                rel: "related".to_owned(),
                href,
            })
            .into_iter()
            .collect(),
        ..Entry::default()
    }
}

fn string(object: &Map<String, Value>, name: &str) -> Option<String> {
    let text = object.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn strings(object: &Map<String, Value>, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| string(object, name))
        .collect()
}

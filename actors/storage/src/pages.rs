//! The page list, `pages/pages.jsonl`, in Browsertrix' form: the HTML pages that a replay offers to look at.
//!
//! It is written after the ledger and not synced with each group: after a power cut its last lines may be
//! missing, which loses no page, for archive, index and ledger have it.

use std::fmt::Write as _;
use std::io;

use contract::clock::Chance;
use contract::keep::ParsedPage;
use contract::link::LinkKind;
use contract::rights::Statement;
use serde::Serialize;

use crate::jsonl;
use crate::stamp;

/// The first line of the file.
pub const HEADER: &str =
    "{\"format\":\"json-pages-1.0\",\"id\":\"pages\",\"title\":\"All Pages\"}\n";

#[derive(Debug, Serialize)]
struct Line<'a> {
    id: String,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    ts: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime: Option<&'a str>,
    depth: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    seed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    /// What site and page say of the page's use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rights: Vec<Right>,
}

#[derive(Debug, Serialize)]
struct Right {
    /// Where it is said.
    by: String,
    says: String,
}

impl Right {
    fn of(statement: &Statement) -> Self {
        Self {
            by: statement.by.to_string(),
            says: statement.says(),
        }
    }
}

/// Appends the line of a page, if it is HTML that was kept.
///
/// # Errors
/// None that a page can cause.
pub fn of_page(out: &mut Vec<u8>, parsed: &ParsedPage, chance: &mut Chance) -> io::Result<()> {
    let (Some(exchange), true) = (&parsed.page.exchange, parsed.facts.html) else {
        return Ok(());
    };
    let mut id = String::with_capacity(32);
    for part in [chance.draw(), chance.draw()] {
        // Writing to a String does not fail.
        let _infallible = write!(id, "{part:016x}");
    }
    let line = Line {
        id,
        url: parsed.page.url.as_str(),
        title: parsed.facts.title.as_deref(),
        ts: stamp::iso(parsed.page.began),
        status: exchange.status.as_u16(),
        mime: parsed.facts.mime.as_deref(),
        depth: parsed.page.queued.depth,
        seed: parsed.page.queued.kind == LinkKind::Seed,
        language: parsed.facts.language.as_deref(),
        rights: parsed.facts.rights.iter().map(Right::of).collect(),
    };
    jsonl::push(out, &line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PageBuilder;

    #[test]
    fn html_is_listed_and_nothing_else() {
        let mut out = Vec::new();
        let mut chance = Chance::seeded(1);
        of_page(
            &mut out,
            &PageBuilder::new("http://a.test/i.png").build(),
            &mut chance,
        )
        .unwrap();
        assert!(out.is_empty());
        let page = PageBuilder::new("http://a.test/x")
            .html("x")
            .title("A \"B\"\n")
            .build();
        of_page(&mut out, &page, &mut chance).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["title"], "A \"B\"\n");
        assert_eq!(
            (&line["status"], &line["depth"], &line["mime"]),
            (&200.into(), &1.into(), &"text/html".into())
        );
        assert_eq!(line["id"].as_str().unwrap().len(), 32);
        assert!(line.get("seed").is_none() && line.get("rights").is_none());
        let header: serde_json::Value = serde_json::from_str(HEADER).unwrap();
        assert_eq!(header["format"], "json-pages-1.0");
    }
}

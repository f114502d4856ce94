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

use crate::archive::Kept;
use crate::change::Change;
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
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    /// What the main text is written in, as its words tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    language_detected: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charset: Option<&'a str>,
    /// Characters of the main text, whitespace left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_chars: Option<u64>,
    /// Sixteen hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    simhash: Option<String>,
    /// Of the body as received, as in archive and ledger.
    digest: String,
    /// The URL whose record has the body, where this page's names it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_as: Option<&'a str>,
    /// What a refresh found.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
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

/// Appends the line of a page that was kept, if it is HTML.
///
/// # Errors
/// None that a page can cause.
pub fn of_page(
    out: &mut Vec<u8>,
    parsed: &ParsedPage,
    kept: &Kept,
    chance: &mut Chance,
) -> io::Result<()> {
    let (Some(exchange), true) = (&parsed.page.exchange, parsed.facts.html) else {
        return Ok(());
    };
    let mut id = String::with_capacity(32);
    for part in [chance.draw(), chance.draw()] {
        // Writing to a String does not fail.
        let _infallible = write!(id, "{part:016x}");
    }
    let facts = &parsed.facts;
    let line = Line {
        id,
        url: parsed.page.url.as_str(),
        title: facts.title.as_deref(),
        ts: stamp::iso(parsed.page.began),
        status: exchange.status.as_u16(),
        mime: facts.mime.as_deref(),
        depth: parsed.page.queued.depth,
        seed: parsed.page.queued.kind == LinkKind::Seed,
        description: facts.description.as_deref(),
        canonical: facts.canonical.as_deref(),
        language: facts.language.as_deref(),
        language_detected: facts.text.and_then(|text| text.language),
        charset: facts.charset,
        text_chars: facts.text.map(|text| text.chars),
        simhash: facts
            .text
            .and_then(|text| text.simhash)
            .map(|hash| format!("{hash:016x}")),
        digest: kept.digest.to_string(),
        same_as: kept.same_as.as_ref().map(|first| &*first.url),
        change: kept.change,
        rights: facts.rights.iter().map(Right::of).collect(),
    };
    jsonl::push(out, &line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PageBuilder, kept};
    use contract::keep::TextFacts;

    #[test]
    fn html_is_listed_and_nothing_else() {
        let mut out = Vec::new();
        let mut chance = Chance::seeded(1);
        of_page(
            &mut out,
            &PageBuilder::new("http://a.test/i.png").build(),
            &kept(),
            &mut chance,
        )
        .unwrap();
        assert!(out.is_empty());
        let mut page = PageBuilder::new("http://a.test/x")
            .html("x")
            .title("A \"B\"\n")
            .build();
        page.facts.description = Some("what".to_owned());
        page.facts.canonical = Some("http://a.test/c".to_owned());
        page.facts.charset = Some("UTF-8");
        page.facts.text = Some(TextFacts {
            chars: 7,
            simhash: Some(0xAB),
            phrases: [0; contract::keep::PHRASES],
            language: Some("de"),
        });
        of_page(&mut out, &page, &kept(), &mut chance).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["title"], "A \"B\"\n");
        assert_eq!(
            (&line["status"], &line["depth"], &line["mime"]),
            (&200.into(), &1.into(), &"text/html".into())
        );
        assert_eq!(line["id"].as_str().unwrap().len(), 32);
        let said = [
            "description",
            "canonical",
            "charset",
            "text_chars",
            "simhash",
            "language_detected",
            "digest",
        ];
        assert_eq!(
            said.map(|field| line[field].clone()),
            [
                "what".into(),
                "http://a.test/c".into(),
                "UTF-8".into(),
                serde_json::Value::from(7),
                "00000000000000ab".into(),
                "de".into(),
                kept().digest.to_string().into(),
            ]
        );
        assert!(line.get("seed").is_none() && line.get("rights").is_none());
        let header: serde_json::Value = serde_json::from_str(HEADER).unwrap();
        assert_eq!(header["format"], "json-pages-1.0");
    }
}

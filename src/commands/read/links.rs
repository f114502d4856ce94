//! `links`: a document's links, one by one, with what a crawl would make of them.
//!
//! Everything is read by [`parser::listing`]; here are the case's fields and the answer's. Start at [`run`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use contract::Url;
use parser::config::ParserConfig;
use parser::html::HtmlOptions;
use parser::html::links::Standing;
use parser::listing::{Asked, Listed, Listing, list};
use parser::sniff::Supplied;
use serde::{Deserialize, Serialize};

use super::jsonl::{self, Document, Text};
use crate::cli::LinksArgs;
use crate::exit::{Code, Failure};

/// What a document without a Content-Type is read as; an empty one has it sniffed.
const USUAL: &str = "text/html";

/// Lists the links of a file, or of every case.
///
/// # Errors
/// A file that cannot be read, a base that is no URL, and what [`jsonl::run`] finds.
pub fn run(args: &LinksArgs) -> Result<Code, Failure> {
    if args.lines.jsonl {
        return jsonl::run(|mut case| {
            let document = case.document()?;
            answer(&case.fields, &document)
        });
    }
    let path = args.file.clone().unwrap_or_default();
    let document = Document {
        bytes: jsonl::read_file(&path).map_err(Failure::input)?,
        is_text: false,
    };
    let case = Case {
        base: Text(args.base.clone().unwrap_or_default()),
        content_type: args.content_type.clone(),
        headers: BTreeMap::new(),
        attributes: args.attributes.clone(),
    };
    let answer = answer(&case, &document).map_err(Failure::input)?;
    let shown = serde_json::to_string_pretty(&answer)
        .map_err(|error| Failure::new(Code::Error, error.to_string()))?;
    println!("{shown}");
    Ok(Code::Done)
}

#[derive(Debug, Deserialize)]
struct Case {
    #[serde(alias = "url")]
    base: Text,
    #[serde(default)]
    content_type: Option<String>,
    /// By name, in any case; of several values a list.
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    #[serde(default)]
    attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl Case {
    /// The values of a header.
    fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            .flat_map(|(_, values)| values.all().iter().map(String::as_str))
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    kind: &'static str,
    mime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_by: Option<&'static str>,
    base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    links: Vec<Link>,
    not_followed: Vec<Link>,
    #[serde(skip_serializing_if = "is_zero")]
    unread_srcdocs: u64,
}

#[derive(Debug, Serialize)]
struct Link {
    url: Option<String>,
    raw: String,
    element: String,
    attribute: String,
    kind: &'static str,
    /// Why it is not followed; left out for those that are.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rel: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    nofollow: bool,
    #[serde(skip_serializing_if = "is_false")]
    ugc: bool,
    #[serde(skip_serializing_if = "is_false")]
    sponsored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hreflang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn answer(case: &Case, document: &Document) -> Result<Answer, String> {
    let base = &case.base.0;
    let url = Url::parse(base).map_err(|error| format!("base {base:?}: {error}"))?;
    let options = HtmlOptions {
        link_attributes: attributes(&case.attributes)?,
        ..HtmlOptions::default()
    };
    let nosniff = case
        .header("x-content-type-options")
        .any(|value| value.trim().eq_ignore_ascii_case("nosniff"));
    let declared = case.content_type.as_deref();
    let link: Vec<_> = case.header("link").map(Cow::Borrowed).collect();
    let asked = Asked {
        bytes: &document.bytes,
        is_text: document.is_text,
        supplied: Supplied {
            content_type: declared
                .or_else(|| case.header("content-type").last())
                .or(Some(USUAL)),
            nosniff,
        },
        tld: url.host_str().and_then(|host| host.rsplit('.').next()),
        link: &link,
        refresh: case.header("refresh").next(),
        url: &url,
    };
    Ok(Answer::of(list(&asked, &options)))
}

/// Names as the crawl's configuration takes them.
fn attributes(names: &[String]) -> Result<Vec<String>, String> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let config = ParserConfig {
        link_attributes: names.to_vec(),
        ..ParserConfig::default()
    };
    Ok(config.validate()?.link_attributes)
}

impl Answer {
    fn of(listing: Listing) -> Self {
        let (followed, others): (Vec<_>, Vec<_>) = listing
            .links
            .into_iter()
            .partition(|link| link.standing == Standing::Followed);
        let (encoding, encoding_by) = listing.encoding.unzip();
        Self {
            kind: listing.kind.as_str(),
            mime: listing.mime,
            encoding,
            encoding_by: encoding_by.map(|source| source.as_str()),
            base: listing.base.into(),
            title: listing.facts.title,
            description: listing.facts.description,
            canonical: listing.facts.canonical,
            language: listing.facts.language,
            links: followed.into_iter().map(Link::of).collect(),
            not_followed: others.into_iter().map(Link::of).collect(),
            unread_srcdocs: listing.frames_over,
        }
    }
}

impl Link {
    fn of(listed: Listed) -> Self {
        Self {
            url: listed.url.map(String::from),
            raw: listed.raw,
            element: listed.element,
            attribute: listed.attribute,
            kind: listed.kind.as_str(),
            why: Some(listed.standing)
                .filter(|standing| *standing != Standing::Followed)
                .map(Standing::as_str),
            rel: listed.rel,
            nofollow: listed.flags.nofollow,
            ugc: listed.flags.ugc,
            sponsored: listed.flags.sponsored,
            hreflang: listed.hreflang,
            outcome: listed.refused.map(|refused| refused.outcome().code()),
        }
    }
}

//! `sitemap`: what a sitemap or feed lists, as the crawl reads it ([`parser::sitemap`]).

use contract::Url;
use parser::sitemap::report::{self, Report};
use serde::Deserialize;

use super::jsonl::{self, Case, Text};
use super::source;
use crate::cli::SitemapArgs;
use crate::exit::{Code, Failure};

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(default, alias = "url")]
    base: Option<Text>,
    #[serde(default)]
    content_type: Option<String>,
}

/// Reads one document, or each line's.
///
/// # Errors
/// A document that cannot be had, a base that is no URL, and what [`jsonl::run`] finds.
pub async fn run(args: &SitemapArgs) -> Result<Code, Failure> {
    if args.lines.jsonl {
        return jsonl::run(answer);
    }
    let found = source::read(args.source.as_deref().unwrap_or("-"), &args.fetch).await?;
    if let Some(status) = found.status.filter(|status| !(200..300).contains(status)) {
        eprintln!("argiope: answered with status {status}");
    }
    let base = match &args.base {
        Some(base) => Some(
            Url::parse(base)
                .map_err(|error| Failure::input(format!("--base {base:?}: {error}")))?,
        ),
        None => found.url,
    };
    let report = report::read(&report::Document {
        bytes: &found.bytes,
        is_text: false,
        content_type: found.content_type.as_deref(),
        base: base.as_ref(),
    });
    let shown = serde_json::to_string_pretty(&report)
        .map_err(|error| Failure::new(Code::Error, error.to_string()))?;
    println!("{shown}");
    Ok(Code::Done)
}

fn answer(mut case: Case<Fields>) -> Result<Report, String> {
    let document = case.document()?;
    let base = match &case.fields.base {
        Some(Text(base)) => {
            Some(Url::parse(base).map_err(|error| format!("base {base:?}: {error}"))?)
        }
        None => None,
    };
    Ok(report::read(&report::Document {
        bytes: &document.bytes,
        is_text: document.is_text,
        content_type: case.fields.content_type.as_deref(),
        base: base.as_ref(),
    }))
}

//! `charset`: which encoding a document is in, and by which rule.
//!
//! The rules are [`parser::charset`]'s; here are the case's fields and the answer's. Start at [`run`].

use parser::charset::Source;
use parser::{charset, sniff};
use serde::{Deserialize, Serialize};

use super::jsonl;
use crate::cli::CharsetArgs;
use crate::exit::{Code, Failure};

/// Tells a file's encoding, or that of every case.
///
/// # Errors
/// A file that cannot be read, and what [`jsonl::run`] finds.
pub fn run(args: &CharsetArgs) -> Result<Code, Failure> {
    if args.lines.jsonl {
        return jsonl::run(|mut case| {
            let document = case.document()?;
            Ok(answer(&case.fields, &document.bytes))
        });
    }
    let path = args.file.clone().unwrap_or_default();
    let bytes = jsonl::read_file(&path).map_err(Failure::input)?;
    let case = Case {
        content_type: args.content_type.clone(),
        tld: args.tld.clone(),
    };
    let shown = serde_json::to_string_pretty(&answer(&case, &bytes))
        .map_err(|error| Failure::new(Code::Error, error.to_string()))?;
    println!("{shown}");
    Ok(Code::Done)
}

#[derive(Debug, Deserialize)]
struct Case {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    tld: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    encoding: &'static str,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    bom: bool,
    malformed: bool,
}

fn answer(case: &Case, bytes: &[u8]) -> Answer {
    let header = case.content_type.as_deref().and_then(sniff::charset);
    let tld = case.tld.as_deref().map(|tld| tld.trim_start_matches('.'));
    let decision = charset::decide(bytes, header, tld);
    let (_, malformed) = decision
        .encoding
        .decode_without_bom_handling(&bytes[decision.bom..]);
    Answer {
        encoding: decision.encoding.name(),
        by: decision.source.as_str(),
        confidence: (decision.source == Source::Guess)
            .then(|| charset::confidence(bytes, decision.encoding, tld)),
        bom: decision.bom > 0,
        malformed,
    }
}

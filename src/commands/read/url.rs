//! `url`: parse, canonicalize, resolve.
//!
//! The parser is the `url` crate's, by the WHATWG URL standard; the canonical form is the crawl's own
//! ([`contract::canonical`]). A URL that cannot be parsed is an answer, not an error. Start at [`run`].

use contract::Url;
use contract::canonical::canonical;
use contract::host::Host;
use serde::{Deserialize, Serialize};
use url::quirks;

use super::jsonl::{self, Text};
use crate::cli::UrlCommand;
use crate::exit::{Code, Failure};

/// Runs one of the three verbs.
///
/// # Errors
/// A URL on the command line that is none, and what [`jsonl::run`] finds.
pub fn run(command: &UrlCommand) -> Result<Code, Failure> {
    match command {
        UrlCommand::Parse { lines, .. } if lines.jsonl => {
            jsonl::run(|case| Ok(parse(&case.fields)))
        }
        UrlCommand::Canonicalize { lines, .. } if lines.jsonl => {
            jsonl::run(|case| Ok(canonicalize(&case.fields)))
        }
        UrlCommand::Resolve { lines, .. } if lines.jsonl => {
            jsonl::run(|case| Ok(resolve(&case.fields)))
        }
        UrlCommand::Parse { url, base, .. } => {
            let parts = parse(&Parse {
                url: text(url),
                base: base.as_ref().map(|base| Text(base.clone())),
            });
            let parts = parts.or_refuse(&text(url).0)?;
            let shown = serde_json::to_string_pretty(&parts)
                .map_err(|error| Failure::new(Code::Error, error.to_string()))?;
            println!("{shown}");
            Ok(Code::Done)
        }
        UrlCommand::Canonicalize { urls, .. } => {
            for url in urls {
                let case = Canonicalize {
                    url: Text(url.clone()),
                };
                println!("{}", canonicalize(&case).or_refuse(url)?.canonical);
            }
            Ok(Code::Done)
        }
        UrlCommand::Resolve {
            base, reference, ..
        } => {
            let case = Resolve {
                base: text(base),
                reference: text(reference),
            };
            println!("{}", resolve(&case).or_refuse(&case.reference.0)?.href);
            Ok(Code::Done)
        }
    }
}

/// An argument that the grammar requires.
fn text(word: &Option<String>) -> Text {
    Text(word.clone().unwrap_or_default())
}

/// An answer, or that the standard's parser fails.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Answer<T> {
    Is(T),
    Failure { failure: bool, reason: String },
}

impl<T> Answer<T> {
    fn of(parsed: Result<T, url::ParseError>) -> Self {
        match parsed {
            Ok(answer) => Self::Is(answer),
            Err(error) => Self::Failure {
                failure: true,
                reason: error.to_string(),
            },
        }
    }

    fn or_refuse(self, word: &str) -> Result<T, Failure> {
        match self {
            Self::Is(answer) => Ok(answer),
            Self::Failure { reason, .. } => Err(Failure::input(format!("{word:?}: {reason}"))),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Parse {
    #[serde(alias = "input")]
    url: Text,
    #[serde(default)]
    base: Option<Text>,
}

/// A URL's parts under the names of the standard's API (URL standard, section 6.1).
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Parts {
    href: String,
    origin: String,
    protocol: String,
    username: String,
    password: String,
    host: String,
    hostname: String,
    port: String,
    pathname: String,
    search: String,
    hash: String,
}

fn parse(case: &Parse) -> Answer<Parts> {
    Answer::of(join(case.base.as_ref(), &case.url).map(|url| Parts {
        href: quirks::href(&url).to_owned(),
        origin: origin(&url),
        protocol: quirks::protocol(&url).to_owned(),
        username: quirks::username(&url).to_owned(),
        password: quirks::password(&url).to_owned(),
        host: quirks::host(&url).to_owned(),
        hostname: quirks::hostname(&url).to_owned(),
        port: quirks::port(&url).to_owned(),
        pathname: quirks::pathname(&url).to_owned(),
        search: quirks::search(&url).to_owned(),
        hash: quirks::hash(&url).to_owned(),
    }))
}

/// URL standard, section 4.7: a `blob:` URL has the origin of the `http` or `https` URL in it, and else an opaque one. The
/// crate gives it that of any URL in it.
fn origin(url: &Url) -> String {
    match Url::parse(url.path()) {
        Ok(inner) if url.scheme() == "blob" && !matches!(inner.scheme(), "http" | "https") => {
            "null".to_owned()
        }
        _ => quirks::origin(url),
    }
}

fn join(base: Option<&Text>, url: &Text) -> Result<Url, url::ParseError> {
    match base {
        Some(base) => Url::parse(&base.0)?.join(&url.0),
        None => Url::parse(&url.0),
    }
}

#[derive(Debug, Deserialize)]
struct Canonicalize {
    url: Text,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Canonical {
    canonical: String,
    /// The host without a dot at its end; none where the URL has none.
    host: Option<String>,
    /// The registrable domain.
    domain: Option<String>,
}

fn canonicalize(case: &Canonicalize) -> Answer<Canonical> {
    Answer::of(Url::parse(&case.url.0).map(|url| {
        let host = Host::of(&url);
        Canonical {
            canonical: canonical(&url).into_owned(),
            domain: host.as_ref().map(|host| host.domain().to_owned()),
            host: host.map(|host| host.as_str().to_owned()),
        }
    }))
}

#[derive(Debug, Deserialize)]
struct Resolve {
    base: Text,
    #[serde(rename = "ref", alias = "reference", alias = "url")]
    reference: Text,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Resolved {
    href: String,
}

fn resolve(case: &Resolve) -> Answer<Resolved> {
    Answer::of(join(Some(&case.base), &case.reference).map(|url| Resolved { href: url.into() }))
}

//! Where a reader's document comes from when it is asked by hand: a file, stdin, or a URL that is fetched once.

use std::io::Read as _;

use contract::Url;
use contract::error::chain;
use fetcher::once;

use super::jsonl::document;
use crate::cli::FetchFlags;
use crate::config;
use crate::exit::{Code, Failure};

/// A document and what is known of it.
#[derive(Debug)]
pub struct Found {
    pub bytes: Vec<u8>,
    /// Where it was fetched from, after redirects.
    pub url: Option<Url>,
    /// Its status code, where it was fetched.
    pub status: Option<u16>,
    pub content_type: Option<String>,
}

/// Reads the document that this word names.
///
/// # Errors
/// A file that cannot be read, a URL that may not be fetched or was not answered.
pub async fn read(word: &str, flags: &FetchFlags) -> Result<Found, Failure> {
    let is_url = ["http://", "https://"].iter().any(|scheme| {
        word.get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    });
    if is_url {
        let (url, parts) = config::one(word, flags)?;
        let fetched = once::fetch(parts, &url)
            .await
            .map_err(|error| Failure::new(Code::Error, chain(&error)))?;
        return Ok(Found {
            status: Some(fetched.status.as_u16()),
            content_type: fetched.content_type().map(str::to_owned),
            bytes: fetched.bytes,
            url: Some(fetched.url),
        });
    }
    let bytes = if word == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(document::BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::input(format!("stdin: {error}")))?;
        bytes
    } else {
        document::read_file(word).map_err(Failure::input)?
    };
    Ok(Found {
        bytes,
        url: None,
        status: None,
        content_type: None,
    })
}

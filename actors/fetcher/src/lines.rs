//! What all requests to one server say alike: the header lines, made once and not for each page.
//!
//! Owns the `Host` line and the head's bytes as hyper writes them (names in lower case, in the map's order), which
//! the archive keeps. It knows no request's path. Start at [`Lines::of`].

use contract::Url;
use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use url::Position;

use crate::error::FetchError;

/// The header lines of requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// What stands before the path in the URLs that these lines are for.
    server: Box<str>,
    headers: HeaderMap,
    /// The request's head behind its target, up to and with the empty line.
    head: Vec<u8>,
}

impl Lines {
    /// The lines for the URL's server; `headers` are all but `Host`.
    ///
    /// # Errors
    /// The URL's host cannot stand in a header line.
    pub(crate) fn of(url: &Url, headers: HeaderMap) -> Result<Self, FetchError> {
        let invalid = |problem: &str| FetchError::InvalidUrl(problem.to_owned());
        let host = &url[Position::BeforeHost..Position::AfterPort];
        if host.is_empty() {
            return Err(invalid("it has no host"));
        }
        let host = HeaderValue::from_str(host)
            .map_err(|_| invalid("its host cannot stand in a header"))?;
        let mut lines = HeaderMap::with_capacity(headers.len() + 1);
        lines.insert(HOST, host);
        lines.extend(headers);
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in &lines {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Ok(Self {
            server: url[..Position::BeforePath].into(),
            headers: lines,
            head,
        })
    }

    /// Whether these lines are the ones for this URL.
    pub(crate) fn serve(&self, url: &Url) -> bool {
        url[..Position::BeforePath] == *self.server
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The head of a request for this target (path and query), as hyper writes it.
    pub(crate) fn head(&self, target: &str) -> Vec<u8> {
        [b"GET ", target.as_bytes(), &self.head].concat()
    }
}

//! One document, fetched once and beside any crawl: for a person who asks what a reader makes of a URL.
//!
//! Owns the request under a crawl's own rules: addresses and ports, TLS, header lines, layers of time, a bound on the
//! body, redirects looked at hop by hop. It knows no lease, no robots.txt and no rate: whoever calls it asks for one
//! document and not for a second. Start at [`fetch`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contract::Url;
use contract::cause::{Cancel, Deadline, Layer};
use contract::clock::Clock;
use contract::coding::{self, CodingError};
use contract::crawl::CrawlConfig;
use contract::host::Origin;
use contract::memory::ByteBudget;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use rustls::ClientConfig;

use crate::address::Dial;
use crate::config::ConfigError;
use crate::connector::Connector;
use crate::dns::{Dns, DnsSetupError};
use crate::error::FetchError;
use crate::events::LineMeters;
use crate::gather::SpillDir;
use crate::http::{Answered, Ask, Exchanger, Times, Wanted};
use crate::lines::Lines;
use crate::run::{may_dial, redirect_target};
use crate::settings::Settings;

/// More of a document is not kept.
const BODY_BYTES_MAX: u64 = 10_000_000;
/// More of it is not decoded.
const PLAIN_BYTES_MAX: u64 = 50_000_000;
/// The whole of it, redirects included, takes no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many as RFC 9309 section 2.3.1.2 asks for.
const REDIRECTS_MAX: usize = 5;

/// What a request is made with.
#[derive(Debug)]
pub struct Parts {
    pub crawl: CrawlConfig,
    pub dial: Dial,
    /// The DNS server to ask; none: the system's.
    pub dns: Option<SocketAddr>,
    pub tls: Arc<ClientConfig>,
    pub clock: Clock,
}

/// A document.
#[derive(Debug)]
pub struct Document {
    /// Where it was in the end.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Content coding undone; at most 50 MB.
    pub bytes: Vec<u8>,
    /// Not all of it: longer than 10 MB as sent, or the connection ended.
    pub is_cut: bool,
}

impl Document {
    /// The Content-Type, where it is text.
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
    #[error("{url}")]
    Fetch { url: Box<Url>, source: FetchError },
    #[error("{0}: more than {REDIRECTS_MAX} redirects")]
    Redirects(Box<Url>),
    #[error("{url}: the body's coding")]
    Coding { url: Box<Url>, source: CodingError },
}

/// Fetches the document, whatever its status.
///
/// # Errors
/// Settings that cannot be used, an address that may not be dialled, no answer, a coding that is not what it says.
pub async fn fetch(parts: Parts, url: &Url) -> Result<Document, OnceError> {
    let settings = Settings::new(&parts.crawl)?;
    let dial = Arc::new(parts.dial);
    let connector = Connector {
        tls: parts.tls,
        dns: Arc::new(Dns::new(parts.dns, dial.clone())?),
        dial: dial.clone(),
        limit: Duration::from_millis(settings.limits.connect_ms_max),
        meters: LineMeters::new(),
    };
    let exchanger = Exchanger {
        clock: parts.clock.clone(),
        connector,
        budget: ByteBudget::new(BODY_BYTES_MAX),
        spill: SpillDir::new(std::env::temp_dir()),
        times: Times::of(&settings.limits),
    };
    let page = Deadline::new(&parts.clock, Layer::Page, PATIENCE);
    let (mut url, mut kept) = (url.clone(), None);
    for _ in 0..=REDIRECTS_MAX {
        let failed = |source| OnceError::Fetch {
            url: Box::new(url.clone()),
            source,
        };
        may_dial(&dial, &url).map_err(failed)?;
        let headers = Origin::of(&url).map(|origin| settings.headers_for(&origin));
        let ask = Ask {
            url: &url,
            lines: &Lines::of(&url, headers.unwrap_or_default()).map_err(failed)?,
            earlier: None,
            page,
            cancel: &Cancel::new(),
            not_after: page.at,
            wanted: Wanted::Start(BODY_BYTES_MAX),
            held: exchanger.budget.reserve().await,
        };
        let answered = exchanger.run(&mut kept, ask).await.map_err(failed)?;
        match redirect_target(&url, &answered) {
            Some(target) => url = target,
            None => return document(url, answered),
        }
    }
    Err(OnceError::Redirects(Box::new(url)))
}

fn document(url: Url, answered: Answered) -> Result<Document, OnceError> {
    let exchange = answered.exchange;
    let encodings = exchange.headers.get_all(CONTENT_ENCODING).iter();
    let encodings: Vec<_> = encodings.filter_map(|value| value.to_str().ok()).collect();
    let plain = coding::parse(&encodings.join(","))
        .and_then(|codings| coding::decode_bytes(&exchange.body, &codings, PLAIN_BYTES_MAX));
    match plain {
        Ok((bytes, _)) => Ok(Document {
            url,
            status: exchange.status,
            headers: exchange.headers,
            bytes,
            is_cut: exchange.cut.is_some(),
        }),
        Err(source) => Err(OnceError::Coding {
            url: Box::new(url),
            source,
        }),
    }
}

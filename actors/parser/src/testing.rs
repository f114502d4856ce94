//! Pages for this room's tests: an answer as it came, a scope, a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::body::Body;
use contract::canonical::Fingerprinter;
use contract::cause::{Deadline, Layer};
use contract::clock::{Clock, Wall};
use contract::crawl::{LimitsConfig, ScopeConfig};
use contract::host::Host;
use contract::lease::{Queued, Token};
use contract::link::LinkKind;
use contract::outcome::Outcome;
use contract::page::{Exchange, Fate, Page, PageGauge, PageLife, Place, Verdict};
use contract::rights::Purpose;
use contract::scope::Scope;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use url::Url;

use crate::config::ParserConfig;
use crate::reader::{Parsed, Reader, Rules};
use crate::watch::Watch;

pub(crate) const SEED: &str = "http://a.test/dir/";

pub(crate) fn clock() -> Clock {
    Clock::manual(Wall(1_000_000))
}

pub(crate) fn rules() -> Rules {
    let seed = Url::parse(SEED).unwrap();
    Rules {
        config: ParserConfig::default(),
        limits: LimitsConfig::default(),
        robots_agent: "argiope".to_owned(),
        purpose: Purpose::Archive,
        scope: Arc::new(Scope::new(&ScopeConfig::default(), [&seed]).unwrap()),
        fingerprints: Fingerprinter { seed: 7 },
    }
}

/// A page at `url` with a 200 answer of these headers and this body.
pub(crate) fn page(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Page {
    let url = Url::parse(url).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let exchange = Exchange {
        request_head: Vec::new(),
        version: Version::HTTP_11,
        status: StatusCode::OK,
        reason: Vec::new(),
        headers: map,
        body: Body::in_memory(vec![Bytes::copy_from_slice(body)], None),
        remote: None,
        cut: None,
        head_after: Duration::ZERO,
        took: Duration::ZERO,
    };
    Page {
        host: Host::of(&url).unwrap(),
        token: Token(1),
        place: Place::Queue(0),
        queued: Queued {
            url: url.as_str().into(),
            kind: LinkKind::Page,
            depth: 1,
            hops: 0,
            tries: 0,
            via: None,
            earlier: None,
        },
        url,
        began: Wall(1_000_000),
        deadline: Deadline::new(&clock(), Layer::Page, Duration::from_secs(120)),
        verdict: Verdict {
            outcome: Outcome::Ok,
            detail: None,
            fate: Fate::Done,
        },
        exchange: Some(Box::new(exchange)),
        said: Vec::new(),
        life: PageLife::begin(&Arc::new(PageGauge::default())),
    }
}

pub(crate) fn with_kind(mut page: Page, kind: LinkKind, hops: u8) -> Page {
    page.queued.kind = kind;
    page.queued.hops = hops;
    page
}

pub(crate) fn with_status(mut page: Page, status: u16) -> Page {
    let exchange = page.exchange.as_mut().unwrap();
    exchange.status = StatusCode::from_u16(status).unwrap();
    page.verdict.outcome = Outcome::of_status(status);
    page
}

pub(crate) fn read(page: &Page) -> Parsed {
    Reader::new(rules()).read(page, 0, &mut Watch::new(&|| false))
}

/// What became of a page's links, a line each: `kind url depth hops`, or `outcome kind url: rule`.
pub(crate) fn told(parsed: &Parsed) -> Vec<String> {
    let links = parsed.links.iter().map(|link| {
        assert_eq!(
            Host::of(&Url::parse(&link.url).unwrap()),
            Some(link.host.clone())
        );
        format!(
            "{} {} {} {}",
            link.kind.as_str(),
            link.url,
            link.depth,
            link.hops
        )
    });
    let refused = parsed.refused.iter().map(|link| {
        format!(
            "{} {} {}: {}",
            link.outcome.code(),
            link.kind.as_str(),
            link.url,
            link.rule
        )
    });
    links.chain(refused).collect()
}

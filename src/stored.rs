//! A page as it was when it was kept, made again from its ledger line and its record, to be read for links once more.
//!
//! Owns what of a [`Page`] can be told from them: the answer, and where the URL stood in the queue. Such a page is only
//! read; it goes round no ring. Start at [`page`].

use std::sync::Arc;
use std::time::Duration;

use contract::Url;
use contract::body::Body;
use contract::cause::{Deadline, Layer};
use contract::clock::{Clock, Wall};
use contract::host::{Host, Origin};
use contract::lease::{Queued, Token};
use contract::link::LinkKind;
use contract::outcome::Outcome;
use contract::page::{Exchange, Fate, Page, PageGauge, PageLife, Place, Verdict};
use contract::robots::RobotsRecord;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use storage::layout::Layout;
use storage::ledger::Entry;
use storage::stored;

/// Makes the page of a line; none where no answer was kept, or it cannot be read.
pub fn page(layout: &Layout, entry: &Entry) -> Option<Page> {
    let answer = stored::answer(layout, entry)?;
    let status = StatusCode::from_u16(entry.status?).ok()?;
    let exchange = exchange(status, headers(&answer.head), answer.body);
    let url = Url::parse(&entry.url).ok()?;
    let kind = serde_json::from_value::<LinkKind>(entry.kind.as_str().into()).ok()?;
    let verdict = Verdict {
        outcome: Outcome::from_code(&entry.outcome)?,
        detail: None,
        fate: Fate::Done,
    };
    let queued = Queued {
        url: entry.url.as_str().into(),
        kind,
        depth: entry.depth.unwrap_or(0),
        // Not in the line: at worst a chain of redirects is followed further than it would have been.
        hops: 0,
        tries: 0,
        via: None,
        earlier: None,
    };
    of(url, queued, Place::Queue(0), verdict, exchange)
}

/// The page of a robots.txt that the frontier keeps, with the sitemaps that it names.
pub fn robots(origin: &Origin, record: RobotsRecord, sitemaps: Vec<String>) -> Option<Page> {
    let url = Url::parse(&format!("{origin}/robots.txt")).ok()?;
    let queued = Queued {
        url: url.as_str().into(),
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
        tries: 0,
        via: None,
        earlier: None,
    };
    let place = Place::Robots {
        origin: origin.clone(),
        record: Box::new(record),
        sitemaps,
    };
    let verdict = Verdict {
        outcome: Outcome::Ok,
        detail: None,
        fate: Fate::Done,
    };
    let exchange = exchange(StatusCode::OK, HeaderMap::new(), Vec::new());
    of(url, queued, place, verdict, exchange)
}

fn of(
    url: Url,
    queued: Queued,
    place: Place,
    verdict: Verdict,
    exchange: Exchange,
) -> Option<Page> {
    Some(Page {
        host: Host::of(&url)?,
        token: Token(0),
        place,
        url,
        queued,
        began: Wall(0),
        // Nobody waits for it.
        deadline: Deadline::new(&Clock::machine(), Layer::Page, Duration::MAX),
        verdict,
        exchange: Some(Box::new(exchange)),
        said: Vec::new(),
        life: PageLife::begin(&Arc::new(PageGauge::default())),
    })
}

fn exchange(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Exchange {
    Exchange {
        request_head: Vec::new(),
        version: Version::HTTP_11,
        status,
        reason: Vec::new(),
        headers,
        body: Body::in_memory(vec![body.into()], None),
        remote: None,
        cut: None,
        head_after: Duration::ZERO,
        took: Duration::ZERO,
    }
}

/// The fields of a kept head, those that can be sent.
fn headers(head: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_head_is_read_back() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nLink: <a>\r\nlink:<b>\r\nodd line\r\nx: \x01\r\n\r\n";
        let headers = headers(head);
        assert_eq!(headers["content-type"], "text/html");
        assert_eq!(headers.get_all("link").iter().count(), 2);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn an_address_s_robots_txt_has_its_url() {
        let origin = Origin {
            https: false,
            host: Host::from_stored("[::1]"),
            port: 8080,
        };
        let record = RobotsRecord {
            answer: contract::robots::RobotsAnswer::Unavailable { status: 404 },
            fetched: Wall(0),
            failures: 0,
        };
        let page = robots(&origin, record, Vec::new());
        assert_eq!(page.unwrap().url.as_str(), "http://[::1]:8080/robots.txt");
    }
}

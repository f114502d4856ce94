//! Pages for tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::Url;
use contract::body::Body;
use contract::cause::{Deadline, Layer};
use contract::clock::{Clock, Wall};
use contract::host::Host;
use contract::keep::{Facts, ParsedPage};
use contract::lease::{Queued, Token};
use contract::link::{LinkKind, RefusedLink};
use contract::outcome::Outcome;
use contract::page::{Exchange, Fate, Page, PageGauge, PageLife, Place, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use crate::archive::Kept;
use crate::warc::digest::Digest;
use crate::warc::writer::Span;

/// 2025-11-24T16:00:01.123456Z.
pub(crate) const NOW: Wall = Wall(1_764_000_001_123_456);

pub(crate) fn kept() -> Kept {
    Kept {
        file: "f.warc.gz".into(),
        span: Span {
            offset: 7,
            length: 8,
        },
        bytes: 20,
        digest: Digest::of(b""),
        same_as: None,
        change: None,
    }
}

pub(crate) fn refused(url: &str, rule: &str) -> RefusedLink {
    RefusedLink {
        url: url.to_owned(),
        kind: LinkKind::Page,
        outcome: Outcome::OutOfScope,
        rule: rule.to_owned(),
    }
}

/// A parsed page, by default the answer 200 with an empty body.
pub(crate) struct PageBuilder {
    parsed: ParsedPage,
}

impl PageBuilder {
    pub(crate) fn new(url: &str) -> Self {
        let gauge = Arc::new(PageGauge::default());
        let url = Url::parse(url).unwrap();
        let exchange = Exchange {
            request_head: format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", url.path()).into_bytes(),
            version: Version::HTTP_11,
            status: StatusCode::OK,
            reason: b"OK".to_vec(),
            headers: HeaderMap::new(),
            body: Body::default(),
            remote: Some("127.0.0.1:80".parse().unwrap()),
            cut: None,
            head_after: Duration::from_millis(3),
            took: Duration::from_millis(7),
        };
        let page = Page {
            host: Host::of(&url).unwrap(),
            token: Token(9),
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
            began: NOW,
            deadline: Deadline::new(&Clock::machine(), Layer::Page, Duration::from_secs(120)),
            verdict: Verdict {
                outcome: Outcome::Ok,
                detail: None,
                fate: Fate::Done,
            },
            exchange: Some(Box::new(exchange)),
            said: Vec::new(),
            life: PageLife::begin(&gauge),
        };
        let parsed = ParsedPage {
            page,
            links: Vec::new(),
            refused: Vec::new(),
            facts: Facts::default(),
        };
        Self { parsed }
    }

    fn exchange(&mut self) -> &mut Exchange {
        self.parsed.page.exchange.as_mut().unwrap()
    }

    pub(crate) fn via(mut self, via: &str) -> Self {
        self.parsed.page.queued.via = Some(via.into());
        self
    }

    pub(crate) fn gauge(mut self, gauge: &Arc<PageGauge>) -> Self {
        self.parsed.page.life = PageLife::begin(gauge);
        self
    }

    pub(crate) fn position(mut self, position: u32) -> Self {
        self.parsed.page.place = Place::Queue(position);
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.exchange().status = StatusCode::from_u16(status).unwrap();
        self.parsed.page.verdict.outcome = Outcome::of_status(status);
        self
    }

    pub(crate) fn no_answer(mut self, outcome: Outcome, fate: Fate) -> Self {
        self.parsed.page.exchange = None;
        self.parsed.page.verdict = Verdict {
            outcome,
            detail: Some("why".to_owned()),
            fate,
        };
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.exchange().headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        self
    }

    pub(crate) fn body(mut self, bytes: &[u8]) -> Self {
        self.exchange().body = Body::in_memory(vec![Bytes::copy_from_slice(bytes)], None);
        self
    }

    pub(crate) fn html(mut self, text: &str) -> Self {
        self.parsed.facts.mime = Some("text/html".to_owned());
        self.parsed.facts.html = true;
        self.body(text.as_bytes())
    }

    pub(crate) fn title(mut self, title: &str) -> Self {
        self.parsed.facts.title = Some(title.to_owned());
        self
    }

    pub(crate) fn refused(mut self, links: Vec<RefusedLink>) -> Self {
        self.parsed.refused = links;
        self
    }

    pub(crate) fn build(self) -> ParsedPage {
        self.parsed
    }
}

/// A scratch folder, in memory where the machine has such a place: syncs are what these tests do most.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    dir.unwrap()
}

/// An output folder with these pages in it, sealed.
pub(crate) fn store_pages(
    root: &std::path::Path,
    pages: impl IntoIterator<Item = ParsedPage>,
) -> crate::layout::Layout {
    use crate::group::Store;
    use contract::clock::{Boot, Chance};
    let layout = crate::layout::Layout::new(root);
    let warc = crate::warc::writer::WriterConfig {
        folder: layout.archive(),
        prefix: "t".to_owned(),
        size_max: 1 << 30,
        info: Vec::new(),
    };
    let disk = crate::disk::Disk::default();
    let config = crate::config::StorageConfig::default();
    let (mut store, _) = Store::open(
        config,
        &layout,
        &disk,
        warc,
        Clock::manual(NOW),
        Chance::seeded(1),
    )
    .unwrap();
    for page in pages {
        store.add(page, (), Boot(0)).unwrap();
    }
    let (job, _waiting) = store.begin(true).unwrap().unwrap();
    assert!(store.end(job.run()).unwrap().trouble.is_none());
    layout
}

//! A web on loopback and a resolver for its names: what most stories crawl.

use kit::dns::{Dns, Zone};
use kit::origin::{Origin, Site};
use kit::web::Web;

use kit::answer::Answer;

use crate::crawl::Crawl;

/// An origin that answers, and the resolver that leads every name under `.test` to it.
pub(crate) struct Stand {
    pub(crate) origin: Origin,
    pub(crate) dns: Dns,
}

impl Stand {
    /// A web by formula.
    pub(crate) fn of(web: Web) -> Self {
        let origin = Site::of(web).start().unwrap();
        let dns = Dns::start(Zone::default()).unwrap();
        Self { origin, dns }
    }

    /// A web without a page: what is there is planted.
    pub(crate) fn bare() -> Self {
        Self::of(Web {
            hosts: 0,
            ..Web::default()
        })
    }

    /// Plants a page of this HTML. `//HOST/` in it becomes the origin's own `//HOST:PORT/` for names under `.test`.
    pub(crate) fn page(&self, host: &str, path: &str, html: &str) {
        let html = self.with_ports(html);
        self.origin.plant(
            host,
            path,
            [Answer::html(&format!("<!DOCTYPE html>{html}"))],
        );
    }

    /// This text with the origin's port at every name under `.test`.
    pub(crate) fn with_ports(&self, text: &str) -> String {
        text.replace(".test/", &format!(".test:{}/", self.origin.port()))
    }

    /// A crawl that can reach it, without a delay unless one is given; seeds are to be added.
    pub(crate) fn crawl(&self) -> Crawl {
        let (port, dns) = (
            self.origin.port().to_string(),
            self.dns.address().to_string(),
        );
        Crawl::new().flags(&[
            "--allow-net",
            "127.0.0.0/8",
            "--allow-port",
            &port,
            "--dns",
            &dns,
        ])
    }

    /// The URLs that were asked for, without robots.txt, written `HOST/PATH`, sorted.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = self.origin.log();
        let pages = log.iter().filter(|entry| entry.path != "/robots.txt");
        let mut asked: Vec<String> = pages
            .map(|entry| format!("{}{}", entry.host, entry.path))
            .collect();
        asked.sort();
        asked
    }
}

//! A host that dies in the middle of a crawl: for a while, or for good.

use std::collections::BTreeMap;

use kit::answer::Answer;
use kit::dns::{Dns, Zone};
use kit::origin::{Origin, Site};
use kit::until;
use kit::web::Web;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, argiope, ended};
use crate::stand::Stand;

/// Pages of the host beside its home page.
const PAGES: usize = 60;
const HOST: &str = "mortal.test";

/// A home page that links to all others; at this port, if one is given.
fn stand(port: Option<u16>) -> Stand {
    let web = Web {
        hosts: 0,
        ..Web::default()
    };
    let site = Site::of(web);
    let site = match port {
        Some(port) => site.on_port(port),
        None => site,
    };
    let origin = site.start().unwrap();
    let links: String = (0..PAGES)
        .map(|n| format!("<a href=/{n}>{n}</a> "))
        .collect();
    origin.plant(HOST, "/", [Answer::html(&links)]);
    for n in 0..PAGES {
        origin.plant(HOST, &format!("/{n}"), [Answer::html("<p>end")]);
    }
    let dns = Dns::start(Zone::default()).unwrap();
    Stand { origin, dns }
}

/// A crawl of the host, in which a URL is tried so often at most.
fn crawl_of(stand: &Stand, tries: u8) -> Crawl {
    let config = format!("[pace]\ntries-max = {tries}\ndelay-ms = 40\n");
    stand
        .crawl()
        .config(&config)
        .seed(&stand.origin.url(HOST, "/"))
}

fn until_some_pages(origin: &Origin) {
    until("pages", PATIENCE, || (origin.requests() > 10).then_some(()));
}

/// URLs by their outcome.
fn outcomes(crawl: &Crawl) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in crawl.outcomes().into_values() {
        *counts.entry(line.outcome).or_default() += 1;
    }
    counts
}

#[test]
fn of_a_host_that_is_gone_for_good_every_url_is_settled() {
    let stand = stand(None);
    let crawl = crawl_of(&stand, 1);
    let running = crawl.start(&[]);
    until_some_pages(&stand.origin);
    let Stand { origin, dns: _dns } = stand;
    drop(origin);
    ended(running, 0);
    archive::sound(&crawl);
    let outcomes = outcomes(&crawl);
    assert_eq!(outcomes.values().sum::<usize>(), PAGES + 1, "{outcomes:?}");
    assert_eq!(outcomes.get("connect_failed"), Some(&1), "{outcomes:?}");
    let unreachable = outcomes.get("host_unreachable").copied().unwrap_or(0);
    assert!(unreachable > 10, "{outcomes:?}");
    let verified = argiope(&["verify", crawl.output().to_str().unwrap()], 0).out;
    assert!(verified.contains("done means stored"), "{verified}");
}

#[test]
fn of_a_host_that_is_away_for_a_moment_no_url_burns_a_try() {
    let first = stand(None);
    let port = first.origin.port();
    let crawl = crawl_of(&first, 2);
    let running = crawl.start(&[]);
    until_some_pages(&first.origin);
    let Stand { origin, dns: _dns } = first;
    drop(origin);
    until("the host to rest", PATIENCE, || {
        let status = crawl.status()?;
        (status["frontier"]["hosts_waiting"] == 1 && status["in_ring"] == 0).then_some(())
    });
    let _again = stand(Some(port));
    ended(running, 0);
    archive::sound(&crawl);
    let outcomes = outcomes(&crawl);
    assert_eq!(outcomes.get("ok"), Some(&(PAGES + 1)), "{outcomes:?}");
}

//! A page of very many links: all of them become known, in parts, also when the process is killed between two.

use kit::answer::Answer;
use kit::until;
use nix::sys::signal::Signal;

use crate::archive;
use crate::crawl::{Crawl, PATIENCE, argiope, ended};
use crate::stand::Stand;

const LINKS: u64 = 120_000;

/// URLs that the running crawl knows.
fn known(crawl: &Crawl) -> Option<u64> {
    crawl.status()?["frontier"]["known"].as_u64()
}

#[test]
fn all_links_of_a_page_are_known_before_it_is_done() {
    let stand = Stand::bare();
    let html: String = (0..LINKS).map(|n| format!("<a href={n:x}>")).collect();
    stand.page("a.zoo.test", "/x/", &html);
    // None of them is asked for: they are settled as fast as they can be.
    let rules = Answer::text(200, "User-agent: *\nDisallow: /x/\nAllow: /x/$\n");
    stand.origin.plant("a.zoo.test", "/robots.txt", [rules]);
    let page = stand.origin.url("a.zoo.test", "/x/");
    let crawl = stand.crawl().flags(&["--delay", "0"]).seed(&page);

    let running = crawl.start(&[]);
    until("some parts", PATIENCE, || {
        known(&crawl).filter(|known| *known > LINKS / 4)
    });
    running.signal(Signal::SIGKILL).unwrap();
    assert_eq!(running.wait(PATIENCE).unwrap().signal, Some(9));

    let running = crawl.start(&[]);
    until("all links and the page", PATIENCE, || {
        known(&crawl).filter(|known| *known == LINKS + 1)
    });
    running.signal(Signal::SIGTERM).unwrap();
    ended(running, 11);
    // The last links came in with the page's own settle, in one step.
    assert_eq!(crawl.outcomes()[&page].outcome, "ok");
    assert_eq!(stand.asked(), ["a.zoo.test/x/"; 2], "killed in between");
    archive::sealed(&crawl);
    argiope(&["verify", crawl.output().to_str().unwrap()], 0);
    let ledger = crawl.ledger();
    let parts = ledger.iter().filter(|line| line.kind == "beside");
    let told = parts.filter(|line| line.detail.as_deref().is_some_and(|d| d.contains("ahead")));
    assert!(told.count() >= 11, "a line for each part of 10,000 links");
}

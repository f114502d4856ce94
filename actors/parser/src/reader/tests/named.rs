//! Sitemaps that robots.txt names, and the one that is tried where it names none.

use super::*;

/// An origin's robots.txt that names these sitemaps.
fn robots(url: &str, sitemaps: &[&str]) -> Page {
    let mut page = page(url, &[("content-type", "text/plain")], b"");
    page.place = Place::Robots {
        origin: Origin::of(&page.url).unwrap(),
        record: Box::new(RobotsRecord {
            answer: RobotsAnswer::Unavailable { status: 404 },
            fetched: contract::clock::Wall(0),
            failures: 0,
        }),
        sitemaps: sitemaps.iter().map(|url| (*url).to_owned()).collect(),
    };
    page
}

#[test]
fn robots_txt_names_sitemaps_on_hosts_of_the_crawl() {
    let named = ["http://a.test/s.xml", "http://b.test/s.xml"];
    check(
        &robots("http://a.test/robots.txt", &named),
        &[
            "sitemap http://a.test/s.xml 0 0",
            "sitemap http://b.test/s.xml 0 0",
        ],
    );
    check(&robots("http://cdn.test/robots.txt", &named), &[]);
}

#[test]
fn a_sitemap_that_nobody_names_is_tried_when_the_crawl_says_so() {
    #[track_caller]
    fn tried(page: &Page, well_known_sitemaps: bool, want: &[&str]) {
        let mut rules = rules();
        let config = ScopeConfig {
            well_known_sitemaps,
            ..ScopeConfig::default()
        };
        let seed = Url::parse("http://a.test/").unwrap();
        rules.scope = Arc::new(Scope::new(&config, [&seed]).unwrap());
        let parsed = Reader::new(rules).read(page, 0, &mut Watch::new(&|| false));
        let links: Vec<_> = parsed.links.iter().map(|link| &*link.url).collect();
        assert_eq!(links, want);
    }
    let none = robots("http://a.test/robots.txt", &[]);
    tried(&none, true, &["http://a.test/sitemap.xml"]);
    tried(&none, false, &[]);
    let named = robots("http://a.test/robots.txt", &["http://a.test/s.xml"]);
    tried(&named, true, &["http://a.test/s.xml"]);
    tried(&robots("http://cdn.test/robots.txt", &[]), true, &[]);
}

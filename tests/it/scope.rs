//! Which URLs belong to a crawl, and when it has had enough.

use kit::answer::Answer;
use kit::web::Web;

use crate::archive;
use crate::crawl::Crawl;
use crate::stand::Stand;

/// A small web with one link for every line that a scope can draw.
fn stand() -> Stand {
    let stand = Stand::bare();
    stand.page(
        "a.zoo.test",
        "/guide/",
        "<a href=one.html>1</a> <a href=/other.html>2</a> <a href=//www.a.zoo.test/guide/www.html>3</a> \
         <a href=//b.zoo.test/guide/>4</a> <a href=//far.test/guide/>5</a> <a href=private/x.html>6</a> \
         <img src=/img/logo.png> <link rel=stylesheet href=//cdn.test/s.css>",
    );
    stand.page(
        "a.zoo.test",
        "/guide/one.html",
        "<a href=two.html>deeper</a>",
    );
    for (host, path) in [
        ("a.zoo.test", "/guide/two.html"),
        ("a.zoo.test", "/other.html"),
        ("a.zoo.test", "/guide/private/x.html"),
        ("www.a.zoo.test", "/guide/www.html"),
        ("b.zoo.test", "/guide/"),
        ("far.test", "/guide/"),
    ] {
        stand.page(host, path, "<p>end</p>");
    }
    let png = Answer::of(200, "image/png", b"\x89PNG".to_vec());
    stand.origin.plant("a.zoo.test", "/img/logo.png", [png]);
    let css = stand.with_ports("a { background: url(//cdn.test/bg.png) }");
    stand
        .origin
        .plant("cdn.test", "/s.css", [Answer::of(200, "text/css", css)]);
    let png = Answer::of(200, "image/png", b"\x89PNG".to_vec());
    stand.origin.plant("cdn.test", "/bg.png", [png]);
    stand
}

const GUIDE: &str = "a.zoo.test/guide/";
const ONE: &str = "a.zoo.test/guide/one.html";
const TWO: &str = "a.zoo.test/guide/two.html";
const OTHER: &str = "a.zoo.test/other.html";
const PRIVATE: &str = "a.zoo.test/guide/private/x.html";
const WWW: &str = "www.a.zoo.test/guide/www.html";
const B: &str = "b.zoo.test/guide/";
const FAR: &str = "far.test/guide/";
const LOGO: &str = "a.zoo.test/img/logo.png";
const CSS: &str = "cdn.test/s.css";
const BG: &str = "cdn.test/bg.png";

/// A crawl of the guide with these flags asks for exactly these URLs.
#[track_caller]
fn check(flags: &str, want: &[&str]) -> (Stand, Crawl) {
    let stand = stand();
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let crawl = stand.crawl().flags(&["--delay", "0"]).flags(&flags);
    let crawl = crawl.seed(&stand.origin.url("a.zoo.test", "/guide/"));
    crawl.ends(0);
    let mut want: Vec<&str> = want.to_vec();
    want.sort_unstable();
    assert_eq!(stand.asked(), want, "{flags:?}");
    (stand, crawl)
}

#[test]
fn each_scope_type_draws_its_line() {
    let own = "--embeds none --scope-type";
    check(&format!("{own} page"), &[GUIDE]);
    check(&format!("{own} prefix"), &[GUIDE, ONE, TWO, PRIVATE, WWW]);
    check(
        &format!("{own} host"),
        &[GUIDE, ONE, TWO, PRIVATE, WWW, OTHER],
    );
    check(
        &format!("{own} domain"),
        &[GUIDE, ONE, TWO, PRIVATE, WWW, OTHER, B],
    );
    check(
        &format!("{own} any"),
        &[GUIDE, ONE, TWO, PRIVATE, WWW, OTHER, B, FAR],
    );
    check(&format!("{own} custom --include one\\.html"), &[GUIDE, ONE]);
}

#[test]
fn patterns_and_depth_narrow_and_widen_it() {
    let (stand, crawl) = check(
        "--embeds none --include //far --exclude /private/ --depth 1",
        &[GUIDE, ONE, WWW, FAR],
    );
    let outcomes = crawl.outcomes();
    let line = |url: &str| {
        let (host, path) = url.split_once('/').unwrap();
        &outcomes[&stand.origin.url(host, &format!("/{path}"))]
    };
    let told = |url| {
        (
            line(url).outcome.as_str(),
            line(url).detail.as_deref().unwrap_or_default(),
        )
    };
    assert_eq!(told(PRIVATE), ("out_of_scope", "exclude /private/"));
    assert_eq!(told(TWO), ("too_deep", "depth 1"));
    assert_eq!(told(OTHER), ("out_of_scope", "scope prefix"));
    assert_eq!(
        line(OTHER).via,
        Some(stand.origin.url("a.zoo.test", "/guide/"))
    );
    archive::sound(&crawl);
}

#[test]
fn embeds_are_fetched_one_hop_out_or_in_scope_or_not() {
    let pages = [GUIDE, ONE, TWO, PRIVATE, WWW];
    let with = |more: &[&'static str]| [&pages[..], more].concat();
    check("--embeds all", &with(&[LOGO, CSS, BG]));
    check("--embeds scope", &with(&[]));
    check("--embeds scope --scope-type host", &with(&[OTHER, LOGO]));
    check("--embeds none", &with(&[]));
}

#[test]
fn where_a_seed_has_moved_to_is_a_seed() {
    let stand = Stand::bare();
    let origin = &stand.origin;
    let target = origin.url("new.zoo.test", "/docs/");
    origin.plant("old.zoo.test", "/", [Answer::redirect(301, &target)]);
    stand.page(
        "new.zoo.test",
        "/docs/",
        "<a href=x.html>x</a> <a href=/y.html>y</a>",
    );
    stand.page("new.zoo.test", "/docs/x.html", "<p>x</p>");
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&origin.url("old.zoo.test", "/"));
    crawl.ends(0);
    assert_eq!(
        stand.asked(),
        [
            "new.zoo.test/docs/",
            "new.zoo.test/docs/x.html",
            "old.zoo.test/"
        ]
    );
    assert_eq!(
        crawl.outcomes()[&origin.url("old.zoo.test", "/")].outcome,
        "redirect"
    );
}

#[test]
fn what_only_sitemaps_name_is_found() {
    let stand = Stand::bare();
    let origin = &stand.origin;
    let xml = |text: &str| Answer::of(200, "application/xml", stand.with_ports(text));
    let robots = stand.with_ports("Sitemap: http://a.zoo.test/index.xml\n");
    origin.plant("a.zoo.test", "/robots.txt", [Answer::text(200, &robots)]);
    let ns = "xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"";
    origin.plant(
        "a.zoo.test",
        "/index.xml",
        [xml(&format!(
            "<sitemapindex {ns}><sitemap><loc>http://a.zoo.test/plain.xml</loc></sitemap>\
         <sitemap><loc>http://a.zoo.test/coded.xml.gz</loc></sitemap></sitemapindex>"
        ))],
    );
    let list = |path: &str| {
        format!("<urlset {ns}><url><loc>http://a.zoo.test/{path}</loc></url></urlset>")
    };
    origin.plant("a.zoo.test", "/plain.xml", [xml(&list("one.html"))]);
    let coded = xml(&list("two.html")).gzipped();
    let coded = Answer::of(200, "application/gzip", coded.body);
    origin.plant("a.zoo.test", "/coded.xml.gz", [coded]);
    for path in ["/", "/one.html", "/two.html"] {
        stand.page("a.zoo.test", path, "<p>no link</p>");
    }
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&origin.url("a.zoo.test", "/"));
    crawl.ends(0);
    let want = [
        "/",
        "/coded.xml.gz",
        "/index.xml",
        "/one.html",
        "/plain.xml",
        "/two.html",
    ];
    assert_eq!(stand.asked(), want.map(|path| format!("a.zoo.test{path}")));
}

/// A web with more than any limit below lets through.
fn large() -> (Stand, Crawl) {
    let stand = Stand::of(Web {
        hosts: 4,
        pages_per_host: 60,
        flaky_every: 0,
        ..Web::default()
    });
    let crawl = stand.crawl().flags(&["--scope-type", "domain"]);
    let crawl = crawl.seed(&stand.origin.home());
    (stand, crawl)
}

/// Pages in the archive: robots.txt is none, sitemaps are.
fn kept(crawl: &Crawl) -> usize {
    let records = crawl.records();
    let kept = records.iter().filter(|record| {
        record.kind() == "response"
            && !record
                .target()
                .is_some_and(|url| url.ends_with("/robots.txt"))
    });
    kept.count()
}

#[test]
fn the_page_limit_is_never_exceeded() {
    let (_stand, crawl) = large();
    let crawl = crawl.flags(&["--delay", "0"]);
    for limit in [1, 7, 7, 40] {
        crawl.ends_with(&["--limit", &limit.to_string()], 16);
        assert_eq!(kept(&crawl), limit, "kept under --limit {limit}");
    }
    archive::sound(&crawl);
    crawl.ends(0);
    assert!(kept(&crawl) > 240);
}

#[test]
fn time_and_size_end_a_crawl_too() {
    let (stand, crawl) = large();
    crawl.ends_with(&["--delay", "300ms", "--time-limit", "1s"], 15);
    crawl.ends_with(&["--delay", "300ms", "--time-limit", "1s"], 15);
    let after_time = stand.origin.requests();
    assert!(after_time < 200, "{after_time} requests in a second");
    crawl.ends_with(&["--delay", "0", "--size-limit", "100KB"], 14);
    assert!(stand.origin.requests() > after_time);
    archive::sound(&crawl);
}

//! Stories of whole pages: from an answer as it came to the links the frontier hears of.

mod named;

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use contract::crawl::{ScopeConfig, ScopeType};
use contract::host::Origin;
use contract::rights::{By, Purpose, Statement};
use contract::robots::{RobotsAnswer, RobotsRecord};

use super::*;
use crate::testing::{page, read, rules, told, with_kind, with_status};

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const PAGE: &str = "http://a.test/dir/page.html";

#[track_caller]
fn check(page: &Page, want: &[&str]) {
    assert_eq!(told(&read(page)), want);
}

#[test]
fn a_page_gives_its_links_once_with_scope_depth_and_kind() {
    let html = b"<title> A  page </title><a href=b.html><a href='b.html#x'><a href=./b.html><a href='#top'>\
        <a href=/outside.html><a href=http://other.test/><a href='mailto:a@a.test'><a href='http://['>\
        <img src=/logo.png><img src=http://cdn.test/x.png><a href=big.png><img src=big.png>\
        <a href=http://cdn.test/full.png><img src=http://cdn.test/full.png>\
        <a href='data:text/plain,0123456789012345678901234567890123456789012345678901234567890123456789'>";
    let page = page(PAGE, &[HTML], html);
    let parsed = read(&page);
    assert_eq!(
        told(&parsed),
        [
            "page http://a.test/dir/b.html 2 0",
            "embed http://a.test/logo.png 1 0",
            "embed http://cdn.test/x.png 1 0",
            "page http://a.test/dir/big.png 2 0",
            "embed http://cdn.test/full.png 1 0",
            "out_of_scope page http://a.test/outside.html: scope prefix",
            "out_of_scope page http://other.test/: scope prefix",
            "unsupported_scheme page mailto:a@a.test: scheme",
            "invalid_url page http://[: not a url",
            "unsupported_scheme page data:text/plain,012345678901234567890123456789012345678901234567: scheme",
        ]
    );
    assert_eq!(
        (
            parsed.kind,
            parsed.facts.html,
            parsed.facts.title.as_deref()
        ),
        (Kind::Html, true, Some("A page"))
    );
    assert_eq!(
        (parsed.facts.mime.as_deref(), parsed.facts.charset),
        (Some("text/html"), Some("UTF-8"))
    );
}

#[test]
fn a_base_moves_every_relative_link_but_not_those_of_the_head() {
    let headers = [
        HTML,
        ("link", "<head.css>; rel=stylesheet, </dir/next>; rel=next"),
        ("refresh", "5; url=again"),
    ];
    let html = b"<a href=first><base href='/dir/deep/'><a href=second><a href=#x><base href=/no/>";
    check(
        &page(PAGE, &headers, html),
        &[
            "embed http://a.test/dir/head.css 1 0",
            "page http://a.test/dir/next 2 0",
            "page http://a.test/dir/again 2 0",
            "page http://a.test/dir/deep/first 2 0",
            "page http://a.test/dir/deep/second 2 0",
            "page http://a.test/dir/deep/ 2 0",
        ],
    );
    check(
        &page(PAGE, &[HTML], b"<img src=http://./x>"),
        &["invalid_url embed http://./x: no host"],
    );
    check(
        &page(PAGE, &[HTML], b"<base href='data:x'><a href=y>"),
        &["page http://a.test/dir/y 2 0"],
    );
}

#[test]
fn a_document_within_has_its_own_base() {
    let html = b"<base href=/dir/x/><iframe srcdoc='<base href=y/><a href=a><iframe srcdoc=\"<a href=b>\"></iframe>'>\
        </iframe><a href=c><iframe srcdoc='<title>no</title><a href=d>'></iframe>";
    check(
        &page(PAGE, &[HTML], html),
        &[
            "page http://a.test/dir/x/c 2 0",
            "page http://a.test/dir/x/y/a 2 0",
            "page http://a.test/dir/x/y/b 2 0",
            "page http://a.test/dir/x/d 2 0",
        ],
    );
    // Each level escapes the quotes of the one within once more.
    let mut deep = "<a href=deep>".to_owned();
    for _ in 0..=html::FRAMES_DEEP {
        let escaped = deep.replace('&', "&amp;").replace('"', "&quot;");
        deep = format!("<iframe srcdoc=\"{escaped}\"></iframe>");
    }
    let parsed = read(&page(PAGE, &[HTML], deep.as_bytes()));
    assert_eq!((parsed.links.len(), parsed.left_out), (0, 1));
}

#[test]
fn drawings_and_xhtml_are_read_as_xml() {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><title>no</title><a href='a'/><image href='b'/></svg>";
    let drawing = page(PAGE, &[("content-type", "image/svg+xml")], svg);
    check(
        &drawing,
        &[
            "page http://a.test/dir/a 2 0",
            "embed http://a.test/dir/b 1 0",
        ],
    );
    assert!(!read(&drawing).facts.html);
    let xhtml =
        b"<html xmlns='http://www.w3.org/1999/xhtml'><script src='a'/><title/><a href='b'/></html>";
    for mime in ["application/xhtml+xml", "text/xml; charset=utf-8"] {
        check(
            &page(PAGE, &[("content-type", mime)], xhtml),
            &[
                "embed http://a.test/dir/a 1 0",
                "page http://a.test/dir/b 2 0",
            ],
        );
    }
}

#[test]
fn facts_come_from_the_page_and_its_head() {
    let headers = [
        ("content-type", "text/html"),
        ("x-robots-tag", "noindex"),
        ("content-language", "fr"),
    ];
    let html = "<html><link rel=canonical href=c><meta name=robots content=nofollow><meta name=argiope content=none>\
        <meta charset=windows-1252><meta name=description content='caf\u{e9}'>";
    let latin: Vec<u8> = html
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let facts = read(&page(PAGE, &headers, &latin)).facts;
    assert_eq!(
        facts.robots.as_deref(),
        Some("noindex, nofollow, argiope: none")
    );
    assert_eq!(
        (facts.language.as_deref(), facts.charset),
        (Some("fr"), Some("windows-1252"))
    );
    assert_eq!(facts.canonical.as_deref(), Some("http://a.test/dir/c"));
    assert_eq!(facts.description.as_deref(), Some("café"));
}

#[test]
fn an_error_page_has_facts_and_no_links() {
    let lost = with_status(
        page(
            PAGE,
            &[HTML, ("link", "<x>; rel=next")],
            b"<title>lost</title><a href=b>",
        ),
        404,
    );
    let parsed = read(&lost);
    assert_eq!(
        (told(&parsed), parsed.facts.title.as_deref()),
        (Vec::new(), Some("lost"))
    );
}

#[test]
fn a_redirect_leads_on_at_the_same_depth() {
    let moved = |kind, hops| {
        with_status(
            with_kind(page(PAGE, &[("location", "b.html#x")], b""), kind, hops),
            302,
        )
    };
    check(
        &moved(LinkKind::Page, 0),
        &["redirect http://a.test/dir/b.html 1 1"],
    );
    check(
        &moved(LinkKind::Redirect, 3),
        &["redirect http://a.test/dir/b.html 1 4"],
    );
    check(
        &moved(LinkKind::Embed, 0),
        &["embed http://a.test/dir/b.html 1 1"],
    );
    check(
        &moved(LinkKind::Sitemap, 5),
        &["out_of_scope sitemap http://a.test/dir/b.html: sitemap hops 5"],
    );
    let away = with_status(page(PAGE, &[("location", "http://other.test/")], b""), 301);
    check(
        &away,
        &["out_of_scope redirect http://other.test/: scope prefix"],
    );
    let mut over = moved(LinkKind::Page, 10);
    over.verdict.outcome = Outcome::RedirectLimit;
    check(&over, &[]);
    check(
        &with_status(page(PAGE, &[("location", "http://[")], b""), 301),
        &["invalid_url redirect http://[: not a url"],
    );
}

#[test]
fn a_seeds_redirect_target_becomes_a_seed() {
    let rules = rules();
    let target = Url::parse("http://new.test/home/").unwrap();
    assert!(!rules.scope.contains(&target));
    let moved = with_kind(
        page(
            "http://a.test/dir/",
            &[("location", "http://new.test/home/")],
            b"",
        ),
        LinkKind::Seed,
        0,
    );
    let parsed =
        Reader::new(rules.clone()).read(&with_status(moved, 301), 0, &mut Watch::new(&|| false));
    assert_eq!(told(&parsed), ["seed http://new.test/home/ 1 1"]);
    assert!(rules.scope.contains(&target));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_coded_body_is_decoded_and_a_broken_one_read_as_far_as_it_goes() {
    let coded = gzip(b"<a href=b>");
    check(
        &page(PAGE, &[HTML, ("content-encoding", "gzip")], &coded),
        &["page http://a.test/dir/b 2 0"],
    );
    let html = format!("<a href=b>{}", "text ".repeat(50_000));
    let coded = gzip(html.as_bytes());
    let parsed = read(&page(
        PAGE,
        &[HTML, ("content-encoding", "gzip")],
        &coded[..coded.len() - 20],
    ));
    assert_eq!(told(&parsed), ["page http://a.test/dir/b 2 0"]);
    assert!(matches!(parsed.fault, Some(ReadFault::Coding(_))));
    let parsed = read(&page(
        PAGE,
        &[HTML, ("content-encoding", "sdch")],
        b"<a href=b>",
    ));
    assert_eq!(
        (told(&parsed), parsed.facts.mime.as_deref()),
        (Vec::new(), Some("text/html"))
    );
    assert!(matches!(parsed.fault, Some(ReadFault::Coding(_))));
}

#[test]
fn a_page_is_read_to_its_limit() {
    let mut rules = rules();
    rules.limits.parse_bytes_max = 2_000;
    let html = format!("<a href=b>{}<a href=c>", " ".repeat(2_000));
    for (headers, body) in [
        (vec![HTML], html.clone().into_bytes()),
        (
            vec![HTML, ("content-encoding", "gzip")],
            gzip(html.as_bytes()),
        ),
    ] {
        let parsed = Reader::new(rules.clone()).read(
            &page(PAGE, &headers, &body),
            0,
            &mut Watch::new(&|| false),
        );
        assert_eq!(
            (told(&parsed), parsed.bytes),
            (vec!["page http://a.test/dir/b 2 0".to_owned()], 2_000)
        );
    }
}

#[test]
fn what_holds_no_links_is_not_decoded() {
    let headers = [("content-type", "image/png"), ("content-encoding", "gzip")];
    let parsed = read(&page(PAGE, &headers, b"this is not gzip"));
    assert_eq!((parsed.kind, parsed.bytes), (Kind::Other, 0));
    assert!(parsed.fault.is_none());
    check(
        &page(
            PAGE,
            &[("content-type", "text/plain")],
            b"<a href=b> http://a.test/dir/c",
        ),
        &[],
    );
}

#[test]
fn a_style_sheet_embeds_and_its_hops_count() {
    let css = b"@import 'b.css'; a{b:url(\"c.png\");d:url(#e)}";
    let of_page = page(
        "http://cdn.test/s.css",
        &[("content-type", "text/css")],
        css,
    );
    let hops = |hops| {
        with_kind(
            page(
                "http://cdn.test/s.css",
                &[("content-type", "text/css")],
                css,
            ),
            LinkKind::Embed,
            hops,
        )
    };
    check(
        &of_page,
        &[
            "out_of_scope embed http://cdn.test/b.css: scope prefix",
            "out_of_scope embed http://cdn.test/c.png: scope prefix",
        ],
    );
    check(
        &hops(0),
        &[
            "embed http://cdn.test/b.css 1 1",
            "embed http://cdn.test/c.png 1 1",
        ],
    );
    check(
        &hops(2),
        &[
            "out_of_scope embed http://cdn.test/b.css: embed hops 3",
            "out_of_scope embed http://cdn.test/c.png: embed hops 3",
        ],
    );
}

#[test]
fn sitemaps_are_read_in_every_form_they_come_in() {
    let xml = b"<?xml version='1.0'?><urlset><url><loc>http://a.test/dir/1</loc></url><url><loc>http://b.test/</loc></url></urlset>";
    let want = [
        "page http://a.test/dir/1 2 0",
        "out_of_scope page http://b.test/: scope prefix",
    ];
    let listed = |headers: &[(&str, &str)], body: &[u8]| {
        with_kind(
            page("http://a.test/sitemap.xml", headers, body),
            LinkKind::Sitemap,
            0,
        )
    };
    check(&listed(&[("content-type", "text/xml")], xml), &want);
    check(
        &page(
            "http://a.test/sitemap.xml",
            &[("content-type", "text/xml")],
            xml,
        ),
        &want,
    );
    check(
        &listed(
            &[
                ("content-type", "application/xml"),
                ("content-encoding", "gzip"),
            ],
            &gzip(xml),
        ),
        &want,
    );
    check(
        &listed(&[("content-type", "application/x-gzip")], &gzip(xml)),
        &want,
    );
    check(
        &listed(
            &[
                ("content-type", "application/x-gzip"),
                ("content-encoding", "gzip"),
            ],
            &gzip(&gzip(xml)),
        ),
        &want,
    );
    check(&listed(&[], &gzip(xml)), &want);
    check(
        &page(
            "http://a.test/s.gz",
            &[("content-type", "application/x-gzip")],
            &gzip(xml),
        ),
        &[],
    );
    let text = b"http://a.test/dir/1\nhttp://b.test/\n";
    check(&listed(&[("content-type", "text/plain")], text), &want);
    check(
        &page(
            "http://a.test/list.txt",
            &[("content-type", "text/plain")],
            text,
        ),
        &[],
    );
    let utf_16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(
            std::str::from_utf8(xml)
                .unwrap()
                .encode_utf16()
                .flat_map(u16::to_le_bytes),
        )
        .collect();
    check(&listed(&[("content-type", "text/xml")], &utf_16), &want);
}

#[test]
fn a_sitemap_index_is_trusted_only_when_robots_txt_leads_to_it() {
    let xml = b"<sitemapindex><sitemap><loc>http://b.test/1.xml</loc></sitemap></sitemapindex>";
    let index = |kind| {
        with_kind(
            page("http://a.test/s.xml", &[("content-type", "text/xml")], xml),
            kind,
            0,
        )
    };
    check(
        &index(LinkKind::Sitemap),
        &["sitemap http://b.test/1.xml 1 1"],
    );
    check(
        &index(LinkKind::Page),
        &["out_of_scope page http://b.test/1.xml: scope prefix"],
    );
}

#[test]
fn a_large_sitemap_is_a_stream() {
    let mut xml = String::from("<urlset>");
    for n in 0..40_000 {
        xml.push_str(&format!(
            "<url><loc>http://a.test/dir/{n}</loc><x>{}</x></url>\n",
            "é".repeat(50)
        ));
    }
    let coded = gzip(xml.as_bytes());
    let page = with_kind(
        page("http://a.test/s.xml.gz", &[], &coded),
        LinkKind::Sitemap,
        0,
    );
    assert_eq!(read(&page).bytes, xml.len());
    assert_eq!(parts(&rules(), &page).concat().len(), 40_000);
}

#[test]
fn a_page_without_an_answer_or_beside_the_queue_has_nothing_to_read() {
    let mut silent = page(PAGE, &[], b"");
    silent.exchange = None;
    check(&silent, &[]);
    let mut beside = page(PAGE, &[HTML], b"<a href=b>");
    beside.place = Place::Beside;
    check(&beside, &[]);
}

#[test]
fn what_is_beyond_the_bound_is_counted() {
    let mut rules = rules();
    rules.config.links_max = 10;
    let html: String = (0..30).map(|n| format!("<a href={n}>")).collect();
    let page = page(PAGE, &[HTML], html.as_bytes());
    let parsed = Reader::new(rules).read(&page, 0, &mut Watch::new(&|| false));
    assert_eq!((parsed.links.len(), parsed.left_out), (10, 20));
}

/// All parts of a page: the links of each, in scope or refused.
fn parts(rules: &Rules, page: &Page) -> Vec<Vec<String>> {
    let mut reader = Reader::new(rules.clone());
    let (mut parts, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let parsed = reader.read(page, at, &mut Watch::new(&|| false));
        assert_eq!(parsed.left_out, 0);
        let (links, refused) = (parsed.links.into_iter(), parsed.refused.into_iter());
        let links = links.map(|link| link.url.into());
        parts.push(links.chain(refused.map(|link| link.url)).collect());
        from = parsed.next;
    }
    parts
}

#[test]
fn a_page_with_more_links_than_a_part_holds_is_read_in_parts() {
    #[track_caller]
    fn check(page: &Page, links_max: usize, bytes_max: usize, want: &[usize]) {
        let mut rules = rules();
        rules.config.part_links_max = links_max;
        rules.config.part_bytes_max = bytes_max;
        let parts = parts(&rules, page);
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, want);
        let mut all = parts.concat();
        rules.config = ParserConfig::default();
        let mut whole = self::parts(&rules, page).concat();
        all.sort();
        whole.sort();
        assert_eq!(all, whole, "in parts and at once");
    }
    // Every third is out of scope; the head has one too.
    let link = |n: usize| match n % 3 {
        0 => format!("<a href=/out/{n}>"),
        _ => format!("<a href={n}>"),
    };
    let html: String = (0..29).map(link).collect();
    let headers = [HTML, ("link", "<http://a.test/dir/next>; rel=next")];
    let page_of_30 = page(PAGE, &headers, html.as_bytes());
    check(&page_of_30, 10, 100_000, &[10, 10, 10]);
    check(&page_of_30, 29, 100_000, &[29, 1]);
    check(&page_of_30, 30, 100_000, &[30]);
    // A long base may not blow up short links.
    let base = format!("<base href='/dir/{}/'>", "x".repeat(1_000));
    let html: String = (0..10).map(|n| format!("<a href={n}>")).collect();
    let long = page(PAGE, &[HTML], (base + &html).as_bytes());
    check(&long, 100, 4_100, &[4, 4, 2]);
    check(&long, 100, 10, &[1; 10]);

    let css: String = (0..5).map(|n| format!("a{{b:url({n})}}")).collect();
    let css = page(PAGE, &[("content-type", "text/css")], css.as_bytes());
    check(&css, 2, 100_000, &[2, 2, 1]);
    let sitemap: String = (0..5)
        .map(|n| format!("<url><loc>http://a.test/dir/{n}</loc></url>"))
        .collect();
    let sitemap = format!("<urlset>{sitemap}</urlset>");
    let sitemap = page(PAGE, &[("content-type", "text/xml")], sitemap.as_bytes());
    check(
        &with_kind(sitemap, LinkKind::Sitemap, 0),
        2,
        100_000,
        &[2, 2, 1],
    );
    let text: String = (0..5).map(|n| format!("http://a.test/dir/{n}\n")).collect();
    let text = page(PAGE, &[("content-type", "text/plain")], text.as_bytes());
    check(
        &with_kind(text, LinkKind::Sitemap, 0),
        2,
        100_000,
        &[2, 2, 1],
    );
}

#[test]
fn not_one_of_a_quarter_of_a_million_links_is_left_out() {
    const LINKS: usize = 250_000;
    let html: String = (0..LINKS).map(|n| format!("<a href={n}>")).collect();
    let parts = parts(&rules(), &page(PAGE, &[HTML], html.as_bytes()));
    assert!(parts.iter().all(|part| part.len() <= 10_000));
    let distinct: HashSet<String> = parts.into_iter().flatten().collect();
    assert_eq!(distinct.len(), LINKS);
}

/// Documents that would take minutes if any part of the reading looked back or ahead without bound.
#[test]
fn the_worst_documents_are_read_in_one_pass() {
    const UNITS: usize = 50_000;
    #[track_caller]
    fn check(content_type: &str, start: &str, unit: &str, end: &str) {
        let body = format!("{start}{}{end}<a href=end>", unit.repeat(UNITS));
        let sitemap = with_kind(
            page(PAGE, &[("content-type", content_type)], body.as_bytes()),
            LinkKind::Sitemap,
            0,
        );
        let parsed = read(&sitemap);
        assert!(
            parsed.bytes > UNITS || parsed.left_out > 0,
            "{unit:?}: {} bytes",
            parsed.bytes
        );
    }
    for unit in [
        "<",
        "</",
        "<a",
        "<a ",
        "<a href='",
        "<!--",
        "<!-- >",
        "<!",
        "<svg>",
        "<svg></math>",
        "<math><mi></svg>",
        "<script><!--",
        "<!--<script>",
        "<title></titl",
        "&",
        "&#",
        "&am",
        "<b =",
        "<template>",
        "<p style='url(",
        "x",
    ] {
        check("text/html", "", unit, "");
        check("text/html", "<script><!--<script>", unit, "");
        check("text/html", "<style>url(a);", unit, "</style>");
        check("text/html", "<a href='", unit, "'>");
    }
    for unit in [",", "a ", "a (", "a,", " "] {
        check("text/html", "<img srcset='", unit, "'>");
    }
    for unit in ["\"", "\\", "\"a\" ", "\"http:\\", "{"] {
        check(
            "text/html",
            "<script type='application/ld+json'>",
            unit,
            "</script>",
        );
    }
    for unit in ["url(", "url('", "'", "\\", "/*", "@import ", "url( ", "("] {
        check("text/css", "a{b:url(c)}", unit, "");
    }
    for unit in [
        "&",
        "&a",
        "<a>",
        "<!--",
        "<![CDATA[",
        "<a b='&",
        "<loc>",
        "</loc>",
        ">",
    ] {
        check("text/xml", "<urlset><loc>http://a.test/</loc>", unit, "");
        check("text/xml", "<feed><link href='", unit, "'/>");
    }
}

#[test]
fn time_over_means_no_links_at_all() {
    let html = "<a href=b>".repeat(20_000);
    let parsed = Reader::new(rules()).read(
        &page(PAGE, &[HTML], html.as_bytes()),
        0,
        &mut Watch::new(&|| true),
    );
    assert!(matches!(parsed.fault, Some(ReadFault::Late(_))));
    assert_eq!(told(&parsed), [""; 0]);
}

#[test]
fn the_scope_decides_for_every_type() {
    let seed = Url::parse("http://a.test/dir/").unwrap();
    let config = ScopeConfig {
        scope_type: ScopeType::Any,
        depth: Some(1),
        ..ScopeConfig::default()
    };
    let mut rules = rules();
    rules.scope = Arc::new(Scope::new(&config, [&seed]).unwrap());
    let parsed = Reader::new(rules).read(
        &page(PAGE, &[HTML], b"<a href=http://b.test/>"),
        0,
        &mut Watch::new(&|| false),
    );
    assert_eq!(told(&parsed), ["too_deep page http://b.test/: depth 1"]);
}

proptest::proptest! {
    #[test]
    fn any_answer_is_read(
        content_type in "(text/html|text/xml|text/css|text/plain|)(; charset=(utf-16|big5|x))?",
        encoding in "(gzip|br|zstd|deflate|x|)(, gzip)?",
        head in "(<urlset>|<html>|<!--|\\x1f\\u{8b}\\x08|)",
        tail: Vec<u8>,
        sitemap: bool,
    ) {
        let body: Vec<u8> = head.chars().map(|c| c as u8).chain(tail).collect();
        let page = page(PAGE, &[("content-type", &content_type), ("content-encoding", &encoding)], &body);
        let kind = if sitemap { LinkKind::Sitemap } else { LinkKind::Page };
        read(&with_kind(page, kind, 0));
    }
}

#[test]
fn what_site_headers_and_document_say_of_use_is_read_together() {
    let html = "<html><meta name=ROBOTS content='noarchive, max-snippet:5'><meta name=other content=noindex>\
        <meta name=argiope content=noai><meta name=tdm-reservation content=1><meta name=tdm-policy content=/p>\
        <link rel=license href=/l><a rel='nofollow license' href=/l>x</a><a rel=license href=/m>y</a>";
    let headers = [
        HTML,
        ("x-robots-tag", "other: noindex"),
        ("x-robots-tag", "nosnippet"),
    ];
    let mut page = page(PAGE, &headers, html.as_bytes());
    page.said = vec![Statement::new(By::Signal(3), "search", "yes")];
    let said: Vec<String> = read(&page)
        .facts
        .rights
        .iter()
        .map(ToString::to_string)
        .collect();
    let want = [
        "robots.txt:3 content-signal: search=yes",
        "x-robots-tag: nosnippet",
        "meta: noarchive",
        "meta: max-snippet=5",
        "meta: noai",
        "meta: tdm-reservation=1",
        "meta: tdm-policy=/p",
        "link: license=/l",
        "link: license=/m",
    ];
    assert_eq!(said, want);
}

#[test]
fn nofollow_is_recorded_and_obeyed_where_the_purpose_is_search() {
    #[track_caller]
    fn check(purpose: Purpose, headers: &[(&str, &str)], html: &str, want: &[&str]) {
        let html = format!("{html}<a href=b>b</a><img src=i.png>");
        let page = page(PAGE, headers, html.as_bytes());
        let rules = crate::reader::Rules {
            purpose,
            ..crate::testing::rules()
        };
        let parsed = Reader::new(rules).read(&page, 0, &mut Watch::new(&|| false));
        assert_eq!(told(&parsed), want, "{purpose:?} {headers:?} {html}");
    }
    let followed = [
        "page http://a.test/dir/b 2 0",
        "embed http://a.test/dir/i.png 1 0",
    ];
    let left = [
        "embed http://a.test/dir/i.png 1 0",
        "directive_refused page http://a.test/dir/b: nofollow",
    ];
    let meta = "<meta name=robots content=nofollow>";
    check(Purpose::Archive, &[HTML], meta, &followed);
    check(Purpose::AiTrain, &[HTML], meta, &followed);
    check(Purpose::Search, &[HTML], "", &followed);
    check(Purpose::Search, &[HTML], meta, &left);
    check(
        Purpose::Search,
        &[HTML, ("x-robots-tag", "none")],
        "",
        &left,
    );
    check(
        Purpose::Search,
        &[HTML, ("x-robots-tag", "other: nofollow")],
        "",
        &followed,
    );
}

//! What sites and pages say of the use of their content, and what crawls of each purpose make of it.

use std::collections::{BTreeMap, BTreeSet};

use kit::answer::Answer;

use crate::archive;
use crate::crawl::Crawl;
use crate::stand::Stand;

/// Pages of `home.test`, each with another statement; `/behind.html` is linked from the page of `nofollow` alone.
fn stand() -> Stand {
    let stand = Stand::bare();
    let said = [
        ("noindex", "<meta name=robots content=noindex>"),
        ("noai", "<meta name=Argiope content='noai, noimageai'>"),
        (
            "nofollow",
            "<meta name=robots content=nofollow><a href=behind.html>x</a>",
        ),
        (
            "gone",
            "<meta name=robots content='unavailable_after: Friday, 25-Jun-10 15:00:00 GMT'>",
        ),
        ("licensed", "<link rel=license href=/terms.html>"),
        ("behind", ""),
        ("terms", ""),
    ];
    for (name, head) in said {
        stand.page(
            "home.test",
            &format!("/{name}.html"),
            &format!("{head}<p>{name}"),
        );
    }
    let headers = [
        ("noarchive", "noarchive, max-snippet: 20"),
        ("other", "otherbot: none"),
    ];
    for (name, value) in headers {
        let page = Answer::html("<p>x").with("X-Robots-Tag", value);
        stand
            .origin
            .plant("home.test", &format!("/{name}.html"), [page]);
    }
    stand.page(
        "home.test",
        "/",
        "<a href=noindex.html>1</a><a href=noai.html>2</a><a href=nofollow.html>3</a><a href=gone.html>4</a>\
         <a href=licensed.html>5</a><a href=noarchive.html>6</a><a href=other.html>7</a>\
         <a href=//signals.test/>8</a><a href=//mining.test/>9</a>",
    );
    let robots = "User-agent: *\nContent-Signal: search=no, ai-input=yes, ai-train=no\nAllow: /\n";
    stand
        .origin
        .plant("signals.test", "/robots.txt", [Answer::text(200, robots)]);
    stand.page("signals.test", "/", "<p>signals");
    let tdm = r#"[{"location":"/r/","tdm-reservation":1,"tdm-policy":"https://mining.test/policy.json"}]"#;
    let tdm = Answer::of(200, "application/json", tdm);
    stand
        .origin
        .plant("mining.test", "/.well-known/tdmrep.json", [tdm]);
    stand.page("mining.test", "/", "<a href=/r/x.html>x</a>");
    stand.page("mining.test", "/r/x.html", "<p>reserved");
    stand
}

/// Crawls for this purpose; these pages are refused, with these words, and all others kept.
#[track_caller]
fn check(purpose: &str, refused: &[(&str, &str)]) {
    let stand = stand();
    let crawl = stand
        .crawl()
        .flags(&["--scope-type", "any", "--delay", "0"]);
    let crawl = match purpose {
        "archive" => crawl,
        other => crawl.flags(&["--purpose", other]),
    };
    let crawl = crawl.seed(&stand.origin.url("home.test", "/"));
    crawl.ends(0);
    archive::sound(&crawl);

    let mut told = BTreeMap::new();
    let mut kept = BTreeSet::new();
    let is_ours = |url: &str| url.contains(".test:");
    for (url, line) in crawl.outcomes().into_iter().filter(|(url, _)| is_ours(url)) {
        match line.outcome.as_str() {
            "ok" => drop(kept.insert(url)),
            "directive_refused" => drop(told.insert(url, line.detail.unwrap_or_default())),
            other => panic!("{purpose}: {url}: {other}"),
        }
    }
    let url = |place: &str| {
        let (host, path) = place.split_at(place.find('/').unwrap());
        stand.origin.url(host, path)
    };
    let want: BTreeMap<String, String> = refused
        .iter()
        .map(|(place, why)| (url(place), (*why).to_owned()))
        .collect();
    assert_eq!(told, want, "{purpose}");
    let nofollow = url("home.test/behind.html");
    assert_eq!(
        kept.contains(&nofollow),
        !want.contains_key(&nofollow),
        "{purpose}"
    );
    assert_eq!(kept.len() + told.len(), 13, "{purpose}: {kept:#?}");

    records(&crawl, purpose, &kept, &told);
    let asked = stand.asked();
    let mining = asked.contains(&"mining.test/.well-known/tdmrep.json".to_owned());
    assert_eq!(
        mining,
        matches!(purpose, "ai-train" | "ai-input" | "research"),
        "{purpose}"
    );
    licensed(&crawl, &url("home.test/licensed.html"));
}

/// Of what is refused there is a metadata record and nothing else; of what is kept the answer.
#[track_caller]
fn records(crawl: &Crawl, purpose: &str, kept: &BTreeSet<String>, told: &BTreeMap<String, String>) {
    let records = crawl.records();
    let info = String::from_utf8_lossy(&records[0].block).into_owned();
    assert!(
        info.contains(&format!("argiope-purpose: {purpose}\r\n")),
        "{info}"
    );
    for (url, why) in told.iter().filter(|(_, why)| *why != "nofollow") {
        let of_url: Vec<_> = records
            .iter()
            .filter(|record| record.target() == Some(url))
            .collect();
        assert_eq!(of_url.len(), 1, "{purpose}: {url}");
        assert_eq!(of_url[0].kind(), "metadata", "{purpose}: {url}");
        let block = String::from_utf8_lossy(&of_url[0].block).into_owned();
        assert!(block.contains("outcome: directive_refused\r\n"), "{block}");
        let (statement, _) = why.split_once(" (purpose").unwrap();
        assert!(
            block.contains(&format!("rights: {statement}\r\n")),
            "{block}"
        );
    }
    for url in kept {
        let mut of_url = records.iter().filter(|record| record.target() == Some(url));
        assert!(
            of_url.any(|record| record.kind() == "response"),
            "{purpose}: {url}"
        );
    }
}

/// What refuses nothing is recorded all the same: in the page list and beside the answer.
#[track_caller]
fn licensed(crawl: &Crawl, url: &str) {
    let pages = crawl.pages();
    let page = pages.iter().find(|page| page["url"] == url).unwrap();
    let want = serde_json::json!([{ "by": "link", "says": "license=/terms.html" }]);
    assert_eq!(page["rights"], want);
    let records = crawl.records();
    let mut beside = records.iter().filter(|record| record.target() == Some(url));
    let beside = beside.find(|record| record.kind() == "metadata").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&beside.block),
        "rights: link: license=/terms.html\r\n"
    );
}

#[test]
fn an_archive_leaves_out_what_is_not_to_be_archived() {
    check(
        "archive",
        &[(
            "home.test/noarchive.html",
            "x-robots-tag: noarchive (purpose archive)",
        )],
    );
}

#[test]
fn a_search_index_leaves_out_what_is_not_to_be_found() {
    check(
        "search",
        &[
            ("home.test/behind.html", "nofollow"),
            (
                "home.test/gone.html",
                "meta: unavailable_after=Friday, 25-Jun-10 15:00:00 GMT (purpose search)",
            ),
            ("home.test/noindex.html", "meta: noindex (purpose search)"),
            (
                "signals.test/",
                "robots.txt:2 content-signal: search=no (purpose search)",
            ),
        ],
    );
}

#[test]
fn training_leaves_out_what_is_reserved() {
    check(
        "ai-train",
        &[
            ("home.test/noai.html", "meta: noai (purpose ai-train)"),
            (
                "home.test/noarchive.html",
                "x-robots-tag: noarchive (purpose ai-train)",
            ),
            (
                "signals.test/",
                "robots.txt:2 content-signal: ai-train=no (purpose ai-train)",
            ),
            (
                "mining.test/r/x.html",
                "tdmrep.json: tdm-reservation=1 (purpose ai-train)",
            ),
        ],
    );
}

#[test]
fn input_of_answers_leaves_out_what_is_not_to_be_quoted() {
    check(
        "ai-input",
        &[
            (
                "home.test/gone.html",
                "meta: unavailable_after=Friday, 25-Jun-10 15:00:00 GMT (purpose ai-input)",
            ),
            ("home.test/noai.html", "meta: noai (purpose ai-input)"),
            (
                "home.test/noarchive.html",
                "x-robots-tag: noarchive (purpose ai-input)",
            ),
            ("home.test/noindex.html", "meta: noindex (purpose ai-input)"),
            (
                "mining.test/r/x.html",
                "tdmrep.json: tdm-reservation=1 (purpose ai-input)",
            ),
        ],
    );
}

#[test]
fn research_keeps_what_it_may_and_records_what_is_said() {
    check("research", &[]);
}

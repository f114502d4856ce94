//! What a site serves more than once is stored once, also across a restart, and counted.

use std::collections::BTreeMap;

use kit::answer::Answer;
use kit::warc::read_all;

use crate::archive;
use crate::crawl::Crawl;
use crate::stand::Stand;

const ITEMS: usize = 6;

/// A page that links its namesakes: four answer with the same bytes, two with a few words changed.
fn stand() -> (Stand, Crawl) {
    let stand = Stand::bare();
    let words: Vec<String> = (0..400).map(|n| format!("word{}", n * n % 397)).collect();
    let text = words.join(" ");
    let links: String = (0..ITEMS)
        .map(|n| format!("<a href=/item/{n}>x</a>"))
        .collect();
    let menu = format!("<nav>{links}</nav>");
    for n in 0..ITEMS {
        let html = match n {
            0..4 => format!("<title>item</title>{menu}<p>{text}"),
            _ => format!("<title>item {n}</title>{menu}<p>{text} {n}"),
        };
        // Coded as servers do it: the payload is what was received.
        let page = Answer::html(&html).with("X-Item", &n.to_string()).gzipped();
        stand
            .origin
            .plant("shop.test", &format!("/item/{n}"), [page]);
    }
    stand.page(
        "shop.test",
        "/",
        &format!("<meta name=description content='all items'><html lang=en>{menu}"),
    );
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.url("shop.test", "/"));
    (stand, crawl)
}

/// The item pages' lines of the page list, by path.
fn items(crawl: &Crawl, home: &str) -> BTreeMap<String, serde_json::Value> {
    let pages = crawl.pages().into_iter();
    let path = |page: &serde_json::Value| page["url"].as_str().unwrap().replace(home, "/");
    let items = pages.map(|page| (path(&page), page));
    items
        .filter(|(path, _)| path.starts_with("/item/"))
        .collect()
}

#[test]
fn the_same_bytes_are_stored_once_and_every_reader_finds_them() {
    let (stand, crawl) = stand();
    // The second run knows from the ledger what the first one stored.
    crawl.ends_with(&["--limit", "3"], 16);
    crawl.ends(0);
    archive::sound(&crawl);
    let home = stand.origin.url("shop.test", "/");

    let written = read_all(&crawl.path("archive")).unwrap();
    let revisits = written.iter().filter(|record| record.kind() == "revisit");
    assert_eq!(revisits.count(), 3, "stored anew: {written:#?}");
    let whole = crawl.records();
    let answers = whole.iter().filter(|record| record.kind() == "response");
    let mut bodies: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for answer in answers.filter(|answer| answer.target().unwrap().contains("/item/")) {
        let number = answer.target().unwrap().rsplit('/').next().unwrap();
        let head = answer.http().unwrap().0.to_ascii_lowercase();
        assert!(head.contains(&format!("x-item: {number}")), "{head}");
        *bodies.entry(answer.page().unwrap()).or_default() += 1;
    }
    let mut counts: Vec<usize> = bodies.into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 4]);

    let items = items(&crawl, &home);
    assert_eq!(items.len(), ITEMS);
    let same = items.values().filter(|page| !page["same_as"].is_null());
    assert_eq!(same.count(), 3);
    for page in items.values() {
        let length = page["text_chars"].as_u64().unwrap();
        assert!((2_000..3_200).contains(&length), "{page}");
        let number = u64::from_str_radix(page["simhash"].as_str().unwrap(), 16).unwrap();
        let other = u64::from_str_radix(items["/item/0"]["simhash"].as_str().unwrap(), 16).unwrap();
        assert!((number ^ other).count_ones() <= 3, "{page}");
    }
    let report = std::fs::read_to_string(crawl.path("reports/crawl.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["duplicates"]["urls"], 3, "{report:#}");
    let template = &report["templates"][format!("{home}item/*")];
    assert_eq!(
        (&template["pages"], &template["near"]),
        (&3.into(), &2.into()),
        "{report:#}"
    );
    let home_line = crawl
        .pages()
        .into_iter()
        .find(|page| page["seed"] == true)
        .unwrap();
    assert_eq!(
        (&home_line["description"], &home_line["language"]),
        (&"all items".into(), &"en".into())
    );
}

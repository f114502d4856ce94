//! Sites without an end: the crawl ends by itself, and what is good beside them is kept.

use kit::answer::Answer;
use kit::dns::{Dns, Zone};
use kit::origin::Site as Server;
use kit::traps::{GOOD, Said, Site, Trap, is_good};
use kit::web::Web;

use serde_json::Value;

use crate::archive;
use crate::crawl::argiope;
use crate::stand::Stand;

const SITES: [(&str, Site); 3] = [
    ("days.test", Site::Trap(Trap::CalendarQuery, 7)),
    ("grows.test", Site::Trap(Trap::GrowingTwo, 7)),
    ("shop.test", Site::Trap(Trap::SessionPath, 7)),
];

fn answer(host: &str, path: &str) -> Option<Answer> {
    let (_, site) = SITES.iter().find(|(name, _)| *name == host)?;
    if path == "/robots.txt" {
        return Some(Answer::text(404, "no rules\n"));
    }
    Some(match site.answer(path) {
        Said::Html(html) => Answer::html(&html),
        Said::Redirect(to) => Answer::redirect(302, &to),
        Said::NotFound => Answer::text(404, "not here\n"),
    })
}

#[test]
fn endless_sites_end_and_each_url_that_was_not_asked_for_says_why() {
    let nothing = Web {
        hosts: 0,
        ..Web::default()
    };
    let stand = Stand {
        origin: Server::of(nothing).beside(answer).start().unwrap(),
        dns: Dns::start(Zone::default()).unwrap(),
    };
    let crawl = SITES.iter().fold(
        stand.crawl().flags(&["--delay", "0"]),
        |crawl, (host, _)| crawl.seed(&stand.origin.url(host, "/")),
    );
    crawl.ends(0);
    let outcomes = crawl.outcomes();
    let of = |host: &str, outcome: &str| {
        let begins = format!("http://{host}:");
        let lines = outcomes
            .values()
            .filter(move |line| line.url.starts_with(&begins));
        lines
            .filter(|line| line.outcome == outcome)
            .cloned()
            .collect::<Vec<_>>()
    };
    for (host, _) in SITES {
        let good = of(host, "ok")
            .iter()
            .filter(|line| is_good(&path_of(&line.url)))
            .count();
        assert_eq!(good as u64, GOOD + 1, "{host}");
        let trapped = of(host, "trap");
        assert!(!trapped.is_empty(), "{host}: its trap is told");
        for line in &trapped {
            let detail = line.detail.as_deref().unwrap_or_default();
            assert!(detail.starts_with('/') && detail.contains(": "), "{detail}");
            assert!(
                line.is_final && line.status.is_none() && line.via.is_some(),
                "{line:?}"
            );
            assert!(!is_good(&path_of(&line.url)), "{}", line.url);
        }
    }
    assert!(
        stand.origin.requests() < 1_500,
        "{} requests",
        stand.origin.requests()
    );
    archive::sound(&crawl);
    let listed = argiope(&["traps", &crawl.output().to_string_lossy(), "--jsonl"], 0).out;
    let families: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (host, _) in SITES {
        let own = families.iter().filter(|family| family["host"] == host);
        let urls: u64 = own
            .clone()
            .filter_map(|family| family["urls"].as_u64())
            .sum();
        assert_eq!(urls, of(host, "trap").len() as u64, "{listed}");
        assert!(
            own.clone()
                .all(|family| !family["why"].as_str().unwrap_or("").is_empty()),
            "{listed}"
        );
    }
    let told = argiope(&["traps", &crawl.output().to_string_lossy()], 0).out;
    assert!(told.contains("families given up"), "{told}");
}

fn path_of(url: &str) -> String {
    let rest = url.splitn(4, '/').nth(3).unwrap_or_default();
    format!("/{rest}")
}

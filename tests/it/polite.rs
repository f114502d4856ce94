//! Manners, judged by the origin's log: one request at a time, never sooner than the delay, robots.txt first, a
//! longer pause where the host asks for one.

use std::time::Duration;

use kit::answer::Answer;
use kit::audit;
use kit::log::Entry;
use kit::web::{Place, Web};

use crate::archive;
use crate::stand::Stand;

fn web() -> Web {
    Web {
        hosts: 3,
        pages_per_host: 8,
        moved_every: 4,
        gone_every: 5,
        private_every: 3,
        flaky_every: 0,
        listed: 2,
        delay_ms: (2, 20),
        ..Web::default()
    }
}

#[test]
fn a_host_is_never_asked_sooner_than_it_allows() {
    let stand = Stand::of(web());
    let (origin, port) = (&stand.origin, stand.origin.port());
    let slow = format!(
        "User-agent: *\nDisallow: /private/\nCrawl-delay: 0.5\nSitemap: {}\n",
        origin.url("h1.zoo.test", "/sitemap.xml")
    );
    origin.plant("h1.zoo.test", "/robots.txt", [Answer::text(200, &slow)]);
    let busy = Place::Page(3).path();
    let later = origin.web().answer("h2.zoo.test", &busy, port, 1, false);
    origin.plant(
        "h2.zoo.test",
        &busy,
        [Answer::text(503, "not now").with("Retry-After", "2"), later],
    );
    let crawl = stand
        .crawl()
        .flags(&["--delay", "200ms", "--scope-type", "domain"]);
    let crawl = crawl.seed(&origin.home());
    crawl.ends(0);
    archive::sound(&crawl);

    let log = origin.log();
    assert_eq!(audit::overlaps(&log), []);
    for (host, gap) in audit::shortest_gaps(&log) {
        let least = if host == "h1.zoo.test" { 500 } else { 200 };
        assert!(
            gap.between >= Duration::from_millis(least),
            "{host}: {gap:?}"
        );
    }
    for host in origin.web().host_names() {
        let first = log.iter().find(|entry| entry.host == host).unwrap();
        assert_eq!(first.path, "/robots.txt", "{host}");
    }
    let coverage = audit::coverage(&log, &origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    assert_eq!(audit::repeats(&log), 0);
    rested(&log, Duration::from_secs(2));
}

/// After its 503 the host was left alone for as long as it asked.
#[track_caller]
fn rested(log: &[Entry], asked: Duration) {
    let refused = log.iter().find(|entry| entry.status == 503).unwrap();
    let next = log
        .iter()
        .find(|entry| entry.host == refused.host && entry.start > refused.start)
        .unwrap();
    let rest = next.start - refused.end.unwrap();
    assert!(rest >= asked, "only {rest:?} until {}", next.url());
}

#[test]
fn what_robots_txt_disallows_is_named_with_its_rule() {
    let stand = Stand::of(Web { hosts: 1, ..web() });
    let crawl = stand.crawl().flags(&["--delay", "0"]);
    let crawl = crawl.seed(&stand.origin.home());
    crawl.ends(0);
    let truth = stand.origin.truth(|_| true);
    assert!(!truth.forbidden.is_empty());
    let outcomes = crawl.outcomes();
    for url in &truth.forbidden {
        let line = &outcomes[url];
        assert_eq!(line.outcome, "robots_denied", "{line:?}");
        assert!(
            line.detail
                .as_deref()
                .is_some_and(|rule| rule.contains("/private/")),
            "{line:?}"
        );
    }
    let coverage = audit::coverage(&stand.origin.log(), &truth);
    assert!(coverage.is_exact(), "{coverage:#?}");
}

#[test]
fn whoever_ignores_robots_txt_says_so() {
    let stand = Stand::of(Web { hosts: 1, ..web() });
    let crawl = stand.crawl().flags(&["--delay", "0", "--robots", "ignore"]);
    let crawl = crawl.seed(&stand.origin.home());
    crawl.ends(0);
    let truth = stand.origin.truth(|_| true);
    let coverage = audit::coverage(&stand.origin.log(), &truth);
    assert_eq!(coverage.forbidden, truth.forbidden);
    let records = crawl.records();
    let info = String::from_utf8_lossy(&records[0].block).into_owned();
    assert!(info.contains("robots: ignore"), "{info}");
}

#[test]
fn headers_and_names_are_sent_as_given() {
    let stand = Stand::bare();
    stand.page("a.zoo.test", "/", "<p>alone</p>");
    stand.origin.plant(
        "a.zoo.test",
        "/robots.txt",
        [Answer::text(200, "User-agent: weaver\nDisallow: /x\n")],
    );
    stand.page("a.zoo.test", "/", "<a href=/x>x</a> <a href=/y>y</a>");
    let crawl = stand.crawl().seed(&stand.origin.url("a.zoo.test", "/"));
    let crawl = crawl.flags(&[
        "--delay",
        "0",
        "--user-agent",
        "Weaver/2 (+https://zoo.test/weaver)",
        "--robots-agent",
        "weaver",
        "--header",
        "X-Zoo: seven legs",
    ]);
    crawl.ends(0);
    assert_eq!(stand.asked(), ["a.zoo.test/", "a.zoo.test/y"]);
    for entry in stand.origin.log() {
        assert_eq!(entry.agent, "Weaver/2 (+https://zoo.test/weaver)");
        assert_eq!(entry.header("x-zoo"), Some("seven legs"), "{}", entry.head);
    }
}

#[test]
fn a_robots_txt_that_lies_on_a_busy_host_waits_for_that_hosts_turn() {
    const DELAY: Duration = Duration::from_millis(200);
    let stand = Stand::bare();
    let origin = &stand.origin;
    let rules = origin.url("busy.zoo.test", "/rules.txt");
    let pages: String = (0..8).map(|n| format!("<a href=/{n}>{n}</a> ")).collect();
    let home = Answer::html(&pages).after(Duration::from_secs(1));
    origin.plant("busy.zoo.test", "/", [home]);
    for n in 0..8 {
        stand.page("busy.zoo.test", &format!("/{n}"), "<p>end");
    }
    let file = Answer::text(200, "User-agent: *\nDisallow: /private\n");
    origin.plant("busy.zoo.test", "/rules.txt", [file]);
    let others = ["one.test", "two.test"];
    for host in others {
        origin.plant(host, "/robots.txt", [Answer::redirect(302, &rules)]);
        stand.page(host, "/", "<a href=/private>no</a> <a href=/open>yes</a>");
        stand.page(host, "/open", "<p>end");
        stand.page(host, "/private", "<p>not for us");
    }
    let mut crawl = stand.crawl().flags(&["--delay", "200ms"]);
    for host in others.iter().chain(&["busy.zoo.test"]) {
        crawl = crawl.seed(&origin.url(host, "/"));
    }
    crawl.ends(0);
    archive::sound(&crawl);

    let log = origin.log();
    assert_eq!(audit::overlaps(&log), []);
    for (host, gap) in audit::shortest_gaps(&log) {
        assert!(gap.between >= DELAY, "{host}: {gap:?}");
    }
    let asked = |path: &str| log.iter().filter(|entry| entry.path == path).count();
    assert_eq!(
        (asked("/rules.txt"), asked("/private"), asked("/open")),
        (2, 0, 2)
    );
    // It was busy when they came, and they came before what was queued for it.
    let of_busy = log.iter().filter(|entry| entry.host == "busy.zoo.test");
    let order: Vec<&str> = of_busy.map(|entry| &*entry.path).take(4).collect();
    assert_eq!(order, ["/robots.txt", "/", "/rules.txt", "/rules.txt"]);
    let outcomes = crawl.outcomes();
    for host in others {
        let line = &outcomes[&origin.url(host, "/private")];
        assert_eq!(line.outcome, "robots_denied", "{line:?}");
    }
}

//! A site is looked at again: nginx says by its own ETags what is still as it was, and only what changed is sent.

use std::collections::BTreeMap;
use std::path::Path;

use kit::dns::{Dns, Zone};
use kit::nginx::{Nginx, Sites};
use kit::process::{Ended, Running};
use kit::until;
use kit::warc::read_all;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::archive;
use crate::crawl::{ARGIOPE, Crawl, PATIENCE, clean, ended, json_lines};

const HOST: &str = "news.test";
const PAGES: usize = 40;

/// A site of files that a test changes, and the crawl of it.
struct Story {
    root: tempfile::TempDir,
    nginx: Nginx,
    network: Vec<String>,
    crawl: Crawl,
    _dns: Dns,
}

impl Story {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let links: String = (0..PAGES)
            .map(|n| format!("<a href=/{n}.html>{n}</a>"))
            .collect();
        write(root.path(), "index.html", &links);
        for n in 0..PAGES {
            write(root.path(), &format!("{n}.html"), &text(n, "first"));
        }
        let nginx = Sites::new().site_with_robots(HOST, root.path(), "User-agent: *\nAllow: /\n");
        let nginx = nginx.start().unwrap();
        let dns = Dns::start(Zone::default()).unwrap();
        let network = [
            ("--dns", dns.address().to_string()),
            ("--allow-port", nginx.port().to_string()),
            ("--allow-net", "127.0.0.0/8".to_owned()),
        ];
        let network: Vec<String> = network
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
        let words: Vec<&str> = network.iter().map(String::as_str).collect();
        let crawl = Crawl::new().flags(&words).flags(&["--delay", "20ms"]);
        let crawl = crawl.seed(&nginx.url(HOST, "/"));
        Self {
            root,
            nginx,
            network,
            crawl,
            _dns: dns,
        }
    }

    fn start(&self, more: &[&str]) -> Running {
        let mut command = clean(ARGIOPE);
        command.arg("recrawl").arg(self.crawl.output());
        Running::start(command.args(&self.network).args(more)).unwrap()
    }

    #[track_caller]
    fn recrawl(&self, more: &[&str]) -> Ended {
        ended(self.start(more), 0)
    }

    /// How many requests had which answer since those first ones.
    fn answers(&self, since: usize) -> BTreeMap<u16, usize> {
        let mut answers = BTreeMap::new();
        for entry in self.nginx.log().unwrap().into_iter().skip(since) {
            *answers.entry(entry.status).or_default() += 1;
        }
        answers
    }

    fn requests(&self) -> usize {
        self.nginx.log().unwrap().len()
    }

    /// What the refreshes found, in the order of the ledger, since those first lines of it.
    fn changes(&self, since: usize) -> BTreeMap<String, Vec<String>> {
        let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.lines().into_iter().skip(since) {
            if let Some(change) = line["change"].as_str() {
                let path = line["url"].as_str().unwrap().rsplit('/').next().unwrap();
                changes
                    .entry(change.to_owned())
                    .or_default()
                    .push(path.to_owned());
            }
        }
        changes.values_mut().for_each(|paths| paths.sort());
        changes
    }

    fn lines(&self) -> Vec<Value> {
        json_lines(&self.crawl.path("logs/crawl.jsonl"))
    }

    fn report(&self) -> Value {
        let report = std::fs::read_to_string(self.crawl.path("reports/crawl.json")).unwrap();
        serde_json::from_str(&report).unwrap()
    }
}

fn write(root: &Path, name: &str, html: &str) {
    std::fs::write(root.join(name), format!("<!DOCTYPE html>{html}")).unwrap();
}

fn text(n: usize, edition: &str) -> String {
    format!(
        "<title>{n}</title><p>{}",
        format!("{edition} words of {n}. ").repeat(60)
    )
}

/// Every revisit names a record of this archive that has the payload.
#[track_caller]
fn revisits_find_their_records(crawl: &Crawl) -> usize {
    let records = read_all(&crawl.path("archive")).unwrap();
    let responses: BTreeMap<&str, _> = records
        .iter()
        .filter(|record| record.kind() == "response")
        .map(|record| (record.field("WARC-Record-ID").unwrap(), record))
        .collect();
    let revisits = records.iter().filter(|record| record.kind() == "revisit");
    let mut count = 0;
    for revisit in revisits {
        let first = responses[revisit.field("WARC-Refers-To").unwrap()];
        assert_eq!(revisit.field("WARC-Refers-To-Target-URI"), first.target());
        assert_eq!(revisit.field("WARC-Refers-To-Date"), Some(first.date()));
        assert_eq!(
            revisit.field("WARC-Payload-Digest"),
            first.field("WARC-Payload-Digest")
        );
        count += 1;
    }
    count
}

#[test]
fn only_what_has_changed_is_sent_and_kept_again() {
    let story = Story::new();
    let root = story.root.path();
    story.crawl.ends(0);
    let (first, lines) = (story.requests(), story.lines().len());
    assert_eq!(story.answers(0), BTreeMap::from([(200, PAGES + 2)]));

    // Nothing is due in the first week.
    let said = story.recrawl(&[]);
    assert!(
        said.out.contains("41 pages were kept, 0 are queued"),
        "{}",
        said.out
    );
    assert_eq!(story.requests(), first);

    write(root, "3.html", &text(3, "second"));
    write(
        root,
        "index.html",
        &format!("<a href=/new.html>new</a>{}", text(0, "home")),
    );
    write(root, "new.html", &text(99, "new"));
    std::fs::remove_file(root.join("7.html")).unwrap();
    let said = story.recrawl(&["--older-than", "0"]);
    assert!(
        said.out.contains("Refreshed, Unchanged: 38"),
        "{}",
        said.out
    );
    // The new page is fetched without a condition.
    let want = BTreeMap::from([(200, 3), (304, PAGES - 2), (404, 1)]);
    assert_eq!(story.answers(first), want);
    let changes = story.changes(lines);
    assert_eq!(changes["changed"], ["", "3.html"]);
    assert_eq!(changes["gone"], ["7.html"]);
    assert_eq!(changes["unchanged"].len(), PAGES - 2);
    archive::sound(&story.crawl);
    assert_eq!(revisits_find_their_records(&story.crawl), PAGES - 2);
    let report = story.report();
    let gone = story.nginx.url(HOST, "/7.html");
    assert_eq!(
        report["gone"],
        Value::from(vec![gone.clone()]),
        "{report:#}"
    );
    assert_eq!(
        (&report["urls"], &report["repeats"]),
        (&42.into(), &0.into()),
        "{report:#}"
    );
    let table = std::fs::read_to_string(story.crawl.path("reports/gone-report.txt")).unwrap();
    assert_eq!(table, format!("[url]\n{gone}\n"));

    // It comes back as it was; all else is as it was the last time.
    let (second, lines) = (story.requests(), story.lines().len());
    write(root, "7.html", &text(7, "first"));
    story.recrawl(&["--older-than", "0"]);
    let changes = story.changes(lines);
    assert_eq!(changes["back"], ["7.html"]);
    assert_eq!(changes["unchanged"].len(), PAGES + 1);
    let answers = story.answers(second);
    assert_eq!(answers[&304], PAGES + 1, "{answers:?}");
    archive::sound(&story.crawl);
    revisits_find_their_records(&story.crawl);
    assert_eq!(story.report()["gone"], Value::Array(Vec::new()));
}

#[test]
fn a_recrawl_that_was_killed_goes_on() {
    let story = Story::new();
    story.crawl.ends(0);
    let (first, lines) = (story.requests(), story.lines().len());
    let running = story.start(&["--older-than", "0"]);
    until("the middle of the recrawl", PATIENCE, || {
        (story.requests() > first + PAGES / 2 || running.has_ended()).then_some(())
    });
    running.signal(Signal::SIGKILL).unwrap();
    assert_eq!(
        running.wait(PATIENCE).unwrap().signal,
        Some(9),
        "it was too fast"
    );
    // The crawl's own command goes on with what is queued; so would another recrawl.
    let said = story.recrawl(&[]);
    assert!(
        said.out.contains("0 are queued to be refreshed"),
        "{}",
        said.out
    );
    let unchanged = story.changes(lines).remove("unchanged").unwrap();
    let distinct: std::collections::BTreeSet<_> = unchanged.iter().collect();
    assert_eq!(distinct.len(), PAGES + 1, "{unchanged:?}");
    let answers = story.answers(first);
    assert!(
        answers.get(&200).is_none_or(|robots| *robots <= 1),
        "{answers:?}"
    );
    archive::sound(&story.crawl);
    revisits_find_their_records(&story.crawl);
}

#[test]
fn urls_come_back_by_their_outcome() {
    let story = Story::new();
    std::fs::remove_file(story.root.path().join("9.html")).unwrap();
    story.crawl.ends(0);
    let url = story.nginx.url(HOST, "/9.html");
    assert_eq!(story.crawl.outcomes()[&url].outcome, "client_error");
    write(story.root.path(), "9.html", &text(9, "late"));
    let folder = story.crawl.output().to_str().unwrap();
    let reopen =
        |code: &str, exit| crate::crawl::argiope(&["reopen", folder, "--outcome", code], exit);
    crate::crawl::argiope(&["reopen", folder, "--missing"], 4);
    assert!(
        reopen("no_such", 4)
            .err
            .contains("there is no such outcome")
    );
    assert!(reopen("client_error", 0).out.contains("1 are queued again"));
    assert!(
        reopen("client_error", 0)
            .out
            .contains("0 are queued again, 1 were already")
    );
    story.crawl.ends(0);
    assert_eq!(story.crawl.outcomes()[&url].outcome, "ok");
    archive::sound(&story.crawl);
}

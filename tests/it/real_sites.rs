//! Real sites that nobody here wrote: every page that links lead to is in the archive as it lies on the disk, and
//! what robots.txt disallows was not even asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kit::audit;
use kit::dns::{Dns, Zone};
use kit::log::Entry;
use kit::nginx::{Nginx, Sites};
use kit::pages::{Reach, reach};
use kit::tools::wget_mirror;

use crate::archive;
use crate::crawl::{CONTACT, Crawl};

/// A site of a documentation package, and the start of the paths that its robots.txt disallows.
struct Real {
    host: &'static str,
    root: &'static str,
    hidden: &'static str,
}

const PYTHON: Real = Real {
    host: "python.docs.test",
    root: "/usr/share/doc/python3/html",
    hidden: "/c-api/",
};
const GIT: Real = Real {
    host: "git.docs.test",
    root: "/usr/share/doc/git-doc",
    hidden: "/git-c",
};
const HANDBOOK: Real = Real {
    host: "handbook.docs.test",
    root: "/usr/share/doc/debian-handbook/html/en-US",
    hidden: "/sect.a",
};

#[test]
fn whole_sites_are_kept_and_robots_obeyed() {
    let sites = [PYTHON, GIT, HANDBOOK];
    let mut served = Sites::new();
    for site in &sites {
        let robots = format!("User-agent: *\nDisallow: {}\n", site.hidden);
        served = served.site_with_robots(site.host, Path::new(site.root), &robots);
    }
    let nginx = served.start().unwrap();
    let dns = Dns::start(Zone::default()).unwrap();
    let (port, dns) = (nginx.port().to_string(), dns.address().to_string());
    let mut crawl = Crawl::new().flags(&[
        "--delay",
        "0",
        "--dns",
        &dns,
        "--allow-port",
        &port,
        "--allow-net",
        "127.0.0.0/8",
    ]);
    for site in &sites {
        crawl = crawl.seed(&nginx.url(site.host, "/"));
    }
    let running = crawl.start(&[]);
    let truths = sites.each_ref().map(truth);
    crate::crawl::ended(running, 0);
    archive::sound(&crawl);

    let log = nginx.log().unwrap();
    asked_well(&log, &sites);
    let kept = answers(&crawl, &nginx, &sites);
    let listed: BTreeSet<String> = crawl
        .pages()
        .iter()
        .map(|page| page["url"].as_str().unwrap().to_owned())
        .collect();
    for (site, truth) in sites.iter().zip(&truths) {
        is_whole(site, truth, &kept[site.host]);
        let html: BTreeSet<String> = kept[site.host]
            .iter()
            .filter(|(_, answer)| answer.html)
            .map(|(path, _)| nginx.url(site.host, path))
            .collect();
        let own: BTreeSet<String> = listed
            .iter()
            .filter(|url| url.starts_with(&nginx.url(site.host, "")))
            .cloned()
            .collect();
        assert_eq!(own, html, "page list of {}", site.host);
    }
    as_wget(&nginx, &GIT, &truths[1], &kept[GIT.host]);
}

/// What links reach on a site whose disallowed files are not there.
fn truth(site: &Real) -> Reach {
    let root = Path::new(site.root);
    assert!(
        root.is_dir(),
        "no {}: `tests/run` installs it",
        root.display()
    );
    let allowed = tempfile::tempdir().unwrap();
    for path in kit::files::below(root).unwrap().into_keys() {
        if !path.starts_with(site.hidden) {
            let file = path.trim_start_matches('/');
            let link = allowed.path().join(file);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(root.join(file), link).unwrap();
        }
    }
    let reach = reach(allowed.path(), "/").unwrap();
    let hidden = reach
        .missing
        .iter()
        .filter(|path| path.starts_with(site.hidden))
        .count();
    assert!(
        reach.pages.len() > 100 && hidden > 0,
        "{}: {} pages, {hidden} disallowed ones",
        site.host,
        reach.pages.len()
    );
    reach
}

/// robots.txt first, nothing disallowed, nothing twice, under our name.
#[track_caller]
fn asked_well(log: &[Entry], sites: &[Real]) {
    let agent = format!(
        "Mozilla/5.0 (compatible; argiope/{}; +{CONTACT})",
        env!("CARGO_PKG_VERSION")
    );
    for site in sites {
        let own: Vec<&Entry> = log.iter().filter(|entry| entry.host == site.host).collect();
        assert_eq!(own[0].path, "/robots.txt", "{}", site.host);
        let hidden = own.iter().find(|entry| entry.path.starts_with(site.hidden));
        assert_eq!(hidden, None, "disallowed by {}", site.host);
    }
    let stranger = log.iter().find(|entry| entry.agent != agent);
    assert_eq!(stranger, None, "another name");
    assert_eq!(audit::repeats(log), 0, "asked for again");
}

/// An answer in the archive.
struct Kept {
    status: u16,
    html: bool,
    page: Vec<u8>,
}

/// The archive's responses: by host, then by path.
fn answers(
    crawl: &Crawl,
    nginx: &Nginx,
    sites: &[Real],
) -> BTreeMap<&'static str, BTreeMap<String, Kept>> {
    let homes = sites
        .iter()
        .map(|site| (nginx.url(site.host, ""), site.host));
    let homes: Vec<(String, &'static str)> = homes.collect();
    let mut kept: BTreeMap<&'static str, BTreeMap<String, Kept>> = BTreeMap::new();
    for record in crawl.records() {
        if record.kind() != "response" {
            continue;
        }
        let url = record.target().unwrap();
        let found = homes
            .iter()
            .find_map(|(home, host)| Some((*host, url.strip_prefix(home)?)));
        let Some((host, path)) = found else {
            panic!("{url} is of no site")
        };
        let head = record.http().unwrap().0.to_ascii_lowercase();
        let answer = Kept {
            status: record.status().unwrap(),
            html: head.contains("content-type: text/html"),
            page: record.page().unwrap(),
        };
        let before = kept
            .entry(host)
            .or_default()
            .insert(path.to_owned(), answer);
        assert!(before.is_none(), "{url} is in the archive twice");
    }
    kept
}

/// Every file that links reach is kept byte by byte, and nothing else was found.
#[track_caller]
fn is_whole(site: &Real, truth: &Reach, kept: &BTreeMap<String, Kept>) {
    let root = Path::new(site.root);
    for (url, file) in truth.pages.iter().chain(&truth.embeds) {
        let answer = kept
            .get(url)
            .unwrap_or_else(|| panic!("{}{url} is not in the archive", site.host));
        let bytes = std::fs::read(root.join(file.trim_start_matches('/'))).unwrap();
        assert_eq!(answer.status, 200, "{}{url}", site.host);
        assert!(
            answer.page == bytes,
            "{}{url} is not as it lies on the disk",
            site.host
        );
    }
    for url in &truth.redirects {
        assert_eq!(
            kept.get(url).map(|answer| answer.status),
            Some(301),
            "{}{url}",
            site.host
        );
    }
    for url in truth
        .missing
        .iter()
        .filter(|url| !url.starts_with(site.hidden))
    {
        let status = kept.get(url).map(|answer| answer.status);
        assert!(
            matches!(status, Some(403 | 404)),
            "{}{url}: {status:?}",
            site.host
        );
    }
    let known = |url: &String| {
        truth.pages.contains_key(url)
            || truth.embeds.contains_key(url)
            || truth.maybe.contains_key(url)
    };
    let strange: Vec<&String> = kept
        .iter()
        .filter(|(url, answer)| answer.status == 200 && *url != "/robots.txt" && !known(url))
        .map(|(url, _)| url)
        .collect();
    assert!(
        strange.is_empty(),
        "{}: no link leads to {strange:?}",
        site.host
    );
}

/// wget, under the same rules, keeps the same files.
#[track_caller]
fn as_wget(nginx: &Nginx, site: &Real, truth: &Reach, kept: &BTreeMap<String, Kept>) {
    let folder = tempfile::tempdir().unwrap();
    let mirrored = wget_mirror(
        &nginx.url(site.host, "/"),
        &nginx.address().to_string(),
        folder.path(),
    )
    .unwrap();
    // wget names a page with a query after it; the file is the same.
    let theirs: BTreeSet<String> = mirrored
        .into_keys()
        .map(|file| file.split('?').next().unwrap_or_default().to_owned())
        .collect();
    let file = |url: &String| {
        let known = truth.pages.get(url).or(truth.embeds.get(url));
        known.or(truth.maybe.get(url)).cloned()
    };
    let ours: BTreeSet<String> = kept.keys().filter_map(file).collect();
    let maybe = truth.files_maybe();
    let differ: Vec<&String> = ours
        .symmetric_difference(&theirs)
        .filter(|file| !maybe.contains(*file) && *file != "/robots.txt")
        .collect();
    assert!(differ.is_empty(), "wget and we differ in {differ:?}");
}

//! Whole crawls over every kind of shared store, and what an operator does with one: several crawls, shards that are held
//! and moved, a frontier that comes from a folder and goes back.
//!
//! The servers are real ones; what is true is judged from the origin's log. Start reading at [`whole`].

use std::time::Duration;

use kit::audit;
use kit::process::Running;
use kit::redis::{Redis, RedisCluster, RedisOptions, Sentinel};
use kit::until::until_or_none;
use kit::web::Web;

use crate::cluster::{Fleet, drained, reach};
use crate::crawl::{ARGIOPE, CONTACT, PATIENCE, argiope, clean, ended};
use crate::stand::Stand;

/// Pause between two requests to a host.
const DELAY: Duration = Duration::from_millis(20);

fn web() -> Web {
    Web {
        hosts: 4,
        pages_per_host: 10,
        flaky_every: 0,
        delay_ms: (1, 10),
        ..Web::default()
    }
}

/// Every page was fetched so many times, none while another of its host was, none too soon.
#[track_caller]
fn judge(stand: &Stand, times: usize, delay: Duration) {
    let (log, truth) = (stand.origin.log(), stand.origin.truth(|_| true));
    let coverage = audit::coverage(&log, &truth);
    assert!(coverage.is_exact(), "{coverage:#?}");
    let counts = audit::counts(&log);
    for url in truth.pages.keys() {
        assert_eq!(counts.get(url), Some(&times), "{url}");
    }
    assert_eq!(audit::overlaps(&log), []);
    for (host, gap) in audit::shortest_gaps(&log) {
        assert!(gap.between >= delay, "{host}: {gap:?}");
    }
}

/// Crawls a web over this store from start to end, then proves from the store that what is done is stored.
#[track_caller]
fn whole(store: &[&str]) {
    let (stand, folder) = (Stand::of(web()), tempfile::tempdir().unwrap());
    let run = |verb: &str, words: &[&str]| {
        let mut command = clean(ARGIOPE);
        command.current_dir(folder.path()).arg(verb).args(words);
        command.arg("--store").args(store);
        ended(Running::start(&mut command).unwrap(), 0).out
    };
    let (home, reach) = (stand.origin.home(), reach(&stand));
    let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
    words.extend([&home, "--name", "zoo", "--contact", CONTACT, "--delay"]);
    words.extend(["20ms", "--scope-type", "domain", "--node-name", "n1"]);
    words.extend(["--fetchers", "1"]);
    let said = run("crawl", &words);
    assert!(said.contains("done: "), "{said}");
    judge(&stand, 1, DELAY);
    let said = run("verify", &["--crawl", "zoo"]);
    assert!(said.contains("verified: done means stored"), "{said}");
}

#[test]
fn a_crawl_over_a_redis_cluster() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let store = cluster.urls()[0].replace("redis://", "redis+cluster://");
    whole(&[&store]);
    let shards = argiope(&["shards", "--store", &store], 0).out;
    for node in 0..3 {
        let master = cluster.node(node).address().to_string();
        assert!(shards.contains(&master), "{master} has no shard:\n{shards}");
    }
}

#[test]
fn a_crawl_over_a_master_that_sentinels_name() {
    let sentinel = Sentinel::start("zoo").unwrap();
    let hosts = sentinel.urls().join(",").replace("redis://", "");
    whole(&[&format!("redis+sentinel://{hosts}/zoo")]);
}

#[test]
fn a_crawl_over_tls_by_a_user_with_few_rights() {
    let redis = Redis::start(RedisOptions {
        appendonly: true,
        tls: true,
        users: vec!["crawler on >wo:rt/@ ~* &* +@all -@dangerous +info +config|get".into()],
        ..RedisOptions::default()
    });
    let redis = redis.unwrap();
    let store = redis.url_of("crawler", "wo:rt/@").unwrap();
    assert!(store.starts_with("rediss://"), "{store}");
    let authority = redis.authority();
    whole(&[&store, "--store-ca", authority.to_str().unwrap()]);
}

#[test]
fn two_crawls_of_one_store_share_the_pace_of_their_hosts_and_one_is_forgotten() {
    let (stand, fleet) = (Stand::of(web()), Fleet::start());
    let pause = ["--delay", "100ms"];
    fleet.crawl_as("zoo", &stand, &pause);
    fleet.crawl_as("again", &stand, &pause);
    let nodes = [fleet.node(&stand, "n1"), fleet.node(&stand, "n2")];
    let over = until_or_none(PATIENCE, || {
        let status = fleet.status();
        let crawls = status["crawls"].as_array()?.iter();
        let states: Vec<_> = crawls.map(|crawl| crawl["state"].clone()).collect();
        (states == ["ended: done", "ended: done"]).then_some(())
    });
    assert!(over.is_some(), "{:#}", fleet.status());
    nodes.into_iter().for_each(|node| drop(drained(node)));
    judge(&stand, 2, Duration::from_millis(100));
    for crawl in ["zoo", "again"] {
        let said = fleet.ask("verify", &["--crawl", crawl]);
        assert!(said.contains("verified: done means stored"), "{said}");
    }
    // One of them is forgotten: nothing of it is left, and nothing of the other is gone.
    let keys = |crawl: u8| {
        let all = fleet.redis.call(&["KEYS", "*"]).unwrap().members();
        let all = all.iter().map(kit::redis::Value::text);
        let of_it = [
            format!("}}:{crawl}:"),
            format!(":c{crawl}"),
            format!("{{c{crawl}}}"),
        ];
        all.filter(|key| of_it.iter().any(|part| key.contains(part)))
            .count()
    };
    let (first, second) = (keys(1), keys(2));
    assert!(first > 10 && second > 10, "{first}, {second}");
    let said = fleet.ask("forget", &["again"]);
    assert!(said.contains("again: forgotten"), "{said}");
    assert_eq!((keys(1), keys(2)), (first, 0), "{said}");
    let status = fleet.status();
    assert_eq!(
        status["crawls"].as_array().map(Vec::len),
        Some(1),
        "{status:#}"
    );
    let refused = ended(fleet.run("forget", &["again"]), 4).err;
    assert!(
        refused.contains("there is no crawl again in this store"),
        "{refused}"
    );
    fleet.crawl_as("again", &stand, &pause);
    let refused = ended(fleet.run("forget", &["again"]), 4).err;
    assert!(
        refused.contains("the crawl again is running: it cannot be forgotten"),
        "{refused}"
    );
    let said = fleet.ask("verify", &["--crawl", "zoo"]);
    assert!(said.contains("verified: done means stored"), "{said}");
}

#[test]
fn a_frontier_moves_from_a_folder_to_a_store_and_back() {
    let (stand, fleet) = (Stand::of(web()), Fleet::start());
    let file = |name: &str| fleet.folder.path().join(name).display().to_string();
    let crawl = stand.crawl().seed(&stand.origin.home());
    let crawl = crawl.flags(&["--scope-type", "domain", "--delay", "20ms"]);
    crawl.ends_with(&["--limit", "12"], 16);
    let (half, whole) = (file("half"), file("whole"));
    let folder = crawl.output().to_str().unwrap();
    let words = |said: String| said.split_once(": ").unwrap().1.to_owned();
    let said = words(argiope(&["frontier", "export", folder, &half], 0).out);
    assert!(
        said.contains(" 12 kept") && !said.contains(" 0 queued"),
        "{said}"
    );
    let there = fleet.ask("frontier", &["import", &half, "--crawl", "zoo"]);
    assert!(
        there.contains(&said),
        "{there} is not what was written: {said}"
    );
    fleet.crawl(&stand, &["--delay", "20ms"]);
    let node = fleet.node(&stand, "n1");
    fleet.awaits_done(&[&node]);
    drained(node);
    judge(&stand, 1, DELAY);
    // Back in a folder there is nothing left to do.
    let said = words(fleet.ask("frontier", &["export", &whole, "--crawl", "zoo"]));
    assert!(said.contains(" 0 queued"), "{said}");
    let back = file("back");
    let there = argiope(&["frontier", "import", &whole, &back], 0).out;
    assert!(
        there.contains(&said),
        "{there} is not what was written: {said}"
    );
    let refused = argiope(&["frontier", "import", &whole, &back], 4).err;
    assert!(refused.contains("argiope: "), "{refused}");
}

#[test]
fn shards_are_held_and_moved_while_a_crawl_runs() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let store = cluster.urls()[0].replace("redis://", "redis+cluster://");
    let (stand, folder) = (Stand::of(web()), tempfile::tempdir().unwrap());
    let start = |words: &[&str]| {
        let mut command = clean(ARGIOPE);
        command.current_dir(folder.path()).args(words);
        Running::start(command.args(["--store", &store])).unwrap()
    };
    let (home, reach) = (stand.origin.home(), reach(&stand));
    let mut words = vec!["crawl", &home, "--name", "zoo", "--contact", CONTACT];
    words.extend(reach.iter().map(String::as_str));
    words.extend(["--delay", "100ms", "--scope-type", "domain"]);
    words.extend(["--node-name", "n1", "--fetchers", "1"]);
    let crawl = start(&words);
    let requests = |least: usize| {
        let made = until_or_none(PATIENCE, || {
            (stand.origin.requests() >= least).then_some(())
        });
        assert!(made.is_some(), "no {least} requests: {:?}", crawl.lines());
    };
    requests(8);
    let said = ended(start(&["shards", "hold", "0..63"]), 0).out;
    assert!(said.contains("64 shards are held"), "{said}");
    let shown = ended(start(&["shards"]), 0).out;
    assert_eq!(shown.matches(" moving ").count(), 64, "{shown}");
    let said = ended(start(&["shards", "free", "0..63"]), 0).out;
    assert!(said.contains("64 shards are free"), "{said}");
    requests(16);
    // Some of another master's.
    let to = cluster.node(1).address().to_string();
    let shown = ended(start(&["shards"]), 0).out;
    let elsewhere = shown.lines().skip(1).filter(|line| !line.contains(&to));
    let slots = elsewhere.map(|line| line.split_whitespace().nth(1).unwrap());
    let before = shown.matches(&to).count();
    for slot in slots.take(4) {
        let words = ["shards", "move", "--slots", slot, "--to", &to];
        let said = ended(start(&words), 0).out;
        assert!(said.contains(&format!("1 slots moved to {to}")), "{said}");
    }
    let shown = ended(start(&["shards"]), 0).out;
    assert_eq!(shown.matches(&to).count(), before + 4, "{shown}");
    ended(crawl, 0);
    judge(&stand, 1, Duration::from_millis(100));
    let refused = ended(start(&["shards", "hold", "64"]), 4).err;
    assert!(
        refused.contains("there is no such shard: they are 0 to 63"),
        "{refused}"
    );
}

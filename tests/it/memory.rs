//! Memory is a contract: large bodies, bombs, many hosts and a long queue stay under `--max-memory`.

use std::fmt::Write as _;

use kit::answer::Answer;
use kit::web::Web;

use crate::archive;
use crate::crawl::PATIENCE;
use crate::stand::Stand;

const LIMIT_BYTES: u64 = 128_000_000;

#[test]
fn bodies_hosts_and_queues_stay_under_the_limit() {
    let stand = Stand::of(Web {
        hosts: 300,
        suffix: "many.zoo.test".to_owned(),
        pages_per_host: 2,
        links_per_page: 2,
        listed: 0,
        flaky_every: 0,
        ..Web::default()
    });
    let origin = &stand.origin;
    // 20 bodies of 9 MB as they are, and 20 of a few kilobytes that unpack to as much.
    let mut large = Vec::new();
    for n in 0..20u32 {
        let noise: Vec<u8> = (0..9_000_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ n as u8)
            .collect();
        let (host, bomb) = (format!("b{n}.zoo.test"), format!("z{n}.zoo.test"));
        origin.plant(
            &host,
            "/",
            [Answer::of(200, "application/octet-stream", noise)],
        );
        origin.plant(&bomb, "/", [Answer::html(&" ".repeat(9_000_000)).gzipped()]);
        large.extend([origin.url(&host, "/"), origin.url(&bomb, "/")]);
    }
    let queue = (0..50_000).fold(String::new(), |mut html, n| {
        let _infallible = write!(html, "<a href=/q/{n}>{n}</a>");
        html
    });
    stand.page("long.zoo.test", "/", &queue);
    let homes = origin.web().host_names().map(|host| origin.url(&host, "/"));
    let seeds: Vec<String> = large
        .into_iter()
        .chain(homes)
        .chain([origin.url("long.zoo.test", "/")])
        .collect();

    let crawl = stand.crawl().flags(&["--delay", "0", "--limit", "3000"]);
    let file = crawl.scratch("seeds.txt");
    std::fs::write(&file, seeds.join("\n")).unwrap();
    let crawl = crawl.flags(&["--seed-file", file.to_str().unwrap()]);
    let crawl = crawl.flags(&["--max-memory", &LIMIT_BYTES.to_string()]);
    let ended = crawl.start(&[]).wait(PATIENCE).unwrap();
    println!("peak {} MB", ended.peak / 1_000_000);
    assert_eq!(ended.code, Some(16), "{}", ended.err);
    assert!(
        ended.peak <= LIMIT_BYTES,
        "peak {} of {LIMIT_BYTES} bytes",
        ended.peak
    );
    let outcomes = crawl.outcomes();
    for seed in &seeds {
        let kept = outcomes.get(seed).and_then(|line| line.status);
        assert_eq!(kept, Some(200), "{seed}");
    }
    archive::sound(&crawl);
}

//! robots.txt within a lease.

use super::*;

pub(super) fn record(answer: RobotsAnswer, age: Duration, failures: u8, now: Wall) -> RobotsRecord {
    RobotsRecord {
        answer,
        fetched: Wall(now.0 - contract::clock::micros(age)),
        failures,
    }
}

async fn with_record(site: &Site, bench: &Bench, record: RobotsRecord) -> Vec<Got> {
    let mut lease = lease_of(site, &["/a"]);
    let origin = Origin::of(&Url::parse(&site.url("/")).unwrap()).unwrap();
    lease.robots = vec![(origin, record)];
    bench.run(lease).await;
    bench.ring.pages().await
}

#[actix::test]
async fn a_fresh_record_is_not_asked_for_again() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    let now = bench.clock.wall();
    let file = RobotsAnswer::File(b"user-agent: *\ndisallow: /".as_slice().into());
    let day = Duration::from_secs(24 * 3_600);
    let pages = with_record(&site, &bench, record(file.clone(), day - MINUTE, 0, now)).await;
    assert_eq!(
        (pages[0].outcome, site.seen().len()),
        (Outcome::RobotsDenied, 0)
    );
    // After a day it is asked for, and then allows.
    let bench = Bench::new(&site);
    with_record(&site, &bench, record(file, day, 0, now)).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
}

#[actix::test]
async fn an_unreachable_robots_txt_disallows_all_and_is_asked_for_again() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => answer("503 Service Unavailable", "retry-after: 100\r\n", ""),
        _ => page("x"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a"]).await;
    let pages = bench.ring.pages().await;
    let Place::Robots { record: first, .. } = &pages[0].place else {
        panic!("{:?}", pages[0])
    };
    assert!(matches!(first.answer, RobotsAnswer::Unreachable { .. }));
    assert_eq!(
        (first.failures, pages.len(), pages[0].status),
        (1, 1, Some(503))
    );
    assert_eq!((bench.rests(), bench.released()), (vec![100], Some(0)));

    // Too early: the host rests on without a request.
    let bench = Bench::new(&site);
    let unreachable = RobotsAnswer::Unreachable {
        reason: "down".into(),
    };
    let now = bench.clock.wall();
    let before = site.seen().len();
    with_record(&site, &bench, record(unreachable.clone(), MINUTE, 2, now)).await;
    assert!(
        (230..=240).contains(&bench.rests()[0]),
        "{:?}",
        bench.rests()
    );
    assert_eq!((site.seen().len(), bench.released()), (before, Some(0)));

    // The last of its times: then its URLs are settled, with a reason.
    let bench = Bench::new(&site);
    let pages = with_record(
        &site,
        &bench,
        record(unreachable.clone(), 16 * MINUTE, 3, now),
    )
    .await;
    let Place::Robots { record: last, .. } = &pages[0].place else {
        panic!("{:?}", pages[0])
    };
    assert_eq!(
        (last.failures, pages[1].outcome, pages[1].fate),
        (4, Outcome::RobotsUnreachable, Fate::Done)
    );
    assert_eq!(bench.rests(), [] as [u64; 0]);

    let bench = Bench::new(&site);
    let before = site.seen().len();
    let pages = with_record(&site, &bench, record(unreachable, 16 * MINUTE, 4, now)).await;
    assert_eq!(
        (pages[0].outcome, site.seen().len()),
        (Outcome::RobotsUnreachable, before)
    );
}

#[actix::test]
async fn an_answer_without_a_file_allows_all() {
    for status in [
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "410 Gone",
        "300 Multiple Choices",
    ] {
        let site = Site::start(move |path, _| match path {
            "/robots.txt" => answer(status, "", "user-agent: *\ndisallow: /"),
            _ => page("x"),
        })
        .await;
        let bench = Bench::new(&site);
        bench.fetch(&site, &["/a"]).await;
        assert_eq!(
            bench.ring.settled().await,
            [done(0, Outcome::Ok)],
            "{status}"
        );
    }
}

#[actix::test]
async fn redirects_of_robots_txt_are_followed_five_times() {
    async fn paths(hops: usize, to: &'static str) -> (Vec<String>, Vec<Got>) {
        let site = Site::start(move |path, _| {
            let at: Option<usize> = match path {
                "/robots.txt" => Some(0),
                _ => path.strip_prefix("/r").and_then(|n| n.parse().ok()),
            };
            match at {
                Some(n) if n < hops => {
                    answer("301 Moved", &format!("location: {to}{}\r\n", n + 1), "")
                }
                Some(_) => page("user-agent: *\ndisallow: /a"),
                None => page("x"),
            }
        })
        .await;
        let bench = Bench::new(&site);
        bench.fetch(&site, &["/a"]).await;
        assert!(
            gaps(&site).iter().all(|gap| *gap >= 1_000),
            "{:?}",
            gaps(&site)
        );
        (site.paths(), bench.ring.pages().await)
    }
    let (seen, pages) = paths(5, "/r").await;
    assert_eq!(seen, ["/robots.txt", "/r1", "/r2", "/r3", "/r4", "/r5"]);
    assert_eq!(
        pages
            .iter()
            .filter(|page| page.place == Place::Beside)
            .count(),
        5
    );
    assert_eq!(
        pages.last().map(|page| page.outcome),
        Some(Outcome::RobotsDenied)
    );
    let (seen, pages) = paths(6, "/r").await;
    assert_eq!(
        seen.last().map(String::as_str),
        Some("/a"),
        "six redirects are no robots.txt"
    );
    assert_eq!(pages.last().map(|page| page.outcome), Some(Outcome::Ok));
    // Where it may not be dialled it is not followed.
    let (seen, _) = paths(1, "http://10.0.0.1/r").await;
    assert_eq!(seen, ["/robots.txt", "/a"]);
}

#[actix::test]
async fn half_a_robots_txt_is_none() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nuser-agent: *".to_vec()),
            Act::Close,
        ],
        _ => page("x"),
    })
    .await;
    let bench = Bench::new(&site);
    bench.fetch(&site, &["/a"]).await;
    assert_eq!((site.paths().len(), bench.rests()), (1, vec![60]));
}

#[actix::test]
async fn a_crawl_of_ones_own_site_may_ignore_it() {
    let site = Site::start(|path, _| match path {
        "/robots.txt" => answer("500 Oops", "", ""),
        _ => page("x"),
    })
    .await;
    let says = Says {
        extend: Some(TERM),
        ..Says::default()
    };
    let bench = Bench::with(site.at.port(), still(), says, |_, crawl| {
        crawl.agent.robots = contract::crawl::RobotsPolicy::Ignore;
    });
    bench.fetch(&site, &["/a"]).await;
    assert_eq!(
        (bench.ring.settled().await, bench.rests()),
        (vec![done(0, Outcome::Ok)], vec![])
    );
}

#[actix::test]
async fn pages_behind_a_wrong_certificate_fail_as_such() {
    // Answers a TLS greeting in plain text.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _sent =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 No\r\n\r\n").await;
            tokio::spawn(async move {
                let _held = stream;
                std::future::pending::<()>().await;
            });
        }
    });
    let bench = Bench::at(at.port());
    bench
        .run(lease(&[
            format!("https://{at}/a"),
            format!("https://{at}/b"),
        ]))
        .await;
    assert_eq!(
        bench.ring.settled().await,
        [done(0, Outcome::TlsFailed), done(1, Outcome::TlsFailed)]
    );
    assert_eq!(bench.rests(), [] as [u64; 0]);
}

//! URLs that are to be refreshed: which requests carry what the earlier capture said.

use contract::earlier::Earlier;

use super::*;

#[actix::test]
async fn only_the_url_that_was_captured_is_asked_for_under_its_conditions() {
    let site = Site::start(|path, before| match path {
        "/robots.txt" => page(""),
        "/same" => answer("304 Not Modified", "", ""),
        "/moved" => answer("301 Moved", "location: /moved?\r\n", ""),
        "/ill" if before == 0 => answer("503 Ill", "", ""),
        _ => page("hello"),
    })
    .await;
    let bench = Bench::new(&site);
    let mut lease = lease_of(&site, &["/same", "/moved", "/new", "/ill"]);
    for position in [0, 1, 3] {
        lease.urls[position].earlier = Some(Box::new(Earlier {
            etag: Some("\"1\"".into()),
            ..Earlier::default()
        }));
    }
    bench.run(lease).await;
    let asked = |path: &str| -> Vec<bool> {
        let seen = site.seen().into_iter().filter(|seen| seen.path() == path);
        seen.map(|seen| seen.head.contains("if-none-match: \"1\"\r\n"))
            .collect()
    };
    assert_eq!(asked("/robots.txt"), [false]);
    assert_eq!(asked("/same"), [true]);
    assert_eq!(
        (asked("/moved"), asked("/moved?")),
        (vec![true], vec![false])
    );
    assert_eq!(asked("/new"), [false]);
    assert!(asked("/ill").iter().all(|asked| *asked), "each try");
    let log = bench.ring.log.lock().unwrap();
    let settled: Vec<_> = log.pages.iter().filter_map(Got::settled).collect();
    assert_eq!(settled[0], done(0, Outcome::NotModified));
}

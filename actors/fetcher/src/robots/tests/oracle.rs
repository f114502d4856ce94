//! Our reading beside that of Google's reader (its port, a test-only crate): equal on what both are made for, and each
//! disagreement in a table with its reason.

use proptest::prelude::*;
use robotstxt::DefaultMatcher;

use super::super::Robots;

/// (ours, Google's)
fn both(body: &str, agent: &str, path: &str) -> (bool, bool) {
    let rules = Robots::parse(body.as_bytes()).rules_for(agent);
    let url = format!("https://a.test{path}");
    let google = DefaultMatcher::default().one_agent_allowed_by_robots(body, agent, &url);
    (rules.decide(path).allowed, google)
}

#[test]
fn each_disagreement_has_a_reason() {
    #[track_caller]
    fn check(body: &str, path: &str, ours: bool) {
        let body = format!("user-agent: *\n{body}");
        assert_eq!(
            both(&body, "argiope", path),
            (ours, !ours),
            "{path} under\n{body}"
        );
    }
    // Unreserved characters that were encoded are themselves (RFC 9309 section 2.2.2, its last row).
    check("disallow: /%7Ejoe", "/~joe", false);
    check("disallow: /~joe", "/%7Ejoe", false);
    check("disallow: /foo/bar/%62%61%7A", "/foo/bar/baz", false);
    // Both sides are encoded, in one case (the same section).
    check("disallow: /a b", "/a%20b", false);
    check("disallow: /a%2fb", "/a%2fb", false);
    check("disallow: /?u=https://x", "/?u=https%3A%2F%2Fx", false);
    // Encoded special characters are themselves (section 2.2.3).
    check("disallow: /a%2A", "/a*", false);
    check("disallow: /a%24", "/a$", false);
    // Its own address is always allowed (section 2.2.2).
    check("disallow: /", "/robots.txt", true);
    // The port moves places where it should replace them, once a `*` has more than one; the model of our own tests and
    // the C++ do not.
    check("disallow: /*/a", "///a", false);
    // A mark before the first line is no part of it (section 2.3 asks for UTF-8; Google documents it, its C++ does it).
    let marked = "\u{feff}user-agent: *\ndisallow: /x";
    assert_eq!(both(marked, "argiope", "/x"), (false, true));
    // The port is of an earlier reader, where any other line ended a group; the C++ of today and Google's pages say that
    // only rules do ("other rules" of its own tests).
    for other in [
        "Sitemap: https://a.test/s.xml",
        "Crawl-delay: 2",
        "Unknown: line",
    ] {
        let body = format!("user-agent: argiope\n{other}\nuser-agent: *\ndisallow: /x");
        assert_eq!(both(&body, "argiope", "/x"), (false, true), "{other}");
    }
    // A User-Agent line is known by its product.
    let named = "user-agent: argiope\ndisallow: /x";
    assert_eq!(both(named, "argiope/1.0", "/x"), (false, true));
}

/// A file of lines as people write them, right and wrong; without what the table above is about.
fn file() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "user-agent",
        "User-Agent",
        "useragent",
        "allow",
        "Allow",
        "disallow",
        "DISALLOW",
        "disalow",
        "Disallow-this",
        "",
        "user agent",
    ]);
    let agent = prop::sample::select(vec![
        "*",
        "* x",
        "*x",
        "argiope",
        "ArgiOpe/1.1 (x)",
        "argiope-news",
        "other",
        "arg",
        "",
        "argiope other",
    ]);
    let value = prop_oneof![
        agent.prop_map(str::to_owned),
        "/[ab/]{0,5}[*]?[$]?".prop_map(String::from),
        "/(a/)?index\\.html?".prop_map(String::from),
        "[ab$]{0,3}[*]?".prop_map(String::from),
        "/\\?a=[ab&]{0,3}[*]?".prop_map(String::from),
        "/é".prop_map(String::from),
    ];
    let between = prop::sample::select(vec![": ", ":", " : ", "\t:\t", " ", "  "]);
    let comment = prop::sample::select(vec!["", " # a: b", "#"]);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]);
    let line =
        (key, between, value, comment, end).prop_map(|(key, between, value, comment, end)| {
            format!("{key}{between}{value}{comment}{end}")
        });
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn google_decides_alike(body in file(), path in "/([ab/]{0,5}|(a/)?(index\\.html)?|\\?a=[ab&]{0,3}|%C3%A9)") {
        let (ours, google) = both(&body, "argiope", &path);
        prop_assert_eq!(ours, google, "{} under\n{}", path, body);
    }
}

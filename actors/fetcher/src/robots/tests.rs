//! robots.txt by the RFC's and Google's documented examples, and against a model.

use super::*;

mod oracle;

const AGENT: &str = "argiope";

#[track_caller]
fn check(body: &str, path: &str, allowed: bool) {
    let rules = Robots::parse(body.as_bytes()).rules_for(AGENT);
    assert_eq!(rules.decide(path).allowed, allowed, "{path} under\n{body}");
}

/// One pattern, disallowed for everybody: does it take this path?
#[track_caller]
fn takes(pattern: &str, path: &str, want: bool) {
    check(
        &format!("user-agent: *\ndisallow: {pattern}\n"),
        path,
        !want,
    );
}

#[test]
fn the_group_that_names_us_holds_and_no_other() {
    let body = "User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /all/\n\nUser-agent: Argiope\nDisallow: /us/\n";
    check(body, "/us/x", false);
    check(body, "/all/x", true);
    check(body, "/", true);
    let all = "User-agent: other\nDisallow: /\nUser-agent: *\nDisallow: /all/\n";
    check(all, "/all/x", false);
    check(all, "/us/", true);
    check("User-agent: other\nDisallow: /\n", "/", true);
}

#[test]
fn groups_of_one_agent_are_read_as_one() {
    // RFC 9309 section 2.2.1, and Google's "grouping of rules".
    let body = "user-agent: argiope\ndisallow: /d\n\nuser-agent: *\ndisallow: /g\n\nuser-agent: ARGIOPE/2.0\ndisallow: /c\n";
    check(body, "/d", false);
    check(body, "/c", false);
    check(body, "/g", true);
    let shared = "user-agent: a\nuser-agent: argiope\nsitemap: https://x.test/s\nuser-agent: c\ndisallow: /x\n";
    check(shared, "/x", false);
}

#[test]
fn an_agent_is_its_product_token() {
    #[track_caller]
    fn check(named: &str, ours: &str, same: bool) {
        let body = format!("user-agent: {named}\ndisallow: /\nuser-agent: *\ndisallow:\n");
        let denied = !Robots::parse(body.as_bytes())
            .rules_for(ours)
            .decide("/x")
            .allowed;
        assert_eq!(denied, same, "{named} against {ours}");
    }
    check("argiope", "argiope", true);
    check("ArgiOpe", "argiope", true);
    check("argiope/1.1 (+https://x.test)", "argiope", true);
    check("argiope *", "argiope", true);
    check("argiope-images", "argiope", false);
    check("argiope", "argiope-images", false);
    check("argiope", "Argiope/9", true);
    check("arg", "argiope", false);
    check("*argiope", "argiope", false);
    check("* argiope", "other", true);
    check("", "argiope", false);
    check("argiope", "", false);
    // Google's own test: what is no product token has no group, whatever it begins with.
    check("argiope two", "argiope", true);
    check("argiope two", "argiope two", false);
    check("Mozilla", "Mozilla/5.0 (compatible; argiope/1)", true);
}

#[test]
fn lines_are_read_as_people_write_them() {
    let want = |body: &str| check(body, "/x/y", false);
    want("user-agent:*\rdisallow:/x");
    want("USER-AGENT : *\r\nDISALLOW\t: /x # not this\r\n");
    want("\u{feff}user-agent: *\ndisallow: /x");
    want("user agent: *\ndisallow: /x");
    want("useragent: *\ndisallow: /x");
    want("user-agent *\ndisallow /x");
    want("user-agent: *\ndisallow \t /x");
    want("user-agent: *\nan unknown line\nnoindex: /y\n\n\ndisallow: /x");
    want("user-agent: *\nunknown: /z\nuser-agent: other\ndisallow: /x");
    for typo in ["dissallow", "dissalow", "disalow", "diasllow", "disallaw"] {
        want(&format!("user-agent: *\n{typo}: /x"));
    }
    want("user-agent: *\n\x0bdisallow: /x");
    want("Allow: /x\nUser-Agent-Name: *\ndisallowed: /x");
    // No rule: three words without a colon, a rule that belongs to nobody, a comment.
    check("user-agent: *\ndisallow /x /y", "/x/y", true);
    check("disallow: /x\nuser-agent: *\nallow: /", "/x/y", true);
    check("user-agent: *\n# disallow: /x", "/x/y", true);
    check("user-agent: *\ndisallow:", "/x/y", true);
    check("", "/x/y", true);
    check("<html>\n<body>user-agent: *</body>", "/x/y", true);
}

#[test]
fn the_longest_match_decides_and_a_tie_allows() {
    #[track_caller]
    fn decides(rules: &str, path: &str, line: u32, allowed: bool) {
        let body = format!("user-agent: *\n{rules}");
        let rules = Robots::parse(body.as_bytes()).rules_for(AGENT);
        let verdict = rules.decide(path);
        assert_eq!(
            (verdict.line, verdict.allowed),
            (Some(line), allowed),
            "{path} under\n{body}"
        );
    }
    // Google's table "order of precedence for rules".
    decides("allow: /p\ndisallow: /", "/page", 2, true);
    decides("allow: /folder\ndisallow: /folder", "/folder/page", 2, true);
    decides("allow: /page\ndisallow: /*.htm", "/page.htm", 3, false);
    decides("allow: /page\ndisallow: /*.ph", "/page.php5", 2, true);
    decides("allow: /$\ndisallow: /", "/", 2, true);
    decides("allow: /$\ndisallow: /", "/page.htm", 3, false);
    // RFC 9309 section 5.2.
    let rfc = "disallow: *.gif$\ndisallow: /example/\nallow: /publications/\nallow: /example/page/\ndisallow: /example/page/disallowed.gif";
    decides(rfc, "/example/page/", 5, true);
    decides(rfc, "/example/page/disallowed.gif", 6, false);
    decides(rfc, "/x.gif", 2, false);
    decides(rfc, "/example/", 3, false);
    decides("disallow: /a\nallow: /a", "/a", 3, true);
}

#[test]
fn a_path_matches_as_google_documents() {
    // Google's table "URL matching based on path values".
    for path in [
        "/fish",
        "/fish.html",
        "/fish/salmon.html",
        "/fishheads",
        "/fish.php?id=anything",
    ] {
        takes("/fish", path, true);
        takes("/fish*", path, true);
    }
    for path in ["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"] {
        takes("/fish", path, false);
    }
    takes("/fish/", "/fish/?id=anything", true);
    takes("/fish/", "/fish", false);
    takes("/fish/", "/animals/fish/", false);
    for path in [
        "/index.php",
        "/filename.php",
        "/folder/any.php.file.php",
        "/filename.php/",
        "/f.php?p",
    ] {
        takes("/*.php", path, true);
    }
    takes("/*.php", "/windows.PHP", false);
    takes("/*.php$", "/folder/filename.php", true);
    for path in [
        "/filename.php?parameters",
        "/filename.php/",
        "/filename.php5",
        "/filename.PHP",
    ] {
        takes("/*.php$", path, false);
    }
    takes("/fish*.php", "/fishheads/catfish.php?parameters", true);
    takes("/fish*.php", "/Fish.PHP", false);
    takes("*", "/anything", true);
    takes("/", "/", true);
    takes("/$", "/", true);
    takes("/$", "/x", false);
}

#[test]
fn wildcards_and_ends() {
    takes("/a*b*c", "/a-b-c-", true);
    takes("/a*b*c", "/a-c-b", false);
    takes("/a**c", "/axc", true);
    takes("/a*b$", "/ab-b", true);
    takes("/a*b$", "/ab-c", false);
    takes("/aa*aa$", "/aaa", false);
    takes("/a*$", "/abc", true);
    takes("/a$b", "/a$b", true);
    takes("/a$b", "/a", false);
    takes("/a$$", "/a$", true);
    takes("$", "/", false);
    takes("fish", "/fish", false);
    takes("*.pdf", "/a/b.pdf?x", true);
}

#[test]
fn both_sides_are_compared_in_one_encoding() {
    // RFC 9309 section 2.2.2.
    takes("/foo/bar?baz=quz", "/foo/bar?baz=quz", true);
    takes("/foo/bar/ツ", "/foo/bar/%E3%83%84", true);
    takes("/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", true);
    takes("/foo/bar/%62%61%7A", "/foo/bar/baz", true);
    takes("/foo/bar/baz", "/foo/bar/%62%61%7A", true);
    takes("/a%2fb", "/a%2Fb", true);
    takes("/a%2fb", "/a/b", false);
    takes("/a/b", "/a%2Fb", false);
    takes(
        "/foo/bar?baz=http%3A%2F%2Ffoo.bar",
        "/foo/bar?baz=http%3a%2f%2ffoo.bar",
        true,
    );
    // The RFC's table again: in a query `:` and `/` separate nothing; in a path they do.
    takes(
        "/foo/bar?baz=https://foo.bar",
        "/foo/bar?baz=https%3A%2F%2Ffoo.bar",
        true,
    );
    takes(
        "/foo/bar?baz=https%3A%2F%2Ffoo.bar",
        "/foo/bar?baz=https://foo.bar",
        true,
    );
    takes("/*?baz=https:/", "/x?baz=https%3a%2F", true);
    takes("/*baz=https%3A%2F", "/x?baz=https%3a%2F", true);
    takes("/a%3Fb=/", "/a?b=%2F", false);
    takes("/a?b=%26", "/a?b=&", false);
    // The URL standard encodes an apostrophe in queries only.
    takes("/it's?q='", "/it's?q=%27", true);
    takes("/a b", "/a%20b", true);
    takes("/a{b|c}", "/a%7Bb%7cc%7D", true);
    takes("/%7Ejoe", "/~joe", true);
    takes("/100%", "/100%25", true);
    takes("/%zz", "/%zz", true);
    // Section 2.2.3: encoded, the special characters are themselves.
    takes(
        "/path/file-with-a-%2A.html",
        "/path/file-with-a-*.html",
        true,
    );
    takes(
        "/path/file-with-a-%2A.html",
        "/path/file-with-a-b.html",
        false,
    );
    takes("/path/foo-%24", "/path/foo-$", true);
    takes("/path/foo-%24", "/path/foo-", false);
}

#[test]
fn its_own_address_is_always_allowed() {
    check("user-agent: *\ndisallow: /", "/robots.txt", true);
    check("user-agent: *\ndisallow: /", "/robots.txt/x", false);
}

#[test]
fn an_allowed_index_page_is_its_directory() {
    let body = "user-agent: *\nallow: /in/index.html\ndisallow: /";
    check(body, "/in/index.html", true);
    check(body, "/in/", true);
    check(body, "/in/other", false);
    check(body, "/", false);
}

#[test]
fn a_verdict_names_its_line_and_rule() {
    let robots = Robots::parse(b"\n# c\nuser-agent: *\r\ndisallow: /a\x07b # why\n");
    let rules = robots.rules_for(AGENT);
    let verdict = rules.decide("/a%07b/c");
    assert_eq!(
        (verdict.allowed, verdict.line, verdict.rule),
        (false, Some(4), "Disallow: /a\u{fffd}b")
    );
    assert_eq!(
        rules.decide("/z"),
        Verdict {
            allowed: true,
            line: None,
            rule: ""
        }
    );
}

#[test]
fn a_crawl_delay_is_its_own_groups() {
    #[track_caller]
    fn check(body: &str, want: Option<Duration>) {
        assert_eq!(
            Robots::parse(body.as_bytes())
                .rules_for(AGENT)
                .crawl_delay(),
            want,
            "{body}"
        );
    }
    let secs = |s: f64| Some(Duration::from_secs_f64(s));
    check("user-agent: *\ncrawl-delay: 10", secs(10.0));
    check("user-agent: *\ncrawl-delay: 0.5 # half", secs(0.5));
    check(
        "user-agent: *\nCrawl-Delay 2\nallow: /\ncrawl-delay: 3",
        secs(3.0),
    );
    check(
        "user-agent: *\ncrawl-delay: 99999999999999999999999",
        Some(Duration::MAX),
    );
    check("user-agent: *\ncrawl-delay: -1", None);
    check("user-agent: *\ncrawl-delay: 1e9", None);
    check("user-agent: *\ncrawl-delay: inf", None);
    check("user-agent: *\ncrawl-delay: 1.2.3", None);
    check("user-agent: *\ncrawl-delay:", None);
    check("crawl-delay: 10\nuser-agent: *\nallow: /", None);
    check(
        "user-agent: argiope\nallow: /\nuser-agent: *\ncrawl-delay: 10",
        None,
    );
    // It holds for the agents above it. What follows is one group still, so the rule is for both.
    let shared = "user-agent: slow\ncrawl-delay: 30\n\nuser-agent: *\ndisallow: /x";
    check(shared, None);
    let rules = Robots::parse(shared.as_bytes()).rules_for("slow");
    assert_eq!(
        (rules.crawl_delay(), rules.decide("/x").allowed),
        (secs(30.0), false)
    );
}

#[test]
fn sitemaps_and_usage_lines_are_kept() {
    let body = b"Sitemap: https://x.test/a.xml\nuser-agent: *\nContent-Signal: search=yes, ai-train=no\nsite-map: /b.xml\nallow: /\n\
        user-agent: argiope\nContent-Usage: train-ai=n\ndisallow: /x\nLicense: https://x.test/rsl.xml\nSitemap:\nLicense: # none\n";
    let robots = Robots::parse(body);
    assert_eq!(robots.sitemaps(), ["https://x.test/a.xml", "/b.xml"]);
    assert_eq!(robots.rules_for("x").licenses(), ["https://x.test/rsl.xml"]);
    let line = |line, key, value: &str| UsageLine {
        line,
        key,
        value: value.into(),
    };
    assert_eq!(
        robots.rules_for(AGENT).usage(),
        [line(7, "content-usage", "train-ai=n")]
    );
    assert_eq!(
        robots.rules_for("x").usage(),
        [line(3, "content-signal", "search=yes, ai-train=no")]
    );
}

#[test]
fn a_long_body_is_cut_at_its_last_whole_line() {
    // A last line that ends with the limit is whole.
    let mut whole = b"user-agent: *\n".to_vec();
    whole.resize(BODY_MAX - b"\ndisallow: /a".len(), b'#');
    whole.extend_from_slice(b"\ndisallow: /a\ndisallow: /b\n");
    let rules = Robots::parse(&whole).rules_for(AGENT);
    assert!(!rules.decide("/a").allowed);
    assert!(rules.decide("/b").allowed);

    let mut body = b"user-agent: *\n".to_vec();
    while body.len() < BODY_MAX - 20 {
        body.extend_from_slice(b"# filling\n");
    }
    body.extend_from_slice(
        b"disallow: /a\ndisallow: /bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\ndisallow: /c\n",
    );
    let robots = Robots::parse(&body);
    let rules = robots.rules_for(AGENT);
    assert!(robots.is_cut());
    assert!(!rules.decide("/a").allowed);
    assert!(
        rules.decide("/b").allowed,
        "a rule that was cut in two must not hold"
    );
    assert!(rules.decide("/c").allowed);
    assert!(
        Robots::parse(&vec![b'x'; BODY_MAX + 1])
            .rules_for(AGENT)
            .decide("/")
            .allowed
    );
}

#[test]
fn a_line_is_read_to_its_longest_length() {
    // Google's "line too long": the rule is cut, and matches what begins like it.
    let path = format!("/{}", "a".repeat(line::LINE_MAX - "disallow: /".len()));
    let body = format!("user-agent: *\ndisallow: {path}/qux\n");
    check(&body, &format!("{path}/fux"), false);
    check(&body, "/fux", true);
    let shorter = &body[.."user-agent: *\ndisallow: /aaa".len()];
    check(&format!("{shorter}/qux\n"), "/aaa/fux", true);
}

/// The plainest matcher there is, over the characters of both sides: exponential, but surely right.
fn model(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'$'] => path.is_empty(),
        [b'*', rest @ ..] => (0..=path.len()).any(|skip| model(rest, &path[skip..])),
        [first, rest @ ..] => path.first() == Some(first) && model(rest, &path[1..]),
    }
}

proptest::proptest! {
    #[test]
    fn matching_agrees_with_the_model(pattern in "/[ab*]{0,8}[$]?", path in "/[ab]{0,10}") {
        let want = model(pattern.as_bytes(), path.as_bytes());
        proptest::prop_assert_eq!(Pattern::new(pattern.as_bytes()).matches(&Path::new(path.as_bytes())), want);
    }

    #[test]
    fn any_bytes_are_read(body in proptest::collection::vec(proptest::num::u8::ANY, 0..600), path in "/\\PC{0,20}") {
        let rules = Robots::parse(&body).rules_for(AGENT);
        let _verdict = rules.decide(&path);
    }

    #[test]
    fn one_normal_form_is_its_own(path in "/[ -~]{0,30}") {
        let once = Path::new(path.as_bytes()).text;
        proptest::prop_assert_eq!(Path::new(&once).text, once);
    }
}

//! Pairs of spellings that are one page, and pairs that are not, each with where it is from.

use proptest::prelude::*;

use super::*;

fn of(text: &str) -> String {
    canonical(&Url::parse(text).unwrap()).into_owned()
}

#[test]
fn spellings_of_one_page_meet() {
    #[track_caller]
    fn check(found: &str, want: &str) {
        assert_eq!(of(found), want, "{found}");
        assert_eq!(of(want), want, "again");
        let seed = Fingerprinter { seed: 7 };
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(seed.of(&url(found)), seed.of(&url(want)), "{found}");
    }
    // RFC 3986, sections 6.2.2 and 6.2.3.
    check("example://a/b/c/%7Bfoo%7D#x", "example://a/b/c/%7Bfoo%7D");
    check("HTTP://www.EXAMPLE.com/", "http://www.example.com/");
    check(
        "http://a.test/a/./b/../b/c/%7Bfoo%7d",
        "http://a.test/a/b/c/%7Bfoo%7D",
    );
    check(
        "http://a.test/%7Esmith/%41%2d%5F",
        "http://a.test/~smith/A-_",
    );
    check("http://example.com", "http://example.com/");
    check("http://example.com:/", "http://example.com/");
    check("http://example.com:80/", "http://example.com/");
    check("https://example.com:443/x", "https://example.com/x");
    // The URL standard: hosts, IPv4 in other bases, IDNA, backslashes, tabs.
    check("http://EXAMPLE%2ecom/", "http://example.com/");
    check("http://0x7f.1/x", "http://127.0.0.1/x");
    check("http://[0:0::1]/", "http://[::1]/");
    check(
        "http://bücher.example/é",
        "http://xn--bcher-kva.example/%C3%A9",
    );
    check("http://a.test\\b\tc\\", "http://a.test/bc/");
    // RFC 1034, section 3.1: a name that is whole.
    check("http://a.test./x", "http://a.test/x");
    check("http://a.test.:81/x", "http://a.test:81/x");
    // Neither reserved nor unreserved: only the escape is a URI's (RFC 3986, section 2).
    check(
        "http://a.test/a|b^c?d|e`f{g}",
        "http://a.test/a%7Cb%5Ec?d%7Ce%60f%7Bg%7D",
    );
    // Nothing of a fragment is sent (RFC 3986, section 3.5), `#!` since 2015 to no search engine either.
    check("http://a.test/x#top", "http://a.test/x");
    check("http://a.test/#!/x", "http://a.test/");
    // An empty query (Heritrix StripExtraSlashes and FixupQueryString; url-normalize).
    check("http://a.test/x?", "http://a.test/x");
    check("http://a.test/x?#", "http://a.test/x");
    // Tracking, by the lists of browsers.
    check(
        "http://a.test/p?utm_source=x&id=3&gclid=9",
        "http://a.test/p?id=3",
    );
    check(
        "http://a.test/p?utm_source=x&UTM_Medium=y",
        "http://a.test/p",
    );
    check("http://a.test/p?utm%5Fsource=x&a=1", "http://a.test/p?a=1");
    check(
        "http://a.test/p?id=3&fbclid=IwAR0&mc_eid=1&mtm_kwd=a&srsltid=b",
        "http://a.test/p?id=3",
    );
    check("http://a.test/p?q&fbclid=1", "http://a.test/p?q");
    // Sessions (Heritrix StripSessionIDs, StripSessionCFIDs; Servlet specification; ASP.NET).
    check(
        "http://a.test/p;jsessionid=A1B2.n1!-7?x=1",
        "http://a.test/p?x=1",
    );
    check("http://a.test/p;v=1;JSESSIONID=A1", "http://a.test/p;v=1");
    check("http://a.test/p?PHPSESSID=77&a=b", "http://a.test/p?a=b");
    check(
        "http://a.test/p?sid=0123456789abcdef0123456789abcdef&a=b",
        "http://a.test/p?a=b",
    );
    check("http://a.test/p?ASPSESSIONIDAABBCCDD=x", "http://a.test/p");
    check(
        "http://a.test/p?sessionid=k3v9x7q2m1n8b4z6&a=b",
        "http://a.test/p?a=b",
    );
    check(
        "http://a.test/p?session_id=9b2e4c7a-1d3f-4a5b-8c6d-7e8f9a0b1c2d",
        "http://a.test/p",
    );
    check(
        "http://a.test/p.cfm?cfid=1169580&cftoken=48630702&a=b",
        "http://a.test/p.cfm?a=b",
    );
    check(
        "http://a.test/(S(4hqa0555fwsecu455xqckv45))/p.aspx",
        "http://a.test/p.aspx",
    );
    // Order, where the query is a form.
    check("http://a.test/?b=2&a=1", "http://a.test/?a=1&b=2");
    check("http://a.test/?b=2&a=3&a=1", "http://a.test/?a=3&a=1&b=2");
    check("http://a.test/?b=2&utm_id=1&a=1", "http://a.test/?a=1&b=2");
    // What is left of a query that was all noise.
    check("http://a.test/?utm_id=1&", "http://a.test/");
    check(
        "https://u:p@a.test:444/p?a=%7e",
        "https://u:p@a.test:444/p?a=~",
    );
}

#[test]
fn what_servers_may_tell_apart_stays_apart() {
    #[track_caller]
    fn check(one: &str, other: &str) {
        assert_ne!(of(one), of(other), "{one} and {other}");
    }
    // RFC 3986, section 6.2.4: protocol-based guesses that are not made here.
    check("http://a.test/x", "https://a.test/x");
    check("http://a.test/x", "http://www.a.test/x");
    check("http://a.test/x", "http://a.test/x/");
    check("http://a.test/", "http://a.test/index.html");
    check("http://a.test/x", "http://a.test:8080/x");
    check("http://a.test/x", "http://u@a.test/x");
    // Paths and queries have case (section 6.2.2.1).
    check("http://a.test/x", "http://a.test/X");
    check("http://a.test/?a=b", "http://a.test/?A=b");
    // Reserved characters and their escapes are not equivalent (section 2.2).
    check("http://a.test/a%2Fb", "http://a.test/a/b");
    check("http://a.test/a%3Fb", "http://a.test/a?b");
    check("http://a.test/a%23b", "http://a.test/a#b");
    check("http://a.test/a%3Bb", "http://a.test/a;b");
    check("http://a.test/?a=b%26c=d", "http://a.test/?a=b&c=d");
    check("http://a.test/?a%3Db", "http://a.test/?a=b");
    check("http://a.test/?a=1%2B1", "http://a.test/?a=1+1");
    check("http://a.test/100%25", "http://a.test/100%");
    check("http://a.test/%2541", "http://a.test/A");
    check("http://a.test/%00", "http://a.test/");
    check("http://a.test/%C3%A9", "http://a.test/%E9");
    check("http://a.test/%C3%A9", "http://a.test/e%CC%81");
    // A server may read the path or the query as it came.
    check("http://a.test/a+b", "http://a.test/a%20b");
    check("http://a.test/?a+b", "http://a.test/?a%20b");
    check("http://a.test//x", "http://a.test/x");
    check("http://a.test/?a", "http://a.test/?a=");
    check("http://a.test/?a=1", "http://a.test/?a=1&");
    check("http://a.test/??a=1", "http://a.test/?a=1");
    // Order that shows.
    check("http://a.test/?a=1&a=2", "http://a.test/?a=2&a=1");
    check("http://a.test/?x&y", "http://a.test/?y&x");
    check("http://a.test/?a[]=1&b[]=2", "http://a.test/?b[]=2&a[]=1");
    check("http://a.test/?a=1;b=2&c=3", "http://a.test/?c=3&a=1;b=2");
    // Names that are a page's own somewhere.
    check("http://a.test/?gclid", "http://a.test/");
    check("http://a.test/?ref=a", "http://a.test/?ref=b");
    check("http://a.test/?source=a", "http://a.test/?source=b");
    check("http://a.test/?cid=1", "http://a.test/?cid=2");
    check("http://a.test/?utm=1", "http://a.test/");
    check("http://a.test/?xgclid=1", "http://a.test/");
    // Sessions' names with values that are not drawn.
    check("http://a.test/?sid=5", "http://a.test/?sid=6");
    check(
        "http://a.test/?sid=12345678901234567890123456789012",
        "http://a.test/",
    );
    check("http://a.test/?s=search", "http://a.test/");
    check("http://a.test/?session_id=42", "http://a.test/");
    check(
        "http://a.test/?sessionid=openingkeynote2026",
        "http://a.test/",
    );
    check(
        "http://a.test/?sessionid=opening-keynote-2026",
        "http://a.test/?sessionid=closing-keynote-2026",
    );
    check("http://a.test/?sid=k3v9x7q2m1n8b4z6", "http://a.test/");
    check("http://a.test/?cfid=1", "http://a.test/?cfid=2");
    check("http://a.test/?aspsessionid=1", "http://a.test/");
    check("http://a.test/p;v=1", "http://a.test/p;v=2");
    check("http://a.test/(S(abc))/p", "http://a.test/p");
    // The URL standard's own: transitional IDNA is not used.
    check("http://faß.example/", "http://fass.example/");
}

/// Pieces that the rules look for, in any order.
const PIECES: &str = "(%|%2|%7|%41|%2e|%25|%3b|\\.|\\.\\.|/|//|;|;jsessionid=|\\(S\\(4hqa0555fwsecu455xqckv45\\)\\)|\
    \\?|&|=|utm_a=|gclid=|cfid=1|cftoken=2|sid=0123456789abcdef0123456789abcdef|[a-c]|[AEe0-9]|~|\\||\\[|\\]){0,14}";

proptest! {
    #[test]
    fn canonical_is_idempotent(host in "(a\\.test|A\\.test\\.|a\\.\\.|u:p@a\\.test|127\\.1|\\.)", rest in PIECES) {
        if let Ok(url) = Url::parse(&format!("http://{host}/{rest}")) {
            let once = canonical(&url).into_owned();
            let again = Url::parse(&once).unwrap();
            prop_assert_eq!(again.as_str(), &once, "the parser changes it");
            prop_assert_eq!(canonical(&again), once.as_str());
        }
    }
}

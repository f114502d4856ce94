//! The canonical form of a URL: for comparing only. The URL as found is what is requested.
//!
//! Owns the rules by which two spellings are held to be one page, and the [`Fingerprint`] of the result. It must
//! never merge what servers may tell apart; it may leave apart what is the same. Invariant: idempotent.
//! Its version is stored with a frontier, which refuses another: changing a rule is a migration.
//! Start at [`canonical`]; RFC 3986 section 6.2.2 gives the rules that are safe by the standard.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::Url;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::host::Area;

/// Version of the rules below.
pub const CANONICAL_VERSION: u16 = 2;

/// Bits of a fingerprint that are the URL's; those above say its [`Area`].
pub const URL_BITS: u32 = 48;

/// What is known of a URL in 64 bits: its host's [`Area`], then 48 bits of a hash of the canonical URL under a crawl's
/// secret seed, so that a hostile site cannot aim collisions. All URLs of a registrable domain lie together, so that a
/// store that is cut into shards by domain finds a fingerprint's shard in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub u64);

/// Makes a crawl's fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprinter {
    pub seed: u64,
}

impl Fingerprint {
    /// The area of its host.
    pub fn area(self) -> Area {
        // The shift leaves sixteen bits.
        Area(u16::try_from(self.0 >> URL_BITS).unwrap_or(u16::MAX))
    }
}

impl Fingerprinter {
    /// The fingerprint of a URL of this area that is known to be its own canonical form: as the URL parser writes it,
    /// its path of unreserved characters only, without query, fragment, credentials and a dot at the host's end.
    pub fn of_plain(self, url: &str, area: Area) -> Fingerprint {
        let hash = xxh3_64_with_seed(url.as_bytes(), self.seed);
        Fingerprint((u64::from(area.0) << URL_BITS) | (hash & ((1 << URL_BITS) - 1)))
    }

    /// The fingerprint of a URL whose host is of this area.
    pub fn of_within(self, url: &Url, area: Area) -> Fingerprint {
        self.of_plain(&canonical(url), area)
    }

    /// The fingerprint of a URL.
    pub fn of(self, url: &Url) -> Fingerprint {
        self.of_within(url, Area::of(url.host_str().unwrap_or_default()))
    }
}

/// Query parameters that say where a visitor came from, never what is shown.
const TRACKING: &[&str] = &[
    "fbclid",
    "gclid",
    "gclsrc",
    "dclid",
    "msclkid",
    "yclid",
    "igshid",
    "mc_cid",
    "mc_eid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "wbraid",
    "gbraid",
    "twclid",
    "ttclid",
    "li_fat_id",
    "mkt_tok",
    "vero_id",
    "oly_anon_id",
    "oly_enc_id",
    "s_cid",
    "icid",
];

/// Session identifiers by their servers' fixed names.
const SESSION: &[&str] = &["jsessionid", "phpsessid", "cfid", "cftoken", "aspsessionid"];

/// The canonical form of an `http` or `https` URL: no fragment, no empty query, host without a trailing dot,
/// percent-encodings of unreserved characters undone and others in upper case, no tracking or session parameters.
/// Case of host, default port and dot segments are canonical already by the URL parser.
pub fn canonical(url: &Url) -> Cow<'_, str> {
    let whole = url.as_str();
    let end = whole.find('#').unwrap_or(whole.len());
    let plain = &whole[..end];
    if is_canonical_at_sight(plain, url) {
        return Cow::Borrowed(plain);
    }
    let mut out = String::with_capacity(plain.len());
    out.push_str(url.scheme());
    out.push_str("://");
    if !url.username().is_empty() || url.password().is_some() {
        out.push_str(url.username());
        if let Some(password) = url.password() {
            out.push(':');
            out.push_str(password);
        }
        out.push('@');
    }
    let host = url.host_str().unwrap_or_default();
    out.push_str(host.strip_suffix('.').unwrap_or(host));
    if let Some(port) = url.port() {
        out.push(':');
        out.push_str(&port.to_string());
    }
    push_percent_normal(&mut out, without_path_session(url.path()));
    if let Some(query) = url.query() {
        let mut joint = '?';
        for pair in query.split('&').filter(|pair| !is_noise(pair)) {
            if pair.is_empty() && joint == '?' && query.is_empty() {
                continue;
            }
            out.push(joint);
            push_percent_normal(&mut out, pair);
            joint = '&';
        }
    }
    Cow::Owned(out)
}

/// Most URLs of most sites: nothing in them could change.
fn is_canonical_at_sight(plain: &str, url: &Url) -> bool {
    !plain.bytes().any(|byte| matches!(byte, b'?' | b'%' | b';'))
        && !url.host_str().is_some_and(|h| h.ends_with('.'))
}

fn is_noise(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    if !pair.contains('=') {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    lower.starts_with("utm_")
        || TRACKING.contains(&lower.as_str())
        || SESSION.contains(&lower.as_str())
}

/// `;jsessionid=…` at the end of a path (Servlet specification, URL rewriting).
fn without_path_session(path: &str) -> &str {
    let Some(at) = path.rfind(';') else {
        return path;
    };
    let is_session = path
        .get(at + 1..at + 12)
        .is_some_and(|name| name.eq_ignore_ascii_case("jsessionid="));
    if is_session && !path[at..].contains('/') {
        &path[..at]
    } else {
        path
    }
}

/// RFC 3986 sections 6.2.2.1 and 6.2.2.2.
fn push_percent_normal(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte)
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') =>
            {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            Some(_) => {
                out.push_str(&rest[at..at + 3].to_ascii_uppercase());
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_page_meet() {
        #[track_caller]
        fn check(found: &str, want: &str) {
            assert_eq!(canonical(&Url::parse(found).unwrap()), want);
        }
        check("HTTP://A.test:80/x/../y#top", "http://a.test/y");
        check("http://a.test./", "http://a.test/");
        check("http://a.test/?", "http://a.test/");
        check("http://a.test/%7euser/%2f%e4", "http://a.test/~user/%2F%E4");
        check(
            "http://a.test/p?utm_source=x&id=3&gclid=9",
            "http://a.test/p?id=3",
        );
        check("http://a.test/p?utm_source=x", "http://a.test/p");
        check("http://a.test/p;jsessionid=A1B2?x=1", "http://a.test/p?x=1");
        check("http://a.test/p?PHPSESSID=77&a=b", "http://a.test/p?a=b");
        check(
            "https://u:p@a.test:444/p?a=%7e",
            "https://u:p@a.test:444/p?a=~",
        );
    }

    #[test]
    fn what_servers_may_tell_apart_stays_apart() {
        #[track_caller]
        fn check(one: &str, other: &str) {
            let (one, other) = (Url::parse(one).unwrap(), Url::parse(other).unwrap());
            assert_ne!(canonical(&one), canonical(&other));
        }
        check("http://a.test/x", "https://a.test/x");
        check("http://a.test/x", "http://a.test/x/");
        check("http://a.test/x", "http://a.test/X");
        check("http://a.test/a%2Fb", "http://a.test/a/b");
        check("http://a.test/?a=1&b=2", "http://a.test/?b=2&a=1");
        check("http://a.test/?a", "http://a.test/?a=");
        check("http://a.test/?gclid", "http://a.test/");
        check("http://a.test/p;v=1", "http://a.test/p");
        check("http://a.test/a+b", "http://a.test/a%20b");
        check("http://a.test//x", "http://a.test/x");
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent(path in "[a-zA-Z0-9%;./?&=_~-]{0,40}") {
            if let Ok(url) = Url::parse(&format!("http://a.test/{path}")) {
                let once = canonical(&url).into_owned();
                let again = Url::parse(&once).unwrap();
                prop_assert_eq!(canonical(&again), once);
            }
        }
    }
}

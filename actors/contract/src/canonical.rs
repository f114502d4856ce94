//! The canonical form of a URL: for comparing only. The URL as found is what is requested.
//!
//! Owns the rules by which two spellings are held to be one page, and the [`Fingerprint`] of the result. It must
//! never merge what servers may tell apart; it may leave apart what is the same. Invariant: idempotent.
//! Its version is stored with a frontier, which refuses another: changing a rule is a migration.
//! What is not merged, because servers may tell it apart: `http` and `https`, `www.`, a slash at the end, `index.html`, case in
//! path and query, `//`, reserved characters and their escapes (RFC 3986 section 2.2), `+` and `%20` (whoever reads the
//! query as it came sees two), `a` and `a=`. Start at [`canonical`]; [`query`] has the rules of parameters.

mod escapes;
mod query;
mod session;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::Url;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::host::Area;

/// Version of the rules below.
pub const CANONICAL_VERSION: u16 = 4;

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

/// The canonical form of an `http` or `https` URL. Case of scheme and host, IDNA, default port, dot segments and the empty
/// path are canonical already by the URL parser. Here: no fragment (also not `#!`: no server sees it), no dot at the
/// host's end, escapes in one spelling ([`escapes`]), no session in the path ([`session`]), the query by [`query`]'s rules.
/// A URL of another scheme only loses its fragment.
pub fn canonical(url: &Url) -> Cow<'_, str> {
    let whole = url.as_str();
    let end = whole.find('#').unwrap_or(whole.len());
    let plain = &whole[..end];
    if is_canonical_at_sight(plain, url) || !matches!(url.scheme(), "http" | "https") {
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
    out.push_str(without_dot(url.host_str().unwrap_or_default()));
    if let Some(port) = url.port() {
        out.push(':');
        out.push_str(&port.to_string());
    }
    session::push_path(&mut out, &escapes::normal(url.path()));
    if let Some(query) = url.query() {
        query::push(&mut out, &escapes::normal(query));
    }
    Cow::Owned(out)
}

/// Most URLs of most sites: nothing in them could change.
fn is_canonical_at_sight(plain: &str, url: &Url) -> bool {
    !plain
        .bytes()
        .any(|byte| matches!(byte, b'?' | b'%' | b';' | b'(' | b'|' | b'^'))
        && !url.host_str().is_some_and(|h| h.ends_with('.'))
}

/// A dot at a name's end says that it is whole (RFC 1034 section 3.1). Names that have more of them stay as they are.
fn without_dot(host: &str) -> &str {
    match host.strip_suffix('.') {
        Some(name) if !name.is_empty() && !name.ends_with('.') => name,
        _ => host,
    }
}

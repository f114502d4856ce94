//! Hosts, origins and registrable domains.
//!
//! A *host* is the unit of politeness and leasing, an *origin* the unit of robots.txt, a *domain* the unit
//! of shards and domain budgets. Invariant: two spellings of one server's name give one [`Host`].

use std::fmt;
use std::sync::Arc;

use url::Url;
use xxhash_rust::xxh3::xxh3_64;

/// A host name (IDNA, lower case, no trailing dot) or address literal, without scheme or port.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

impl Host {
    /// The host of an `http` or `https` URL, or none where the URL has none.
    pub fn of(url: &Url) -> Option<Self> {
        let name = url.host_str()?;
        let name = name.strip_suffix('.').unwrap_or(name);
        (!name.is_empty()).then(|| Self(name.into()))
    }

    /// A host from its stored form, as [`Host::as_str`] gave it.
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `127.0.0.1`, `[::1]` and the like.
    pub fn is_address(&self) -> bool {
        is_address(&self.0)
    }

    /// The registrable domain by the public suffix list's snapshot ([`PSL_VERSION`]); an address literal, a
    /// single label and a bare public suffix are their own domain.
    pub fn domain(&self) -> &str {
        domain(&self.0)
    }

    /// The area of its registrable domain.
    pub fn area(&self) -> Area {
        Area::of(self.as_str())
    }
}

fn domain(host: &str) -> &str {
    if is_address(host) {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Where a registrable domain belongs: sixteen bits of its hash, the same for everybody, for ever. Shards are cut by it,
/// and it is the head of every fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(pub u16);

impl Area {
    /// The area of this host of a URL; a dot at its end does not count.
    pub fn of(host: &str) -> Self {
        let host = host.strip_suffix('.').unwrap_or(host);
        // The shift leaves sixteen bits.
        Self(u16::try_from(xxh3_64(domain(host).as_bytes()) >> 48).unwrap_or(u16::MAX))
    }
}

/// The public-suffix snapshot that decides domains; stored with a frontier, which refuses another.
pub const PSL_VERSION: &str = "psl-2.1.247";

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme, host and port: what shares one robots.txt (RFC 9309 section 2.3) and one set of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub https: bool,
    pub host: Host,
    pub port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL.
    pub fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        Some(Self {
            https,
            host: Host::of(url)?,
            port: url.port_or_known_default()?,
        })
    }
}

impl fmt::Display for Origin {
    /// As in a URL: the port only where it is not the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https {
            ("https", 443)
        } else {
            ("http", 80)
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_host_and_one_domain() {
        #[track_caller]
        fn check(url: &str, host: &str, domain: &str) {
            let url = Url::parse(url).unwrap();
            let found = Host::of(&url).unwrap();
            assert_eq!((found.as_str(), found.domain()), (host, domain));
        }
        check(
            "http://WWW.Example.ORG./a",
            "www.example.org",
            "example.org",
        );
        check(
            "https://bücher.example:8443/",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
        );
        check(
            "http://a.b.example.co.uk/",
            "a.b.example.co.uk",
            "example.co.uk",
        );
        check("http://0x7f.1/", "127.0.0.1", "127.0.0.1");
        check("http://[::1]:80/", "[::1]", "[::1]");
        check("http://localhost:8080/", "localhost", "localhost");
        check("http://me.github.io/", "me.github.io", "me.github.io");
    }

    #[test]
    fn all_hosts_of_a_domain_lie_in_one_area_for_ever() {
        let area = |name| Host::from_stored(name).area();
        assert_eq!(area("www.example.org"), area("docs.example.org"));
        assert_eq!(area("example.org"), Area(16_439));
    }

    #[test]
    fn an_origin_reads_like_a_url() {
        #[track_caller]
        fn check(url: &str, want: &str) {
            assert_eq!(
                Origin::of(&Url::parse(url).unwrap()).unwrap().to_string(),
                want
            );
        }
        check("http://a.test:80/x", "http://a.test");
        check("https://a.test:8443/x", "https://a.test:8443");
        check("http://a.test:443/x", "http://a.test:443");
    }
}

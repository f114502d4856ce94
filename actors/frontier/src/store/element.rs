//! How a queued URL is stored: a version byte, then what a lease needs of it, as short as may be.
//!
//! Most URLs of a host have one scheme and port, which its record knows; then only the path is written, for the
//! URL and for where it was found ([`Usual`], version 1). Where nobody knows the record when the URL is written, the
//! element itself says scheme and port ([`encode_alone`], version 2); a script of that store finds the tries in it,
//! which lie behind version, kind, depth and hops. What an earlier capture was comes behind all else (versions 3 and 4).
//! Invariant: what comes out is the URL as it was found, byte for byte.

use contract::codec::{self, CodecError};
use contract::earlier::Earlier;
use contract::lease::Queued;
use contract::link::{Link, LinkKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const VERSION_ALONE: u8 = 2;
const VERSION_REFRESH: u8 = 3;
const VERSION_REFRESH_ALONE: u8 = 4;

/// The scheme, host and port that most URLs of a host have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usual<'a> {
    pub(crate) https: bool,
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

/// An URL's spelling; `Path` starts with a slash and follows the usual origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Spelling<T> {
    Path(T),
    Whole(T),
}

/// Version 1: fields and variants are not reordered, removed or retyped.
#[derive(Serialize, Deserialize)]
struct Element<T> {
    kind: LinkKind,
    depth: u16,
    hops: u8,
    tries: u8,
    url: Spelling<T>,
    via: Option<Spelling<T>>,
}

/// A spelling that says its origin by itself, for a host that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Alone<T> {
    /// The path of an `https` URL with the usual port.
    Https(T),
    Http(T),
    Port(bool, u16, T),
    Whole(T),
}

/// Version 2: as version 1, with the other spelling.
#[derive(Serialize, Deserialize)]
struct ElementAlone<T> {
    kind: LinkKind,
    depth: u16,
    hops: u8,
    tries: u8,
    url: Alone<T>,
    via: Option<Alone<T>>,
}

/// Version 3 (of [`Element`]) and 4 (of [`ElementAlone`]): a URL that is to be refreshed.
#[derive(Serialize, Deserialize)]
struct Refresh<E, B> {
    element: E,
    earlier: B,
}

/// The stored form, of the one version without `earlier` and of the other with it.
fn write<E: Serialize>(
    (plain, refresh): (u8, u8),
    element: E,
    earlier: Option<&Earlier>,
) -> Result<Vec<u8>, CodecError> {
    match earlier {
        None => codec::encode(plain, &element),
        Some(earlier) => codec::encode(refresh, &Refresh { element, earlier }),
    }
}

/// What [`write`] has written.
fn read<E: DeserializeOwned>(
    (plain, refresh): (u8, u8),
    bytes: &[u8],
) -> Result<(E, Option<Box<Earlier>>), CodecError> {
    if bytes.first() != Some(&refresh) {
        return Ok((codec::decode(plain, bytes)?, None));
    }
    let Refresh { element, earlier } = codec::decode(refresh, bytes)?;
    Ok((element, Some(earlier)))
}

fn spell_alone<'a>(host: &'a str, url: &'a str) -> Alone<&'a str> {
    let usual = Usual::of(url, host);
    match (usual.spell(url), usual.https, usual.port) {
        (Spelling::Whole(url), ..) => Alone::Whole(url),
        (Spelling::Path(path), true, None) => Alone::Https(path),
        (Spelling::Path(path), false, None) => Alone::Http(path),
        (Spelling::Path(path), https, Some(port)) => Alone::Port(https, port, path),
    }
}

fn read_alone(host: &str, alone: Alone<String>) -> Box<str> {
    let (https, port, path) = match alone {
        Alone::Https(path) => (true, None, path),
        Alone::Http(path) => (false, None, path),
        Alone::Port(https, port, path) => (https, Some(port), path),
        Alone::Whole(url) => return url.into(),
    };
    Usual { https, host, port }.read(Spelling::Path(path))
}

/// The form that needs nothing but the host's name to be read.
///
/// # Errors
/// None that any value of these types could cause; the codec's are passed on.
pub(crate) fn encode_alone<'a>(
    host: &'a str,
    queued: QueuedRef<'a>,
) -> Result<Vec<u8>, CodecError> {
    let element = ElementAlone {
        kind: queued.kind,
        depth: queued.depth,
        hops: queued.hops,
        tries: queued.tries,
        url: spell_alone(host, queued.url),
        via: queued.via.map(|via| spell_alone(host, via)),
    };
    write(
        (VERSION_ALONE, VERSION_REFRESH_ALONE),
        element,
        queued.earlier,
    )
}

/// The URL again.
///
/// # Errors
/// For bytes that [`encode_alone`] did not write.
pub(crate) fn decode_alone(host: &str, bytes: &[u8]) -> Result<Queued, CodecError> {
    let versions = (VERSION_ALONE, VERSION_REFRESH_ALONE);
    let (element, earlier): (ElementAlone<String>, _) = read(versions, bytes)?;
    Ok(Queued {
        url: read_alone(host, element.url),
        kind: element.kind,
        depth: element.depth,
        hops: element.hops,
        tries: element.tries,
        via: element.via.map(|via| read_alone(host, via)),
        earlier,
    })
}

impl<'a> Usual<'a> {
    /// What is usual after a first URL of the host.
    pub(crate) fn of(url: &'a str, host: &'a str) -> Self {
        let https = url.starts_with("https:");
        let usual = Self {
            https,
            host,
            port: None,
        };
        let port = url
            .strip_prefix(usual.scheme())
            .and_then(|rest| rest.strip_prefix(host)?.strip_prefix(':'))
            .and_then(|rest| rest.split(['/', '?']).next()?.parse().ok());
        Self { port, ..usual }
    }

    fn scheme(self) -> &'static str {
        if self.https { "https://" } else { "http://" }
    }

    fn spell(self, url: &'a str) -> Spelling<&'a str> {
        let path = url
            .strip_prefix(self.scheme())
            .and_then(|rest| rest.strip_prefix(self.host))
            .and_then(|rest| match self.port {
                None => Some(rest),
                Some(port) => {
                    let (found, _) = rest.strip_prefix(':')?.split_once('/')?;
                    // Only the spelling that comes out again: no leading zero or plus.
                    (found == port.to_string()).then(|| &rest[1 + found.len()..])
                }
            });
        match path {
            Some(path) if path.starts_with('/') => Spelling::Path(path),
            _ => Spelling::Whole(url),
        }
    }

    fn read(self, spelling: Spelling<String>) -> Box<str> {
        match spelling {
            Spelling::Whole(url) => url.into(),
            Spelling::Path(path) => {
                let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
                let parts = [self.scheme(), self.host, &port, &path];
                let mut url = String::with_capacity(parts.iter().map(|part| part.len()).sum());
                parts.iter().for_each(|part| url.push_str(part));
                url.into()
            }
        }
    }

    /// The stored form.
    ///
    /// # Errors
    /// None that any value of these types could cause; the codec's are passed on.
    pub(crate) fn encode(self, queued: QueuedRef<'a>) -> Result<Vec<u8>, CodecError> {
        write(
            (VERSION, VERSION_REFRESH),
            Element {
                kind: queued.kind,
                depth: queued.depth,
                hops: queued.hops,
                tries: queued.tries,
                url: self.spell(queued.url),
                via: queued.via.map(|via| self.spell(via)),
            },
            queued.earlier,
        )
    }

    /// The URL again.
    ///
    /// # Errors
    /// For bytes that [`Usual::encode`] did not write.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<Queued, CodecError> {
        let (element, earlier): (Element<String>, _) = read((VERSION, VERSION_REFRESH), bytes)?;
        Ok(Queued {
            url: self.read(element.url),
            kind: element.kind,
            depth: element.depth,
            hops: element.hops,
            tries: element.tries,
            via: element.via.map(|via| self.read(via)),
            earlier,
        })
    }
}

/// A queued URL that is borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedRef<'a> {
    pub(crate) url: &'a str,
    pub(crate) kind: LinkKind,
    pub(crate) depth: u16,
    pub(crate) hops: u8,
    pub(crate) tries: u8,
    pub(crate) via: Option<&'a str>,
    pub(crate) earlier: Option<&'a Earlier>,
}

impl<'a> QueuedRef<'a> {
    /// A link that is to be tried for the first time.
    pub(crate) fn of(link: &'a Link, via: Option<&'a str>, earlier: Option<&'a Earlier>) -> Self {
        Self {
            url: &link.url,
            kind: link.kind,
            depth: link.depth,
            hops: link.hops,
            tries: 0,
            via,
            earlier,
        }
    }
}

impl<'a> From<&'a Queued> for QueuedRef<'a> {
    fn from(queued: &'a Queued) -> Self {
        Self {
            url: &queued.url,
            kind: queued.kind,
            depth: queued.depth,
            hops: queued.hops,
            tries: queued.tries,
            via: queued.via.as_deref(),
            earlier: queued.earlier.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queued(url: &str, via: Option<&str>) -> Queued {
        Queued {
            url: url.into(),
            kind: LinkKind::Page,
            depth: 2,
            hops: 0,
            tries: 1,
            via: via.map(Into::into),
            earlier: None,
        }
    }

    #[test]
    fn what_is_usual_is_not_written() {
        #[track_caller]
        fn check(first: &str, url: &str, bytes: usize) {
            let usual = Usual::of(first, "a.test");
            let queued = queued(url, None);
            let stored = usual.encode((&queued).into()).unwrap();
            assert_eq!(usual.decode(&stored).unwrap(), queued);
            assert_eq!(stored.len(), bytes, "{url}");
        }
        check("http://a.test/", "http://a.test/x?y", 12);
        check("http://a.test/", "https://a.test/x", 24);
        check("https://a.test/", "https://a.test/x", 10);
        check("https://a.test:8443/", "https://a.test:8443/x", 10);
        check("https://a.test:8443/", "https://a.test:08443/x", 30);
        check("https://a.test:8443?q", "https://a.test/x", 24);
        check("http://a.test/", "http://a.test./x", 24);
        check("http://a.test/", "http://u:p@a.test/x", 27);
        check("http://a.test/", "http://a.test.evil/x", 28);
    }

    #[test]
    fn the_stored_form_of_version_1_does_not_change() {
        let usual = Usual::of("http://a.test/", "a.test");
        let stored = usual
            .encode((&queued("http://a.test/b", Some("seed"))).into())
            .unwrap();
        assert_eq!(
            stored,
            [
                1, 1, 2, 0, 1, 0, 2, b'/', b'b', 1, 1, 4, b's', b'e', b'e', b'd'
            ]
        );
        assert!(usual.decode(&stored[..9]).is_err());
    }

    fn earlier() -> Box<Earlier> {
        Box::new(Earlier {
            digest: "sha1:A".into(),
            status: 200,
            record: "<urn:uuid:1>".into(),
            url: "http://a.test/".into(),
            date: "2025-11-24T16:00:01Z".into(),
            warc: "f.warc.gz".into(),
            offset: 70_000,
            etag: Some("\"e\"".into()),
            ..Earlier::default()
        })
    }

    #[test]
    fn the_stored_form_of_a_refresh_does_not_change() {
        let usual = Usual::of("http://a.test/", "a.test");
        let queued = Queued {
            earlier: Some(earlier()),
            ..queued("http://a.test/b", None)
        };
        let stored = usual.encode((&queued).into()).unwrap();
        let texts =
            |texts: [&str; 4]| texts.map(|text| [&[text.len() as u8], text.as_bytes()].concat());
        let want = [
            &[3, 1, 2, 0, 1, 0, 2, b'/', b'b', 0, 6][..],
            b"sha1:A",
            &[200, 0],
            &texts([
                "<urn:uuid:1>",
                "http://a.test/",
                "2025-11-24T16:00:01Z",
                "f.warc.gz",
            ])
            .concat(),
            &[252, 0x70, 0x11, 1, 0, 1, 3, b'"', b'e', b'"', 0],
        ];
        assert_eq!(stored, want.concat());
        assert_eq!(usual.decode(&stored).unwrap(), queued);
        let alone = encode_alone("a.test", (&queued).into()).unwrap();
        assert_eq!((alone[0], alone[4]), (4, 1), "version and tries");
        assert_eq!(decode_alone("a.test", &alone).unwrap(), queued);
    }

    proptest! {
        #[test]
        fn every_url_comes_back_byte_for_byte(first in "https?://a\\.test(:[0-9]{1,5})?/", url in "(https?://a\\.test(:[0-9]{1,5})?)?\\PC{0,20}", via in "(https?://a\\.test/)?\\PC{0,9}") {
            let usual = Usual::of(&first, "a.test");
            let queued = queued(&url, Some(&via));
            let stored = usual.encode((&queued).into()).unwrap();
            prop_assert_eq!(usual.decode(&stored).unwrap(), queued.clone());
            let alone = encode_alone("a.test", (&queued).into()).unwrap();
            prop_assert_eq!(decode_alone("a.test", &alone).unwrap(), queued);
        }

        #[test]
        fn the_tries_lie_where_scripts_look_for_them(depth: u16, tries: u8) {
            let queued = Queued { depth, tries, ..queued("http://a.test/", None) };
            let alone = encode_alone("a.test", (&queued).into()).unwrap();
            let at = if alone[2] == 251 { 6 } else { 4 };
            prop_assert_eq!(alone[at], tries);
        }
    }
}

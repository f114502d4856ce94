//! A raw link and a base to an absolute URL, or why it is none to crawl.
//!
//! Owns the fast path: most links of most sites are plain paths on the page's own host, and for those the URL parser's
//! answer is built here by hand, several times faster. Everything else goes through the `url` crate.
//! Invariant: both ways give exactly the same serialisation (a property test holds them together). Fragments are
//! dropped by the caller, who compares links without them. Start at [`Resolver::resolve`].

use std::borrow::Cow;

use contract::link::URL_BYTES_MAX;
use contract::outcome::Outcome;
use contract::scope::UrlParts;
use encoding_rs::{EncoderResult, Encoding};
use url::Url;

/// What a raw link is.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved<'r> {
    /// A URL of the base's scheme, host and port whose path has only unreserved characters and no query: it is its own
    /// canonical form.
    Plain(UrlParts<'r>),
    /// Any other `http` or `https` URL.
    Full(Box<Url>),
}

/// Why a link cannot be crawled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUrl {
    /// `javascript:`, `mailto:`, `data:`, `ftp:` …
    UnsupportedScheme,
    /// Not a URL by the URL standard.
    Invalid,
    /// More than [`URL_BYTES_MAX`] bytes.
    TooLong,
}

impl NoUrl {
    pub fn outcome(self) -> Outcome {
        match self {
            Self::UnsupportedScheme => Outcome::UnsupportedScheme,
            Self::Invalid => Outcome::InvalidUrl,
            Self::TooLong => Outcome::UrlTooLong,
        }
    }
}

/// Raw links longer than this are not even parsed: dot segments that would bring them under the limit are no accident.
const RAW_BYTES_MAX: usize = 4 * URL_BYTES_MAX;

/// Resolves the links of one document.
pub struct Resolver<'b> {
    base: &'b Url,
    /// For the query of URLs in documents of an old encoding (URL standard, "percent-encode after encoding").
    encoding: &'static Encoding,
    host: &'b str,
    /// Bytes of the base up to its path; none when the base allows no fast path.
    origin: Option<&'b str>,
    /// The base up to and with its last slash; none when what is beside it would not be plain.
    directory: Option<&'b str>,
    buffer: String,
}

impl<'b> Resolver<'b> {
    /// `base` is the document's base URL, `encoding` what the document was decoded from.
    pub fn new(base: &'b Url, encoding: &'static Encoding) -> Self {
        let whole = base.as_str();
        let plain = matches!(base.scheme(), "http" | "https")
            && base.username().is_empty()
            && base.password().is_none()
            && !base.host_str().unwrap_or(".").ends_with('.');
        let origin = plain.then(|| &whole[..whole.len() - after_origin(base)]);
        let directory = origin.and_then(|origin| {
            let path = base.path();
            let directory = &path[..=path.rfind('/')?];
            is_plain(directory).then(|| &whole[..origin.len() + directory.len()])
        });
        Self {
            base,
            encoding,
            host: base.host_str().unwrap_or_default(),
            origin,
            directory,
            buffer: String::new(),
        }
    }

    /// Resolves `raw`, a link without its fragment.
    ///
    /// # Errors
    /// Why it is nothing to crawl.
    pub fn resolve(&mut self, raw: &str) -> Result<Resolved<'_>, NoUrl> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(if names_other_scheme(raw) {
                NoUrl::UnsupportedScheme
            } else {
                NoUrl::TooLong
            });
        }
        if self.plain(raw) {
            return if self.buffer.len() > URL_BYTES_MAX {
                Err(NoUrl::TooLong)
            } else {
                Ok(Resolved::Plain(UrlParts {
                    url: &self.buffer,
                    host: self.host,
                    port: self.base.port(),
                    path: &self.buffer[self.origin.map_or(0, str::len)..],
                }))
            };
        }
        self.full(raw).map(|url| Resolved::Full(Box::new(url)))
    }

    fn full(&self, raw: &str) -> Result<Url, NoUrl> {
        if names_other_scheme(raw) {
            return Err(NoUrl::UnsupportedScheme);
        }
        let mut url = join(self.base, self.encoding, raw).map_err(|_| NoUrl::Invalid)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NoUrl::UnsupportedScheme);
        }
        if url.fragment().is_some() {
            url.set_fragment(None);
        }
        if url.as_str().len() > URL_BYTES_MAX {
            Err(NoUrl::TooLong)
        } else {
            Ok(url)
        }
    }

    /// The fast path: true if `raw` is such a link; its URL is in the buffer then.
    #[inline]
    fn plain(&mut self, raw: &str) -> bool {
        let Some(origin) = self.origin else {
            return false;
        };
        let (start, path) = match raw.as_bytes() {
            [] | [b'/', b'/', ..] => return false,
            [b'/', ..] => (origin, &raw[1..]),
            _ => match raw.strip_prefix(origin) {
                Some("") => (origin, ""),
                Some(path) if path.starts_with('/') => (origin, &path[1..]),
                Some(_) => return false, // `http://a.test` also starts `http://a.test.evil/`
                None => match self.directory {
                    Some(directory) => (directory, raw),
                    None => return false,
                },
            },
        };
        if !is_plain(path) {
            return false;
        }
        self.buffer.clear();
        self.buffer.push_str(start);
        if start.len() == origin.len() {
            self.buffer.push('/');
        }
        push_path(&mut self.buffer, origin.len() + 1, path);
        true
    }
}

/// `raw` relative to `base` in a document of this encoding, whatever its scheme, with its fragment: what a browser makes
/// of it.
///
/// # Errors
/// It is no URL by the URL standard.
pub fn join(base: &Url, encoding: &'static Encoding, raw: &str) -> Result<Url, url::ParseError> {
    let encode = encoder(encoding);
    let mut options = Url::options().base_url(Some(base));
    if encoding.output_encoding() != encoding_rs::UTF_8 {
        options = options.encoding_override(Some(&encode));
    }
    options.parse(raw)
}

/// The document's base URL from its first `<base href>` (HTML standard, 4.2.3, "frozen base URL"): what is no URL, or
/// `data:` or `javascript:`, does not count.
pub fn base<'u>(page: &'u Url, encoding: &'static Encoding, base: Option<&str>) -> Cow<'u, Url> {
    match base.and_then(|raw| join(page, encoding, raw).ok()) {
        Some(url) if !matches!(url.scheme(), "data" | "javascript") => Cow::Owned(url),
        _ => Cow::Borrowed(page),
    }
}

fn encoder(encoding: &'static Encoding) -> impl Fn(&str) -> Cow<'_, [u8]> {
    move |text| encoded(text, encoding)
}

/// The bytes of a query in an old encoding (URL standard, "percent-encode after encoding"): a character that it does not
/// have is a numeric character reference, percent-encoded already.
fn encoded<'t>(text: &'t str, encoding: &'static Encoding) -> Cow<'t, [u8]> {
    if text.is_ascii() && encoding != encoding_rs::ISO_2022_JP {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut encoder = encoding.new_encoder();
    let mut bytes = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        // Enough room for all that is left, or for all that goes into a `Vec`.
        let room = encoder.max_buffer_length_from_utf8_without_replacement(rest.len());
        bytes.reserve(room.unwrap_or(rest.len() * 4 + 16));
        let (result, read) =
            encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
        rest = &rest[read..];
        match result {
            EncoderResult::InputEmpty => return Cow::Owned(bytes),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) => {
                bytes.extend_from_slice(format!("%26%23{}%3B", u32::from(character)).as_bytes());
            }
        }
    }
}

/// Bytes of `base` from its path on.
fn after_origin(base: &Url) -> usize {
    let query = base.query().map_or(0, |query| query.len() + 1);
    let fragment = base.fragment().map_or(0, |fragment| fragment.len() + 1);
    base.path().len() + query + fragment
}

/// Appends a plain path to `url`, which ends in a slash, resolving dot segments (URL standard, path state). What is before
/// `root` stays.
fn push_path(url: &mut String, root: usize, path: &str) {
    if !path.starts_with('.') && !path.contains("/.") {
        url.push_str(path);
        return;
    }
    let mut rest = path;
    loop {
        let (segment, more) = match rest.split_once('/') {
            Some((segment, more)) => (segment, Some(more)),
            None => (rest, None),
        };
        match segment {
            "." => {}
            ".." => {
                let above = url[root..url.len() - usize::from(url.len() > root)].rfind('/');
                url.truncate(above.map_or(root, |slash| root + slash + 1));
            }
            name => {
                url.push_str(name);
                if more.is_some() {
                    url.push('/');
                }
            }
        }
        match more {
            Some(more) => rest = more,
            None => return,
        }
    }
}

const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
        byte += 1;
    }
    table
};

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| PLAIN[byte as usize])
}

/// True if `raw` starts with a scheme other than http and https; told without parsing what may be a megabyte of `data:`.
pub(crate) fn names_other_scheme(raw: &str) -> bool {
    let raw = raw.trim_start_matches(|c: char| c <= ' ');
    let end = raw
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')));
    let Some(end) = end.filter(|&end| raw.as_bytes()[end] == b':') else {
        return false;
    };
    let scheme = &raw[..end];
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && !scheme.eq_ignore_ascii_case("http")
        && !scheme.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::canonical::Fingerprinter;
    use contract::host::Area;
    use proptest::prelude::*;

    fn resolved(base: &str, raw: &str) -> String {
        let base = Url::parse(base).unwrap();
        match Resolver::new(&base, encoding_rs::UTF_8).resolve(raw) {
            Ok(Resolved::Plain(plain)) => {
                assert_eq!(plain, UrlParts::from(&Url::parse(plain.url).unwrap()));
                format!("plain {}", plain.url)
            }
            Ok(Resolved::Full(url)) => format!("full {url}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn links_are_resolved_or_refused() {
        #[track_caller]
        fn check(raw: &str, want: &str) {
            assert_eq!(resolved("http://a.test/b/c.html?q#f", raw), want, "{raw:?}");
        }
        check("d.html", "plain http://a.test/b/d.html");
        check("../d/./e/..", "plain http://a.test/d/");
        check("../../../d", "plain http://a.test/d");
        check("/d//../e", "plain http://a.test/d/e");
        check(".", "plain http://a.test/b/");
        check("http://a.test", "plain http://a.test/");
        check("http://a.test/x", "plain http://a.test/x");
        check("http://a.test.evil/x", "full http://a.test.evil/x");
        check("http://a.test:81/x", "full http://a.test:81/x");
        check("", "full http://a.test/b/c.html?q");
        check("?x#y", "full http://a.test/b/c.html?x");
        check("//c.test/d", "full http://c.test/d");
        check("HTTPS:\\\\c.test\\d", "full https://c.test/d");
        check("d e", "full http://a.test/b/d%20e");
        check("%2e%2e/d", "full http://a.test/d");
        check("http://", "Invalid");
        check("http://a b/", "Invalid");
        check("http://[::1", "Invalid");
        check("javascript:void(0)", "UnsupportedScheme");
        check(" MailTo:a@a.test", "UnsupportedScheme");
        check("data:text/html,<a href=x>", "UnsupportedScheme");
        check("ftp://a.test/", "UnsupportedScheme");
        check("a.b:c", "UnsupportedScheme");
        check("./a:b", "full http://a.test/b/a:b");
        check("1:2", "full http://a.test/b/1:2");
        check(&"x".repeat(2_040), "TooLong");
        check(&format!("?{}", "x".repeat(2_040)), "TooLong");
        check(&"x".repeat(100_000), "TooLong");
        check(
            &format!("data:{}", "x".repeat(100_000)),
            "UnsupportedScheme",
        );
    }

    #[test]
    fn odd_bases_are_slow_but_right() {
        #[track_caller]
        fn check(base: &str, raw: &str, want: &str) {
            assert_eq!(resolved(base, raw), want, "{raw:?} on {base}");
        }
        check("http://u:p@a.test/b", "c", "full http://u:p@a.test/c");
        check("http://a.test./b", "c", "full http://a.test./c");
        check("http://a.test/%41/b", "c", "full http://a.test/%41/c");
        check("http://a.test/%41/b", "/c", "plain http://a.test/c");
        check("http://a.test/b;c?d=/", "e", "plain http://a.test/e");
        check("https://[::1]:8443/b", "c", "plain https://[::1]:8443/c");
    }

    #[test]
    fn an_old_encoding_shows_in_the_query_only() {
        let base = Url::parse("http://a.test/").unwrap();
        let mut resolver = Resolver::new(&base, encoding_rs::WINDOWS_1252);
        let Ok(Resolved::Full(url)) = resolver.resolve("é?é€ü") else {
            panic!("not resolved")
        };
        assert_eq!(url.as_str(), "http://a.test/%C3%A9?%E9%80%FC");
        #[track_caller]
        fn check(encoding: &'static Encoding, raw: &str, want: &str) {
            let base = Url::parse("http://a.test/").unwrap();
            assert_eq!(join(&base, encoding, raw).unwrap().as_str(), want, "{raw}");
        }
        // What the encoding does not have (URL standard, 1.3, its own examples).
        let shift_jis = encoding_rs::SHIFT_JIS;
        check(shift_jis, "?≡", "http://a.test/?%81%DF");
        check(shift_jis, "?‽", "http://a.test/?%26%238253%3B");
        check(
            encoding_rs::ISO_2022_JP,
            "?¥",
            "http://a.test/?%1B(J\\%1B(B",
        );
        check(
            encoding_rs::KOI8_R,
            "?я=é&b",
            "http://a.test/?%D1=%26%23233%3B&b",
        );
        check(encoding_rs::UTF_16LE, "?я", "http://a.test/?%D1%8F");
    }

    #[test]
    fn a_base_counts_if_it_is_a_url_that_may_be_one() {
        #[track_caller]
        fn check(raw: Option<&str>, want: &str) {
            let page = Url::parse("http://a.test/b/c").unwrap();
            assert_eq!(
                base(&page, encoding_rs::UTF_8, raw).as_str(),
                want,
                "{raw:?}"
            );
        }
        check(None, "http://a.test/b/c");
        check(Some("/d/"), "http://a.test/d/");
        check(Some("//e.test"), "http://e.test/");
        check(Some("ftp://e.test/"), "ftp://e.test/");
        check(Some("http://["), "http://a.test/b/c");
        check(Some("data:text/html,x"), "http://a.test/b/c");
        check(Some("JavaScript:x"), "http://a.test/b/c");
        check(Some(""), "http://a.test/b/c");
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_the_url_parser(
            base in "https?://(a|b\\.test|127\\.0\\.0\\.1)(:81)?(/[a-zA-Z~%.;-]{0,3}){0,4}(\\?x)?(#y)?",
            raw in "(https?://(a|b\\.test)(:81)?)?(/|\\.|\\.\\.|[a-z~:%2e_-]{1,3}){0,8}",
        ) {
            let base = Url::parse(&base).unwrap();
            let want = base.join(&raw).map(|mut url| { url.set_fragment(None); url.to_string() });
            let mut resolver = Resolver::new(&base, encoding_rs::UTF_8);
            match resolver.resolve(&raw) {
                Ok(Resolved::Plain(plain)) => {
                    let url = Url::parse(plain.url).unwrap();
                    prop_assert_eq!(plain, UrlParts::from(&url));
                    prop_assert_eq!(Fingerprinter { seed: 1 }.of_plain(plain.url, Area::of(plain.host)), Fingerprinter { seed: 1 }.of(&url));
                    prop_assert_eq!(Ok(plain.url.to_owned()), want);
                }
                Ok(Resolved::Full(url)) => prop_assert_eq!(Ok(url.to_string()), want),
                Err(NoUrl::UnsupportedScheme) => prop_assert!(want.map_or(true, |url| !url.starts_with("http"))),
                Err(error) => prop_assert!(want.is_err(), "{error:?} but {want:?}"),
            }
        }
    }
}

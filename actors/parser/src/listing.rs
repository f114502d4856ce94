//! A document's links told one by one, for people and test suites: where each stands, what it resolves to, what becomes
//! of it. The crawl itself reads by [`crate::reader`], which keeps only what it fetches.
//!
//! Owns no rule: kinds, encodings, tags, bases and refusals are the other modules'. It knows no scope.
//! Invariant: every link that the document has is in the answer, followed or not. Start at [`list`].

use std::borrow::Cow;

use contract::link::{LinkKind, URL_BYTES_MAX};
use encoding_rs::Encoding;
use url::{ParseError, Url};

use crate::charset::{self, Source};
use crate::html::facts::Facts;
use crate::html::links::{Standing, clean_decoded};
use crate::html::names::Attr;
use crate::html::rel::Rel;
use crate::html::tokens::{Syntax, Tokens};
use crate::html::{self, HtmlOptions, entities, refresh};
use crate::resolve::{self, NoUrl};
use crate::sniff::{self, Kind, Supplied};
use crate::watch::Watch;
use crate::{css, linkheader};

/// A document and what came with it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'d> {
    /// Decoded from transfer, not from its charset.
    pub bytes: &'d [u8],
    /// The bytes are UTF-8, whatever they say of themselves.
    pub is_text: bool,
    pub supplied: Supplied<'d>,
    /// The host's last label, in lower case, which helps guessing the charset.
    pub tld: Option<&'d str>,
    /// Values of the headers Link and Refresh.
    pub link: &'d [Cow<'d, str>],
    pub refresh: Option<&'d str>,
    pub url: &'d Url,
}

/// What was found.
#[derive(Debug)]
pub struct Listing {
    pub kind: Kind,
    pub mime: String,
    /// None for what is not read.
    pub encoding: Option<(&'static str, Source)>,
    /// What relative links are resolved against.
    pub base: Url,
    /// The page's own words; its canonical link resolved.
    pub facts: Facts,
    pub links: Vec<Listed>,
    /// Documents within that are too many or too deep to be read.
    pub frames_over: u64,
}

/// A link.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// With its fragment; none where the URL standard's parser fails.
    pub url: Option<Url>,
    /// As written, references resolved and white space cleaned away as the URL standard does.
    pub raw: String,
    /// In lower case; `header` for those of the answer's head, `css` for those of a style sheet.
    pub element: String,
    /// In lower case; empty for an element's text.
    pub attribute: String,
    pub kind: LinkKind,
    pub standing: Standing,
    /// Link types as written, of elements and headers that have them.
    pub rel: Option<String>,
    pub flags: Rel,
    pub hreflang: Option<String>,
    /// Why it cannot be crawled, if so.
    pub refused: Option<NoUrl>,
}

/// Lists the links of a document.
pub fn list(asked: &Asked<'_>, options: &HtmlOptions) -> Listing {
    let sniffed = sniff::sniff(asked.supplied, asked.bytes);
    let mut listing = Listing {
        kind: sniffed.kind,
        encoding: None,
        base: asked.url.clone(),
        facts: Facts::default(),
        links: Vec::new(),
        frames_over: 0,
        mime: String::new(),
    };
    listing.of_headers(asked);
    if matches!(sniffed.kind, Kind::Html | Kind::Svg | Kind::Css) {
        let decoded = if asked.is_text {
            charset::decode(asked.bytes, Some("utf-8"), None)
        } else {
            let header = asked.supplied.content_type.and_then(sniff::charset);
            charset::decode(asked.bytes, header, asked.tld)
        };
        listing.encoding = Some((decoded.encoding.name(), decoded.source));
        if sniffed.kind == Kind::Css {
            css::each_url(&decoded.text, |url| {
                if !url.is_empty() && !url.starts_with('#') {
                    listing.of_css(asked.url, decoded.encoding, clean_decoded(url));
                }
            });
        } else {
            let (syntax, encoding) = (sniffed.syntax(), decoded.encoding);
            let (facts, base) =
                listing.of_html(&decoded.text, syntax, asked.url, encoding, 0, options);
            listing.facts = facts;
            listing.base = base;
        }
    }
    listing.mime = sniffed.mime;
    listing
}

impl Listing {
    fn of_html(
        &mut self,
        text: &str,
        syntax: Syntax,
        fallback: &Url,
        encoding: &'static Encoding,
        depth: usize,
        options: &HtmlOptions,
    ) -> (Facts, Url) {
        let first = self.links.len();
        let found = |link: html::links::RawLink<'_>, tokens: &Tokens<'_>| {
            let of = |attr| {
                let value = tokens.attr(attr)?;
                Some(entities::decode(value, entities::Place::Attribute).into_owned())
            };
            let rel = of(Attr::Rel);
            self.links.push(Listed {
                url: None,
                raw: link.value.into_owned(),
                element: tokens.tag().name.to_ascii_lowercase(),
                attribute: link.attribute.to_owned(),
                kind: link.kind,
                standing: link.standing,
                flags: rel.as_deref().map_or_else(Rel::default, Rel::of),
                rel,
                hreflang: of(Attr::Hreflang),
                refused: None,
            });
        };
        let read = html::read(text, syntax, options, &mut Watch::new(&|| false), found);
        // No watch ends it.
        let mut said = read.unwrap_or_default();
        let base = resolve::base(fallback, encoding, said.facts.base.as_deref());
        for link in &mut self.links[first..] {
            let joined = resolve::join(&base, encoding, &link.raw);
            link.refused = refusal(&link.raw, &joined);
            link.url = joined.ok();
        }
        self.frames_over += said.frames_over;
        for frame in &said.frames {
            if depth == html::FRAMES_DEEP {
                self.frames_over += 1;
            } else {
                self.of_html(frame, Syntax::Html, &base, encoding, depth + 1, options);
            }
        }
        if let Some(canonical) = &mut said.facts.canonical
            && let Ok(url) = resolve::join(&base, encoding, canonical)
        {
            *canonical = url.into();
        }
        (said.facts, base.into_owned())
    }

    fn of_css(&mut self, base: &Url, encoding: &'static Encoding, url: Cow<'_, str>) {
        let joined = resolve::join(base, encoding, &url);
        let refused = refusal(&url, &joined);
        self.links.push(Listed {
            url: joined.ok(),
            raw: url.into_owned(),
            element: "css".to_owned(),
            attribute: String::new(),
            kind: LinkKind::Embed,
            standing: Standing::Followed,
            rel: None,
            flags: Rel::default(),
            hreflang: None,
            refused,
        });
    }

    fn of_headers(&mut self, asked: &Asked<'_>) {
        let mut link = |raw: &str, attribute: &str, kind, standing, rel: Option<&str>| {
            let joined = resolve::join(asked.url, encoding_rs::UTF_8, raw);
            self.links.push(Listed {
                refused: refusal(raw, &joined),
                url: joined.ok(),
                raw: raw.to_owned(),
                element: "header".to_owned(),
                attribute: attribute.to_owned(),
                kind,
                standing,
                rel: rel.map(str::to_owned),
                flags: rel.map_or_else(Rel::default, Rel::of),
                hreflang: None,
            });
        };
        for value in asked.link {
            linkheader::each_link(value, |found| {
                link(
                    found.value,
                    "link",
                    found.kind,
                    found.standing,
                    Some(&found.rel),
                );
            });
        }
        if let Some(url) = asked.refresh.and_then(refresh::url) {
            link(url, "refresh", LinkKind::Page, Standing::Followed, None);
        }
    }
}

/// Why a link that was resolved to this cannot be crawled.
fn refusal(raw: &str, joined: &Result<Url, ParseError>) -> Option<NoUrl> {
    match joined {
        Err(_) if resolve::names_other_scheme(raw) => Some(NoUrl::UnsupportedScheme),
        Err(_) => Some(NoUrl::Invalid),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some(NoUrl::UnsupportedScheme),
        Ok(url) => {
            let fragment = url.fragment().map_or(0, |fragment| fragment.len() + 1);
            (url.as_str().len() - fragment > URL_BYTES_MAX).then_some(NoUrl::TooLong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(bytes: &[u8], content_type: &str) -> Listing {
        let url = Url::parse("http://a.test/dir/page?q").unwrap();
        let asked = Asked {
            bytes,
            is_text: false,
            supplied: Supplied {
                content_type: Some(content_type),
                nosniff: false,
            },
            tld: None,
            link: &["<h>; rel=\"next nofollow\"".into()],
            refresh: Some("0; url=r"),
            url: &url,
        };
        list(&asked, &HtmlOptions::default())
    }

    fn told(listing: &Listing) -> Vec<String> {
        let line = |link: &Listed| {
            format!(
                "{} {}.{} {} {}{}",
                link.standing.as_str(),
                link.element,
                link.attribute,
                link.kind.as_str(),
                link.url.as_ref().map_or("-", Url::as_str),
                link.refused
                    .map(|why| format!(" {why:?}"))
                    .unwrap_or_default(),
            )
        };
        listing.links.iter().map(line).collect()
    }

    #[test]
    fn every_link_is_told_with_its_place_and_what_becomes_of_it() {
        let html = b"<base href=/b/><A HREF='x#y' rel='ugc Sponsored' hreflang=de><a href='mailto:a@b.test'>\
            <a href='http://['><form action=f><style>a{b:url(c)}</style><meta property=og:url content=o>\
            <iframe srcdoc='<p style=&quot;b:url(i)&quot;>'></iframe><link rel=canonical href=z>";
        let listing = listed(html, "text/html; charset=koi8-r");
        assert_eq!(
            told(&listing),
            [
                "followed header.link page http://a.test/dir/h",
                "followed header.refresh page http://a.test/dir/r",
                "followed a.href page http://a.test/b/x#y",
                "followed a.href page mailto:a@b.test UnsupportedScheme",
                "followed a.href page - Invalid",
                "form form.action page http://a.test/b/f",
                "followed style. embed http://a.test/b/c",
                "metadata meta.content page http://a.test/b/o",
                "followed link.href page http://a.test/b/z",
                "followed p.style embed http://a.test/b/i",
            ]
        );
        assert_eq!(listing.encoding, Some(("KOI8-R", Source::Header)));
        assert_eq!(
            listing.facts.canonical.as_deref(),
            Some("http://a.test/b/z")
        );
        assert_eq!(listing.base.as_str(), "http://a.test/b/");
        assert!(listing.links[0].flags.nofollow);
        let link = &listing.links[2];
        assert_eq!(
            (link.rel.as_deref(), link.flags.ugc, link.flags.sponsored),
            (Some("ugc Sponsored"), true, true)
        );
        assert_eq!(link.hreflang.as_deref(), Some("de"));
    }

    #[test]
    fn what_is_no_markup_is_not_read_as_such() {
        #[track_caller]
        fn check(bytes: &[u8], content_type: &str, kind: Kind, links: &[&str]) {
            let listing = listed(bytes, content_type);
            assert_eq!(listing.kind, kind);
            assert_eq!(told(&listing)[2..], *links);
        }
        check(b"<a href=x>", "text/plain", Kind::Text, &[]);
        check(b"<a href=x>", "image/png", Kind::Other, &[]);
        check(b"<rss><a href=x>", "text/html", Kind::Sitemap, &[]);
        check(b"<q><a href=x>", "*/*", Kind::Text, &[]); // starts with no tag of the standard's table
        check(
            b"@import 'x'; a{b:url(#no)}",
            "text/css",
            Kind::Css,
            &["followed css. embed http://a.test/dir/x"],
        );
    }
}

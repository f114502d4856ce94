//! What a page says of the use of its content: the headers and the document, as statements of the rights ledger.
//!
//! Owns the reading of X-Robots-Tag and meta robots (Google's "robots meta tag specifications"), of `tdm-reservation` and
//! `tdm-policy` (TDM Reservation Protocol), of Content-Usage (draft-ietf-aipref-attach) and Content-Signal headers, and of
//! licence links. What a statement means for the crawl's purpose is `contract::rights`'.
//! Invariant: at most [`STATEMENTS_MAX`] statements come of a page, whatever it holds. Start at [`Heard`].

mod date;
mod tags;

use contract::clock::Wall;
use contract::rights::{By, STATEMENTS_MAX, Statement};
use http::HeaderMap;
use http::header::LINK;

use crate::html::{facts, rel};
use crate::linkheader;

/// Headers of one name that are read.
const HEADERS_MAX: usize = 16;
/// Bytes of one value that are read.
const VALUE_MAX: usize = 4_096;

/// Collects the statements of one page.
pub struct Heard<'p> {
    said: Vec<Statement>,
    /// Our product token, in lower case.
    token: &'p str,
    /// When the page was asked for.
    now: Wall,
}

impl<'p> Heard<'p> {
    /// Begins with what the site said.
    pub fn new(site: &[Statement], token: &'p str, now: Wall) -> Self {
        Self {
            said: site.to_vec(),
            token,
            now,
        }
    }

    /// All that was said so far, in the order in which it was read.
    pub fn said(&self) -> &[Statement] {
        &self.said
    }

    pub fn finish(self) -> Vec<Statement> {
        self.said
    }

    pub fn headers(&mut self, headers: &HeaderMap) {
        for name in [
            "x-robots-tag",
            "content-usage",
            "content-signal",
            "tdm-reservation",
            "tdm-policy",
        ] {
            for value in headers.get_all(name).iter().take(HEADERS_MAX) {
                let value = String::from_utf8_lossy(value.as_bytes());
                let (by, value) = (By::Header(name), cut(&value));
                match name {
                    "x-robots-tag" => self.directives(by, value),
                    "content-usage" | "content-signal" => self.preferences(by, value),
                    _ => self.add(Statement::new(by, name, value.trim())),
                }
            }
        }
        self.license_headers(headers);
    }

    /// `Link: <https://a.test/terms>; rel=license` (RFC 8288).
    fn license_headers(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(LINK).iter().take(HEADERS_MAX) {
            let value = String::from_utf8_lossy(value.as_bytes());
            linkheader::each_link(cut(&value), |link| {
                if rel::is_license(&link.rel) {
                    self.add(Statement::new(By::Header("link"), "license", link.value));
                }
            });
        }
    }

    pub fn document(&mut self, facts: &facts::Facts) {
        for directives in [&facts.robots, &facts.robots_for_us].into_iter().flatten() {
            self.directives(By::Meta, cut(directives));
        }
        let tdm = [
            ("tdm-reservation", &facts.tdm_reservation),
            ("tdm-policy", &facts.tdm_policy),
        ];
        for (key, value) in tdm {
            if let Some(value) = value {
                self.add(Statement::new(By::Meta, key, value));
            }
        }
        for license in &facts.licenses {
            self.add(Statement::new(By::Link, "license", license));
        }
    }

    fn directives(&mut self, by: By, list: &str) {
        for directive in tags::read(list, self.token) {
            let mut statement = Statement::new(by, directive.key, &directive.value);
            statement.due = directive.after.is_some_and(|after| after <= self.now);
            self.add(statement);
        }
    }

    /// A dictionary of tokens (RFC 9651 section 3.2): `train-ai=n, search=y`.
    fn preferences(&mut self, by: By, list: &str) {
        for pair in list.split(',') {
            let pair = pair.split(';').next().unwrap_or_default();
            if let Some((key, value)) = pair.split_once('=') {
                self.add(Statement::new(
                    by,
                    key.trim(),
                    value.trim().trim_matches('"'),
                ));
            }
        }
    }

    fn add(&mut self, statement: Statement) {
        if self.said.len() < STATEMENTS_MAX {
            self.said.push(statement);
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_700_000_000_000_000); // 14 November 2023

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], want: &[&str]) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect();
        let mut heard = Heard::new(&[], "argiope", NOW);
        heard.headers(&headers);
        let said: Vec<String> = heard.finish().iter().map(ToString::to_string).collect();
        assert_eq!(said, want, "{headers:?}");
    }

    #[test]
    fn headers_become_statements() {
        check(&[], &[]);
        check(
            &[("x-robots-tag", "noindex, NOFOLLOW")],
            &["x-robots-tag: noindex", "x-robots-tag: nofollow"],
        );
        check(
            &[
                ("x-robots-tag", "noai"),
                ("x-robots-tag", "otherbot: noindex"),
                ("x-robots-tag", "Argiope: noarchive"),
            ],
            &["x-robots-tag: noai", "x-robots-tag: noarchive"],
        );
        check(
            &[
                ("tdm-reservation", " 1"),
                ("tdm-policy", "https://a.test/p.json"),
            ],
            &[
                "tdm-reservation: tdm-reservation=1",
                "tdm-policy: tdm-policy=https://a.test/p.json",
            ],
        );
        check(
            &[("content-usage", "train-ai=n;x=1, search=\"y\", ?")],
            &["content-usage: train-ai=n", "content-usage: search=y"],
        );
        check(
            &[(
                "link",
                "</p>; rel=next, <https://a.test/rsl.xml>; rel=\"license\"; type=\"application/rsl+xml\"",
            )],
            &["link: license=https://a.test/rsl.xml"],
        );
        check(
            &[("content-signal", "ai-train=no")],
            &["content-signal: ai-train=no"],
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many = "noindex,".repeat(10_000);
        let headers: HeaderMap = (0..100)
            .map(|_| {
                (
                    http::HeaderName::from_static("x-robots-tag"),
                    many.parse().unwrap(),
                )
            })
            .collect();
        let mut heard = Heard::new(&[], "argiope", NOW);
        heard.headers(&headers);
        assert_eq!(heard.said().len(), STATEMENTS_MAX);
    }

    #[test]
    fn a_time_is_due_once_it_has_come() {
        let mut heard = Heard::new(&[], "argiope", NOW);
        heard.directives(
            By::Meta,
            "unavailable_after: 13 Nov 2023, unavailable_after: 16 Nov 2023",
        );
        let due: Vec<bool> = heard.said().iter().map(|statement| statement.due).collect();
        assert_eq!(due, [true, false]);
    }
}

//! Resolved links to links of the crawl: fingerprint, scope, depth, kind.
//!
//! Owns what a link becomes on its way from the page to the frontier: in scope with its host, fingerprint, depth and
//! hops, or refused with the rule that decided. Distinct by fingerprint; bounded in number and bytes by its [`Part`]: what
//! has no room is in the next one. It knows no documents. Invariant: every link whose turn it is is in `links`, in
//! `refused`, is one of them already, is the page itself, or is where the next part begins. Start at [`Judge::link`].

use std::collections::HashMap;

use contract::canonical::{Fingerprint, Fingerprinter};
use contract::host::{Area, Host};
use contract::link::{Link, LinkKind, RefusedLink, URL_BYTES_MAX};
use contract::outcome::Outcome;
use contract::page::Page;
use contract::scope::{Decision, Found, Scope, UrlParts};
use url::Url;

use crate::distinct::AsHashed;
use crate::resolve::{NoUrl, Resolved};

/// Redirects and indexes in a row that lead from robots.txt to a sitemap.
const SITEMAP_HOPS_MAX: u8 = 5;
/// Of a `data:` URL the ledger keeps the head: the rest is content, not an address.
const DATA_URL_KEPT: usize = 64;

/// How a page has a link. Both may be true of one URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// A reader would follow it.
    pub page: bool,
    /// A browser needs it.
    pub embed: bool,
}

/// A part of a page's links, in the order in which the page has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of its first link.
    pub from: usize,
    pub links_max: usize,
    /// Of their texts; a part of one link may have more.
    pub bytes_max: usize,
}

/// What became of the links of a part.
#[derive(Debug, Default)]
pub struct Judged {
    pub links: Vec<Link>,
    pub refused: Vec<RefusedLink>,
    /// Links left out before they came here.
    pub over: u64,
    /// The number of the next part's first link; none after the last part.
    pub next: Option<usize>,
}

/// Judges the links of one page.
pub struct Judge<'p> {
    page: &'p Page,
    scope: &'p Scope,
    fingerprints: Fingerprinter,
    from_scope: bool,
    /// The page asks that its links be left alone, and the crawl's purpose obeys.
    nofollow: bool,
    /// Whether a link of this fingerprint was let in (or is the page itself).
    seen: HashMap<u64, bool, AsHashed>,
    part: Part,
    bytes_left: usize,
    /// Links that have come so far.
    turns: usize,
    judged: Judged,
    /// The host asked for last, and its area.
    last_area: (String, Area),
}

impl<'p> Judge<'p> {
    pub fn new(page: &'p Page, scope: &'p Scope, fingerprints: Fingerprinter, part: Part) -> Self {
        let mut seen = HashMap::default();
        let last_area = (page.host.to_string(), page.host.area());
        seen.insert(fingerprints.of_within(&page.url, last_area.1).0, true);
        Self {
            page,
            scope,
            fingerprints,
            from_scope: scope.contains(&page.url),
            nofollow: false,
            seen,
            part,
            bytes_left: part.bytes_max,
            turns: 0,
            judged: Judged::default(),
            last_area,
        }
    }

    pub fn finish(self) -> Judged {
        self.judged
    }

    /// Whether the next link belongs to this part. Asked once for each, before it is resolved and taken in.
    pub fn turn(&mut self) -> bool {
        self.turns += 1;
        self.turns > self.part.from && self.judged.next.is_none()
    }

    /// Refuses from now on what a reader would follow; what a browser needs is no link in this sense.
    pub fn nofollow(&mut self) {
        self.nofollow = true;
    }

    /// Counts links that were left out before they came here.
    pub fn left_out(&mut self, links: u64) {
        self.judged.over += links;
    }

    /// Takes in a link of the document.
    pub fn link(&mut self, raw: &str, resolved: Result<Resolved<'_>, NoUrl>, uses: Uses) {
        // As a page first: a thumbnail's full picture needs no hop. What is out of scope as a page may be in as an embed.
        let founds = [
            uses.page.then(|| self.found(LinkKind::Page)),
            uses.embed.then(|| self.found(LinkKind::Embed)),
        ];
        self.take(raw, resolved, founds.into_iter().flatten());
    }

    /// Takes in an entry of a sitemap or feed.
    pub fn entry(&mut self, raw: &str, resolved: Result<Resolved<'_>, NoUrl>, kind: LinkKind) {
        // What a page links to as a sitemap has no say over the scope.
        let trusted = self.page.queued.kind == LinkKind::Sitemap;
        let kind = if kind == LinkKind::Sitemap && !trusted {
            LinkKind::Page
        } else {
            kind
        };
        self.take(raw, resolved, [self.found(kind)]);
    }

    /// Takes in a sitemap that robots.txt names.
    pub fn named_sitemap(&mut self, raw: &str, resolved: Result<Resolved<'_>, NoUrl>) {
        let found = Found {
            kind: LinkKind::Sitemap,
            depth: 0,
            hops: 0,
            from_scope: true,
        };
        self.take(raw, resolved, [found]);
    }

    /// Takes in where a redirect leads. It keeps its source's standing: a seed's target becomes a seed.
    pub fn redirect(&mut self, raw: &str, resolved: Result<Resolved<'_>, NoUrl>) {
        let queued = &self.page.queued;
        let kind = match queued.kind {
            LinkKind::Page | LinkKind::Redirect => LinkKind::Redirect,
            other => other,
        };
        if kind == LinkKind::Seed {
            match &resolved {
                Ok(Resolved::Full(url)) => self.scope.add_seed(url),
                Ok(Resolved::Plain(url)) => {
                    if let Ok(url) = Url::parse(url.url) {
                        self.scope.add_seed(&url);
                    }
                }
                Err(_) => {}
            }
        }
        let found = Found {
            kind,
            depth: queued.depth,
            hops: queued.hops.saturating_add(1),
            from_scope: self.from_scope,
        };
        self.take(raw, resolved, [found]);
    }

    /// Where a link of this kind stands on this page.
    fn found(&self, kind: LinkKind) -> Found {
        let queued = &self.page.queued;
        let in_a_row = queued.hops.saturating_add(1);
        let (depth, hops) = match kind {
            LinkKind::Embed if queued.kind == LinkKind::Embed => (queued.depth, in_a_row),
            LinkKind::Embed => (queued.depth, 0),
            LinkKind::Sitemap => (queued.depth, in_a_row),
            LinkKind::Page | LinkKind::Redirect | LinkKind::Seed => {
                (queued.depth.saturating_add(1), 0)
            }
        };
        Found {
            kind,
            depth,
            hops,
            from_scope: self.from_scope,
        }
    }

    fn take(
        &mut self,
        raw: &str,
        resolved: Result<Resolved<'_>, NoUrl>,
        founds: impl IntoIterator<Item = Found>,
    ) {
        let mut founds = founds.into_iter();
        let Some(first) = founds.next() else { return };
        let (url, fingerprint) = match &resolved {
            Ok(Resolved::Full(url)) => {
                let parts = UrlParts::from(&**url);
                let area = self.area(parts.host);
                (parts, self.fingerprints.of_within(url, area))
            }
            Ok(Resolved::Plain(url)) => {
                let area = self.area(url.host);
                (*url, self.fingerprints.of_plain(url.url, area))
            }
            Err(why) => {
                let rule = match why {
                    NoUrl::UnsupportedScheme => "scheme",
                    NoUrl::Invalid => "not a url",
                    NoUrl::TooLong => "longer than 2048 bytes",
                };
                return self.refuse(raw, first.kind, why.outcome(), rule);
            }
        };
        let known = self.seen.get(&fingerprint.0).copied();
        if known == Some(true) {
            return;
        }
        let mut refusal = None;
        for found in std::iter::once(first).chain(founds) {
            match self.decide(url, found) {
                Decision::In => {
                    self.seen.insert(fingerprint.0, true);
                    return self.admit(url, fingerprint, found);
                }
                Decision::Out { outcome, rule } => {
                    refusal.get_or_insert((found.kind, outcome, rule));
                }
            }
        }
        if known.is_none()
            && let Some((kind, outcome, rule)) = refusal
        {
            self.seen.insert(fingerprint.0, false);
            self.refuse(url.url, kind, outcome, &rule);
        }
    }

    /// The area of a link's host; most links lead to the page's own or to the one before's.
    fn area(&mut self, host: &str) -> Area {
        if self.last_area.0 != host {
            self.last_area = (host.to_owned(), Area::of(host));
        }
        self.last_area.1
    }

    fn decide(&self, url: UrlParts<'_>, found: Found) -> Decision {
        if self.nofollow && found.kind == LinkKind::Page {
            return Decision::Out {
                outcome: Outcome::DirectiveRefused,
                rule: "nofollow".to_owned(),
            };
        }
        if found.kind == LinkKind::Sitemap && found.hops > SITEMAP_HOPS_MAX {
            let rule = format!("sitemap hops {SITEMAP_HOPS_MAX}");
            return Decision::Out {
                outcome: Outcome::OutOfScope,
                rule,
            };
        }
        self.scope.decide_parts(url, found)
    }

    fn admit(&mut self, url: UrlParts<'_>, fingerprint: Fingerprint, found: Found) {
        let host = if url.host == self.page.host.as_str() {
            self.page.host.clone()
        } else {
            let name = url.host.strip_suffix('.').unwrap_or(url.host);
            if name.is_empty() {
                return self.refuse(url.url, found.kind, Outcome::InvalidUrl, "no host");
            }
            Host::from_stored(name)
        };
        if self.has_room(url.url.len()) {
            let (kind, depth, hops) = (found.kind, found.depth, found.hops);
            let url = url.url.into();
            self.judged.links.push(Link {
                host,
                url,
                fingerprint,
                kind,
                depth,
                hops,
            });
        }
    }

    fn refuse(&mut self, url: &str, kind: LinkKind, outcome: Outcome, rule: &str) {
        let is_data = url
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        let kept = if is_data {
            DATA_URL_KEPT
        } else {
            URL_BYTES_MAX
        };
        let url = &url[..url.floor_char_boundary(kept)];
        if self.has_room(url.len() + rule.len()) {
            self.judged.refused.push(RefusedLink {
                url: url.to_owned(),
                kind,
                outcome,
                rule: rule.to_owned(),
            });
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let count = self.judged.links.len() + self.judged.refused.len();
        let left = self.bytes_left.checked_sub(bytes);
        let left = left.filter(|_| count < self.part.links_max);
        // The first one has room whatever it is, so that each part gets on.
        match left.or((count == 0).then_some(0)) {
            Some(left) => {
                self.bytes_left = left;
                true
            }
            None => {
                self.judged.next = Some(self.turns.saturating_sub(1));
                false
            }
        }
    }
}

//! One page, read: what kind of document it is, what it says of itself, where it leads.
//!
//! Owns the order of reading: robots.txt and redirects by their heads, then the body by its kind. Pages without an answer
//! pass through untouched; links come from answers with 2xx only, facts from any. A page with more links than a part holds
//! is read again for each part, so that the memory is that of one. It knows no actor and no outbox.
//! Invariant: a page is only looked at; what is found is returned beside it. Start at [`Reader::read`].

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use contract::canonical::Fingerprinter;
use contract::coding::{self, WholeGzip};
use contract::crawl::LimitsConfig;
use contract::keep::{Facts, TextFacts};
use contract::link::{Link, LinkKind, RefusedLink};
use contract::outcome::Outcome;
use contract::page::{Exchange, Page, Place};
use contract::rights::{self, Purpose};
use contract::scope::Scope;
use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_LANGUAGE, HeaderName, LINK, LOCATION, REFRESH};
use url::Url;

use crate::body::{self, Plain};
use crate::config::ParserConfig;
use crate::distinct::Distinct;
use crate::html::links::{Standing, clean_decoded};
use crate::html::text::MainText;
use crate::html::tokens::Syntax;
use crate::html::{self, HtmlOptions, refresh};
use crate::judge::{Judge, Part, Uses};
use crate::resolve::{self, Resolver};
use crate::rights::Heard;
use crate::sitemap::entry::{Entry, Role};
use crate::sitemap::{self, Sitemap};
use crate::sniff::{self, Kind};
use crate::watch::{Late, Watch};
use crate::{charset, css, linkheader};

/// Decoded bodies up to this length leave their memory to the next one.
const BUFFER_KEPT: usize = 1 << 20;
/// Bytes of a directive header that are kept.
const DIRECTIVES_MAX: usize = 256;
/// Where a sitemap is that nobody names. Software that keeps it elsewhere (`/wp-sitemap.xml`, `/sitemap_index.xml`) redirects
/// from here; each further place would cost every host that has none a request.
const WELL_KNOWN_SITEMAP: &str = "/sitemap.xml";
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// What a parser reads with.
#[derive(Clone, Debug)]
pub struct Rules {
    pub config: ParserConfig,
    pub limits: LimitsConfig,
    /// Our product token.
    pub robots_agent: String,
    /// What the content is for.
    pub purpose: Purpose,
    pub scope: Arc<Scope>,
    pub fingerprints: Fingerprinter,
}

/// What was read from a page.
#[derive(Debug)]
pub struct Parsed {
    pub kind: Kind,
    /// Bytes of the document that were read, decoded.
    pub bytes: usize,
    pub links: Vec<Link>,
    pub refused: Vec<RefusedLink>,
    /// Links left out by the bounds.
    pub left_out: u64,
    /// Where the next part of the links begins, when there are more.
    pub next: Option<usize>,
    pub facts: Facts,
    /// Why the document was not read to its end; what came before counts, but for what was found when time was over.
    pub fault: Option<ReadFault>,
}

/// Why reading ended early.
#[derive(Debug)]
pub enum ReadFault {
    Late(Late),
    Coding(coding::CodingError),
}

/// Reads pages, one after the other.
pub struct Reader {
    rules: Rules,
    html: HtmlOptions,
    buffer: Vec<u8>,
    gzip: RefCell<WholeGzip>,
}

impl Reader {
    pub fn new(rules: Rules) -> Self {
        let html = HtmlOptions {
            token: rules.robots_agent.to_ascii_lowercase(),
            link_attributes: rules.config.link_attributes.clone(),
            forms: rules.config.follow_forms,
            metadata: rules.config.follow_metadata,
        };
        Self {
            rules,
            html,
            buffer: Vec::new(),
            gzip: RefCell::default(),
        }
    }

    /// Reads a page until the watch says that time is over, with one part of its links: those from this number on.
    pub fn read(&mut self, page: &Page, from: usize, watch: &mut Watch<'_>) -> Parsed {
        let Rules {
            config,
            scope,
            fingerprints,
            ..
        } = &self.rules;
        let part = Part {
            from,
            links_max: config.part_links_max,
            bytes_max: config.part_bytes_max,
        };
        let mut judge = Judge::new(page, scope, *fingerprints, part);
        let mut buffer = std::mem::take(&mut self.buffer);
        let (kind, bytes, facts, fault) = self.read_with(page, &mut judge, &mut buffer, watch);
        buffer.clear();
        buffer.shrink_to(BUFFER_KEPT);
        self.buffer = buffer;
        let judged = judge.finish();
        let (links, refused, next) = match fault {
            // Half a part's links would depend on how busy the machine was.
            Some(ReadFault::Late(_)) => (Vec::new(), Vec::new(), None),
            _ => (judged.links, judged.refused, judged.next),
        };
        Parsed {
            kind,
            bytes,
            links,
            refused,
            left_out: judged.over,
            next,
            facts,
            fault,
        }
    }

    fn read_with(
        &self,
        page: &Page,
        judge: &mut Judge<'_>,
        buffer: &mut Vec<u8>,
        watch: &mut Watch<'_>,
    ) -> (Kind, usize, Facts, Option<ReadFault>) {
        let mut facts = Facts::default();
        let Some(exchange) = page.exchange.as_deref() else {
            return (Kind::Other, 0, facts, None);
        };
        match &page.place {
            Place::Queue(_) => {}
            Place::Robots { sitemaps, .. } => {
                if self.rules.scope.has_host(&page.url) {
                    let mut resolver = Resolver::new(&page.url, UTF_8);
                    let tried = sitemaps.is_empty() && self.rules.scope.tries_sitemaps();
                    let named = sitemaps.iter().map(String::as_str);
                    for raw in named.chain(tried.then_some(WELL_KNOWN_SITEMAP)) {
                        if judge.turn() {
                            judge.named_sitemap(raw, resolver.resolve(raw));
                        }
                    }
                }
                facts.mime = body::content_type(exchange).and_then(sniff::essence);
                return (Kind::Other, 0, facts, None);
            }
            Place::Beside => {
                facts.mime = body::content_type(exchange).and_then(sniff::essence);
                return (Kind::Other, 0, facts, None);
            }
        }
        let mut heard = Heard::new(&page.said, &self.html.token, page.began);
        heard.headers(&exchange.headers);
        let purpose = self.rules.purpose;
        if rights::obeys_nofollow(purpose, heard.said()) {
            judge.nofollow();
        }
        let follow = exchange.status.is_success();
        if page.verdict.outcome == Outcome::Redirect {
            redirect(page, exchange, judge);
        }
        if follow {
            of_headers(page, exchange, judge);
        }
        let listed = page.queued.kind == LinkKind::Sitemap && follow;
        let limit = usize::try_from(self.rules.limits.parse_bytes_max).unwrap_or(usize::MAX);
        let plain = body::plain(exchange, limit, listed, buffer, &mut self.gzip.borrow_mut());
        facts.mime = Some(plain.sniffed.mime.clone())
            .filter(|_| !exchange.body.is_empty() || body::content_type(exchange).is_some());
        facts.robots = directives(exchange);
        facts.language = exchange
            .header(CONTENT_LANGUAGE)
            .map(|language| language.chars().take(64).collect());
        let kind = plain.sniffed.kind;
        let document = Document {
            reader: self,
            page,
            exchange,
            follow,
        };
        let (bytes, late) = match kind {
            Kind::Html | Kind::Svg => document.html(&plain, &mut facts, &mut heard, judge, watch),
            Kind::Css if follow => document.css(&plain, &mut facts, judge),
            // What robots.txt or an index names as a sitemap is read as one, whatever it looks like at first.
            Kind::Sitemap | Kind::Text | Kind::Other
                if listed || (kind == Kind::Sitemap && follow) =>
            {
                let (bytes, ended) = document.sitemap(&plain, judge, watch);
                facts.rights = heard.finish();
                return (kind, bytes, facts, ended);
            }
            Kind::Css | Kind::Text | Kind::Sitemap | Kind::Other => (0, Ok(())),
        };
        facts.rights = heard.finish();
        let fault = late
            .err()
            .map(ReadFault::Late)
            .or(plain.fault.map(ReadFault::Coding));
        (kind, bytes, facts, fault)
    }
}

/// A page with an answer, while it is read.
struct Document<'r> {
    reader: &'r Reader,
    page: &'r Page,
    exchange: &'r Exchange,
    /// Its links count.
    follow: bool,
}

/// Where a document's text stands: by itself, or in another's `srcdoc`.
#[derive(Clone, Copy)]
struct Within<'u> {
    syntax: Syntax,
    /// Its base URL if it does not name one.
    fallback: &'u Url,
    encoding: &'static Encoding,
    depth: usize,
}

type Read = (usize, Result<(), Late>);

impl Document<'_> {
    fn decode<'b>(
        &self,
        plain: &Plain<'b>,
        facts: &mut Facts,
    ) -> (Cow<'b, str>, &'static Encoding) {
        let header = body::content_type(self.exchange).and_then(sniff::charset);
        let tld = self.page.host.as_str().rsplit('.').next();
        let decoded = charset::decode(plain.bytes, header, tld);
        facts.charset = Some(decoded.encoding.name());
        (decoded.text, decoded.encoding)
    }

    fn html(
        &self,
        plain: &Plain<'_>,
        facts: &mut Facts,
        heard: &mut Heard<'_>,
        judge: &mut Judge<'_>,
        watch: &mut Watch<'_>,
    ) -> Read {
        facts.html = plain.sniffed.kind == Kind::Html;
        let (text, encoding) = self.decode(plain, facts);
        let place = Within {
            syntax: plain.sniffed.syntax(),
            fallback: &self.page.url,
            encoding,
            depth: 0,
        };
        let (said, main, base) = match self.links(&text, place, Some(heard), judge, watch) {
            Ok(read) => read,
            Err(late) => return (text.len(), Err(late)),
        };
        facts.text = Some(TextFacts {
            chars: main.chars(),
            simhash: main.simhash(),
            phrases: main.phrases(),
            language: main.language(),
        });
        facts.title = said.title;
        facts.description = said.description;
        facts.language = said.language.or(facts.language.take());
        facts.canonical = said
            .canonical
            .map(|raw| resolve::join(&base, encoding, &raw).map_or(raw, String::from));
        let ours = said
            .robots_for_us
            .map(|directives| format!("{}: {directives}", self.reader.html.token));
        facts.robots = joined([facts.robots.take(), said.robots, ours]);
        (text.len(), Ok(()))
    }

    /// Reads a document's links, then those of the documents within it; tells what it says and its base URL. What
    /// it says of its use is `heard`; a document within it has no say.
    fn links(
        &self,
        text: &str,
        place: Within<'_>,
        heard: Option<&mut Heard<'_>>,
        judge: &mut Judge<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<(html::facts::Facts, MainText, Url), Late> {
        let config = &self.reader.rules.config;
        let options = &self.reader.html;
        let mut distinct = Distinct::new(self.reader.rules.fingerprints.seed, config.links_max);
        let said = html::read(text, place.syntax, options, watch, |link, _| {
            if options.follow(link.standing) {
                distinct.add(link.value, link.kind);
            }
        })?;
        if let Some(heard) = heard {
            heard.document(&said.facts);
            if rights::obeys_nofollow(self.reader.rules.purpose, heard.said()) {
                judge.nofollow();
            }
        }
        let base = resolve::base(place.fallback, place.encoding, said.facts.base.as_deref());
        if self.follow {
            let (links, over) = distinct.finish();
            judge.left_out(over + said.frames_over);
            let mut resolver = Resolver::new(&base, place.encoding);
            watch.restart()?;
            for (n, link) in links.iter().enumerate() {
                // A link costs about as much as a hundred bytes of text.
                watch.look(n.saturating_mul(100))?;
                if !judge.turn() {
                    continue;
                }
                let resolved = resolver.resolve(&link.value);
                let (page, embed) = (link.page, link.embed);
                judge.link(&link.value, resolved, Uses { page, embed });
            }
            for frame in &said.frames {
                if place.depth == html::FRAMES_DEEP {
                    judge.left_out(1);
                    continue;
                }
                watch.restart()?;
                let within = Within {
                    syntax: Syntax::Html,
                    fallback: &base,
                    encoding: place.encoding,
                    depth: place.depth + 1,
                };
                self.links(frame, within, None, judge, watch)?;
            }
        }
        Ok((said.facts, said.text, base.into_owned()))
    }

    fn css(&self, plain: &Plain<'_>, facts: &mut Facts, judge: &mut Judge<'_>) -> Read {
        let (text, encoding) = self.decode(plain, facts);
        let config = &self.reader.rules.config;
        let mut distinct = Distinct::new(self.reader.rules.fingerprints.seed, config.links_max);
        css::each_url(&text, |url| {
            if !url.is_empty() && !url.starts_with('#') {
                distinct.add(clean_decoded(url), LinkKind::Embed);
            }
        });
        let (links, over) = distinct.finish();
        judge.left_out(over);
        let mut resolver = Resolver::new(&self.page.url, encoding);
        for link in &links {
            if !judge.turn() {
                continue;
            }
            judge.link(
                &link.value,
                resolver.resolve(&link.value),
                Uses {
                    page: false,
                    embed: true,
                },
            );
        }
        (text.len(), Ok(()))
    }

    /// Reads a sitemap or feed from its start, as a stream.
    fn sitemap(
        &self,
        plain: &Plain<'_>,
        judge: &mut Judge<'_>,
        watch: &mut Watch<'_>,
    ) -> (usize, Option<ReadFault>) {
        let header = body::content_type(self.exchange).and_then(sniff::charset);
        let (encoding, mut bom) = charset::of_xml(plain.bytes, header);
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let mut resolver = Resolver::new(&self.page.url, encoding);
        let mut sitemap = Sitemap::new(Some(self.page.url.clone()));
        let (mut text, mut read, mut late) = (String::new(), 0, None);
        let mut found = |role: Role, entry: Entry| {
            sitemap::each_link(role, &entry, |url, kind| {
                if judge.turn() {
                    let url = without_fragment(url);
                    judge.entry(url, resolver.resolve(url), kind);
                }
            });
        };
        let mut sink = |piece: &[u8]| {
            let skip = bom.min(piece.len());
            bom -= skip;
            let piece = &piece[skip..];
            read += piece.len();
            if let Err(over) = watch.look(read) {
                late = Some(over);
                return std::ops::ControlFlow::Break(());
            }
            text.clear();
            // More than enough for every encoding, so that one call takes it all.
            text.reserve(
                decoder
                    .max_utf8_buffer_length(piece.len())
                    .unwrap_or(piece.len() * 3 + 16),
            );
            let _all_of_it = decoder.decode_to_string(piece, &mut text, false);
            sitemap.feed(&text, &mut found)
        };
        let limit = self.reader.rules.config.sitemap_bytes_max;
        let ended = coding::decode(&self.exchange.body, &plain.codings, limit, &mut sink);
        let full = sitemap.finish(&mut found).end == sitemap::End::Full;
        judge.left_out(u64::from(full));
        let fault = late
            .map(ReadFault::Late)
            .or(ended.err().map(ReadFault::Coding));
        (read, fault)
    }
}

/// Where a 3xx answer leads.
fn redirect(page: &Page, exchange: &Exchange, judge: &mut Judge<'_>) {
    let Some(location) = exchange.headers.get(LOCATION) else {
        return;
    };
    // Servers send UTF-8 there, whatever the grammar says.
    let location = String::from_utf8_lossy(location.as_bytes());
    let raw = without_fragment(location.trim_ascii());
    if judge.turn() {
        judge.redirect(raw, Resolver::new(&page.url, UTF_8).resolve(raw));
    }
}

/// Links in the head: Link and Refresh.
fn of_headers(page: &Page, exchange: &Exchange, judge: &mut Judge<'_>) {
    let headers = &exchange.headers;
    if !headers.contains_key(LINK) && !headers.contains_key(REFRESH) {
        return;
    }
    let mut resolver = Resolver::new(&page.url, UTF_8);
    let mut link = |raw: &str, kind: LinkKind| {
        if !judge.turn() {
            return;
        }
        let raw = without_fragment(raw);
        let page = kind == LinkKind::Page;
        judge.link(raw, resolver.resolve(raw), Uses { page, embed: !page });
    };
    for value in headers.get_all(LINK) {
        linkheader::each_link(&String::from_utf8_lossy(value.as_bytes()), |found| {
            if found.standing == Standing::Followed {
                link(found.value, found.kind);
            }
        });
    }
    if let Some(value) = headers.get(REFRESH)
        && let Some(url) = refresh::url(&String::from_utf8_lossy(value.as_bytes()))
    {
        link(url, LinkKind::Page);
    }
}

/// X-Robots-Tag as written, several joined.
fn directives(exchange: &Exchange) -> Option<String> {
    let values = exchange.headers.get_all(X_ROBOTS_TAG).iter();
    joined(values.map(|value| Some(String::from_utf8_lossy(value.as_bytes()).into_owned())))
}

fn joined(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let mut all = parts.into_iter().flatten().reduce(|mut all, part| {
        if all.len() < DIRECTIVES_MAX {
            all.push_str(", ");
            all.push_str(&part);
        }
        all
    })?;
    all.truncate(all.floor_char_boundary(3 * DIRECTIVES_MAX));
    Some(all)
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

//! What a page says of itself: title, description, canonical, language, robots directives, charset.
//!
//! Owns the reading of `<title>`, `<meta>`, `<link rel=canonical>` and `<html lang>`; of each the first in the document
//! counts, robots directives add up. Invariant: every text is bounded here, whatever the page holds.

use super::entities::{Place, decode};
use super::links::clean;
use super::names::{Attr, Element};
use super::rel;
use super::tokens::Tokens;

/// Characters of a title or description that are kept.
pub const TEXT_CHARS_MAX: usize = 1_024;
/// Characters of a directive list, language or charset that are kept.
const WORDS_CHARS_MAX: usize = 256;
/// Characters of a URL that are kept: longer ones are not fetched anyway.
const URL_CHARS_MAX: usize = 2_048;

/// A longer `<base href>` does not count: what is resolved with it would not be fetched.
const BASE_BYTES_MAX: usize = 8 * 1_024;
/// Licence links that are kept.
const LICENSES_MAX: usize = 4;

/// A page's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `<title>`, whitespace folded.
    pub title: Option<String>,
    /// `<meta name=description>`, whitespace folded.
    pub description: Option<String>,
    /// `<link rel=canonical>`, not resolved.
    pub canonical: Option<String>,
    /// `<html lang>`, else `<meta http-equiv=content-language>`.
    pub language: Option<String>,
    /// `<meta name=robots>`, as written; several joined by ", ".
    pub robots: Option<String>,
    /// `<meta name=…>` of our product token, alike.
    pub robots_for_us: Option<String>,
    /// `<meta name=tdm-reservation>` and `<meta name=tdm-policy>`, as written.
    pub tdm_reservation: Option<String>,
    pub tdm_policy: Option<String>,
    /// `<link rel=license>` and `<a rel=license>`, not resolved; the first few.
    pub licenses: Vec<String>,
    /// `<meta charset>`, as written. What the bytes were decoded with is another question.
    pub charset: Option<String>,
    /// `<base href>`, not resolved.
    pub base: Option<String>,
}

impl Facts {
    /// Takes in a start tag of HTML. `token` is our product token, in lower case.
    pub fn of_tag(&mut self, tokens: &Tokens<'_>, token: &str) {
        let attr = |attr| tokens.attr(attr);
        match tokens.tag().element {
            Element::Html if self.language.is_none() => {
                self.language = attr(Attr::Lang).and_then(|lang| folded(lang, WORDS_CHARS_MAX));
            }
            Element::Base if self.base.is_none() => {
                self.base = attr(Attr::Href).map(|href| {
                    let href = clean(href);
                    let whole = href.len() <= BASE_BYTES_MAX;
                    if whole {
                        href.into_owned()
                    } else {
                        String::new()
                    }
                });
            }
            Element::Link
                if self.canonical.is_none() && attr(Attr::Rel).is_some_and(rel::is_canonical) =>
            {
                self.canonical =
                    attr(Attr::Href).map(|href| clean(href).chars().take(URL_CHARS_MAX).collect());
            }
            Element::Link | Element::A if attr(Attr::Rel).is_some_and(rel::is_license) => {
                self.of_license(tokens);
            }
            Element::Meta => self.of_meta(tokens, token),
            _ => {}
        }
    }

    fn of_license(&mut self, tokens: &Tokens<'_>) {
        if let Some(href) = tokens.attr(Attr::Href)
            && self.licenses.len() < LICENSES_MAX
        {
            let url: String = clean(href).chars().take(URL_CHARS_MAX).collect();
            if !self.licenses.contains(&url) {
                self.licenses.push(url);
            }
        }
    }

    fn of_meta(&mut self, tokens: &Tokens<'_>, token: &str) {
        let content = tokens.attr(Attr::Content).unwrap_or_default();
        if let Some(name) = tokens.attr(Attr::Name) {
            let name = name.trim_matches(|c: char| c.is_ascii_whitespace());
            if name.eq_ignore_ascii_case("description") {
                first(&mut self.description, content, TEXT_CHARS_MAX);
            } else if name.eq_ignore_ascii_case("robots") {
                add(&mut self.robots, content);
            } else if name.eq_ignore_ascii_case("tdm-reservation") {
                first(&mut self.tdm_reservation, content, WORDS_CHARS_MAX);
            } else if name.eq_ignore_ascii_case("tdm-policy") {
                first(&mut self.tdm_policy, content, URL_CHARS_MAX);
            } else if name.eq_ignore_ascii_case(token) {
                add(&mut self.robots_for_us, content);
            }
        } else if let Some(name) = tokens.attr(Attr::HttpEquiv) {
            if name.eq_ignore_ascii_case("content-language") {
                first(&mut self.language, content, WORDS_CHARS_MAX);
            }
        } else if let Some(charset) = tokens.attr(Attr::Charset) {
            first(&mut self.charset, charset, WORDS_CHARS_MAX);
        }
    }

    /// Takes in the text of the first `<title>`.
    pub fn of_title(&mut self, raw: &str) {
        if self.title.is_none() {
            self.title = fold(&decode(cut(raw), Place::Text), TEXT_CHARS_MAX);
        }
    }
}

fn first(slot: &mut Option<String>, raw: &str, chars_max: usize) {
    if slot.is_none() {
        *slot = folded(raw, chars_max);
    }
}

fn add(slot: &mut Option<String>, raw: &str) {
    let Some(more) = folded(raw, WORDS_CHARS_MAX) else {
        return;
    };
    match slot {
        None => *slot = Some(more),
        // A page of nothing but robots directives does not grow past its bound.
        Some(all) if all.len() + more.len() <= WORDS_CHARS_MAX => {
            all.push_str(", ");
            all.push_str(&more);
        }
        Some(_) => {}
    }
}

fn folded(raw: &str, chars_max: usize) -> Option<String> {
    fold(&decode(cut(raw), Place::Attribute), chars_max)
}

/// The part of a raw text that can matter, however much whitespace and however many references stand in it.
fn cut(raw: &str) -> &str {
    const RAW_BYTES_MAX: usize = 64 * 1_024;
    &raw[..raw.floor_char_boundary(RAW_BYTES_MAX)]
}

/// `text` with each run of whitespace as one space, none at the ends, at most `chars_max` characters; none if empty.
fn fold(text: &str, chars_max: usize) -> Option<String> {
    let mut out = String::new();
    let mut left = chars_max;
    for word in text.split_ascii_whitespace() {
        if !out.is_empty() && left > 1 {
            out.push(' ');
            left -= 1;
        }
        let before = out.len();
        out.extend(word.chars().take(left));
        left -= out[before..].chars().count();
        if left == 0 {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

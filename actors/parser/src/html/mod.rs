//! HTML to links and facts in one pass, without a tree.
//!
//! Owns the order of things: the tokenizer reads, [`links`] and [`facts`] look at each tag. What is inside `<template>` is
//! not part of the document: its links are found all the same (a script will show them), its facts and text are not.
//! It knows no base URL and no scope. Invariant: linear time and memory bounded by the document's. Start at [`read`].

pub mod entities;
pub mod facts;
mod foreign;
mod jsonld;
mod language;
pub mod links;
pub mod names;
pub mod refresh;
pub mod rel;
mod scan;
mod srcset;
#[cfg(test)]
mod tests;
pub mod text;
pub mod tokens;

use std::borrow::Cow;

use contract::link::LinkKind;

use self::facts::Facts;
use self::links::{Links, RawLink, Standing};
use self::names::{Attr, Element};
use self::text::MainText;
use self::tokens::{Namespace, Syntax, Token, Tokens};
use crate::watch::{Late, Watch};

/// Documents of one document's `srcdoc` attributes that are read; the rest is counted.
pub const FRAMES_MAX: usize = 1_000;

/// How deep documents in `srcdoc` attributes are read: each level is read again, with one `&amp;` less.
pub const FRAMES_DEEP: usize = 3;

/// How HTML is read.
#[derive(Clone, Debug, Default)]
pub struct HtmlOptions {
    /// Our product token, in lower case: `<meta name=TOKEN>` speaks to us.
    pub token: String,
    /// More attributes, in lower case, with URLs on any element (`data-src`): a page's where the name ends with "href", an
    /// embed's candidates where it ends with "srcset", else an embed's.
    pub link_attributes: Vec<String>,
    /// The actions of forms sent by GET are followed.
    pub forms: bool,
    /// The URLs of Open Graph and Twitter cards are followed.
    pub metadata: bool,
}

impl HtmlOptions {
    /// True if a link that stands so is one for the crawl.
    #[inline]
    pub fn follow(&self, standing: Standing) -> bool {
        match standing {
            Standing::Followed => true,
            Standing::Form => self.forms,
            Standing::Metadata => self.metadata,
            Standing::Post | Standing::Hint => false,
        }
    }
}

/// What a document says beside its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    pub facts: Facts,
    /// What it is about.
    pub text: MainText,
    /// The documents within: `srcdoc` attributes, decoded.
    pub frames: Vec<Cow<'a, str>>,
    /// Such documents over [`FRAMES_MAX`].
    pub frames_over: u64,
}

/// Whose text comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextOf {
    /// The document's own.
    Document,
    /// An element's that is not shown, or of no meaning here.
    Nothing,
    Title,
    Style,
    JsonLd,
}

/// Reads a decoded document: its facts, and each link to `found` in document order, with the start tag it comes from.
///
/// # Errors
/// [`Late`] when the watch says that time is over; what was found before stays found.
pub fn read<'a>(
    text: &'a str,
    syntax: Syntax,
    options: &'a HtmlOptions,
    watch: &mut Watch<'_>,
    mut found: impl FnMut(RawLink<'a>, &Tokens<'a>),
) -> Result<Said<'a>, Late> {
    let mut tokens = Tokens::with_extra(text, syntax, &options.link_attributes);
    let mut said = Said::default();
    let mut links = Links::default();
    let mut templates: u32 = 0;
    let mut text_of = TextOf::Document;
    loop {
        let token = match text_of {
            TextOf::Document if templates > 0 || !said.text.wants() => tokens.next_tag_of_note(),
            TextOf::Document => tokens.next_of_note(),
            TextOf::Nothing => tokens.next_tag_of_note(),
            TextOf::Title | TextOf::Style | TextOf::JsonLd => tokens.next(),
        };
        let Some(token) = token else { break };
        watch.look(tokens.position())?;
        match token {
            Token::Start => {
                links.of_tag(&tokens, templates > 0, &mut |link| found(link, &tokens));
                text_of = TextOf::Document;
                let tag = tokens.tag();
                if tag.element != Element::Other {
                    if !tag.foreign() && templates == 0 {
                        said.text.opens(tag.element);
                        said.facts.of_tag(&tokens, &options.token);
                        if tag.element == Element::Iframe {
                            said.of_frame(&tokens);
                        }
                    }
                    if !tokens.closed() {
                        templates += u32::from(tag.element == Element::Template && !tag.foreign());
                        text_of = text_of_element(&tokens, templates > 0);
                    }
                }
            }
            Token::End => {
                let tag = tokens.tag();
                if tag.element == Element::Template && !tag.foreign() {
                    templates = templates.saturating_sub(1);
                } else if tag.element == Element::Title && text_of == TextOf::Title {
                    said.facts.title.get_or_insert_default();
                } else {
                    if !tag.foreign() && templates == 0 {
                        said.text.closes(tag.element);
                    }
                    links.of_end(tag.element);
                }
                text_of = TextOf::Document;
            }
            Token::Text(text) => {
                let mut found = |link| found(link, &tokens);
                match text_of {
                    TextOf::Document if templates == 0 => said.text.add(text),
                    TextOf::Document | TextOf::Nothing => {}
                    TextOf::Title => said.facts.of_title(text),
                    TextOf::Style => {
                        let references = tokens.tag().foreign() || syntax == Syntax::Xml;
                        links::of_css(text, "", references, &mut found);
                    }
                    TextOf::JsonLd => jsonld::each_url(text, |value| {
                        found(RawLink {
                            value,
                            kind: LinkKind::Page,
                            standing: Standing::Followed,
                            attribute: "",
                        });
                    }),
                }
            }
        }
    }
    said.facts.title = said.facts.title.filter(|title| !title.is_empty());
    Ok(said)
}

impl<'a> Said<'a> {
    fn of_frame(&mut self, tokens: &Tokens<'a>) {
        if let Some(document) = tokens.attr(Attr::Srcdoc) {
            if self.frames.len() < FRAMES_MAX {
                let document = entities::decode(document, entities::Place::Attribute);
                self.frames.push(document);
            } else {
                self.frames_over += 1;
            }
        }
    }
}

fn text_of_element(tokens: &Tokens<'_>, in_template: bool) -> TextOf {
    let tag = tokens.tag();
    // The essence of the type; none where it is not said or empty.
    let kind = || {
        let kind = tokens.attr(Attr::Type)?.split(';').next()?.trim_ascii();
        (!kind.is_empty()).then_some(kind)
    };
    match tag.element {
        Element::Title if tag.namespace == Namespace::Html && !in_template => TextOf::Title,
        Element::Style if kind().is_none_or(|kind| kind.eq_ignore_ascii_case("text/css")) => {
            TextOf::Style
        }
        Element::Script
            if kind().is_some_and(|kind| kind.eq_ignore_ascii_case("application/ld+json")) =>
        {
            TextOf::JsonLd
        }
        Element::Script
        | Element::Style
        | Element::Textarea
        | Element::Iframe
        | Element::Noembed
        | Element::Noframes => TextOf::Nothing,
        _ => TextOf::Document,
    }
}

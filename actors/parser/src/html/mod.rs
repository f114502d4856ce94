//! HTML to links and facts in one pass, without a tree.
//!
//! Owns the order of things: the tokenizer reads, [`links`] and [`facts`] look at each tag. What is inside `<template>` is
//! not part of the document: its links are found all the same (a script will show them), its facts are not.
//! It knows no base URL and no scope. Invariant: linear time and memory bounded by the document's. Start at [`read`].

pub mod entities;
pub mod facts;
mod foreign;
mod jsonld;
pub mod links;
pub mod names;
pub mod refresh;
pub mod rel;
mod scan;
mod srcset;
#[cfg(test)]
mod tests;
pub mod tokens;

use contract::link::LinkKind;

use self::facts::Facts;
use self::links::RawLink;
use self::names::{Attr, Element};
use self::tokens::{Tag, Token, Tokens};
use crate::watch::{Late, Watch};

/// How HTML is read.
#[derive(Clone, Debug, Default)]
pub struct HtmlOptions {
    /// Our product token, in lower case: `<meta name=TOKEN>` speaks to us.
    pub token: String,
    /// Attributes, in lower case, whose value is an embed's URL on any element (`data-src`).
    pub link_attributes: Vec<String>,
}

/// Whose text comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextOf {
    Nothing,
    Title,
    Style,
    JsonLd,
}

/// Reads a decoded document: its facts, and each link to `found` in document order.
///
/// # Errors
/// [`Late`] when the watch says that time is over; what was found before stays found.
pub fn read<'a>(
    text: &'a str,
    options: &'a HtmlOptions,
    watch: &mut Watch<'_>,
    mut found: impl FnMut(RawLink<'a>),
) -> Result<Facts, Late> {
    let mut tokens = Tokens::with_extra(text, &options.link_attributes);
    let mut facts = Facts::default();
    let mut templates: u32 = 0;
    let mut text_of = TextOf::Nothing;
    loop {
        let token = match text_of {
            TextOf::Nothing => tokens.next_of_note(),
            _ => tokens.next(),
        };
        let Some(token) = token else { break };
        watch.look(tokens.position())?;
        match token {
            Token::Start => {
                let tag = tokens.tag();
                links::of_tag(tag, &tokens, &mut found);
                text_of = TextOf::Nothing;
                if tag.element != Element::Other {
                    if !tag.foreign && templates == 0 {
                        facts.of_tag(tag, &tokens, &options.token);
                    }
                    templates += u32::from(tag.element == Element::Template && !tag.foreign);
                    text_of = text_of_element(tag, &tokens, templates > 0);
                }
            }
            Token::End => {
                let tag = tokens.tag();
                if tag.element == Element::Template && !tag.foreign {
                    templates = templates.saturating_sub(1);
                } else if tag.element == Element::Title && text_of == TextOf::Title {
                    facts.title.get_or_insert_default();
                }
                text_of = TextOf::Nothing;
            }
            Token::Text(text) => match text_of {
                TextOf::Nothing => {}
                TextOf::Title => facts.of_title(text),
                TextOf::Style => links::of_css(text, false, &mut found),
                TextOf::JsonLd => {
                    jsonld::each_url(text, |url| found(RawLink::new(url, LinkKind::Page)))
                }
            },
        }
    }
    facts.title = facts.title.filter(|title| !title.is_empty());
    Ok(facts)
}

fn text_of_element<'a>(tag: &Tag<'a>, tokens: &Tokens<'a>, in_template: bool) -> TextOf {
    match tag.element {
        Element::Title if !tag.foreign && !in_template => TextOf::Title,
        Element::Style => TextOf::Style,
        Element::Script if !tag.foreign => {
            let json_ld = tokens.attr(Attr::Type).is_some_and(|kind| {
                let essence = kind.split(';').next().unwrap_or_default();
                essence
                    .trim_ascii()
                    .eq_ignore_ascii_case("application/ld+json")
            });
            if json_ld {
                TextOf::JsonLd
            } else {
                TextOf::Nothing
            }
        }
        _ => TextOf::Nothing,
    }
}

//! `keep`: a parsed page, handed from the parser to storage. Taking it means: it becomes durable, then settled.

use crate::link::{Link, RefusedLink};
use crate::outbox::Ask;
use crate::page::Page;
use crate::rights::Statement;

/// "Keep this page."
#[derive(Debug)]
pub struct Keep(pub ParsedPage);

impl Ask for Keep {
    type Reply = ();
}

/// A page with what was read from it.
#[derive(Debug)]
pub struct ParsedPage {
    pub page: Page,
    /// Distinct links in scope.
    pub links: Vec<Link>,
    /// Distinct links that will not be fetched.
    pub refused: Vec<RefusedLink>,
    pub facts: Facts,
}

/// What a page says of itself. Texts are bounded by the parser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The sniffed media type's essence ("text/html").
    pub mime: Option<String>,
    /// True for an HTML document (a line of pages.jsonl).
    pub html: bool,
    pub charset: Option<&'static str>,
    /// At most 1,024 characters.
    pub title: Option<String>,
    pub description: Option<String>,
    pub language: Option<String>,
    pub canonical: Option<String>,
    /// The main text; none where the page is no document with text.
    pub text: Option<TextFacts>,
    /// The page's own robots directives, as written.
    pub robots: Option<String>,
    /// What site and page say of the use of the page.
    pub rights: Vec<Statement>,
}

/// What a page's main text is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextFacts {
    /// Characters, whitespace left out.
    pub chars: u64,
    /// Simhash of its word shingles: texts that differ in few places differ in few bits. None without words.
    pub simhash: Option<u64>,
    /// The least hashes of its word shingles, numbers left out, ascending: texts of one stock of phrases share them sooner or later. What
    /// is missing in a text of fewer shingles is [`u64::MAX`].
    pub phrases: [u64; PHRASES],
    /// The language that it seems to be written in, by BCP 47; none in doubt. What the page declares is another fact.
    pub language: Option<&'static str>,
}

/// Phrases of a text that are kept.
pub const PHRASES: usize = 4;

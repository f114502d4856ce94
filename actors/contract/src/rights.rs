//! What a site and a page say of the use of their content, and what the crawl's purpose makes of it.
//!
//! Owns the nouns of the rights ledger ([`Purpose`], [`Statement`]) and its one decision, the table of
//! docs/reference/directives.md. Where statements stand and how they are read is the fetcher's (robots.txt, tdmrep.json)
//! and the parser's (headers, documents). Invariant: a statement that nobody made refuses nothing, and of several the
//! strictest decides. Start at [`refusing`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// Statements of one page that are kept; a page has no more to say of its use.
pub const STATEMENTS_MAX: usize = 64;
/// Bytes of a statement's value that are kept.
pub const VALUE_BYTES_MAX: usize = 512;

/// What the crawl's content is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// An index that leads people to the pages.
    Search,
    /// Training or adjusting a model.
    AiTrain,
    /// Input of a model that answers: grounding, retrieval, summaries.
    AiInput,
    /// Keeping what the web was.
    #[default]
    Archive,
    /// Scientific research by text and data mining.
    Research,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::AiTrain => "ai-train",
            Self::AiInput => "ai-input",
            Self::Archive => "archive",
            Self::Research => "research",
        }
    }

    /// Whether a site's `/.well-known/tdmrep.json` is asked for: it is about text and data mining.
    pub fn is_mining(self) -> bool {
        matches!(self, Self::AiTrain | Self::AiInput | Self::Research)
    }
}

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `Content-Signal` in robots.txt, in this line.
    Signal(u32),
    /// `Content-Usage` in robots.txt, in this line.
    Usage(u32),
    /// `License` in robots.txt.
    Robots,
    /// `/.well-known/tdmrep.json`.
    WellKnown,
    /// A header of the answer.
    Header(&'static str),
    /// A `<meta>` of the document.
    Meta,
    /// A link of the document with `rel=license`.
    Link,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(line) => write!(f, "robots.txt:{line} content-signal"),
            Self::Usage(line) => write!(f, "robots.txt:{line} content-usage"),
            Self::Robots => f.write_str("robots.txt"),
            Self::WellKnown => f.write_str("tdmrep.json"),
            Self::Header(name) => f.write_str(name),
            Self::Meta => f.write_str("meta"),
            Self::Link => f.write_str("link"),
        }
    }
}

/// One thing said of the use of a page's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub by: By,
    /// In lower case: `noindex`, `max-snippet`, `ai-train`, `tdm-reservation`, `license`.
    pub key: String,
    /// As written; empty where the key says it all.
    pub value: String,
    /// Its time has come: only of an `unavailable_after`.
    pub due: bool,
}

impl Statement {
    /// A statement of bounded length.
    pub fn new(by: By, key: &str, value: &str) -> Self {
        let cut = |text: &str| text[..text.floor_char_boundary(VALUE_BYTES_MAX)].to_owned();
        Self {
            by,
            key: cut(key).to_ascii_lowercase(),
            value: cut(value),
            due: false,
        }
    }

    /// `key`, or `key=value`.
    pub fn says(&self) -> String {
        match self.value.is_empty() {
            true => self.key.clone(),
            false => format!("{}={}", self.key, self.value),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.by, self.says())
    }
}

/// The first statement that refuses to have the content kept for this purpose, if there is one.
/// `image` says that the content is an image itself.
pub fn refusing(purpose: Purpose, said: &[Statement], image: bool) -> Option<&Statement> {
    said.iter().find(|statement| match statement.by {
        By::Signal(_) | By::Header("content-signal") => refused_by_signal(purpose, statement),
        By::Usage(_) | By::Header("content-usage") => refused_by_usage(purpose, statement, said),
        By::Robots | By::Link => false,
        By::WellKnown | By::Header(_) | By::Meta => refused_by_directive(purpose, statement, image),
    })
}

/// Whether links are left alone because the page says `nofollow`: it is a word to search engines.
pub fn obeys_nofollow(purpose: Purpose, said: &[Statement]) -> bool {
    purpose == Purpose::Search
        && said
            .iter()
            .any(|statement| matches!(&*statement.key, "nofollow" | "none"))
}

/// Content signals (contentsignals.org): `search`, `ai-input`, `ai-train`, each yes or no.
fn refused_by_signal(purpose: Purpose, statement: &Statement) -> bool {
    let key = match purpose {
        Purpose::Search => "search",
        Purpose::AiTrain => "ai-train",
        Purpose::AiInput => "ai-input",
        Purpose::Archive | Purpose::Research => return false,
    };
    statement.key == key && is_no(&statement.value)
}

/// AI preferences (draft-ietf-aipref-vocab): a category's preference holds for those within it that have none.
fn refused_by_usage(purpose: Purpose, statement: &Statement, said: &[Statement]) -> bool {
    // From the narrowest category to the widest; `bots` is all automated processing.
    let categories: &[&str] = match purpose {
        Purpose::Search => &["search", "bots"],
        Purpose::AiTrain => &["train-genai", "train-ai", "bots"],
        Purpose::AiInput => &["ai-input", "ai-use", "bots"],
        Purpose::Archive | Purpose::Research => &["bots"],
    };
    let Some(at) = categories
        .iter()
        .position(|category| statement.key == *category)
    else {
        return false;
    };
    let narrower = &categories[..at];
    let is_allowed = |other: &Statement| {
        other.by == statement.by && narrower.contains(&&*other.key) && !is_no(&other.value)
    };
    is_no(&statement.value) && !said.iter().any(is_allowed)
}

fn is_no(value: &str) -> bool {
    value.eq_ignore_ascii_case("no") || value.eq_ignore_ascii_case("n")
}

/// The words of X-Robots-Tag, meta robots and TDMRep.
fn refused_by_directive(purpose: Purpose, statement: &Statement, image: bool) -> bool {
    use Purpose::{AiInput, AiTrain, Archive, Search};
    let refused: &[Purpose] = match &*statement.key {
        "noindex" | "none" => &[Search, AiInput],
        "noarchive" | "nocache" => &[Archive, AiTrain, AiInput],
        "nosnippet" => &[AiInput],
        "max-snippet" if statement.value == "0" => &[AiInput],
        "unavailable_after" if statement.due => &[Search, AiInput],
        "noai" => &[AiTrain, AiInput],
        "noimageai" if image => &[AiTrain, AiInput],
        "noimageindex" if image => &[Search],
        "tdm-reservation" if statement.value == "1" => &[AiTrain, AiInput],
        _ => &[],
    };
    refused.contains(&purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 5] = [
        Purpose::Search,
        Purpose::AiTrain,
        Purpose::AiInput,
        Purpose::Archive,
        Purpose::Research,
    ];

    /// The purposes that a statement refuses, in the order of the table.
    #[track_caller]
    fn check(by: By, says: &str, image: bool, want: &[Purpose]) {
        let said: Vec<Statement> = says
            .split(", ")
            .map(|one| {
                let (key, value) = one.split_once('=').unwrap_or((one, ""));
                Statement::new(by, key, value)
            })
            .collect();
        let refused: Vec<Purpose> = ALL
            .into_iter()
            .filter(|purpose| refusing(*purpose, &said, image).is_some())
            .collect();
        assert_eq!(refused, want, "{by}: {says}");
    }

    #[test]
    fn the_table_of_purposes_and_directives() {
        use Purpose::{AiInput, AiTrain, Archive, Research, Search};
        for by in [By::Header("x-robots-tag"), By::Meta] {
            check(by, "noindex", false, &[Search, AiInput]);
            check(by, "none", false, &[Search, AiInput]);
            check(by, "nofollow", false, &[]);
            check(by, "noarchive", false, &[AiTrain, AiInput, Archive]);
            check(by, "nocache", false, &[AiTrain, AiInput, Archive]);
            check(by, "nosnippet", false, &[AiInput]);
            check(by, "max-snippet=0", false, &[AiInput]);
            check(by, "max-snippet=50", false, &[]);
            check(by, "noai", false, &[AiTrain, AiInput]);
            check(by, "noimageai", false, &[]);
            check(by, "noimageai", true, &[AiTrain, AiInput]);
            check(by, "noimageindex", true, &[Search]);
            check(by, "unavailable_after=2020-01-01", false, &[]);
            check(by, "all, index, follow, something-else=1", false, &[]);
        }
        check(
            By::WellKnown,
            "tdm-reservation=1, tdm-policy=https://a.test/p",
            false,
            &[AiTrain, AiInput],
        );
        check(
            By::Header("tdm-reservation"),
            "tdm-reservation=1",
            false,
            &[AiTrain, AiInput],
        );
        check(By::Meta, "tdm-reservation=0", false, &[]);
        let signal = By::Signal(3);
        check(signal, "search=yes, ai-train=no", false, &[AiTrain]);
        check(
            signal,
            "search=no, ai-input=no, ai-train=yes",
            false,
            &[Search, AiInput],
        );
        let usage = By::Usage(3);
        check(usage, "train-ai=n", false, &[AiTrain]);
        check(usage, "search=n", false, &[Search]);
        check(usage, "bots=n", false, &ALL);
        check(
            usage,
            "bots=n, train-ai=y",
            false,
            &[Search, AiInput, Archive, Research],
        );
        check(usage, "train-ai=n, train-genai=y", false, &[]);
        check(
            By::Header("content-usage"),
            "train-genai=n",
            false,
            &[AiTrain],
        );
        check(By::Robots, "license=https://a.test/rsl.xml", false, &[]);
        check(
            By::Link,
            "license=https://creativecommons.org/licenses/by/4.0/",
            false,
            &[],
        );
    }

    #[test]
    fn a_time_that_has_come_refuses() {
        let mut after = Statement::new(By::Meta, "unavailable_after", "2020-01-01");
        after.due = true;
        let said = [Statement::new(By::Meta, "follow", ""), after];
        assert_eq!(refusing(Purpose::Search, &said, false), Some(&said[1]));
        assert_eq!(refusing(Purpose::Archive, &said, false), None);
        assert_eq!(said[1].to_string(), "meta: unavailable_after=2020-01-01");
    }

    #[test]
    fn nofollow_is_a_word_to_search_engines() {
        let said = [Statement::new(By::Meta, "none", "")];
        for purpose in ALL {
            assert_eq!(obeys_nofollow(purpose, &said), purpose == Purpose::Search);
        }
    }
}

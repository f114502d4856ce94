//! What a site says of the use of its pages: the lines of robots.txt that are no rules, and `/.well-known/tdmrep.json`.
//!
//! Owns which of these statements hold for a path. What they mean for the crawl's purpose is `contract::rights`'; how
//! the files are had is [`crate::run`]'s. Invariant: reading never fails (what is none of these says nothing), and what
//! is kept of a site is bounded. Start at [`SiteRights::said`].

use contract::rights::{By, STATEMENTS_MAX, Statement};

use crate::robots::pattern::{Path, Pattern};
use crate::robots::{Rules, UsageLine};

/// Usage lines, licences and TDM rules of a site that are kept, of each.
const LINES_MAX: usize = 256;

/// A site's statements, by the paths that they are about.
#[derive(Clone, Debug, Default)]
pub struct SiteRights {
    lines: Vec<Line>,
    licenses: Vec<Statement>,
    tdm: Vec<TdmRule>,
}

/// A `Content-Signal` or `Content-Usage` line: the categories it names, for the paths that match.
#[derive(Clone, Debug)]
struct Line {
    /// None: every path.
    pattern: Option<Pattern>,
    said: Vec<Statement>,
}

/// An entry of tdmrep.json (TDM Reservation Protocol, section 6): the first whose location matches holds.
#[derive(Clone, Debug)]
struct TdmRule {
    location: Pattern,
    said: Vec<Statement>,
}

impl SiteRights {
    /// Of the lines that robots.txt has for us.
    pub fn of(rules: &Rules) -> Self {
        let license = |url: &String| Statement::new(By::Robots, "license", url);
        Self {
            lines: rules
                .usage()
                .iter()
                .take(LINES_MAX)
                .filter_map(line)
                .collect(),
            licenses: rules
                .licenses()
                .iter()
                .take(LINES_MAX)
                .map(license)
                .collect(),
            tdm: Vec::new(),
        }
    }

    /// With a tdmrep.json, which says nothing unless it is a list of rules.
    pub fn with_tdm(mut self, body: &[u8]) -> Self {
        let rules: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
        self.tdm = rules.iter().take(LINES_MAX).filter_map(tdm_rule).collect();
        self
    }

    /// What holds for a path (with its query, as it is requested).
    pub fn said(&self, path_and_query: &str) -> Vec<Statement> {
        if self.lines.is_empty() && self.licenses.is_empty() && self.tdm.is_empty() {
            return Vec::new();
        }
        let path = Path::new(path_and_query.as_bytes());
        let tdm = self.tdm.iter().find(|rule| rule.location.matches(&path));
        let signals = self.longest(&path, |by| matches!(by, By::Signal(_)));
        let usage = self.longest(&path, |by| matches!(by, By::Usage(_)));
        let said = signals
            .chain(usage)
            .chain(tdm.into_iter().flat_map(|rule| &rule.said));
        said.chain(&self.licenses)
            .take(STATEMENTS_MAX)
            .cloned()
            .collect()
    }

    /// What the lines of a kind say that match this path with the most octets (draft-ietf-aipref-attach, as for rules).
    fn longest(
        &self,
        path: &Path,
        kind: impl Fn(By) -> bool + Clone,
    ) -> impl Iterator<Item = &Statement> {
        let of_kind = move |line: &&Line| {
            line.said
                .first()
                .is_some_and(|statement| kind(statement.by))
        };
        let matching: Vec<(usize, &Line)> = self
            .lines
            .iter()
            .filter(of_kind)
            .filter_map(|line| match &line.pattern {
                None => Some((0, line)),
                Some(pattern) => pattern.matches(path).then(|| (pattern.octets(), line)),
            })
            .collect();
        let most = matching.iter().map(|(octets, _)| *octets).max();
        let lines = matching
            .into_iter()
            .filter(move |(octets, _)| Some(*octets) == most);
        lines.flat_map(|(_, line)| &line.said)
    }
}

/// `[path] category=preference, …`; what is no such pair is left out.
fn line(line: &UsageLine) -> Option<Line> {
    let (path, list) = match line.value.split_once([' ', '\t']) {
        Some((path, list)) if path.starts_with(['/', '*']) => (Some(path), list),
        _ => (None, &*line.value),
    };
    let by = match line.key {
        "content-signal" => By::Signal(line.line),
        _ => By::Usage(line.line),
    };
    let said: Vec<Statement> = pairs(by, list).take(STATEMENTS_MAX).collect();
    let pattern = path.map(|path| Pattern::new(path.as_bytes()));
    (!said.is_empty()).then_some(Line { pattern, said })
}

fn pairs(by: By, list: &str) -> impl Iterator<Item = Statement> {
    list.split([',', ';']).filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        (!key.is_empty() && !value.is_empty()).then(|| Statement::new(by, key, value))
    })
}

fn tdm_rule(rule: &serde_json::Value) -> Option<TdmRule> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let location = rule.get("location")?.as_str()?;
    let said = ["tdm-reservation", "tdm-policy"].iter().filter_map(|key| {
        let value = text(rule.get(key)?)?;
        Some(Statement::new(By::WellKnown, key, &value))
    });
    Some(TdmRule {
        location: Pattern::new(location.as_bytes()),
        said: said.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robots::Robots;

    #[track_caller]
    fn check(rights: &SiteRights, path: &str, want: &[&str]) {
        let said: Vec<String> = rights.said(path).iter().map(ToString::to_string).collect();
        assert_eq!(said, want, "{path}");
    }

    fn site(robots: &str) -> SiteRights {
        SiteRights::of(&Robots::parse(robots.as_bytes()).rules_for("argiope"))
    }

    #[test]
    fn signals_and_preferences_hold_for_their_paths() {
        let rights = site(
            "License: https://a.test/rsl.xml\nuser-agent: *\ncontent-signal: search=yes, AI-Train = no,junk\n\
             content-usage: train-ai=n\ncontent-usage: /open/ train-ai=y\ncontent-usage: /*.png$ bots=\"n\"\nallow: /\n",
        );
        let license = "robots.txt: license=https://a.test/rsl.xml";
        let signals = [
            "robots.txt:3 content-signal: search=yes",
            "robots.txt:3 content-signal: ai-train=no",
        ];
        check(
            &rights,
            "/x",
            &[
                signals[0],
                signals[1],
                "robots.txt:4 content-usage: train-ai=n",
                license,
            ],
        );
        check(
            &rights,
            "/open/x",
            &[
                signals[0],
                signals[1],
                "robots.txt:5 content-usage: train-ai=y",
                license,
            ],
        );
        check(
            &rights,
            "/i.png",
            &[
                signals[0],
                signals[1],
                "robots.txt:6 content-usage: bots=n",
                license,
            ],
        );
        check(
            &site("user-agent: other\ncontent-signal: search=no\n"),
            "/x",
            &[],
        );
        check(
            &site("user-agent: *\ncontent-signal: nothing of this kind\n"),
            "/x",
            &[],
        );
    }

    #[test]
    fn tdm_rules_hold_by_the_first_location_that_matches() {
        let body = br#"[{"location":"/free/","tdm-reservation":0},
            {"location":"/*.html$","tdm-reservation":"1","tdm-policy":"https://a.test/policy"},
            {"location":"/","tdm-reservation":1},{"no":"location"},7]"#;
        let rights = SiteRights::default().with_tdm(body);
        check(&rights, "/free/a.html", &["tdmrep.json: tdm-reservation=0"]);
        check(
            &rights,
            "/a.html",
            &[
                "tdmrep.json: tdm-reservation=1",
                "tdmrep.json: tdm-policy=https://a.test/policy",
            ],
        );
        check(&rights, "/a", &["tdmrep.json: tdm-reservation=1"]);
        for nothing in [&b"<html>"[..], b"", b"{}", b"[", b"[[[["] {
            check(&SiteRights::default().with_tdm(nothing), "/", &[]);
        }
    }
}

//! What a site's robots.txt says: RFC 9309, read the way that Google documents and its own reader behaves.
//!
//! Owns the reading of a robots.txt body into groups, and the decision about a path. It knows neither sockets,
//! status codes nor time: whether there is a body at all is decided by whoever fetched it.
//! Invariants: reading never fails (a line that is no rule says nothing); a decision's time is linear in the
//! length of the file and of the path, whatever the patterns; what matches is decided by the most octets, a tie
//! allows. Start reading at [`Robots::parse`], then [`Rules::decide`].

mod line;
pub(crate) mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use line::Key;
use pattern::{Path, Pattern};

/// Bytes of a robots.txt that are read (RFC 9309 section 2.5 asks for at least 500 KiB).
pub const BODY_MAX: usize = 500 * 1_024;

/// A robots.txt, read.
#[derive(Clone, Debug, Default)]
pub struct Robots {
    groups: Vec<Group>,
    sitemaps: Vec<String>,
    licenses: Vec<String>,
    /// True when the body was longer than [`BODY_MAX`] and its rest was not read.
    cut: bool,
}

/// Consecutive `User-agent` lines and what follows up to the next ones.
#[derive(Clone, Debug, Default)]
struct Group {
    agents: Vec<Agent>,
    rules: Vec<Arc<Rule>>,
    /// Lines that hold for the agents named above them, and for no agent named below: `agents[..upto]`.
    extras: Vec<Extra>,
    /// A rule has been read, so that the next `User-agent` begins a new group.
    closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Agent {
    Any,
    /// Lower case, letters, `-` and `_` only.
    Token(String),
}

#[derive(Clone, Debug)]
struct Extra {
    upto: usize,
    what: ExtraKind,
}

#[derive(Clone, Debug)]
enum ExtraKind {
    Delay(Duration),
    Usage(UsageLine),
}

/// A `Content-Signal` or `Content-Usage` line, kept as it stands: others decide what it means for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLine {
    /// From 1.
    pub line: u32,
    /// `content-signal` or `content-usage`.
    pub key: &'static str,
    pub value: String,
}

/// One `Allow` or `Disallow` line.
#[derive(Clone, Debug)]
struct Rule {
    line: u32,
    allow: bool,
    pattern: Pattern,
    text: Box<str>,
}

/// What a robots.txt says to one agent: the rules of all groups that name it, or else those for everybody.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Most octets first, then `Allow`, then in the order of the file: the first that matches decides.
    rules: Vec<Arc<Rule>>,
    crawl_delay: Option<Duration>,
    usage: Vec<UsageLine>,
    licenses: Vec<String>,
}

/// Whether a path may be fetched, and by which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    pub allowed: bool,
    /// The deciding line, from 1; none where no rule matches.
    pub line: Option<u32>,
    /// The deciding rule as in the file, without comment, control characters replaced; empty without one.
    pub rule: &'a str,
}

impl Robots {
    /// Reads a body. What is beyond [`BODY_MAX`] is left out, from the last whole line on.
    pub fn parse(body: &[u8]) -> Self {
        let cut = body.len() > BODY_MAX;
        let body = if cut { whole_lines(body) } else { body };
        let mut robots = Self {
            cut,
            ..Self::default()
        };
        for line in line::lines(line::without_bom(body)) {
            let Some((key, value)) = line::split(line.bytes) else {
                continue;
            };
            robots.add(line.number, key, value);
        }
        robots
    }

    fn add(&mut self, line: u32, key: Key, value: &[u8]) {
        if value.is_empty() && matches!(key, Key::Sitemap | Key::License) {
            return;
        }
        if let Key::Sitemap = key {
            self.sitemaps
                .push(String::from_utf8_lossy(value).into_owned());
            return;
        }
        if let Key::License = key {
            self.licenses.push(printable(value));
            return;
        }
        if let Key::UserAgent = key {
            if self.groups.last().is_none_or(|group| group.closed) {
                self.groups.push(Group::default());
            }
            if let (Some(group), Some(agent)) = (self.groups.last_mut(), agent_of(value)) {
                group.agents.push(agent);
            }
            return;
        }
        // A rule above the first `User-agent` belongs to nobody (RFC 9309 section 2.2.1).
        let Some(group) = self.groups.last_mut() else {
            return;
        };
        let upto = group.agents.len();
        match key {
            Key::Allow | Key::Disallow => {
                group.closed = true;
                group.add_rule(line, matches!(key, Key::Allow), value);
            }
            Key::CrawlDelay => {
                if let Some(delay) = delay_of(value) {
                    group.extras.push(Extra {
                        upto,
                        what: ExtraKind::Delay(delay),
                    });
                }
            }
            Key::Usage(key) => {
                let value = printable(value);
                group.extras.push(Extra {
                    upto,
                    what: ExtraKind::Usage(UsageLine { line, key, value }),
                });
            }
            Key::UserAgent | Key::Sitemap | Key::License => {}
        }
    }

    /// The rules for an agent, given by its product token in any case, or by a User-Agent line that begins with it and
    /// a `/`. Groups that name it are read as one; without any, those for `*` hold, as for what is no product token.
    pub fn rules_for(&self, agent: &str) -> Rules {
        let product = agent.split('/').next().unwrap_or_default();
        let own = agent_token(product.as_bytes())
            .filter(|_| !product.contains(' '))
            .map(Agent::Token);
        let named = |agent: &Agent| self.groups.iter().any(|group| group.agents.contains(agent));
        let agent = own.filter(named).unwrap_or(Agent::Any);

        let mut rules = Rules {
            licenses: self.licenses.clone(),
            ..Rules::default()
        };
        for group in &self.groups {
            let Some(first) = group.agents.iter().position(|named| *named == agent) else {
                continue;
            };
            rules.rules.extend(group.rules.iter().cloned());
            for extra in group.extras.iter().filter(|extra| first < extra.upto) {
                match &extra.what {
                    ExtraKind::Delay(delay) => {
                        rules.crawl_delay = rules.crawl_delay.max(Some(*delay))
                    }
                    ExtraKind::Usage(line) => rules.usage.push(line.clone()),
                }
            }
        }
        rules.rules.sort_by(|a, b| {
            (b.pattern.octets(), b.allow, a.line).cmp(&(a.pattern.octets(), a.allow, b.line))
        });
        rules
    }

    /// The `Sitemap` lines, which belong to no group, in the order of the file and as they stand.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }

    /// True when the body was longer than [`BODY_MAX`], so that its rest was not read.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Group {
    fn add_rule(&mut self, line: u32, allow: bool, value: &[u8]) {
        // An empty pattern matches nothing: an empty `Disallow` allows all.
        if value.is_empty() {
            return;
        }
        let mut text = String::with_capacity("Disallow: ".len() + value.len());
        text.push_str(if allow { "Allow: " } else { "Disallow: " });
        push_printable(&mut text, value);
        let text = text.into_boxed_str();
        // Whoever allows a directory's index page means the directory's own address too (Google's reader).
        let directory = pattern::directory_of_index(value).filter(|_| allow);
        if let Some(directory) = directory {
            let pattern = Pattern::exactly(directory);
            self.rules.push(Arc::new(Rule {
                line,
                allow,
                pattern,
                text: text.clone(),
            }));
        }
        self.rules.push(Arc::new(Rule {
            line,
            allow,
            pattern: Pattern::new(value),
            text,
        }));
    }
}

impl Rules {
    /// May this path (with its query, without fragment; `/` where a URL has none) be fetched?
    pub fn decide(&self, path_and_query: &str) -> Verdict<'_> {
        const FREE: Verdict<'static> = Verdict {
            allowed: true,
            line: None,
            rule: "",
        };
        // RFC 9309 section 2.2.2: its own address is always allowed.
        if path_and_query == "/robots.txt" {
            return FREE;
        }
        let path = Path::new(path_and_query.as_bytes());
        let deciding = self.rules.iter().find(|rule| rule.pattern.matches(&path));
        deciding.map_or(FREE, |rule| Verdict {
            allowed: rule.allow,
            line: Some(rule.line),
            rule: &rule.text,
        })
    }

    /// The pause asked for between two requests, the longest where there are several.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// The `Content-Signal` and `Content-Usage` lines of the agent's groups.
    pub fn usage(&self) -> &[UsageLine] {
        &self.usage
    }

    /// The file's `License` lines (RSL 1.0), which belong to no group, as they stand.
    pub fn licenses(&self) -> &[String] {
        &self.licenses
    }

    /// True when no line restricts anything.
    pub fn is_empty(&self) -> bool {
        self.rules.iter().all(|rule| rule.allow)
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "robots.txt:{line}: {}", self.rule),
            None => f.write_str("no rule of robots.txt matches"),
        }
    }
}

fn agent_of(value: &[u8]) -> Option<Agent> {
    match value {
        [b'*'] => Some(Agent::Any),
        [b'*', next, ..] if next.is_ascii_whitespace() => Some(Agent::Any),
        _ => agent_token(value).map(Agent::Token),
    }
}

/// The product token at the start of a value, in lower case (RFC 9309 section 2.2.1).
fn agent_token(value: &[u8]) -> Option<String> {
    let token = value
        .iter()
        .take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'));
    let token: String = token.map(|b| char::from(b.to_ascii_lowercase())).collect();
    (!token.is_empty()).then_some(token)
}

/// Seconds with an optional fraction; what is no such number says nothing, what is too long stays the longest.
fn delay_of(value: &[u8]) -> Option<Duration> {
    let number = std::str::from_utf8(value).ok()?;
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = if plain {
        number.parse().ok()?
    } else {
        return None;
    };
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Text for people: as UTF-8, control characters replaced.
fn printable(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    push_printable(&mut text, value);
    text
}

fn push_printable(text: &mut String, value: &[u8]) {
    // Most of what people write.
    if value.iter().all(|b| matches!(b, b' '..=b'~'))
        && let Ok(plain) = std::str::from_utf8(value)
    {
        text.push_str(plain);
        return;
    }
    let shown = String::from_utf8_lossy(value);
    if shown.chars().any(char::is_control) {
        text.extend(
            shown
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c }),
        );
    } else {
        text.push_str(&shown);
    }
}

/// The whole lines of the first [`BODY_MAX`] bytes: a rule cut in two would be another rule.
fn whole_lines(body: &[u8]) -> &[u8] {
    let head = &body[..body.len().min(BODY_MAX + 1)];
    let end = memchr::memrchr2(b'\n', b'\r', head).unwrap_or(0);
    &body[..end]
}

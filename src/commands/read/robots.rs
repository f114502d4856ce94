//! `robots`: what a robots.txt says to an agent, and which line decides about a URL.
//!
//! The reading is the crawl's own ([`fetcher::robots`]); this file has the words of question and answer. Start at [`run`].

use contract::Url;
use fetcher::robots::{BODY_MAX, Robots, Rules, UsageLine};
use serde::{Deserialize, Serialize};

use super::jsonl::{self, Case, Text};
use super::source::{self, Found};
use crate::cli::RobotsArgs;
use crate::exit::{Code, Failure};

/// Shows what a file says, or answers cases by the line.
///
/// # Errors
/// A file that cannot be read or had, a URL that is none, and what [`jsonl::run`] finds.
pub async fn run(args: &RobotsArgs) -> Result<Code, Failure> {
    if args.lines.jsonl {
        return jsonl::run(answer);
    }
    let file = args.file.as_deref().unwrap_or("-");
    let found = match source::read(file, &args.fetch).await {
        // Nobody answered: that is an answer about robots.txt.
        Err(failure) if failure.code == Code::Error => Err(failure.message),
        found => Ok(found?),
    };
    let asked = Asked {
        agent: args.agent.clone(),
        url: None,
        urls: args.urls.iter().cloned().map(Text).collect(),
        robots: None,
    };
    let (body, closed) = meaning(found);
    let mut said = say(&body, asked).map_err(Failure::input)?;
    for verdict in said.verdicts.iter_mut().filter(|_| closed) {
        verdict.allowed = false;
    }
    show(&said);
    Ok(Code::Done)
}

/// The rules that an answer stands for, and whether all is disallowed (RFC 9309 section 2.3.1, as for a crawl). Says so.
fn meaning(found: Result<Found, String>) -> (Vec<u8>, bool) {
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            println!("{why}: everything is disallowed until it can be had");
            return (Vec::new(), true);
        }
    };
    if let Some(url) = &found.url {
        println!("from {url}");
    }
    match found.status {
        None | Some(200..=299) => (found.bytes, false),
        Some(status @ (429 | 500..)) => {
            println!("answered with {status}: everything is disallowed until it can be had");
            (Vec::new(), true)
        }
        Some(status) => {
            println!("answered with {status}: there is none, everything is allowed");
            (Vec::new(), false)
        }
    }
}

/// A case's own fields.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default = "default_agent")]
    agent: String,
    #[serde(default)]
    url: Option<Text>,
    #[serde(default)]
    urls: Vec<Text>,
    /// The file's text, as `text`.
    #[serde(default)]
    robots: Option<Text>,
}

fn default_agent() -> String {
    contract::crawl::AgentConfig::default().robots_agent
}

/// The answer to a case.
#[derive(Debug, PartialEq, Serialize)]
struct Said {
    /// Of the case's `url`.
    #[serde(flatten)]
    verdict: Option<Verdict>,
    /// Of each of the case's `urls`, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<Verdict>,
    /// Seconds.
    delay: Option<f64>,
    sitemaps: Vec<String>,
    signals: Vec<Signal>,
    licenses: Vec<String>,
    /// The file is longer than what is read of one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct Verdict {
    url: String,
    allowed: bool,
    /// The deciding line, from 1, and its text; none where no rule matches.
    line: Option<u32>,
    rule: Option<String>,
}

/// A `Content-Signal` or `Content-Usage` line of the agent's groups.
#[derive(Debug, PartialEq, Serialize)]
struct Signal {
    line: u32,
    key: &'static str,
    value: String,
}

impl Signal {
    fn of(line: &UsageLine) -> Self {
        Self {
            line: line.line,
            key: line.key,
            value: line.value.clone(),
        }
    }
}

fn answer(mut case: Case<Asked>) -> Result<Said, String> {
    match case.fields.robots.take() {
        Some(Text(robots)) => say(robots.as_bytes(), case.fields),
        None => {
            let body = case.document()?.bytes;
            say(&body, case.fields)
        }
    }
}

fn say(body: &[u8], asked: Asked) -> Result<Said, String> {
    let robots = Robots::parse(body);
    let rules = robots.rules_for(&asked.agent);
    let decide = |Text(url): Text| decide(&rules, url);
    Ok(Said {
        verdict: asked.url.map(decide).transpose()?,
        verdicts: asked
            .urls
            .into_iter()
            .map(decide)
            .collect::<Result<_, _>>()?,
        delay: rules.crawl_delay().map(|delay| delay.as_secs_f64()),
        sitemaps: robots.sitemaps().to_vec(),
        signals: rules.usage().iter().map(Signal::of).collect(),
        licenses: rules.licenses().to_vec(),
        cut: robots.is_cut(),
    })
}

fn decide(rules: &Rules, text: String) -> Result<Verdict, String> {
    let url = url_of(&text)?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let decided = rules.decide(path);
    Ok(Verdict {
        allowed: decided.allowed,
        line: decided.line,
        rule: decided.line.map(|_| decided.rule.to_owned()),
        url: text,
    })
}

/// A URL, or the path of one, also an empty one: the host does not matter here.
fn url_of(text: &str) -> Result<Url, String> {
    const SOME_HOST: &str = "http://host.invalid/";
    let parsed = match Url::parse(text) {
        Err(_) if text.is_empty() || text.starts_with('/') => {
            Url::parse(SOME_HOST).and_then(|base| base.join(text))
        }
        Err(_) if !text.contains("://") => Url::parse(&format!("http://{text}")),
        parsed => parsed,
    };
    parsed
        .ok()
        .filter(|url| !url.cannot_be_a_base())
        .ok_or_else(|| format!("{text:?}: neither a URL nor a path"))
}

fn show(said: &Said) {
    for verdict in &said.verdicts {
        let word = if verdict.allowed { "allowed" } else { "denied" };
        match (&verdict.rule, verdict.line) {
            (Some(rule), Some(line)) => {
                println!("{word} {} by line {line}: {rule}", plain(&verdict.url))
            }
            _ if verdict.allowed => println!("{word} {}: no rule matches", plain(&verdict.url)),
            _ => println!("{word} {}", plain(&verdict.url)),
        }
    }
    if let Some(delay) = said.delay {
        println!("delay {delay} s");
    }
    for sitemap in &said.sitemaps {
        println!("sitemap {}", plain(sitemap));
    }
    for signal in &said.signals {
        println!("{} in line {}: {}", signal.key, signal.line, signal.value);
    }
    for license in &said.licenses {
        println!("license {license}");
    }
    if said.cut {
        println!("only the first {BODY_MAX} bytes are read");
    }
}

/// Without characters that a terminal would obey.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, want: Result<&str, ()>) {
        let url = url_of(url);
        let path = url
            .as_ref()
            .map(|url| &url[url::Position::BeforePath..])
            .map_err(|_| ());
        assert_eq!(path, want);
    }

    #[test]
    fn a_url_or_a_path_is_asked_about() {
        check("https://a.test/x?y#z", Ok("/x?y#z"));
        check("/x/../y", Ok("/y"));
        check("/", Ok("/"));
        check("//a.test/x", Ok("/x"));
        check("a.test/x", Ok("/x"));
        check("a.test", Ok("/"));
        check("a.test?x", Ok("/?x"));
        check("", Ok("/"));
        check("mailto:a@b", Err(()));
        check("http://", Err(()));
    }

    #[test]
    fn an_answer_says_what_decided() {
        let asked = Asked {
            agent: "Argiope/1.0".into(),
            url: Some(Text("https://a.test/x".into())),
            urls: vec![Text("/y".into())],
            robots: None,
        };
        let body = b"user-agent: argiope\ncrawl-delay: 1.5\ndisallow: /x # c\ncontent-signal: ai-train=no\nsitemap: /s.xml\n";
        let said = say(body, asked).unwrap();
        assert_eq!(
            serde_json::to_value(&said).unwrap(),
            serde_json::json!({
                "url": "https://a.test/x", "allowed": false, "line": 3, "rule": "Disallow: /x",
                "verdicts": [{ "url": "/y", "allowed": true, "line": null, "rule": null }],
                "delay": 1.5, "sitemaps": ["/s.xml"], "licenses": [],
                "signals": [{ "line": 4, "key": "content-signal", "value": "ai-train=no" }],
            })
        );
    }
}

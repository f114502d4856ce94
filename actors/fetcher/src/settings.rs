//! The crawl's settings in the form that a request needs: header lines made once, credentials kept apart.
//!
//! Invariant: a header that carries credentials goes to the origins of the seeds and nowhere else, since pages
//! lead anywhere.

use std::collections::HashSet;

use contract::Url;
use contract::crawl::{CrawlConfig, LimitsConfig, PaceConfig, RobotsPolicy};
use contract::host::Origin;
use contract::rights::Purpose;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FROM, HOST,
    PROXY_AUTHORIZATION, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::ConfigError;

const ACCEPT_VALUE: HeaderValue =
    HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const CODINGS: HeaderValue = HeaderValue::from_static("gzip, br, zstd");

/// What a crawl asks of its requests.
#[derive(Clone, Debug)]
pub struct Settings {
    pub pace: PaceConfig,
    pub limits: LimitsConfig,
    pub robots: RobotsPolicy,
    pub robots_agent: String,
    pub purpose: Purpose,
    headers: HeaderMap,
    credentials: HeaderMap,
    seed_origins: HashSet<Origin>,
}

impl Settings {
    /// Reads the crawl's configuration.
    ///
    /// # Errors
    /// A header line or agent that cannot be sent.
    pub fn new(crawl: &CrawlConfig) -> Result<Self, ConfigError> {
        let agent = &crawl.agent;
        let mut headers = HeaderMap::new();
        let mut credentials = HeaderMap::new();
        let user_agent = agent.user_agent();
        let unfit = |key, text: &str| ConfigError {
            key,
            problem: format!("`{text}` cannot stand in a header line"),
        };
        let value = HeaderValue::from_str(&user_agent)
            .map_err(|_| unfit("agent.user-agent", &user_agent))?;
        headers.insert(USER_AGENT, value);
        headers.insert(ACCEPT, ACCEPT_VALUE);
        headers.insert(ACCEPT_ENCODING, CODINGS);
        if let Some(mail) = agent
            .contact
            .as_deref()
            .and_then(|contact| contact.strip_prefix("mailto:"))
        {
            headers.insert(
                FROM,
                HeaderValue::from_str(mail).map_err(|_| unfit("agent.contact", mail))?,
            );
        }
        for line in &agent.headers {
            let (name, value) = header_line(line)?;
            let to = if is_credential(&name) {
                &mut credentials
            } else {
                &mut headers
            };
            to.insert(name, value);
        }
        let seeds = crawl.seeds.iter().filter_map(|seed| Url::parse(seed).ok());
        Ok(Self {
            pace: crawl.pace.clone(),
            limits: crawl.limits.clone(),
            robots: agent.robots,
            robots_agent: agent.robots_agent.clone(),
            purpose: agent.purpose,
            headers,
            credentials,
            seed_origins: seeds.filter_map(|seed| Origin::of(&seed)).collect(),
        })
    }

    /// The header lines of a request to this origin, `Host` excepted.
    pub fn headers_for(&self, origin: &Origin) -> HeaderMap {
        let mut headers = self.headers.clone();
        if !self.credentials.is_empty() && self.seed_origins.contains(origin) {
            headers.extend(self.credentials.clone());
        }
        headers
    }
}

fn header_line(line: &str) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let wrong = |problem: &str| ConfigError {
        key: "agent.headers",
        problem: format!("`{line}`: {problem}"),
    };
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| wrong("write it as \"Name: value\""))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| wrong("no header has such a name"))?;
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| wrong("no header has such a value"))?;
    // These frame the message, and a wrong one would desynchronise the connection.
    if [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
        return Err(wrong("this header is set by the protocol"));
    }
    Ok((name, value))
}

fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::crawl::AgentConfig;

    fn crawl(headers: &[&str]) -> CrawlConfig {
        let agent = AgentConfig {
            contact: Some("mailto:me@zoo.test".into()),
            headers: headers.iter().map(|line| (*line).to_owned()).collect(),
            ..AgentConfig::default()
        };
        CrawlConfig {
            seeds: vec!["https://own.zoo.test/a".into()],
            agent,
            ..CrawlConfig::default()
        }
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn credentials_go_to_the_seeds_origins_only() {
        let settings = Settings::new(&crawl(&["X-Own: 1", "authorization: Basic eA=="])).unwrap();
        let has =
            |url: &str, name: HeaderName| settings.headers_for(&origin(url)).contains_key(name);
        assert!(has("https://own.zoo.test/b", AUTHORIZATION));
        for other in [
            "http://own.zoo.test/",
            "https://own.zoo.test:8443/",
            "https://cdn.zoo.test/",
        ] {
            assert!(!has(other, AUTHORIZATION), "{other}");
            assert!(has(other, HeaderName::from_static("x-own")), "{other}");
        }
        assert_eq!(
            settings.headers_for(&origin("https://own.zoo.test/"))[FROM],
            "me@zoo.test"
        );
    }

    #[test]
    fn a_line_that_cannot_be_sent_is_named() {
        #[track_caller]
        fn check(line: &str, problem: &str) {
            let error = Settings::new(&crawl(&[line])).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
        check("no colon", "write it as");
        check("a b: c", "no header has such a name");
        check("a: \u{7}", "no header has such a value");
        check("Host: other.test", "set by the protocol");
        check("content-length: 5", "set by the protocol");
    }
}

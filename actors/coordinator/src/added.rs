//! URLs that an operator adds to a running crawl: judged by its scope, told of one by one.

use contract::Url;
use contract::admit::{Admit, Admitted};
use contract::canonical::Fingerprinter;
use contract::host::Host;
use contract::link::{Link, LinkKind, URL_BYTES_MAX};
use contract::scope::{Decision, Found, Scope};

/// What of the URLs is let in, as pages at depth 0, and a line for each.
#[derive(Debug)]
pub struct Added {
    pub admit: Admit,
    pub lines: Vec<String>,
}

impl Added {
    /// Judges them.
    pub fn of(urls: &[String], scope: &Scope, fingerprints: Fingerprinter) -> Self {
        let mut lines = Vec::with_capacity(urls.len());
        let mut links = Vec::with_capacity(urls.len());
        for text in urls {
            match link_of(scope, fingerprints, text) {
                Ok(link) => {
                    lines.push(format!("{text}: added"));
                    links.push(link);
                }
                Err(why) => lines.push(format!("{text}: refused: {why}")),
            }
        }
        let admit = Admit {
            links,
            via: "operator".into(),
            force: false,
        };
        Self { admit, lines }
    }

    /// The last line: what the frontier made of it.
    pub fn summary(admitted: &Admitted) -> String {
        format!("{} new, {} known already", admitted.new, admitted.known)
    }
}

fn link_of(scope: &Scope, fingerprints: Fingerprinter, text: &str) -> Result<Link, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    url.set_fragment(None);
    let host = match url.scheme() {
        "http" | "https" => Host::of(&url).ok_or("it has no host")?,
        other => return Err(format!("{other} is neither http nor https")),
    };
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(format!("it is longer than {URL_BYTES_MAX} bytes"));
    }
    let found = Found {
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
        from_scope: false,
    };
    if let Decision::Out { rule, .. } = scope.decide(&url, found) {
        return Err(format!("out of scope ({rule})"));
    }
    let fingerprint = fingerprints.of(&url);
    let url = String::from(url).into_boxed_str();
    Ok(Link {
        host,
        url,
        fingerprint,
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
    })
}

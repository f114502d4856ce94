//! Settings: flags > environment > file > defaults, read and validated once.
//!
//! Owns the merged [`Settings`] of a run. The crawl's part ([`CrawlConfig`]) lives with the frontier; the node's part
//! ([`NodeConfig`]) is this process's own. Nothing checks again later. Start at [`Settings::read`].

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use contract::Url;
use contract::clock::Clock;
use contract::crawl::{AgentConfig, CrawlConfig, LimitsConfig, PaceConfig, ScopeConfig};
use contract::error::chain;
use contract::link::URL_BYTES_MAX;
use contract::scope::Scope;
use fetcher::address::{Dial, Net, OwnSockets};
use fetcher::once;
use frontier::config::FrontierConfig;
use serde::Deserialize;

use crate::cli::{CrawlArgs, FetchFlags, MachineFlags};
use crate::exit::Failure;
use crate::home;

/// The file: the crawl's sections, and `[node]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    seeds: Vec<String>,
    scope: ScopeConfig,
    agent: AgentConfig,
    pace: PaceConfig,
    limits: LimitsConfig,
    node: NodeConfig,
}

/// What belongs to this process, not to the crawl.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodeConfig {
    /// Fetchers, each on a thread of its own.
    pub fetchers: usize,
    /// Requests in flight at once for each fetcher.
    pub concurrency: usize,
    /// Memory of the whole process, in bytes.
    pub max_memory_bytes: u64,
    /// A lease's term, in milliseconds: without word from a node for so long, its hosts are free for others.
    pub lease_ms: u64,
    /// Networks that may be dialled although they are not globally routable.
    pub allow_net: Vec<String>,
    /// Ports that may be dialled beside 80, 443, 8080 and 8443.
    pub allow_port: Vec<u16>,
    /// DNS server asked instead of the system's.
    pub dns: Option<SocketAddr>,
    /// PEM file of further roots.
    pub ca: Option<PathBuf>,
    pub metrics_listen: Option<SocketAddr>,
}

/// The least memory the process can work with.
const MEMORY_BYTES_MIN: u64 = 96_000_000;

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            fetchers: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(16),
            concurrency: 50,
            max_memory_bytes: 512_000_000,
            lease_ms: FrontierConfig::default().lease_ms,
            allow_net: Vec::new(),
            allow_port: Vec::new(),
            dns: None,
            ca: None,
            metrics_listen: None,
        }
    }
}

/// Everything a crawl runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub crawl: CrawlConfig,
    pub node: NodeConfig,
    pub seeds: Vec<Url>,
    pub dial: Dial,
    pub output: PathBuf,
}

impl Settings {
    /// Merges and validates what the user gave.
    ///
    /// # Errors
    /// The first thing that is wrong: what, where, and what to do.
    pub fn read(args: &CrawlArgs) -> Result<Self, Failure> {
        let mut file = match &args.machine.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        apply_flags(&mut file, args);
        let mut texts: Vec<(String, String)> = args
            .seeds
            .iter()
            .map(|text| (text.clone(), "command line".to_owned()))
            .collect();
        if let Some(path) = &args.seed_file {
            texts.extend(read_seed_file(path)?);
        }
        if texts.is_empty() {
            texts.extend(
                file.seeds
                    .iter()
                    .map(|text| (text.clone(), "config: seeds".to_owned())),
            );
        }
        if texts.is_empty() {
            return Err(Failure::input(
                "no seed is given: name a URL, say `argiope crawl https://docs.example.org`",
            ));
        }
        let dial = dial(&file.node)?;
        let (mut seeds, mut taken) = (Vec::with_capacity(texts.len()), HashSet::new());
        for (text, place) in &texts {
            let seed =
                seed(text).map_err(|why| Failure::input(format!("{place}: {text:?}: {why}")))?;
            may_dial(&seed, &dial)
                .map_err(|why| Failure::input(format!("{place}: {text:?}: {why}")))?;
            if taken.insert(seed.clone()) {
                seeds.push(seed);
            }
        }
        let crawl = CrawlConfig {
            seeds: seeds.iter().map(|seed| seed.as_str().to_owned()).collect(),
            scope: file.scope,
            agent: file.agent,
            pace: file.pace,
            limits: file.limits,
        };
        check_crawl(&crawl, &seeds)?;
        check_node(&file.node)?;
        let output = match &args.output {
            Some(dir) => dir.clone(),
            None => PathBuf::from(folder_name(&seeds[0])),
        };
        Ok(Self {
            crawl,
            node: file.node,
            seeds,
            dial,
            output,
        })
    }
}

impl Settings {
    /// Of a crawl in a shared store, for this node.
    ///
    /// # Errors
    /// A configuration that this program cannot work by.
    pub fn shared(
        crawl: CrawlConfig,
        node: NodeConfig,
        dial: Dial,
        output: PathBuf,
    ) -> Result<Self, Failure> {
        let parse = |text: &String| {
            seed(text).map_err(|why| Failure::input(format!("the crawl's seed {text:?}: {why}")))
        };
        let seeds = crawl
            .seeds
            .iter()
            .map(parse)
            .collect::<Result<Vec<_>, _>>()?;
        check_crawl(&crawl, &seeds)?;
        Ok(Self {
            crawl,
            node,
            seeds,
            dial,
            output,
        })
    }
}

/// What a node of a fleet is set to, whatever it crawls.
///
/// # Errors
/// The first thing that is wrong; and a file that says what only a crawl's configuration can.
pub fn node(flags: &MachineFlags) -> Result<(NodeConfig, Dial), Failure> {
    let mut file = match &flags.config {
        Some(path) => read_file(path)?,
        None => File::default(),
    };
    let node = std::mem::take(&mut file.node);
    if file != File::default() {
        return Err(Failure::input(
            "config file: a node takes [node] alone; what a crawl is set to lives in the store (`argiope config print`)",
        ));
    }
    file.node = node;
    apply_machine(&mut file.node, flags);
    check_node(&file.node)?;
    let dial = dial(&file.node)?;
    Ok((file.node, dial))
}

/// What one document at a URL is fetched with, under a crawl's rules.
///
/// # Errors
/// A URL, an address or a flag that cannot be used, or no contact.
pub fn one(text: &str, flags: &FetchFlags) -> Result<(Url, once::Parts), Failure> {
    let mut node = NodeConfig::default();
    node.allow_net.clone_from(&flags.network.allow_net);
    node.allow_port.clone_from(&flags.network.allow_port);
    let dial = dial(&node)?;
    let url = seed(text).map_err(|why| Failure::input(format!("{text:?}: {why}")))?;
    may_dial(&url, &dial).map_err(|why| Failure::input(format!("{text:?}: {why}")))?;
    let mut crawl = CrawlConfig::default();
    set(&mut crawl.agent.contact, flags.contact.clone().map(Some));
    set(
        &mut crawl.agent.user_agent,
        flags.user_agent.clone().map(Some),
    );
    check_crawl(&crawl, std::slice::from_ref(&url))?;
    let tls = fetcher::tls::client_config(flags.network.ca.as_slice(), false)
        .map_err(|error| Failure::input(chain(&error)))?;
    let parts = once::Parts {
        crawl,
        dial,
        dns: flags.network.dns,
        tls,
        clock: Clock::machine(),
    };
    Ok((url, parts))
}

fn read_file(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("config file {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
        let what = error.message().replace('\n', " ");
        Failure::input(format!("config file {}:{line}: {what}", path.display()))
    })
}

/// Flags (and environment, which clap reads into them) win over the file.
fn apply_flags(file: &mut File, args: &CrawlArgs) {
    set(&mut file.agent.contact, args.contact.clone().map(Some));
    set(
        &mut file.agent.user_agent,
        args.user_agent.clone().map(Some),
    );
    set(&mut file.agent.robots_agent, args.robots_agent.clone());
    set(&mut file.agent.robots, args.robots.map(Into::into));
    set(&mut file.agent.purpose, args.purpose.map(Into::into));
    file.agent.headers.extend(args.header.iter().cloned());
    set(&mut file.scope.scope_type, args.scope_type.map(Into::into));
    file.scope.include.extend(args.include.iter().cloned());
    file.scope.exclude.extend(args.exclude.iter().cloned());
    set(&mut file.scope.depth, args.depth.map(Some));
    set(&mut file.scope.embeds, args.embeds.map(Into::into));
    file.scope.well_known_sitemaps |= args.well_known_sitemaps;
    set(
        &mut file.pace.delay_ms,
        args.delay.map(contract::clock::millis),
    );
    set(&mut file.pace.rate, args.rate.map(Some));
    set(&mut file.limits.limit, args.limit.map(Some));
    set(
        &mut file.limits.time_limit_s,
        args.time_limit.map(|time| Some(time.as_secs().max(1))),
    );
    set(&mut file.limits.size_limit_bytes, args.size_limit.map(Some));
    apply_machine(&mut file.node, &args.machine);
}

fn set<T: Clone>(target: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *target = value;
    }
}

fn apply_machine(node: &mut NodeConfig, flags: &MachineFlags) {
    set(&mut node.fetchers, flags.fetchers);
    set(&mut node.concurrency, flags.concurrency);
    set(&mut node.max_memory_bytes, flags.max_memory);
    set(&mut node.lease_ms, flags.lease.map(contract::clock::millis));
    node.allow_net
        .extend(flags.network.allow_net.iter().cloned());
    node.allow_port
        .extend(flags.network.allow_port.iter().copied());
    set(&mut node.dns, flags.network.dns.map(Some));
    set(&mut node.ca, flags.network.ca.clone().map(Some));
    set(&mut node.metrics_listen, flags.metrics_listen.map(Some));
}

/// A seed of a file, with the place it stands at.
fn read_seed_file(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("seed file {}: {error}", path.display())))?;
    let seeds = text
        .lines()
        .enumerate()
        .map(|(n, line)| (line.trim(), n + 1));
    Ok(seeds
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, n)| (line.to_owned(), format!("{}:{n}", path.display())))
        .collect())
}

fn seed(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| match error.to_string().as_str() {
        "relative URL without a base" => format!("not a URL (did you mean https://{text} ?)"),
        other => format!("not a URL ({other})"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{}: neither http nor https", url.scheme()));
    }
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(format!("longer than {URL_BYTES_MAX} bytes"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// What can be judged before a name is resolved.
fn may_dial(seed: &Url, dial: &Dial) -> Result<(), String> {
    let port = seed.port_or_known_default().unwrap_or(0);
    dial.port(port)
        .map_err(|_| format!("port {port} is refused; allow it with --allow-port {port}"))?;
    if let Some(address) = literal(seed) {
        dial.address(address).map_err(|refused| {
            let net = if address.is_loopback() && address.is_ipv4() {
                "127.0.0.0/8".to_owned()
            } else {
                address.to_string()
            };
            format!(
                "address {address} is refused ({}); allow it with --allow-net {net}",
                refused.kind
            )
        })?;
    }
    Ok(())
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
            Some([127, 0, 0, 1].into())
        }
        url::Host::Domain(_) => None,
    }
}

/// Which addresses and ports this node may dial.
///
/// # Errors
/// What is no network.
pub fn dial(node: &NodeConfig) -> Result<Dial, Failure> {
    let nets = node.allow_net.iter().map(|text| text.parse::<Net>());
    let nets = nets
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::input(format!("--allow-net: {error}")))?;
    Ok(Dial {
        nets,
        ports: node.allow_port.clone(),
        own: OwnSockets::default(),
    })
}

fn check_crawl(crawl: &CrawlConfig, seeds: &[Url]) -> Result<(), Failure> {
    contract::valid::check(crawl).map_err(|error| Failure::input(error.to_string()))?;
    let local = seeds
        .iter()
        .all(|seed| literal(seed).is_some_and(|address| address.is_loopback()));
    match &crawl.agent.contact {
        None if !local => {
            return Err(Failure::input(
                "a crawl says who runs it: give --contact mailto:you@example.org (or an https: page about the crawl)",
            ));
        }
        Some(contact)
            if !["mailto:", "https:", "http:"]
                .iter()
                .any(|scheme| contact.starts_with(scheme)) =>
        {
            return Err(Failure::input(format!(
                "--contact {contact:?}: neither a mailto: nor an https: address"
            )));
        }
        _ => {}
    }
    for (name, text) in [
        ("--user-agent", Some(crawl.agent.user_agent())),
        ("--contact", crawl.agent.contact.clone()),
    ] {
        if text.is_some_and(|text| text.bytes().any(|byte| !(b' '..=b'~').contains(&byte))) {
            return Err(Failure::input(format!(
                "{name}: only visible ASCII can be sent in a header"
            )));
        }
    }
    let token = &crawl.agent.robots_agent;
    if token.is_empty()
        || !token
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
    {
        return Err(Failure::input(format!(
            "--robots-agent {token:?}: a product token has only letters, - and _ (RFC 9309 section 2.2.1)"
        )));
    }
    for line in &crawl.agent.headers {
        let valid = line.split_once(':').is_some_and(|(name, value)| {
            reqwest::header::HeaderName::from_bytes(name.trim().as_bytes()).is_ok()
                && reqwest::header::HeaderValue::from_str(value.trim()).is_ok()
        });
        if !valid {
            return Err(Failure::input(format!(
                "--header {line:?}: write it as \"Name: value\""
            )));
        }
    }
    Scope::new(&crawl.scope, seeds).map_err(|error| Failure::input(chain(&error)))?;
    Ok(())
}

fn check_node(node: &NodeConfig) -> Result<(), Failure> {
    let in_range = |name: &str, value: usize, max: usize| {
        if (1..=max).contains(&value) {
            Ok(())
        } else {
            Err(Failure::input(format!("{name} {value}: from 1 to {max}")))
        }
    };
    in_range("--fetchers", node.fetchers, 64)?;
    in_range("--concurrency", node.concurrency, 10_000)?;
    if node.max_memory_bytes < MEMORY_BYTES_MIN {
        return Err(Failure::input(format!(
            "--max-memory {}: at least {} MB are needed",
            node.max_memory_bytes,
            MEMORY_BYTES_MIN / 1_000_000
        )));
    }
    let frontier = home::config(node, FrontierConfig::default().memory_bytes);
    frontier.validate().map_err(|error| {
        let (key, must, found) = (error.key, error.must, error.found);
        Failure::input(format!("[node] {key} must be {must}, it is {found}"))
    })?;
    Ok(())
}

/// A folder named after the first seed's host: no separator, no leading dot can come out of a host name.
pub fn folder_name(seed: &Url) -> String {
    let host = seed
        .host_str()
        .unwrap_or("crawl")
        .trim_matches(['[', ']', '.'])
        .replace(':', "_");
    match seed.port() {
        Some(port) => format!("{host}_{port}"),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn read(line: &str) -> Result<Settings, Failure> {
        let words = ["argiope", "crawl"]
            .into_iter()
            .chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Crawl(args) => Settings::read(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_win_over_the_file_and_defaults_fill_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crawl.toml");
        std::fs::write(&path, "seeds = [\"https://a.test/\"]\n[agent]\ncontact = \"mailto:f@a.test\"\n[pace]\ndelay-ms = 5\nrate = \"9/s\"\nburst = 4\n[node]\nconcurrency = 7\n").unwrap();
        let settings = read(&format!(
            "--config {} --delay 2s --rate 30/m",
            path.display()
        ));
        let settings = settings.unwrap();
        assert_eq!(settings.crawl.pace.delay_ms, 2_000);
        assert_eq!(settings.crawl.pace.rate, "0.5/s".parse().ok());
        assert_eq!(settings.crawl.pace.burst, 4);
        assert_eq!(settings.node.concurrency, 7);
        assert_eq!(
            settings.crawl.agent.contact.as_deref(),
            Some("mailto:f@a.test")
        );
        assert_eq!(settings.output, PathBuf::from("a.test"));
    }

    #[test]
    fn bad_input_says_what_where_and_what_to_do() {
        #[track_caller]
        fn check(line: &str, want: &str) {
            let failure = read(line).unwrap_err();
            assert!(
                failure.message.contains(want),
                "{line}\n  said {}\n  not  {want}",
                failure.message
            );
            assert_eq!(failure.code, crate::exit::Code::BadInput);
        }
        check("", "no seed is given");
        check("https://a.test/", "--contact mailto:");
        check("docs.example.org", "did you mean https://docs.example.org");
        check(
            "ftp://a.test/ --contact mailto:a@b",
            "neither http nor https",
        );
        check("http://a.test:81/ --contact mailto:a@b", "--allow-port 81");
        check("http://127.0.0.1/", "--allow-net 127.0.0.0/8");
        check("http://localhost/", "--allow-net 127.0.0.0/8");
        check(
            "http://10.0.0.1/ --contact mailto:a@b",
            "--allow-net 10.0.0.1",
        );
        check("http://a.test/ --contact me", "neither a mailto:");
        check(
            "http://a.test/ --contact mailto:a@b --exclude (",
            "scope.exclude: not a regular expression",
        );
        check(
            "http://a.test/ --contact mailto:a@b --allow-net 127.0.0.0/40",
            "--allow-net",
        );
        check(
            "http://a.test/ --contact mailto:a@b --robots-agent a/1",
            "product token",
        );
        check(
            "http://a.test/ --contact mailto:a@b --header nonsense",
            "Name: value",
        );
        check(
            "http://a.test/ --contact mailto:a@b --max-memory 1MB",
            "at least",
        );
        check(
            "http://a.test/ --contact mailto:a@b --lease 10ms",
            "lease-ms must be 1 s to 1 h",
        );
        check("--seed-file /no/such/file", "seed file /no/such/file");
        check("--config /no/such/file", "config file /no/such/file");
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let text = include_str!("../ops/config/argiope.toml");
        let documented: File = toml::from_str(text).unwrap();
        let default = File::default();
        assert_eq!(documented.scope, default.scope);
        assert_eq!(documented.agent, default.agent);
        assert_eq!(documented.pace, default.pace);
        assert_eq!(documented.limits, default.limits);
        assert_eq!(documented.node, default.node);
    }

    #[test]
    fn loopback_needs_no_contact_once_it_is_allowed() {
        let settings =
            read("http://127.0.0.1:9000/ --allow-net 127.0.0.0/8 --allow-port 9000").unwrap();
        assert_eq!(settings.output, PathBuf::from("127.0.0.1_9000"));
    }
}

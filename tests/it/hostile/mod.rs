//! A web that means harm, many attacks in one crawl: each ends with its outcome, and nothing else is hurt by it.
//!
//! The general promise, checked for every attack by [`Case::survive`]: the program lives, eight good pages around
//! the attack are fetched as they are, memory peaks at most [`MEMORY_MORE`] above a crawl of the same hosts without
//! attacks, descriptors come back, and no forbidden address is connected to. Limits of time are shortened, so that
//! a story takes seconds; their layers are the same. One fetcher and one parser work, so that a peak is one attack's. Start reading at [`survive`].

mod addresses;
mod bodies;
mod documents;
mod heads;
mod names;
mod redirects;
mod time;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::PathBuf;

use kit::dns::{Dns, Reply, Zone};
use kit::hostile::{ADDRESS, GOOD, Hostile, Lair, Script, mark};
use kit::process::{Ended, Running};
use kit::until;
use kit::until::until_or_none;
use nix::sys::signal::Signal;

use crate::archive;
use crate::crawl::{Crawl, Line, PATIENCE, ended};

/// How far a crawl under attack may peak above its control.
const MEMORY_MORE: u64 = 64 << 20;
/// Descriptors that may be more than in the control: a file that is being written, a timer.
const FDS_MORE: usize = 6;
/// Where nothing may ever connect to, beside 127.0.0.1 and `::1`: something listens there, and it is not allowed.
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Shorter layers of time; retries at their usual pauses.
const LIMITS: &str = "[limits]\nconnect-ms-max = 1500\nhead-ms-max = 1500\nstall-ms-max = 1000\nanswer-ms-max = 3000\n";

/// An attack, at `/attack` of its own host, and what becomes of it.
pub(super) struct Case {
    name: &'static str,
    paths: Vec<(&'static str, Script)>,
    outcome: &'static str,
}

/// An attack with the outcome that it must have.
pub(super) fn case(name: &'static str, script: Script, outcome: &'static str) -> Case {
    Case {
        name,
        paths: vec![("/attack", script)],
        outcome,
    }
}

impl Case {
    /// With this at another path of the host.
    pub(super) fn and(mut self, path: &'static str, script: Script) -> Self {
        self.paths.push((path, script));
        self
    }
}

/// What is left when all is over.
pub(super) struct After {
    pub(super) crawl: Crawl,
    pub(super) outcomes: BTreeMap<String, Line>,
    pub(super) lair: Hostile,
}

/// Crawls the hosts of these attacks, first without them, then with them, and checks the general promise.
#[track_caller]
pub(super) fn survive(cases: Vec<Case>) -> After {
    let names: Vec<(&str, &str)> = cases.iter().map(|case| (case.name, case.outcome)).collect();
    let control = names.iter().fold(Lair::default(), |lair, (name, _)| {
        lair.with(name, "/attack", Script::html("<p>tame</p>"))
    });
    let attack = cases
        .into_iter()
        .flat_map(|case| case.paths.into_iter().map(move |path| (case.name, path)))
        .fold(Lair::default(), |lair, (name, (path, script))| {
            lair.with(name, path, script)
        });
    let tame: Vec<(&str, &str)> = names.iter().map(|(name, _)| (*name, "ok")).collect();
    let (calm, calm_fds, _) = run(control, &tame);
    let (stormy, stormy_fds, after) = run(attack, &names);
    println!(
        "peak {} MB beside {} MB, {stormy_fds} descriptors beside {calm_fds}",
        stormy.peak >> 20,
        calm.peak >> 20
    );
    assert!(
        stormy.peak <= calm.peak + MEMORY_MORE,
        "peak {} MB beside {} MB without attacks",
        stormy.peak >> 20,
        calm.peak >> 20
    );
    assert!(
        stormy_fds <= calm_fds + FDS_MORE,
        "{stormy_fds} descriptors are left, {calm_fds} without attacks"
    );
    after
}

/// A lair, the names that lead to it, and sockets beside it that nobody may connect to.
pub(super) struct Den {
    pub(super) lair: Hostile,
    pub(super) dns: Dns,
    forbidden: Vec<TcpListener>,
}

/// Every name under `.test` is the lair's address.
pub(super) fn local() -> Zone {
    Zone::empty().under("test", Reply::Addresses(vec![ADDRESS.into()]))
}

impl Den {
    #[track_caller]
    pub(super) fn of(lair: Lair, zone: Zone) -> Self {
        let lair = lair.start().unwrap();
        let listen = |address: IpAddr| TcpListener::bind((address, lair.port()));
        let own = [Ipv4Addr::LOCALHOST, FORBIDDEN];
        let mut forbidden: Vec<TcpListener> =
            own.map(|address| listen(address.into()).unwrap()).into();
        // Not every machine has IPv6.
        forbidden.extend(listen(Ipv6Addr::LOCALHOST.into()));
        for listener in &forbidden {
            listener.set_nonblocking(true).unwrap();
        }
        Self {
            lair,
            dns: Dns::start(zone).unwrap(),
            forbidden,
        }
    }

    /// A crawl with this delay that may dial the lair's address and no other; seeds are to be added.
    pub(super) fn crawl(&self, delay: &str) -> Crawl {
        Crawl::new()
            .flags(&[
                "--delay",
                delay,
                "--allow-net",
                &ADDRESS.to_string(),
                "--dns",
            ])
            .flags(&[&self.dns.address().to_string()])
            .flags(&["--allow-port", &self.lair.port().to_string()])
    }

    /// Nobody connected where nobody may, or followed a link out of what is no answer.
    #[track_caller]
    pub(super) fn untouched(&self) {
        for listener in &self.forbidden {
            let came = listener.accept();
            assert!(came.is_err(), "{listener:?} was connected to: {came:?}");
        }
        for (host, path) in self.lair.asked() {
            let astray = path.contains("smuggled") || !host.ends_with(".test");
            assert!(!astray, "asked for {host}{path}");
        }
    }
}

/// One crawl of the hosts; how it ended, the descriptors when all was done, and what it left.
#[track_caller]
fn run(lair: Lair, wants: &[(&str, &str)]) -> (Ended, usize, After) {
    // A host that asks to be left alone for long keeps the crawl alive when all else is done.
    let resting = "HTTP/1.1 503 Later\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
    let den = Den::of(lair.with("resting", "/", Script::send(resting)), local());
    let lair = &den.lair;
    let crawl = den
        .crawl("0")
        .config(LIMITS)
        .flags(&["--fetchers", "1", "--include", "^http://(127[.]|to-port)"])
        .seed(&lair.url("resting", "/"));
    let crawl = wants
        .iter()
        .fold(crawl, |crawl, (name, _)| crawl.seed(&lair.url(name, "/")));
    let running = crawl.start(&[]);

    let mut left = Left::of(&crawl, lair, wants);
    let all_done = until_or_none(PATIENCE, || {
        left.read_on();
        (left.urls.is_empty() || running.has_ended()).then_some(())
    });
    assert!(
        all_done.is_some() && left.urls.is_empty(),
        "not done: {:#?}",
        left.urls
    );
    until("the last connection's end", PATIENCE, || {
        (lair.open() == 0).then_some(())
    });
    let fds = descriptors(&running);
    running.signal(Signal::SIGTERM).unwrap();
    let end = ended(running, 11);

    let outcomes = crawl.outcomes();
    let mut wrong = Vec::new();
    for (name, want) in wants {
        let line = &outcomes[&lair.url(name, "/attack")];
        if line.outcome != *want {
            wrong.push(format!("not {want}: {line:?}"));
        }
        for n in 1..=GOOD {
            let line = &outcomes[&lair.url(name, &format!("/good/{n}"))];
            if line.outcome != "ok" {
                wrong.push(format!("beside {name}: {line:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    as_they_are(&crawl, lair, wants);
    den.untouched();
    archive::sound(&crawl);
    let after = After {
        crawl,
        outcomes,
        lair: den.lair,
    };
    (end, fds, after)
}

/// The good pages are in the archive, each with its own text.
#[track_caller]
fn as_they_are(crawl: &Crawl, lair: &Hostile, wants: &[(&str, &str)]) {
    let records = crawl.records();
    let bodies: BTreeMap<&str, &[u8]> = records
        .iter()
        .filter(|record| record.kind() == "response")
        .filter_map(|record| Some((record.target()?, &record.block[..])))
        .collect();
    for (name, _) in wants {
        for n in 1..=GOOD {
            let body = bodies[&*lair.url(name, &format!("/good/{n}"))];
            let text = String::from_utf8_lossy(body);
            assert!(text.contains(&mark(name, n)), "{name} {n}: {text}");
        }
    }
}

/// The URLs of which a ledger that is still written has not said the last word.
struct Left {
    ledger: PathBuf,
    offset: usize,
    urls: BTreeSet<String>,
}

impl Left {
    fn of(crawl: &Crawl, lair: &Hostile, wants: &[(&str, &str)]) -> Self {
        let good = (1..=GOOD).map(|n| format!("/good/{n}"));
        let paths: Vec<String> = ["/".to_owned(), "/attack".to_owned()]
            .into_iter()
            .chain(good)
            .collect();
        let urls = wants
            .iter()
            .flat_map(|(name, _)| paths.iter().map(|path| lair.url(name, path)))
            .collect();
        Self {
            ledger: crawl.path("logs/crawl.jsonl"),
            offset: 0,
            urls,
        }
    }

    fn read_on(&mut self) {
        let bytes = std::fs::read(&self.ledger).unwrap_or_default();
        let fresh = bytes.get(self.offset..).unwrap_or_default();
        let whole = fresh.iter().rposition(|&byte| byte == b'\n');
        let fresh = &fresh[..whole.map_or(0, |end| end + 1)];
        self.offset += fresh.len();
        for line in String::from_utf8_lossy(fresh).lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            if line.is_final && line.is_url() {
                self.urls.remove(&line.url);
            }
        }
    }
}

/// Open descriptors but those of the frontier's tables, which are more where more is known.
fn descriptors(running: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", running.pid()))
        .unwrap()
        // One that was closed meanwhile is none.
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|leads| {
            !leads
                .components()
                .any(|part| part.as_os_str() == "frontier")
        })
        .count()
}

//! `doctor`: is this machine fit to crawl, and is a running crawl well?
//!
//! Without a target it judges the machine by [`checks`], a pure function from [`Facts`]; with one it asks the crawl,
//! which judges itself by its table of gauges. It changes nothing. Start at [`run`].

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use contract::clock::{Clock, Wall};
use contract::error::chain;
use fetcher::address::Dial;
use fetcher::dns::{Dns, DnsError};
use nix::sys::statvfs::statvfs;
use serde::Serialize;
use serde_json::{Value, json};

use super::control;
use crate::cli::DoctorArgs;
use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::gauges::{Process, TIME_WAIT_MAX, kib};
use crate::units::bytes_words;

/// Less than this is soon full: a WARC file grows to 1 GB.
const DISK_FREE_MIN: u64 = 1 << 30;
/// Files of a crawl: archive, frontier tables, logs.
const INODES_FREE_MIN: u64 = 10_000;
/// Descriptors beside the connections in flight: files, listeners, idle connections of few hosts.
const DESCRIPTORS_BESIDE: u64 = 200;
/// A file that has just been copied, from another machine perhaps, may be a little ahead.
const CLOCK_SLACK_US: u64 = 60_000_000;
/// Asked of the resolver; any answer shows that it is there, also that there is no such name (RFC 6761 section 6.5).
const NAME: &str = "example.com";

/// What is known of the machine; what cannot be known is not judged.
#[derive(Debug, Default)]
struct Facts {
    time_wait: Option<u64>,
    descriptors_max: Option<u64>,
    memory_available: Option<u64>,
    disk: Option<Disk>,
    /// The wall clock, and when this program's file was written.
    clock: Option<(Wall, Wall)>,
    /// Why the resolver gave no answer.
    resolver: Option<Result<(), String>>,
}

#[derive(Clone, Copy, Debug)]
struct Disk {
    free: u64,
    /// None where the file system has no fixed number of them.
    inodes: Option<u64>,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Serialize)]
struct Check {
    name: &'static str,
    found: String,
    wanted: String,
    ok: bool,
}

/// Says what is well and what is not.
///
/// # Errors
/// A target where no crawl answers. What is judged bad is no error: its code is [`Code::Error`].
pub async fn run(args: &DoctorArgs) -> Result<Code, Failure> {
    let (ok, told) = match &args.target {
        Some(target) => crawl(target, args.json).await?,
        None => machine(args).await,
    };
    println!("{told}");
    Ok(match ok {
        true => Code::Done,
        false => Code::Error,
    })
}

async fn machine(args: &DoctorArgs) -> (bool, String) {
    let facts = Facts::read(&args.output, args.dns).await;
    let checks = checks(&facts, &NodeConfig::default());
    let ok = checks.iter().all(|check| check.ok);
    if args.json {
        return (ok, format!("{:#}", json!({ "ok": ok, "checks": checks })));
    }
    let line = |check: &Check| {
        let Check {
            name,
            found,
            wanted,
            ok,
        } = check;
        format!("{} {name}: {found} (wanted: {wanted})", mark(*ok))
    };
    (ok, checks.iter().map(line).collect::<Vec<_>>().join("\n"))
}

async fn crawl(target: &str, is_json: bool) -> Result<(bool, String), Failure> {
    let (_, told) = control::ask(target, "health", None).await?;
    let ok = told.get("ok").and_then(Value::as_bool);
    let gauges = told.get("gauges").and_then(Value::as_array);
    let (Some(ok), Some(gauges)) = (ok, gauges) else {
        let why = told.get("error").and_then(Value::as_str);
        return Err(Failure::new(
            Code::Error,
            why.unwrap_or("it does not tell its health"),
        ));
    };
    let told = match is_json {
        true => format!("{told:#}"),
        false => gauges.iter().map(gauge).collect::<Vec<_>>().join("\n"),
    };
    Ok((ok, told))
}

/// A gauge as a line.
fn gauge(gauge: &Value) -> String {
    let ok = gauge.get("ok").and_then(Value::as_bool) == Some(true);
    let name = gauge
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let value = gauge
        .get("value")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    let mut line = format!("{} {name}", mark(ok));
    if let Some(labels) = gauge.get("labels") {
        line.push_str(&labels.to_string());
    }
    line.push_str(&format!(" {value}"));
    if let Some(most) = gauge.get("most").and_then(Value::as_f64) {
        line.push_str(&format!(" (at most {most})"));
    }
    line
}

fn mark(ok: bool) -> &'static str {
    match ok {
        true => "ok ",
        false => "BAD",
    }
}

impl Facts {
    async fn read(dir: &Path, dns: Option<SocketAddr>) -> Self {
        let process = Process::read();
        let program = std::env::current_exe().and_then(fs::metadata);
        let written = program.and_then(|program| program.modified()).ok();
        let written = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok());
        let written = written.and_then(|since| u64::try_from(since.as_micros()).ok());
        Self {
            time_wait: process.time_wait,
            descriptors_max: process.descriptors_max,
            memory_available: memory_available(),
            disk: disk(dir),
            clock: written.map(|written| (Clock::machine().wall(), Wall(written))),
            resolver: Some(resolver(dns).await),
        }
    }
}

/// What may still be used: of the machine, or of its container where that is less.
fn memory_available() -> Option<u64> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let free = kib(&text("/proc/meminfo"), "MemAvailable:");
    let number = |path: &str| text(path).trim().parse::<u64>().ok();
    let most = number("/sys/fs/cgroup/memory.max");
    let left =
        most.map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    free.into_iter().chain(left).min()
}

/// Of the file system that `dir` is on, or will be: of its nearest folder that exists.
fn disk(dir: &Path) -> Option<Disk> {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| PathBuf::from(dir));
    let there = whole.ancestors().find(|folder| folder.is_dir())?;
    let told = statvfs(there).ok()?;
    Some(Disk {
        free: told.blocks_available() * told.fragment_size(),
        inodes: (told.files() > 0).then(|| told.files_available()),
    })
}

async fn resolver(server: Option<SocketAddr>) -> Result<(), String> {
    // Whatever address it names, nothing is dialled.
    let dns = Dns::new(server, Arc::new(Dial::default())).map_err(|error| chain(&error))?;
    match dns.lookup(NAME).await {
        Ok(_) | Err(DnsError::NotFound(_) | DnsError::Refused { .. }) => Ok(()),
        Err(error @ (DnsError::Failed { .. } | DnsError::TimedOut(_))) => Err(chain(&error)),
    }
}

/// Judges the machine for a crawl with these settings.
fn checks(facts: &Facts, node: &NodeConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name, found: String, wanted: String, ok| {
        checks.push(Check {
            name,
            found,
            wanted,
            ok,
        });
    };
    if let Some(count) = facts.time_wait {
        let wanted = format!("at most {TIME_WAIT_MAX} that hold their port after their end");
        check(
            "connections",
            count.to_string(),
            wanted,
            count <= TIME_WAIT_MAX,
        );
    }
    if let Some(max) = facts.descriptors_max {
        let needed = (node.fetchers * node.concurrency) as u64 + DESCRIPTORS_BESIDE;
        // Health turns red at 80 % of the limit.
        let wanted = needed.div_ceil(4) * 5;
        check(
            "descriptors",
            max.to_string(),
            format!("at least {wanted} (ulimit -n)"),
            max >= wanted,
        );
    }
    if let Some(free) = facts.memory_available {
        let wanted = format!(
            "{}, the usual --max-memory",
            bytes_words(node.max_memory_bytes as f64)
        );
        check(
            "memory",
            bytes_words(free as f64),
            wanted,
            free >= node.max_memory_bytes,
        );
    }
    if let Some(Disk { free, inodes }) = facts.disk {
        let wanted = format!("{} free", bytes_words(DISK_FREE_MIN as f64));
        check(
            "disk",
            bytes_words(free as f64),
            wanted,
            free >= DISK_FREE_MIN,
        );
        if let Some(inodes) = inodes {
            let wanted = format!("{INODES_FREE_MIN} free");
            check(
                "inodes",
                inodes.to_string(),
                wanted,
                inodes >= INODES_FREE_MIN,
            );
        }
    }
    if let Some((now, written)) = facts.clock {
        let ok = now.0.saturating_add(CLOCK_SLACK_US) >= written.0;
        let found = match ok {
            true => "after this program was built",
            false => "before this program was built: certificates and archive dates will be wrong",
        };
        check("clock", found.to_owned(), "right".to_owned(), ok);
    }
    if let Some(answer) = &facts.resolver {
        let found = match answer {
            Ok(()) => "it answers".to_owned(),
            Err(why) => why.clone(),
        };
        check(
            "resolver",
            found,
            format!("an answer about {NAME}"),
            answer.is_ok(),
        );
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        let then = Wall(1_764_000_000_000_000);
        Facts {
            time_wait: Some(TIME_WAIT_MAX),
            descriptors_max: Some(1_000_000),
            memory_available: Some(1 << 40),
            disk: Some(Disk {
                free: DISK_FREE_MIN,
                inodes: Some(INODES_FREE_MIN),
            }),
            clock: Some((then, then)),
            resolver: Some(Ok(())),
        }
    }

    #[test]
    fn each_fault_is_found_and_named() {
        #[track_caller]
        fn bad(spoil: impl FnOnce(&mut Facts), want: &[&str]) {
            let mut facts = sound();
            spoil(&mut facts);
            let checks = checks(&facts, &NodeConfig::default());
            let bad: Vec<_> = checks
                .iter()
                .filter(|check| !check.ok)
                .map(|check| check.name)
                .collect();
            assert_eq!(bad, want, "{checks:?}");
        }
        bad(|_| (), &[]);
        bad(
            |facts| facts.time_wait = Some(TIME_WAIT_MAX + 1),
            &["connections"],
        );
        bad(|facts| facts.descriptors_max = Some(256), &["descriptors"]);
        bad(|facts| facts.memory_available = Some(1 << 20), &["memory"]);
        bad(
            |facts| {
                facts.disk = Some(Disk {
                    free: 1 << 20,
                    inodes: Some(1),
                })
            },
            &["disk", "inodes"],
        );
        bad(
            |facts| facts.clock = Some((Wall(0), Wall(CLOCK_SLACK_US + 1))),
            &["clock"],
        );
        bad(
            |facts| facts.resolver = Some(Err("no".to_owned())),
            &["resolver"],
        );
        // What cannot be read is not judged.
        bad(|facts| *facts = Facts::default(), &[]);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_its_parents_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert!(disk(&dir.path().join("a/b")).unwrap().free > 0);
    }

    #[test]
    fn a_gauge_is_a_line() {
        let bad = json!({ "name": "x", "labels": { "crawl": "a" }, "value": 2.0, "most": 1.5, "ok": false });
        assert_eq!(gauge(&bad), r#"BAD x{"crawl":"a"} 2 (at most 1.5)"#);
        let good = json!({ "name": "x", "value": 2, "ok": true });
        assert_eq!(gauge(&good), "ok  x 2");
    }
}

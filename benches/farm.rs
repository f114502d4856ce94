//! The whole path, timed from outside: the release binary crawls a farm of loopback hosts, everything on.
//!
//! Two farms: `docs` (real documentation pages, gzip-coded files served by nginx, delay 0) and `slow` (a synthetic web
//! whose answers take 50 to 150 ms). Prints pages/s, CPU per 1,000 pages with its share by thread, peak RSS and bytes
//! of archive. Figures are printed, never asserted; what is asserted is that the crawl was whole.
//! With `--redis` the frontier is in a Redis of its own, worked on by `--nodes` processes; its server's CPU is printed too.
//! `cargo bench --bench farm -- [docs|slow] [--hosts N] [--redis] [--nodes N] [--binary PATH] [--smoke] [-- FLAGS]`; the
//! machine is part of every figure.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use kit::dns::{Dns, Zone};
use kit::nginx::Sites;
use kit::origin::Site;
use kit::redis::{Redis, RedisOptions};
use kit::web::Web;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Real sites of Debian's documentation packages.
const DOCS: [&str; 3] = [
    "/usr/share/doc/git-doc",
    "/usr/share/doc/debian-handbook/html/en-US",
    "/usr/share/doc/python3/html",
];

/// Which of [`DOCS`] the n-th host serves: a mix whose mean page is near 40 KB.
fn kind_of(host: usize) -> usize {
    match host % 19 {
        18 => 2,
        n if n % 3 == 1 => 1,
        _ => 0,
    }
}

struct Options {
    farm: String,
    hosts: Option<usize>,
    smoke: bool,
    redis: bool,
    /// Processes that work on the crawl; more than one with `--redis` only.
    nodes: usize,
    /// The program that is timed: this build's, or another one to compare with.
    binary: PathBuf,
    /// Further flags for the crawl, after `--`.
    flags: Vec<String>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        farm: "docs".into(),
        hosts: None,
        smoke: false,
        redis: false,
        nodes: 1,
        binary: env!("CARGO_BIN_EXE_argiope").into(),
        flags: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "docs" | "slow" => options.farm = word,
            "--binary" => options.binary = words.next().context("--binary PATH")?.into(),
            "--smoke" => options.smoke = true,
            "--redis" => options.redis = true,
            "--nodes" => options.nodes = words.next().context("--nodes N")?.parse()?,
            // What cargo itself adds.
            "--bench" => {}
            "--hosts" => options.hosts = Some(words.next().context("--hosts N")?.parse()?),
            "--" => options.flags.extend(words.by_ref()),
            other => {
                anyhow::bail!(
                    "unknown word {other}: [docs|slow] [--hosts N] [--binary PATH] [--smoke] [-- FLAGS]"
                )
            }
        }
    }
    Ok(options)
}

fn main() -> Result<()> {
    let options = options()?;
    let work = tempfile::Builder::new().prefix("argiope-farm-").tempdir()?;
    match options.farm.as_str() {
        "slow" => slow(&options, work.path()),
        _ => docs(&options, work.path()),
    }
}

/// nginx, real pages, no delay.
fn docs(options: &Options, work: &Path) -> Result<()> {
    let hosts = options.hosts.unwrap_or(if options.smoke { 4 } else { 200 });
    for dir in DOCS {
        ensure!(
            Path::new(dir).is_dir(),
            "{dir} is not installed: run tests/run once"
        );
    }
    let copies = DOCS
        .iter()
        .map(|dir| compressed_copy(Path::new(dir), work))
        .collect::<Result<Vec<_>>>()?;
    let mut sites = Sites::new().workers(1).for_speed();
    let names: Vec<String> = (0..hosts).map(|n| format!("h{n}.farm.test")).collect();
    for (n, name) in names.iter().enumerate() {
        sites = sites.site_with_robots(
            name,
            &copies[kind_of(n)],
            "User-agent: *\nDisallow: /private/\n",
        );
    }
    let nginx = sites.start()?;
    let seeds: Vec<String> = names
        .iter()
        .map(|name| nginx.url(name, "/index.html"))
        .collect();
    let flags = ["--delay", "0"].map(String::from);
    crawl(options, work, &seeds, nginx.port(), &flags)
}

/// Our origin, synthetic pages, 50 to 150 ms an answer.
fn slow(options: &Options, work: &Path) -> Result<()> {
    let hosts = options
        .hosts
        .unwrap_or(if options.smoke { 20 } else { 800 });
    let web = Web {
        hosts,
        pages_per_host: 40,
        links_per_page: 20,
        body_bytes: 10_000,
        flaky_every: 0,
        delay_ms: (50, 150),
        ..Web::default()
    };
    let names: Vec<String> = web.host_names().collect();
    let origin = Site::of(web).start()?;
    let seeds: Vec<String> = names.iter().map(|name| origin.url(name, "/")).collect();
    let flags = ["--delay", "0", "--concurrency", "400"].map(String::from);
    crawl(options, work, &seeds, origin.port(), &flags)
}

fn crawl(
    options: &Options,
    work: &Path,
    seeds: &[String],
    port: u16,
    flags: &[String],
) -> Result<()> {
    let dns = Dns::start(Zone::default())?;
    let seed_file = work.join("seeds.txt");
    fs::write(&seed_file, seeds.join("\n"))?;
    let output = work.join("crawl");
    let (port, dns) = (port.to_string(), dns.address().to_string());
    let reach = [
        "--allow-net",
        "127.0.0.0/8",
        "--allow-port",
        &port,
        "--dns",
        &dns,
    ];
    let redis = match options.redis {
        true => Some(Redis::start(RedisOptions {
            appendonly: true,
            ..RedisOptions::default()
        })?),
        false => None,
    };
    let mut command = Command::new(&options.binary);
    command
        .args(["crawl", "--quiet", "--contact", "mailto:bench@farm.test"])
        .args(reach)
        .arg("--seed-file")
        .arg(&seed_file)
        .arg("--output")
        .arg(&output);
    let mut others = Vec::new();
    if let Some(redis) = &redis {
        command.args(["--store", &redis.url(), "--name", "farm"]);
        for n in 1..options.nodes {
            let mut node = Command::new(&options.binary);
            node.args(["node", "--quiet", "--store", &redis.url()])
                .args(["--node-name", &format!("node-{n}")])
                .args(reach)
                .arg("--output")
                .arg(&output);
            others.push(node.spawn()?);
        }
    }
    command.args(flags).args(&options.flags);
    let began = Instant::now();
    let status = command.status()?;
    let wall = began.elapsed().as_secs_f64();
    for mut other in others {
        kill(Pid::from_raw(i32::try_from(other.id())?), Signal::SIGTERM)?;
        other.wait()?;
    }
    ensure!(status.success(), "the crawl ended with {status}");
    let server_us = redis.map(|redis| redis.used_cpu_us()).transpose()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    report(
        options,
        &folder_of(&output)?,
        seeds.len(),
        wall,
        (seconds(usage.user_time()), seconds(usage.system_time())),
        server_us,
    )
}

/// Where the crawl that we started wrote: its folder, or with a store its node's.
fn folder_of(output: &Path) -> Result<PathBuf> {
    const FIGURES: &str = "/reports/machine.json";
    let files = kit::files::below(output)?;
    let mut all = files.keys().filter_map(|file| file.strip_suffix(FIGURES));
    let folder = all
        .find(|folder| !folder.contains("node-"))
        .context("no reports/machine.json")?;
    Ok(output.join(folder.trim_start_matches('/')))
}

fn report(
    options: &Options,
    output: &Path,
    hosts: usize,
    wall: f64,
    (user, system): (f64, f64),
    server_us: Option<u64>,
) -> Result<()> {
    let machine: serde_json::Value =
        serde_json::from_slice(&fs::read(output.join("reports/machine.json"))?)?;
    let figure = |path: &str| {
        machine
            .pointer(path)
            .and_then(serde_json::Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    let pages = figure("/frontier/kept");
    ensure!(
        pages >= hosts as f64,
        "only {pages} pages of {hosts} hosts were kept"
    );
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "farm {} with {hosts} hosts, {} cores{}",
        options.farm,
        std::thread::available_parallelism()?,
        if cfg!(debug_assertions) {
            "; dev profile: not for quoting"
        } else {
            ""
        }
    )?;
    writeln!(out, "  pages kept          {pages:>10.0}")?;
    writeln!(
        out,
        "  pages/s             {:>10.0}   ({wall:.2} s from start to exit)",
        pages / wall
    )?;
    writeln!(
        out,
        "  CPU s/1,000 pages   {:>10.3}   (user {:.3}, system {:.3})",
        (user + system) * 1e3 / pages,
        user * 1e3 / pages,
        system * 1e3 / pages
    )?;
    writeln!(
        out,
        "  peak RSS            {:>10.1} MB",
        figure("/rss_peak_bytes") / 1e6
    )?;
    if let Some(server_us) = server_us {
        writeln!(
            out,
            "  Redis CPU µs/page   {:>10.1}   ({} nodes)",
            server_us as f64 / pages,
            options.nodes
        )?;
    } else {
        let frontier: u64 = kit::files::below(&output.join("frontier"))?.values().sum();
        writeln!(
            out,
            "  frontier bytes/URL  {:>10.1}   (on disk, of {:.0} known; RAM: cargo bench -p frontier)",
            frontier as f64 / figure("/frontier/known"),
            figure("/frontier/known")
        )?;
    }
    writeln!(
        out,
        "  archive bytes/page  {:>10.0}",
        figure("/frontier/bytes") / pages
    )?;
    if let Some(threads) = machine
        .get("cpu_ms_by_thread")
        .and_then(serde_json::Value::as_object)
    {
        for (thread, ms) in threads {
            writeln!(
                out,
                "  CPU µs/page {thread:<20} {:>8.1}",
                ms.as_f64().unwrap_or(0.0) * 1e3 / pages
            )?;
        }
    }
    Ok(())
}

/// A copy of a site with `.gz` beside each file that is worth it, as an operator with `gzip_static` has.
fn compressed_copy(site: &Path, work: &Path) -> Result<PathBuf> {
    let name = site.to_string_lossy().replace('/', "-");
    let target = work.join(format!("site{name}"));
    if target.is_dir() {
        return Ok(target);
    }
    for (file, _) in kit::files::below(site)? {
        let file = file.trim_start_matches('/');
        let (from, to) = (site.join(file), target.join(file));
        // Packages link to files of other packages, which may not be installed.
        if !from.is_file() {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes = fs::read(&from)?;
        let is_text = [".html", ".css", ".js", ".txt", ".xml", ".svg"]
            .iter()
            .any(|end| file.ends_with(end));
        if is_text && bytes.len() > 256 {
            let gz = fs::File::create(format!("{}.gz", to.display()))?;
            let mut encoder = flate2::write::GzEncoder::new(gz, flate2::Compression::default());
            encoder.write_all(&bytes)?;
            encoder.finish()?;
        }
        fs::write(&to, bytes)?;
    }
    Ok(target)
}

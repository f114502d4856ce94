//! The whole path, timed from outside: the release binary crawls a farm of loopback hosts, everything on.
//!
//! Two farms: `docs` (real documentation pages, gzip-coded files served by nginx, delay 0) and `slow` (a synthetic web
//! whose answers take 50 to 150 ms). Prints pages/s, CPU per 1,000 pages with its share by thread, peak RSS and bytes
//! of archive. Figures are printed, never asserted; what is asserted is that the crawl was whole.
//! With `--redis` the frontier is in a Redis of its own, worked on by `--nodes` processes that are all alike and there before
//! the crawl begins; its server's CPU is printed too.
//! `cargo bench --bench farm -- [docs|slow] [--hosts N] [--redis] [--nodes N] [--binary PATH] [--smoke] [-- FLAGS]`, with
//! FLAGS for each process that fetches; the machine is part of every figure.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kit::dns::{Dns, Zone};
use kit::log::Entry;
use kit::nginx::Sites;
use kit::origin::Site;
use kit::process::Running;
use kit::redis::{Redis, RedisOptions};
use kit::until::until_or_none;
use kit::web::Web;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;

/// A fleet that is not there by then, or a crawl that has not ended.
const START_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(1_800);

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
    /// Further flags for each process that fetches, after `--`.
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
    let farm = Farm {
        seeds,
        port: nginx.port(),
        flags: Vec::new(),
    };
    crawl(options, work, &farm, Vec::new)
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
    // With nodes, what one of them may have under way is what holds it back, not the machine.
    let flags: &[&str] = match options.redis {
        true => &["--concurrency", "50", "--fetchers", "1"],
        false => &["--concurrency", "400"],
    };
    let farm = Farm {
        seeds,
        port: origin.port(),
        flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
    };
    crawl(options, work, &farm, || origin.log())
}

/// What is crawled.
struct Farm {
    seeds: Vec<String>,
    port: u16,
    /// For each process that fetches.
    flags: Vec<String>,
}

fn crawl(
    options: &Options,
    work: &Path,
    farm: &Farm,
    log: impl FnOnce() -> Vec<Entry>,
) -> Result<()> {
    let dns = Dns::start(Zone::default())?;
    let seed_file = work.join("seeds.txt");
    fs::write(&seed_file, farm.seeds.join("\n"))?;
    let output = work.join("crawl");
    let (port, dns) = (farm.port.to_string(), dns.address().to_string());
    let reach = [
        "--allow-net",
        "127.0.0.0/8",
        "--allow-port",
        &port,
        "--dns",
        &dns,
    ];
    let mut command = Command::new(&options.binary);
    command
        .args(["crawl", "--quiet", "--contact", "mailto:bench@farm.test"])
        .args(reach)
        .args(["--delay", "0", "--seed-file"])
        .arg(&seed_file);
    let (wall, server_us) = match options.redis {
        true => {
            let mut node = || {
                let mut node = Command::new(&options.binary);
                node.args(["node", "--quiet"]).args(reach);
                node.arg("--output").arg(&output);
                node.args(&farm.flags).args(&options.flags);
                node
            };
            let (wall, server_us) = by_nodes(options.nodes, &mut node, &mut command)?;
            (wall, Some(server_us))
        }
        false => {
            command.arg("--output").arg(&output);
            let began = Instant::now();
            let status = command.args(&farm.flags).args(&options.flags).status()?;
            ensure!(status.success(), "the crawl ended with {status}");
            (began.elapsed(), None)
        }
    };
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    report(
        options,
        &folder_of(&output)?,
        farm.seeds.len(),
        wall.as_secs_f64(),
        (seconds(usage.user_time()), seconds(usage.system_time())),
        server_us,
    )?;
    steady(&log());
    Ok(())
}

/// Has the crawl worked on by so many nodes of a store of their own: how long it took, and the server's CPU in µs.
fn by_nodes(
    nodes: usize,
    node: &mut dyn FnMut() -> Command,
    crawl: &mut Command,
) -> Result<(Duration, u64)> {
    let redis = Redis::start(RedisOptions {
        appendonly: true,
        ..RedisOptions::default()
    })?;
    let store = redis.url();
    let started = (0..nodes).map(|n| {
        let name = format!("node-{n}");
        Running::start(node().args(["--store", &store, "--node-name", &name]))
    });
    let started = started.collect::<Result<Vec<_>>>()?;
    let there = until_or_none(START_WITHIN, || {
        let there = redis.call(&["ZRANGE", "{argiope}:nodes", "0", "-1"]).ok()?;
        (there.members().len() == nodes).then_some(())
    });
    there.context("the nodes do not come")?;
    let began = Instant::now();
    crawl.args(["--store", &store, "--name", "farm", "--detach"]);
    let status = crawl.status()?;
    ensure!(status.success(), "the crawl's start ended with {status}");
    let over = until_or_none(END_WITHIN, || {
        let state = redis.call(&["HGET", "{argiope}:c1", "state"]).ok()?;
        state.text().starts_with("ended").then(|| began.elapsed())
    });
    let wall = over.context("the crawl does not end")?;
    for node in started {
        node.signal(Signal::SIGTERM)?;
        node.wait(START_WITHIN)?;
    }
    Ok((wall, redis.used_cpu_us()?))
}

/// The rate between the first and the last of the middle nine tenths of all requests, as the origin saw it: without the
/// fleet's start and the crawl's end.
fn steady(log: &[Entry]) {
    let part = log.len() / 20;
    let middle = &log[part..log.len() - part];
    if let (Some(first), Some(last)) = (middle.first(), middle.last()) {
        let seconds = (last.start - first.start).as_secs_f64();
        println!(
            "  requests/s, middle  {:>10.0}   (nine tenths of {} requests in {seconds:.2} s)",
            middle.len() as f64 / seconds,
            log.len()
        );
    }
}

/// Where the crawl was written: its folder, or with a store the first node's.
fn folder_of(output: &Path) -> Result<PathBuf> {
    const FIGURES: &str = "/reports/machine.json";
    let files = kit::files::below(output)?;
    let mut all = files.keys().filter_map(|file| file.strip_suffix(FIGURES));
    let folder = all.next().context("no reports/machine.json")?;
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

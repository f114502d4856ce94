//! `crawl`: the main job, from settings to summary.

use std::path::Path;

use contract::clock::Clock;
use coordinator::{End, Status};
use tokio::sync::watch;

use crate::cli::{CrawlArgs, MachineFlags};
use crate::config::Settings;
use crate::exit::{Code, Failure};
use crate::failing::Failing;
use crate::folder::Folder;
use crate::gauges::Gauges;
use crate::home::Home;
use crate::run::{self, Ran};
use crate::shutdown::Signals;
use crate::supervise::Ended;
use crate::units::bytes_words;
use crate::wiring::{Memory, Plan};
use crate::{progress, telemetry};

/// Crawls, or goes on with a crawl, until it ends.
///
/// # Errors
/// Bad input, a folder or store that cannot be used, a pipeline that keeps dying.
pub async fn run(args: &CrawlArgs) -> Result<Code, Failure> {
    if args.shared.store.store.is_some() {
        return super::shared::run(args).await;
    }
    let settings = Settings::read(args)?;
    telemetry::logs(args.machine.log_format, args.machine.quiet);
    let folder = Folder::open(&settings.output, args.overwrite)?;
    work(settings, folder, args.change, &args.machine).await
}

/// Runs the crawl of a folder until it ends, and says how. `change`: seeds and scope may differ from the known ones.
///
/// # Errors
/// As [`run`].
pub async fn work(
    settings: Settings,
    folder: Folder,
    change: bool,
    machine: &MachineFlags,
) -> Result<Code, Failure> {
    let metrics = telemetry::metrics();
    let mut signals = Signals::install()?;
    let metrics_listen = settings.node.metrics_listen;
    let memory = Memory::of(settings.node.max_memory_bytes);
    let plan = Plan {
        gauges: Gauges::new(memory.clone()),
        memory,
        settings,
        folder,
        archive_prefix: "argiope".to_owned(),
        home: Home::Folder { change },
        clock: Clock::machine(),
        status: watch::Sender::new(Status::default()),
        orders: watch::Sender::new(None),
        told: watch::Sender::new(None),
        elsewhere: None,
        failing: Failing::read()?,
    };
    telemetry::serve(
        metrics,
        &plan.gauges,
        metrics_listen,
        &plan.settings.dial.own,
    )
    .await?;
    let shown =
        (!machine.quiet).then(|| tokio::task::spawn_local(progress::show(plan.status.subscribe())));
    let ran = run::crawl(&plan, &mut signals).await;
    if let Some(shown) = shown {
        shown.abort();
        progress::end_line();
    }
    conclude(ran?, &plan, machine.quiet)
}

/// Says how a crawl ended, and gives the code for it.
///
/// # Errors
/// An index or reports that could not be written.
pub fn conclude(ran: Ran, plan: &Plan, quiet: bool) -> Result<Code, Failure> {
    let Ran { ended, reports } = ran;
    let kept = plan.status.borrow().frontier.kept;
    if !quiet {
        summary(&ended, &plan.status.borrow(), plan.folder.path());
    }
    let (Ended::Drained(end) | Ended::Forced(end)) = &ended;
    if let End::Fault(fault) = end {
        // It is the cause of whatever failed after it, the reports perhaps.
        eprintln!(
            "argiope: {}: {}; the same command goes on",
            fault.room, fault.detail
        );
        return Ok(Code::of_end(end));
    }
    reports?;
    Ok(match ended {
        Ended::Forced(_) => Code::Forced,
        Ended::Drained(End::Done) if kept == 0 => {
            eprintln!(
                "argiope: no page was kept; {} says why for each URL",
                plan.folder.path().join("logs").display()
            );
            Code::NoPages
        }
        Ended::Drained(end) => Code::of_end(&end),
    })
}

fn summary(ended: &Ended, status: &Status, dir: &Path) {
    let why = match ended {
        Ended::Drained(End::Fault(fault)) | Ended::Forced(End::Fault(fault)) => {
            format!("stopped: {} {}", fault.room, fault.detail)
        }
        Ended::Forced(_) => "stopped at once; the same command goes on".to_owned(),
        Ended::Drained(End::Done) => "done".to_owned(),
        Ended::Drained(End::PageLimit) => "page limit reached".to_owned(),
        Ended::Drained(End::TimeLimit) => "time limit reached".to_owned(),
        Ended::Drained(End::SizeLimit) => "size limit reached".to_owned(),
        Ended::Drained(End::Stopped) => "stopped; the same command goes on".to_owned(),
    };
    let frontier = &status.frontier;
    println!(
        "{why}: {} pages kept, {} of {} known URLs done, {} queued; {} of archive in {:.1} s of running time",
        frontier.kept,
        frontier.done,
        frontier.known,
        frontier.queued,
        bytes_words(frontier.bytes as f64),
        status.running_ms as f64 / 1e3,
    );
    if status.errors.total() > 0 {
        println!("errors: {}", status.errors);
    }
    println!("{}: archive/ indexes/ pages/ logs/ reports/", dir.display());
}

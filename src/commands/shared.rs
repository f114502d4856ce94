//! `crawl --store`: starts or joins a crawl in a shared store, and works on it as a node until it ends.

use std::path::PathBuf;

use contract::fleet::CrawlState;
use coordinator::Status;
use tokio::sync::watch;

use super::crawl::conclude;
use crate::cli::CrawlArgs;
use crate::config::Settings;
use crate::exit::{Code, Failure};
use crate::fleet::member::{self, Left};
use crate::fleet::{found, store, who};
use crate::gauges::Gauges;
use crate::shutdown::Signals;
use crate::wiring::Memory;
use crate::{progress, telemetry};

/// Starts the crawl, or goes on with it; then works on it unless detached.
///
/// # Errors
/// Bad input, a store that is away or that cannot be used, another crawl of this name.
pub async fn run(args: &CrawlArgs) -> Result<Code, Failure> {
    if args.overwrite {
        return Err(Failure::input(
            "--overwrite is for a crawl in a folder; give a crawl in a store another --name",
        ));
    }
    let settings = Settings::read(args)?;
    let quiet = args.machine.quiet;
    telemetry::logs(args.machine.log_format, quiet);
    let metrics = telemetry::metrics();
    let mut signals = Signals::install()?;
    let mut shared = store::open(&args.shared.store).await?;
    let crawl = found::start(&mut shared, &settings, &args.shared, args.change).await?;
    if crawl.state == CrawlState::Paused {
        println!("{}: paused; `argiope resume` lets it go on", crawl.name);
    }
    if args.shared.detach {
        println!(
            "{}: {}, configuration {}",
            crawl.name, crawl.state, crawl.config
        );
        return Ok(Code::Done);
    }
    let memory = Memory::of(settings.node.max_memory_bytes);
    let gauges = Gauges::new(memory.clone());
    let own = &settings.dial.own;
    own.add(shared.sockets.iter().copied());
    telemetry::serve(metrics, &gauges, settings.node.metrics_listen, own).await?;
    let status = watch::Sender::new(Status::default());
    let shown = (!quiet).then(|| tokio::task::spawn_local(progress::show(status.subscribe())));
    let member = member::Member {
        shared,
        node: settings.node,
        dial: settings.dial,
        memory,
        gauges,
        name: match &args.shared.node_name {
            Some(name) => name.clone(),
            None => who::node()?,
        },
        output: args.output.clone().unwrap_or_else(|| PathBuf::from(".")),
        only: vec![crawl.name],
        shown: Some(status),
    };
    let came = member::run(member, &mut signals).await;
    if let Some(shown) = shown {
        shown.abort();
        progress::end_line();
    }
    match came? {
        Left::With(came) => conclude(came.to?, &came.plan, quiet),
        Left::Signalled { twice: false } => Ok(Code::Interrupted),
        Left::Signalled { twice: true } => Ok(Code::Forced),
    }
}

//! `node`: a member of a fleet, until a signal.

use std::path::PathBuf;

use crate::cli::NodeArgs;
use crate::config;
use crate::exit::{Code, Failure};
use crate::fleet::member::{self, Left};
use crate::fleet::{store, who};
use crate::gauges::Gauges;
use crate::shutdown::Signals;
use crate::telemetry;
use crate::wiring::Memory;

/// Works on the crawls of a shared store.
///
/// # Errors
/// Bad input, a store that is away or that cannot be used, a name that is taken.
pub async fn run(args: &NodeArgs) -> Result<Code, Failure> {
    let (node, dial) = config::node(&args.machine)?;
    telemetry::logs(args.machine.log_format, args.machine.quiet);
    let metrics = telemetry::metrics();
    let mut signals = Signals::install()?;
    let shared = store::open(&args.store).await?;
    let memory = Memory::of(node.max_memory_bytes);
    let gauges = Gauges::new(memory.clone());
    dial.own.add(shared.sockets.iter().copied());
    telemetry::serve(metrics, &gauges, node.metrics_listen, &dial.own).await?;
    let member = member::Member {
        shared,
        node,
        dial,
        memory,
        gauges,
        name: match &args.node_name {
            Some(name) => name.clone(),
            None => who::node()?,
        },
        output: args.output.clone().unwrap_or_else(|| PathBuf::from(".")),
        only: args.crawl.clone(),
        shown: None,
    };
    Ok(match member::run(member, &mut signals).await? {
        Left::Signalled { twice: true } => Code::Forced,
        Left::Signalled { twice: false } | Left::With(_) => Code::Interrupted,
    })
}

//! Log lines on stderr and metrics for Prometheus.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;

use fetcher::address::OwnSockets;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::api::serve_metrics;
use crate::cli::LogFormat;
use crate::exit::Failure;
use crate::gauges::Gauges;

/// Installs the log subscriber; `ARGIOPE_LOG` overrides the level ("debug", "fetcher=trace,info").
pub fn logs(format: LogFormat, quiet: bool) {
    let usual = if quiet { "warn" } else { "info" };
    // hickory logs each refused answer as an error; the refusal is our outcome already.
    let filter = EnvFilter::try_from_env("ARGIOPE_LOG").unwrap_or_else(|_| {
        EnvFilter::new(format!(
            "{usual},hickory_resolver=off,hickory_proto=off,hickory_net=off"
        ))
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _already_installed = match format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    // Panics are caught where they end a page, an actor or an opening, and told there in our words; what Rust
    // itself would print would break the format of the lines around it.
    std::panic::set_hook(Box::new(log_panic));
}

/// One line for a panic, with the backtrace if RUST_BACKTRACE asks for one.
fn log_panic(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        severity = "CRITICAL",
        thread = std::thread::current().name(),
        at = info.location().map(tracing::field::display),
        backtrace = backtrace.map(tracing::field::display),
        "a panic: {}",
        info.payload_as_str().unwrap_or("without words")
    );
}

/// Sorts what histograms have gathered, which nobody else does while nobody scrapes; without it they grow for ever.
async fn upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(5));
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

/// Installs the metrics recorder and gives what renders it. Must come before the rooms, which keep their meters.
pub fn metrics() -> Option<PrometheusHandle> {
    let metrics = PrometheusBuilder::new().install_recorder().ok()?;
    fetcher::describe();
    parser::events::describe();
    storage::events::describe();
    Some(metrics)
}

/// Keeps the metrics up, and serves them where an address is given. What listens then is one of our own sockets.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn serve(
    metrics: Option<PrometheusHandle>,
    gauges: &Gauges,
    listen: Option<SocketAddr>,
    own: &OwnSockets,
) -> Result<(), Failure> {
    let Some(metrics) = metrics else {
        return Ok(());
    };
    tokio::task::spawn_local(upkeep(metrics.clone()));
    let Some(address) = listen else {
        return Ok(());
    };
    let served = serve_metrics(address, metrics, gauges.clone()).await;
    let served =
        served.map_err(|error| Failure::input(format!("--metrics-listen {address}: {error}")))?;
    own.add([served]);
    Ok(())
}

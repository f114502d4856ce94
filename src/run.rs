//! A crawl's run in this process: reached by its API while it lives, with an index and reports when it has ended.

use std::path::Path;

use contract::error::chain;
use contract::fault::FailPlan;
use storage::disk::Disk;
use storage::layout::Layout;
use tracing::warn;

use crate::api::Api;
use crate::exit::{Code, Failure};
use crate::home::Home;
use crate::shutdown::Signals;
use crate::supervise::{self, Ended};
use crate::wiring::{Plan, Told};

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub ended: Ended,
    /// Whether index and reports were written.
    pub reports: Result<(), Failure>,
}

/// Runs the crawl until it ends, then writes what is made of it.
///
/// # Errors
/// A folder or store that cannot be used, a pipeline that keeps dying.
pub async fn crawl(plan: &Plan, signals: &mut Signals) -> Result<Ran, Failure> {
    // One node must not order what all have to hear.
    let refuses = match plan.home {
        Home::Folder { .. } => None,
        Home::Shared(_) => Some("this crawl is a fleet's: give the order with --store"),
    };
    let api = Api::start(
        plan.folder.path(),
        token(),
        plan.status.subscribe(),
        plan.orders.subscribe(),
        plan.gauges.clone(),
        refuses,
    )
    .await;
    let api = api.map_err(|error| Failure::input(format!("control API: {error}")))?;
    let _own = plan.settings.dial.own.list(api.address());
    let ended = supervise::run(plan, signals).await?;
    let is_anew = *plan.told.borrow() == Some(Told::Anew);
    let reports = match is_anew {
        // It goes on at once; they would be written for nobody.
        true => Ok(()),
        false => finish(plan.folder.path()).await,
    };
    Ok(Ran { ended, reports })
}

/// 128 random bits: whoever can read `control.json` may steer the crawl.
fn token() -> String {
    let bits: u128 = rand::random();
    format!("{bits:032x}")
}

/// The merged index and the reports, from what lies in the folder.
async fn finish(dir: &Path) -> Result<(), Failure> {
    let dir = dir.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        storage::reports::finish(&Layout::new(dir), &Disk::new(FailPlan::none()))
    })
    .await;
    match written {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(
            Code::of_fault(error.fault()),
            format!("index and reports: {}", chain(&error)),
        )),
        Err(error) => {
            warn!(%error, "index and reports were not written");
            Err(Failure::new(
                Code::Error,
                "index and reports were not written",
            ))
        }
    }
}

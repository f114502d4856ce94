//! One generation of the pipeline after another: watch it, and rebuild it when an actor has died of a panic.
//!
//! Owns the rule of rebuilding: with backoff, and at a bounded rate, after which the process gives up ([`Code::Fatal`]).
//! A panic inside a page never comes here (it settles `panicked`); only an actor's own death does.
//! A new generation opens the store as after a crash: leases that were out come back.

use std::collections::VecDeque;
use std::time::Duration;

use contract::beacon::Died;
use contract::clock::Boot;
use coordinator::End;
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::exit::{Code, Failure};
use crate::shutdown::{Drained, Signals, drain};
use crate::wiring::{Generation, Plan, Told};

/// So many deaths within [`DEATHS_WINDOW`] end the process.
const DEATHS_MAX: usize = 5;
const DEATHS_WINDOW: Duration = Duration::from_secs(600);
/// The first wait before a rebuild; doubled with each death in the window.
const BACKOFF: Duration = Duration::from_millis(500);

/// Why a crawl's run in this process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Drained, for this reason.
    Drained(End),
    /// For this reason, by a drain that was cut short: a second signal, its time over, a disk that takes no more.
    Forced(End),
}

/// Runs generations until the crawl ends.
///
/// # Errors
/// A generation that cannot be built, or too many that died.
pub async fn run(plan: &Plan, signals: &mut Signals) -> Result<Ended, Failure> {
    let mut deaths = Deaths::default();
    loop {
        let (tell, mut died) = mpsc::channel(Generation::ACTORS_MAX);
        let mut generation = Generation::build(plan, tell).await?;
        plan.orders.send_replace(Some(generation.orders.clone()));
        let why = tokio::select! {
            end = generation.ended() => Why::End(end),
            death = died.recv() => Why::Died(death),
            end = told(plan) => Why::End(end),
            () = signals.next() => Why::End(End::Stopped),
        };
        plan.orders.send_replace(None);
        let death = match why {
            Why::End(end) => {
                return Ok(match drain(plan, generation, signals).await {
                    Drained::Clean => Ended::Drained(end),
                    Drained::Forced => Ended::Forced(end),
                });
            }
            Why::Died(death) => death,
        };
        generation.kill().await;
        let actor = death.map_or_else(|| "an actor".to_owned(), |died: Died| died.actor);
        let Some(wait) = deaths.another(plan.clock.boot()) else {
            return Err(Failure::new(
                Code::Fatal,
                format!(
                    "the pipeline died {DEATHS_MAX} times in 10 minutes, last of {actor}; the same command resumes"
                ),
            ));
        };
        error!(
            severity = "CRITICAL",
            actor,
            wait_ms = wait.as_millis() as u64,
            "an actor died; rebuilding"
        );
        tokio::time::sleep(wait).await;
        info!("a new generation starts");
    }
}

/// The end as it is told from outside.
async fn told(plan: &Plan) -> End {
    match plan
        .told
        .subscribe()
        .wait_for(Option::is_some)
        .await
        .as_deref()
    {
        Ok(Some(Told::End(end))) => end.clone(),
        Ok(_) => End::Stopped,
        // Cannot be: the plan holds the sender.
        Err(_) => std::future::pending().await,
    }
}

enum Why {
    End(End),
    Died(Option<Died>),
}

/// Deaths within the window.
#[derive(Debug, Default)]
struct Deaths(VecDeque<Boot>);

impl Deaths {
    /// The wait before the next generation, or none when there were too many.
    fn another(&mut self, now: Boot) -> Option<Duration> {
        self.0.retain(|at| now.since(*at) <= DEATHS_WINDOW);
        self.0.push_back(now);
        let count = self.0.len();
        (count < DEATHS_MAX).then(|| BACKOFF * 2u32.pow(u32::try_from(count - 1).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Clock;

    #[test]
    fn rebuilding_slows_down_and_ends() {
        let clock = Clock::manual(contract::clock::Wall(0));
        let mut deaths = Deaths::default();
        let waits: Vec<_> = (0..4)
            .map(|_| deaths.another(clock.boot()).unwrap().as_millis())
            .collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000]);
        assert_eq!(deaths.another(clock.boot()), None);
        clock.advance(Duration::from_secs(700));
        assert_eq!(
            deaths.another(clock.boot()),
            Some(BACKOFF),
            "old deaths are forgotten"
        );
    }
}

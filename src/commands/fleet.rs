//! `pause resume stop rate config` for a crawl in a shared store: orders that every node hears within two seconds.
//!
//! Owns nothing: each verb is one change in the store, and says what it did. Start at [`state`].

use contract::clock::{Wall, millis};
use contract::crawl::CrawlConfig;
use contract::error::chain;
use contract::fleet::{CrawlEnd, CrawlState};
use contract::rate::{Limit, RateScope};
use frontier::fleet::FleetError;
use frontier::fleet::configs::{self, Version};
use frontier::fleet::crawls::{self, Crawl};
use frontier::rate::RateStore;
use frontier::rate::shared::RedisRates;

use crate::cli::{ConfigCommand, FleetFlags, RateArgs, RateWord};
use crate::exit::{Code, Failure};
use crate::fleet::failed;
use crate::fleet::store::{self, Shared};
use crate::fleet::who;

/// Somebody else changes the same crawl at the same time: so often it is tried again.
const TRIES: usize = 5;

/// What an operator wants of a crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Pause,
    Resume,
    Stop,
}

/// Changes a crawl's state.
///
/// # Errors
/// No such crawl, or one whose state does not allow it.
pub async fn state(flags: &FleetFlags, wish: Wish) -> Result<(), Failure> {
    let mut shared = store::find(&flags.store).await?;
    let name = store::crawl(&mut shared, flags).await?.name;
    let link = &mut shared.link;
    let crawl = match wish {
        Wish::Pause => crawls::pause(link, &name).await,
        Wish::Resume => crawls::resume(link, &name).await,
        Wish::Stop => crawls::end(link, &name, CrawlEnd::Stopped).await,
    };
    let crawl = crawl.map_err(failed)?;
    println!("{name}: {}", crawl.state);
    if crawl.state == CrawlState::Ended(CrawlEnd::Stopped) {
        println!("the nodes end what is under way; the same `argiope crawl` goes on later");
    }
    Ok(())
}

/// Changes how fast a crawl, or the whole cluster, goes.
///
/// # Errors
/// Nothing to change, or a value that is refused.
pub async fn rate(args: &RateArgs) -> Result<(), Failure> {
    let is_empty = args.rate.is_none()
        && args.burst.is_none()
        && args.host_delay.is_none()
        && args.concurrency.is_none();
    let mut shared = store::find(&args.fleet.store).await?;
    if args.cluster {
        return cluster_rate(&shared, args, is_empty).await;
    }
    let crawl = store::crawl(&mut shared, &args.fleet).await?;
    if is_empty {
        return Err(Failure::input(
            "nothing to change: give a rate (say 200/s), --host-delay, --concurrency or --burst",
        ));
    }
    let (version, config) = change(&mut shared, &crawl, |config| {
        let pace = &mut config.pace;
        match args.rate {
            Some(RateWord::None) => pace.rate = None,
            Some(RateWord::At(rate)) => pace.rate = Some(rate),
            None => {}
        }
        pace.burst = args.burst.unwrap_or(pace.burst);
        pace.delay_ms = args.host_delay.map_or(pace.delay_ms, millis);
        if let Some(concurrency) = args.concurrency {
            pace.concurrency = Some(concurrency);
        }
    })
    .await?;
    set_rate(&shared, &crawl, RateScope::Crawl, config.pace.limit()).await?;
    println!("{}: configuration {version}", crawl.name);
    Ok(())
}

async fn cluster_rate(shared: &Shared, args: &RateArgs, is_empty: bool) -> Result<(), Failure> {
    // The crawl's key is not used for the cluster's rate.
    let rates = RedisRates::new(shared.link.clone(), contract::fleet::CrawlNumber(0));
    let said = |error| Failure::new(Code::Store, chain(&error));
    let found = rates.limit(RateScope::Cluster).await.map_err(said)?;
    let mut limit = found.map_or_else(Limit::default, |(limit, _)| limit);
    match args.rate {
        Some(RateWord::None) => limit.rate = None,
        Some(RateWord::At(rate)) => limit.rate = Some(rate),
        None => {}
    }
    limit.burst = args.burst.unwrap_or(limit.burst);
    if is_empty {
        println!("cluster: {}", words(limit));
        return Ok(());
    }
    let version = rates
        .set_rate(RateScope::Cluster, limit)
        .await
        .map_err(said)?;
    println!("cluster: {}, version {version}", words(limit));
    Ok(())
}

/// "200/s, burst 5", or "no limit".
pub fn words(limit: Limit) -> String {
    match limit.rate {
        Some(rate) => format!("{rate}, burst {}", limit.burst),
        None => "no limit".to_owned(),
    }
}

/// Shows or changes which configuration is in force.
///
/// # Errors
/// No such crawl or version.
pub async fn config(command: &ConfigCommand) -> Result<(), Failure> {
    let (ConfigCommand::Print { fleet, .. }
    | ConfigCommand::History { fleet }
    | ConfigCommand::Rollback { fleet, .. }) = command;
    let mut shared = store::find(&fleet.store).await?;
    let crawl = store::crawl(&mut shared, fleet).await?;
    let link = &mut shared.link;
    match command {
        ConfigCommand::Print { version, .. } => {
            let found = match version {
                Some(version) => configs::version(link, crawl.number, *version).await,
                None => configs::current(link, crawl.number).await,
            };
            let Version { version, config } = found.map_err(failed)?;
            let text = toml::to_string(&config)
                .map_err(|error| Failure::new(Code::Error, error.to_string()))?;
            print!("# {}, configuration {version}\n{text}", crawl.name);
        }
        ConfigCommand::History { .. } => {
            for past in configs::history(link, crawl.number).await.map_err(failed)? {
                let changes = match past.changes.as_slice() {
                    [] => "the first that is kept".to_owned(),
                    changes => changes.join("; "),
                };
                let at = stamp(past.at_ms);
                println!("{:>4}  {at}  {}  {changes}", past.version, past.by);
            }
        }
        ConfigCommand::Rollback { version, .. } => {
            let now = configs::roll_back(link, crawl.number, *version, &who::person()).await;
            let now = now.map_err(failed)?;
            let config = configs::version(link, crawl.number, now)
                .await
                .map_err(failed)?
                .config;
            set_rate(&shared, &crawl, RateScope::Crawl, config.pace.limit()).await?;
            println!("{}: configuration {now}, as {version} was", crawl.name);
        }
    }
    Ok(())
}

/// "2026-11-24T13:59:00Z": whole seconds.
fn stamp(ms: u64) -> String {
    storage::stamp::iso(Wall(ms / 1_000 * 1_000_000)).replace(".000000", "")
}

/// Makes a new version of what is in force, whatever others change at the same time.
async fn change(
    shared: &mut Shared,
    crawl: &Crawl,
    edit: impl Fn(&mut CrawlConfig),
) -> Result<(u64, CrawlConfig), Failure> {
    let mut last = None;
    let who = who::person();
    for _ in 0..TRIES {
        let now = configs::current(&mut shared.link, crawl.number)
            .await
            .map_err(failed)?;
        let mut config = now.config;
        edit(&mut config);
        let set = configs::set(&mut shared.link, crawl.number, now.version, &config, &who);
        match set.await {
            Ok(version) => return Ok((version, config)),
            Err(error @ FleetError::Conflict { .. }) => last = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    Err(last.map_or_else(|| Failure::new(Code::Error, "not tried"), failed))
}

/// Tells the rate's own place, where every node asks before it sends.
async fn set_rate(
    shared: &Shared,
    crawl: &Crawl,
    scope: RateScope,
    limit: Limit,
) -> Result<(), Failure> {
    let rates = RedisRates::new(shared.link.clone(), crawl.number);
    let set = rates.set_rate(scope, limit).await;
    set.map(drop)
        .map_err(|error| Failure::new(Code::Store, chain(&error)))
}

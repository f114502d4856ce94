//! `shards`: where the shards of a shared store are, and an operator's orders over them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use contract::clock::Clock;
use contract::error::chain;
use frontier::fleet::address::{Server, Topology};
use frontier::fleet::crawls;
use frontier::store::redis::gates::{self, GateState};
use frontier::store::redis::moves::{Masters, MoveError};

use crate::cli::{LogFormat, ShardsArgs, ShardsCommand, StoreFlags, Which};
use crate::exit::{Code, Failure};
use crate::fleet::failed;
use crate::fleet::store::{self, Shared};
use crate::{identity, telemetry};

/// Shows the shards, or does with them what is ordered.
///
/// # Errors
/// A store that is away, shards that are not there, or a move that failed: it says what became of the slot.
pub async fn run(args: &ShardsArgs) -> Result<(), Failure> {
    telemetry::logs(LogFormat::Text, true);
    match &args.command {
        None => list(&args.store).await,
        Some(ShardsCommand::Hold(which)) => hold(which).await,
        Some(ShardsCommand::Free(which)) => free(which).await,
        Some(ShardsCommand::Move { slots, to, store }) => move_to(slots, to, store).await,
    }
}

async fn list(flags: &StoreFlags) -> Result<(), Failure> {
    let mut shared = store::find(flags).await?;
    let crawls = crawls::list(&mut shared.link).await.map_err(failed)?;
    let numbers: Vec<_> = crawls.iter().map(|crawl| crawl.number).collect();
    let shards = gates::list(&shared.link, &shared.deployment, &numbers).await;
    let mut owners = HashMap::new();
    if let Some(mut masters) = masters(flags).await? {
        let slots: Vec<u16> = shards.iter().map(|now| now.slot).collect();
        let names: Vec<String> = masters.servers().map(name).collect();
        for (slot, owner, is_moving) in masters.owners(&slots).await.map_err(moved)? {
            let owner = owner.and_then(|number| names.get(number).cloned());
            owners.insert(slot, (owner, is_moving));
        }
    }
    println!("shard   slot state    queued  leases  master");
    for now in shards {
        let owner = owners.get(&now.slot);
        let (owner, is_moving) = match owner {
            None => (shared.address.as_str(), false),
            Some((owner, is_moving)) => (owner.as_deref().unwrap_or("-"), *is_moving),
        };
        let half = if is_moving { ", half moved" } else { "" };
        println!(
            "{:>5}  {:>5} {:<7} {:>8} {:>7}  {owner}{half}",
            now.shard,
            now.slot,
            now.state.as_str(),
            now.queued,
            now.leases
        );
    }
    Ok(())
}

async fn hold(which: &Which) -> Result<(), Failure> {
    let mut shared = store::find(&which.store).await?;
    let shards = chosen(&shared, which)?;
    for shard in &shards {
        let held = gates::close(&mut shared.link, *shard).await;
        held.map_err(identity::failed)?;
    }
    println!(
        "{} shards are held: nodes wait for them until `argiope shards free`",
        shards.len()
    );
    Ok(())
}

async fn free(which: &Which) -> Result<(), Failure> {
    let mut shared = store::find(&which.store).await?;
    let shards = chosen(&shared, which)?;
    if let Some(mut masters) = masters(&which.store).await? {
        let slots: Vec<u16> = shards.iter().map(|shard| gates::slot_of(*shard)).collect();
        let owners = masters.owners(&slots).await.map_err(moved)?;
        if let Some((slot, ..)) = owners.iter().find(|(.., is_moving)| *is_moving) {
            return Err(Failure::input(format!(
                "slot {slot} is half moved: its keys are on two masters; end its move first (`argiope shards move --slots {slot} --to …`)"
            )));
        }
    }
    for shard in &shards {
        let freed = gates::open(&mut shared.link, *shard, None).await;
        freed.map_err(identity::failed)?;
    }
    println!("{} shards are free", shards.len());
    Ok(())
}

async fn move_to(
    slots: &RangeInclusive<u16>,
    to: &Server,
    flags: &StoreFlags,
) -> Result<(), Failure> {
    let shared = store::find(flags).await?;
    let mut masters = masters(flags)
        .await?
        .ok_or_else(|| moved(MoveError::NoCluster))?;
    let target = masters.number(to).map_err(moved)?;
    let all: Vec<u16> = slots.clone().collect();
    let owners = masters.owners(&all).await.map_err(moved)?;
    let is_there =
        |(_, owner, is_moving): &(u16, Option<usize>, bool)| *owner == Some(target) && !is_moving;
    let held = gates::list(&shared.link, &shared.deployment, &[]).await;
    // One whose move ended before its gates were opened is there, and closed.
    let is_closed = |slot: u16| {
        let mut of_slot = held.iter().filter(|now| now.slot == slot);
        of_slot.any(|now| now.state == GateState::Closed)
    };
    let (clock, mut slots_moved, mut longest) = (Clock::machine(), 0, Duration::ZERO);
    for standing in owners {
        let slot = standing.0;
        if is_there(&standing) && !is_closed(slot) {
            continue;
        }
        let done = masters.move_slot(&shared.deployment, slot, target, &clock);
        let done = done.await.map_err(moved)?;
        slots_moved += 1;
        for shard in gates::shards_in(&shared.deployment, &(slot..=slot)) {
            longest = longest.max(done.closed);
            println!(
                "shard {shard} (slot {slot}): {} keys, closed for {} ms",
                done.keys,
                done.closed.as_millis()
            );
        }
    }
    println!(
        "{slots_moved} slots moved to {}; a shard was closed for {} ms at most",
        name(to),
        longest.as_millis()
    );
    Ok(())
}

/// The shards that are meant.
fn chosen(shared: &Shared, which: &Which) -> Result<Vec<u16>, Failure> {
    let all = shared.deployment.shards;
    let shards: Vec<u16> = match (&which.shards, &which.slots) {
        (Some(shards), _) => shards.clone().collect(),
        (None, Some(slots)) => gates::shards_in(&shared.deployment, slots),
        (None, None) => Vec::new(),
    };
    match shards.iter().all(|shard| *shard < all) && !shards.is_empty() {
        true => Ok(shards),
        false => Err(Failure::input(format!(
            "there is no such shard: they are 0 to {}",
            all - 1
        ))),
    }
}

/// The masters, if the store is a cluster.
async fn masters(flags: &StoreFlags) -> Result<Option<Masters>, Failure> {
    let address = store::address(flags)?;
    if !matches!(address.topology, Topology::Cluster(_)) {
        return Ok(None);
    }
    let opened = Masters::open(&address, flags.store_ca.clone()).await;
    opened.map(Some).map_err(moved)
}

fn name(server: &Server) -> String {
    format!("{}:{}", server.host, server.port)
}

fn moved(error: MoveError) -> Failure {
    let code = match error {
        MoveError::NoCluster | MoveError::NoMaster { .. } => Code::BadInput,
        _ => Code::Store,
    };
    Failure::new(code, chain(&error))
}

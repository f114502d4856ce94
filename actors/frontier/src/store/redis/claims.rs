//! Claims: which shards are asked for leases, and what this node must remember of those it was given.
//!
//! Owns an estimate for each shard of when asking is worth it, the one suspect's lease that this node may hold, its share of
//! the leases, and the addresses that they count at. All of it only spares calls or is lost without harm: what it counts ends by itself.
//! Invariant: this node holds at most one lease of a suspect, so that its own death can be
//! laid to one host. Start at [`Claiming::claim`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contract::clock::{Boot, Clock, Wall, millis};
use contract::codec;
use contract::host::{Host, Origin};
use contract::lease::{Claim, Claimed, Lease, Strikes, Taker, Token};
use contract::robots::RobotsRecord;
use futures_util::future::join_all;
use redis::{Cmd, Value};

use super::addresses::Addresses;
use super::apply::ROBOTS_VERSION;
use super::cold::Thin;
use super::limit::Tally;
use super::scripts::{Trouble, odd};
use super::shares::{HUNGER, Shares};
use super::{Core, locked};
use crate::error::StoreError;
use crate::events;
use crate::store::element::decode_alone;
use crate::store::machine::schedule::OWN_MS;

/// Another node may have changed a shard: it is asked again after so long at the latest.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Shards asked at once.
const ASKED_TOGETHER: usize = 16;

/// See the module.
pub(super) struct Claiming {
    shards: Mutex<Vec<Estimate>>,
    suspect: Mutex<Option<Suspect>>,
    pub(super) addresses: Addresses,
    pub(super) shares: Shares,
    /// The crawl's limit left nothing for the last claim.
    spent: AtomicBool,
}

/// When a claim on a shard may be granted something.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    /// A host's turn comes: for its own fetcher, for another.
    turn: Option<(Boot, Boot)>,
    /// Something is worth a look whose turn no fetcher's own matters for: a lease's end, another node's doing.
    look: Boot,
    /// A suspect was due that might not be leased.
    held_back: bool,
}

/// What a shard answered to a claim.
#[derive(Default)]
struct Granted {
    leases: Vec<Lease>,
    /// Which of them is a suspect's.
    alone: Option<usize>,
    /// Queues whose head runs out.
    thin: Vec<Thin>,
    /// A host's lease takes a chunk first; there may be more behind it.
    is_missing: bool,
}

/// The suspect's lease that is out.
struct Suspect {
    host: Host,
    token: Token,
    /// By then it is over, whatever we heard of it.
    until: Boot,
}

impl Claiming {
    pub(super) fn new(shards: u16, clock: &Clock) -> Self {
        let unknown = Estimate {
            turn: None,
            look: clock.boot(),
            held_back: false,
        };
        Self {
            shards: Mutex::new(vec![unknown; usize::from(shards)]),
            suspect: Mutex::default(),
            addresses: Addresses::default(),
            shares: Shares::default(),
            spent: AtomicBool::new(false),
        }
    }

    /// Leases hosts of the taker's own shards, and of others where those have waited too long for theirs.
    pub(super) async fn claim(&self, core: &Core, claim: Claim) -> Result<Claimed, StoreError> {
        let mut claimed = self.claim_once(core, claim).await?;
        if claimed.leases.is_empty() && core.permits.is_freed() {
            // Leases that ran out have just given permits back.
            claimed = self.claim_once(core, claim).await?;
        }
        events::Claimed {
            leases: claimed.leases.len(),
            urls: claimed.leases.iter().map(|lease| lease.urls.len()).sum(),
        }
        .emit();
        Ok(claimed)
    }

    async fn claim_once(&self, core: &Core, claim: Claim) -> Result<Claimed, StoreError> {
        let (mut claimed, mut failed) = (Claimed::default(), None);
        let wanted = claim.hosts.saturating_mul(claim.urls_per_host);
        let permits = core.permits.take(core, wanted).await?;
        let left = permits
            .as_ref()
            .map(|permits| AtomicU64::new(permits.count));
        for own in [true, false] {
            let mut due = self.due(core, claim.taker, own);
            let now = core.clock.boot();
            let may = permits.as_ref().is_none_or(|permits| permits.holds(now));
            while may && claimed.leases.len() < claim.hosts && !due.is_empty() {
                let some: Vec<u16> = due.drain(..due.len().min(ASKED_TOGETHER)).collect();
                events::RoundTrip { calls: some.len() }.emit();
                let suspects = self.first_held_back(&some);
                let wanted = claim.hosts - claimed.leases.len();
                let each = wanted.div_ceil(some.len());
                let share = |left: &AtomicU64| {
                    let count = u64::try_from(some.len()).unwrap_or(1);
                    left.load(Ordering::Relaxed).div_ceil(count)
                };
                let share = left.as_ref().map(share);
                let asked = some.iter().map(|&shard| {
                    let part = left
                        .as_ref()
                        .zip(share)
                        .map(|(left, part)| draw(left, part));
                    self.ask(core, claim, (shard, shard == suspects), each, (own, part))
                });
                for answer in join_all(asked).await {
                    match answer {
                        Ok((leases, unused)) => {
                            claimed.leases.extend(leases);
                            left.as_ref().inspect(|left| {
                                left.fetch_add(unused, Ordering::Relaxed);
                            });
                        }
                        Err(error) => {
                            failed.get_or_insert(error);
                        }
                    }
                }
                if failed.is_some() && claimed.leases.is_empty() {
                    break;
                }
            }
        }
        let left = left.map(AtomicU64::into_inner);
        // Without permits no host's turn is worth a claim.
        let is_spent = left == Some(0) && wanted > 0 && !core.permits.is_freed();
        self.spent.store(is_spent, Ordering::Relaxed);
        let over = left.unwrap_or(0);
        core.permits.over(Tally { kept: 0, over });
        if over > 0 || failed.is_some() {
            core.permits.flush(core).await?;
        }
        // What some shards have granted is worth more than what others could not say.
        if let Some(error) = failed.filter(|_| claimed.leases.is_empty()) {
            return Err(error);
        }
        claimed.next_due = Some(self.next_for(core, claim.taker));
        Ok(claimed)
    }

    /// The taker's shards (or those of others) that are worth a claim now, those that have waited longest first.
    fn due(&self, core: &Core, taker: Taker, own: bool) -> Vec<u16> {
        let now = core.clock.boot();
        let shards = locked(&self.shards);
        let mut due: Vec<(Boot, u16)> = (0u16..)
            .zip(shards.iter())
            .filter(|(shard, _)| is_own(*shard, taker) == own)
            .map(|(shard, estimate)| (estimate.at(own).max(core.reach.opens(shard)), shard))
            .filter(|(at, _)| *at <= now)
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, shard)| shard).collect()
    }

    /// Which of these shards is asked for a suspect: one that had some to offer last time, or the first.
    fn first_held_back(&self, some: &[u16]) -> u16 {
        let shards = locked(&self.shards);
        let held_back = |shard: &&u16| shards[usize::from(**shard)].held_back;
        some.iter().find(held_back).map_or(some[0], |shard| *shard)
    }

    fn next_for(&self, core: &Core, taker: Taker) -> Duration {
        if self.spent.load(Ordering::Relaxed) {
            return LOOK_EVERY;
        }
        let now = core.clock.boot();
        let shards = locked(&self.shards);
        let at = (0u16..).zip(shards.iter()).map(|(shard, estimate)| {
            let at = estimate.at(is_own(shard, taker));
            at.max(core.reach.opens(shard))
        });
        at.min().map_or(LOOK_EVERY, |at| at.since(now))
    }

    /// Until some fetcher's claim may be granted something.
    pub(super) fn next_wake(&self, core: &Core) -> Duration {
        self.next_for(core, Taker::ALONE)
    }

    /// Something of the shard has changed.
    pub(super) fn touched(&self, shard: u16, clock: &Clock) {
        let now = clock.boot();
        if let Some(estimate) = locked(&self.shards).get_mut(usize::from(shard)) {
            estimate.look = now;
        }
    }

    pub(super) fn all_touched(&self, clock: &Clock) {
        let now = clock.boot();
        locked(&self.shards)
            .iter_mut()
            .for_each(|estimate| estimate.look = now);
    }

    /// These leases of suspects are over.
    pub(super) fn leases_ended(&self, ended: &[(Host, Token)]) {
        let mut suspect = locked(&self.suspect);
        let is_it = |out: &Suspect| {
            ended
                .iter()
                .any(|(host, token)| (host, *token) == (&out.host, out.token))
        };
        if suspect.as_ref().is_some_and(is_it) {
            *suspect = None;
        }
    }

    /// The lease was extended, or released with pages in the ring, perhaps after its time.
    pub(super) fn lives_on(&self, core: &Core, host: &Host, token: Token) {
        let mut suspect = locked(&self.suspect);
        let is_it = |out: &&mut Suspect| (&out.host, out.token) == (host, token);
        if let Some(out) = suspect.as_mut().filter(is_it) {
            out.until = core.clock.boot().after(core.rules().lease);
        }
    }

    /// Takes the right to lease a suspect for one call; put back if none was granted.
    fn may_lease_suspect(&self, core: &Core) -> bool {
        let now = core.clock.boot();
        let mut suspect = locked(&self.suspect);
        let is_free = suspect.as_ref().is_none_or(|out| out.until <= now);
        if is_free {
            // Until the call is answered.
            *suspect = Some(Suspect {
                host: Host::from_stored(""),
                token: Token(0),
                until: now.after(core.rules().lease),
            });
        }
        is_free
    }

    /// The suspect of this shard that this node holds.
    fn suspect_of(&self, core: &Core, shard: u16) -> Option<(Host, Token)> {
        let suspect = locked(&self.suspect);
        let out = suspect.as_ref().filter(|out| out.token != Token(0))?;
        (core.shape.shard(out.host.area()) == shard).then(|| (out.host.clone(), out.token))
    }

    /// Asks one shard; puts chunks back where queues run out, and asks again if one was missing for a lease.
    async fn ask(
        &self,
        core: &Core,
        claim: Claim,
        (shard, suspects): (u16, bool),
        hosts: usize,
        (own, permits): (bool, Option<u64>),
    ) -> Result<(Vec<Lease>, u64), StoreError> {
        let (mut leases, mut left): (Vec<Lease>, _) = (Vec::new(), permits);
        loop {
            let wanted = hosts - leases.len().min(hosts);
            let granted = match self
                .ask_once(core, claim, (shard, suspects), wanted, (own, left))
                .await
            {
                Err(_) if !leases.is_empty() => return Ok((leases, 0)),
                granted => granted?,
            };
            let used: usize = granted.leases.iter().map(|lease| lease.urls.len()).sum();
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            left = left.map(|left| left.saturating_sub(used));
            leases.extend(granted.leases);
            // Where another node has done it, the next claim sees to the rest.
            let mut again = granted.is_missing;
            for thin in granted.thin {
                match thin.put_back(core, shard).await {
                    Ok(is_ours) => again &= is_ours,
                    Err(error) if leases.is_empty() => {
                        let over = left.unwrap_or(0);
                        core.permits.over(Tally { kept: 0, over });
                        return Err(error);
                    }
                    Err(error) => {
                        // What is leased must reach its fetcher.
                        events::StoreFailed {
                            verb: "unspill",
                            error: &error,
                        }
                        .emit();
                        again = false;
                    }
                }
            }
            if !again {
                return Ok((leases, left.unwrap_or(0)));
            }
        }
    }

    async fn ask_once(
        &self,
        core: &Core,
        claim: Claim,
        (shard, suspects): (u16, bool),
        hosts: usize,
        (own, permits): (bool, Option<u64>),
    ) -> Result<Granted, StoreError> {
        let rules = core.rules();
        if let Err(error) = core.look(shard).await {
            let over = permits.unwrap_or(0);
            core.permits.over(Tally { kept: 0, over });
            return Err(error.into());
        }
        if core.clock.boot() < core.reach.opens(shard) {
            // That is what was seen.
            return Ok(Granted::default());
        }
        let asked_at = core.clock.boot();
        let is_hungry = self.shares.is_hungry(asked_at);
        let suspects = suspects && self.may_lease_suspect(core);
        let held = self.suspect_of(core, shard).filter(|_| !suspects);
        let held = held.map_or((String::new(), 0), |(host, token)| {
            (host.to_string(), token.0)
        });
        let most = |most: Option<u32>| most.map_or(-1, i64::from);
        let args = |cmd: &mut Cmd| {
            cmd.arg(core.shape.crawl.0)
                .arg(hosts)
                .arg(claim.urls_per_host)
                .arg(millis(rules.lease))
                .arg(millis(rules.delay))
                .arg(if own { 0 } else { OWN_MS })
                .arg(most(rules.domain_leases_max))
                .arg(rules.tries_max)
                .arg(u8::from(suspects))
                .arg(permits.map_or(-1, |permits| permits.cast_signed()))
                .arg(held.0)
                .arg(held.1)
                .arg(core.cold.low)
                .arg(core.cold.chunk)
                .arg(u8::from(is_hungry))
                .arg(millis(HUNGER));
        };
        let answer = core.ask(shard, &core.scripts.claim, None, args).await;
        let granted = match self.read(core, shard, answer, asked_at) {
            Ok(granted) => granted,
            Err(error) => {
                if suspects {
                    *locked(&self.suspect) = None;
                }
                if matches!(error, StoreError::Refusing(_)) {
                    // It granted nothing for certain; of a lost answer nobody knows.
                    let over = permits.unwrap_or(0);
                    core.permits.over(Tally { kept: 0, over });
                }
                return Err(error);
            }
        };
        if suspects || granted.alone.is_some() {
            *locked(&self.suspect) = granted.alone.map(|at| Suspect {
                host: granted.leases[at].host.clone(),
                token: granted.leases[at].token,
                until: asked_at.after(rules.lease),
            });
        }
        Ok(granted)
    }

    fn read(
        &self,
        core: &Core,
        shard: u16,
        answer: Result<Value, Trouble>,
        now: Boot,
    ) -> Result<Granted, StoreError> {
        type RawLease = (Vec<u8>, u64, u64, u8, Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<u64>);
        type Raw = (
            String,
            String,
            String,
            Vec<RawLease>,
            Vec<String>,
            Vec<Value>,
            u8,
            u8,
            u8,
        );
        let answer = answer?;
        let (_, turn, end, granted, expired, thin, is_missing, held_back, hungry): Raw =
            redis::from_redis_value(answer).map_err(|_| odd("claim"))?;
        let at = |us: i64| now.after(Duration::from_micros(u64::try_from(us).unwrap_or(0)));
        let (turn, end) = (turn.parse().ok(), end.parse().ok().map(at));
        let look = now.after(LOOK_EVERY);
        if let Some(estimate) = locked(&self.shards).get_mut(usize::from(shard)) {
            *estimate = Estimate {
                turn: turn.map(|us: i64| (at(us), at(us + OWN_MS.cast_signed() * 1_000))),
                look: end.map_or(look, |end: Boot| end.min(look)),
                held_back: held_back == 1,
            };
        }
        let expired: Vec<_> = expired
            .chunks_exact(3)
            .filter_map(|lease| {
                let over = lease[2].parse().ok()?;
                core.permits.over(Tally { kept: 0, over });
                Some((Host::from_stored(&lease[0]), Token(lease[1].parse().ok()?)))
            })
            .collect();
        if !expired.is_empty() {
            self.touched(shard, &core.clock);
        }
        for lease in &expired {
            events::LeaseExpired.emit();
            self.addresses.forget(lease);
        }
        self.leases_ended(&expired);
        if hungry == 1 {
            self.shares.other_waits(now);
        }
        let term = core.rules().lease;
        let (mut leases, mut alone) = (Vec::with_capacity(granted.len()), None);
        for (host, token, delay, is_alone, urls, robots, strikes) in granted {
            let host = Host::from_stored(std::str::from_utf8(&host).map_err(|_| odd("host"))?);
            let urls = urls.iter().map(|url| decode_alone(host.as_str(), url));
            let urls = urls
                .collect::<Result<_, _>>()
                .map_err(unreadable("queued URL"))?;
            if is_alone == 1 {
                alone = Some(leases.len());
            }
            self.shares.granted(&host, Token(token), now.after(term));
            leases.push(Lease {
                token: Token(token),
                urls,
                delay: Duration::from_millis(delay),
                term,
                robots: read_robots(&host, &robots)?,
                strikes: read_strikes(&strikes)?,
                host,
                trapped: Vec::new(),
            });
        }
        let thin = thin.into_iter().map(Thin::read).collect::<Option<_>>();
        Ok(Granted {
            leases,
            alone,
            thin: thin.ok_or(odd("claim"))?,
            is_missing: is_missing == 1,
        })
    }
}

impl Estimate {
    fn at(self, own: bool) -> Boot {
        let turn = self
            .turn
            .map(|(mine, others)| if own { mine } else { others });
        turn.map_or(self.look, |turn| turn.min(self.look))
    }
}

/// Shards are shared out among a node's fetchers, so that a domain's connections and names stay with one.
fn is_own(shard: u16, taker: Taker) -> bool {
    let of = taker.of.max(1);
    usize::from(shard) % of == taker.index % of
}

/// Takes up to so many.
fn draw(left: &AtomicU64, most: u64) -> u64 {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        Some(left.saturating_sub(most))
    });
    taken.map_or(0, |before| before.min(most))
}

fn read_robots(host: &Host, raw: &[Vec<u8>]) -> Result<Vec<(Origin, RobotsRecord)>, StoreError> {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u16>().ok();
    let mut robots = Vec::with_capacity(raw.len() / 3);
    for parts in raw.chunks_exact(3) {
        let (Some(https), Some(port)) = (number(&parts[0]), number(&parts[1])) else {
            return Err(odd("robots.txt"));
        };
        if parts[2].is_empty() {
            continue;
        }
        let record = codec::decode(ROBOTS_VERSION, &parts[2]).map_err(unreadable("robots.txt"))?;
        let origin = Origin {
            https: https == 1,
            host: host.clone(),
            port,
        };
        robots.push((origin, record));
    }
    Ok(robots)
}

/// How a host has met those who asked it, as a script tells it.
pub(super) fn read_strikes(raw: &[u64]) -> Result<Strikes, StoreError> {
    let &[unreached, refused, last] = raw else {
        return Err(odd("strikes"));
    };
    let count = |count: u64| u8::try_from(count).map_err(|_| odd("strikes"));
    Ok(Strikes {
        unreached: count(unreached)?,
        refused: count(refused)?,
        last: Wall(last),
    })
}

fn unreadable(what: &'static str) -> impl Fn(codec::CodecError) -> StoreError {
    move |source| StoreError::Value { what, source }
}

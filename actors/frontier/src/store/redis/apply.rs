//! Everything that changes hosts but claims: verbs become [`Request`]s, those that wait together go out together.
//!
//! Owns the cache of fingerprints seen lately and the line of waiting requests. Whoever comes while calls are under way
//! waits for them, then takes all that has gathered along: under load a call carries many groups of pages, and a quiet
//! store answers at once. Invariant: a fingerprint is remembered only after the answer that made it known, and all are
//! forgotten when an answer is lost; a request that failed may have been done in part, and is asked again whole.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::clock::{Chance, micros, millis};
use contract::codec;
use contract::host::Host;
use contract::lease::{Extend, Release, Schedule};
use contract::link::{Link, LinkKind};
use contract::page::Fate;
use contract::settle::{Settle, Settled, Settles};
use futures_util::future::join_all;
use redis::Cmd;
use tokio::sync::oneshot;

use super::batch::{Answer, Call, FateArg, LINKS_MAX, LinkArg, Op, Request, Unit, calls};
use super::claims::Claiming;
use super::cold::{self, Long};
use super::scripts::{Trouble, broken, odd};
use super::shape::Shape;
use super::{Core, locked};
use crate::error::StoreError;
use crate::events;
use crate::politeness;
use crate::store::element::{QueuedRef, encode_alone};
use crate::store::recent::Recent;

/// A store that does not answer is asked again for so long; less than its asker's own patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The version of a stored robots.txt.
pub(super) const ROBOTS_VERSION: u8 = 1;

type Told = oneshot::Sender<Result<Answer, Trouble>>;

/// See the module.
pub(super) struct Applying {
    recent: Mutex<Recent>,
    /// How often the connection had broken when that was last filled.
    breaks: AtomicU64,
    waiting: Mutex<Vec<(Request, Told)>>,
    /// Held while calls are under way.
    turn: tokio::sync::Mutex<()>,
    /// The store had no room for links: what needs none does not share a call with them.
    is_full: AtomicBool,
}

impl Applying {
    pub(super) fn new(memory_bytes: u64) -> Self {
        Self {
            recent: Mutex::new(Recent::with_bytes(memory_bytes)),
            breaks: AtomicU64::new(0),
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            is_full: AtomicBool::new(false),
        }
    }

    pub(super) async fn admit(
        &self,
        core: &Core,
        claiming: &Claiming,
        admit: &Admit,
    ) -> Result<Admitted, StoreError> {
        insist(core, async || self.admit_once(core, claiming, admit).await).await
    }

    async fn admit_once(
        &self,
        core: &Core,
        claiming: &Claiming,
        admit: &Admit,
    ) -> Result<Admitted, StoreError> {
        let (mut together, mut sent) = (HashSet::new(), Vec::new());
        let mut request = self.begin(core);
        let links = admit.links.iter().map(|link| (link, &*admit.via));
        for (shard, ops) in self.links(core.shape, links, admit.force, &mut together, &mut sent)? {
            // No page would find them again: kept for a server that forgets, like a page's to other shards.
            request.before.extend(parts(shard, ops));
        }
        if request.before.is_empty() {
            // All are known, if the servers are still those that said so.
            core.confirm(request.breaks).await.map_err(|trouble| {
                self.forget();
                StoreError::from(trouble)
            })?;
        }
        let answer = self.ask(core, claiming, request).await?;
        self.remember(&sent);
        let all = u64::try_from(admit.links.len()).unwrap_or(u64::MAX);
        Ok(Admitted {
            new: answer.new,
            known: all - answer.new,
        })
    }

    /// Settles pages, those whose shards answer within `patience`; of the others there is no answer.
    pub(super) async fn settle(
        &self,
        core: &Core,
        claiming: &Claiming,
        settles: &[Settle],
        patience: Duration,
    ) -> Result<Settling, StoreError> {
        let end = core.clock.boot().after(patience);
        let mut settling = Settling {
            answers: vec![None; settles.len()],
            links: Admitted::default(),
        };
        let mut waits = Waits::default();
        let mut open: Vec<usize> = (0..settles.len()).collect();
        loop {
            let mut together = HashSet::new();
            let (mut requests, mut sent) = (Vec::new(), Vec::new());
            for &nth in &open {
                let (request, fresh) = self.page(core, &settles[nth], &mut together)?;
                requests.push(request);
                sent.push(fresh);
            }
            let answers = self.ask_all(core, claiming, requests).await?;
            let mut again = Vec::new();
            for ((nth, sent), answer) in open.into_iter().zip(sent).zip(answers) {
                match answer {
                    Ok(answer) => {
                        self.remember(&sent);
                        let all = u64::try_from(settles[nth].links.len()).unwrap_or(u64::MAX);
                        settling.links.new += answer.new;
                        settling.links.known += all - answer.new;
                        settling.answers[nth] = Some(answer.settled.unwrap_or(Settled::Applied));
                    }
                    Err(error) if error.may_pass() => again.push(nth),
                    Err(error) => return Err(error),
                }
            }
            if again.is_empty() || core.clock.boot() >= end {
                return Ok(settling);
            }
            open = again;
            waits.next(core).await;
        }
    }

    /// One page's request, and the fingerprints that it carries; those in `together` go with another page of the batch.
    fn page(
        &self,
        core: &Core,
        settle: &Settle,
        together: &mut HashSet<u64>,
    ) -> Result<(Request, Vec<u64>), StoreError> {
        let mut request = self.begin(core);
        let home = core.shape.shard(settle.host.area());
        let links = settle.links.iter().map(|link| (link, &*settle.via));
        let mut unit = Unit {
            shard: home,
            ops: Vec::new(),
        };
        let mut sent = Vec::new();
        for (shard, ops) in self.links(core.shape, links, false, together, &mut sent)? {
            let mut parts = parts(shard, ops);
            if shard == home
                && let Some(last) = parts.pop()
            {
                unit.ops = last.ops;
            }
            // Links of other shards, and those that are too many for one step, go ahead.
            request.before.extend(parts);
        }
        if let Some(op) = op_of(settle)? {
            match core.shape.shard(op.host().area()) {
                shard if shard == home => unit.ops.push(op),
                shard => request.before.push(Unit {
                    shard,
                    ops: vec![op],
                }),
            }
        }
        if !unit.ops.is_empty() {
            request.then.push(unit);
        }
        Ok((request, sent))
    }

    pub(super) async fn extend(
        &self,
        core: &Core,
        claiming: &Claiming,
        lease: &Extend,
    ) -> Result<bool, StoreError> {
        let op = Op::Extend {
            host: lease.host.clone(),
            token: lease.token,
        };
        let answer = self
            .ask(core, claiming, single(core, op, &lease.host))
            .await?;
        Ok(answer.extended)
    }

    pub(super) async fn release(
        &self,
        core: &Core,
        claiming: &Claiming,
        release: &Release,
        since_end: Option<Duration>,
    ) -> Result<(), StoreError> {
        let asked_at = core.clock.boot();
        insist(core, async || {
            let ago = since_end.map(|ago| ago + core.clock.boot().since(asked_at));
            let op = Op::Release {
                host: release.host.clone(),
                token: release.token,
                handed: release.handed,
                ago_us: ago.map(micros),
            };
            let request = single(core, op, &release.host);
            self.ask(core, claiming, request).await.map(drop)
        })
        .await
    }

    pub(super) async fn schedule(
        &self,
        core: &Core,
        claiming: &Claiming,
        wants: &Schedule,
    ) -> Result<(), StoreError> {
        insist(core, async || {
            let op = Op::Schedule {
                host: wants.host.clone(),
                delay_ms: wants.delay.map(millis),
                rest_ms: wants.rest.map(millis),
                strikes: wants.strikes,
            };
            let request = single(core, op, &wants.host);
            self.ask(core, claiming, request).await.map(drop)
        })
        .await
    }

    /// Links that are not known to be known, as operations of each shard's hosts, in the order in which they came.
    fn links<'a>(
        &self,
        shape: Shape,
        links: impl Iterator<Item = (&'a Link, &'a str)>,
        force: bool,
        together: &mut HashSet<u64>,
        sent: &mut Vec<u64>,
    ) -> Result<Vec<(u16, Vec<Op>)>, StoreError> {
        let mut recent = locked(&self.recent);
        let mut by_shard: Vec<(u16, Vec<Op>)> = Vec::new();
        let mut at: HashMap<&Host, (usize, usize)> = HashMap::new();
        for (link, via) in links {
            let seed = link.kind == LinkKind::Seed;
            let fingerprint = link.fingerprint.0;
            let is_plain = !seed && !force;
            if is_plain && (recent.contains(fingerprint) || together.contains(&fingerprint)) {
                continue;
            }
            together.insert(fingerprint);
            sent.push(fingerprint);
            let queued = QueuedRef::of(link, Some(via), None);
            let (bucket, member) = shape.place(link.fingerprint);
            let arg = LinkArg {
                class: link.kind.class(),
                bucket,
                member,
                element: encode_alone(link.host.as_str(), queued).map_err(unwritable)?,
                exact: (!is_plain).then(|| (link.url.clone(), seed, force)),
                again: None,
            };
            let (shard, op) = *at.entry(&link.host).or_insert_with(|| {
                let shard = shape.shard(link.fingerprint.area());
                let found = by_shard.iter().position(|(known, _)| *known == shard);
                let place = found.unwrap_or_else(|| {
                    by_shard.push((shard, Vec::new()));
                    by_shard.len() - 1
                });
                by_shard[place].1.push(Op::Links {
                    host: link.host.clone(),
                    links: Vec::new(),
                });
                (place, by_shard[place].1.len() - 1)
            });
            if let Op::Links { links, .. } = &mut by_shard[shard].1[op] {
                links.push(arg);
            }
        }
        Ok(by_shard)
    }

    /// What is remembered may be unknown to the servers.
    fn forget(&self) {
        locked(&self.recent).clear();
    }

    /// A request that is filtered by what the servers of now have answered.
    fn begin(&self, core: &Core) -> Request {
        let breaks = core.link.breaks();
        if self.breaks.swap(breaks, Ordering::AcqRel) != breaks {
            self.forget();
        }
        Request {
            breaks,
            ..Request::default()
        }
    }

    fn remember(&self, sent: &[u64]) {
        let mut recent = locked(&self.recent);
        sent.iter()
            .for_each(|&fingerprint| recent.insert(fingerprint));
    }

    async fn ask(
        &self,
        core: &Core,
        claiming: &Claiming,
        request: Request,
    ) -> Result<Answer, StoreError> {
        let mut answers = self.ask_all(core, claiming, vec![request]).await?;
        answers.pop().unwrap_or(Err(odd("request")))
    }

    /// Has the requests done, together with others that wait.
    async fn ask_all(
        &self,
        core: &Core,
        claiming: &Claiming,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let (asked, told): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|request| {
                let (tell, told) = oneshot::channel();
                ((request, tell), told)
            })
            .unzip();
        locked(&self.waiting).extend(asked);
        let turn = self.turn.lock().await;
        // Those that wait at once have all been taken along by somebody else, or none.
        let gathered = std::mem::take(&mut *locked(&self.waiting));
        let mut long = Vec::new();
        if !gathered.is_empty() {
            long = self.send(core, claiming, gathered).await?;
        }
        drop(turn);
        for (shard, queue) in &long {
            match cold::spill(core, *shard, queue).await {
                // Its next URLs say it again.
                Err(error) if error.may_pass() => break,
                done => done?,
            }
        }
        let mut answers = Vec::with_capacity(told.len());
        for told in told {
            // Whoever took it along and was dropped has not answered it.
            let answer = told.await.unwrap_or_else(|_| Err(broken()));
            answers.push(answer.map_err(|trouble| {
                self.forget();
                trouble.into()
            }));
        }
        Ok(answers)
    }

    async fn send(
        &self,
        core: &Core,
        claiming: &Claiming,
        gathered: Vec<(Request, Told)>,
    ) -> Result<Vec<(u16, Long)>, StoreError> {
        let (mut requests, told): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        let mut answers: Vec<Answer> = requests.iter().map(|_| Answer::default()).collect();
        // What was left out because another server knew it must be sent again.
        let breaks = core.link.breaks();
        let outdated = |request: &Request| (request.breaks != breaks).then(broken);
        let mut failed: Vec<Option<Trouble>> = requests.iter().map(outdated).collect();
        let mut long = Vec::new();
        for ahead in [true, false] {
            let mut units = Vec::new();
            for (number, request) in requests.iter_mut().enumerate() {
                let step = if ahead {
                    &mut request.before
                } else {
                    &mut request.then
                };
                if failed[number].is_none() {
                    units.extend(std::mem::take(step).into_iter().map(|unit| (number, unit)));
                }
            }
            let calls = calls(units, self.is_full.load(Ordering::Relaxed));
            if calls.is_empty() {
                continue;
            }
            events::RoundTrip { calls: calls.len() }.emit();
            let asked = calls.iter().map(|one| core.apply(one, breaks));
            let told = join_all(asked).await;
            for (one, answer) in calls.into_iter().zip(told) {
                claiming.touched(one.shard, &core.clock);
                match &answer {
                    Err(Trouble::Full(_)) => self.is_full.store(true, Ordering::Relaxed),
                    Ok(_) if one.takes_room() => self.is_full.store(false, Ordering::Relaxed),
                    _ => {}
                }
                match answer {
                    Ok(answer) => {
                        let told = one.read(answer, &mut answers).ok_or(odd("apply"))?;
                        claiming.leases_ended(&told.ended);
                        if told.is_hungry {
                            claiming.shares.other_waits(core.clock.boot());
                        }
                        core.permits.over(told.tally);
                        long.extend(told.long.into_iter().map(|queue| (one.shard, queue)));
                        if ahead {
                            core.reach.keep(&core.clock, [one.into_links()]);
                        }
                    }
                    Err(trouble) => {
                        one.requests()
                            .for_each(|n| failed[n] = Some(trouble.clone()));
                    }
                }
            }
        }
        // What it could not tell is told with the next claim.
        let _told_later = core.permits.flush(core).await;
        for ((answer, failed), told) in answers.into_iter().zip(failed).zip(told) {
            // Nobody waits where a verb was dropped.
            let _dropped = told.send(failed.map_or(Ok(answer), Err));
        }
        Ok(long)
    }
}

/// Asks again while that may help, up to [`PATIENCE`], with waits that grow and are not the same on every node.
async fn insist<T>(
    core: &Core,
    mut ask: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let end = core.clock.boot().after(PATIENCE);
    let mut waits = Waits::default();
    loop {
        match ask().await {
            Err(error) if error.may_pass() && core.clock.boot() < end => waits.next(core).await,
            done => return done,
        }
    }
}

/// Waits that grow.
#[derive(Default)]
struct Waits(u32);

impl Waits {
    async fn next(&mut self, core: &Core) {
        let wait = WAIT_FIRST.saturating_mul(1 << self.0.min(16)).min(WAIT_MAX);
        self.0 += 1;
        let mut chance = Chance::seeded(core.clock.boot().0);
        tokio::time::sleep(chance.jitter(wait)).await;
    }
}

/// How far pages were settled.
pub(super) struct Settling {
    /// One for each page; none where its shards did not answer.
    pub(super) answers: Vec<Option<Settled>>,
    pub(super) links: Admitted,
}

impl Core {
    /// The arguments of `lua/apply.lua` for this call.
    pub(super) fn apply_args(&self, one: &Call, cmd: &mut Cmd) {
        let rules = self.rules();
        cmd.arg(self.shape.crawl.0)
            .arg(rules.tries_max)
            .arg(millis(rules.delay))
            .arg(millis(rules.lease))
            .arg(self.cold.queue_max)
            .arg(self.cold.chunk);
        one.write(cmd);
    }

    pub(super) async fn apply(&self, one: &Call, since: u64) -> Result<redis::Value, Trouble> {
        let args = |cmd: &mut Cmd| self.apply_args(one, cmd);
        let scripts = &self.scripts;
        let script = if one.takes_room() {
            &scripts.apply
        } else {
            &scripts.drain
        };
        self.ask(one.shard, script, Some(since), args).await
    }
}

pub(super) fn unwritable(source: codec::CodecError) -> StoreError {
    StoreError::Value {
        what: "queued URL",
        source,
    }
}

/// Units of at most so many links.
pub(super) fn parts(shard: u16, ops: Vec<Op>) -> Vec<Unit> {
    let mut units = Vec::new();
    let (mut open, mut room) = (Vec::new(), LINKS_MAX);
    for op in ops {
        let Op::Links { host, mut links } = op else {
            open.push(op);
            continue;
        };
        while links.len() > room {
            let rest = links.split_off(room);
            let host = host.clone();
            open.push(Op::Links { host, links });
            units.push(Unit {
                shard,
                ops: std::mem::take(&mut open),
            });
            (links, room) = (rest, LINKS_MAX);
        }
        room -= links.len();
        open.push(Op::Links { host, links });
    }
    if !open.is_empty() {
        units.push(Unit { shard, ops: open });
    }
    units
}

fn single(core: &Core, op: Op, host: &Host) -> Request {
    let shard = core.shape.shard(host.area());
    Request {
        then: vec![Unit {
            shard,
            ops: vec![op],
        }],
        before: Vec::new(),
        breaks: core.link.breaks(),
    }
}

fn op_of(settle: &Settle) -> Result<Option<Op>, StoreError> {
    let host = settle.host.clone();
    Ok(match &settle.what {
        Settles::Beside => None,
        Settles::Robots { origin, record } => Some(Op::Robots {
            host: origin.host.clone(),
            https: origin.https,
            port: origin.port,
            record: codec::encode(ROBOTS_VERSION, record).map_err(|source| StoreError::Value {
                what: "robots.txt",
                source,
            })?,
        }),
        &Settles::Url {
            position,
            fate,
            kept,
            bytes,
            ..
        } => {
            let fate = match fate {
                Fate::Done => FateArg::Done { kept, bytes },
                Fate::Return => FateArg::Back,
                Fate::Retry { tries, rest } => {
                    let wait = politeness::backoff(tries, rest, settle.token, position);
                    let wait_us = micros(wait);
                    FateArg::Retry { tries, wait_us }
                }
            };
            Some(Op::Settle {
                host,
                token: settle.token,
                position,
                fate,
            })
        }
    })
}

//! Everything that changes hosts but claims: verbs become [`Request`]s, those that wait together go out together.
//!
//! Owns the cache of fingerprints seen lately and the line of waiting requests. Whoever comes while calls are under way
//! waits for them, then takes all that has gathered along: under load a call carries many groups of pages, and a quiet
//! store answers at once. Invariant: a fingerprint is remembered only after the answer that made it known, and all are
//! forgotten when an answer is lost; a request that failed may have been done in part, and is asked again whole.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use contract::admit::{Admit, Admitted};
use contract::clock::{Boot, Chance, micros, millis};
use contract::codec;
use contract::host::Host;
use contract::lease::{Extend, Release, Schedule};
use contract::link::{Link, LinkKind};
use contract::page::Fate;
use contract::settle::{Settle, Settles};
use futures_util::future::join_all;
use redis::Cmd;
use tokio::sync::oneshot;

use super::batch::{Answer, Call, FateArg, LINKS_MAX, LinkArg, Op, Request, Unit, calls};
use super::claims::Claiming;
use super::scripts::{Trouble, call, odd};
use super::shape::Shape;
use super::{Core, locked};
use crate::error::StoreError;
use crate::politeness;
use crate::store::Taken;
use crate::store::element::{QueuedRef, encode_alone};
use crate::store::recent::Recent;

/// A store that does not answer is asked again for so long; less than its asker's own patience.
const PATIENCE: Duration = Duration::from_secs(20);
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The version of a stored robots.txt.
pub(super) const ROBOTS_VERSION: u8 = 1;

type Told = oneshot::Sender<Result<Answer, Trouble>>;

/// See the module.
pub(super) struct Applying {
    recent: Mutex<Recent>,
    waiting: Mutex<Vec<(Request, Told)>>,
    /// Held while calls are under way.
    turn: tokio::sync::Mutex<()>,
}

impl Applying {
    pub(super) fn new(memory_bytes: u64) -> Self {
        Self {
            recent: Mutex::new(Recent::with_bytes(memory_bytes)),
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
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
        let mut sent = Sent::default();
        let mut request = Request::default();
        let links = admit.links.iter().map(|link| (link, &*admit.via));
        for (shard, ops) in self.links(core.shape, links, admit.force, &mut sent)? {
            request.then.extend(parts(shard, ops));
        }
        let answer = self.ask(core, claiming, request).await?;
        self.remember(&sent);
        Ok(sent.admitted(admit.links.len(), answer.new))
    }

    pub(super) async fn settle(
        &self,
        core: &Core,
        claiming: &Claiming,
        settles: &[Settle],
    ) -> Result<Taken, StoreError> {
        insist(core, async || {
            self.settle_once(core, claiming, settles).await
        })
        .await
    }

    async fn settle_once(
        &self,
        core: &Core,
        claiming: &Claiming,
        settles: &[Settle],
    ) -> Result<Taken, StoreError> {
        let mut sent = Sent::default();
        let mut request = Request::default();
        for (nth, settle) in settles.iter().enumerate() {
            let home = core.shape.shard(settle.host.area());
            let links = settle.links.iter().map(|link| (link, &*settle.via));
            let mut unit = Unit {
                shard: home,
                ops: Vec::new(),
            };
            for (shard, ops) in self.links(core.shape, links, false, &mut sent)? {
                let mut parts = parts(shard, ops);
                if shard == home
                    && let Some(last) = parts.pop()
                {
                    unit.ops = last.ops;
                }
                // Links of other shards, and those that are too many for one step, go ahead.
                request.before.extend(parts);
            }
            if let Some(op) = op_of(settle, nth)? {
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
        }
        let answer = self.ask(core, claiming, request).await?;
        self.remember(&sent);
        let all = settles.iter().map(|settle| settle.links.len()).sum();
        let mut taken = Taken {
            answers: vec![contract::settle::Settled::Applied; settles.len()],
            links: sent.admitted(all, answer.new),
        };
        for (nth, settled) in answer.settled {
            taken.answers[nth] = settled;
        }
        Ok(taken)
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
            .ask(core, claiming, single(core.shape, op, &lease.host))
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
            let request = single(core.shape, op, &release.host);
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
            };
            let request = single(core.shape, op, &wants.host);
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
        sent: &mut Sent,
    ) -> Result<Vec<(u16, Vec<Op>)>, StoreError> {
        let mut recent = locked(&self.recent);
        let mut by_shard: Vec<(u16, Vec<Op>)> = Vec::new();
        let mut at: HashMap<&Host, (usize, usize)> = HashMap::new();
        for (link, via) in links {
            let seed = link.kind == LinkKind::Seed;
            let fingerprint = link.fingerprint.0;
            let is_plain = !seed && !force;
            if is_plain && (recent.contains(fingerprint) || sent.fresh.contains(&fingerprint)) {
                continue;
            }
            sent.fresh.insert(fingerprint);
            let queued = QueuedRef {
                url: &link.url,
                kind: link.kind,
                depth: link.depth,
                hops: link.hops,
                tries: 0,
                via: Some(via),
            };
            let (bucket, member) = shape.place(link.fingerprint);
            let arg = LinkArg {
                class: link.kind.class(),
                bucket,
                member,
                element: encode_alone(link.host.as_str(), queued).map_err(unwritable)?,
                exact: (!is_plain).then(|| (link.url.clone(), seed, force)),
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

    fn remember(&self, sent: &Sent) {
        let mut recent = locked(&self.recent);
        sent.fresh
            .iter()
            .for_each(|&fingerprint| recent.insert(fingerprint));
    }

    /// Has the request done, together with others that wait.
    async fn ask(
        &self,
        core: &Core,
        claiming: &Claiming,
        request: Request,
    ) -> Result<Answer, StoreError> {
        let (tell, mut told) = oneshot::channel();
        locked(&self.waiting).push((request, tell));
        let _turn = self.turn.lock().await;
        let answer = match told.try_recv() {
            Ok(answer) => answer,
            Err(_) => {
                let gathered = std::mem::take(&mut *locked(&self.waiting));
                self.send(core, claiming, gathered).await?;
                // Its own request was among those that were just answered.
                told.await.map_err(|_| odd("request"))?
            }
        };
        answer.map_err(|trouble| {
            locked(&self.recent).clear();
            StoreError::from(trouble)
        })
    }

    async fn send(
        &self,
        core: &Core,
        claiming: &Claiming,
        gathered: Vec<(Request, Told)>,
    ) -> Result<(), StoreError> {
        let (mut requests, told): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        let mut answers: Vec<Answer> = requests.iter().map(|_| Answer::default()).collect();
        let mut failed: Vec<Option<Trouble>> = vec![None; requests.len()];
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
            let calls = calls(units);
            let asked = calls.iter().map(|one| apply(core, one));
            for (one, answer) in calls.iter().zip(join_all(asked).await) {
                claiming.touched(one.shard, &core.clock);
                match answer {
                    Ok(answer) => {
                        let ended = one.read(answer, &mut answers).ok_or(odd("apply"))?;
                        claiming.leases_ended(&ended);
                    }
                    Err(trouble) => {
                        one.requests()
                            .for_each(|n| failed[n] = Some(trouble.clone()));
                    }
                }
            }
        }
        for ((answer, failed), told) in answers.into_iter().zip(failed).zip(told) {
            // Nobody waits where a verb was dropped.
            let _dropped = told.send(failed.map_or(Ok(answer), Err));
        }
        Ok(())
    }
}

/// Asks again while that may help, up to [`PATIENCE`], with waits that grow and are not the same on every node.
async fn insist<T>(
    core: &Core,
    mut ask: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let end = core.clock.boot().after(PATIENCE);
    let mut wait = WAIT_FIRST;
    loop {
        match ask().await {
            Err(error) if error.may_pass() && core.clock.boot() < end => {
                let mut chance = Chance::seeded(micros(core.clock.boot().since(Boot::default())));
                tokio::time::sleep(chance.jitter(wait)).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            done => return done,
        }
    }
}

async fn apply(core: &Core, one: &Call) -> Result<redis::Value, Trouble> {
    let rules = core.rules();
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0)
            .arg(rules.tries_max)
            .arg(millis(rules.delay))
            .arg(millis(rules.lease))
            .arg(millis(rules.ring));
        one.write(cmd);
    };
    call(
        &core.link,
        &core.scripts.apply,
        &Shape::gate(one.shard),
        args,
    )
    .await
}

/// What of a request's links was sent.
#[derive(Default)]
struct Sent {
    fresh: HashSet<u64>,
}

impl Sent {
    /// Of all links, these were new; those that were not sent were known.
    fn admitted(&self, all: usize, new: u64) -> Admitted {
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        Admitted {
            new,
            known: all - new,
        }
    }
}

fn unwritable(source: codec::CodecError) -> StoreError {
    StoreError::Value {
        what: "queued URL",
        source,
    }
}

/// Units of at most so many links.
fn parts(shard: u16, ops: Vec<Op>) -> Vec<Unit> {
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

fn single(shape: Shape, op: Op, host: &Host) -> Request {
    let shard = shape.shard(host.area());
    Request {
        before: Vec::new(),
        then: vec![Unit {
            shard,
            ops: vec![op],
        }],
    }
}

fn op_of(settle: &Settle, nth: usize) -> Result<Option<Op>, StoreError> {
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
                nth,
                host,
                token: settle.token,
                position,
                fate,
            })
        }
    })
}

//! Out of Redis and into it: the shared store's half of a crawl that moves.
//!
//! While a crawl is taken in its shards are in the state `import`, in which nothing is granted and which no order ends.
//! Each part goes to its shards at once; none is sent twice. Start at [`take_in`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use contract::Url;
use contract::clock::millis;
use contract::codec;
use contract::fleet::CrawlNumber;
use contract::host::Host;
use contract::robots::RobotsRecord;
use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline};

use super::apply::ROBOTS_VERSION;
use super::asked::{self, ask};
use super::cold::{self, Long};
use super::scripts::odd;
use super::{Core, reading};
use crate::error::StoreError;
use crate::fleet::course;
use crate::politeness;
use crate::store::QueuePlace;
use crate::store::element::encode_alone;
use crate::store::machine::RETRY;
use crate::store::moving::{HostRow, Kind, Part, Row, RowPlace, Rows, UrlRow, Whole, distance};

/// Rows of a table that are read at once, about.
const TABLE_ROWS_TOGETHER: usize = 256;
/// Fingerprints in one row.
const KNOWN_TOGETHER: usize = 512;
const PLACE_VERSION: u8 = 1;
/// The state of a shard into which a crawl is taken.
pub(super) const IMPORT: &str = "import";

/// The crawl as a whole.
pub(super) async fn whole(core: &Core, fingerprint_seed: u64) -> Result<Whole, StoreError> {
    let stats = asked::stats(core).await?;
    if stats.leases > 0 {
        for shard in 0..core.shape.shards {
            // One whose time is over is nobody's, whether or not a claim has seen it yet.
            let mut live = redis::cmd("ZCOUNT");
            live.arg(core.shape.key(shard, "l"))
                .arg(now_in(core, shard, &mut HashMap::new()).await? + 1)
                .arg("+inf");
            if ask::<u64>(core, live).await? > 0 {
                return Err(StoreError::Refusing(
                    "being worked on; stop the crawl first",
                ));
            }
        }
    }
    let config = asked::config(core)
        .await?
        .map(|config| String::from_utf8(config.bytes));
    let config = config.transpose().map_err(|_| odd("configuration"))?;
    let mut link = core.link.clone();
    let ran = course::ran(&mut link, core.shape.crawl, Duration::ZERO).await?;
    Ok(Whole {
        fingerprint_seed,
        fingerprint_mask: core.shape.mask(),
        known: stats.known,
        queued: stats.queued,
        done: stats.done,
        kept: stats.kept,
        bytes: stats.bytes,
        ran_ms: millis(ran),
        config,
    })
}

/// The rows from a place on.
pub(super) async fn rows_from(
    core: &Core,
    from: Option<RowPlace>,
    most: usize,
) -> Result<Rows, StoreError> {
    let RowPlace { kind, at } = from.unwrap_or_default();
    let on = |at: Vec<u8>| {
        let at = at.into();
        Some(RowPlace { kind, at })
    };
    match kind {
        Kind::Known => {
            let after = at.as_ref().try_into().ok().map(u64::from_be_bytes);
            let most = most.min(64) * KNOWN_TOGETHER;
            let after = after.map(contract::canonical::Fingerprint);
            let known = reading::known_after(core, after, most).await?;
            let next = match known.last() {
                Some(last) => on(last.0.to_be_bytes().to_vec()),
                None => kind.next(),
            };
            let rows = known.chunks(KNOWN_TOGETHER);
            let rows = rows.map(|some| Row::Known(some.iter().map(|one| one.0).collect()));
            Ok(Rows {
                rows: rows.collect(),
                next,
            })
        }
        Kind::Queued => {
            let after = (!at.is_empty()).then(|| QueuePlace(at.clone()));
            let queued = reading::queued_after(core, after, most).await?;
            let next = match queued.last() {
                Some(last) => on(last.at.0.to_vec()),
                None => kind.next(),
            };
            let (mut rows, mut nows) = (Vec::with_capacity(queued.len()), HashMap::new());
            for at in queued {
                let due_in_ms = match at.class {
                    RETRY => distance(
                        at.not_before,
                        now_in(core, core.shape.shard(at.host.area()), &mut nows).await?,
                    ),
                    _ => 0,
                };
                rows.push(Row::Queued {
                    host: at.host.to_string(),
                    class: at.class,
                    due_in_ms,
                    url: at.queued.into(),
                });
            }
            Ok(Rows { rows, next })
        }
        Kind::Exact | Kind::Hosts | Kind::Robots | Kind::GaveUp => {
            let (shard, cursor) = match at.is_empty() {
                true => (0, 0),
                false => {
                    codec::decode(PLACE_VERSION, &at).map_err(|_| odd("place of a reading"))?
                }
            };
            let (rows, cursor) = table(core, kind, shard, cursor).await?;
            let place = match cursor {
                0 => (shard + 1, 0),
                cursor => (shard, cursor),
            };
            let next = match place.0 < core.shape.shards {
                true => on(codec::encode(PLACE_VERSION, &place).map_err(|_| odd("place"))?),
                false => kind.next(),
            };
            Ok(Rows { rows, next })
        }
    }
}

/// The time in a shard, in ms.
async fn now_in(core: &Core, shard: u16, known: &mut HashMap<u16, u64>) -> Result<u64, StoreError> {
    if let Some(now) = known.get(&shard) {
        return Ok(*now);
    }
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0);
    };
    let answer = core.ask(shard, &core.scripts.now, None, args).await?;
    let now: u64 = redis::from_redis_value(answer).map_err(|_| odd("time"))?;
    known.insert(shard, now / 1_000);
    Ok(now / 1_000)
}

/// Some rows of a table of a shard.
async fn table(
    core: &Core,
    kind: Kind,
    shard: u16,
    cursor: u64,
) -> Result<(Vec<Row>, u64), StoreError> {
    let name = match kind {
        Kind::Exact => "x",
        Kind::Hosts => "H",
        Kind::Robots => "R",
        _ => "g",
    };
    let mut scan = redis::cmd("HSCAN");
    scan.arg(core.shape.key(shard, name))
        .arg(cursor)
        .arg("COUNT")
        .arg(TABLE_ROWS_TOGETHER);
    let (next, mut found): (u64, Vec<(String, Vec<u8>)>) = ask(core, scan).await?;
    if kind == Kind::GaveUp {
        found.sort_unstable_by_key(|(number, _)| number.parse::<u64>().unwrap_or(u64::MAX));
    } else {
        found.sort_unstable();
    }
    let mut shared: Vec<Option<Vec<u8>>> = Vec::new();
    if kind == Kind::Hosts && !found.is_empty() {
        let mut get = redis::cmd("HMGET");
        get.arg(format!("{{s{shard}}}:h"));
        found.iter().for_each(|(host, _)| {
            get.arg(host);
        });
        shared = ask(core, get).await?;
    }
    let (mut shared, mut nows) = (shared.into_iter(), HashMap::new());
    let mut rows = Vec::with_capacity(found.len());
    for (key, value) in found {
        rows.push(match kind {
            Kind::Exact => Row::Exact {
                seed: value == b"1",
                url: key,
            },
            Kind::Hosts => {
                let now = now_in(core, shard, &mut nows).await?;
                let shared = shared.next().flatten();
                let ours = core.rules().delay;
                let row = host_row(key, &value, shared.as_deref(), (now, ours));
                Row::Host(row.ok_or(odd("record"))?)
            }
            Kind::Robots => robots_row(&key, &value)?,
            _ => {
                let gave = asked::read_row(0, &value)?;
                Row::GaveUp {
                    host: gave.host.to_string(),
                    token: gave.token.0,
                    url: gave.queued.into(),
                }
            }
        });
    }
    Ok((rows, next))
}

fn host_row(
    host: String,
    own: &[u8],
    shared: Option<&[u8]>,
    (now, ours): (u64, Duration),
) -> Option<HostRow> {
    let own = reading::Record::read(own)?;
    let number = |at: usize| asked::shared_number(shared?, at);
    let learned = shared.and_then(|bytes| bytes.get(25..29)?.try_into().ok());
    let learned_ms = learned.map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
    let due_in_ms = distance(number(17).unwrap_or(0), now);
    let mut row = HostRow {
        host,
        token: own.token.max(number(1).unwrap_or(0)),
        learned_ms,
        due_in_ms,
        failures: own.failures,
        suspect: own.suspect,
        done: own.done,
        leases: own.leases,
    };
    if own.lease.is_some() {
        // Its time is over: what the next claim would have made of it.
        row.suspect |= row.failures > 0;
        row.failures = row.failures.saturating_add(1);
        let delay = politeness::delay(ours, Duration::from_millis(learned_ms));
        row.due_in_ms = row.due_in_ms.max(distance(millis(delay), 0));
    }
    Some(row)
}

fn robots_row(key: &str, value: &[u8]) -> Result<Row, StoreError> {
    let mut parts = key.rsplitn(3, '|');
    let (port, https, host) = (parts.next(), parts.next(), parts.next());
    let port = port.and_then(|port| port.parse().ok());
    let (Some(port), Some(https), Some(host)) = (port, https, host) else {
        return Err(odd("robots.txt's key"));
    };
    let record: RobotsRecord =
        codec::decode(ROBOTS_VERSION, value).map_err(|source| StoreError::Value {
            what: "robots.txt",
            source,
        })?;
    Ok(Row::Robots {
        host: host.to_owned(),
        https: https == "1",
        port,
        record,
    })
}

/// Takes in a part of a crawl.
pub(super) async fn take_in(core: &Core, seed: u64, part: Part<'_>) -> Result<(), StoreError> {
    match part {
        Part::Begin(whole) => begin(core, seed, whole).await,
        Part::Rows(rows) => take_rows(core, rows).await,
        Part::End(whole) => end(core, whole).await,
    }
}

async fn begin(core: &Core, seed: u64, whole: &Whole) -> Result<(), StoreError> {
    let unfit = |why: &str| Err(StoreError::Unfit(why.to_owned()));
    let stats = asked::stats(core).await?;
    if stats.known > 0 || stats.queued > 0 || asked::is_in_state(core, IMPORT).await? {
        return unfit("a crawl is there already, or half of one");
    }
    if whole.fingerprint_seed != seed {
        return unfit("it was made with another fingerprint seed");
    }
    let wanted = core.shape.mask();
    if whole.fingerprint_mask & wanted != wanted {
        return unfit("it knows too few bits of a fingerprint for so many shards and buckets");
    }
    asked::put_state(core, IMPORT).await
}

/// What of the rows goes to one shard.
#[derive(Default)]
struct ForShard<'a> {
    plain: Pipeline,
    hosts: Vec<&'a HostRow>,
    robots: Vec<(&'a str, bool, u16)>,
    queued: Vec<(&'a str, u8, i64, Vec<u8>)>,
}

async fn take_rows(core: &Core, rows: &[Row]) -> Result<(), StoreError> {
    let mut shards: BTreeMap<u16, ForShard<'_>> = BTreeMap::new();
    let shard_of = |host: &str| core.shape.shard(Host::from_stored(host).area());
    let unfit = |what: &str| StoreError::Unfit(format!("{what:?} cannot be read"));
    for row in rows {
        match row {
            Row::Exact { url, seed } => {
                let parsed = Url::parse(url).ok().and_then(|url| Host::of(&url));
                let shard = core.shape.shard(parsed.ok_or_else(|| unfit(url))?.area());
                let key = core.shape.key(shard, "x");
                let plain = &mut shards.entry(shard).or_default().plain;
                plain.hset(key, url, u8::from(*seed)).ignore();
            }
            Row::Known(some) => {
                for &one in some {
                    let one = contract::canonical::Fingerprint(one);
                    let shard = core.shape.shard(one.area());
                    let (bucket, member) = core.shape.place(one);
                    let key = core.shape.key(shard, &format!("u:{bucket}"));
                    let plain = &mut shards.entry(shard).or_default().plain;
                    plain.sadd(key, member).ignore();
                }
            }
            Row::Host(row) => shards
                .entry(shard_of(&row.host))
                .or_default()
                .hosts
                .push(row),
            Row::Robots {
                host,
                https,
                port,
                record,
            } => {
                let shard = shard_of(host);
                let part = shards.entry(shard).or_default();
                let value = codec::encode(ROBOTS_VERSION, record).map_err(|_| unfit(host))?;
                let field = format!("{host}|{}|{port}", u8::from(*https));
                let key = core.shape.key(shard, "R");
                part.plain.hset(key, field, value).ignore();
                part.robots.push((host, *https, *port));
            }
            Row::Queued {
                host,
                class,
                due_in_ms,
                url,
            } => {
                if *class > RETRY {
                    return Err(StoreError::Unfit(format!("a URL of class {class}")));
                }
                let part = shards.entry(shard_of(host)).or_default();
                let element = encode_alone(host, url.into()).map_err(|_| unfit(host))?;
                part.queued.push((host, *class, *due_in_ms, element));
            }
            Row::GaveUp { host, token, url } => {
                let shard = shard_of(host);
                let mut next = redis::cmd("HINCRBY");
                next.arg(core.shape.key(shard, "m")).arg("gave").arg(1);
                let number: u64 = ask(core, next).await?;
                let row = gave_up_row(host, *token, url).map_err(|_| unfit(host))?;
                let key = core.shape.key(shard, "g");
                let plain = &mut shards.entry(shard).or_default().plain;
                plain.hset(key, number, row).ignore();
            }
        }
    }
    let all = shards
        .into_iter()
        .map(|(shard, part)| take_part(core, shard, part));
    try_join_all(all).await.map(drop)
}

/// As `lua/head.lua` writes a URL that was given up.
fn gave_up_row(host: &str, token: u64, url: &UrlRow) -> Result<Vec<u8>, codec::CodecError> {
    let mut row = vec![1];
    // A token is far below 2^53.
    row.extend((token as f64).to_le_bytes());
    row.extend(host.as_bytes());
    row.push(0);
    row.extend(encode_alone(host, url.into())?);
    Ok(row)
}

async fn take_part(core: &Core, shard: u16, part: ForShard<'_>) -> Result<(), StoreError> {
    if !part.plain.is_empty() {
        let mut link = core.link.clone();
        let done: Result<(), _> = part.plain.query_async(&mut link).await;
        done?;
    }
    if part.hosts.is_empty() && part.robots.is_empty() && part.queued.is_empty() {
        return Ok(());
    }
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0).arg(core.cold.queue_max);
        cmd.arg(part.hosts.len());
        for row in &part.hosts {
            let host = Host::from_stored(&row.host);
            cmd.arg(host.as_str())
                .arg(host.domain().len())
                .arg(row.token)
                .arg(row.learned_ms)
                .arg(row.due_in_ms)
                .arg(row.failures)
                .arg(u8::from(row.suspect))
                .arg(row.done)
                .arg(row.leases);
        }
        cmd.arg(part.robots.len());
        for (host, https, port) in &part.robots {
            cmd.arg(host).arg(u8::from(*https)).arg(*port);
        }
        cmd.arg(part.queued.len());
        for (host, class, due_in_ms, element) in &part.queued {
            cmd.arg(host).arg(*class).arg(*due_in_ms).arg(&element[..]);
        }
    };
    let answer = core.ask(shard, &core.scripts.take_in, None, args).await?;
    let long: Vec<String> = redis::from_redis_value(answer).map_err(|_| odd("taking in"))?;
    for pair in long.chunks_exact(2) {
        let class = pair[1].parse().map_err(|_| odd("taking in"))?;
        let queue: Long = (pair[0].clone(), class);
        cold::spill(core, shard, &queue).await?;
    }
    Ok(())
}

async fn end(core: &Core, whole: &Whole) -> Result<(), StoreError> {
    let stats = asked::stats(core).await?;
    if stats.queued != whole.queued {
        let (found, wanted) = (stats.queued, whole.queued);
        return Err(StoreError::Unfit(format!(
            "{found} URLs are queued, not {wanted}"
        )));
    }
    // Figures are sums over the shards: the first one bears what is of no host.
    let mut counts = redis::cmd("HSET");
    counts.arg(core.shape.key(0, "m"));
    for (name, count) in [
        ("known", whole.known),
        ("done", whole.done),
        ("kept", whole.kept),
        ("bytes", whole.bytes),
    ] {
        counts.arg(name).arg(count);
    }
    let _new: u64 = ask(core, counts).await?;
    let CrawlNumber(number) = core.shape.crawl;
    let mut kept = redis::cmd("HSET");
    kept.arg(format!("{{c{number}}}:l"))
        .arg("kept")
        .arg(whole.kept);
    let _new: u64 = ask(core, kept).await?;
    let ran = Duration::from_millis(whole.ran_ms);
    course::ran(&mut core.link.clone(), core.shape.crawl, ran).await?;
    if let Some(config) = &whole.config {
        asked::set_config(core, config.as_bytes()).await?;
    }
    asked::put_state(core, "run").await
}

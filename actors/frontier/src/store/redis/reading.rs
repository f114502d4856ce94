//! Reading all that a crawl has in Redis, piece by piece: known fingerprints, queued URLs.
//!
//! A piece is bounded whatever the size of a shard or a host's queue: of a table of hosts, of a queue, one chunk. Nothing
//! is held between two pieces but the place where the reading stands. Invariant: exact while nobody works on the crawl;
//! else what is there all the time is read, some of it twice. Start at [`queued_after`].

use contract::canonical::Fingerprint;
use contract::codec;
use contract::host::Host;
use contract::lease::Queued;
use serde::{Deserialize, Serialize};

use super::Core;
use super::asked::ask;
use super::cold;
use super::scripts::odd;
use crate::error::StoreError;
use crate::store::element::decode_alone;
use crate::store::machine::{CLASSES, RETRY};
use crate::store::{QueuePlace, QueuedAt};

/// Hosts that are looked at together, about.
const HOSTS_TOGETHER: usize = 64;
/// URLs that are read together where they are not packed.
const URLS_TOGETHER: usize = 1_024;
const PLACE_VERSION: u8 = 1;

/// The seen set, bucket after bucket.
pub(super) async fn known_after(
    core: &Core,
    after: Option<Fingerprint>,
    most: usize,
) -> Result<Vec<Fingerprint>, StoreError> {
    let shape = core.shape;
    let buckets = 1u32 << shape.bucket_bits;
    let (mut shard, mut bucket) = after.map_or((0, 0), |last| {
        (shape.shard(last.area()), shape.place(last).0)
    });
    let mut found = Vec::new();
    while shard < shape.shards && found.len() < most {
        let mut members = redis::cmd("SMEMBERS");
        members.arg(shape.key(shard, &format!("u:{bucket}")));
        let members: Vec<i32> = ask(core, members).await?;
        let mut some: Vec<_> = members
            .into_iter()
            .map(|member| shape.fingerprint(shard, bucket, member))
            .filter(|one| Some(*one) > after)
            .collect();
        some.sort_unstable();
        found.extend(some);
        bucket += 1;
        if bucket == buckets {
            (shard, bucket) = (shard + 1, 0);
        }
    }
    Ok(found)
}

/// Where a reading of the queues stands: in a shard's table of hosts, and at a part of a host's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    shard: u16,
    cursor: u64,
    /// The next host of those at the cursor, by name; the first if none.
    host: Option<String>,
    class: u8,
    part: Part,
}

/// The next part of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// The queue, or the retries, from an index on.
    Queue(usize),
    /// The chunk of this index.
    Chunk(usize),
    /// The tail from an index on.
    Tail(usize),
}

impl Default for Part {
    fn default() -> Self {
        Self::Queue(0)
    }
}

/// The queues, host after host.
pub(super) async fn queued_after(
    core: &Core,
    after: Option<QueuePlace>,
    most: usize,
) -> Result<Vec<QueuedAt>, StoreError> {
    let mut place = match after {
        None => Place::default(),
        Some(QueuePlace(at)) => {
            codec::decode(PLACE_VERSION, &at).map_err(|_| odd("place of a reading"))?
        }
    };
    let mut found: Vec<QueuedAt> = Vec::new();
    while place.shard < core.shape.shards && found.len() < most {
        let (next, hosts) = hosts_at(core, &place).await?;
        for (host, record) in hosts {
            if place.host.as_ref().is_some_and(|from| *from > host) {
                continue;
            }
            if place.host.as_ref() != Some(&host) {
                (place.host, place.class, place.part) = (Some(host.clone()), 0, Part::Queue(0));
            }
            let reading = Reading::new(core, place.shard, host, &record)?;
            while place.class <= RETRY {
                if found.len() >= most {
                    return Ok(found);
                }
                let class = place.class;
                let (elements, next) = reading.part(class, place.part).await?;
                match next {
                    Some(part) => place.part = part,
                    None => (place.class, place.part) = (class + 1, Part::Queue(0)),
                }
                let at = codec::encode(PLACE_VERSION, &place).map_err(|_| odd("place"))?;
                for (not_before, element) in elements {
                    found.push(reading.queued(&at, class, not_before, &element)?);
                }
            }
        }
        place = match next {
            0 => Place {
                shard: place.shard + 1,
                ..Place::default()
            },
            cursor => Place {
                shard: place.shard,
                cursor,
                ..Place::default()
            },
        };
    }
    Ok(found)
}

/// Shows every queued URL of a host, leased ones too.
pub(super) async fn each_queued(
    core: &Core,
    shard: u16,
    host: &Host,
    mut each: impl FnMut(Queued),
) -> Result<(), StoreError> {
    let mut get = redis::cmd("HGET");
    get.arg(core.shape.key(shard, "H")).arg(host.as_str());
    let Some(record) = ask::<Option<Vec<u8>>>(core, get).await? else {
        return Ok(());
    };
    let reading = Reading::new(core, shard, host.to_string(), &record)?;
    for class in 0..=RETRY {
        let mut part = Some(Part::default());
        while let Some(at) = part {
            let (elements, next) = reading.part(class, at).await?;
            for (not_before, element) in elements {
                each(reading.queued(&[], class, not_before, &element)?.queued);
            }
            part = next;
        }
    }
    Ok(())
}

/// The hosts at the reading's place with their records, by name, and the cursor of those after them; 0 at the end.
async fn hosts_at(core: &Core, place: &Place) -> Result<(u64, Vec<(String, Vec<u8>)>), StoreError> {
    let mut scan = redis::cmd("HSCAN");
    scan.arg(core.shape.key(place.shard, "H"))
        .arg(place.cursor)
        .arg("COUNT")
        .arg(HOSTS_TOGETHER);
    let (next, mut hosts): (u64, Vec<(String, Vec<u8>)>) = ask(core, scan).await?;
    hosts.sort_unstable();
    Ok((next, hosts))
}

/// Elements of a queue, each with the time before which it is not tried (ms; 0 but for retries), and the part after them.
type Elements = (Vec<(u64, Vec<u8>)>, Option<Part>);

/// A host whose queues are read.
struct Reading<'a> {
    core: &'a Core,
    shard: u16,
    host: Host,
    record: Record,
}

impl<'a> Reading<'a> {
    /// From the host's record, as `lua/head.lua` writes it.
    fn new(core: &'a Core, shard: u16, host: String, record: &[u8]) -> Result<Self, StoreError> {
        Ok(Self {
            core,
            shard,
            host: Host::from_stored(&host),
            record: Record::read(record).ok_or(odd("record"))?,
        })
    }

    fn key(&self, kind: char, class: u8) -> String {
        let name = match kind {
            'r' => format!("r:{}", self.host),
            kind => format!("{kind}{class}:{}", self.host),
        };
        self.core.shape.key(self.shard, &name)
    }

    async fn part(&self, class: u8, part: Part) -> Result<Elements, StoreError> {
        match part {
            _ if self.record.queued[usize::from(class)] == 0 => Ok((Vec::new(), None)),
            Part::Queue(from) if class == RETRY => {
                let mut range = redis::cmd("ZRANGE");
                range
                    .arg(self.key('r', class))
                    .arg(from)
                    .arg(from + URLS_TOGETHER - 1)
                    .arg("WITHSCORES");
                let all: Vec<(Vec<u8>, f64)> = ask(self.core, range).await?;
                let next =
                    (all.len() == URLS_TOGETHER).then_some(Part::Queue(from + URLS_TOGETHER));
                // Milliseconds since 1970, whole; four bytes of a counter stand before the element.
                let item = |(member, due): (Vec<u8>, f64)| {
                    (due as u64, member.get(4..).unwrap_or_default().to_vec())
                };
                let all = all.into_iter().map(item);
                Ok((self.without_gone(class, from, all), next))
            }
            Part::Queue(from) => {
                let all = self.list(self.key('q', class), from).await?;
                let next = match all.len() == URLS_TOGETHER {
                    true => Some(Part::Queue(from + URLS_TOGETHER)),
                    false => (self.record.cold >> class & 1 == 1).then_some(Part::Chunk(0)),
                };
                let all = all.into_iter().map(|element| (0, element));
                Ok((self.without_gone(class, from, all), next))
            }
            Part::Chunk(at) => {
                let mut index = redis::cmd("LINDEX");
                index.arg(self.key('k', class)).arg(at);
                let chunk: Option<Vec<u8>> = ask(self.core, index).await?;
                let Some(chunk) = chunk else {
                    return Ok((Vec::new(), Some(Part::Tail(0))));
                };
                let all = cold::unpack(&chunk)?;
                let all = all.into_iter().map(|element| (0, element)).collect();
                Ok((all, Some(Part::Chunk(at + 1))))
            }
            Part::Tail(from) => {
                let all = self.list(self.key('t', class), from).await?;
                let next = (all.len() == URLS_TOGETHER).then_some(Part::Tail(from + URLS_TOGETHER));
                let all = all.into_iter().map(|element| (0, element)).collect();
                Ok((all, next))
            }
        }
    }

    async fn list(&self, key: String, from: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut range = redis::cmd("LRANGE");
        range.arg(key).arg(from).arg(from + URLS_TOGETHER - 1);
        ask(self.core, range).await
    }

    /// What a lease has settled stays in its place until the lease ends: it is not queued any more.
    fn without_gone(
        &self,
        class: u8,
        from: usize,
        all: impl Iterator<Item = (u64, Vec<u8>)>,
    ) -> Vec<(u64, Vec<u8>)> {
        let is_gone = |at: usize| match &self.record.lease {
            Some((of, marks)) => *of == class && marks.get(at) == Some(&b'1'),
            None => false,
        };
        (from..)
            .zip(all)
            .filter(|(at, _)| !is_gone(*at))
            .map(|(_, element)| element)
            .collect()
    }

    fn queued(
        &self,
        at: &[u8],
        class: u8,
        not_before: u64,
        element: &[u8],
    ) -> Result<QueuedAt, StoreError> {
        let queued =
            decode_alone(self.host.as_str(), element).map_err(|source| StoreError::Value {
                what: "queued URL",
                source,
            })?;
        Ok(QueuedAt {
            at: QueuePlace(at.into()),
            host: self.host.clone(),
            class,
            not_before,
            queued,
        })
    }
}

/// What a reading must know of a host's record, as `lua/head.lua` writes it.
pub(super) struct Record {
    pub(super) token: u64,
    /// URLs in each class.
    queued: [u32; CLASSES],
    pub(super) leases: u64,
    pub(super) done: u64,
    pub(super) failures: u8,
    pub(super) suspect: bool,
    /// Classes that have chunks or a tail, as bits.
    cold: u8,
    /// The class of the lease that is out, and the marks of its URLs.
    pub(super) lease: Option<(u8, Vec<u8>)>,
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut take = |n: usize| {
            let (taken, others) = rest.split_at_checked(n)?;
            rest = others;
            Some(taken)
        };
        take(1)?;
        let whole = |bytes: &[u8]| Some(f64::from_le_bytes(bytes.try_into().ok()?) as u64);
        let token = whole(take(8)?)?;
        let ends = f64::from_le_bytes(take(8)?.try_into().ok()?);
        let mut queued = [0; CLASSES];
        for count in &mut queued {
            *count = u32::from_le_bytes(take(4)?.try_into().ok()?);
        }
        let mut count = || Some(u32::from_le_bytes(take(4)?.try_into().ok()?));
        let (_retries, leases, done) = (count()?, count()?, count()?);
        let &[failures, suspect, cold, _, robots] = take(5)? else {
            return None;
        };
        take(3 * usize::from(robots))?;
        if cold > 0 {
            take(8)?;
        }
        let mut lease = None;
        if ends > 0.0 {
            let &[class, ..] = take(4)? else { return None };
            lease = Some((class, rest.to_vec()));
        }
        Some(Self {
            token,
            leases: u64::from(leases),
            done: u64::from(done),
            failures,
            suspect: suspect == 1,
            queued,
            cold,
            lease,
        })
    }
}

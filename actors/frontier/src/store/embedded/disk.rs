//! The embedded store on disk: keyspaces, keys and values, and nothing of what they mean.
//!
//! Owns the storage engine (fjall) and is the only one who knows it. Every change goes through a [`Batch`],
//! which is one atomic commit, written to the operating system before it is acknowledged: the end of the process
//! loses nothing; a power loss loses what came after the last flush, consistently.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use contract::codec;
use contract::fault::FailPlan;
use contract::robots::RobotsRecord;
use fjall::compaction::Leveled;
use fjall::config::{
    BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy,
};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::row::Row;
use crate::error::StoreError;
use crate::store::machine::CLASSES;
use crate::store::machine::gone::Gone;
use crate::store::machine::host::{Beside, Record};
use crate::store::machine::schedule::HostId;
use crate::store::moving::Kind;

/// Version of the values in this store, where they have none of their own.
const VALUE_VERSION: u8 = 1;
/// Version of a host with something beside its record.
const HOST_VERSION: u8 = 2;
/// Version of a host of whose queues something is gone behind the head.
const HOST_VERSION_GONE: u8 = 3;
/// The engine's journals; its least.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// A table file's size. Four of them are the first level, into which every few write buffers are merged: a large
/// one would be written again each time, for keys fall anywhere.
const TABLE_BYTES: u64 = 4 << 20;

/// What the crawl's whole life has counted, and what must survive besides (version 1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) known: u64,
    pub(super) queued: u64,
    pub(super) done: u64,
    pub(super) kept: u64,
    pub(super) bytes: u64,
    /// The number of the next host.
    pub(super) hosts: HostId,
    /// The number of the URL given up last.
    pub(super) gave_up: u64,
    pub(super) ran_ms: u64,
    /// The latest time of the store, in microseconds.
    pub(super) time: u64,
    pub(super) paused: bool,
}

/// A host as stored (version 1).
#[derive(Serialize, Deserialize)]
struct HostRow<N, R> {
    name: N,
    record: R,
}

/// A host as stored (version 2), where it has something beside its record.
#[derive(Serialize, Deserialize)]
struct HostRow2<N, R, B> {
    name: N,
    record: R,
    beside: B,
}

/// A host as stored (version 3), where it has both.
#[derive(Serialize, Deserialize)]
struct HostRow3<N, R, B, G> {
    name: N,
    record: R,
    beside: B,
    gone: G,
}

/// How a keyspace is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// By ranges.
    InOrder,
    /// By key, nearly always one that is there.
    ForWhatIsThere,
    /// By key, often one that is not there.
    ForWhatMayBe,
}

/// A keyspace's settings. Indexes, and filters below the first level, are read in parts: as wholes they grow with
/// the table, and one look would read a megabyte.
fn options(memtable: u64, looks: Looks, packed: bool) -> KeyspaceCreateOptions {
    let filter = match looks {
        Looks::InOrder => FilterPolicyEntry::None,
        Looks::ForWhatIsThere | Looks::ForWhatMayBe => {
            FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0))
        }
    };
    let compression = if packed {
        CompressionPolicy::all(CompressionType::Lz4)
    } else {
        CompressionPolicy::disabled()
    };
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable)
        .compaction_strategy(Arc::new(
            Leveled::default().with_table_target_size(TABLE_BYTES),
        ))
        .filter_policy(FilterPolicy::all(filter))
        .expect_point_read_hits(looks == Looks::ForWhatIsThere)
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
        .filter_block_partitioning_policy(PartitioningPolicy::new([false, true]))
        .data_block_compression_policy(compression)
}

/// The open database.
pub(super) struct Disk {
    db: Database,
    /// Number of a commit → the fingerprints that became known with it, until a run of the seen set holds them.
    fresh: Keyspace,
    /// Host, class, first place → row.
    queue: Keyspace,
    /// Host → name and record.
    hosts: Keyspace,
    /// Name → host.
    names: Keyspace,
    /// Host, scheme, port → robots.txt.
    robots: Keyspace,
    /// URL that was admitted as a seed or by force → whether as a seed.
    exact: Keyspace,
    /// Number → URL given up.
    gave_up: Keyspace,
    /// Single values by name.
    meta: Keyspace,
    fail: FailPlan,
}

impl Disk {
    /// Opens or creates the database; `memory` bytes go to its caches and write buffers.
    pub(super) fn open(folder: &Path, memory: u64, fail: FailPlan) -> Result<Self, StoreError> {
        let db = Database::builder(folder)
            .cache_size(memory / 6)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            // Of two, the engine keeps one free to write buffers out: it turns in circles while the other compacts.
            .worker_threads(1)
            .open()?;
        let keyspace = |name: &str, memtable: u64, looks: Looks, packed: bool| {
            db.keyspace(name, || options(memtable, looks, packed))
        };
        let small = memory / 64;
        Ok(Self {
            // Fingerprints do not compress.
            fresh: keyspace("fresh", memory / 16, Looks::InOrder, false)?,
            queue: keyspace("queue", memory / 6, Looks::InOrder, true)?,
            hosts: keyspace("hosts", memory / 16, Looks::ForWhatIsThere, true)?,
            names: keyspace("names", small, Looks::ForWhatMayBe, true)?,
            robots: keyspace("robots", small, Looks::ForWhatIsThere, true)?,
            exact: keyspace("exact", small, Looks::ForWhatMayBe, true)?,
            gave_up: keyspace("gave-up", small, Looks::InOrder, true)?,
            meta: keyspace("meta", small, Looks::ForWhatIsThere, false)?,
            db,
            fail,
        })
    }

    /// Keys and values of a kind as they are stored, from a key on.
    pub(super) fn stored_from(
        &self,
        kind: Kind,
        from: &[u8],
    ) -> impl Iterator<Item = Result<(Slice, Slice), StoreError>> {
        let keyspace = match kind {
            Kind::Exact => &self.exact,
            // Of the seen set, what is no run yet.
            Kind::Known => &self.fresh,
            Kind::Hosts => &self.hosts,
            Kind::Robots => &self.robots,
            Kind::Queued => &self.queue,
            Kind::GaveUp => &self.gave_up,
        };
        let rows = keyspace.range(from.to_vec()..);
        rows.map(|row| row.into_inner().map_err(StoreError::from))
    }

    pub(super) fn batch(&self) -> Batch {
        Batch(self.db.batch())
    }

    /// Makes the batch durable against the end of the process.
    pub(super) fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.fail.step().map_err(StoreError::Write)?;
        batch
            .0
            .durability(Some(PersistMode::Buffer))
            .commit()
            .map_err(StoreError::from)
    }

    /// Makes everything durable against a power loss.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.fail.step().map_err(StoreError::Write)?;
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// Logs the fingerprints that become known with a commit.
    pub(super) fn log_fresh(
        &self,
        batch: &mut Batch,
        entry: u64,
        fingerprints: impl Iterator<Item = u64>,
    ) {
        let row: Vec<u8> = fingerprints.flat_map(u64::to_le_bytes).collect();
        batch.0.insert(&self.fresh, entry.to_be_bytes(), row);
    }

    /// The log's entries, in order.
    pub(super) fn fresh(&self) -> impl Iterator<Item = Result<(u64, Vec<u64>), StoreError>> {
        self.fresh.iter().map(|row| {
            let (key, row) = row.into_inner()?;
            let entry = key.as_ref().try_into().map_err(|_| odd("fingerprint"))?;
            let (eights, []) = row.as_chunks::<8>() else {
                return Err(odd("fingerprint"));
            };
            let fingerprints = eights.iter().map(|&eight| u64::from_le_bytes(eight));
            Ok((u64::from_be_bytes(entry), fingerprints.collect()))
        })
    }

    /// Removes the log's entries up to one.
    pub(super) fn drop_fresh(&self, batch: &mut Batch, until: u64) -> Result<(), StoreError> {
        for row in self.fresh.range(..=until.to_be_bytes()) {
            batch.0.remove(&self.fresh, row.key()?);
        }
        Ok(())
    }

    /// The row of a queue that begins at this place.
    pub(super) fn row(&self, host: HostId, class: u8, first: u64) -> Result<Row, StoreError> {
        let found = self.queue.get(queue_key(host, class, first))?;
        let bytes = found.ok_or(StoreError::Missing { what: "queued URL" })?;
        Ok(Row { first, bytes })
    }

    pub(super) fn put_row(&self, batch: &mut Batch, at: [u8; 13], row: Vec<u8>) {
        batch.0.insert(&self.queue, at, row);
    }

    pub(super) fn drop_row(&self, batch: &mut Batch, at: [u8; 13]) {
        batch.0.remove(&self.queue, at);
    }

    /// Rows of one class of a host in order, from the one that holds `place` on.
    pub(super) fn rows(
        &self,
        host: HostId,
        class: u8,
        place: u64,
    ) -> impl Iterator<Item = Result<Row, StoreError>> {
        let start = queue_key(host, class, 0);
        let (at, to) = (queue_key(host, class, place), queue_key(host, class + 1, 0));
        let before = self.queue.range(start..=at).next_back();
        // Most leases need no second row: the engine looks for those behind only when they are wanted.
        let behind = (Bound::Excluded(at), Bound::Excluded(to));
        let after = std::iter::once_with(move || self.queue.range(behind)).flatten();
        let rows = before.into_iter().chain(after).map(|row| {
            let (key, bytes) = row.into_inner()?;
            let (_, _, first) = read_queue_key(&key)?;
            Ok(Row { first, bytes })
        });
        // The row before may end before the place.
        rows.skip_while(move |row| row.as_ref().is_ok_and(|row| row.span().end() <= place))
    }

    /// All rows from the one that holds the place at this key on, in the order of their keys.
    pub(super) fn queue_from(
        &self,
        from: [u8; 13],
    ) -> impl Iterator<Item = Result<(HostId, u8, Row), StoreError>> {
        let before = self.queue.range(..from).next_back();
        let rows = before.into_iter().chain(self.queue.range(from..));
        rows.map(|row| {
            let (key, bytes) = row.into_inner()?;
            let (host, class, first) = read_queue_key(&key)?;
            Ok((host, class, Row { first, bytes }))
        })
    }

    pub(super) fn host_named(&self, name: &str) -> Result<Option<HostId>, StoreError> {
        let Some(id) = self.names.get(name)? else {
            return Ok(None);
        };
        let id = id.as_ref().try_into().map_err(|_| odd("host's number"))?;
        Ok(Some(HostId::from_be_bytes(id)))
    }

    pub(super) fn name_host(&self, batch: &mut Batch, name: &str, id: HostId) {
        batch.0.insert(&self.names, name, id.to_be_bytes());
    }

    pub(super) fn host(&self, id: HostId) -> Result<(Box<str>, Record), StoreError> {
        let found = self.hosts.get(id.to_be_bytes())?;
        read_host(&found.ok_or(StoreError::Missing { what: "host" })?)
    }

    pub(super) fn put_host(
        &self,
        batch: &mut Batch,
        id: HostId,
        name: &str,
        record: &Record,
    ) -> Result<(), StoreError> {
        let row = match &record.beside {
            beside if record.gone.iter().any(|gone| !gone.is_empty()) => {
                let gone = &record.gone;
                let row = HostRow3 {
                    name,
                    record,
                    beside,
                    gone,
                };
                write_version(HOST_VERSION_GONE, "host", &row)?
            }
            beside if *beside == Beside::default() => write("host", &HostRow { name, record })?,
            beside => {
                let row = HostRow2 {
                    name,
                    record,
                    beside,
                };
                write_version(HOST_VERSION, "host", &row)?
            }
        };
        batch.0.insert(&self.hosts, id.to_be_bytes(), row);
        Ok(())
    }

    /// Every host, in the order in which they became known.
    pub(super) fn all_hosts(
        &self,
    ) -> impl Iterator<Item = Result<(HostId, Box<str>, Record), StoreError>> {
        self.hosts.iter().map(|row| {
            let (key, value) = row.into_inner()?;
            let id = key.as_ref().try_into().map_err(|_| odd("host's number"))?;
            let (name, record) = read_host(&value)?;
            Ok((HostId::from_be_bytes(id), name, record))
        })
    }

    pub(super) fn robots(
        &self,
        host: HostId,
        origin: (bool, u16),
    ) -> Result<Option<RobotsRecord>, StoreError> {
        let found = self.robots.get(robots_key(host, origin))?;
        found.map(|row| read("robots.txt", &row)).transpose()
    }

    pub(super) fn put_robots(
        &self,
        batch: &mut Batch,
        host: HostId,
        origin: (bool, u16),
        record: &RobotsRecord,
    ) -> Result<(), StoreError> {
        let row = write("robots.txt", record)?;
        batch.0.insert(&self.robots, robots_key(host, origin), row);
        Ok(())
    }

    /// Whether the URL was admitted as a seed (true) or by force (false) before.
    pub(super) fn exact(&self, url: &str) -> Result<Option<bool>, StoreError> {
        let found = self.exact.get(url)?;
        Ok(found.map(|row| row.first() == Some(&1)))
    }

    pub(super) fn put_exact(&self, batch: &mut Batch, url: &str, seed: bool) {
        batch.0.insert(&self.exact, url, [u8::from(seed)]);
    }

    pub(super) fn seeds(&self) -> Result<Vec<String>, StoreError> {
        let mut seeds = Vec::new();
        for row in self.exact.iter() {
            let (url, seed) = row.into_inner()?;
            if seed.first() == Some(&1) {
                seeds.push(String::from_utf8_lossy(&url).into_owned());
            }
        }
        Ok(seeds)
    }

    pub(super) fn put_gave_up<T: Serialize>(
        &self,
        batch: &mut Batch,
        number: u64,
        row: &T,
    ) -> Result<(), StoreError> {
        let row = write("URL given up", row)?;
        batch.0.insert(&self.gave_up, number.to_be_bytes(), row);
        Ok(())
    }

    pub(super) fn drop_gave_up(&self, batch: &mut Batch, number: u64) {
        batch.0.remove(&self.gave_up, number.to_be_bytes());
    }

    /// URLs given up, by number.
    pub(super) fn all_gave_up<T: DeserializeOwned>(
        &self,
    ) -> impl Iterator<Item = Result<(u64, T), StoreError>> {
        self.gave_up.iter().map(|row| {
            let (key, value) = row.into_inner()?;
            let number = key.as_ref().try_into().map_err(|_| odd("number"))?;
            Ok((u64::from_be_bytes(number), read("URL given up", &value)?))
        })
    }

    pub(super) fn meta<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let found = self.meta.get(name)?;
        found.map(|row| read(name, &row)).transpose()
    }

    pub(super) fn put_meta<T: Serialize>(
        &self,
        batch: &mut Batch,
        name: &'static str,
        value: &T,
    ) -> Result<(), StoreError> {
        batch.0.insert(&self.meta, name, write(name, value)?);
        Ok(())
    }
}

/// Changes that are committed together.
pub(super) struct Batch(OwnedWriteBatch);

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Host, class and place, in the order in which queues are read.
pub(super) fn queue_key(host: HostId, class: u8, place: u64) -> [u8; 13] {
    let mut key = [0; 13];
    key[..4].copy_from_slice(&host.to_be_bytes());
    key[4] = class;
    key[5..].copy_from_slice(&place.to_be_bytes());
    key
}

pub(super) fn read_queue_key(key: &[u8]) -> Result<(HostId, u8, u64), StoreError> {
    let parts = key.split_first_chunk::<4>().and_then(|(host, rest)| {
        rest.split_first()
            .map(|(class, place)| (host, class, place))
    });
    let Some((host, class, place)) = parts else {
        return Err(odd("queue's key"));
    };
    let place = place.try_into().map_err(|_| odd("queue's key"))?;
    Ok((
        HostId::from_be_bytes(*host),
        *class,
        u64::from_be_bytes(place),
    ))
}

fn robots_key(host: HostId, (https, port): (bool, u16)) -> [u8; 7] {
    let mut key = [0; 7];
    key[..4].copy_from_slice(&host.to_be_bytes());
    key[4] = u8::from(https);
    key[5..].copy_from_slice(&port.to_be_bytes());
    key
}

pub(super) fn read_host(row: &[u8]) -> Result<(Box<str>, Record), StoreError> {
    match row.first() {
        Some(&HOST_VERSION) => {
            let row: HostRow2<Box<str>, Record, Beside> = read_version(HOST_VERSION, "host", row)?;
            let mut record = row.record;
            record.beside = row.beside;
            Ok((row.name, record))
        }
        Some(&HOST_VERSION_GONE) => {
            let row: HostRow3<Box<str>, Record, Beside, [Gone; CLASSES - 1]> =
                read_version(HOST_VERSION_GONE, "host", row)?;
            let mut record = row.record;
            (record.beside, record.gone) = (row.beside, row.gone);
            Ok((row.name, record))
        }
        _ => {
            let row: HostRow<Box<str>, Record> = read("host", row)?;
            Ok((row.name, row.record))
        }
    }
}

/// A key of another length than ours.
pub(super) fn odd(what: &'static str) -> StoreError {
    StoreError::Value {
        what,
        source: codec::CodecError::Empty,
    }
}

fn write<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    write_version(VALUE_VERSION, what, value)
}

fn write_version<T: Serialize>(
    version: u8,
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, StoreError> {
    codec::encode(version, value).map_err(|source| StoreError::Value { what, source })
}

pub(super) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    read_version(VALUE_VERSION, what, bytes)
}

fn read_version<T: DeserializeOwned>(
    version: u8,
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    codec::decode(version, bytes).map_err(|source| StoreError::Value { what, source })
}

//! Out of the folder and into it: the embedded store's half of a crawl that moves.
//!
//! Invariant: from the beginning of a taking in to its end the folder says that it is no whole crawl.

use contract::host::Host;
use contract::lease::Queued;

use super::disk::{odd, read, read_host};
use super::leases::GaveUpRow;
use super::work::{Change, Work};
use crate::error::StoreError;
use crate::store::QueuedAt;
use crate::store::element::{QueuedRef, Usual};
use crate::store::machine::{RETRY, index};
use crate::store::moving::{
    HostRow, Kind, Part, Row, RowPlace, Rows, UrlRow, Whole, distance, moment,
};

/// The bits of a fingerprint that are kept, where they are not all.
pub(super) const MASK: &str = "fingerprint-mask";
/// Whether a taking in has begun and not ended.
pub(super) const UNFINISHED: &str = "unfinished";
/// Fingerprints in one row.
const KNOWN_TOGETHER: usize = 512;
/// Such rows that are read at once.
const KNOWN_ROWS_TOGETHER: usize = 64;

impl From<Queued> for UrlRow {
    fn from(queued: Queued) -> Self {
        Self {
            url: queued.url,
            kind: queued.kind,
            depth: queued.depth,
            hops: queued.hops,
            tries: queued.tries,
            via: queued.via,
            earlier: queued.earlier,
        }
    }
}

impl<'a> From<&'a UrlRow> for QueuedRef<'a> {
    fn from(row: &'a UrlRow) -> Self {
        Self {
            url: &row.url,
            kind: row.kind,
            depth: row.depth,
            hops: row.hops,
            tries: row.tries,
            via: row.via.as_deref(),
            earlier: row.earlier.as_deref(),
        }
    }
}

impl Work {
    pub(super) fn whole(&self, fingerprint_seed: u64) -> Result<Whole, StoreError> {
        if self.schedule.leases() > 0 {
            return Err(StoreError::Refusing(
                "being worked on; stop the crawl first",
            ));
        }
        let config = self.config()?.map(|config| String::from_utf8(config.bytes));
        let config = config.transpose().map_err(|_| odd("configuration"))?;
        Ok(Whole {
            fingerprint_seed,
            fingerprint_mask: self.mask,
            known: self.counters.known,
            queued: self.counters.queued,
            done: self.counters.done,
            kept: self.counters.kept,
            bytes: self.counters.bytes,
            ran_ms: self.counters.ran_ms,
            config,
        })
    }

    pub(super) fn rows_from(
        &mut self,
        from: Option<RowPlace>,
        most: usize,
    ) -> Result<Rows, StoreError> {
        let RowPlace { kind, at } = from.unwrap_or_default();
        if kind == Kind::Known {
            return self.known_from(&at, most);
        }
        if kind == Kind::Queued {
            return self.queued_rows(&at, most);
        }
        let (mut rows, mut last) = (Vec::new(), None);
        let stored = self.disk.stored_from(kind, &at).take(most + 1);
        let stored = stored.collect::<Result<Vec<_>, _>>()?;
        for (n, (key, value)) in stored.into_iter().enumerate() {
            if n == most {
                last = Some(key);
                break;
            }
            rows.push(self.row(kind, &key, &value)?);
        }
        let next = match last {
            Some(key) => Some(RowPlace {
                kind,
                at: key.as_ref().into(),
            }),
            None => kind.next(),
        };
        Ok(Rows { rows, next })
    }

    /// Rows of fingerprints, ascending.
    fn known_from(&self, at: &[u8], most: usize) -> Result<Rows, StoreError> {
        let from = match at {
            [] => 0,
            at => u64::from_be_bytes(at.try_into().map_err(|_| odd("fingerprint"))?),
        };
        let count = most.min(KNOWN_ROWS_TOGETHER) * KNOWN_TOGETHER;
        let known = self.seen.from(from).take(count + 1);
        let mut known = known.collect::<Result<Vec<u64>, _>>()?;
        let next = match known.get(count) {
            Some(last) => Some(RowPlace {
                kind: Kind::Known,
                at: last.to_be_bytes().as_slice().into(),
            }),
            None => Kind::Known.next(),
        };
        known.truncate(count);
        let rows = known.chunks(KNOWN_TOGETHER);
        Ok(Rows {
            rows: rows.map(|some| Row::Known(some.to_vec())).collect(),
            next,
        })
    }

    /// Rows of queued URLs, one each.
    fn queued_rows(&mut self, at: &[u8], most: usize) -> Result<Rows, StoreError> {
        let now = self.time.now().ms();
        let from = match at {
            [] => [0; 13],
            at => at.try_into().map_err(|_| odd("queue's key"))?,
        };
        let mut found = self.queued_from(from, most.saturating_add(1))?;
        let next = match found.get(most) {
            Some(last) => Some(RowPlace {
                kind: Kind::Queued,
                at: last.at.0.clone(),
            }),
            None => Kind::Queued.next(),
        };
        found.truncate(most);
        let row = |one: QueuedAt| Row::Queued {
            host: one.host.to_string(),
            class: one.class,
            due_in_ms: match one.class {
                RETRY => distance(one.not_before, now),
                _ => 0,
            },
            url: one.queued.into(),
        };
        Ok(Rows {
            rows: found.into_iter().map(row).collect(),
            next,
        })
    }

    fn row(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<Row, StoreError> {
        let now = self.time.now().ms();
        Ok(match kind {
            Kind::Exact => Row::Exact {
                url: String::from_utf8_lossy(key).into_owned(),
                seed: value.first() == Some(&1),
            },
            Kind::Known => return Err(odd("fingerprint")),
            Kind::Queued => return Err(odd("queue's key")),
            Kind::Hosts => {
                let (host, record) = read_host(value)?;
                Row::Host(HostRow {
                    host: host.into(),
                    token: record.token,
                    learned_ms: record.learned_ms,
                    due_in_ms: distance(record.next_ok, now),
                    failures: record.failures,
                    suspect: record.suspect,
                    done: record.done,
                    leases: record.leases,
                })
            }
            Kind::Robots => {
                let &[a, b, c, d, https, e, f] = key else {
                    return Err(odd("robots.txt's key"));
                };
                let id = u32::from_be_bytes([a, b, c, d]);
                Row::Robots {
                    host: self.hosts.get(&self.disk, id)?.host.to_string(),
                    https: https == 1,
                    port: u16::from_be_bytes([e, f]),
                    record: read("robots.txt", value)?,
                }
            }
            Kind::GaveUp => {
                let row: GaveUpRow = read("URL given up", value)?;
                Row::GaveUp {
                    host: row.host,
                    token: row.token,
                    url: UrlRow {
                        url: row.url,
                        kind: row.kind,
                        depth: row.depth,
                        hops: row.hops,
                        tries: row.tries,
                        via: row.via,
                        earlier: None,
                    },
                }
            }
        })
    }

    pub(super) fn take_in(&mut self, part: Part<'_>, seed: u64) -> Result<(), StoreError> {
        let unfit = |why: String| Err(StoreError::Unfit(why));
        let mut change = self.begin();
        change.counted = true;
        match part {
            Part::Begin(whole) => {
                if self.counters.known > 0 || self.counters.hosts > 0 {
                    return unfit("a crawl is there already".to_owned());
                }
                if whole.fingerprint_seed != seed {
                    return unfit("it was made with another fingerprint seed".to_owned());
                }
                self.mask = whole.fingerprint_mask;
                self.disk.put_meta(&mut change.batch, MASK, &self.mask)?;
                self.disk.put_meta(&mut change.batch, UNFINISHED, &true)?;
            }
            Part::Rows(rows) => {
                for row in rows {
                    self.take_row(row, &mut change)?;
                }
            }
            Part::End(whole) => {
                let found = self.counters.queued;
                if found != whole.queued {
                    let wanted = whole.queued;
                    return unfit(format!("{found} URLs are queued, not {wanted}"));
                }
                self.counters.known = whole.known;
                self.counters.done = whole.done;
                self.counters.kept = whole.kept;
                self.counters.bytes = whole.bytes;
                self.counters.ran_ms = whole.ran_ms;
                if let Some(config) = &whole.config {
                    let stored = (1u64, config.as_bytes());
                    self.disk.put_meta(&mut change.batch, "config", &stored)?;
                }
                self.disk.put_meta(&mut change.batch, UNFINISHED, &false)?;
                self.commit(change)?;
                return self.flush();
            }
        }
        self.commit(change)
    }

    fn take_row(&mut self, row: &Row, change: &mut Change) -> Result<(), StoreError> {
        match row {
            Row::Exact { url, seed } => self.disk.put_exact(&mut change.batch, url, *seed),
            Row::Known(some) => {
                change.fresh.extend(some.iter().map(|one| one & self.mask));
            }
            Row::Host(row) => {
                let now = change.now.ms();
                let id = self.host_id(&Host::from_stored(&row.host), "", change)?;
                let record = &mut self.hosts.change(&self.disk, id)?.record;
                record.token = row.token;
                record.learned_ms = row.learned_ms;
                record.next_ok = moment(now, row.due_in_ms);
                record.failures = row.failures;
                record.suspect = row.suspect;
                record.done = row.done;
                record.leases = row.leases;
            }
            Row::Robots {
                host,
                https,
                port,
                record,
            } => {
                let id = self.host_id(&Host::from_stored(host), "", change)?;
                let state = self.hosts.change(&self.disk, id)?;
                let origin = (*https, *port);
                if !state.record.robots.contains(&origin) {
                    state.record.robots.push(origin);
                }
                self.disk
                    .put_robots(&mut change.batch, id, origin, record)?;
            }
            Row::Queued {
                host,
                class,
                due_in_ms,
                url,
            } => self.take_queued(host, *class, *due_in_ms, url, change)?,
            Row::GaveUp { host, token, url } => {
                self.counters.gave_up += 1;
                let row = GaveUpRow {
                    host: host.clone(),
                    token: *token,
                    url: url.url.clone(),
                    kind: url.kind,
                    depth: url.depth,
                    hops: url.hops,
                    tries: url.tries,
                    via: url.via.clone(),
                };
                let number = self.counters.gave_up;
                self.disk.put_gave_up(&mut change.batch, number, &row)?;
            }
        }
        Ok(())
    }

    fn take_queued(
        &mut self,
        host: &str,
        class: u8,
        due_in_ms: i64,
        url: &UrlRow,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        if class > RETRY {
            return Err(StoreError::Unfit(format!("a URL of class {class}")));
        }
        let id = self.host_id(&Host::from_stored(host), &url.url, change)?;
        let state = self.hosts.change(&self.disk, id)?;
        if state.record.pushed[index(class)] == 0 && state.record.total() == 0 {
            // Nothing has been spelled by what is usual for it yet.
            let usual = Usual::of(&url.url, host);
            (state.record.https, state.record.port) = (usual.https, usual.port);
        }
        let next_ok = state.record.next_ok;
        let not_before = moment(change.now.ms(), due_in_ms);
        self.push(id, class, not_before, url.into(), change)?;
        // A host that is idle goes behind the others; this one has waited already.
        let state = self.hosts.change(&self.disk, id)?;
        let before = state.scheduled();
        state.record.next_ok = next_ok;
        let after = state.scheduled();
        self.schedule.moved(id, before, after);
        Ok(())
    }
}

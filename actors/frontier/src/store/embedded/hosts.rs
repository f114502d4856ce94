//! Hosts in memory: those with a lease, and those worked on lately.
//!
//! A cache over the stored records. Every change is committed with the verb that makes it, so any host without a
//! lease can be dropped at any time between two verbs. Invariant: leased hosts are always here.

use std::collections::{HashMap, HashSet};

use contract::host::Host;

use super::disk::{Batch, Disk};
use super::open::load;
use crate::error::StoreError;
use crate::store::machine::host::{HostState, Record};
use crate::store::machine::schedule::HostId;

/// Hosts in memory that are not leased; 300 bytes each, about.
const IDLE_MAX: usize = 16_384;

/// See the module.
#[derive(Default)]
pub(super) struct Hosts {
    states: HashMap<HostId, HostState>,
    ids: HashMap<Host, HostId>,
    changed: HashSet<HostId>,
}

impl Hosts {
    /// The number of a host, if it is known.
    pub(super) fn find(&mut self, disk: &Disk, host: &Host) -> Result<Option<HostId>, StoreError> {
        if let Some(&id) = self.ids.get(host) {
            return Ok(Some(id));
        }
        let Some(id) = disk.host_named(host.as_str())? else {
            return Ok(None);
        };
        self.get(disk, id)?;
        Ok(Some(id))
    }

    /// A new host.
    pub(super) fn insert(&mut self, id: HostId, host: &Host, record: Record) {
        self.ids.insert(host.clone(), id);
        self.states.insert(id, HostState::new(host.clone(), record));
    }

    /// The host, read if it is not here.
    pub(super) fn get(&mut self, disk: &Disk, id: HostId) -> Result<&mut HostState, StoreError> {
        match self.states.entry(id) {
            std::collections::hash_map::Entry::Occupied(found) => Ok(found.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let state = load(disk, id)?;
                self.ids.insert(state.host.clone(), id);
                Ok(place.insert(state))
            }
        }
    }

    /// The host, which will be written with this verb's commit.
    pub(super) fn change(&mut self, disk: &Disk, id: HostId) -> Result<&mut HostState, StoreError> {
        self.changed.insert(id);
        self.get(disk, id)
    }

    /// Adds the changed hosts to the batch.
    pub(super) fn write(&mut self, disk: &Disk, batch: &mut Batch) -> Result<(), StoreError> {
        for id in self.changed.drain() {
            if let Some(state) = self.states.get(&id) {
                disk.put_host(batch, id, state.host.as_str(), &state.record)?;
            }
        }
        Ok(())
    }

    /// Drops idle hosts when there are too many; between two verbs only.
    pub(super) fn shrink(&mut self, leased: usize) {
        if self.states.len() <= leased + IDLE_MAX {
            return;
        }
        self.states.retain(|_, state| state.lease.is_some());
        let states = &self.states;
        self.ids.retain(|_, id| states.contains_key(id));
        self.states.shrink_to(IDLE_MAX);
        self.ids.shrink_to(IDLE_MAX);
    }
}

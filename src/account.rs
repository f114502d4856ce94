//! A frontier's account of a crawl, laid beside what ledgers show of it.
//!
//! Owns where each known URL stands: queued, stored, or neither. URLs are told apart by their fingerprints, as far as the
//! store keeps those. It reads what is known first, then the queues, and is shown the ledgers last: a URL that is settled
//! meanwhile has its line by then. Start at [`Account::read`].

use std::collections::HashMap;

use contract::Url;
use contract::canonical::{Fingerprint, Fingerprinter};
use frontier::store::Store;
use storage::ledger::Entry;

use crate::exit::Failure;
use crate::identity::failed;

/// Fingerprints and queued URLs read from the frontier at once.
const PIECE: usize = 4_096;

/// Where a URL stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Known, neither queued nor in a ledger as far as those were shown: done, if the account is right, and lost.
    Bare,
    Queued,
    Stored,
    /// In a ledger, and queued: a crash came between, it is fetched again.
    Again,
}

/// See the module.
#[derive(Debug)]
pub struct Account {
    fingerprints: Fingerprinter,
    /// The bits of a fingerprint that the store keeps.
    bits: u64,
    standing: HashMap<u64, Standing>,
    /// URLs with a sound final line that the store does not know.
    pub strange: u64,
}

impl Account {
    /// Reads what the frontier holds.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn read(store: &impl Store, bits: u64) -> Result<Self, Failure> {
        let seed = store.fingerprint_seed().await.map_err(failed)?;
        let mut account = Self {
            fingerprints: Fingerprinter { seed },
            bits,
            standing: HashMap::new(),
            strange: 0,
        };
        let mut after = None;
        loop {
            let piece = store.known_after(after, PIECE).await.map_err(failed)?;
            let Some(last) = piece.last() else { break };
            after = Some(*last);
            let bare = piece.iter().map(|one| (one.0, Standing::Bare));
            account.standing.extend(bare);
        }
        let mut after = None;
        loop {
            let piece = store.queued_after(after, PIECE).await.map_err(failed)?;
            let Some(last) = piece.last() else { break };
            after = Some(last.at.clone());
            piece.iter().for_each(|at| account.queued(&at.queued.url));
        }
        // Given up, and not told to a node yet: its line is still to come.
        let given_up = store.gave_up(&[]).await.map_err(failed)?;
        given_up
            .iter()
            .for_each(|one| account.queued(&one.queued.url));
        Ok(account)
    }

    fn queued(&mut self, url: &str) {
        if let Ok(url) = Url::parse(url) {
            self.is_queued(self.fingerprints.of(&url));
        }
    }

    pub fn fingerprints(&self) -> Fingerprinter {
        self.fingerprints
    }

    fn key(&self, fingerprint: Fingerprint) -> u64 {
        fingerprint.0 & self.bits
    }

    /// Takes in a ledger line and whether its record is sound.
    pub fn show(&mut self, entry: &Entry, sound: bool) {
        // A refused link has no token: it was never in the frontier.
        if !(sound && entry.is_final && entry.is_url() && entry.token.is_some()) {
            return;
        }
        let Ok(url) = Url::parse(&entry.url) else {
            return;
        };
        let key = self.key(self.fingerprints.of(&url));
        match self.standing.get_mut(&key) {
            None => self.strange += 1,
            Some(standing) => {
                *standing = match *standing {
                    Standing::Bare | Standing::Stored => Standing::Stored,
                    Standing::Queued | Standing::Again => Standing::Again,
                }
            }
        }
    }

    /// None of a URL that the store does not know.
    pub fn standing(&self, fingerprint: Fingerprint) -> Option<Standing> {
        self.standing.get(&self.key(fingerprint)).copied()
    }

    /// The URLs of which nothing is left but what the store keeps of their fingerprints.
    pub fn bare(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        let all = self.standing.iter();
        all.filter(|(_, standing)| **standing == Standing::Bare)
            .map(|(key, _)| Fingerprint(*key))
    }

    /// It is queued from now on.
    pub fn is_queued(&mut self, fingerprint: Fingerprint) {
        let key = self.key(fingerprint);
        self.standing.insert(key, Standing::Queued);
    }

    pub fn known(&self) -> usize {
        self.standing.len()
    }

    pub fn count(&self, standing: Standing) -> usize {
        self.standing.values().filter(|is| **is == standing).count()
    }
}

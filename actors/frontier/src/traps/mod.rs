//! Traps: families of URLs that go on without end and bring nothing.
//!
//! Owns the rule. Every page that was read is folded into its host's families ([`template`]): what its text was like beside
//! those before, and where it leads. A family whose budget is used up ([`family`]) is given up with its evidence; its URLs
//! are then leased as before and settled without a request (`trap`), so that each has its line in the ledger. It knows no
//! store, no socket and no time but what it is told, and forgets the hosts that were longest without a page when its
//! memory is full: what is forgotten begins anew. Invariants: a page that leads to nothing new never counts against its
//! family; a seed is never given up. Start at [`Traps::fold`].

mod family;
mod host;
mod seen;
mod template;

use std::collections::HashMap;

use contract::clock::Wall;
use contract::host::Host;
use contract::outcome::Outcome;
use contract::settle::{Settle, Settles};

pub use family::{GivenUpFamily, Why};
use host::{HostBook, PageRead};

/// Memory of the rule, in bytes, about.
const BYTES_MAX: usize = 16 << 20;

/// A family of a host that was just given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trapped {
    pub host: Host,
    pub family: String,
    pub evidence: GivenUpFamily,
}

#[derive(Debug, Default)]
struct Held {
    /// The fold that it had last.
    last: u64,
    /// As counted lately.
    bytes: usize,
    book: HostBook,
}

/// The families of all hosts.
#[derive(Debug, Default)]
pub struct Traps {
    hosts: HashMap<Host, Held>,
    folds: u64,
    bytes: usize,
}

impl Traps {
    /// Takes a settled page in; the family that is given up by it.
    pub fn fold(&mut self, settle: &Settle, now: Wall) -> Option<Trapped> {
        let read = settle.read.as_ref()?;
        let Settles::Url { outcome, .. } = settle.what else {
            return None;
        };
        self.folds += 1;
        let held = self.hosts.entry(settle.host.clone()).or_default();
        held.last = self.folds;
        let given_up = held.book.fold(&PageRead {
            host: &settle.host,
            url: &settle.via,
            found_at: read.found_at.as_deref(),
            text: read.text,
            links: &settle.links,
            is_redirect: outcome == Outcome::Redirect,
            now,
        });
        if held.book.is_to_be_measured() {
            let bytes = held.book.bytes();
            self.bytes = (self.bytes + bytes).saturating_sub(held.bytes);
            held.bytes = bytes;
        }
        if self.bytes > BYTES_MAX {
            self.forget();
        }
        let (family, evidence) = given_up?;
        Some(Trapped {
            host: settle.host.clone(),
            family,
            evidence,
        })
    }

    /// The rule that decides against this URL, for people.
    pub fn verdict(&mut self, host: &Host, url: &str) -> Option<Box<str>> {
        let (family, given_up) = self.hosts.get_mut(host)?.book.verdict(url)?;
        let (why, pages, fresh) = (given_up.why.as_str(), given_up.pages, given_up.fresh);
        Some(format!("{family}: {why} ({fresh} of {pages} pages were fresh)").into())
    }

    /// Hosts with verdicts go last.
    fn forget(&mut self) {
        let mut hosts: Vec<(bool, u64, Host)> = self
            .hosts
            .iter()
            .map(|(host, held)| (held.book.is_decided(), held.last, host.clone()))
            .collect();
        hosts.sort();
        for (_, _, host) in hosts {
            if self.bytes <= BYTES_MAX / 2 {
                return;
            }
            if let Some(held) = self.hosts.remove(&host) {
                self.bytes = self.bytes.saturating_sub(held.bytes);
            }
        }
    }
}

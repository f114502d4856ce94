//! Which pages of a folder are to be fetched again, told from its ledger.
//!
//! Owns when a page is due ([`interval`]) and the reading of a ledger that is larger than memory ([`due`]). It knows the
//! ledger and no frontier: who calls it queues what it finds.

pub mod due;
pub mod interval;

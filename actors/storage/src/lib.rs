//! The storage room: pages become durable, then settled.
//!
//! Owns the archive (`archive/`), its index (`indexes/`), the ledger (`logs/crawl.jsonl`), the page list and the
//! reports of one output folder. It knows no fetching, no parsing and no queue: it takes [`contract::keep::Keep`]
//! and sends [`contract::settle::SettleBatch`].
//! Invariant (I5): a settle leaves this room only after the page's record and its ledger line are on the disk, in
//! that order; whatever fails before, the page is not settled and comes again.
//! Start reading at [`actor::Storage`], then [`group::Store`] and [`archive`]; the file format is in [`warc`].

pub mod actor;
pub mod archive;
pub mod cdx;
pub mod change;
pub mod config;
pub mod disk;
pub mod duplicates;
pub mod error;
pub mod events;
pub mod figures;
pub mod group;
pub mod jsonl;
pub mod layout;
pub mod ledger;
pub mod pages;
pub mod refused;
pub mod reports;
pub mod similar;
pub mod stamp;
pub mod stored;
#[cfg(test)]
mod testing;
pub mod together;
pub mod verify;
pub mod warc;

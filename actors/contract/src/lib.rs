//! The ground under every room: the nouns they share and the arrows between them.
//!
//! Owns the words (URL, host, lease token, outcome, cause), the typed messages of each arrow, and the few
//! mechanisms that every room must use the same way: [`outbox`] (bounded hand-over), [`guarded`] (lifecycle),
//! [`cause`] (deadline and cancel), [`memory`] (byte budget), [`clock`] and [`codec`].
//! It knows no room, no store, no socket and no file format.
//! Invariant: a page moves one way, `admit → lease → page → keep → settle`; nothing here lets it turn back.
//! Start reading at [`page::Page`], then the arrows in ring order.

pub mod admit;
pub mod beacon;
pub mod body;
pub mod canonical;
pub mod cause;
pub mod clock;
pub mod codec;
pub mod coding;
pub mod control;
pub mod crawl;
pub mod earlier;
pub mod error;
pub mod fault;
pub mod fleet;
pub mod guarded;
pub mod halt;
pub mod health;
pub mod host;
pub mod keep;
pub mod lease;
pub mod link;
pub mod memory;
pub mod outbox;
pub mod outcome;
pub mod page;
pub mod pulse;
pub mod rate;
pub mod rights;
pub mod robots;
pub mod scope;
pub mod settle;
pub mod turns;
pub mod valid;
pub mod wanted;

pub use url::Url;

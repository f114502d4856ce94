//! The frontier room: what is known, what is due, and who may fetch it.
//!
//! Owns the seen set, the queue of every host, politeness between leases, leases and their tokens, and what is
//! stored of robots.txt. It knows no socket, no page body and no other room: it answers and never asks, so the
//! ring of bounded rooms cannot lock. Invariant: a URL that was acknowledged is queued, leased, settled or
//! given up with a reason, whatever crashes (I1); a host has at most one live lease and rests its delay (I2).
//! Start reading at [`store::Store`] (the verbs), then [`store::embedded::Embedded`] (one machine), then
//! [`actor::Frontier`] (the room).

pub mod actor;
pub mod config;
pub mod error;
mod events;
pub mod fleet;
pub mod politeness;
pub mod rate;
pub mod store;
pub mod traps;

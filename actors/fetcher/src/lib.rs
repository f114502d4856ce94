//! The fetcher room: a URL's way to bytes.
//!
//! Owns everything that touches the web: names and addresses, TLS, connections, requests and their times, robots.txt,
//! retries within a lease. One fetcher is one thread with a resolver and connections of its own.
//! It knows neither what is next (the frontier does) nor what a body says (the parser does).
//! Invariants: a request goes out only within its lease's term and after its host's delay (I2, I4), only to an
//! address and port that may be dialled (I9), and only where robots.txt lets it; every URL of a lease ends as one
//! page for the parser or comes back with the lease.
//! Start reading at [`actor`], then `run.rs`: a lease; `http.rs`: a request.

pub mod actor;
pub mod address;
pub mod config;
mod connection;
mod connector;
mod dialling;
pub mod dns;
pub mod error;
mod events;
mod gather;
mod holding;
mod http;
mod judge;
mod lines;
pub mod once;
mod pool;
pub mod retry_after;
pub mod rights;
pub mod robots;
mod run;
pub mod settings;
mod shell;
#[cfg(test)]
mod testing;
pub mod tls;
mod wire;

pub use actor::{Fetcher, Parts, StartError};
pub use config::FetcherConfig;
pub use events::describe;
pub use shell::Doors;

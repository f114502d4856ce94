//! What the tests stand on: a web whose truth is known, a resolver, a real nginx and Redis, independent readers.
//!
//! It owns servers on loopback, child processes and oracles. It knows no room of the crawler, so that no test
//! checks our code by our code: its own sockets, its own DNS and WARC bytes, its own reading of HTML.
//! Invariant: everything started here ends with the value that owns it, by its own process id.
//! Start reading at [`web`] (the synthetic web), then [`origin`] (serving it) and [`audit`] (what the log proves).

pub mod answer;
pub mod audit;
pub mod dns;
pub mod files;
pub mod hostile;
pub mod log;
pub mod loopback;
pub mod nginx;
pub mod origin;
pub mod pages;
mod port;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod seed;
mod serving;
pub mod small_disk;
pub mod tls;
pub mod tools;
pub mod traps;
pub mod until;
pub mod warc;
pub mod web;

pub use seed::Seed;
pub use until::until;

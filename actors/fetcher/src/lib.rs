//! The fetcher room: a URL's way to bytes.
pub mod address;
mod clients;
pub mod config;
mod dialling;
pub mod dns;
pub mod error;
mod gather;
mod http;
pub mod retry_after;
pub mod robots;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod tls;

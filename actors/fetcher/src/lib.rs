//! The fetcher room: a URL's way to bytes.
pub mod address;
pub mod dns;
pub mod error;
pub mod retry_after;
pub mod robots;
#[cfg(test)]
mod testing;
pub mod tls;

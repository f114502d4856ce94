//! The fetcher room: a URL's way to bytes.
pub mod address;
pub mod retry_after;
pub mod robots;

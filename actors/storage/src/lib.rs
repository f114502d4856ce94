//! The storage room.

pub mod cdx;
pub mod disk;
pub mod error;
mod stamp;
pub mod warc;

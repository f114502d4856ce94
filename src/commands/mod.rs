//! The verbs of the command line, one file each.

pub mod control;
pub mod crawl;
pub mod fleet;
pub mod status;
pub mod verify;

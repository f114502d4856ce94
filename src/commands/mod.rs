//! The verbs of the command line, one file each.

pub mod add;
pub mod control;
pub mod crawl;
pub mod fleet;
pub mod frontier;
pub mod node;
pub mod shared;
pub mod status;
pub mod verify;

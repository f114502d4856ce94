//! The verbs of the command line, one file each.

pub mod add;
pub mod control;
pub mod crawl;
pub mod doctor;
pub mod fleet;
pub mod forget;
pub mod frontier;
pub mod index;
pub mod node;
pub mod read;
pub mod recrawl;
pub mod reopen;
pub mod shards;
pub mod shared;
pub mod status;
pub mod traps;
pub mod verify;

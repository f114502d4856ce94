//! The coordinator room: one per node.
//!
//! Owns the course of a crawl on this node: it takes the operator's orders, looks at what the other rooms publish,
//! and decides when the crawl is done or has to end. It knows no URL queue, no socket and no file.
//! Invariant: a crawl ends once, for one reason, and only by a drain. Start at [`course::Course`].

pub mod actor;
pub mod added;
pub mod cadence;
pub mod config;
pub mod course;
pub mod events;
pub mod given_up;
pub mod pace;
pub mod rate;
pub mod status;

pub use actor::{Coordinator, Doors, Elsewhere};
pub use added::Added;
pub use config::CoordinatorConfig;
pub use course::End;
pub use status::{NodePart, RatePart, State, Status};

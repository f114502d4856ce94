//! This process in a fleet: the shared store it is led to, what it tells of itself, the crawls it works on.
//!
//! Owns the node's side of [`frontier::fleet`]. Nodes are equal and know of each other only what the store says.
//! Start at [`member::run`], then [`works::Works`].

mod beat;
pub mod found;
pub mod member;
pub mod store;
pub mod who;
mod works;

use contract::error::{ErrorClass, chain};
use frontier::fleet::FleetError;

use crate::exit::{Code, Failure};

/// The shared store's error as the program's.
pub fn failed(error: FleetError) -> Failure {
    let code = match error.class() {
        ErrorClass::Permanent => Code::BadInput,
        ErrorClass::Transient => Code::Error,
        ErrorClass::System => Code::Store,
    };
    Failure::new(code, chain(&error))
}

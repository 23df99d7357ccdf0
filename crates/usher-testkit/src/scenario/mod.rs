//! Scenario files: a config, what endpoints do, what clients do, and what each must see.
//!
//! A scenario is plain text (`tests/scenarios/README.md` is its manual) and runs in a fixed order: endpoints listen,
//! the proxy starts, each endpoint script gets a thread, the client scripts run one after the other, the proxy is
//! killed, and what nobody expected is looked for: bytes or connections beyond the script, a panic in the log.
//! Nothing in it sleeps to make sure: killing the proxy closes its sockets, so that each end is read to its end.

mod actor;
mod check;
mod failure;
mod parse;
mod pattern;
mod run;
mod script;
mod section;
mod suite;
#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use run::{check_file, run_file, run_text};
pub use suite::{Outcome, discover, run_suite};

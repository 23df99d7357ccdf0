//! The path of a request, snapshots and upstream clusters; opens no socket itself.
//!
//! Read [`path`] first: the twelve steps in order. Around it:
//! - [`snapshot`]: what a config became; immutable, shared by all workers, swapped whole.
//! - [`Worker`]: what one thread has: its snapshot, its clusters and pools, its clock. Nothing in it is shared.
//! - [`cluster`]: endpoints, balancing and pooled connections of one worker.
//! - [`connection`]: a client's connection from its first byte to its last.
//! - `l4`: connections that are passed on as they come.
//! - [`udp`]: sessions of datagrams, which are passed on likewise.

pub mod accept;
pub mod cluster;
pub mod connection;
pub mod deadline;
pub mod explain;
mod l4;
pub mod path;
pub mod shift;
pub mod snapshot;
mod steps;
mod subject;
pub mod udp;
pub mod worker;

pub use snapshot::Snapshot;
pub use worker::{Command, Drain, Worker};

//! `usher run`: one thread per core that serves, and this one, which decides.
//!
//! The control thread (the main thread) hears [`Event`]s and does everything that is not a request: it loads configs,
//! binds sockets, swaps snapshots, drains. Workers hear [`worker::Order`]s. Nothing here is on the path of a request.

mod admin;
mod banner;
mod changes;
mod control;
mod drain;
mod event;
mod pid_file;
mod reload;
mod sockets;
mod start;
mod watch;
mod worker;

use crate::origin::Origin;
use crate::terminal::Failure;

pub(crate) use start::start;

/// Serves until a signal says otherwise.
pub(crate) fn run(origin: Origin) -> Result<(), Failure> {
    start(origin, None)?.run()
}

//! `usher run`: one thread per core that serves, and this one, which decides.
//!
//! The control thread (the main thread) hears [`Event`]s and does everything that is not a request: it loads configs,
//! binds sockets, swaps snapshots, drains. Workers hear [`worker::Order`]s. Nothing here is on the path of a request.

mod admin;
mod banner;
mod changes;
mod control;
mod drain;
mod endpoints;
mod event;
mod inheritance;
mod notify;
mod pid_file;
mod reload;
mod sockets;
mod start;
mod upgrade;
mod watch;
mod worker;

use crate::origin::Origin;
use crate::terminal::Failure;
use inheritance::Inheritance;
use upgrade::Predecessor;

pub(crate) use changes::came_and_went;
pub(crate) use start::start;

/// Serves until a signal says otherwise.
pub(crate) fn run(origin: Origin) -> Result<(), Failure> {
    // The system forgets it when the binary is replaced.
    let _ = upgrade::own_path();
    let Some(predecessor) = Predecessor::find()? else {
        return start::start_on(origin, None, Inheritance::of_systemd())?.run();
    };
    let started = predecessor.inheritance().and_then(|all| {
        let control = start::start_on(origin, None, all)?;
        control.answers()?;
        predecessor.ready(&control.sockets.inheritance.taken())?;
        Ok(control)
    });
    match started {
        Ok(mut control) => {
            control.own_files();
            control.wait_for_end_of(predecessor);
            control.run()
        }
        Err(failure) => {
            predecessor.failed(&failure);
            Err(failure)
        }
    }
}

//! What the control thread hears.

use std::sync::mpsc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use usher_api::clusters::Edit;

use super::endpoints::EditAnswer;
use super::upgrade::{Outcome, PassedSessions};
use crate::names::Question;
use crate::terminal::Failure;

/// What became of a reload: a line for people, or a report of everything that is wrong.
pub(super) type ReloadAnswer = Result<String, String>;

/// Something to react to.
pub(super) enum Event {
    /// Read the config again; the answer goes there, if anybody waits for it.
    Reload {
        /// Who asks: `SIGHUP`, `a changed file`.
        cause: &'static str,
        /// Who waits for the answer.
        answer: Option<mpsc::Sender<ReloadAnswer>>,
    },
    /// Let another process take over; the answer goes there, if anybody waits for it.
    Upgrade {
        /// Who asks.
        cause: &'static str,
        /// Who waits for the answer.
        answer: Option<mpsc::Sender<ReloadAnswer>>,
    },
    /// What became of the other process.
    Upgraded(Outcome),
    /// Sessions of UDP that the process before had.
    Sessions(PassedSessions),
    /// It has no more of them.
    Passed,
    /// The process that this one has taken over from is gone.
    Alone,
    /// Say that you are there, and let all workers say so.
    Ping(mpsc::Sender<()>),
    /// Open logs again.
    Reopen,
    /// Finish; the second time, end.
    Terminate(&'static str),
    /// A name has other addresses now.
    Resolved(Question),
    /// Files of endpoints may have changed.
    EndpointFiles,
    /// Change which endpoints a cluster has.
    Edit {
        /// The cluster.
        cluster: String,
        /// What is wanted.
        edit: Edit,
        /// Who waits for the answer.
        answer: EditAnswer,
    },
    /// A worker has ended: after draining, or because of a defect.
    WorkerEnded {
        /// Which.
        index: usize,
        /// It ended because it was told to.
        in_order: bool,
    },
}

/// Turns signals into events, from now on.
pub(super) fn signals(events: mpsc::Sender<Event>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::of("cannot handle signals", error);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]).map_err(failed)?;
    let listen = move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGHUP => Event::Reload { cause: "SIGHUP", answer: None },
                SIGUSR1 => Event::Reopen,
                SIGUSR2 => Event::Upgrade { cause: "SIGUSR2", answer: None },
                SIGINT => Event::Terminate("SIGINT"),
                SIGQUIT => Event::Terminate("SIGQUIT"),
                _ => Event::Terminate("SIGTERM"),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
    Ok(())
}

//! How a worker ends, and what changes for those who stay long.

use std::cell::Cell;
use std::time::Duration;

use usher_net::Dialer;

use super::Worker;

/// How a worker is to end.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long it may take.
    pub patience: Duration,
    /// Another process serves already, so that whoever is sent away can come back at once.
    pub succeeded: bool,
}

/// What those look at who stay long: tunnels, and connections that are passed on.
#[derive(Default)]
pub(super) struct Ending {
    /// When it began ([`crate::deadline::Deadlines::coarse_millis`]), and how.
    drain: Cell<Option<(u64, Drain)>>,
    cut: Cell<bool>,
    /// Grows with every change of endpoints that somebody waits for.
    changes: Cell<u64>,
    /// How many wait.
    watchers: Cell<u32>,
    /// The standings of all clusters, when they were last looked at.
    standings: Cell<u64>,
}

impl<D: Dialer> Worker<D> {
    /// Whether the worker takes no more requests than it has.
    pub fn is_draining(&self) -> bool {
        self.ending.drain.get().is_some()
    }

    /// When the drain began (milliseconds of the worker's clock), and how.
    pub(crate) fn drain(&self) -> Option<(u64, Drain)> {
        self.ending.drain.get()
    }

    /// Whether the time for draining is over: whatever can still end in order ends now.
    pub(crate) fn is_cut(&self) -> bool {
        self.ending.cut.get()
    }

    pub(super) fn begin_drain(&self, drain: Drain) {
        self.ending.drain.set(Some((self.deadlines.coarse_millis(), drain)));
        self.deadlines.wake_all();
    }

    pub(super) fn cut(&self) {
        self.ending.cut.set(true);
        self.deadlines.wake_all();
    }

    /// A number that differs after every change of endpoints, for as long as the guard lives; whoever waits with a
    /// deadline is woken then.
    pub(crate) fn changes(&self) -> u64 {
        self.ending.changes.get()
    }

    pub(crate) fn watch_changes(&self) -> Watching<'_> {
        let watchers = &self.ending.watchers;
        watchers.set(watchers.get() + 1);
        Watching(watchers)
    }

    /// Endpoints came or went.
    pub(super) fn endpoints_changed(&self) {
        if self.ending.watchers.get() > 0 {
            self.ending.changes.set(self.ending.changes.get() + 1);
            self.deadlines.wake_all();
        }
    }

    /// Looks whether an administrator, or whoever else, thinks otherwise of an endpoint.
    pub(super) fn look_at_standings(&self) {
        if self.ending.watchers.get() == 0 {
            return;
        }
        let versions = self.local().clusters.iter().map(|cluster| cluster.spec.standings.version()).sum();
        if self.ending.standings.replace(versions) != versions {
            self.endpoints_changed();
        }
    }
}

/// Somebody waits for changes of endpoints.
pub(crate) struct Watching<'a>(&'a Cell<u32>);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

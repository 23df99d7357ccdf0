//! The end of the process: in order, or at once.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use usher_api::ErrorKind;
use usher_api::clusters::Refused;
use usher_api::metrics::Totals;
use usher_engine::Drain;

use super::control::Control;
use super::event::{Event, ReloadAnswer};
use super::upgrade::Upgrade;
use super::worker::Order;
use crate::log;
use crate::terminal::Failure;

impl Control {
    /// Takes no more connections, lets those that there are finish, and ends; a second signal, or the end of
    /// `timeouts.drain`, ends what is left.
    pub(super) fn drain(&mut self, signal: &str) -> Result<(), Failure> {
        let patience = self.built.snapshot.drain;
        log::info(format_args!(
            "{signal}: finishing what is under way, for at most {patience:?}; a second signal ends at once"
        ));
        self.let_go();
        let before = Ended::of(&self.registry.read().totals);
        let drain = Drain { patience, succeeded: self.successor.is_some() };
        self.tell_all(|| Order::Drain(drain));
        match self.wait_for_workers(Instant::now() + patience) {
            Ok(in_order) => self.finish(in_order, before),
            Err(why) => self.give_up(&why, before),
        }
    }

    /// Begins nothing more, and holds nothing open that workers close.
    fn let_go(&mut self) {
        if let Some(admin) = &self.admin {
            admin.draining();
        }
        self.notify.stopping("finishing what is under way");
        self.upgrade.take().into_iter().for_each(Upgrade::abandon);
        (self.watch, self.endpoints_watch) = (None, None);
        self.shifts.suspend();
        self.sockets.let_go();
    }

    /// Waits until everything is finished; whether all workers ended because they were told to.
    ///
    /// # Errors
    /// Why not to wait any longer.
    fn wait_for_workers(&mut self, deadline: Instant) -> Result<bool, String> {
        let (mut running, mut in_order) = (self.workers.len(), true);
        while running > 0 || self.outlives_elder() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(Event::WorkerEnded { in_order: well, .. }) => {
                    running -= 1;
                    in_order &= well;
                }
                Ok(Event::Terminate(signal)) => return Err(format!("{signal} again")),
                Ok(event) => self.hear_while_draining(event),
                Err(RecvTimeoutError::Timeout) if running == 0 => break,
                Err(RecvTimeoutError::Timeout) => return Err("the time for that is over".to_owned()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(in_order)
    }

    /// Says that it is there; refuses whatever would change something.
    fn hear_while_draining(&mut self, event: Event) {
        match event {
            Event::Reopen => self.reopen(),
            Event::Alone => self.has_elder = false,
            // Workers that drain hear nothing; the time for that is limited already.
            Event::Ping(answer) => (0..=self.workers.len()).for_each(|_| {
                let _ = answer.send(());
            }),
            Event::Reload { cause, answer } => {
                refuse(cause, answer, "the process is ending, so there is nothing to reload");
            }
            Event::Upgrade { cause, answer } => {
                refuse(cause, answer, "the process is ending; what takes over has begun, or nothing will");
            }
            Event::Edit { answer, .. } => {
                let _ = answer.send(Err(Refused::Busy("the process is ending".to_owned())));
            }
            Event::Resolved(_)
            | Event::EndpointFiles
            | Event::Upgraded(_)
            | Event::Sessions(_)
            | Event::Passed
            | Event::Terminate(_)
            | Event::WorkerEnded { .. } => {}
        }
    }

    /// Everything is finished, or was cut off in order.
    fn finish(&mut self, in_order: bool, before: Ended) -> Result<(), Failure> {
        self.workers.iter_mut().for_each(super::worker::Hand::join);
        self.flush();
        if !in_order {
            return Err(Failure::Message("a worker ended by a defect; its connections are lost".to_owned()));
        }
        if self.tell_of_tunnels(before) > 0 {
            log::warn(format_args!("ended; what was left when the time was over is cut off"));
            return Err(Failure::Said);
        }
        log::info(format_args!("ended; every connection was finished"));
        Ok(())
    }

    /// Whether to stay although nothing is left to do: with the end of this process, its successor gives up the connections
    /// of HTTP/3 of all that were before, and the one before this still serves some.
    fn outlives_elder(&self) -> bool {
        self.has_elder && self.successor.is_some()
    }

    /// Says what became of that which lasts; how much of it was cut off.
    fn tell_of_tunnels(&self, before: Ended) -> u64 {
        let now = Ended::of(&self.registry.read().totals);
        let (closed, late) = (now.closed - before.closed, now.late - before.late);
        let (tunnels, passed) = (now.tunnels - before.tunnels, now.passed - before.passed);
        let sessions = now.sessions - before.sessions;
        if closed + tunnels + passed > 0 {
            log::info(format_args!(
                "{closed} WebSockets were closed at the end of a message, {late} of them while another one was on its way; \
                 {tunnels} tunnels and {passed} TCP connections were cut off"
            ));
        }
        if sessions > 0 {
            log::info(format_args!("{sessions} sessions of UDP were cut off"));
        }
        tunnels + passed + sessions
    }

    fn give_up(&mut self, reason: &str, before: Ended) -> Result<(), Failure> {
        self.tell_of_tunnels(before);
        let open = self.registry.read().totals.connections.active.get();
        let cut = if open == 1 { "1 connection is".to_owned() } else { format!("{open} connections are") };
        log::warn(format_args!("{reason}: ending now; {cut} cut off"));
        self.cut_off();
        Err(Failure::Said)
    }

    /// Leaves nothing behind although workers still run.
    pub(super) fn cut_off(&mut self) {
        for path in self.sockets.own_files() {
            let _ = std::fs::remove_file(path);
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.former_logs.flush();
        if let Some(log) = &self.log {
            log.sink.flush();
        }
        self.pid_file = None;
        if let Some(admin) = self.admin.take() {
            admin.end();
        }
    }
}

fn refuse(cause: &str, answer: Option<mpsc::Sender<ReloadAnswer>>, why: &str) {
    match answer {
        Some(answer) => drop(answer.send(Err(why.to_owned()))),
        None => log::warn(format_args!("{cause}: {why}")),
    }
}

/// Tunnels, TCP connections and sessions of UDP that were ended, so far.
#[derive(Clone, Copy)]
struct Ended {
    closed: u64,
    late: u64,
    tunnels: u64,
    passed: u64,
    sessions: u64,
}

impl Ended {
    fn of(totals: &Totals) -> Self {
        let (tunnels, passed) = (&totals.tunnels, &totals.passed);
        let passed = passed.by_reason.of(ErrorKind::Draining.as_str()).get();
        let sessions = totals.udp.sessions.by_reason.of(ErrorKind::Draining.as_str()).get();
        let late = tunnels.late.get();
        Self { closed: tunnels.drained.get() + late, late, tunnels: tunnels.cut.get(), passed, sessions }
    }
}

//! The end of the process: in order, or at once.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use super::control::Control;
use super::event::Event;
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
        if let Some(admin) = &self.admin {
            admin.draining();
        }
        self.notify.stopping("finishing what is under way");
        self.upgrade.take().into_iter().for_each(Upgrade::abandon);
        self.watch = None;
        self.shifts.suspend(true);
        self.sockets.let_go();
        self.tell_all(|| Order::Drain);
        let deadline = Instant::now() + patience;
        let (mut running, mut in_order) = (self.workers.len(), true);
        while running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(Event::WorkerEnded { in_order: well, .. }) => {
                    running -= 1;
                    in_order &= well;
                }
                Ok(Event::Reopen) => self.reopen(),
                Ok(Event::Reload { answer, .. }) => {
                    let refusal = "the process is ending, so there is nothing to reload".to_owned();
                    if let Some(answer) = answer {
                        let _ = answer.send(Err(refusal));
                    }
                }
                Ok(Event::Upgrade { answer, .. }) => {
                    let refusal =
                        "the process is ending; what takes over has begun, or nothing will".to_owned();
                    if let Some(answer) = answer {
                        let _ = answer.send(Err(refusal));
                    }
                }
                // Workers that drain hear nothing; the time for that is limited already.
                Ok(Event::Ping(answer)) => {
                    (0..=self.workers.len()).for_each(|_| {
                        let _ = answer.send(());
                    });
                }
                Ok(
                    Event::Resolved(_)
                    | Event::Upgraded(_)
                    | Event::Sessions(_)
                    | Event::Passed
                    | Event::Alone,
                ) => {}
                Ok(Event::Terminate(signal)) => return self.give_up(&format!("{signal} again")),
                Err(RecvTimeoutError::Timeout) => return self.give_up("the time for that is over"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.workers.iter_mut().for_each(super::worker::Hand::join);
        self.flush();
        if !in_order {
            return Err(Failure::Message("a worker ended by a defect; its connections are lost".to_owned()));
        }
        log::info(format_args!("ended; every connection was finished"));
        Ok(())
    }

    fn give_up(&mut self, reason: &str) -> Result<(), Failure> {
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
        if let Some(log) = &self.log {
            log.sink.flush();
        }
        self.pid_file = None;
        if let Some(admin) = self.admin.take() {
            admin.end();
        }
    }
}

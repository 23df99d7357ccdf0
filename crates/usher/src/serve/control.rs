//! The control thread: everything that happens while the process serves.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use usher_api::metrics::Registry;
use usher_config::Loaded;
use usher_engine::snapshot::Built;
use usher_net::handover::Channel;

use super::admin::AdminServer;
use super::changes::describe;
use super::event::Event;
use super::notify::Notify;
use super::pid_file::PidFile;
use super::sockets::Sockets;
use super::upgrade::Upgrade;
use super::watch::Watch;
use super::worker::{Hand, Order};
use crate::assemble::OpenLog;
use crate::certificates::Keeper;
use crate::clusters::Clusters;
use crate::discovery::Discovery;
use crate::former_logs::FormerLogs;
use crate::health::Health;
use crate::log;
use crate::origin::Origin;
use crate::shifts::Shifts;
use crate::terminal::Failure;

/// How often it is looked whether the last connection is gone from sockets that nobody else needs.
const RETIRED_CHECK: Duration = Duration::from_secs(1);

/// All that the control thread holds.
pub(crate) struct Control {
    pub(super) origin: Origin,
    pub(super) loaded: Loaded,
    pub(super) built: Built,
    pub(super) log: Option<OpenLog>,
    pub(super) former_logs: FormerLogs,
    pub(super) registry: Arc<Registry>,
    pub(super) workers: Vec<Hand>,
    pub(super) sockets: Sockets,
    pub(super) discovery: Discovery,
    pub(super) clusters: Clusters,
    pub(super) health: Health,
    pub(super) shifts: Shifts,
    pub(super) keeper: Option<Keeper>,
    pub(super) admin: Option<AdminServer>,
    pub(super) watch: Option<Watch>,
    /// Of files that name endpoints.
    pub(super) endpoints_watch: Option<Watch>,
    pub(super) pid_file: Option<PidFile>,
    pub(super) notify: Notify,
    pub(super) upgrade: Option<Upgrade>,
    /// To the process that has taken over, which hears in it how long this one still lives.
    pub(super) successor: Option<Channel>,
    /// The process that this one has taken over from lives still.
    pub(super) has_elder: bool,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) heard: mpsc::Receiver<Event>,
}

impl Control {
    /// Reacts to what happens until the process is to end.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        self.notify.ready(&self.status());
        self.notify.watch_over(self.workers.len(), self.events.clone());
        loop {
            // This thread holds a sender itself, so there is always somebody who could speak.
            let Ok(event) = self.next() else { return Ok(()) };
            match event {
                Event::Reload { cause, answer } => {
                    self.notify.reloading();
                    let outcome = self.reload(cause);
                    self.notify.ready(&self.status());
                    match (answer, &mut self.upgrade) {
                        (Some(answer), _) => drop(answer.send(outcome)),
                        // Whoever has changed a file, or sent a signal, does not ask twice.
                        (None, Some(upgrade)) => upgrade.miss(cause),
                        (None, None) => {}
                    }
                }
                Event::Upgrade { cause, answer } => self.upgrade(cause, answer),
                Event::Upgraded(outcome) => {
                    if let Some(why) = self.upgraded(outcome) {
                        return self.drain(&why);
                    }
                }
                Event::Sessions(sessions) => self.take_over_sessions(sessions),
                Event::Passed => self.tell_all(|| Order::Alone),
                Event::Alone => {
                    self.has_elder = false;
                    self.tell_all(|| Order::Alone);
                    self.sockets.retire();
                }
                Event::Ping(answer) => {
                    self.tell_all(|| Order::Ping(answer.clone()));
                    let _ = answer.send(());
                }
                Event::Reopen => self.reopen(),
                Event::Resolved(question) => self.resolved(&question),
                Event::EndpointFiles => self.read_endpoint_files(),
                Event::Edit { cluster, edit, answer } => {
                    let _ = answer.send(self.edit(&cluster, &edit));
                }
                Event::Terminate(signal) => return self.drain(signal),
                Event::WorkerEnded { index, .. } => {
                    let message =
                        format!("worker {index} ended by a defect; the process ends, to be started anew");
                    self.cut_off();
                    return Err(Failure::Message(message));
                }
            }
        }
    }

    /// What happens next. Meanwhile, sockets are closed with their last connection.
    fn next(&mut self) -> Result<Event, mpsc::RecvError> {
        while self.sockets.has_retired() {
            match self.heard.recv_timeout(RETIRED_CHECK) {
                Ok(event) => return Ok(event),
                Err(_) => self.sockets.close_retired(),
            }
        }
        self.heard.recv()
    }

    /// What is served, in a line.
    fn status(&self) -> String {
        format!("serving {}", describe(&self.built.snapshot, &self.built.snapshot))
    }

    /// Tells every worker the same.
    pub(super) fn tell_all(&self, order: impl Fn() -> Order) {
        self.workers.iter().for_each(|worker| worker.tell(order()));
    }

    pub(super) fn reopen(&mut self) {
        self.former_logs.reopen();
        match &self.log {
            Some(log) => {
                log.sink.reopen();
                log::info(format_args!("logs are opened again"));
            }
            None => log::info(format_args!("there is no log to open again")),
        }
    }
}

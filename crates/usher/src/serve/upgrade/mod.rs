//! An upgrade: another process, of the binary as it is on disk now, goes on with the sockets of this one.
//!
//! This process starts the other one with its own arguments, environment and working directory, and with one end of a
//! [`Channel`](usher_net::handover::Channel) as standard input. Over it go the listening sockets themselves. The other
//! builds its snapshot, adopts the sockets that its config wants, begins to accept, and says so; then this one stops
//! accepting and drains. Until it says so nothing has changed here: one that fails is only told of.
//!
//! The messages, a word and a rest each:
//!
//! | from | message | with it |
//! |---|---|---|
//! | old | `usher 1` | |
//! | old | `listener own LABEL`, `listener foreign LABEL` | sockets of one address; whether a Unix file goes with them |
//! | old | `datagrams BUSY LABEL` | sockets of one [bank](usher_net::quic::UdpGroup) of an address of HTTP/3 |
//! | old | `udp - LABEL` | sockets of a listener of UDP, in their order |
//! | old | `hand JSON` | what an administrator wants of an endpoint, how one stands, where a shift stands, an address of a name |
//! | old | `end` | |
//! | new | `took LABEL` | |
//! | new | `ready`, or `failed TEXT` | |
//! | old | `go`: it accepts no more, and drains | |
//! | old | `sessions NUMBER LABEL`, then a line for each | sessions of UDP on one socket: those to endpoints |
//! | old | `passed`: there are no more of them | |
//! | old | the end of the channel: the process is gone | |

mod predecessor;
mod sessions;
mod successor;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use usher_net::handover::Channel;

pub(super) use predecessor::Predecessor;
pub(super) use sessions::PassedSessions;
pub(super) use successor::{Message, Outcome, own_path};

use super::control::Control;
use super::event::{Event, ReloadAnswer};
use super::worker::Order;
use crate::log;
use crate::origin::Origin;
use crate::terminal::Failure;

/// What both begin with: another number is another protocol.
const HELLO: &str = "usher 1";
/// Tells a process that it was started to take over, and from which.
const VARIABLE: &str = "USHER_TAKES_OVER_FROM";
/// How long the other may take until it is ready; less than the patience of `usher upgrade`.
const START_LIMIT: Duration = Duration::from_secs(25);

/// An upgrade that is under way.
pub(super) struct Upgrade {
    channel: Channel,
    answer: Option<mpsc::Sender<ReloadAnswer>>,
    /// Why the config was to be read again meanwhile, if it was, and nobody waited for an answer.
    missed: Option<&'static str>,
}

impl Upgrade {
    /// The config is to be read again, if the other process does not take over.
    pub(super) fn miss(&mut self, cause: &'static str) {
        self.missed = Some(cause);
    }

    /// The process ends meanwhile: the other one hears the end of the channel, and ends as well.
    pub(super) fn abandon(self) {
        self.channel.close();
        if let Some(answer) = self.answer {
            let _ = answer.send(Err("the process is ending".to_owned()));
        }
    }
}

impl Control {
    /// Starts the other process; [`upgraded`](Self::upgraded) hears what became of it.
    pub(super) fn upgrade(&mut self, cause: &str, answer: Option<mpsc::Sender<ReloadAnswer>>) {
        let others = self.upgrade.is_some();
        // What is wanted of endpoints from now on would be lost with this process, and so would a move of a shift.
        self.clusters.freeze(true);
        self.shifts.suspend();
        match self.begin_upgrade() {
            Ok((process, channel)) => {
                log::info(format_args!("{cause}: process {process} is started, to take over"));
                self.upgrade = Some(Upgrade { channel, answer, missed: None });
            }
            Err(why) => {
                self.clusters.freeze(others);
                if !others {
                    self.shifts.go_on();
                }
                refused(&format!("cannot upgrade: {why}"), answer);
            }
        }
    }

    fn begin_upgrade(&self) -> Result<(u32, Channel), String> {
        if self.upgrade.is_some() {
            return Err("another upgrade is under way".to_owned());
        }
        if std::process::id() == 1 {
            return Err("this is process 1, with which a container ends; start another container".to_owned());
        }
        if let Origin::Text { name: name @ ("<stdin>" | "<demo>"), .. } = &self.origin {
            return Err(format!("another process cannot read {name} again; serve a config file"));
        }
        let failed = |error: std::io::Error| format!("cannot pass the sockets on: {error}");
        let mut all = self.sockets.bequeath().map_err(failed)?;
        all.extend(self.admin.as_ref().map(|admin| admin.bequeath()).transpose().map_err(failed)?);
        all.extend(self.known());
        successor::start(all, self.events.clone()).map_err(|error| format!("cannot start it: {error}"))
    }

    /// What the other process cannot find out, or not soon enough: where shifts stand, what administrators want of endpoints
    /// and how these stand, and where names are; a message each. Names come last: of too many messages, the first ones count,
    /// and names can be asked for again.
    fn known(&self) -> Vec<Message> {
        let wanted = self.discovery.bequeath().into_iter().chain(self.clusters.bequeath());
        let all = self.shifts.bequeath().into_iter().chain(wanted).chain(self.discovery.names().bequeath());
        all.map(|message| (format!("hand {message}"), Vec::new())).collect()
    }

    /// The other process is ready, or it failed. Gives why to drain now, if so.
    pub(super) fn upgraded(&mut self, outcome: Outcome) -> Option<String> {
        let Upgrade { channel, answer, missed } = self.upgrade.take()?;
        match outcome {
            Outcome::Ready { process, taken } => {
                self.sockets.hand_over(&taken);
                if let Some(admin) = &mut self.admin {
                    admin.leave(&taken);
                }
                self.notify.hand_over(process);
                // Where it is gone again, there is nobody else to serve; then this is like any other crash.
                let _ = channel.send("go", &[]);
                self.pass_sessions(&channel, &taken);
                self.successor = Some(channel);
                let text = format!("process {process} has taken over from process {}", std::process::id());
                if let Some(answer) = answer {
                    let _ = answer.send(Ok(text.clone()));
                }
                Some(text)
            }
            Outcome::Failed(why) => {
                self.shifts.go_on();
                if let Some(pid_file) = &self.pid_file {
                    pid_file.restore();
                }
                self.clusters.freeze(false);
                // It may have told the kernel of its own sockets, which are closed.
                self.sockets.steer_again();
                refused(&format!("upgrade refused, nothing has changed: {}", why.trim_end()), answer);
                if let Some(cause) = missed {
                    let _ = self.events.send(Event::Reload { cause, answer: None });
                }
                None
            }
        }
    }
}

/// How long workers may take to begin.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

impl Control {
    /// Waits until every worker has opened what it was told to.
    pub(super) fn answers(&self) -> Result<(), Failure> {
        let (answer, answered) = mpsc::channel();
        self.tell_all(|| Order::Ping(answer.clone()));
        let all = self.workers.iter().all(|_| answered.recv_timeout(BEGIN_LIMIT).is_ok());
        if all { Ok(()) } else { Err(Failure::Message("a worker does not begin".to_owned())) }
    }

    /// The other process has stopped accepting: files of Unix sockets are this one's to remove.
    pub(super) fn own_files(&mut self) {
        self.sockets.own_files_now();
        if let Some(admin) = &mut self.admin {
            admin.own_file();
        }
    }

    /// Hears when the process that this one has taken over from is gone.
    pub(super) fn wait_for_end_of(&mut self, predecessor: Predecessor) {
        self.has_elder = true;
        let (channel, events) = (predecessor.into_channel(), self.events.clone());
        let wait = move || {
            let _ = channel.limit(None);
            while let Ok(Some((text, descriptors))) = channel.receive() {
                if let Some(event) = sessions::heard(&text, descriptors) {
                    let _ = events.send(event);
                }
            }
            let _ = events.send(Event::Alone);
        };
        // Without the thread, packets of HTTP/3 for the process before are not given up when it has ended.
        let _ = thread::Builder::new().name("predecessor".to_owned()).spawn(wait);
    }
}

fn refused(text: &str, answer: Option<mpsc::Sender<ReloadAnswer>>) {
    log::error(format_args!("{text}"));
    if let Some(answer) = answer {
        let _ = answer.send(Err(text.to_owned()));
    }
}

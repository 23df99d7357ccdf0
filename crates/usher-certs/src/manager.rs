//! The thread that obtains certificates, as the rest of the process sees it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::{Notify, oneshot};
use usher_api::{HttpChallenges, OnDemand};
use usher_net::tls::Certificates;

use crate::names::{covers, normalize};
use crate::options::Options;
use crate::status::{Board, Status};
use crate::worker::Worker;

/// Handshakes that may wait for a certificate on demand, in all.
const MAX_WANTED: usize = 256;
/// Renewals that an operator may have asked for and that were not yet begun.
const MAX_RENEWALS: usize = 1000;

/// A handshake that waits for a certificate.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// Dropped when there is a certificate, or when there will be none.
    pub(crate) done: oneshot::Sender<()>,
}

/// What the thread shall do next.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) options: Option<Options>,
    pub(crate) renew: Vec<String>,
    pub(crate) wanted: VecDeque<Wanted>,
    pub(crate) stop: bool,
    /// Certificates on demand are configured.
    pub(crate) on_demand: bool,
    /// Handshakes that wait, here and in the thread.
    pub(crate) waiting: usize,
}

/// What the thread and the rest of the process share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    pub(crate) changed: Notify,
    pub(crate) board: Board,
}

impl Shared {
    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Obtains, renews and keeps certificates on a thread of its own. Stops it when dropped.
#[derive(Debug)]
pub struct Manager {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Manager {
    /// Starts the thread. When this returns, what storage and files have is in `certificates`, and certificates of the
    /// internal CA are too. Nothing waits for a network.
    ///
    /// # Errors
    /// In a sentence: the storage cannot be used, or the thread cannot be started.
    pub fn start(
        options: Options,
        certificates: Arc<Certificates>,
        challenges: Arc<HttpChallenges>,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = mpsc::channel();
        let within = shared.clone();
        let thread = thread::Builder::new().name("certificates".to_owned()).spawn(move || {
            match Worker::open(options, within, certificates, challenges) {
                Ok(worker) => {
                    // Nobody listens if the start was given up.
                    let _ = ready.send(Ok(()));
                    worker.run();
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
        let thread = thread.map_err(|error| format!("cannot start the thread for certificates: {error}"))?;
        let ended = || Err("the thread for certificates has ended".to_owned());
        is_ready.recv().unwrap_or_else(|_| ended())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Goes on with other options, after a reload. What stays the same is not touched.
    pub fn update(&self, options: Options) {
        self.shared.inbox().options = Some(options);
        self.shared.changed.notify_one();
    }

    /// All certificates, in order of their source.
    pub fn status(&self) -> Vec<Status> {
        self.shared.board.all()
    }

    /// Renews the certificate that is for this name, now. Limits of the CA still hold.
    ///
    /// # Errors
    /// In a sentence: there is no such certificate here.
    pub fn renew(&self, name: &str) -> Result<(), String> {
        let name = normalize(name).map_err(|error| error.to_string())?;
        let known = self.status().into_iter().filter(|status| !status.source.starts_with("file:"));
        let known: Vec<Status> = known.collect();
        // Its own one rather than that of a wildcard.
        let exact = known.iter().find(|status| status.names.contains(&name));
        let found = exact.or_else(|| known.iter().find(|status| covers(&status.names, &name)));
        let Some(status) = found else {
            return Err(format!(
                "no certificate for `{name}` is managed here; `usher certs` lists those that are"
            ));
        };
        let mut inbox = self.shared.inbox();
        if inbox.renew.len() >= MAX_RENEWALS {
            return Err("too many renewals were asked for; wait until some have begun".to_owned());
        }
        inbox.renew.push(status.source.clone());
        drop(inbox);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// What handshakes ask for certificates that are not there.
    pub fn on_demand(&self) -> Arc<dyn OnDemand> {
        Arc::new(Gate { shared: self.shared.clone() })
    }

    /// Ends the thread. An order that is under way is gone on with at the next start.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.inbox().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.end();
    }
}

struct Gate {
    shared: Arc<Shared>,
}

impl OnDemand for Gate {
    fn want(&self, name: &str) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut inbox = self.shared.inbox();
        if !inbox.on_demand || inbox.stop || inbox.waiting >= MAX_WANTED {
            return None;
        }
        let name = normalize(name).ok().filter(|name| !name.starts_with("*."))?;
        let (done, is_done) = oneshot::channel();
        inbox.wanted.push_back(Wanted { name, done });
        inbox.waiting += 1;
        drop(inbox);
        self.shared.changed.notify_one();
        let place = Place { shared: self.shared.clone() };
        Some(Box::pin(async move {
            // It ends in any case, and always in time: the thread drops the sender of whoever waits too long.
            let _ = is_done.await;
            drop(place);
        }))
    }
}

/// A place among those who wait.
struct Place {
    shared: Arc<Shared>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inbox = self.shared.inbox();
        inbox.waiting = inbox.waiting.saturating_sub(1);
    }
}

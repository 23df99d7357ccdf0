//! What is done when, on the thread of certificates.
//!
//! - `mod.rs`: the loop.
//! - `entry.rs`: a managed certificate; when it is due.
//! - `reload.rs`: from options to entries.
//! - `attempt.rs`: one attempt to obtain a certificate, and what follows from its end.
//! - `window.rs`: asking CAs when to renew.
//! - `served.rs`: a certificate that is served, with its OCSP response; `staple.rs` fetches it.
//! - `files.rs`: certificates from files.
//! - `on_demand.rs`: certificates that handshakes ask for.
//! - `sweep.rs`: removing what nobody wants any more.

mod attempt;
mod entry;
mod files;
mod on_demand;
mod reload;
mod served;
mod staple;
mod sweep;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::{LocalSet, spawn_local};
use usher_api::HttpChallenges;
use usher_net::tls::Certificates;

use crate::acme::Surroundings;
use crate::manager::{Inbox, Shared};
use crate::options::{Level, Options};
use crate::random::fraction;
use crate::renewal::backoff;
use crate::storage::Storage;
use entry::{Busy, Entry};
use files::WatchedFile;
use on_demand::Demand;

/// A task under way; counted until it is dropped, however it ends.
struct Place {
    worker: Rc<Worker>,
    /// The entry that is busy with it.
    id: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(id) = self.id.as_deref().filter(|_| std::thread::panicking()) {
            self.worker.broken_off(id);
        }
        self.worker.in_flight.set(self.worker.in_flight.get().saturating_sub(1));
        self.worker.shared.changed.notify_one();
    }
}

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(500);
/// Orders, and questions to CAs and responders, that are under way at the same time.
const MAX_IN_FLIGHT: usize = 8;
/// A clock that goes back by more than this was wrong before.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

pub(crate) struct Worker {
    shared: Arc<Shared>,
    around: Surroundings,
    options: RefCell<Rc<Options>>,
    /// By id.
    entries: RefCell<BTreeMap<String, Entry>>,
    /// By source.
    files: RefCell<BTreeMap<String, WatchedFile>>,
    demand: RefCell<Demand>,
    in_flight: Cell<usize>,
    /// When it was last looked what is due.
    looked: Cell<SystemTime>,
    /// When to sweep the storage.
    sweep_next: Cell<SystemTime>,
    /// A wildcard has got its certificate: others may not be needed any more.
    regroup: Cell<bool>,
}

impl Worker {
    /// Opens the storage, and serves what is there.
    pub(crate) fn open(
        options: Options,
        shared: Arc<Shared>,
        certificates: Arc<Certificates>,
        challenges: Arc<HttpChallenges>,
    ) -> Result<Rc<Self>, String> {
        let storage = Storage::open(&options.storage).map_err(|error| error.to_string())?;
        let worker = Rc::new(Self {
            shared,
            around: Surroundings::new(storage, certificates, challenges),
            options: RefCell::new(Rc::new(options)),
            entries: RefCell::default(),
            files: RefCell::default(),
            demand: RefCell::default(),
            in_flight: Cell::new(0),
            looked: Cell::new(UNIX_EPOCH),
            sweep_next: Cell::new(UNIX_EPOCH),
            regroup: Cell::new(false),
        });
        worker.reload_entries();
        worker.reload_files();
        worker.load_on_demand();
        Ok(worker)
    }

    /// Runs until it is stopped.
    pub(crate) fn run(self: Rc<Self>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                return self.log(Level::Error, &format!("certificates are not renewed: no runtime: {error}"));
            }
        };
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, self.clone().turn());
        // Dropping the tasks takes back the answers to challenges.
        drop(tasks);
        runtime.shutdown_background();
    }

    async fn turn(self: Rc<Self>) {
        loop {
            if self.take_inbox() {
                break;
            }
            self.tick();
            let changed = self.shared.changed.notified();
            // Which of the two it was does not matter.
            let _ = tokio::time::timeout(TICK, changed).await;
        }
        self.shared.inbox().wanted.clear();
        self.demand.borrow_mut().end();
    }

    /// Whether it shall stop.
    fn take_inbox(self: &Rc<Self>) -> bool {
        let (options, renew, wanted, stop) = {
            let mut inbox = self.shared.inbox();
            let Inbox { options, renew, wanted, stop, .. } = &mut *inbox;
            (options.take(), std::mem::take(renew), std::mem::take(wanted), *stop)
        };
        if let Some(options) = options {
            self.update(options);
        }
        renew.iter().for_each(|source| self.renew_now(source));
        wanted.into_iter().for_each(|wanted| self.want(wanted));
        stop
    }

    fn tick(self: &Rc<Self>) {
        let now = self.now();
        if now + CLOCK_SLACK < self.looked.replace(now) {
            self.clock_went_back(now);
        }
        if self.regroup.take() {
            self.reload_entries();
        }
        self.look_at_files();
        self.expire_waiting(now);
        let due: Vec<String> = {
            let entries = self.entries.borrow();
            entries.iter().filter(|(_, entry)| entry.is_due(now)).map(|(id, _)| id.clone()).collect()
        };
        for id in due {
            self.begin(&id);
        }
        self.ask_for_windows(now);
        self.refresh_staples(now);
        self.sweep(now);
    }

    /// Decides anew when everything is due: what was decided while the clock was ahead may be years away.
    fn clock_went_back(&self, now: SystemTime) {
        self.log(Level::Warn, "the clock was set back: it is decided anew when certificates are due");
        let options = self.options();
        for entry in self.entries.borrow_mut().values_mut() {
            entry.meta.forget_future(now);
            entry.window_next = entry.window_next.min(now + window::UNSUPPORTED);
            if let Some(served) = &mut entry.served {
                served.staple_next = served.staple_next.map(|next| next.min(now + window::UNSUPPORTED));
            }
            entry.schedule(&options);
        }
        self.sweep_next.set(now);
        let ids: Vec<String> = self.entries.borrow().keys().cloned().collect();
        ids.iter().for_each(|id| self.publish(id));
    }

    /// An attempt that ended by a defect of ours is one that failed: it must not stay under way for ever.
    fn broken_off(&self, id: &str) {
        // What the defect had borrowed was given back before this is called.
        let Ok(mut entries) = self.entries.try_borrow_mut() else { return };
        if let Some(entry) = entries.get_mut(id).filter(|entry| entry.busy != Busy::No) {
            let now = self.now();
            entry.busy = Busy::No;
            entry.meta.failures = entry.meta.failures.saturating_add(1);
            entry.meta.next_attempt = Some(now + backoff(entry.meta.failures, fraction()));
            entry.meta.last_error = Some("a defect of Usher: see its log".to_owned());
            entry.meta.last_error_at = Some(now);
            entry.window_next = now + window::UNSUPPORTED;
            entry.schedule(&self.options());
        }
        drop(entries);
        self.publish(id);
    }

    /// Begins an attempt, if there is room for it.
    fn begin(self: &Rc<Self>, id: &str) {
        if self.in_flight.get() >= MAX_IN_FLIGHT {
            return;
        }
        if let Some(entry) = self.entries.borrow_mut().get_mut(id) {
            entry.busy = Busy::Ordering;
        }
        self.publish(id);
        let (this, busy, id) = (self.clone(), id.to_owned(), id.to_owned());
        self.in_background(Some(busy), async move { this.attempt(&id).await });
    }

    /// Runs a task, counted; `id` is the entry that is busy with it.
    fn in_background(self: &Rc<Self>, id: Option<String>, task: impl Future<Output = ()> + 'static) {
        self.in_flight.set(self.in_flight.get() + 1);
        let place = Place { worker: self.clone(), id };
        spawn_local(async move {
            task.await;
            drop(place);
        });
    }

    fn options(&self) -> Rc<Options> {
        self.options.borrow().clone()
    }

    fn now(&self) -> SystemTime {
        self.options.borrow().clock.now()
    }

    fn log(&self, level: Level, line: &str) {
        self.options().log.write(level, line);
    }

    /// Shows the state of an entry to the rest of the process.
    fn publish(&self, id: &str) {
        let now = self.now();
        if let Some(entry) = self.entries.borrow().get(id) {
            self.shared.board.set(entry.status(now, &self.options()));
        }
    }
}

//! Certificates that handshakes ask for.
//!
//! Anybody can connect with any name, so that nothing is done for a name before it is allowed: by the list, or by the
//! endpoint that is asked. What is refused is remembered for a while, in bounded number.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::Worker;
use super::entry::Busy;
use crate::http::escape;
use crate::manager::Wanted;
use crate::names::{covers, is_internal};
use crate::options::{Level, OnDemandOptions};
use crate::plan::{Signer, Target};

/// How long a handshake waits at most.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// How long the endpoint may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long a refusal is remembered.
const REFUSED_TIME: Duration = Duration::from_secs(60);
/// How long it is remembered that nobody could say: an endpoint that is down or slow is not asked by every handshake.
const UNKNOWN_TIME: Duration = Duration::from_secs(5);
/// Refusals that are remembered.
const MAX_REFUSED: usize = 10_000;
/// Names that the endpoint is asked for at the same time.
const MAX_ASKING: usize = 32;

/// Whether there shall be a certificate.
pub(super) enum Answer {
    Yes,
    No(String),
    /// Nobody could say.
    Unknown(String),
}

/// What is known of names that are no entries, and who waits.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// Names that are not asked for again before that.
    refused: HashMap<String, Instant>,
    /// In order of their first refusal.
    refused_order: VecDeque<String>,
    /// Who waits for a name; dropped when it is over.
    waiting: HashMap<String, Vec<(Wanted, Instant)>>,
    /// Names that the endpoint is being asked for.
    asking: usize,
    /// When new certificates were begun, within the time of the rate.
    begun: VecDeque<Instant>,
}

impl Demand {
    /// Nobody waits any more.
    pub(super) fn end(&mut self) {
        self.waiting.clear();
    }

    fn is_refused(&self, name: &str) -> bool {
        self.refused.get(name).is_some_and(|until| *until > Instant::now())
    }

    fn refuse(&mut self, name: &str, time: Duration) {
        if self.refused.insert(name.to_owned(), Instant::now() + time).is_none() {
            self.refused_order.push_back(name.to_owned());
        }
        while self.refused_order.len() > MAX_REFUSED {
            if let Some(oldest) = self.refused_order.pop_front() {
                self.refused.remove(&oldest);
            }
        }
    }

    /// Counts a new certificate, if the rate allows it.
    fn may_begin(&mut self, options: &OnDemandOptions) -> bool {
        while self.begun.front().is_some_and(|at| at.elapsed() >= options.per) {
            self.begun.pop_front();
        }
        let may = self.begun.len() < options.rate as usize;
        if may {
            self.begun.push_back(Instant::now());
        }
        may
    }
}

fn target(name: &str) -> Target {
    let signer = if is_internal(name) { Signer::Internal } else { Signer::Acme };
    let mut target = Target::single(name.to_owned(), signer);
    if signer == Signer::Internal {
        target.id = format!("_internal.{}", target.id);
    }
    target.on_demand = true;
    target
}

impl Worker {
    /// Takes up what handshakes have asked for before, or forgets it if that is not wanted any more.
    pub(super) fn load_on_demand(&self) {
        let options = self.options();
        self.shared.inbox().on_demand = options.on_demand.is_some();
        let Some(on_demand) = &options.on_demand else {
            let gone: Vec<(String, String)> = {
                let entries = self.entries.borrow();
                let gone = entries.iter().filter(|(_, entry)| entry.target.on_demand);
                gone.map(|(id, entry)| (id.clone(), entry.target.source())).collect()
            };
            gone.iter().for_each(|(id, source)| self.forget(id, source));
            return;
        };
        let mut count = self.count_on_demand();
        for id in self.around.storage.certificates() {
            if count >= on_demand.max_names {
                return;
            }
            if self.entries.borrow().contains_key(&id) {
                continue;
            }
            let Ok(kept) = self.around.storage.load(&id) else { continue };
            let (true, [name], true) =
                (kept.meta.on_demand, kept.meta.names.as_slice(), kept.certificate.is_some())
            else {
                continue;
            };
            let target = target(name);
            if target.id == id {
                self.take_up(target);
                count += 1;
            }
        }
    }

    fn count_on_demand(&self) -> usize {
        self.entries.borrow().values().filter(|entry| entry.target.on_demand).count()
    }

    /// A handshake waits for a name.
    pub(super) fn want(self: &Rc<Self>, wanted: Wanted) {
        let name = wanted.name.clone();
        let options = self.options();
        let Some(on_demand) = &options.on_demand else { return };
        let id = target(&name).id;
        let entry = self.entries.borrow().get(&id).map(|entry| {
            let wait = entry.meta.next_attempt.filter(|_| entry.meta.failures > 0);
            (entry.served.is_some(), entry.busy == Busy::Ordering, wait)
        });
        let now = self.now();
        match entry {
            Some((true, ..)) => return,
            Some((false, true, _)) => return self.add_waiting(wanted),
            Some((false, false, wait)) if wait.is_some_and(|wait| wait > now) => return,
            Some(_) => {
                self.add_waiting(wanted);
                // Where there is no room for it now, it begins at a later tick.
                if let Some(entry) = self.entries.borrow_mut().get_mut(&id) {
                    entry.next = Some(now);
                }
                return self.begin(&id);
            }
            None => {}
        }
        let mut demand = self.demand.borrow_mut();
        if demand.is_refused(&name) {
            return;
        }
        if demand.waiting.contains_key(&name) {
            drop(demand);
            return self.add_waiting(wanted);
        }
        if demand.asking >= MAX_ASKING || self.count_on_demand() >= on_demand.max_names {
            return;
        }
        demand.asking += 1;
        drop(demand);
        self.add_waiting(wanted);
        let this = self.clone();
        tokio::task::spawn_local(async move { this.ask_and_begin(&name).await });
    }

    fn add_waiting(&self, wanted: Wanted) {
        let mut demand = self.demand.borrow_mut();
        demand.waiting.entry(wanted.name.clone()).or_default().push((wanted, Instant::now()));
    }

    async fn ask_and_begin(self: &Rc<Self>, name: &str) {
        let answer = self.is_allowed(name).await;
        let options = self.options();
        let mut demand = self.demand.borrow_mut();
        demand.asking = demand.asking.saturating_sub(1);
        let may = match (&answer, &options.on_demand) {
            (Answer::Yes, Some(on_demand)) => demand.may_begin(on_demand),
            _ => false,
        };
        if !may {
            demand.waiting.remove(name);
            let why = match answer {
                Answer::Yes => {
                    demand.refuse(name, UNKNOWN_TIME);
                    "as many as may be were begun lately (`rate`)".to_owned()
                }
                Answer::No(why) => {
                    demand.refuse(name, REFUSED_TIME);
                    why
                }
                Answer::Unknown(why) => {
                    demand.refuse(name, UNKNOWN_TIME);
                    why
                }
            };
            return options.log.write(Level::Debug, &format!("no certificate on demand for `{name}`: {why}"));
        }
        drop(demand);
        let target = target(name);
        let id = target.id.clone();
        self.take_up(target);
        match self.is_to_begin(&id) {
            Some(true) => {
                // Where there is no room for it now, it begins at a later tick.
                let now = self.now();
                self.entries.borrow_mut().entry(id.clone()).and_modify(|entry| entry.next = Some(now));
                self.begin(&id);
            }
            Some(false) => {}
            None => self.wake_waiting(&id),
        }
    }

    /// Whether an attempt begins now for an entry that a handshake asked for; not if one is under way. None if there is
    /// nothing to wait for: the storage had one, or what failed before a restart is not yet tried again.
    fn is_to_begin(&self, id: &str) -> Option<bool> {
        let now = self.now();
        let entries = self.entries.borrow();
        let entry = entries.get(id).filter(|entry| entry.served.is_none())?;
        let waits = entry.meta.failures > 0 && entry.meta.next_attempt.is_some_and(|next| next > now);
        (!waits).then_some(entry.busy == Busy::No)
    }

    /// Whether there may be a certificate for this name.
    async fn is_allowed(&self, name: &str) -> Answer {
        let options = self.options();
        let Some(on_demand) = &options.on_demand else {
            return Answer::No("it is not configured".to_owned());
        };
        if covers(&on_demand.allow, name) {
            return Answer::Yes;
        }
        let Some(ask) = &on_demand.ask else { return Answer::No("it is not in `allow`".to_owned()) };
        let http = match self.around.plain_client() {
            Ok(http) => http,
            Err(failure) => return Answer::Unknown(failure.sentence),
        };
        let mark = if ask.contains('?') { '&' } else { '?' };
        let url = format!("{ask}{mark}domain={}", escape(name));
        // What stands behind the `?` may be a secret, and messages are logged.
        let ask = ask.split('?').next().unwrap_or(ask);
        match tokio::time::timeout(ASK_LIMIT, http.call("GET", &url, &[], Vec::new())).await {
            Ok(Ok(reply)) if reply.status == 200 => Answer::Yes,
            Ok(Ok(reply)) if reply.status < 500 => Answer::No(format!("`{ask}` answered {}", reply.status)),
            Ok(Ok(reply)) => Answer::Unknown(format!("`{ask}` answered {}", reply.status)),
            Ok(Err(error)) => Answer::Unknown(format!("`{ask}` cannot be asked: {error}")),
            Err(_) => Answer::Unknown(format!("`{ask}` did not answer within {} s", ASK_LIMIT.as_secs())),
        }
    }

    /// Whether a certificate that was on demand is still wanted.
    pub(super) async fn ask_again(&self, target: &Target) -> Answer {
        let first = self.entries.borrow().get(&target.id).is_some_and(|entry| entry.served.is_none());
        match target.names.first() {
            // It was asked a moment ago.
            _ if first => Answer::Yes,
            Some(name) => self.is_allowed(name).await,
            None => Answer::No("it has no name".to_owned()),
        }
    }

    /// The attempt for an entry is over: whoever waited goes on.
    pub(super) fn wake_waiting(&self, id: &str) {
        let names = self.entries.borrow().get(id).map(|entry| entry.target.names.clone()).unwrap_or_default();
        let mut demand = self.demand.borrow_mut();
        names.iter().for_each(|name| drop(demand.waiting.remove(name)));
    }

    /// Lets go those who wait too long, and forgets names for which there was no certificate in the end.
    pub(super) fn expire_waiting(&self, now: SystemTime) {
        let mut demand = self.demand.borrow_mut();
        demand.waiting.retain(|_, waiting| {
            waiting.retain(|(wanted, since)| since.elapsed() < WAIT_LIMIT && !wanted.done.is_closed());
            !waiting.is_empty()
        });
        drop(demand);
        let over: Vec<(String, String)> = {
            let entries = self.entries.borrow();
            let over = entries.iter().filter(|(_, entry)| {
                let later = entry.meta.next_attempt.is_some_and(|next| next <= now);
                entry.target.on_demand
                    && entry.served.is_none()
                    && entry.busy == Busy::No
                    && entry.meta.failures > 0
                    && entry.next.is_none()
                    && later
            });
            over.map(|(id, entry)| (id.clone(), entry.target.source())).collect()
        };
        for (id, source) in over {
            self.forget(&id, &source);
        }
    }
}

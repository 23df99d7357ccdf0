//! The circuit breaker of a cluster (Nygard, "Release It!", 2007): when too many requests fail, none is sent for a while.
//!
//! Counted is each request once, by what its client would have got: after retries. So a dead endpoint whose requests others
//! serve opens nothing; single endpoints are the business of outlier detection. That is where Traefik's breaker stands too,
//! outside of its retries. As in resilience4j there is a least number of requests, and a half-open state with so many
//! trials; as in Envoy's ejections, times grow. The state is the same for all workers and outlives reloads.
//!
//! While the circuit is closed a request costs a load, a clock and a few additions; nobody takes the lock but whoever
//! changes the state, and trials.

mod window;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use usher_config::config::{self, StatusPattern};

use self::window::{Counts, Window};

/// How far the state is from one number to the next; what is below is the phase.
const EPISODE: u64 = 8;

/// What becomes of a request that comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// It is sent.
    Closed = 0,
    /// It is not, for a while.
    Open = 1,
    /// A few are.
    HalfOpen = 2,
    /// It is sent, whatever becomes of it: an administrator wants that.
    HeldClosed = 3,
    /// It is not: an administrator wants that.
    HeldOpen = 4,
}

impl Phase {
    /// One word for the admin API and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::HeldClosed => "held closed",
            Self::HeldOpen => "held open",
        }
    }

    fn of(state: u64) -> Self {
        let all = [Self::Closed, Self::Open, Self::HalfOpen, Self::HeldClosed, Self::HeldOpen];
        all.get((state % EPISODE) as usize).copied().unwrap_or(Self::Closed)
    }
}

/// The breaker of one cluster.
#[derive(Debug, Default)]
pub struct Breaker {
    /// The phase, and a number that differs after every change of it: what began before says nothing about now.
    state: AtomicU64,
    /// Until when it is open, or, half-open, when further trials may begin (milliseconds).
    until: AtomicU64,
    /// Trials that may begin.
    free: AtomicU64,
    /// How often it was opened, and how many requests were refused.
    counts: (AtomicU64, AtomicU64),
    window: Window,
    history: Mutex<History>,
}

/// What is needed to change the state.
#[derive(Debug, Default)]
struct History {
    /// Trials that succeeded.
    succeeded: u32,
    /// How many may be free at the most.
    missing: u32,
    /// How often it was opened of late.
    times: u32,
    /// Since when it is closed (milliseconds).
    closed_since: u64,
}

/// How a request ended, for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub failed: bool,
    pub slow: bool,
}

/// Leave to send a request. If it is never told what became of it, a trial is another one's.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    /// The state in which it was given.
    state: u64,
    told: bool,
}

impl Breaker {
    /// Leave to send a request; the time until it is worth asking again (seconds) if there is none. `now` is in
    /// milliseconds, on a clock that outlives reloads.
    pub(crate) fn admit(self: &Arc<Self>, settings: &config::Breaker, now: u64) -> Result<Permit, u32> {
        let state = self.state.load(SeqCst);
        let permit = |state| Permit { breaker: self.clone(), state, told: false };
        let left = match Phase::of(state) {
            Phase::Closed | Phase::HeldClosed => return Ok(permit(state)),
            Phase::HeldOpen => settings.open.as_millis() as u64,
            Phase::Open => {
                let left = self.until.load(SeqCst).saturating_sub(now);
                if left == 0 {
                    self.half_open(settings, state, now);
                    return self.trial(permit);
                }
                left
            }
            Phase::HalfOpen => {
                if self.until.load(SeqCst) <= now {
                    self.half_open(settings, state, now);
                }
                return self.trial(permit);
            }
        };
        self.refuse(left)
    }

    /// One of the trials, if any is left.
    fn trial(&self, permit: impl Fn(u64) -> Permit) -> Result<Permit, u32> {
        if self.free.load(SeqCst) == 0 {
            return self.refuse(0);
        }
        let taken = {
            let _history = self.lock();
            let (state, free) = (self.state.load(SeqCst), self.free.load(SeqCst));
            let is_free = free > 0 && Phase::of(state) == Phase::HalfOpen;
            self.free.store(free - u64::from(is_free), SeqCst);
            is_free.then_some(state)
        };
        taken.map_or_else(|| self.refuse(0), |state| Ok(permit(state)))
    }

    fn refuse(&self, left: u64) -> Result<Permit, u32> {
        self.counts.1.fetch_add(1, Relaxed);
        Err(u32::try_from(left.div_ceil(1000)).unwrap_or(u32::MAX).max(1))
    }

    /// A response broke off that had begun well, so long ago: it counts as failed after all, unless its request is in the
    /// window no more. A line for the log if that opens the circuit.
    pub(crate) fn broke_off(
        &self,
        settings: &config::Breaker,
        began: Duration,
        (now, random): (u64, u64),
    ) -> Option<String> {
        if self.phase() != Phase::Closed || began >= settings.window {
            return None;
        }
        self.window.add(Counts { failed: 1, ..Counts::default() }, (now, settings.window));
        self.look(settings, (now, random))
    }

    /// Counts a request that was sent while the circuit was closed. A line for the log if that opens it.
    fn count(
        &self,
        settings: &config::Breaker,
        verdict: Verdict,
        (now, random): (u64, u64),
    ) -> Option<String> {
        let Verdict { failed, slow } = verdict;
        let counts = Counts { requests: 1, failed: failed.into(), slow: slow.into() };
        self.window.add(counts, (now, settings.window));
        if failed || slow { self.look(settings, (now, random)) } else { None }
    }

    /// Opens the circuit if too much has failed.
    fn look(&self, settings: &config::Breaker, (now, random): (u64, u64)) -> Option<String> {
        let why = why(&self.window.sum(now, settings.window), settings)?;
        let mut history = self.lock();
        let state = self.state.load(SeqCst);
        if Phase::of(state) != Phase::Closed {
            return None;
        }
        // A circuit that has been closed for long begins anew.
        if now.saturating_sub(history.closed_since) > settings.max_open.as_millis() as u64 {
            history.times = 0;
        }
        Some(self.open(settings, &mut history, (now, random), &why))
    }

    fn open(
        &self,
        settings: &config::Breaker,
        history: &mut History,
        (now, random): (u64, u64),
        why: &str,
    ) -> String {
        let length = settings.open.saturating_mul(1 << history.times.min(16)).min(settings.max_open);
        let off = ((u128::from(random) * (length.as_millis() / 5)) >> 64) as u64;
        let millis = (length.as_millis() as u64).saturating_sub(off);
        history.times = history.times.saturating_add(1);
        self.until.store(now.saturating_add(millis), SeqCst);
        self.counts.0.fetch_add(1, Relaxed);
        self.turn(Phase::Open);
        format!("the circuit is open for {:?}: {why}", Duration::from_millis(millis))
    }

    /// The time is over: a few requests find out. Whoever is first does this, in the state that it saw. Trials that say
    /// nothing for as long as it was open at first (uploads, long polls) are not waited for: others may begin.
    fn half_open(&self, settings: &config::Breaker, seen: u64, now: u64) {
        let mut history = self.lock();
        if self.state.load(SeqCst) != seen || self.until.load(SeqCst) > now {
            return;
        }
        let is_open = Phase::of(seen) == Phase::Open;
        if is_open {
            history.succeeded = 0;
        }
        history.missing = settings.trials.saturating_sub(history.succeeded).max(1);
        self.free.store(history.missing.into(), SeqCst);
        if is_open {
            self.turn(Phase::HalfOpen);
        }
        self.until.store(now.saturating_add(settings.open.as_millis() as u64), SeqCst);
    }

    /// A trial has ended. A line for the log if that changes anything.
    fn tried(
        &self,
        settings: &config::Breaker,
        (state, failed): (u64, bool),
        (now, random): (u64, u64),
    ) -> Option<String> {
        let mut history = self.lock();
        if self.state.load(SeqCst) != state {
            return None;
        }
        if failed {
            return Some(self.open(settings, &mut history, (now, random), "a request that tried it failed"));
        }
        history.succeeded += 1;
        if history.succeeded < settings.trials {
            return None;
        }
        self.close(&mut history, now);
        Some(format!("the circuit is closed: {} requests were served", settings.trials))
    }

    fn close(&self, history: &mut History, now: u64) {
        history.closed_since = now;
        self.window.clear();
        self.turn(Phase::Closed);
    }

    /// What an administrator wants: open or closed until further notice, or, with None, as requests go.
    pub fn hold(&self, open: Option<bool>, now: u64) {
        let mut history = self.lock();
        history.times = 0;
        match open {
            Some(true) => self.turn(Phase::HeldOpen),
            Some(false) => self.turn(Phase::HeldClosed),
            None => self.close(&mut history, now),
        }
    }

    /// Enters a phase; the lock is held.
    fn turn(&self, phase: Phase) {
        let before = self.state.load(SeqCst);
        self.state.store((before / EPISODE + 1) * EPISODE + phase as u64, SeqCst);
    }

    /// What becomes of a request that comes now.
    pub fn phase(&self) -> Phase {
        Phase::of(self.state.load(SeqCst))
    }

    /// How long it is open yet (milliseconds), if it is.
    pub fn left(&self, now: u64) -> Option<u64> {
        (self.phase() == Phase::Open).then(|| self.until.load(SeqCst).saturating_sub(now))
    }

    /// How often it was opened.
    pub fn opened(&self) -> u64 {
        self.counts.0.load(Relaxed)
    }

    /// How many requests were refused.
    pub fn refused(&self) -> u64 {
        self.counts.1.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Whether the request shall still be sent, after it has waited, or sent again.
    pub(crate) fn holds(&self) -> bool {
        let state = self.breaker.state.load(SeqCst);
        state == self.state || matches!(Phase::of(state), Phase::Closed | Phase::HeldClosed)
    }

    /// Tells what became of the request. A line for the log if that changes anything.
    pub(crate) fn tell(
        mut self,
        settings: &config::Breaker,
        verdict: Verdict,
        now: (u64, u64),
    ) -> Option<String> {
        self.told = true;
        // What began before the last change says nothing about now.
        if self.breaker.state.load(SeqCst) != self.state {
            return None;
        }
        match Phase::of(self.state) {
            Phase::Closed => self.breaker.count(settings, verdict, now),
            Phase::HalfOpen => {
                self.breaker.tried(settings, (self.state, verdict.failed || verdict.slow), now)
            }
            _ => None,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.told || Phase::of(self.state) != Phase::HalfOpen {
            return;
        }
        let history = self.breaker.lock();
        if self.breaker.state.load(SeqCst) == self.state {
            // Others may have taken its place already.
            let free = self.breaker.free.load(SeqCst) + 1;
            self.breaker.free.store(free.min(history.missing.into()), SeqCst);
        }
    }
}

/// Whether a status counts as a failure.
pub(crate) fn is_failure(settings: &config::Breaker, status: u16) -> bool {
    settings.statuses.iter().any(|failed| match failed.0 {
        StatusPattern::Exact(code) => code == status,
        StatusPattern::Class(class) => class == status / 100,
    })
}

/// Why the circuit is to be opened, if it is.
fn why(counts: &Counts, settings: &config::Breaker) -> Option<String> {
    let Counts { requests, failed, slow } = *counts;
    if requests < u64::from(settings.min_requests) {
        return None;
    }
    let passes = |count: u64, share: u32| count > 0 && count * 1_000_000 >= requests * u64::from(share);
    let window = settings.window;
    if passes(failed, settings.failure_rate.millionths()) {
        return Some(format!("{failed} of {requests} requests failed within {window:?}"));
    }
    let limit = settings.slow.filter(|_| passes(slow, settings.slow_rate.millionths()))?;
    Some(format!("{slow} of {requests} requests took longer than {limit:?} within {window:?}"))
}

//! Deadlines that cost nothing to move.
//!
//! A proxy sets a deadline for every wait and nearly none of them passes. A timer per wait would be registered and
//! cancelled several times per request; here a deadline is a number in a table of the thread, and one ticker looks
//! at all of them every [`TICK`]. They pass up to one tick late.

mod cuts;
mod due;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use usher_http::date::DateCache;
use usher_net::shortage::Deed;

use self::cuts::Cuts;
use self::due::Due;

/// The resolution of deadlines.
pub const TICK: Duration = Duration::from_millis(50);
const NEVER: u64 = u64::MAX;
/// The time of a deadline that was made to pass. No clock says it.
const CUT: u64 = 0;

#[derive(Default)]
struct Slot {
    at: u64,
    waker: Option<Waker>,
    wait: Wait,
}

/// Whom a deadline waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Somebody else than a client.
    #[default]
    Other,
    /// A client that has asked for nothing, since then (milliseconds).
    Idle(u64),
    /// A client that is to send its request or to take its response: since when (milliseconds), and how much it has moved
    /// meanwhile (bytes).
    Client(u64, u64),
}

/// How fast a client is that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    since: u64,
    moved: u64,
}

impl Pace {
    /// It has moved so much since (bytes).
    pub(crate) fn moved(self, moved: u64) -> Self {
        Self { moved, ..self }
    }

    /// It has been waited for no longer than so, of what it was until `now`.
    pub(crate) fn since_at_most(self, length: Duration, now: Self) -> Self {
        Self { since: self.since.max(now.since.saturating_sub(length.as_millis() as u64)), ..self }
    }

    pub(crate) fn wait(self) -> Wait {
        Wait::Client(self.since, self.moved)
    }

    /// It has asked for nothing since.
    pub(crate) fn idle(self) -> Wait {
        Wait::Idle(self.since)
    }
}

/// The deadlines and the coarse clock of one thread.
pub struct Deadlines {
    begin: Instant,
    now: Cell<u64>,
    unix_seconds: Cell<u64>,
    date: RefCell<DateCache>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    /// Whose time is up.
    passed: Due,
    /// Which clients are ended next for want of memory or descriptors: those who are slow, and those who ask for nothing.
    slow: Cuts,
    idle: Cuts,
}

impl Deadlines {
    /// An empty table.
    pub fn new() -> Rc<Self> {
        let this = Self {
            begin: Instant::now(),
            now: Cell::new(0),
            unix_seconds: Cell::new(0),
            date: RefCell::new(DateCache::new()),
            slots: RefCell::default(),
            free: RefCell::default(),
            passed: Due::default(),
            slow: Cuts::new(Deed::EndedSlow),
            idle: Cuts::new(Deed::ClosedIdle),
        };
        this.update_clock();
        Rc::new(this)
    }

    /// Looks at all deadlines every tick, for as long as it is polled.
    pub async fn run(self: Rc<Self>) {
        let ticking = async {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                self.tick();
            }
        };
        tokio::join!(ticking, self.passed.wake(), self.end(&self.slow), self.end(&self.idle));
    }

    /// The Date field's value for now.
    pub fn date(&self) -> [u8; 29] {
        *self.date.borrow_mut().get(self.unix_seconds.get())
    }

    /// The last tick: good enough, and no clock is read.
    pub fn coarse_now(&self) -> Instant {
        self.begin + Duration::from_millis(self.now.get())
    }

    /// Milliseconds since the table was made, as of the last tick.
    pub fn coarse_millis(&self) -> u64 {
        self.now.get()
    }

    /// A new deadline that is not set.
    pub fn register(self: &Rc<Self>) -> Deadline {
        let index = self.free.borrow_mut().pop();
        let mut slots = self.slots.borrow_mut();
        let index = index.unwrap_or_else(|| {
            slots.push(Slot::default());
            (slots.len() - 1) as u32
        });
        slots[index as usize] = Slot { at: NEVER, ..Slot::default() };
        Deadline { table: self.clone(), index }
    }

    /// Wakes every task that waits with a deadline, so that it sees a change of the worker's state.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.slots.borrow_mut().iter_mut().filter_map(|slot| slot.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn update_clock(&self) {
        self.now.set(self.begin.elapsed().as_millis() as u64);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.unix_seconds.set(unix.as_secs());
    }

    fn tick(&self) {
        self.update_clock();
        let now = self.now.get();
        let mut slots = self.slots.borrow_mut();
        self.passed.add(slots.iter_mut().filter(|slot| slot.at <= now).filter_map(|slot| slot.waker.take()));
    }
}

/// One deadline; belongs to one task at a time.
pub struct Deadline {
    table: Rc<Deadlines>,
    index: u32,
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Deadline {
    /// Moves the deadline to `after` from now (from the last tick).
    // Called, not copied into each place that waits: there are many, and code once around is what misses caches.
    #[inline(never)]
    pub fn set(&self, after: Duration) {
        let after = after.as_secs().saturating_mul(1000).saturating_add(u64::from(after.subsec_millis()));
        // One more tick, so that it never passes early.
        let at = self.table.now.get().saturating_add(after).saturating_add(TICK.as_millis() as u64);
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        (slot.at, slot.wait) = (at, Wait::Other);
    }

    /// Says whom it waits for, until it is set again: those who wait for clients are the first that are ended when memory
    /// is short.
    #[inline(never)]
    pub(crate) fn waits(&self, wait: Wait) {
        self.table.slots.borrow_mut()[self.index as usize].wait = wait;
    }

    #[cfg(test)]
    pub(crate) fn waits_for(&self) -> Wait {
        self.table.slots.borrow()[self.index as usize].wait
    }

    /// As [`Deadline::limit`], where it is a client that is waited for, and has been since then. Where the future waits for
    /// somebody else meanwhile, it says so itself.
    pub(crate) async fn limit_client<F: Future>(
        &self,
        after: Duration,
        pace: Pace,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        self.set(after);
        self.waits(pace.wait());
        let limited = self.wait_for(future).await;
        self.waits(Wait::Other);
        limited
    }

    /// A client begins to be waited for.
    pub(crate) fn pace(&self) -> Pace {
        Pace { since: self.table.now.get(), moved: 0 }
    }

    /// Whether it passed before its time, for want of memory or descriptors.
    pub(crate) fn was_cut(&self) -> bool {
        self.table.slots.borrow()[self.index as usize].at == CUT
    }

    /// How long it is until then.
    pub fn left(&self) -> Duration {
        let at = self.table.slots.borrow()[self.index as usize].at;
        // Without the tick that was added to it.
        Duration::from_millis(at.saturating_sub(self.table.now.get())).saturating_sub(TICK)
    }

    /// Ready if the time is up; otherwise the task is woken when it is.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        if slot.at <= self.table.now.get() {
            return Poll::Ready(Elapsed);
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits for `future`, at most `after`.
    pub async fn limit<F: Future>(&self, after: Duration, future: F) -> Result<F::Output, Elapsed> {
        self.set(after);
        self.wait_for(future).await
    }

    /// Waits for `future`, until the time is up that is set.
    async fn wait_for<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll(cx).map(Err),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.table.slots.borrow_mut()[self.index as usize] = Slot { at: NEVER, ..Slot::default() };
        self.table.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests;

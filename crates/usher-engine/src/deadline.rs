//! Deadlines that cost nothing to move.
//!
//! A proxy sets a deadline for every wait and nearly none of them passes. A timer per wait would be registered and
//! cancelled several times per request; here a deadline is a number in a table of the thread, and one ticker looks
//! at all of them every [`TICK`]. They pass up to one tick late.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use usher_http::date::DateCache;

/// The resolution of deadlines.
pub const TICK: Duration = Duration::from_millis(50);
const NEVER: u64 = u64::MAX;

#[derive(Default)]
struct Slot {
    at: u64,
    waker: Option<Waker>,
}

/// The deadlines and the coarse clock of one thread.
pub struct Deadlines {
    begin: Instant,
    now: Cell<u64>,
    unix_seconds: Cell<u64>,
    date: RefCell<DateCache>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
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
        };
        this.update_clock();
        Rc::new(this)
    }

    /// Looks at all deadlines every tick, for as long as it is polled.
    pub async fn run(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick();
        }
    }

    /// The Date field's value for now.
    pub fn date(&self) -> [u8; 29] {
        *self.date.borrow_mut().get(self.unix_seconds.get())
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
        slots[index as usize] = Slot { at: NEVER, waker: None };
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
        let mut due = Vec::new();
        for slot in self.slots.borrow_mut().iter_mut().filter(|slot| slot.at <= now) {
            due.extend(slot.waker.take());
        }
        // Woken after the borrow ended: a waker may run anything.
        due.into_iter().for_each(Waker::wake);
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
    pub fn set(&self, after: Duration) {
        // One more tick, so that it never passes early.
        let at = self.table.now.get() + (after + TICK).as_millis() as u64;
        self.table.slots.borrow_mut()[self.index as usize].at = at;
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
        self.table.slots.borrow_mut()[self.index as usize] = Slot { at: NEVER, waker: None };
        self.table.free.borrow_mut().push(self.index);
    }
}

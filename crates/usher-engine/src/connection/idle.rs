//! Idle connections: those that wait for their next request and hold nothing but their socket.
//!
//! A task per connection that waits would cost a kilobyte each, with what the runtime keeps to watch its socket. At
//! rest a connection is a row of a table, its task has ended, and one watcher waits for all of them. When its client
//! speaks again, it gets a task again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior};
use usher_net::shortage::{self, Deed, Level};
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport, Watch};
use usher_wire::turns::{Crowd, GOING, WAKING};

use super::{DRAIN_GRACE, Guest, IdleConnection, attend};
use crate::worker::Worker;

/// How often it is looked whose time is up. It passes up to this late.
const LOOK: Duration = Duration::from_millis(100);

/// While the process is short of memory or descriptors: the part of those at rest that is closed at each look, and how
/// long a rest must be for that.
const PART: usize = 10;
const RESTED: Duration = Duration::from_secs(1);

/// So many who are known are woken before others have a turn.
const AT_ONCE: usize = 16;
/// So many are sent away together; and while all of them are to go, or the process needs what they hold.
const TOGETHER: usize = 4;
const MOST_TOGETHER: usize = 16;

/// So many strangers are woken before it is looked whether there still is memory, and how long the next wait if not: each that
/// is woken takes some, and of a stranger nobody knows how much.
const WOKEN: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);

/// A connection that cannot rest, given back.
type Back<D, T> = Box<(Guest<D>, Secured<T>)>;

/// The connections at rest of one thread.
pub struct IdleConnections<D: Dialer, T> {
    worker: Rc<Worker<D>>,
    watch: RefCell<Watch>,
    rows: RefCell<Rows<IdleConnection<D, T>>>,
    /// Who has spoken and is woken next, as it has taken a whole response before.
    known: RefCell<VecDeque<usize>>,
    /// The strangers who have spoken: each is woken when it is its turn, and there is memory.
    strangers: RefCell<VecDeque<usize>>,
    somebody_waits: Notify,
    is_closed: Cell<bool>,
    begin: Instant,
}

impl<D: Dialer, T: Transport> IdleConnections<D, T> {
    /// Nobody rests yet. Belongs to the runtime of this thread.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(worker: Rc<Worker<D>>) -> std::io::Result<Rc<Self>> {
        let watch = RefCell::new(Watch::new()?);
        Ok(Rc::new(Self {
            worker,
            watch,
            rows: RefCell::default(),
            known: RefCell::default(),
            strangers: RefCell::default(),
            somebody_waits: Notify::new(),
            is_closed: Cell::new(false),
            begin: Instant::now(),
        }))
    }

    /// Takes a connection, for as long as its patience says; gives it back if it cannot rest.
    pub(super) fn take(&self, guest: Guest<D>, mut stream: Secured<T>) -> Result<(), Back<D, T>> {
        let mut rows = self.rows.borrow_mut();
        let number = rows.next();
        let watched = !self.worker.is_draining()
            && !self.is_closed.get()
            && stream
                .leave_runtime()
                .is_some_and(|descriptor| self.watch.borrow().add(descriptor, number).is_ok());
        if !watched {
            stream.rejoin_runtime();
            return Err(Box::new((guest, stream)));
        }
        let Guest { door, patience, permit, .. } = guest;
        let until = self.now() + patience.as_millis() as u64;
        self.worker.gave_back();
        self.worker.metrics.connections.idle.increment();
        rows.put(number, IdleConnection { stream, door, patience, permit }, until);
        Ok(())
    }

    /// Wakes those who are spoken to and sends those away whose time is up, for as long as it is polled.
    pub async fn run(self: Rc<Self>) {
        let watching = async {
            let mut ready = Vec::new();
            while poll_fn(|cx| self.poll_ready(cx, &mut ready)).await.is_ok() {
                for number in ready.drain(..) {
                    self.rows.borrow_mut().speaks(number);
                    if self.is_known(number) {
                        self.known.borrow_mut().push_back(number);
                    } else {
                        self.strangers.borrow_mut().push_back(number);
                        self.somebody_waits.notify_one();
                    }
                }
                self.wake_known().await;
            }
            // The kernel would not say who is spoken to: then nobody rests, and each waits in a task of its own.
            self.is_closed.set(true);
            let all = 0..self.rows.borrow().rows.len();
            all.for_each(|number| self.wake(number));
        };
        let looking = async {
            let mut crowd = Crowd::default();
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut hurry = false;
            loop {
                looks.tick().await;
                if self.worker.is_draining() && !hurry {
                    hurry = true;
                    self.rows.borrow_mut().hurry(self.now() + DRAIN_GRACE.as_millis() as u64);
                }
                self.end_late(&mut crowd).await;
                if shortage::level() >= Level::Tight {
                    let longest = self.longest();
                    shortage::did(Deed::ClosedIdle, longest.len() as u64);
                    self.end(longest, &mut crowd).await;
                }
                self.rows.borrow_mut().give_back();
            }
        };
        let pacing = async {
            let mut crowd = Crowd::default();
            loop {
                if self.strangers.borrow().is_empty() {
                    self.somebody_waits.notified().await;
                }
                self.wake_strangers(&mut crowd).await;
                if shortage::is_full() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        tokio::join!(watching, looking, pacing);
    }

    /// Whether the client of a row has taken a whole response before.
    fn is_known(&self, number: usize) -> bool {
        let rows = self.rows.borrow();
        rows.rows.get(number).is_some_and(|row| row.as_ref().is_some_and(|row| row.door.is_known))
    }

    /// Wakes those who have spoken and are known. They wait for no turn, but for the runtime.
    async fn wake_known(self: &Rc<Self>) {
        loop {
            for _ in 0..AT_ONCE {
                let Some(number) = self.known.borrow_mut().pop_front() else { return };
                self.wake(number);
            }
            yield_now().await;
        }
    }

    /// Wakes some of the strangers who have spoken.
    async fn wake_strangers(self: &Rc<Self>, crowd: &mut Crowd) {
        for _ in 0..WOKEN {
            if self.strangers.borrow().is_empty() {
                return;
            }
            crowd.one_more(WAKING).await;
            let Some(number) = self.strangers.borrow_mut().pop_front() else { return };
            self.wake(number);
        }
    }

    /// Sends those away whose time is up.
    async fn end_late(&self, crowd: &mut Crowd) {
        let late = self.rows.borrow().late(self.now());
        self.end(late, crowd).await;
    }

    /// Those who have rested longest: some of all, while the process is short of memory or descriptors; and until when they
    /// would have rested, by which they are known again.
    fn longest(&self) -> Vec<(usize, u64)> {
        let since =
            |row: &IdleConnection<D, T>, until: u64| until.saturating_sub(row.patience.as_millis() as u64);
        let latest = self.now().saturating_sub(RESTED.as_millis() as u64);
        self.rows.borrow().longest(since, latest)
    }

    /// Sends these away, if they still rest, some at a time.
    async fn end(&self, numbers: Vec<(usize, u64)>, crowd: &mut Crowd) {
        let mut numbers = numbers.into_iter().peekable();
        while numbers.peek().is_some() {
            let is_draining = self.worker.is_draining();
            if is_draining {
                // Nobody new comes, who would have to wait.
                yield_now().await;
            } else {
                crowd.one_more(GOING * TOGETHER as u64).await;
            }
            let in_a_hurry = is_draining || shortage::level() >= Level::Tight;
            let some = numbers.by_ref().take(if in_a_hurry { MOST_TOGETHER } else { TOGETHER });
            some.for_each(|(number, until)| self.end_one(number, until));
        }
    }

    fn end_one(&self, number: usize, until: u64) {
        let taken = self.rows.borrow_mut().take_if(number, until);
        // Out of the borrow: the end of a connection may do anything.
        let Some(mut connection) = taken else { return };
        self.worker.metrics.connections.idle.decrement();
        connection.stream.announce_end();
    }

    fn poll_ready(&self, cx: &mut Context<'_>, ready: &mut Vec<usize>) -> Poll<std::io::Result<()>> {
        self.watch.borrow_mut().poll_ready(cx, ready)
    }

    fn wake(self: &Rc<Self>, number: usize) {
        let Some((mut connection, until)) = self.rows.borrow_mut().take(number) else { return };
        // What woke it is not a request yet, and gives no more time for one.
        connection.patience = Duration::from_millis(until.saturating_sub(self.now()));
        self.worker.metrics.connections.idle.decrement();
        if let Some(descriptor) = connection.stream.leave_runtime() {
            let _ = self.watch.borrow().remove(descriptor);
        }
        tokio::task::spawn_local(attend(self.worker.clone(), connection, Some(self.clone())));
    }

    /// Milliseconds since the table was made.
    fn now(&self) -> u64 {
        self.begin.elapsed().as_millis() as u64
    }
}

/// Whom the table holds, and until when (milliseconds); the times apart, as they are looked at often.
struct Rows<R> {
    rows: Vec<Option<R>>,
    until: Vec<u64>,
    free: Vec<usize>,
}

const NEVER: u64 = u64::MAX;
/// Added to the time of those who have spoken: they do not rest, and nobody sends them away.
const SPOKEN: u64 = 1 << 63;

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), until: Vec::new(), free: Vec::new() }
    }
}

impl<R> Rows<R> {
    /// The number that the next row would have.
    fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.rows.len())
    }

    fn put(&mut self, number: usize, row: R, until: u64) {
        self.free.pop();
        if number == self.rows.len() {
            self.rows.push(None);
            self.until.push(NEVER);
        }
        self.rows[number] = Some(row);
        self.until[number] = until;
    }

    /// A row has spoken.
    fn speaks(&mut self, number: usize) {
        if let Some(until) = self.until.get_mut(number) {
            *until |= SPOKEN;
        }
    }

    /// A row, and until when it would have rested.
    fn take(&mut self, number: usize) -> Option<(R, u64)> {
        let row = self.rows.get_mut(number)?.take()?;
        let until = std::mem::replace(&mut self.until[number], NEVER) & !SPOKEN;
        self.free.push(number);
        Some((row, until))
    }

    /// Gives the table's memory back when nobody is in it.
    fn give_back(&mut self) {
        if !self.rows.is_empty() && self.free.len() == self.rows.len() {
            *self = Self::default();
        }
    }

    fn hurry(&mut self, until: u64) {
        let rows = self.until.iter_mut().filter(|at| **at < SPOKEN);
        rows.for_each(|at| *at = until.min(*at));
    }

    /// A row, if it is the one that would have rested until then, and still does.
    fn take_if(&mut self, number: usize, until: u64) -> Option<R> {
        if self.until.get(number) != Some(&until) {
            return None;
        }
        self.take(number).map(|(row, _)| row)
    }

    /// One in [`PART`] of those who rest, the longest first, of those whose rest began before `latest`.
    fn longest(&self, since: impl Fn(&R, u64) -> u64, latest: u64) -> Vec<(usize, u64)> {
        let rows = self.rows.iter().zip(&self.until).enumerate();
        let mut rested: Vec<(u64, usize, u64)> = rows
            .filter_map(|(number, (row, until))| Some((since(row.as_ref()?, *until), number, *until)))
            .filter(|(since, _, until)| *since <= latest && *until < SPOKEN)
            .collect();
        let most = rested.len().div_ceil(PART);
        rested.sort_unstable();
        rested.into_iter().take(most).map(|(_, number, until)| (number, until)).collect()
    }

    /// Those whose time is up.
    fn late(&self, now: u64) -> Vec<(usize, u64)> {
        let all = self.until.iter().copied().enumerate();
        all.filter(|(_, until)| *until <= now).collect()
    }
}

#[cfg(test)]
mod tests;

//! Those whose time is up, and how they are woken: clients a part at a time, others in a row.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use usher_net::shortage::{self, Level};

/// Many clients whose time is up at once are ended a part at a time, and others go on undisturbed between: while a hundred end
/// in a row, whoever behaves waits for some of them at each of its steps. Longer rests or smaller parts held more memory.
pub(super) const PARTS: usize = 16;
/// The shortest that the runtime can wait.
pub(super) const REST: Duration = Duration::from_millis(1);
/// A pass of the loop that ends a client is long if it takes more: it is the last one before a rest.
pub(super) const LONG: Duration = Duration::from_micros(300);

/// Those whose time is up.
#[derive(Default)]
pub(super) struct Due {
    wakers: RefCell<VecDeque<Waker>>,
    somebody: Notify,
}

impl Due {
    /// The time of these tasks is up.
    pub(super) fn add(&self, wakers: impl IntoIterator<Item = Waker>) {
        let mut all = self.wakers.borrow_mut();
        all.extend(wakers);
        if !all.is_empty() {
            self.somebody.notify_one();
        }
    }

    /// Wakes clients for as long as it is polled: most of them end, and the kernel may take a millisecond to close a connection
    /// with megabytes on their way. While memory is so short that nobody is served anyway, there are no rests.
    pub(super) async fn end(&self) {
        loop {
            if self.wakers.borrow().is_empty() {
                self.somebody.notified().await;
            }
            self.end_some().await;
            if shortage::memory() < Level::Spent {
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Wakes a part of them, each in a pass of the loop of its own.
    async fn end_some(&self) {
        let part = self.wakers.borrow().len().div_ceil(PARTS);
        for _ in 0..part {
            let begun = std::time::Instant::now();
            if !self.wake_one() {
                return;
            }
            tokio::task::yield_now().await;
            if begun.elapsed() > LONG {
                return;
            }
        }
    }

    /// Wakes all of them, one in each pass of the loop, for as long as it is polled.
    pub(super) async fn go_on(&self) {
        loop {
            if self.wake_one() {
                tokio::task::yield_now().await;
            } else {
                self.somebody.notified().await;
            }
        }
    }

    /// How many wait to be woken.
    pub(super) fn len(&self) -> usize {
        self.wakers.borrow().len()
    }

    /// Wakes one of them; false if there are no more.
    pub(super) fn wake_one(&self) -> bool {
        let Some(waker) = self.wakers.borrow_mut().pop_front() else { return false };
        // Out of the borrow: a waker may run anything.
        waker.wake();
        true
    }
}

//! Those whose time is up, and how they are woken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Waker;

use tokio::sync::Notify;
use usher_net::shortage::{self, Level};

use super::cuts::{LONG, REST};

/// Tasks that are to be woken.
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

    /// Wakes them for as long as it is polled, one in each pass of the loop: some end, and the kernel may take a millisecond to
    /// close a connection with megabytes on their way. After such a one others go on undisturbed for a moment.
    pub(super) async fn wake(&self) {
        loop {
            let begun = std::time::Instant::now();
            if !self.wake_one() {
                self.somebody.notified().await;
                continue;
            }
            tokio::task::yield_now().await;
            if begun.elapsed() > LONG && shortage::memory() < Level::Spent {
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Wakes one of them; false if there are no more.
    pub(super) fn wake_one(&self) -> bool {
        let Some(waker) = self.wakers.borrow_mut().pop_front() else { return false };
        // Out of the borrow: a waker may run anything.
        waker.wake();
        true
    }
}

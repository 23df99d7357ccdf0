//! Connections that read nothing for a while, because the process has no memory for what would come.

use std::cell::RefCell;
use std::task::Waker;

use crate::turns::{Crowd, LOOKING, WAKING};

thread_local! {
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Wakes `waker` when it is to be looked again; who waits polls [`usher_net::shortage::is_full`] then.
///
/// One entry for each poll that found no room: there are no more of those than connections, and as many again each time
/// somebody wakes them for another reason, so the list is bounded by what happens between two looks.
pub(crate) fn wait(waker: &Waker) {
    WAITING.with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        // The task that was polled last is often the one that is polled again.
        if !waiting.last().is_some_and(|last| last.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    });
}

/// Wakes all of this thread who wait, one after the other. To be called again and again while there may be some. While there is
/// no memory, which `is_full` says, they only look: that they do keeps none here that has ended, or waits for something else.
pub async fn look_again(crowd: &mut Crowd, is_full: impl Fn() -> bool) {
    for waker in WAITING.with(RefCell::take) {
        crowd.one_more(if is_full() { LOOKING } else { WAKING }).await;
        // Out of the borrow: a waker may run anything.
        waker.wake();
    }
}

#[cfg(test)]
mod tests;

//! Connections that read nothing for a while, because the process has no memory for what would come.

use std::cell::RefCell;
use std::task::Waker;

use crate::turns::{Crowd, WAKING};

thread_local! {
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Wakes `waker` when [`usher_net::shortage::is_full`] has ended; who waits asks it again then.
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

/// Wakes those of this thread who wait, one after the other, for as long as there is memory, which `is_full` says. To be called
/// again and again while there may be some.
pub async fn look_again(crowd: &mut Crowd, is_full: impl Fn() -> bool) {
    if is_full() {
        return;
    }
    let mut waiting = WAITING.with(RefCell::take).into_iter();
    while let Some(waker) = waiting.next() {
        crowd.one_more(WAKING).await;
        // Out of the borrow: a waker may run anything.
        waker.wake();
        if is_full() {
            // Those who wait longest are the first again.
            WAITING.with(|later| drop(later.borrow_mut().splice(..0, waiting)));
            return;
        }
    }
}

#[cfg(test)]
mod tests;

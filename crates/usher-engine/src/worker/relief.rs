//! What a worker does while the process is short of memory or descriptors: it gives back what nobody needs at once, and
//! ends those who are slowest.
//!
//! The levels, and what else follows from them: [`usher_net::shortage`].

use std::time::Duration;

use tokio::task::yield_now;
use usher_net::Dialer;
use usher_net::shortage::{self, Level};
use usher_wire::turns::Crowd;

use super::Worker;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// Of connections at rest, so many are closed at each look while there is little room (thousandths).
const IDLE_AT_ONCE: u32 = 100;
/// Whoever has been waited for less than so long is not slow; and while nothing is left.
const SLOW: Duration = Duration::from_millis(500);
const AT_ONCE: Duration = Duration::from_millis(100);
/// Of the slowest clients, so many more are ended than would be enough if all held the same.
const MORE: u32 = 2;

impl<D: Dialer> Worker<D> {
    /// Does so for as long as it is polled.
    pub(super) async fn relieve(&self) {
        let waking = async {
            let mut crowd = Crowd::default();
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                usher_wire::pressure::look_again(&mut crowd, shortage::is_full).await;
            }
        };
        tokio::join!(waking, self.end_some());
    }

    async fn end_some(&self) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let level = shortage::level();
            // Each in a pass of the loop of its own: together they take half a millisecond with thousands of clients.
            if level >= Level::Tight {
                self.give_back();
                yield_now().await;
                self.deadlines.cut_idle(IDLE_AT_ONCE);
            }
            if level >= Level::Full {
                yield_now().await;
                let after = if level >= Level::Spent { AT_ONCE } else { SLOW };
                self.deadlines.cut_slowest(shortage::excess().saturating_mul(MORE), after);
            }
        }
    }

    /// Gives back what is kept for the next requests.
    fn give_back(&self) {
        usher_wire::buffer::free_spare_buffers();
        let kept = std::mem::take(&mut *self.exchanges.borrow_mut());
        drop(kept);
        usher_net::collect_heap();
    }
}

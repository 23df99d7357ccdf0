//! Clients that are ended before their time, for want of memory or descriptors.
//!
//! Now and then it is chosen who goes until the next choice. They go a part at a time, with rests for others between: while a
//! hundred end in a row, whoever behaves waits for some of them at each of its steps. Who is no longer waited for when its turn
//! comes stays.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use usher_net::shortage::{self, Deed, Level};

use super::{CUT, Deadlines, Wait};

/// A part of those who are left. Smaller parts held more memory.
pub(super) const PARTS: usize = 16;
/// How long others go on undisturbed: the shortest that the runtime can wait. Longer held more memory.
pub(super) const REST: Duration = Duration::from_millis(1);
/// A pass of the loop that ends somebody is long if it takes more: it is the last one before a rest.
pub(super) const LONG: Duration = Duration::from_micros(300);

/// Whoever has been idle for less than so long is not ended for it (milliseconds).
const IDLE_AFTER: u64 = 1000;
/// Nobody is slow who moves more than this (bytes per second).
const FAST: u64 = 64 << 10;

/// Whom it is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom {
    /// Clients that have been waited for so long (milliseconds) and move little: the slowest first.
    Slow(u64),
    /// Those who ask for nothing: the longest first.
    Idle,
}

impl Whom {
    /// Where somebody stands who is waited for like that, the lowest first; of equal ones, who has been waited for longest.
    fn rank(self, wait: Wait, now: u64) -> Option<(u64, u64)> {
        match (self, wait) {
            (Self::Slow(after), Wait::Client(since, moved)) if now.saturating_sub(since) >= after => {
                let rate = moved.saturating_mul(1000) / (now - since).max(1);
                (rate < FAST).then_some((rate, since))
            }
            (Self::Idle, Wait::Idle(since)) if now.saturating_sub(since) >= IDLE_AFTER => {
                Some((since, since))
            }
            _ => None,
        }
    }
}

/// Who is ended next.
pub(super) struct Cuts {
    deed: Deed,
    whom: Cell<Whom>,
    /// Their slots, and since when they were waited for: a slot may be somebody else's by then.
    chosen: RefCell<VecDeque<(usize, u64)>>,
    somebody: Notify,
}

impl Cuts {
    /// Nobody yet.
    pub(super) fn new(deed: Deed) -> Self {
        Self { deed, whom: Cell::new(Whom::Idle), chosen: RefCell::default(), somebody: Notify::new() }
    }
}

impl Deadlines {
    /// Chooses those clients who are slowest, of those that have been waited for so long: as many as `thousandths` of all waits
    /// are, whomever they are for, as others hold memory too; one at least unless that is 0.
    pub(crate) fn cut_slowest(&self, thousandths: u32, after: Duration) {
        let whom = Whom::Slow((after.as_millis() as u64).max(1));
        self.choose(&self.slow, whom, |_, all| share(all, thousandths));
    }

    /// Chooses so many of those who ask for nothing, the longest first; one at least unless that is 0.
    pub(crate) fn cut_idle(&self, thousandths: u32) {
        self.choose(&self.idle, Whom::Idle, |idle, _| share(idle, thousandths));
    }

    /// `wanted` says how many, of those that it is about and of all waits.
    fn choose(&self, cuts: &Cuts, whom: Whom, wanted: impl Fn(usize, usize) -> usize) {
        let now = self.now.get();
        let slots = self.slots.borrow();
        let mut all = 0;
        let waiting = slots.iter().enumerate().filter(|(_, slot)| slot.at != CUT && slot.waker.is_some());
        let mut ranked: Vec<((u64, u64), usize)> = waiting
            .inspect(|_| all += 1)
            .filter_map(|(index, slot)| Some((whom.rank(slot.wait, now)?, index)))
            .collect();
        let wanted = wanted(ranked.len(), all);
        if wanted < ranked.len() {
            ranked.select_nth_unstable(wanted);
            ranked.truncate(wanted);
        }
        // Not all may have gone by the next choice, which takes the place of this one.
        ranked.sort_unstable();
        cuts.whom.set(whom);
        *cuts.chosen.borrow_mut() = ranked.iter().map(|((_, since), index)| (*index, *since)).collect();
        if !ranked.is_empty() {
            cuts.somebody.notify_one();
        }
    }

    /// Ends those who are chosen for as long as it is polled. While memory is so short that nobody is served anyway, there are
    /// no rests.
    pub(super) async fn end(&self, cuts: &Cuts) {
        loop {
            if cuts.chosen.borrow().is_empty() {
                cuts.somebody.notified().await;
            }
            self.end_part(cuts).await;
            if shortage::memory() < Level::Spent {
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Ends a part of them, each in a pass of the loop of its own.
    async fn end_part(&self, cuts: &Cuts) {
        let part = cuts.chosen.borrow().len().div_ceil(PARTS);
        for _ in 0..part {
            let begun = std::time::Instant::now();
            if !self.end_one(cuts) {
                return;
            }
            tokio::task::yield_now().await;
            if begun.elapsed() > LONG {
                return;
            }
        }
    }

    /// Lets the deadline pass of the next one; false if there are no more.
    pub(super) fn end_one(&self, cuts: &Cuts) -> bool {
        let Some(waker) = self.next_cut(cuts) else { return false };
        shortage::did(cuts.deed, 1);
        // Out of the borrow: a waker may run anything.
        waker.wake();
        true
    }

    fn next_cut(&self, cuts: &Cuts) -> Option<Waker> {
        let (now, whom) = (self.now.get(), cuts.whom.get());
        let mut slots = self.slots.borrow_mut();
        let mut chosen = cuts.chosen.borrow_mut();
        loop {
            let (index, since) = chosen.pop_front()?;
            let Some(slot) = slots.get_mut(index).filter(|slot| slot.at != CUT) else { continue };
            let is_the_same = whom.rank(slot.wait, now).is_some_and(|(_, begun)| begun == since);
            if let Some(waker) = slot.waker.take_if(|_| is_the_same) {
                slot.at = CUT;
                return Some(waker);
            }
        }
    }
}

fn share(count: usize, thousandths: u32) -> usize {
    (count * thousandths as usize).div_ceil(1000)
}

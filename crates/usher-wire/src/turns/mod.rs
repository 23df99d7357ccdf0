//! Turns of the flows of a thread: those that move much wait for each other, so that nobody else waits for them.
//!
//! The runtime runs what is ready in order of coming. With thousands of downloads ready at once, a small request would
//! stand behind all of them at each of its steps. So a body that is not small takes part in turns: in each, a few flows
//! move a share each, and between two turns the runtime sees what else has come (deficit round robin, Shreedhar and
//! Varghese 1995, with the event loop itself as one of the flows). TLS handshakes are flows too: each is as much work as a
//! large body's turn.
//!
//! Where nobody tends the turns of a thread ([`tend`]), nobody waits.

mod batch;
mod filling;
#[cfg(test)]
mod tests;

pub use batch::{Batch, is_long};
pub use filling::Filling;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// A body of which so much was moved takes part (bytes).
pub(crate) const SMALL: u64 = 16 << 10;
/// What all flows may move within a turn while none waits for the next (bytes). Some 100 µs of work.
const ALONE: u64 = 512 << 10;
/// How many flows have a turn together where more of them wait, at least and at most, and what each may move then (bytes).
/// More of them where they move little of that, as their clients or endpoints are slow. The share is what one `splice` moves
/// at most: of 64 KiB each, downloads of 10 MiB made eight times the calls and took twice the CPU time.
const FLOWS: usize = 4;
const MOST_FLOWS: usize = 16;
const SHARE: u64 = 256 << 10;

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
}

#[derive(Default)]
struct Turns {
    /// Somebody begins the next turn.
    is_tended: bool,
    /// Bytes that were moved in this turn.
    moved: u64,
    /// Who waits: bodies, and handshakes.
    bodies: Queue,
    handshakes: Queue,
    /// What each of the flows of this turn may move (bytes).
    share: u64,
    /// Who begins the next turn, while nobody needs one.
    tender: Option<Waker>,
}

/// Flows that wait, by number from `first` on; those that have gone are empty.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Option<Waker>>,
    first: u64,
}

impl Queue {
    /// Waits for another turn, by the number that was given before.
    fn wait(&mut self, number: Option<u64>, waker: &Waker) -> u64 {
        let known = number.and_then(|number| self.waiting.get_mut((number - self.first) as usize));
        match (number, known) {
            (Some(number), Some(place)) => {
                if !place.as_ref().is_some_and(|before| before.will_wake(waker)) {
                    *place = Some(waker.clone());
                }
                number
            }
            _ => {
                self.waiting.push_back(Some(waker.clone()));
                self.first + self.waiting.len() as u64 - 1
            }
        }
    }

    /// The next one that waits.
    fn next(&mut self) -> Option<Waker> {
        while let Some(flow) = self.waiting.pop_front() {
            self.first += 1;
            if flow.is_some() {
                return flow;
            }
        }
        None
    }

    /// Nobody waits any more.
    fn end(&mut self) -> VecDeque<Option<Waker>> {
        self.first += self.waiting.len() as u64;
        std::mem::take(&mut self.waiting)
    }
}

impl Turns {
    fn queue(&mut self, kind: Kind) -> &mut Queue {
        match kind {
            Kind::Body => &mut self.bodies,
            Kind::Handshake => &mut self.handshakes,
        }
    }

    fn somebody_waits(&self) -> bool {
        !self.bodies.waiting.is_empty() || !self.handshakes.waiting.is_empty()
    }

    /// Begins a turn of so many: who has it. Bodies and handshakes by turns: neither stands behind the others' queue.
    fn next(&mut self, most: usize) -> [Option<Waker>; MOST_FLOWS] {
        let mut flows = [const { None }; MOST_FLOWS];
        let mut count = 0;
        while count < most {
            let (handshake, body) = (self.handshakes.next(), self.bodies.next());
            if handshake.is_none() && body.is_none() {
                break;
            }
            for flow in [handshake, body].into_iter().flatten() {
                flows[count] = Some(flow);
                count += 1;
            }
        }
        self.moved = 0;
        self.share = if count > 1 { SHARE } else { ALONE };
        flows
    }
}

/// What takes turns.
#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    Body,
    Handshake,
}

/// A flow's place among those that wait.
#[derive(Debug, Default)]
pub struct Turn {
    kind: Kind,
    number: Option<u64>,
}

impl Turn {
    /// That of a TLS handshake, which waits for other handshakes rather than for all bodies.
    pub fn of_handshake() -> Self {
        Self { kind: Kind::Handshake, number: None }
    }

    /// Ready when the flow may move something: at most how much (bytes). Says [`spend`] then.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<u64> {
        TURNS.with(|turns| {
            let turns = &mut *turns.borrow_mut();
            if !turns.is_tended {
                self.number = None;
                return Poll::Ready(ALONE);
            }
            let (moved, share) = (turns.moved, turns.share);
            let queue = turns.queue(self.kind);
            if self.number.take_if(|number| *number < queue.first).is_some() {
                return Poll::Ready(share);
            }
            if self.number.is_none() && queue.waiting.is_empty() && moved < ALONE {
                return Poll::Ready(ALONE - moved);
            }
            self.number = Some(queue.wait(self.number, cx.waker()));
            if let Some(tender) = turns.tender.take() {
                tender.wake();
            }
            Poll::Pending
        })
    }
}

impl Turn {
    /// Whether it is somebody else's turn: what does not move is not to blame for that.
    pub fn is_waiting(&self) -> bool {
        self.number
            .is_some_and(|number| TURNS.with(|turns| number >= turns.borrow_mut().queue(self.kind).first))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        // As the thread ends, its turns may have ended before.
        let gone = TURNS.try_with(|turns| {
            let mut turns = turns.try_borrow_mut().ok()?;
            let queue = turns.queue(self.kind);
            let at = usize::try_from(number.checked_sub(queue.first)?).ok()?;
            queue.waiting.get_mut(at)?.take()
        });
        drop(gone);
    }
}

/// Notes that so much was moved.
pub fn spend(bytes: u64) {
    TURNS.with(|turns| turns.borrow_mut().moved += bytes);
}

/// Begins one turn after the other for the flows of this thread, for as long as it is polled. What `pause` gives is ready
/// when the runtime has looked what else there is to do.
pub async fn tend(pause: impl AsyncFn()) {
    let _tended = Tended::begin();
    let batch = Batch::new(FLOWS, MOST_FLOWS);
    loop {
        poll_fn(|cx| {
            TURNS.with(|turns| {
                let turns = &mut *turns.borrow_mut();
                if turns.somebody_waits() {
                    return Poll::Ready(());
                }
                turns.tender = Some(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
        batch.pause(&pause).await;
        let flows = TURNS.with(|turns| turns.borrow_mut().next(batch.size()));
        // Out of the borrow: a waker may run anything.
        flows.into_iter().flatten().for_each(Waker::wake);
    }
}

/// While it lives, turns are tended.
struct Tended;

impl Tended {
    fn begin() -> Self {
        TURNS.with(|turns| {
            let turns = &mut *turns.borrow_mut();
            (turns.is_tended, turns.moved) = (true, 0);
        });
        Self
    }
}

impl Drop for Tended {
    fn drop(&mut self) {
        // Nobody begins another turn: nobody waits for one.
        let waiting = TURNS.try_with(|turns| {
            let mut turns = turns.borrow_mut();
            turns.is_tended = false;
            turns.tender = None;
            [turns.bodies.end(), turns.handshakes.end()]
        });
        waiting.into_iter().flatten().flatten().flatten().for_each(Waker::wake);
    }
}

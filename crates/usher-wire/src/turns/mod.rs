//! Turns of the flows of a thread: those that move much wait for each other, so that nobody else waits for them.
//!
//! The runtime runs what is ready in order of coming. With thousands of downloads ready at once, a small request would
//! stand behind all of them at each of its steps. So a body that is not small takes part in turns: in each, as many flows
//! as move so much together go on, and between two turns the runtime sees what else has come (round robin with a quantum of
//! bytes, with the event loop itself as one of the flows). So do the other things that take long when many do them at once: TLS
//! handshakes, strangers who ask for something for the first time, and crowds that are woken ([`Crowd`]), each in a queue of
//! its own.
//!
//! Where nobody tends the turns of a thread ([`tend`]), nobody waits.

mod crowd;
mod filling;
#[cfg(test)]
mod tests;

pub(crate) use crowd::LOOKING;
pub use crowd::{COMING, Crowd, GOING, WAKING};
pub use filling::Filling;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// A body of which so much was moved takes part (bytes).
pub(crate) const SMALL: u64 = 16 << 10;
/// What is moved in a turn (bytes): as much as a pass of the loop has time for. A flow may move all of it at once, as many
/// small `splice`s cost far more than a large one: with 64 KiB each, downloads of 10 MiB took twice the CPU time, with 256 KiB
/// uploads of 1 MiB took a fourth more, and with 1 MiB downloads a tenth more.
const TURN: u64 = 3 << 20;
/// What a flow may move whose turn has come when others have moved all of that, or nearly (bytes).
const LEAST: u64 = 128 << 10;
/// What is left of a turn is not worth a system call if it is less (bytes).
pub(crate) const TOO_LITTLE: u64 = 4 << 10;
/// As how many bytes one counts that goes through memory, and perhaps through TLS.
const COPY: u64 = 4;
/// As what share of a byte one counts that goes through a pipe while there is nobody but bodies: with turns of 3 MiB downloads
/// of 10 MiB took a thirtieth more, as each turn looks at the event loop, and polls whoever is ready but has to wait.
const PIPED: (u64, u64) = (3, 8);
/// What the others do, in the same measure: the step of a TLS handshake that signs, and a request on a connection that is new,
/// with a new connection to an endpoint. By time each would be half of that, but who behaves waits for two or three turns
/// in each request, and what is given to crowds is to be less than what downloads may take.
const SIGNING: u64 = TURN / 2;
const STRANGER: u64 = TURN / 4;
/// How many bodies have a turn together where more of them wait, at first and at most: fewer, down to one, where they move all
/// of that, more where they move little, as their clients or endpoints are slow.
const FLOWS: usize = 4;
const MOST_FLOWS: usize = 16;
/// The other kinds, with what one of them does, and how many of all of them have a turn at most.
const OTHERS: [(Kind, u64); 3] =
    [(Kind::Stranger, STRANGER), (Kind::Crowd, crowd::PART), (Kind::Handshake, SIGNING)];
const MOST_OTHERS: usize = (TURN / STRANGER) as usize + OTHERS.len();

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
}

#[derive(Default)]
struct Turns {
    /// Somebody begins the next turn.
    is_tended: bool,
    /// How much of this turn bodies have used, by [`cost`], and how much others, by what could have been moved meanwhile.
    moved: u64,
    worked: u64,
    /// Whether others than bodies waited when it began: bodies come before them.
    others_wait: bool,
    /// Who waits.
    bodies: Queue,
    handshakes: Queue,
    strangers: Queue,
    crowds: Queue,
    /// How many bodies have the next turn at most.
    flows: usize,
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
            Kind::Stranger => &mut self.strangers,
            Kind::Crowd => &mut self.crowds,
        }
    }

    fn somebody_waits(&self) -> bool {
        let queues = [&self.bodies, &self.handshakes, &self.strangers, &self.crowds];
        queues.iter().any(|queue| !queue.waiting.is_empty())
    }

    /// Begins a turn: who has it. None of the queues stands behind another one; the kinds that wait beside bodies share what
    /// is done in a turn.
    fn next(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let half = self.flows / 2;
        self.flows =
            if self.moved >= TURN { half.max(1) } else { (self.flows + half.max(1)).min(MOST_FLOWS) };
        (self.moved, self.worked) = (0, 0);
        let kinds = OTHERS.iter().filter(|(kind, _)| !self.queue(*kind).waiting.is_empty()).count() as u64;
        self.others_wait = kinds > 0;
        let others = OTHERS.map(|(kind, work)| (kind, (TURN / kinds.max(1) / work).max(1) as usize));
        let mut woken = [const { None }; MOST_OTHERS + MOST_FLOWS];
        let mut places = woken.iter_mut();
        // Bodies first, as there would be no room for any of them after the others.
        for (kind, most) in [(Kind::Body, self.flows)].into_iter().chain(others) {
            let queue = self.queue(kind);
            let next = std::iter::from_fn(|| queue.next()).take(most);
            places.by_ref().zip(next).for_each(|(place, waker)| *place = Some(waker));
        }
        woken.into_iter().flatten()
    }

    /// How much a flow may move whose turn it is.
    fn left(&self) -> u64 {
        TURN.saturating_sub(self.moved + self.worked).max(LEAST)
    }

    /// Whether others than bodies have a part in this turn, or had.
    fn has_others(&self) -> bool {
        self.others_wait || self.worked > 0
    }

    fn is_used_up(&self) -> bool {
        self.moved + self.worked >= TURN
    }
}

/// Through what a body goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Copied,
    Piped,
}

/// What takes turns.
#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    Body,
    Handshake,
    Stranger,
    Crowd,
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

    /// That of somebody who asks an endpoint for something for the first time, and waits for others who do.
    pub fn of_stranger() -> Self {
        Self { kind: Kind::Stranger, number: None }
    }

    /// Ready when the flow may move something: at most how much (bytes). Says [`spend`] then.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<u64> {
        TURNS.with(|turns| {
            let turns = &mut *turns.borrow_mut();
            if !turns.is_tended {
                self.number = None;
                return Poll::Ready(TURN);
            }
            let (left, is_used_up) = (turns.left(), turns.is_used_up());
            let queue = turns.queue(self.kind);
            if self.number.take_if(|number| *number < queue.first).is_some() {
                return Poll::Ready(left);
            }
            if self.number.is_none() && queue.waiting.is_empty() && !is_used_up {
                return Poll::Ready(left);
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

/// How much of a turn it is to move so much of a body (bytes).
pub(crate) fn cost(bytes: u64, way: Way) -> u64 {
    match way {
        Way::Copied => bytes * COPY,
        Way::Piped if TURNS.with(|turns| turns.borrow().has_others()) => bytes,
        Way::Piped => (bytes * PIPED.0).div_ceil(PIPED.1),
    }
}

/// How much can be moved through a pipe with so much of a turn (bytes).
pub(crate) fn piped(left: u64) -> u64 {
    let has_others = TURNS.with(|turns| turns.borrow().has_others());
    if has_others { left } else { left.saturating_mul(PIPED.1) / PIPED.0 }
}

/// Notes that so much of a turn was used to move a body.
pub fn spend(bytes: u64) {
    TURNS.with(|turns| turns.borrow_mut().moved += bytes);
}

/// Notes that something else was done, by how much could have been moved meanwhile (bytes).
fn work(bytes: u64) {
    TURNS.with(|turns| turns.borrow_mut().worked += bytes);
}

/// Notes that a TLS handshake goes on whose turn has come.
pub fn sign() {
    work(SIGNING);
}

/// Notes that a stranger asks an endpoint whose turn has come.
pub fn ask() {
    work(STRANGER);
}

/// The runtime has done all that there was to do: what comes now is the first turn of something new.
pub fn rest() {
    TURNS.with(|turns| {
        let turns = &mut *turns.borrow_mut();
        if !turns.somebody_waits() {
            (turns.moved, turns.worked, turns.others_wait) = (0, 0, false);
        }
    });
}

/// Begins one turn after the other for the flows of this thread, for as long as it is polled. What `pause` gives is ready
/// when the runtime has looked what else there is to do.
pub async fn tend(pause: impl AsyncFn()) {
    let _tended = Tended::begin();
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
        pause().await;
        let flows = TURNS.with(|turns| turns.borrow_mut().next());
        // Out of the borrow: a waker may run anything.
        flows.for_each(Waker::wake);
    }
}

/// While it lives, turns are tended.
struct Tended;

impl Tended {
    fn begin() -> Self {
        TURNS.with(|turns| {
            let turns = &mut *turns.borrow_mut();
            (turns.is_tended, turns.flows) = (true, FLOWS);
            (turns.moved, turns.worked) = (0, 0);
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
            [turns.bodies.end(), turns.handshakes.end(), turns.strangers.end(), turns.crowds.end()]
        });
        waiting.into_iter().flatten().flatten().flatten().for_each(Waker::wake);
    }
}

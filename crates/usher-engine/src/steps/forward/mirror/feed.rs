//! A request's body on its way to a copy: a bounded buffer between two tasks of one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use usher_http::Fields;
use usher_wire::WireError;

/// The copy has a turn when this part of the buffer was given.
const TURN: usize = 4;

/// What both sides share.
struct Shared {
    /// Bytes that the copy has not looked at yet.
    bytes: RefCell<Vec<u8>>,
    trailers: RefCell<Option<Box<Fields>>>,
    waker: RefCell<Option<Waker>>,
    state: Cell<State>,
    /// Bytes that the copy has looked at and not taken.
    taking: Cell<usize>,
    /// Bytes that were given since the copy had a turn.
    given: Cell<usize>,
    /// The most that is kept (bytes).
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More may come.
    Open,
    /// That was all.
    Ended,
    /// There will be no end: the request was not completed.
    Broken,
    /// The copy was too slow.
    GivenUp,
    /// The copy wants no more.
    Unwanted,
}

/// The end of the visitor's request: gives, and never waits.
pub(in super::super) struct Tee(Rc<Shared>);

/// The end of the copy.
pub(in super::super) struct Feed {
    shared: Rc<Shared>,
    bytes: Vec<u8>,
    at: usize,
    trailers: Option<Box<Fields>>,
}

/// Both ends of a buffer of so many bytes.
pub(in super::super) fn pair(limit: usize) -> (Tee, Feed) {
    let shared = Rc::new(Shared {
        bytes: RefCell::default(),
        trailers: RefCell::default(),
        waker: RefCell::default(),
        state: Cell::new(State::Open),
        taking: Cell::new(0),
        given: Cell::new(0),
        limit,
    });
    let feed = Feed { shared: shared.clone(), bytes: Vec::new(), at: 0, trailers: None };
    (Tee(shared), feed)
}

impl Shared {
    /// Says how it goes on, and lets the copy know.
    fn becomes(&self, state: State) {
        self.state.set(state);
        if state == State::GivenUp {
            self.bytes.take();
        }
        self.wake();
    }

    fn wake(&self) {
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Tee {
    /// Whether the copy still takes something.
    pub(in super::super) fn is_open(&self) -> bool {
        self.0.state.get() == State::Open
    }

    /// Gives the copy what is sent. One that has too much to take already is given up.
    pub(in super::super) fn give(&self, sent: &[u8]) {
        let shared = &*self.0;
        if !self.is_open() || sent.is_empty() {
            return;
        }
        let waiting = shared.bytes.borrow().len() + shared.taking.get();
        if waiting.saturating_add(sent.len()) > shared.limit {
            shared.becomes(State::GivenUp);
            return;
        }
        shared.bytes.borrow_mut().extend_from_slice(sent);
        shared.given.set(shared.given.get() + sent.len());
        shared.wake();
    }

    /// Whether so much was given at one go that the copy, which runs on the same thread, should have a turn before there is
    /// more: it need not be slow to be late. Answers yes once; nobody waits for what the copy makes of it.
    pub(in super::super) fn is_due(&self) -> bool {
        let is_due = self.is_open() && self.0.given.get() > self.0.limit / TURN;
        if is_due {
            self.0.given.set(0);
        }
        is_due
    }

    /// That was all.
    pub(in super::super) fn end(&self, trailers: Option<&Fields>) {
        if !self.is_open() {
            return;
        }
        if let Some(trailers) = trailers {
            let mut copied = Box::<Fields>::default();
            let all = trailers.iter().all(|field| copied.add(field.name, field.value).is_ok());
            *self.0.trailers.borrow_mut() = all.then_some(copied);
        }
        self.0.becomes(State::Ended);
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if self.is_open() {
            self.0.becomes(State::Broken);
        }
    }
}

impl Feed {
    /// Ready with how much there is to take; 0 at the end.
    pub(in super::super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        if self.at < self.bytes.len() {
            return Poll::Ready(Ok(self.bytes.len() - self.at));
        }
        let shared = &*self.shared;
        self.bytes.clear();
        self.at = 0;
        std::mem::swap(&mut self.bytes, &mut *shared.bytes.borrow_mut());
        shared.taking.set(self.bytes.len());
        shared.given.set(0);
        match shared.state.get() {
            State::GivenUp | State::Unwanted => Poll::Ready(Err(WireError::Truncated)),
            _ if !self.bytes.is_empty() => Poll::Ready(Ok(self.bytes.len())),
            State::Broken => Poll::Ready(Err(WireError::Truncated)),
            State::Ended => {
                let trailers = shared.trailers.take();
                self.trailers = self.trailers.take().or(trailers);
                Poll::Ready(Ok(0))
            }
            State::Open => {
                let before = shared.waker.replace(Some(cx.waker().clone()));
                drop(before);
                Poll::Pending
            }
        }
    }

    pub(in super::super) fn chunk(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(in super::super) fn consume(&mut self, len: usize) {
        self.at = self.bytes.len().min(self.at + len);
        self.shared.taking.set(self.bytes.len() - self.at);
    }

    pub(in super::super) fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_deref()
    }

    /// Whether all was taken.
    pub(in super::super) fn is_done(&self) -> bool {
        let nothing_left = self.at >= self.bytes.len() && self.shared.bytes.borrow().is_empty();
        nothing_left && self.shared.state.get() == State::Ended
    }

    /// Whether the copy was too slow.
    pub(in super::super) fn is_given_up(&self) -> bool {
        self.shared.state.get() == State::GivenUp
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if self.shared.state.get() == State::Open {
            self.shared.becomes(State::Unwanted);
        }
        self.shared.bytes.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(feed: &mut Feed) -> Option<Vec<u8>> {
        let mut cx = Context::from_waker(Waker::noop());
        match feed.poll_fill(&mut cx) {
            Poll::Ready(Ok(_)) => Some(feed.chunk().to_vec()),
            Poll::Ready(Err(_)) => None,
            Poll::Pending => Some(b"pending".to_vec()),
        }
    }

    #[test]
    fn what_is_given_is_taken_in_order() {
        let (tee, mut feed) = pair(10);
        assert_eq!(filled(&mut feed).unwrap(), b"pending");
        tee.give(b"0123456789");
        assert_eq!(filled(&mut feed).unwrap(), b"0123456789");
        feed.consume(6);
        tee.give(b"abcdef");
        assert_eq!(filled(&mut feed).unwrap(), b"6789");
        feed.consume(4);
        assert!(!feed.is_done());
        let mut trailers = Fields::default();
        trailers.add(b"Digest", b"x").unwrap();
        tee.end(Some(&trailers));
        assert_eq!(filled(&mut feed).unwrap(), b"abcdef");
        feed.consume(6);
        assert!(feed.is_done());
        assert_eq!(filled(&mut feed).unwrap(), b"");
        assert_eq!(feed.trailers().unwrap().get_named(b"Digest"), Some(&b"x"[..]));
    }

    #[test]
    fn whoever_is_too_slow_is_given_up() {
        let (tee, mut feed) = pair(10);
        tee.give(b"0123456789");
        assert_eq!(filled(&mut feed).unwrap().len(), 10);
        assert!(tee.is_open());
        tee.give(b"x");
        assert!(!tee.is_open() && feed.is_given_up());
        tee.give(b"more");
        tee.end(None);
        feed.consume(10);
        assert_eq!(filled(&mut feed), None);
        assert!(tee.0.bytes.borrow().is_empty(), "the memory is given back");
    }

    #[test]
    fn what_is_not_completed_is_no_body() {
        let (tee, mut feed) = pair(10);
        tee.give(b"half");
        drop(tee);
        assert_eq!(filled(&mut feed).unwrap(), b"half");
        feed.consume(4);
        assert_eq!(filled(&mut feed), None);
        assert!(!feed.is_given_up() && !feed.is_done());
        let (tee, feed) = pair(10);
        drop(feed);
        assert!(!tee.is_open(), "nobody is there to take it");
        tee.give(b"more");
        assert!(tee.0.bytes.borrow().is_empty());
    }
}

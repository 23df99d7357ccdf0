//! The one task of an endpoint: receives, keeps time, and sends what its connections have to say.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn_proto::{Dir, Event, Side, StreamEvent};
use tokio::time::Sleep;

use super::congestion;
use super::connection::Connection;
use super::error::ConnectionError;
use super::hub::Hub;
use super::state::State;

/// Calls for sending that one connection makes before others have a turn.
const BURSTS: usize = 8;

/// Runs until the endpoint was closed and its last connection has ended.
pub(super) struct Driver {
    hub: Rc<Hub>,
    sleep: Pin<Box<Sleep>>,
    /// When the sleep ends, if it does not matter that it may be earlier than needed.
    armed: Option<Instant>,
}

/// How sending ended.
#[derive(PartialEq, Eq)]
enum Sent {
    All,
    /// There is more; others first.
    Some,
    /// The kernel has no room.
    Blocked,
}

impl Driver {
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub(super) fn new(hub: Rc<Hub>) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(tokio::time::Instant::now()));
        Self { hub, sleep, armed: None }
    }

    /// Makes the task be woken when the next timer is due.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let next = self.hub.timers.borrow().next();
        let Some(next) = next else { return };
        if self.armed.is_none_or(|armed| next < armed) {
            self.armed = Some(next);
            self.sleep.as_mut().reset(tokio::time::Instant::from_std(next));
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.armed = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.hub.begin_turn(cx);
        let now = Instant::now();
        let mut again = this.hub.receive(cx, now);
        this.hub.expire(now);
        if this.hub.poll_unblocked(cx).is_ready() {
            this.hub.drive_marked(now);
            again |= this.hub.has_marked() && this.hub.output.borrow().held.is_none();
            if this.hub.output.borrow().held.is_some() {
                // Registers for the room that was just found to be missing.
                again |= this.hub.poll_unblocked(cx).is_ready();
            }
        }
        this.hub.end_turn();
        if this.hub.is_over() {
            return Poll::Ready(());
        }
        if again {
            cx.waker().wake_by_ref();
        }
        this.arm(cx);
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.hub.end();
    }
}

impl Hub {
    /// Looks at the connections whose time has come.
    fn expire(&self, now: Instant) {
        loop {
            let index = self.timers.borrow_mut().pop(now);
            let Some(index) = index else { return };
            if let Some(state) = self.connection(index) {
                state.timer.clear();
                state.proto.borrow_mut().handle_timeout(now);
                self.mark(&state);
            }
        }
    }

    /// Ready when the kernel takes datagrams, and has taken the one that it once had no room for.
    fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut output = self.output.borrow_mut();
        let socket = self.socket();
        while let Some(held) = &output.held {
            if socket.poll_writable(cx).is_pending() {
                return Poll::Pending;
            }
            if socket.send(held, &output.buffer) {
                output.held = None;
            }
        }
        Poll::Ready(())
    }

    /// Does what is to be done in every marked connection.
    fn drive_marked(&self, now: Instant) {
        let mut marked = self.take_marked();
        let mut later = Vec::new();
        // In the order in which they were marked: where the kernel has no room for all, nobody is left out for long.
        while let Some(state) = marked.pop_front() {
            state.marked.set(false);
            match self.drive(&state, now) {
                Sent::All => {}
                Sent::Some => later.push(state),
                Sent::Blocked => {
                    later.push(state);
                    break;
                }
            }
        }
        self.give_marked(marked);
        later.iter().for_each(|state| self.mark(state));
    }

    fn drive(&self, state: &Rc<State>, now: Instant) -> Sent {
        if state.gone.get() {
            return Sent::All;
        }
        self.check_deadlines(state, now);
        self.exchange_events(state);
        state.tune_windows();
        self.take_events(state);
        let mut sent = self.transmit(state, now);
        // Only now: the last words on streams that are never ended, GOAWAY for one, shall go first.
        if sent == Sent::All && self.end_orphan(state, now) {
            sent = self.transmit(state, now);
        }
        self.exchange_events(state);
        if !state.gone.get() {
            self.set_timer(state);
        }
        sent
    }

    /// Handshakes that take too long, and alarms.
    fn check_deadlines(&self, state: &State, now: Instant) {
        if state.handshake.get().is_some_and(|deadline| deadline <= now) {
            // The peer is told, in case it is only slow.
            state.close_for(ConnectionError::TimedOut, now, (0, b""));
        }
        if state.alarm.get().is_some_and(|at| at <= now) {
            state.alarm.set(None);
            let waker = state.wakers.borrow_mut().alarm.take();
            self.wake_later(waker);
        }
    }

    /// Closes a connection that nobody has a handle of, once all that was written has arrived, or takes too long to.
    /// True if the peer is to be told.
    fn end_orphan(&self, state: &State, now: Instant) -> bool {
        let Some(deadline) = state.orphaned.get() else { return false };
        let is_over = deadline <= now || state.is_delivered();
        if is_over {
            state.close(now, state.drop_code.get(), b"");
        }
        is_over
    }

    /// Between the connection and the endpoint: new connection IDs, and the end.
    fn exchange_events(&self, state: &Rc<State>) {
        loop {
            let event = state.proto.borrow_mut().poll_endpoint_events();
            let Some(event) = event else { return };
            let is_drained = event.is_drained();
            let answer = self.endpoint.borrow_mut().handle_event(state.handle, event);
            if let Some(answer) = answer {
                state.proto.borrow_mut().handle_event(answer);
            }
            if is_drained {
                state.gone.set(true);
                // Why, if that was not told before.
                self.take_events(state);
                state.fail(ConnectionError::TimedOut);
                self.remove(state);
                return;
            }
        }
    }

    /// From the connection to those who wait.
    fn take_events(&self, state: &Rc<State>) {
        loop {
            let event = state.proto.borrow_mut().poll();
            let Some(event) = event else { return };
            match event {
                Event::Connected => self.connected(state),
                Event::ConnectionLost { reason } => state.fail(ConnectionError::of(&reason)),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    if dir == Dir::Bi {
                        // A request before the end of the handshake: early data, which is answered at once.
                        self.arrive(state);
                    }
                    state.wake_accept(dir);
                }
                Event::Stream(StreamEvent::Readable { id }) => state.wake_reader(id),
                Event::Stream(StreamEvent::Writable { id }) => state.wake_writer(id),
                Event::Stream(StreamEvent::Stopped { id, .. }) => {
                    state.wake_writer(id);
                }
                Event::Stream(StreamEvent::Available { dir }) => state.wake_open(dir),
                Event::Stream(StreamEvent::Finished { .. })
                | Event::HandshakeDataReady
                | Event::DatagramReceived
                | Event::DatagramsUnblocked => {}
            }
        }
    }

    fn connected(&self, state: &Rc<State>) {
        let (is_client, early_refused) = {
            let proto = state.proto.borrow();
            (proto.side() == Side::Client, proto.has_0rtt() && !proto.accepted_0rtt())
        };
        if is_client && early_refused {
            state.early_refused.set(true);
            let streams: Vec<_> = {
                let wakers = state.wakers.borrow();
                wakers.readers.keys().chain(wakers.writers.keys()).copied().collect()
            };
            for id in streams {
                state.wake_reader(id);
                state.wake_writer(id);
            }
        }
        // The peer's first limits are known now; no event says so.
        state.wake_open(Dir::Bi);
        state.wake_open(Dir::Uni);
        state.end_handshake();
        self.arrive(state);
    }

    /// Hands a connection to whoever accepts, once.
    fn arrive(&self, state: &Rc<State>) {
        if !state.arrived.replace(true) {
            let connection = Connection::new(Rc::clone(state));
            if self.is_closed() {
                // The drop closes it.
                return;
            }
            self.gate.arrivals.borrow_mut().push_back(connection);
            let waker = self.gate.arrival.take();
            self.wake_later(waker);
        }
    }

    fn transmit(&self, state: &State, now: Instant) -> Sent {
        let socket = self.socket();
        let mut output = self.output.borrow_mut();
        if state.proto.borrow().is_closed() {
            congestion::open(&state.proto.borrow());
        }
        for _ in 0..BURSTS {
            output.buffer.clear();
            let mut proto = state.proto.borrow_mut();
            let segments = socket.segments(usize::from(proto.current_mtu()));
            let Some(transmit) = proto.poll_transmit(now, segments, &mut output.buffer) else {
                return Sent::All;
            };
            if !socket.send(&transmit, &output.buffer) {
                output.held = Some(transmit);
                return Sent::Blocked;
            }
        }
        Sent::Some
    }

    fn set_timer(&self, state: &State) {
        let proto = state.proto.borrow_mut().poll_timeout();
        let earliest = [proto, state.handshake.get(), state.orphaned.get(), state.alarm.get()]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = earliest {
            self.timers.borrow_mut().set(&state.timer, state.handle.0, at);
        }
    }
}

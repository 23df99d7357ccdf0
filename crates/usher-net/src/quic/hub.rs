//! What the connections of one socket share: the socket, the endpoint's state, and the list of what is to be done.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, EcnCodepoint, Endpoint, EndpointConfig, Incoming, ServerConfig, Transmit};
use quinn_udp::RecvMeta;

use super::connection::Connection;
use super::error::ConnectionError;
use super::failed::FailedHandshake;
use super::options::QuicOptions;
use super::socket::Socket;
use super::state::State;
use super::timers::Timers;
use super::{config, route};
use crate::shortage;

/// Batches of datagrams that are received before others have a turn.
const RECEIVES: usize = 8;

/// Failed handshakes that wait for whoever logs them; those beyond are forgotten.
const FAILURES: usize = 256;

/// One socket and all that hangs on it.
pub(super) struct Hub {
    pub(super) socket: RefCell<Rc<Socket>>,
    pub(super) endpoint: RefCell<Endpoint>,
    /// By the endpoint's numbers.
    connections: RefCell<Vec<Option<Rc<State>>>>,
    open: Cell<usize>,
    /// Connections in which something happened.
    marked: RefCell<VecDeque<Rc<State>>>,
    pub(super) timers: RefCell<Timers>,
    pub(super) output: RefCell<Output>,
    /// To be woken at the end of a turn, when nothing is borrowed.
    wakes: RefCell<Vec<Waker>>,
    driver: RefCell<Option<Waker>>,
    /// The driver runs, or will.
    scheduled: Cell<bool>,
    pub(super) gate: Gate,
}

/// Who may come in.
pub(super) struct Gate {
    options: QuicOptions,
    /// What new connections are accepted with; none at a connector.
    usual: RefCell<Option<Arc<ServerConfig>>>,
    /// The same for larger packets, and how large; made when first needed.
    wide: RefCell<Option<(u16, Arc<ServerConfig>)>>,
    /// The same for when memory is short; made when first needed.
    tight: RefCell<Option<Arc<ServerConfig>>>,
    pub(super) handshake_timeout: Duration,
    pub(super) send_window: u64,
    pub(super) receive_window: u32,
    max_handshakes: usize,
    retry_from: usize,
    /// Connections whose handshake is not complete.
    pub(super) handshakes: Cell<usize>,
    pub(super) refuses: Cell<bool>,
    /// Nobody asks for connections any more.
    closed: Cell<bool>,
    pub(super) arrivals: RefCell<VecDeque<Connection>>,
    pub(super) arrival: RefCell<Option<Waker>>,
    /// Handshakes that failed and nobody asked about yet.
    pub(super) failures: RefCell<VecDeque<FailedHandshake>>,
    pub(super) failure: RefCell<Option<Waker>>,
}

impl Gate {
    /// What holds for a client that comes now, if it is not the usual, and how much it may send ahead of what is read.
    fn server_for(&self, client: SocketAddr) -> (Option<Arc<ServerConfig>>, u32) {
        let usual = self.usual.borrow();
        let Some(usual) = usual.as_ref().filter(|_| shortage::is_tight()) else {
            return (self.wide_for(client), self.receive_window);
        };
        let mut tight = self.tight.borrow_mut();
        let config = tight.get_or_insert_with(|| config::tight_server(usual, &self.options));
        (Some(Arc::clone(config)), self.options.tight().connection_window)
    }

    /// What holds for a client to whom larger packets than usual are worth trying; none for others.
    fn wide_for(&self, client: SocketAddr) -> Option<Arc<ServerConfig>> {
        let payload = route::wide(client)?;
        let mut wide = self.wide.borrow_mut();
        if let Some((_, config)) = wide.as_ref().filter(|(made_for, _)| *made_for == payload) {
            return Some(Arc::clone(config));
        }
        let config = config::wide_server(self.usual.borrow().as_ref()?, &self.options, payload);
        *wide = Some((payload, Arc::clone(&config)));
        Some(config)
    }

    /// Remembers a handshake that failed; the waker is whoever asks for such.
    fn note(&self, failed: FailedHandshake) -> Option<Waker> {
        let mut failures = self.failures.borrow_mut();
        if failures.len() < FAILURES {
            failures.push_back(failed);
        }
        self.failure.take()
    }
}

/// Datagrams on their way out.
#[derive(Default)]
pub(super) struct Output {
    pub(super) buffer: Vec<u8>,
    /// What the kernel had no room for; it is in `buffer`.
    pub(super) held: Option<Transmit>,
}

impl Hub {
    pub(super) fn new(
        socket: Socket,
        config: Arc<EndpointConfig>,
        server: Option<Arc<ServerConfig>>,
        options: &QuicOptions,
    ) -> Rc<Self> {
        let endpoint = Endpoint::new(config, server.clone(), socket.finds_mtu(), None);
        Rc::new(Self {
            socket: RefCell::new(Rc::new(socket)),
            endpoint: RefCell::new(endpoint),
            connections: RefCell::default(),
            open: Cell::new(0),
            marked: RefCell::default(),
            timers: RefCell::default(),
            output: RefCell::default(),
            wakes: RefCell::default(),
            driver: RefCell::new(None),
            scheduled: Cell::new(true),
            gate: Gate {
                options: options.clone(),
                usual: RefCell::new(server),
                wide: RefCell::new(None),
                tight: RefCell::new(None),
                handshake_timeout: options.handshake_timeout,
                send_window: options.send_window,
                receive_window: options.connection_window,
                max_handshakes: options.max_handshakes.max(1),
                retry_from: options.retry_from,
                handshakes: Cell::new(0),
                refuses: Cell::new(false),
                closed: Cell::new(false),
                arrivals: RefCell::default(),
                arrival: RefCell::new(None),
                failures: RefCell::default(),
                failure: RefCell::new(None),
            },
        })
    }

    pub(super) fn socket(&self) -> Rc<Socket> {
        self.socket.borrow().clone()
    }

    /// New connections are accepted with this.
    pub(super) fn set_server(&self, server: Arc<ServerConfig>) {
        *self.gate.usual.borrow_mut() = Some(Arc::clone(&server));
        *self.gate.wide.borrow_mut() = None;
        *self.gate.tight.borrow_mut() = None;
        self.endpoint.borrow_mut().set_server_config(Some(server));
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.borrow().local_address()
    }

    /// Connections that are open, in their handshake or being closed.
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    /// Wants `state` to be looked at by the driver.
    pub(super) fn mark(&self, state: &Rc<State>) {
        if !state.marked.replace(true) {
            self.marked.borrow_mut().push_back(Rc::clone(state));
        }
        self.wake_driver();
    }

    pub(super) fn wake_driver(&self) {
        if !self.scheduled.replace(true)
            && let Some(driver) = &*self.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }

    /// The driver's turn begins.
    pub(super) fn begin_turn(&self, cx: &Context<'_>) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            *driver = Some(cx.waker().clone());
        }
        self.scheduled.set(true);
    }

    /// The driver's turn ends: from now on, marks wake it.
    pub(super) fn end_turn(&self) {
        self.scheduled.set(false);
        let mut wakes = self.wakes.take();
        wakes.drain(..).for_each(Waker::wake);
        *self.wakes.borrow_mut() = wakes;
    }

    pub(super) fn take_marked(&self) -> VecDeque<Rc<State>> {
        self.marked.take()
    }

    /// Gives back what [`take_marked`](Self::take_marked) gave: what is left in it is still marked.
    pub(super) fn give_marked(&self, mut rest: VecDeque<Rc<State>>) {
        let mut marked = self.marked.borrow_mut();
        rest.append(&mut marked);
        *marked = rest;
    }

    pub(super) fn has_marked(&self) -> bool {
        !self.marked.borrow().is_empty()
    }

    pub(super) fn wake_later(&self, waker: Option<Waker>) {
        self.wakes.borrow_mut().extend(waker);
    }

    /// A client's handshake has failed.
    pub(super) fn refuse(&self, failed: FailedHandshake) {
        if !self.is_closed() {
            let waker = self.gate.note(failed);
            self.wake_later(waker);
        }
    }

    pub(super) fn connection(&self, index: usize) -> Option<Rc<State>> {
        self.connections.borrow().get(index).cloned().flatten()
    }

    pub(super) fn insert(&self, state: &Rc<State>) {
        let mut connections = self.connections.borrow_mut();
        let index = state.handle.0;
        if connections.len() <= index {
            connections.resize(index + 1, None);
        }
        if let Some(place) = connections.get_mut(index) {
            *place = Some(Rc::clone(state));
        }
        self.open.set(self.open.get() + 1);
    }

    pub(super) fn remove(&self, state: &State) {
        let index = state.handle.0;
        let old = self.connections.borrow_mut().get_mut(index).and_then(Option::take);
        if old.is_some() {
            self.open.set(self.open.get().saturating_sub(1));
        }
        self.timers.borrow_mut().remove(&state.timer, index);
    }

    /// Every connection.
    pub(super) fn all(&self) -> Vec<Rc<State>> {
        self.connections.borrow().iter().flatten().cloned().collect()
    }

    /// No more connections are asked for: the driver ends with the last one.
    pub(super) fn close(&self) {
        self.gate.closed.set(true);
        self.gate.refuses.set(true);
        drop(self.gate.arrivals.take());
        self.wake_driver();
    }

    /// Whether there is nothing left to do, for ever.
    pub(super) fn is_over(&self) -> bool {
        self.gate.closed.get() && self.open.get() == 0
    }

    /// The thread ends, or the driver was dropped: nothing will ever happen again.
    pub(super) fn end(&self) {
        self.gate.closed.set(true);
        for state in self.all() {
            state.fail(ConnectionError::Ended);
            self.remove(&state);
        }
        self.take_marked();
        drop(self.gate.arrivals.take());
        let (arrival, failure) = (self.gate.arrival.take(), self.gate.failure.take());
        self.wake_later(arrival);
        self.wake_later(failure);
        self.end_turn();
    }

    /// Whether the driver is gone, or nobody asks.
    pub(super) fn is_closed(&self) -> bool {
        self.gate.closed.get()
    }

    /// Takes what the kernel has received, a bounded number of datagrams; true if there may be more.
    pub(super) fn receive(self: &Rc<Self>, cx: &mut Context<'_>, now: Instant) -> bool {
        let socket = self.socket();
        let mut response = Vec::new();
        for _ in 0..RECEIVES {
            let received =
                socket.poll_receive(cx, |meta, bytes| self.datagram(now, meta, bytes, &mut response));
            match received {
                Poll::Pending => return false,
                // An error of one datagram (ICMP, out of memory): others may follow.
                Poll::Ready(_) => {}
            }
        }
        true
    }

    fn datagram(self: &Rc<Self>, now: Instant, meta: &RecvMeta, bytes: &[u8], response: &mut Vec<u8>) {
        response.clear();
        let ecn = meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8));
        // A buffer of its own for each: what a stream holds of one must not keep the whole train in memory.
        let bytes = BytesMut::from(bytes);
        let event = self.endpoint.borrow_mut().handle(now, meta.addr, meta.dst_ip, ecn, bytes, response);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(state) = self.connection(handle.0) {
                    state.proto.borrow_mut().handle_event(event);
                    self.mark(&state);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming, now, response),
            Some(DatagramEvent::Response(transmit)) => self.respond(&transmit, response),
            None => {}
        }
    }

    /// Decides on a new connection: refused, asked to prove its address, or let in.
    fn admit(self: &Rc<Self>, incoming: Incoming, now: Instant, response: &mut Vec<u8>) {
        let gate = &self.gate;
        let in_flight = gate.handshakes.get() + gate.arrivals.borrow().len();
        let transmit = if gate.refuses.get() || in_flight >= gate.max_handshakes {
            Some(self.endpoint.borrow_mut().refuse(incoming, response))
        } else if in_flight >= gate.retry_from && !incoming.remote_address_validated() && incoming.may_retry()
        {
            // The error is that of a second retry, which was just excluded.
            self.endpoint.borrow_mut().retry(incoming, response).ok()
        } else {
            let (server, window) = gate.server_for(incoming.remote_address());
            let accepted = self.endpoint.borrow_mut().accept(incoming, now, response, server);
            match accepted {
                Ok((handle, proto)) => {
                    let state = State::new(self, (handle, proto), window, now);
                    self.insert(&state);
                    self.mark(&state);
                    None
                }
                Err(error) => error.response,
            }
        };
        if let Some(transmit) = transmit {
            self.respond(&transmit, response);
        }
    }

    /// Sends an answer that belongs to no connection; lost if the kernel has no room.
    fn respond(&self, transmit: &Transmit, response: &[u8]) {
        self.socket.borrow().send(transmit, response);
    }
}

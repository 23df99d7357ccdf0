//! A client's connection from its first byte to its last: steps 1 (the PROXY header), 3 (decode) and the rest of 4.
//!
//! While it waits for a request it holds no buffer and no exchange, so that ten thousand idle connections cost little.
//! While requests come one after another it keeps both, as long as few enough others do (`LINGERING`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Client, Exchange, Reply};
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::trust::ClientText;
use usher_net::{Dialer, Transport};
use usher_wire::{Connection, Sink, Source, WireError};

use crate::deadline::Deadline;
use crate::path::{self, Answer, End, Visit};
use crate::snapshot::ListenerSpec;
use crate::steps::{record, reply};
use crate::worker::{Permit, Worker};

mod proxy;
mod rest;

pub use rest::Rest;

/// How long a connection that has just served a request keeps its memory for the next.
const LINGER: Duration = Duration::from_millis(100);
/// While the worker drains: how long a connection without a request is kept for one that is on its way.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// After a refusal: how long the client has to read it, and how much more of what it sends is thrown away (bytes).
const LAST_WORDS: Duration = Duration::from_secs(2);
const LAST_WORDS_BYTES: usize = 256 << 10;

/// Where a connection came in.
#[derive(Clone)]
pub struct Door {
    /// The listener.
    pub listener: Arc<ListenerSpec>,
    /// Its number.
    pub index: u32,
    /// The client's end; none on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// Our end; none on Unix sockets.
    pub local: Option<SocketAddr>,
    /// Nothing was read yet: a PROXY header may be the first.
    pub is_fresh: bool,
}

/// A connection with no request under way: all that is kept of it while it rests, as there may be very many.
pub(crate) struct Caller<D: Dialer, T> {
    stream: T,
    door: Door,
    /// How long it is waited for the next request: less for the first.
    patience: Duration,
    /// Its place within the limits.
    permit: Option<Permit<D>>,
}

impl<D: Dialer, T> Caller<D, T> {
    pub(crate) fn new(stream: T, door: Door, permit: Option<Permit<D>>) -> Self {
        let patience = door.listener.timeouts.head;
        Self { stream, door, patience, permit }
    }
}

/// A caller that is attended to, without the stream.
struct Guest<D: Dialer> {
    worker: Rc<Worker<D>>,
    door: Door,
    deadline: Deadline,
    patience: Duration,
    permit: Option<Permit<D>>,
}

/// A connection that serves requests, one after another.
struct Service<'a, D: Dialer, T> {
    guest: &'a mut Guest<D>,
    connection: Connection<T>,
    text: ClientText,
    scratch: Scratch,
}

/// What to do when no request is at hand.
enum Next {
    /// Wait for one.
    Idle,
    /// Close; unread bytes of the client may be on their way.
    Close { politely: bool },
    /// Reset.
    Abort,
}

/// Serves a client's connection to its end.
pub async fn serve<D: Dialer, T: Transport>(worker: Rc<Worker<D>>, stream: T, door: Door) {
    attend(worker, Caller::new(stream, door, None), None).await;
}

/// Serves a connection to its end, or until it rests.
pub(crate) async fn attend<D: Dialer, T: Transport>(
    worker: Rc<Worker<D>>,
    caller: Caller<D, T>,
    rest: Option<Rc<Rest<D, T>>>,
) {
    let deadline = worker.deadlines.register();
    let Caller { mut stream, door, patience, permit } = caller;
    let mut guest = Guest { worker, door, deadline, patience, permit };
    let mut ahead = Vec::new();
    if guest.door.is_fresh && guest.door.listener.proxy_protocol.is_some() {
        // Boxed, like serving: what is rare shall not make every waiting connection larger.
        match Box::pin(guest.read_proxy_header(stream)).await {
            Some(read) => (stream, ahead) = read,
            None => return,
        }
    }
    guest.door.is_fresh = false;
    loop {
        if ahead.is_empty() && !guest.wait(&mut stream).await {
            return;
        }
        match Box::pin(guest.serve_requests(stream, std::mem::take(&mut ahead))).await {
            Some(waiting) => stream = waiting,
            None => return,
        }
        if let Some(rest) = &rest {
            match rest.take(guest, stream) {
                Ok(()) => return,
                Err(back) => (guest, stream) = *back,
            }
        }
    }
}

impl<D: Dialer> Guest<D> {
    /// Reads the PROXY header, if the peer may send one; gives the bytes read behind it.
    async fn read_proxy_header<T: Transport>(&mut self, mut stream: T) -> Option<(T, Vec<u8>)> {
        let listener = self.door.listener.clone();
        let rule = listener.proxy_protocol.as_ref()?;
        let peer = self.door.peer.map(|peer| peer.ip());
        let mut ahead = Vec::new();
        let reading = proxy::read(&mut stream, rule, peer, &mut ahead);
        match self.deadline.limit(listener.timeouts.head, reading).await {
            Ok(Ok(Some((source, destination)))) => {
                (self.door.peer, self.door.local) = (Some(source), Some(destination));
                if let Some(permit) = &mut self.permit
                    && permit.name_client(source.ip(), &listener).is_err()
                {
                    self.worker.metrics.connections.refused(usher_api::metrics::Refusal::ClientLimit);
                    return None;
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(())) | Err(_) => {
                self.worker.metrics.connections.refused(usher_api::metrics::Refusal::ProxyProtocol);
                return None;
            }
        }
        Some((stream, ahead))
    }

    /// Waits until something arrives; false if the connection is to be closed.
    async fn wait<T: Transport>(&self, stream: &mut T) -> bool {
        self.deadline.set(self.patience);
        let mut leaving = false;
        poll_fn(|cx| {
            if let Poll::Ready(ready) = stream.poll_read_ready(cx) {
                return Poll::Ready(ready.is_ok());
            }
            if self.worker.is_draining() && !leaving {
                leaving = true;
                self.deadline.set(DRAIN_GRACE.min(self.patience));
            }
            self.deadline.poll(cx).map(|_| false)
        })
        .await
    }

    /// Serves requests for as long as they come one after another. Gives the stream back to wait for more; none if
    /// the connection ended.
    async fn serve_requests<T: Transport>(&mut self, stream: T, ahead: Vec<u8>) -> Option<T> {
        let text = ClientText::new(self.door.peer.map(|peer| peer.ip()), self.door.local);
        let connection = Connection::with_input(stream, &ahead);
        let mut service = Service { guest: self, connection, text, scratch: Scratch::default() };
        match service.run().await {
            Next::Idle => Some(service.connection.into_parts().0),
            Next::Close { politely } => {
                if politely {
                    service.last_words().await;
                }
                None
            }
            Next::Abort => {
                service.connection.stream().abort();
                None
            }
        }
    }
}

impl<D: Dialer, T: Transport> Service<'_, D, T> {
    async fn run(&mut self) -> Next {
        let mut exchange = self.guest.worker.take_exchange();
        exchange.client = Client {
            ip: None,
            peer: self.guest.door.peer,
            local: self.guest.door.local,
            trusted: false,
            listener: self.guest.door.listener.name.clone(),
        };
        let next = loop {
            let next = self.serve_one(&mut exchange).await;
            exchange.clear();
            match next {
                None => self.guest.patience = self.guest.door.listener.timeouts.keep_alive,
                // There was nothing yet: a stream that was just accepted is only thought to be readable.
                Some(Next::Idle) => {}
                Some(next) => break next,
            }
            if !self.connection.has_input() && !self.lingers().await {
                break Next::Idle;
            }
        };
        self.guest.worker.give_exchange(exchange);
        next
    }

    /// Waits a moment for the next request; false if none came.
    async fn lingers(&mut self) -> bool {
        if self.guest.worker.is_draining() {
            return false;
        }
        let Some(_place) = self.guest.worker.linger() else { return false };
        let readable = poll_fn(|cx| self.connection.poll_readable(cx));
        self.guest.deadline.limit(LINGER.min(self.guest.patience), readable).await.is_ok()
    }

    /// Serves one request; none if the connection may carry another.
    async fn serve_one(&mut self, exchange: &mut Exchange) -> Option<Next> {
        let mut visit = Asked::default();
        if let Err(wrong) = self.read_head(exchange).await {
            return Some(match wrong {
                Wrong::Nothing => Next::Idle,
                Wrong::Gone => Next::Close { politely: false },
                Wrong::Refused(status, detail) => {
                    exchange.request.clear();
                    exchange.record.detail = detail;
                    self.refuse(exchange, &visit, status).await
                }
            });
        }
        visit.started = Some(Instant::now());
        exchange.request.scheme = "http";
        match sanitize(&mut exchange.request, &mut self.scratch, &mut visit.upgrade) {
            Ok(facts) => visit.facts = facts,
            Err(error) => {
                exchange.record.detail = error.as_str();
                return Some(self.refuse(exchange, &visit, error.status()).await);
            }
        }
        if !visit.facts.upgrade {
            visit.upgrade.clear();
        }
        self.connection.begin_receive(visit.facts.framing);
        self.follow();
        let (visit, connection) = self.visit(&visit);
        let end = path::serve(&visit, exchange, connection).await;
        match end {
            End::KeepAlive => None,
            End::Close => {
                let politely = !self.connection.is_done() || self.connection.has_input();
                Some(Next::Close { politely })
            }
            End::Abort => Some(Next::Abort),
        }
    }

    /// Reads a request head, within the time that clients have for it.
    async fn read_head(&mut self, exchange: &mut Exchange) -> Result<(), Wrong> {
        let limits = self.guest.door.listener.head;
        let patience = self.guest.door.listener.timeouts.head;
        let connection = &mut self.connection;
        let reading = poll_fn(|cx| {
            let read = connection.poll_request(cx, &limits, &mut exchange.request);
            // Where nothing has begun there is nothing to hurry: whoever waits for it holds less memory.
            if read.is_pending() && !connection.has_input() {
                return Poll::Ready(None);
            }
            read.map(Some)
        });
        match self.guest.deadline.limit(patience, reading).await {
            Ok(None) => Err(Wrong::Nothing),
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(WireError::Parse(error)))) => Err(Wrong::Refused(error.status(), error.as_str())),
            Err(_) if self.connection.has_input() => {
                Err(Wrong::Refused(408, "request head not complete in time"))
            }
            // Closed, broken off, or silent: nobody waits for an answer.
            Ok(Some(Err(_))) | Err(_) => Err(Wrong::Gone),
        }
    }

    /// Answers what is not a request, or one with more than one reading. The connection ends: where its next message
    /// would begin is in doubt.
    async fn refuse(&mut self, exchange: &mut Exchange, asked: &Asked, status: u16) -> Next {
        self.follow();
        let (visit, connection) = self.visit(asked);
        visit.worker.metrics.requests.started();
        exchange.client.ip = visit.peer.map(|peer| peer.ip());
        exchange.id = visit.worker.request_id();
        let reason = if status == 408 { "client_idle_timeout" } else { "client_malformed" };
        let answer = Answer::Own(Box::new(Reply::new(status, reason)));
        reply::send(&visit, exchange, connection, answer).await;
        record::finish(&visit, exchange, connection);
        Next::Close { politely: true }
    }

    /// The visit of one request, by the snapshot of now, and the connection that it is answered on.
    fn visit<'a>(&'a mut self, asked: &'a Asked) -> (Visit<'a, D>, &'a mut Connection<T>) {
        let guest = &*self.guest;
        let visit = Visit {
            worker: &guest.worker,
            local: guest.worker.local(),
            listener: &guest.door.listener,
            listener_index: guest.door.index,
            deadline: &guest.deadline,
            client: &self.text,
            peer: guest.door.peer,
            started: asked.started.unwrap_or_else(Instant::now),
            upgrade: &asked.upgrade,
            facts: asked.facts,
        };
        (visit, &mut self.connection)
    }

    /// After a reload: the listener's number and settings may be others now.
    fn follow(&mut self) {
        let local = self.guest.worker.local();
        let door = &mut self.guest.door;
        let listeners = &local.shared.listeners;
        if listeners.get(door.index as usize).is_some_and(|spec| Arc::ptr_eq(spec, &door.listener)) {
            return;
        }
        match listeners.iter().position(|spec| spec.name == door.listener.name) {
            Some(index) => {
                door.index = index as u32;
                door.listener = listeners[index].clone();
            }
            // The listener was removed: routes for all listeners still serve what is open.
            None => door.index = u32::MAX,
        }
    }

    /// Ends a connection on which the client may still be sending: closing at once would reset it, and the reset
    /// could destroy the response before the client has read it (RFC 9112 section 9.6).
    async fn last_words(&mut self) {
        let connection = &mut self.connection;
        let drain = async {
            if poll_fn(|cx| connection.poll_end(cx)).await.is_err() {
                return;
            }
            let mut thrown_away = 0;
            connection.begin_receive(usher_wire::Framing::Close);
            while thrown_away < LAST_WORDS_BYTES {
                match poll_fn(|cx| connection.poll_fill(cx)).await {
                    Ok(len) if len > 0 => {
                        connection.consume(len);
                        thrown_away += len;
                    }
                    _ => return,
                }
            }
        };
        let _ = self.guest.deadline.limit(LAST_WORDS, drain).await;
    }
}

/// What is known of a request beside its head.
#[derive(Default)]
struct Asked {
    upgrade: Vec<u8>,
    facts: Facts,
    started: Option<Instant>,
}

/// Why there is no request to serve.
enum Wrong {
    /// Not a byte of it has come.
    Nothing,
    /// The client is gone or says nothing.
    Gone,
    /// It sent what is answered with this status; the words are for the log.
    Refused(u16, &'static str),
}

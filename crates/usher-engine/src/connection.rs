//! A client's connection from its first byte to its last: steps 1 (the PROXY header), 3 (decode) and the rest of 4.
//!
//! While it waits for a request it holds no buffer and no exchange, so that ten thousand idle connections cost little.
//! While requests come one after another it keeps both.

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
use crate::worker::{Local, Worker};

mod proxy;

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
}

/// What stays the same for all requests of a connection.
struct Guest<D: Dialer> {
    worker: Rc<Worker<D>>,
    door: Door,
    text: ClientText,
    deadline: Deadline,
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
pub async fn serve<D: Dialer, T: Transport>(worker: Rc<Worker<D>>, mut stream: T, mut door: Door) {
    let deadline = worker.deadlines.register();
    let mut ahead = Vec::new();
    if let Some(rule) = &door.listener.proxy_protocol {
        let peer = door.peer.map(|peer| peer.ip());
        match deadline.limit(door.listener.timeouts.head, proxy::read(&mut stream, rule, peer, &mut ahead)).await {
            Ok(Ok(Some((source, destination)))) => (door.peer, door.local) = (Some(source), Some(destination)),
            Ok(Ok(None)) => {}
            Ok(Err(())) | Err(_) => {
                worker.metrics.connections.refused(usher_api::metrics::Refusal::ProxyProtocol);
                return;
            }
        }
    }
    let text = ClientText::new(door.peer.map(|peer| peer.ip()), door.local.map(|local| local.port()));
    let mut connection = Connection::with_input(stream, &ahead);
    drop(ahead);
    let mut guest = Guest { worker, door, text, deadline };
    guest.stay(&mut connection).await;
}

impl<D: Dialer> Guest<D> {
    async fn stay<T: Transport>(&mut self, connection: &mut Connection<T>) {
        let mut patience = self.door.listener.timeouts.head;
        loop {
            connection.release();
            if !self.wait(connection, patience).await {
                return;
            }
            // Boxed, so that the memory of serving is held only while there is something to serve.
            match Box::pin(self.serve_requests(connection)).await {
                Next::Idle => patience = self.door.listener.timeouts.keep_alive,
                Next::Close { politely: false } => return,
                Next::Close { politely: true } => return self.last_words(connection).await,
                Next::Abort => return connection.stream().abort(),
            }
        }
    }

    /// Waits until something arrives; false if the connection is to be closed.
    async fn wait<T: Transport>(&self, connection: &mut Connection<T>, patience: Duration) -> bool {
        self.deadline.set(patience);
        let mut leaving = false;
        poll_fn(|cx| {
            if let Poll::Ready(ready) = connection.poll_readable(cx) {
                return Poll::Ready(ready.is_ok());
            }
            if self.worker.is_draining() && !leaving {
                leaving = true;
                self.deadline.set(DRAIN_GRACE.min(patience));
            }
            self.deadline.poll(cx).map(|_| false)
        })
        .await
    }

    /// Serves requests for as long as they come one after another.
    async fn serve_requests<T: Transport>(&mut self, connection: &mut Connection<T>) -> Next {
        let mut exchange = self.worker.take_exchange();
        exchange.client = Client {
            ip: None,
            peer: self.door.peer,
            local: self.door.local,
            trusted: false,
            listener: self.door.listener.name.clone(),
        };
        let mut scratch = Scratch::default();
        let next = loop {
            let next = self.serve_one(connection, &mut exchange, &mut scratch).await;
            exchange.clear();
            if let Some(next) = next {
                break next;
            }
            if !connection.has_input() && !self.lingers(connection).await {
                break Next::Idle;
            }
        };
        self.worker.give_exchange(exchange);
        next
    }

    /// Waits a moment for the next request; false if none came.
    async fn lingers<T: Transport>(&self, connection: &mut Connection<T>) -> bool {
        if self.worker.is_draining() {
            return false;
        }
        let readable = poll_fn(|cx| connection.poll_readable(cx));
        self.deadline.limit(LINGER.min(self.door.listener.timeouts.keep_alive), readable).await.is_ok()
    }

    /// Serves one request; none if the connection may carry another.
    async fn serve_one<T: Transport>(
        &mut self,
        connection: &mut Connection<T>,
        exchange: &mut Exchange,
        scratch: &mut Scratch,
    ) -> Option<Next> {
        let limits = self.door.listener.head;
        let request = &mut exchange.request;
        let reading = poll_fn(|cx| connection.poll_request(cx, &limits, request));
        let head = self.deadline.limit(self.door.listener.timeouts.head, reading).await;
        let started = Instant::now();
        let mut visit = Asked { upgrade: Vec::new(), facts: Facts::default(), started };
        match head {
            Ok(Ok(())) => {}
            Ok(Err(WireError::Closed)) => return Some(Next::Close { politely: false }),
            Ok(Err(WireError::Io(_) | WireError::Truncated)) => return Some(Next::Close { politely: false }),
            Ok(Err(error)) => {
                exchange.request.clear();
                let status = if let WireError::Parse(error) = &error { error.status() } else { 400 };
                exchange.record.detail = error.as_str();
                return Some(self.refuse(connection, exchange, &visit, status).await);
            }
            Err(_) if !connection.has_input() => return Some(Next::Close { politely: false }),
            Err(_) => {
                exchange.request.clear();
                exchange.record.detail = "request head not complete in time";
                return Some(self.refuse(connection, exchange, &visit, 408).await);
            }
        }
        exchange.request.scheme = "http";
        match sanitize(&mut exchange.request, scratch, &mut visit.upgrade) {
            Ok(facts) => visit.facts = facts,
            Err(error) => {
                exchange.record.detail = error.as_str();
                return Some(self.refuse(connection, exchange, &visit, error.status()).await);
            }
        }
        if !visit.facts.upgrade {
            visit.upgrade.clear();
        }
        connection.begin_receive(visit.facts.framing);
        let end = path::serve(&self.visit(&visit), exchange, connection).await;
        match end {
            End::KeepAlive => None,
            End::Close => Some(Next::Close { politely: !connection.is_done() || connection.has_input() }),
            End::Abort => Some(Next::Abort),
        }
    }

    /// Answers what is not a request, or one with more than one reading. The connection ends: where its next message
    /// would begin is in doubt.
    async fn refuse<T: Transport>(
        &mut self,
        connection: &mut Connection<T>,
        exchange: &mut Exchange,
        asked: &Asked,
        status: u16,
    ) -> Next {
        let visit = self.visit(asked);
        visit.worker.metrics.requests.started();
        exchange.client.ip = visit.peer.map(|peer| peer.ip());
        exchange.id = visit.worker.request_id();
        let reason = if status == 408 { "client_idle_timeout" } else { "client_malformed" };
        let answer = Answer::Own(Box::new(Reply::new(status, reason)));
        reply::send(&visit, exchange, connection, answer).await;
        record::finish(&visit, exchange, connection);
        Next::Close { politely: true }
    }

    /// The visit of one request, by the snapshot of now.
    fn visit<'a>(&'a mut self, asked: &'a Asked) -> Visit<'a, D> {
        let local = self.worker.local();
        self.follow(&local);
        Visit {
            worker: &self.worker,
            local,
            listener: &self.door.listener,
            listener_index: self.door.index,
            deadline: &self.deadline,
            client: &self.text,
            peer: self.door.peer,
            started: asked.started,
            upgrade: &asked.upgrade,
            facts: asked.facts,
        }
    }

    /// After a reload: the listener's number and settings may be others now.
    fn follow(&mut self, local: &Local<D::Stream>) {
        let listeners = &local.shared.listeners;
        if listeners.get(self.door.index as usize).is_some_and(|spec| Arc::ptr_eq(spec, &self.door.listener)) {
            return;
        }
        let name = &self.door.listener.name;
        match listeners.iter().position(|spec| spec.name == *name) {
            Some(index) => {
                self.door.index = index as u32;
                self.door.listener = listeners[index].clone();
            }
            // The listener was removed: routes for all listeners still serve what is open.
            None => self.door.index = u32::MAX,
        }
    }

    /// Ends a connection on which the client may still be sending: closing at once would reset it, and the reset
    /// could destroy the response before the client has read it (RFC 9112 section 9.6).
    async fn last_words<T: Transport>(&self, connection: &mut Connection<T>) {
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
        let _ = self.deadline.limit(LAST_WORDS, drain).await;
    }
}

/// What is known of a request beside its head.
struct Asked {
    upgrade: Vec<u8>,
    facts: Facts,
    started: Instant,
}

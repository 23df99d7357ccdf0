//! Connections that carry many requests at once: HTTP/2 and HTTP/3. One task drives the connection, and each request has
//! a task of its own, on the same thread.
//!
//! - this file: the connection, and each request from its head to its end;
//! - `drivers.rs`: what the two protocols have in common.

mod drivers;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Client, Exchange, Reply};
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::trust::ClientText;
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport, quic, shortage};
use usher_wire::turns::Filling;
use usher_wire::{WireError, h2, h3};

use self::drivers::{Stream, Streams};
use super::service::scheme;
use super::{DRAIN_GRACE, Door, Guest};
use crate::deadline::Deadline;
use crate::path::{self, End, Visit};
use crate::snapshot::ListenerSpec;
use crate::steps::{record, reply};
use crate::worker::{Permit, Worker};

/// How long a client with requests under way may say nothing before it is asked for a sign of life, and how long it may
/// take for one.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(15);

/// After an error: how long the client has to read what is wrong.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of a request's body that are thrown away after the answer, before the client is told to stop.
const LAST_WORDS_BYTES: usize = 1 << 20;

/// Serves a connection of HTTP/3 to its end.
pub(crate) async fn serve_h3<D: Dialer>(
    worker: Rc<Worker<D>>,
    connection: quic::Connection,
    door: Door,
    permit: Permit<D>,
) {
    let limits = h3::Limits { head: door.listener.head, ..h3::Limits::default() };
    let patience = door.listener.timeouts.keep_alive;
    let deadline = worker.deadlines.register();
    let guest = Guest { worker, door, deadline, patience, permit: Some(permit) };
    let over = connection.over();
    let place = Box::pin(serve(guest, h3::Server::new(connection, limits))).await;
    // The last bytes may be on their way, or lost and to be sent again: a process that ends waits for them too.
    over.await;
    drop(place);
}

/// Serves a connection of HTTP/2 to its end.
pub(super) async fn serve_h2<D: Dialer, T: Transport>(guest: Guest<D>, stream: Secured<T>, ahead: &[u8]) {
    let listener = &guest.door.listener;
    let mut limits =
        h2::Limits { max_streams: listener.streams, head: listener.head, ..h2::Limits::default() };
    if shortage::is_tight() {
        limits = limits.tight();
    }
    let server = h2::Server::new(stream, ahead, limits);
    // Boxed: what few connections need shall not make those of HTTP/1 larger.
    Box::pin(serve(guest, server)).await;
}

/// What the requests of a connection have in common.
struct Shared<D: Dialer> {
    worker: Rc<Worker<D>>,
    door: RefCell<Door>,
    text: ClientText,
    /// The connection's place. Requests may outlive it: when its client has gone, they have yet to end and to be recorded.
    _permit: Option<Permit<D>>,
}

/// Serves a connection to its end. As long as what it gives is kept, or one of its requests is under way, whoever drains waits
/// for it.
async fn serve<D: Dialer>(guest: Guest<D>, server: impl Streams) -> Rc<Shared<D>> {
    let Guest { worker, door, deadline, permit, .. } = guest;
    let text = ClientText::new(door.peer.map(|peer| peer.ip()), door.local);
    deadline.set(door.listener.timeouts.head);
    deadline.waits(deadline.pace().idle());
    let shared = Rc::new(Shared { worker, door: RefCell::new(door), text, _permit: permit });
    let mut driving = Driving::new(shared.clone(), server);
    let ended = poll_fn(|cx| driving.poll(cx, &deadline)).await;
    if let Err(error) = ended
        && error.is_malformed()
    {
        let door = shared.door.borrow().clone();
        record::connection(&shared.worker, &door, ("client_malformed", error.as_str()));
        let _ = deadline.limit(LAST_WORDS, poll_fn(|cx| driving.server.poll_last_words(cx))).await;
    }
    shared
}

/// A connection that is being driven.
struct Driving<D: Dialer, S> {
    shared: Rc<Shared<D>>,
    server: S,
    /// Requests so far.
    served: u64,
    /// How many there had been when the deadline was last set, and whether some were under way then.
    calm: Option<(u64, bool)>,
    /// The client was told that it ends.
    leaving: bool,
    /// The client was asked for a sign of life.
    asked: bool,
    /// When requests are given up whose heads are not complete.
    heads: Option<Deadline>,
}

impl<D: Dialer, S: Streams> Driving<D, S> {
    fn new(shared: Rc<Shared<D>>, server: S) -> Self {
        Self { shared, server, served: 0, calm: None, leaving: false, asked: false, heads: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), WireError>> {
        loop {
            while let Poll::Ready(next) = self.poll_one(cx)? {
                if !next {
                    return Poll::Ready(Ok(()));
                }
            }
            if self.shared.worker.is_draining() && !self.leaving {
                self.leave(deadline);
                continue;
            }
            self.watch_heads(cx)?;
            let busy = self.server.streams() > 0;
            let begun = self.served > 0 || busy;
            if begun && (busy || !self.leaving) && self.calm != Some((self.served, busy)) {
                self.calm = Some((self.served, busy));
                self.asked = false;
                deadline.set(if busy {
                    PING_AFTER
                } else {
                    self.shared.door.borrow().listener.timeouts.keep_alive
                });
                if !busy {
                    deadline.waits(deadline.pace().idle());
                }
            }
            std::task::ready!(deadline.poll(cx));
            match busy {
                // Nothing was asked for a long time, or nothing more came after the farewell.
                false if self.leaving => return Poll::Ready(Ok(())),
                false => self.leave(deadline),
                true if self.asked && !self.server.take_pong() => return Poll::Ready(Err(WireError::Closed)),
                true => {
                    let sign = !self.asked;
                    self.asked = sign;
                    if sign {
                        self.server.ping();
                    }
                    deadline.set(if sign { PONG_WITHIN } else { PING_AFTER });
                }
            }
        }
    }

    /// Gives requests up whose heads take too long.
    fn watch_heads(&mut self, cx: &mut Context<'_>) -> Result<(), WireError> {
        if self.server.incomplete() == 0 {
            self.heads = None;
            return Ok(());
        }
        let shared = &self.shared;
        let deadline = self.heads.get_or_insert_with(|| {
            let deadline = shared.worker.deadlines.register();
            deadline.set(shared.door.borrow().listener.timeouts.head);
            deadline
        });
        if deadline.poll(cx).is_ready() {
            self.server.drop_incomplete();
            self.heads = None;
            // Those that began a moment ago are spared, and have their own time.
            return self.watch_heads(cx);
        }
        Ok(())
    }

    /// Takes the next request, if there is one; false when the connection has ended.
    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, WireError>> {
        let worker = &self.shared.worker;
        let mut exchange = worker.take_exchange();
        match self.server.poll_request(cx, &mut exchange.request) {
            Poll::Ready(Ok(Some(stream))) => {
                self.served += 1;
                // Boxed: the runtime moves a task's future seven times from its first moment to its last, and this one is
                // of 4 KiB.
                tokio::task::spawn_local(Box::pin(serve_one(self.shared.clone(), exchange, stream)));
                Poll::Ready(Ok(true))
            }
            other => {
                worker.give_exchange(exchange);
                other.map_ok(|_| false)
            }
        }
    }

    fn leave(&mut self, deadline: &Deadline) {
        self.leaving = true;
        self.server.shut_down();
        deadline.set(DRAIN_GRACE);
    }
}

/// What is known of a request beside its head.
#[derive(Default)]
struct Asked {
    upgrade: Vec<u8>,
    facts: Facts,
}

/// Serves one request.
async fn serve_one<D: Dialer, S: Stream>(shared: Rc<Shared<D>>, mut exchange: Box<Exchange>, mut stream: S) {
    let started = Instant::now();
    let (listener, index) = shared.prepare(&mut exchange, stream.peer());
    let moved = exchange.client.peer.map(|peer| peer.ip()).filter(|ip| !shared.text.is_of(*ip));
    let text = moved.map(|ip| ClientText::new(Some(ip), exchange.client.local));
    let deadline = shared.worker.deadlines.register();
    let mut asked = Asked::default();
    let refused =
        refusal(&mut exchange, &stream).or_else(|| understand(&mut exchange, &mut asked, stream.is_early()));
    let visit = Visit {
        worker: &shared.worker,
        local: shared.worker.local(),
        listener: &listener,
        listener_index: index,
        deadline: &deadline,
        client: text.as_ref().unwrap_or(&shared.text),
        peer: exchange.client.peer,
        is_known: shared.door.borrow().is_known,
        started,
        upgrade: &asked.upgrade,
        facts: asked.facts,
    };
    let end = match refused {
        None => path::serve(&visit, &mut exchange, &mut stream).await,
        Some(reply) => refuse(&visit, &mut exchange, &mut stream, reply).await,
    };
    if has_taken(end, exchange.record.status, stream.is_answered()) {
        shared.door.borrow_mut().is_known = true;
    }
    if end == End::Abort || !stream.is_answered() {
        // Of no use to the client: it shall not wait for more.
        stream.abort();
    } else {
        let _ = deadline.limit(LAST_WORDS, drain(&mut stream)).await;
    }
    drop(stream);
    exchange.client = Client::default();
    shared.worker.give_exchange(exchange);
}

/// Whether the client has taken a whole response, by which its connection is known. That its stream is to be closed says
/// nothing: over HTTP/3 the end of the request is seen later than the response is sent.
fn has_taken(end: End, status: u16, is_answered: bool) -> bool {
    end != End::Abort && status < 500 && is_answered
}

/// Throws away what the client still sends of a body that nobody needs. It could be told to stop at once, with the
/// answer (RFC 9113 section 8.1, RFC 9114 section 4.1); but Chromium then waits for ever, and curl 7 loses the answer.
async fn drain<S: Stream>(stream: &mut S) {
    let mut thrown_away = 0;
    let mut filling = Filling::default();
    while thrown_away < LAST_WORDS_BYTES {
        match poll_fn(|cx| filling.poll(cx, stream)).await {
            Ok(len) if len > 0 => {
                stream.consume(len);
                thrown_away += len;
            }
            _ => return,
        }
    }
}

/// The reply to what is no request, or to one that was given up before anybody looked at it: endpoints hear nothing of
/// those who ask and reset at once.
fn refusal(exchange: &mut Exchange, stream: &impl Stream) -> Option<Box<Reply>> {
    if let Some(error) = stream.refused() {
        exchange.record.detail = error.as_str();
        return Some(Box::new(Reply::new(error.status(), "client_malformed")));
    }
    stream.is_gone().then(|| Box::new(Reply::new(499, "client_disconnected")))
}

/// Gives a request its one meaning; a reply if it has none, or is not taken this early.
fn understand(exchange: &mut Exchange, asked: &mut Asked, early: bool) -> Option<Box<Reply>> {
    match sanitize(&mut exchange.request, &mut Scratch::default(), &mut asked.upgrade) {
        Ok(facts) => asked.facts = facts,
        Err(error) => {
            exchange.record.detail = error.as_str();
            return Some(Box::new(Reply::new(error.status(), "client_malformed")));
        }
    }
    if !asked.facts.upgrade {
        asked.upgrade.clear();
    }
    if early {
        if !exchange.request.method.is_safe() {
            return Some(Box::new(Reply::new(425, "early_data")));
        }
        // RFC 8470 section 5.1: the endpoint may refuse what it would not like to see twice.
        exchange.request.fields.remove_named(b"Early-Data");
        let _ = exchange.request.fields.add(b"Early-Data", b"1");
    }
    None
}

async fn refuse<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    stream: &mut impl Stream,
    reply: Box<Reply>,
) -> End {
    visit.worker.metrics.requests.started();
    exchange.client.ip = visit.peer.map(|peer| peer.ip());
    exchange.id = visit.worker.request_id();
    let end = reply::own::send(visit, exchange, stream, reply).await;
    record::finish(visit, exchange, stream);
    end
}

impl<D: Dialer> Shared<D> {
    /// Says in the exchange who asks; gives the listener and its number, which may be others after a reload.
    fn prepare(&self, exchange: &mut Exchange, peer: Option<SocketAddr>) -> (Arc<ListenerSpec>, u32) {
        let mut door = self.door.borrow_mut();
        door.follow(&self.worker.local().shared);
        exchange.request.scheme = scheme(&door);
        exchange.client = Client {
            ip: None,
            peer: peer.or(door.peer),
            local: door.local,
            trusted: false,
            listener: door.listener.name.clone(),
            tls: door.session.clone(),
        };
        (door.listener.clone(), door.index)
    }
}

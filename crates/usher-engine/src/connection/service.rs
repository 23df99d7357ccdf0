//! Requests that come one after another on one connection: each is read, sanitized and served, or refused.

use std::future::poll_fn;
use std::hint::cold_path;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Client, Exchange, Piece, Reply};
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::trust::ClientText;
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};
use usher_wire::turns::Filling;
use usher_wire::{Connection, Sink, Source, WireError};

use super::{Door, Guest, Served};
use crate::path::{self, End, Visit};
use crate::steps::{patience, record, reply};

/// How long a connection that has just served a request keeps its memory for the next.
const LINGER: Duration = Duration::from_millis(100);
/// After a refusal: how long the client has to read it, and how much more of what it sends is thrown away (bytes): more
/// than the systems of both sides hold of a stream, as what is left over there destroys the response.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LAST_WORDS_BYTES: usize = 32 << 20;

/// Serves requests for as long as they come one after another. Gives the stream back to wait for more; none if the
/// connection ended.
pub(super) async fn serve<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: Secured<T>,
    ahead: Vec<u8>,
) -> Option<Served<T>> {
    let text = ClientText::new(guest.door.peer.map(|peer| peer.ip()), guest.door.local);
    let connection = Connection::with_input(stream, &ahead);
    let mut service = Service { guest, connection, text, scratch: Scratch::default() };
    match service.run().await {
        Next::Idle => Some(Served::Idle(service.connection.into_parts().0)),
        Next::Http2 => {
            let (stream, read) = service.connection.into_parts();
            Some(Served::Http2(stream, read.bytes().to_vec()))
        }
        Next::Close { politely } => {
            if politely {
                service.last_words().await;
            } else {
                service.farewell().await;
            }
            None
        }
        Next::Abort => {
            service.connection.stream().abort();
            None
        }
    }
}

/// How HTTP/2 begins (RFC 9113 section 3.4), as far as HTTP/1 reads it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The scheme of requests that come in here.
pub(super) fn scheme(door: &Door) -> &'static str {
    if door.session.is_some() { "https" } else { "http" }
}

/// Answers a client that speaks HTTP without TLS where TLS is spoken. What is no HTTP either is closed without a word.
pub(super) async fn refuse_plain<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: Secured<T>,
    ahead: &[u8],
) {
    if !ahead.first().is_some_and(u8::is_ascii_uppercase) {
        return;
    }
    let text = ClientText::new(guest.door.peer.map(|peer| peer.ip()), guest.door.local);
    let connection = Connection::with_input(stream, ahead);
    let mut service = Service { guest, connection, text, scratch: Scratch::default() };
    let mut exchange = service.guest.worker.take_exchange();
    exchange.record.detail = "plain HTTP where TLS is spoken";
    let page =
        "This port speaks HTTPS, and the request came without TLS. Write https:// in front of the address.\n";
    let reply = Reply::new(400, "plain_http").field("Content-Type", "text/plain; charset=utf-8");
    let reply = reply.piece(Piece::Bytes(page.as_bytes().into()));
    service.answer(&mut exchange, &Asked::default(), reply).await;
    service.last_words().await;
    exchange.client = Client::default();
    service.guest.worker.give_exchange(exchange);
}

/// A connection that serves requests, one after another.
struct Service<'a, D: Dialer, T> {
    guest: &'a mut Guest<D>,
    connection: Connection<Secured<T>>,
    text: ClientText,
    scratch: Scratch,
}

/// What to do when no request is at hand.
enum Next {
    /// Wait for one.
    Idle,
    /// What came is the beginning of HTTP/2.
    Http2,
    /// Close; unread bytes of the client may be on their way.
    Close { politely: bool },
    /// Reset.
    Abort,
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
            tls: self.guest.door.session.clone(),
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
            cold_path();
            return Some(match wrong {
                Wrong::Nothing => Next::Idle,
                Wrong::Http2 => Next::Http2,
                Wrong::Gone => Next::Close { politely: false },
                Wrong::Refused(status, detail) => {
                    exchange.request.clear();
                    exchange.record.detail = detail;
                    self.refuse(exchange, &visit, status).await
                }
            });
        }
        visit.started = Some(Instant::now());
        if !self.guest.door.listener.protocols.h1 {
            cold_path();
            exchange.record.detail = "this listener does not speak HTTP/1";
            return Some(self.refuse(exchange, &visit, 505).await);
        }
        exchange.request.scheme = scheme(&self.guest.door);
        match sanitize(&mut exchange.request, &mut self.scratch, &mut visit.upgrade) {
            Ok(facts) => visit.facts = facts,
            Err(error) => {
                cold_path();
                exchange.record.detail = error.as_str();
                return Some(self.refuse(exchange, &visit, error.status()).await);
            }
        }
        if !visit.facts.upgrade {
            visit.upgrade.clear();
        }
        self.connection.begin_receive(visit.facts.framing);
        self.guest.door.follow(&self.guest.worker.local().shared);
        let (visit, connection) = self.visit(&visit);
        let end = path::serve(&visit, exchange, connection).await;
        match end {
            End::KeepAlive => {
                self.guest.door.is_known |= exchange.record.status < 500;
                None
            }
            End::Close => {
                cold_path();
                let politely = !self.connection.is_done() || self.connection.has_input();
                Some(Next::Close { politely })
            }
            End::Abort => Some(Next::Abort),
        }
    }

    /// Reads a request head, within the time that clients have for it.
    async fn read_head(&mut self, exchange: &mut Exchange) -> Result<(), Wrong> {
        let limits = self.guest.door.listener.head;
        let longest = self.guest.door.listener.timeouts.head;
        let connection = &mut self.connection;
        let reading = poll_fn(|cx| {
            let read = connection.poll_request(cx, &limits, &mut exchange.request);
            // Where nothing has begun there is nothing to hurry: whoever waits for it holds less memory.
            if read.is_pending() && !connection.has_input() {
                return Poll::Ready(None);
            }
            read.map(Some)
        });
        let deadline = &self.guest.deadline;
        match deadline.limit_client(longest, deadline.pace(), reading).await {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(None) => Err(Wrong::Nothing),
            Ok(Some(Err(WireError::Parse(_)))) if self.is_http2() => Err(Wrong::Http2),
            Ok(Some(Err(WireError::Parse(error)))) => Err(Wrong::Refused(error.status(), error.as_str())),
            Err(_) if self.connection.has_begun() => {
                let cut = self.guest.deadline.was_cut();
                Err(Wrong::Refused(
                    408,
                    if cut { patience::CUT } else { "request head not complete in time" },
                ))
            }
            // Closed, broken off, or silent: nobody waits for an answer.
            Ok(Some(Err(_))) | Err(_) => Err(Wrong::Gone),
        }
    }

    /// Whether what came, and is no request of HTTP/1, is the beginning of HTTP/2 ("prior knowledge", RFC 9113 section
    /// 3.3). Looked at only then, so that it costs others nothing.
    fn is_http2(&self) -> bool {
        let spoken = self.guest.door.listener.protocols;
        spoken.h2 && self.connection.input().starts_with(PREFACE)
    }

    /// Answers what is not a request, or one with more than one reading. The connection ends: where its next message
    /// would begin is in doubt.
    async fn refuse(&mut self, exchange: &mut Exchange, asked: &Asked, status: u16) -> Next {
        let reason = if status == 408 { "client_idle_timeout" } else { "client_malformed" };
        self.answer(exchange, asked, Reply::new(status, reason)).await
    }

    async fn answer(&mut self, exchange: &mut Exchange, asked: &Asked, reply: Reply) -> Next {
        self.guest.door.follow(&self.guest.worker.local().shared);
        let (visit, connection) = self.visit(asked);
        visit.worker.metrics.requests.started();
        exchange.client.ip = visit.peer.map(|peer| peer.ip());
        exchange.id = visit.worker.request_id();
        reply::own::send(&visit, exchange, connection, Box::new(reply)).await;
        record::finish(&visit, exchange, connection);
        Next::Close { politely: true }
    }

    /// The visit of one request, by the snapshot of now, and the connection that it is answered on.
    fn visit<'a>(&'a mut self, asked: &'a Asked) -> (Visit<'a, D>, &'a mut Connection<Secured<T>>) {
        let guest = &*self.guest;
        let visit = Visit {
            worker: &guest.worker,
            local: guest.worker.local(),
            listener: &guest.door.listener,
            listener_index: guest.door.index,
            deadline: &guest.deadline,
            client: &self.text,
            peer: guest.door.peer,
            is_known: guest.door.is_known,
            started: asked.started.unwrap_or_else(Instant::now),
            upgrade: &asked.upgrade,
            facts: asked.facts,
        };
        (visit, &mut self.connection)
    }

    /// Tells a client over TLS that this is the end and nobody cut the connection off (RFC 8446 section 6.1): where a
    /// body ends with the connection, it could not know. Without TLS, closing says the same.
    async fn farewell(&mut self) {
        if self.guest.door.session.is_some() {
            let connection = &mut self.connection;
            let _ = self.guest.deadline.limit(LAST_WORDS, poll_fn(|cx| connection.poll_end(cx))).await;
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
            let mut filling = Filling::default();
            while thrown_away < LAST_WORDS_BYTES {
                match poll_fn(|cx| filling.poll(cx, connection)).await {
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
    /// The client speaks HTTP/2.
    Http2,
    /// The client is gone or says nothing.
    Gone,
    /// It sent what is answered with this status; the words are for the log.
    Refused(u16, &'static str),
}

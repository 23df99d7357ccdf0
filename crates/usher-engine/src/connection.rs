//! A client's connection from its first byte to its last: the PROXY header of step 1, and the waits for requests, which
//! `service` serves (steps 3 and on).
//!
//! While it waits for a request it holds no buffer and no exchange, so that ten thousand idle connections cost little.
//! While requests come one after another it keeps both, as long as few enough others do (`LINGERING`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use usher_net::tls::{Secured, Session};
use usher_net::{Dialer, Transport};

use crate::deadline::Deadline;
use crate::snapshot::{ListenerSpec, Snapshot};
use crate::worker::{Permit, Worker};

mod idle;
mod passthrough;
mod proxy;
mod secure;
mod service;
pub mod streams;

pub use idle::IdleConnections;

/// While the worker drains: how long a connection without a request is kept for one that is on its way.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

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
    /// Nothing was read yet: a PROXY header or a TLS handshake may be the first.
    pub is_fresh: bool,
    /// The client has taken a whole response: it is none of those who come to hold memory.
    pub is_known: bool,
    /// What was agreed in the TLS handshake; none on plain connections.
    pub session: Option<Arc<Session>>,
}

/// A connection with no request under way: all that is kept of it while it rests, as there may be very many.
pub(crate) struct IdleConnection<D: Dialer, T> {
    stream: Secured<T>,
    door: Door,
    /// How long it is still waited for the next request: less for the first.
    patience: Duration,
    /// Its place within the limits.
    permit: Option<Permit<D>>,
}

impl<D: Dialer, T> IdleConnection<D, T> {
    pub(crate) fn new(stream: T, door: Door, permit: Option<Permit<D>>) -> Self {
        let patience = door.listener.timeouts.head;
        Self { stream: Secured::Plain(stream), door, patience, permit }
    }
}

/// A connection that is attended to, without the stream.
struct Guest<D: Dialer> {
    worker: Rc<Worker<D>>,
    door: Door,
    deadline: Deadline,
    patience: Duration,
    permit: Option<Permit<D>>,
}

/// Serves a client's connection to its end.
pub async fn serve<D: Dialer, T: Transport>(worker: Rc<Worker<D>>, stream: T, door: Door) {
    attend(worker, IdleConnection::new(stream, door, None), None).await;
}

/// Serves a connection to its end, or until it rests.
pub(crate) async fn attend<D: Dialer, T: Transport>(
    worker: Rc<Worker<D>>,
    connection: IdleConnection<D, T>,
    idle: Option<Rc<IdleConnections<D, T>>>,
) {
    let deadline = worker.deadlines.register();
    let IdleConnection { mut stream, door, patience, permit } = connection;
    let mut guest = Guest { worker, door, deadline, patience, permit };
    let mut ahead = Vec::new();
    // Boxed, all but the wait: what a connection may become shall not make every waiting connection larger.
    let (stream, read) = 'http2: {
        if guest.door.is_fresh && guest.door.begins_otherwise() {
            match Box::pin(guest.begin(stream)).await {
                Some(Begun::Http1(begun, read)) => (stream, ahead) = (begun, read),
                Some(Begun::Http2(begun, read)) => break 'http2 (begun, read),
                Some(Begun::Tcp(begun, read)) => {
                    return Box::pin(passthrough::tcp(&mut guest, begun, read)).await;
                }
                Some(Begun::Past(begun, read, name)) => {
                    return Box::pin(passthrough::encrypted(&mut guest, begun, read, name)).await;
                }
                None => return,
            }
        }
        guest.door.is_fresh = false;
        loop {
            if ahead.is_empty() && !guest.wait(&mut stream).await {
                return;
            }
            match Box::pin(service::serve(&mut guest, stream, std::mem::take(&mut ahead))).await {
                Some(Served::Idle(waiting)) => stream = waiting,
                Some(Served::Http2(begun, read)) => break 'http2 (begun, read),
                None => return,
            }
            if let Some(idle) = &idle {
                match idle.take(guest, stream) {
                    Ok(()) => return,
                    Err(back) => (guest, stream) = *back,
                }
            }
        }
    };
    Box::pin(streams::serve_h2(guest, stream, &read)).await;
}

/// How a connection goes on after its first bytes.
enum Begun<T> {
    /// With requests of HTTP/1; some bytes may have been read already.
    Http1(Secured<T>, Vec<u8>),
    /// With HTTP/2.
    Http2(Secured<T>, Vec<u8>),
    /// With whatever its listener carries instead of HTTP; some bytes may have been read already.
    Tcp(Secured<T>, Vec<u8>),
    /// Still encrypted: what was read, and the host that the client names.
    Past(T, Vec<u8>, String),
}

/// How a connection goes on after requests of HTTP/1.
enum Served<T> {
    /// It waits for the next.
    Idle(Secured<T>),
    /// It was HTTP/2 from its first byte.
    Http2(Secured<T>, Vec<u8>),
}

impl Door {
    /// After a reload: the listener's number and settings may be others now.
    pub(crate) fn follow(&mut self, snapshot: &Snapshot) {
        let listeners = &snapshot.listeners;
        if listeners.get(self.index as usize).is_some_and(|spec| Arc::ptr_eq(spec, &self.listener)) {
            return;
        }
        match listeners.iter().position(|spec| spec.name == self.listener.name) {
            Some(index) => {
                self.index = index as u32;
                self.listener = listeners[index].clone();
            }
            // The listener was removed: routes for all listeners still serve what is open.
            None => self.index = u32::MAX,
        }
    }

    /// Whether something comes before the first request.
    fn begins_otherwise(&self) -> bool {
        let listener = &self.listener;
        listener.proxy_protocol.is_some() || listener.tls.is_some() || listener.tcp.is_some()
    }
}

impl<D: Dialer> Guest<D> {
    /// What comes before the first request: a PROXY header, a TLS handshake.
    async fn begin<T: Transport>(&mut self, stream: Secured<T>) -> Option<Begun<T>> {
        let Secured::Plain(mut stream) = stream else { return None };
        let mut ahead = Vec::new();
        if self.door.listener.proxy_protocol.is_some() {
            (stream, ahead) = self.read_proxy_header(stream).await?;
        }
        let begun = match self.door.listener.tls {
            Some(_) => secure::run(self, stream, ahead).await?,
            None => Begun::Http1(Secured::Plain(stream), ahead),
        };
        Some(match begun {
            Begun::Http1(stream, ahead) if self.door.listener.tcp.is_some() => Begun::Tcp(stream, ahead),
            begun => begun,
        })
    }

    /// Reads the PROXY header, if the peer may send one; gives the bytes read behind it.
    async fn read_proxy_header<T: Transport>(&mut self, mut stream: T) -> Option<(T, Vec<u8>)> {
        let listener = self.door.listener.clone();
        let rule = listener.proxy_protocol.as_ref()?;
        let peer = self.door.peer.map(|peer| peer.ip());
        let mut ahead = Vec::new();
        let reading = proxy::read(&mut stream, rule, peer, &mut ahead);
        match self.deadline.limit_client(listener.timeouts.head, self.deadline.pace(), reading).await {
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

    /// Waits until something arrives; false if the connection is to be closed. What arrives is not a request yet, and
    /// gives no more time for one.
    async fn wait<T: Transport>(&mut self, stream: &mut Secured<T>) -> bool {
        self.deadline.set(self.patience);
        self.deadline.waits(self.deadline.pace().idle());
        let mut leaving = false;
        let arrived = poll_fn(|cx| {
            if let Poll::Ready(ready) = stream.poll_read_ready(cx) {
                return Poll::Ready(ready.is_ok());
            }
            if self.worker.is_draining() && !leaving {
                leaving = true;
                self.deadline.set(DRAIN_GRACE.min(self.patience));
            }
            self.deadline.poll(cx).map(|_| false)
        })
        .await;
        self.patience = self.deadline.left();
        if !arrived {
            stream.announce_end();
        }
        arrived
    }
}

//! A handle of a connection.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{Dir, Side, StreamId, VarInt};
use rustls::pki_types::CertificateDer;

use super::error::ConnectionError;
use super::options::LINGER;
use super::session;
use super::state::State;
use super::stream::{RecvStream, SendStream};
use crate::address::canonical;
use crate::tls::Session;

/// A QUIC connection. Clones are handles of the same; its streams are too.
///
/// When the last one goes, what was written to ended streams is still delivered, for ten seconds at most, and then the
/// connection is closed.
#[derive(Clone)]
pub struct Connection(Rc<Handle>);

struct Handle(Rc<State>);

impl Drop for Handle {
    fn drop(&mut self) {
        let state = &self.0;
        if !state.gone.get() && state.error.borrow().is_none() {
            state.orphaned.set(Some(Instant::now() + LINGER));
            state.mark();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.peer()).finish()
    }
}

impl Connection {
    pub(super) fn new(state: Rc<State>) -> Self {
        Self(Rc::new(Handle(state)))
    }

    pub(super) fn state(&self) -> &Rc<State> {
        &self.0.0
    }

    /// Where the peer is now; that changes when it moves.
    pub fn peer(&self) -> SocketAddr {
        canonical(self.state().proto.borrow().remote_address())
    }

    /// The address of this end that the peer talks to. For connections that this side began, the address that the
    /// socket is bound to.
    pub fn local(&self) -> Option<SocketAddr> {
        let state = self.state();
        let bound = state.hub.local_address().ok()?;
        let ip = state.proto.borrow().local_ip().unwrap_or_else(|| bound.ip());
        Some(canonical(SocketAddr::new(ip, bound.port())))
    }

    /// What the handshake agreed on. Of a server's connection; None before the client's greeting was read. The client's
    /// certificate is in it once the handshake is complete.
    pub fn session(&self) -> Option<Session> {
        session::agreed(self.state().proto.borrow().crypto_session())
    }

    /// The protocol that the handshake agreed on (ALPN, RFC 7301).
    pub fn alpn(&self) -> Option<Vec<u8>> {
        if let Some(session) = self.session() {
            return session.alpn;
        }
        let data = self.state().proto.borrow().crypto_session().handshake_data()?;
        data.downcast::<HandshakeData>().ok()?.protocol
    }

    /// The peer's certificates, its own first; none if it showed none.
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let identity = self.state().proto.borrow().crypto_session().peer_identity();
        let chain = identity.and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        chain.map(|chain| *chain).unwrap_or_default()
    }

    /// Whether the handshake is not complete yet, so that what is read now may be a replay (RFC 8446 section 8).
    pub fn is_early(&self) -> bool {
        self.state().handshake.get().is_some()
    }

    /// Whether the client's early data was accepted.
    pub fn accepted_early_data(&self) -> bool {
        let proto = self.state().proto.borrow();
        match proto.side() {
            Side::Client => proto.accepted_0rtt(),
            // The library keeps it for the client only; a server has the keys if it accepts.
            Side::Server => proto.has_0rtt(),
        }
    }

    /// Whether this side may send before the handshake is complete: a client that resumes.
    pub fn may_send_early(&self) -> bool {
        let proto = self.state().proto.borrow();
        proto.side() == Side::Client && proto.has_0rtt()
    }

    /// Ready when the handshake is complete.
    pub fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let state = self.state();
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        if state.handshake.get().is_none() {
            return Poll::Ready(Ok(()));
        }
        state.wait(cx, |wakers| &mut wakers.handshake);
        Poll::Pending
    }

    /// The next stream that the peer opened in both directions.
    pub fn poll_accept_bi(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(SendStream, RecvStream), ConnectionError>> {
        self.poll_accept(cx, Dir::Bi).map_ok(|id| (SendStream::new(self, id), RecvStream::new(self, id)))
    }

    /// The next stream that the peer opened in its direction.
    pub fn poll_accept_uni(&self, cx: &mut Context<'_>) -> Poll<Result<RecvStream, ConnectionError>> {
        self.poll_accept(cx, Dir::Uni).map_ok(|id| RecvStream::new(self, id))
    }

    fn poll_accept(&self, cx: &mut Context<'_>, dir: Dir) -> Poll<Result<StreamId, ConnectionError>> {
        let state = self.state();
        let accepted = state.proto.borrow_mut().streams().accept(dir);
        if let Some(id) = accepted {
            // The peer may be owed credit for another one.
            state.mark();
            return Poll::Ready(Ok(id));
        }
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        state.wait(cx, |wakers| &mut wakers.accept[dir as usize]);
        Poll::Pending
    }

    /// Opens a stream in both directions, unless the peer allows none now.
    pub fn open_bi(&self) -> Option<(SendStream, RecvStream)> {
        let id = self.state().proto.borrow_mut().streams().open(Dir::Bi)?;
        Some((SendStream::new(self, id), RecvStream::new(self, id)))
    }

    /// Opens a stream in this side's direction, unless the peer allows none now.
    pub fn open_uni(&self) -> Option<SendStream> {
        let id = self.state().proto.borrow_mut().streams().open(Dir::Uni)?;
        Some(SendStream::new(self, id))
    }

    /// As [`open_bi`](Self::open_bi), waiting for the peer to allow it. One waker is kept.
    pub fn poll_open_bi(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(SendStream, RecvStream), ConnectionError>> {
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        if let Some(streams) = self.open_bi() {
            return Poll::Ready(Ok(streams));
        }
        self.state().wait(cx, |wakers| &mut wakers.open[Dir::Bi as usize]);
        Poll::Pending
    }

    /// As [`open_uni`](Self::open_uni), waiting for the peer to allow it. One waker is kept.
    pub fn poll_open_uni(&self, cx: &mut Context<'_>) -> Poll<Result<SendStream, ConnectionError>> {
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        if let Some(stream) = self.open_uni() {
            return Poll::Ready(Ok(stream));
        }
        self.state().wait(cx, |wakers| &mut wakers.open[Dir::Uni as usize]);
        Poll::Pending
    }

    /// Closes the connection at once: what was written and has not arrived is lost.
    pub fn close(&self, code: u64, reason: &[u8]) {
        let state = self.state();
        state.close(Instant::now(), code, reason);
        state.mark();
    }

    /// The code of the close when the last handle goes; 0 unless told otherwise.
    pub fn close_on_drop(&self, code: u64) {
        self.state().drop_code.set(code);
    }

    /// Why the connection is no more; None while it is.
    pub fn error(&self) -> Option<ConnectionError> {
        self.state().error.borrow().clone()
    }

    /// Whether the connection is no more.
    pub fn is_closed(&self) -> bool {
        self.state().error.borrow().is_some()
    }

    /// Ready when the connection is no more. One waker is kept.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<ConnectionError> {
        if let Some(error) = self.error() {
            return Poll::Ready(error);
        }
        self.state().wait(cx, |wakers| &mut wakers.closed);
        Poll::Pending
    }

    /// Waits until the connection is no more, without being a handle of it: for whoever has to know that what was written
    /// has arrived, and that the peer was told of the end. Nobody may wait in [`poll_closed`](Self::poll_closed) then.
    pub fn over(&self) -> impl Future<Output = ConnectionError> + use<> {
        let state = Rc::clone(self.state());
        std::future::poll_fn(move |cx| {
            if let Some(error) = state.error.borrow().clone() {
                return Poll::Ready(error);
            }
            state.wait(cx, |wakers| &mut wakers.closed);
            Poll::Pending
        })
    }

    /// Sets the one alarm of the connection, or takes it back.
    pub fn set_alarm(&self, at: Option<Instant>) {
        self.state().alarm.set(at);
        self.state().mark();
    }

    /// Ready when the alarm has gone off, or none is set. One waker is kept.
    pub fn poll_alarm(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = self.state();
        if state.alarm.get().is_none() || self.is_closed() {
            return Poll::Ready(());
        }
        state.wait(cx, |wakers| &mut wakers.alarm);
        Poll::Pending
    }

    /// Wakes whoever waits for a stream that this side opened, from this number on: something else than the peer's
    /// bytes has decided about them.
    pub fn wake_streams(&self, from: u64) {
        let state = self.state();
        let waiting: Vec<StreamId> = {
            let wakers = state.wakers.borrow();
            let all = wakers.readers.keys().chain(wakers.writers.keys());
            all.copied().filter(|id| u64::from(*id) >= from).collect()
        };
        for id in waiting {
            state.wake_reader(id);
            state.wake_writer(id);
        }
        state.mark();
    }

    /// Streams of a higher priority are sent first; 0 unless told otherwise. Of a stream in both directions that the peer
    /// opens, or may open.
    pub fn set_priority(&self, stream: u64, priority: i32) {
        if let Ok(id) = VarInt::from_u64(stream) {
            // An error is one of a stream that is gone already, or not allowed yet.
            let _ = self.state().proto.borrow_mut().send_stream(id.into()).set_priority(priority);
        }
    }

    /// How long a packet and its answer take, as far as is known.
    pub fn round_trip(&self) -> Duration {
        self.state().proto.borrow().rtt()
    }

    /// How large packets may be now (bytes of UDP payload), as far as the path was found to carry them.
    pub fn packet_size(&self) -> u16 {
        self.state().proto.borrow().current_mtu()
    }

    /// Whether this is the server's end.
    pub fn is_server(&self) -> bool {
        self.state().proto.borrow().side() == Side::Server
    }
}

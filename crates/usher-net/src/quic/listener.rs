//! The server's side of a socket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::bind::BoundUdp;
use super::config;
use super::connection::Connection;
use super::drive::Driver;
use super::failed::FailedHandshake;
use super::hub::Hub;
use super::options::QuicOptions;
use super::socket::Socket;
use super::state::keep;

/// Accepts QUIC connections in the runtime of one worker.
///
/// After its drop, connections that were accepted live on; the socket is closed with the last of them.
pub struct QuicListener {
    pub(super) hub: Rc<Hub>,
    options: QuicOptions,
    address: SocketAddr,
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl QuicListener {
    /// Registers a socket with the runtime of this thread, and starts the task that serves it.
    ///
    /// # Errors
    /// When the runtime has no I/O driver, the kernel refuses an option, or `tls` does not do for QUIC.
    ///
    /// # Panics
    /// Outside of a local runtime (or `LocalSet`) of tokio.
    pub fn new(bound: BoundUdp, tls: Arc<rustls::ServerConfig>, options: &QuicOptions) -> io::Result<Self> {
        let server = config::server(options, tls)?;
        let endpoint = config::endpoint(options, bound.address, (bound.worker, bound.workers, bound.bank))?;
        let address = bound.address;
        let hub = Hub::new(Socket::of_group(bound)?, endpoint, Some(server), options);
        tokio::task::spawn_local(Driver::new(Rc::clone(&hub)));
        Ok(Self { hub, options: options.clone(), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections get this configuration of TLS; those that are open keep theirs.
    ///
    /// # Errors
    /// When `tls` does not do for QUIC; nothing has changed then.
    pub fn set_tls(&self, tls: Arc<rustls::ServerConfig>) -> io::Result<()> {
        let server = config::server(&self.options, tls)?;
        self.hub.set_server(server);
        Ok(())
    }

    /// The next connection: its handshake is complete, or its first request came as early data. Cancel-safe.
    /// None when nothing comes any more: the runtime ends.
    pub async fn accept(&self) -> Option<Connection> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`accept`](Self::accept), polled; one waker is kept.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        let gate = &self.hub.gate;
        let next = gate.arrivals.borrow_mut().pop_front();
        if next.is_some() || self.hub.is_closed() {
            return Poll::Ready(next);
        }
        let old = keep(&mut gate.arrival.borrow_mut(), cx);
        drop(old);
        Poll::Pending
    }

    /// The next handshake that failed; those that are not asked for in time are forgotten. Cancel-safe. None when the
    /// runtime ends.
    pub async fn failed(&self) -> Option<FailedHandshake> {
        poll_fn(|cx| self.poll_failed(cx)).await
    }

    fn poll_failed(&self, cx: &mut Context<'_>) -> Poll<Option<FailedHandshake>> {
        let gate = &self.hub.gate;
        let next = gate.failures.borrow_mut().pop_front();
        if next.is_some() || self.hub.is_closed() {
            return Poll::Ready(next);
        }
        let old = keep(&mut gate.failure.borrow_mut(), cx);
        drop(old);
        Poll::Pending
    }

    /// Answers new clients with CONNECTION_REFUSED. Those in their handshake still arrive, and open connections are
    /// served on.
    pub fn refuse_new(&self) {
        self.hub.gate.refuses.set(true);
    }

    /// Connections that are open, in their handshake, or being closed.
    pub fn connections(&self) -> usize {
        self.hub.open()
    }

    /// Handshakes that are in flight.
    pub fn handshakes(&self) -> usize {
        self.hub.gate.handshakes.get()
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        self.hub.close();
    }
}

//! The client's side: connections to endpoints that speak QUIC.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::ConnectError;

use super::bind::client_socket;
use super::config;
use super::connection::Connection;
use super::drive::Driver;
use super::hub::Hub;
use super::options::QuicOptions;
use super::route;
use super::socket::Socket;
use super::state::State;

/// Makes connections from one worker: over one UDP socket for IPv4 and one for IPv6, opened when first needed.
pub struct QuicConnector {
    options: QuicOptions,
    /// By family: IPv4, IPv6.
    hubs: RefCell<[Option<Rc<Hub>>; 2]>,
}

impl fmt::Debug for QuicConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicConnector").field("options", &self.options).finish_non_exhaustive()
    }
}

impl QuicConnector {
    /// A connector with these options; costs nothing until it is used.
    pub fn new(options: QuicOptions) -> Self {
        Self { options, hubs: RefCell::default() }
    }

    /// Begins a connection; [`Connection::poll_handshake`] says when it is usable. Sessions are resumed by what is in
    /// `tls`.
    ///
    /// # Errors
    /// When no socket can be opened, `tls` does not do for QUIC, or the name or address is none that can be asked for.
    ///
    /// # Panics
    /// Outside of a local runtime (or `LocalSet`) of tokio.
    pub fn connect(
        &self,
        address: SocketAddr,
        server_name: &str,
        tls: Arc<rustls::ClientConfig>,
    ) -> io::Result<Connection> {
        let config = config::client(&self.options, tls, route::wide(address))?;
        let hub = self.hub(address)?;
        let now = Instant::now();
        let (handle, proto) = hub
            .endpoint
            .borrow_mut()
            .connect(now, config, address, server_name)
            .map_err(|error| refused(&error))?;
        let state = State::new(&hub, (handle, proto), self.options.connection_window, now);
        hub.insert(&state);
        hub.mark(&state);
        Ok(Connection::new(state))
    }

    fn hub(&self, address: SocketAddr) -> io::Result<Rc<Hub>> {
        let mut hubs = self.hubs.borrow_mut();
        let place = &mut hubs[usize::from(address.is_ipv6())];
        if let Some(hub) = place.as_ref().filter(|hub| !hub.is_closed()) {
            return Ok(Rc::clone(hub));
        }
        let socket = Socket::new(client_socket(address)?)?;
        let endpoint = config::endpoint(&self.options, socket.local_address()?, (0, 1, 0))?;
        let hub = Hub::new(socket, endpoint, None, &self.options);
        tokio::task::spawn_local(Driver::new(Rc::clone(&hub)));
        *place = Some(Rc::clone(&hub));
        Ok(hub)
    }

    /// Moves every connection to a fresh socket, as after a change of the network: peers see another address.
    ///
    /// # Errors
    /// When no socket can be opened; nothing has changed then for its family.
    pub fn rebind(&self) -> io::Result<()> {
        let hubs: Vec<_> = self.hubs.borrow().iter().flatten().cloned().collect();
        for hub in hubs {
            let socket = Socket::new(client_socket(hub.local_address()?)?)?;
            *hub.socket.borrow_mut() = Rc::new(socket);
            for state in hub.all() {
                state.proto.borrow_mut().local_address_changed();
                hub.mark(&state);
            }
            hub.wake_driver();
        }
        Ok(())
    }

    /// Connections that are open, in their handshake, or being closed.
    pub fn connections(&self) -> usize {
        self.hubs.borrow().iter().flatten().map(|hub| hub.open()).sum()
    }
}

impl Drop for QuicConnector {
    fn drop(&mut self) {
        self.hubs.borrow().iter().flatten().for_each(|hub| hub.close());
    }
}

fn refused(error: &ConnectError) -> io::Error {
    let kind = match error {
        ConnectError::InvalidServerName(_) | ConnectError::InvalidRemoteAddress(_) => {
            io::ErrorKind::InvalidInput
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

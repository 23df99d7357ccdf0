//! Sockets, the PROXY protocol, dialing, splice; the only place with unsafe code.
//!
//! - [`Transport`]: what the wire drivers need of a byte stream; [`Stream`] and [`MemoryStream`] are such.
//! - [`Pipe`]: a kernel pipe through which bytes go from socket to socket.
//! - [`bind`] and [`Listener`]: listening, one queue per worker, drained at the end.
//! - [`Inherited`], [`adopt`], [`handover`]: sockets that another process opened; [`activated`]: from systemd.
//! - [`datagrams`]: UDP as it comes, from clients and to endpoints.
//! - [`Dialer`]: how the engine reaches endpoints without opening sockets itself.
//! - [`Watch`]: the wait for the next byte of very many connections.
//! - [`proxy_protocol`]: who the client is when a load balancer stands before us.
//! - [`quic`]: QUIC endpoints, one per worker, whose packets find their worker.
//! - [`tls`]: encrypted streams, certificates, and the keys of sessions.
//! - [`shortage`], [`CountedHeap`]: how much memory and how many descriptors the process has, of how many it may.
//! - [`pin_to_core`], [`raise_open_files`], [`trim_heap`], [`collect_heap`], [`release_code`]: what a worker asks of the
//!   system.

mod accepted;
mod address;
mod affinity;
pub mod datagrams;
mod dial;
pub mod handover;
mod inherited;
mod listen;
mod memory;
mod options;
mod pipe;
pub mod proxy_protocol;
pub mod quic;
pub mod shortage;
mod stream;
mod sys;
#[cfg(test)]
mod testing;
pub mod tls;
mod transport;
mod watch;

pub use accepted::Accepted;
pub use address::{Address, Peer};
pub use affinity::{allowed_cores, pin_to_core, raise_open_files};
pub use dial::{Dialer, SystemDialer};
pub use inherited::activated;
pub use listen::{
    AcceptFault, BindError, BoundSocket, DEFAULT_BACKLOG, Drain, Inherited, Kept, ListenOptions, Listener,
    adopt, bind, keep,
};
pub use memory::MemoryStream;
pub use options::{Keepalive, SocketOptions};
pub use pipe::{IDLE_PIPES_PER_THREAD, MIN_PIPE_CAPACITY, PIPE_CAPACITY, Pipe};
pub use stream::Stream;
pub use sys::{CountedHeap, collect_heap, release_code, trim_heap};
pub use transport::Transport;
pub use watch::Watch;

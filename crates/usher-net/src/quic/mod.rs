//! QUIC (RFC 9000) for one thread: endpoints, connections, streams.
//!
//! The protocol itself is `quinn-proto`, a state machine without I/O. What is here drives it, for one worker: a socket,
//! the connections on it, one task and one timer for all of them. There is no lock and no channel; a stream's task
//! changes the state of its connection and marks it, and the driver, which runs after the tasks that are ready, sends
//! what all of them wrote in as few system calls as possible (GSO).
//!
//! - [`bind_udp`]: one socket per worker. The worker's number is in the connection IDs that it hands out, and the
//!   kernel steers each packet by it, so that a client that moves to another address still meets its worker.
//! - [`QuicListener`]: the connections of one socket. [`QuicConnector`]: connections to others.
//! - [`Connection`], [`SendStream`], [`RecvStream`]: polled, one waker per direction.

mod bind;
mod cid;
mod config;
mod congestion;
mod connection;
mod connector;
mod drive;
mod error;
mod failed;
mod group;
mod hub;
mod keys;
mod listener;
mod options;
mod route;
mod session;
mod socket;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod tokens;

pub use bind::{BoundUdp, UdpOptions, bind_udp};
pub use connection::Connection;
pub use connector::QuicConnector;
pub use error::{ConnectionError, StreamError};
pub use failed::FailedHandshake;
pub use group::UdpGroup;
pub use keys::QuicKeys;
pub use listener::QuicListener;
pub use options::{
    DEFAULT_CONNECTION_WINDOW, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_HANDSHAKES,
    DEFAULT_MAX_STREAMS, DEFAULT_RETRY_FROM, DEFAULT_SEND_WINDOW, DEFAULT_STREAM_WINDOW, MAX_UNI_STREAMS,
    QuicOptions,
};
pub use stream::{RecvStream, SendStream};

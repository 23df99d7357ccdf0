//! What can be set, and the limits.

use std::sync::Arc;
use std::time::Duration;

use super::keys::QuicKeys;

/// Requests that a client may have open at a time.
pub const DEFAULT_MAX_STREAMS: u32 = 100;
/// Unidirectional streams that a peer may have open at a time. HTTP/3 needs three; the rest is for those of reserved
/// types, which peers open to keep the protocol supple (RFC 9114 section 6.2.3).
pub const MAX_UNI_STREAMS: u32 = 8;
/// Bytes that a peer may send on one stream ahead of what is read.
pub const DEFAULT_STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that a peer may send on all streams of a connection ahead of what is read.
pub const DEFAULT_CONNECTION_WINDOW: u32 = 2 << 20;
/// Bytes that a connection holds until the peer confirms them, at most. It holds less where the path carries less: twice
/// what the congestion controller lets fly.
pub const DEFAULT_SEND_WINDOW: u64 = 4 << 20;
/// Silence after which a connection ends.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a handshake may take.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that may be in flight, per worker and address; further ones are refused.
pub const DEFAULT_MAX_HANDSHAKES: usize = 1024;
/// From so many handshakes in flight on, a client must first show that it receives what is sent to its address (Retry,
/// RFC 9000 section 8.1.2). Costs it a round trip.
pub const DEFAULT_RETRY_FROM: usize = 256;

/// What a client may send ahead of what is read, on one stream and on all, while the process is short of memory (bytes).
/// Heads count too, so the one is less than the other.
pub(super) const TIGHT_WINDOWS: (u32, u32) = (64 << 10, 128 << 10);
/// How much a connection may hold of what the peer has not confirmed, whatever the congestion controller says (bytes).
pub(super) const MIN_SEND_WINDOW: u64 = 128 << 10;
/// Room that there must be before whoever waits for it is told (bytes); less than [`MIN_SEND_WINDOW`].
pub(super) const WRITE_ROOM: u64 = 64 << 10;
/// Send and receive buffers that are asked of the kernel (bytes); it caps them at `net.core.[rw]mem_max`.
pub(super) const SOCKET_BUFFER: usize = 4 << 20;
/// What may be sent out of order during a handshake (bytes): certificates of clients, large key shares.
pub(super) const CRYPTO_BUFFER: usize = 32 << 10;
/// What of a connection attempt is kept while it is being decided on (bytes); that is never for long.
pub(super) const INCOMING_BUFFER: u64 = 64 << 10;
/// How long after its last handle was dropped a connection still delivers what was written.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// Options of a listener or connector.
#[derive(Debug, Clone)]
pub struct QuicOptions {
    /// Secrets that all workers share.
    pub keys: Arc<QuicKeys>,
    /// See [`DEFAULT_MAX_STREAMS`]. Means nothing to a connector.
    pub max_streams: u32,
    /// See [`DEFAULT_STREAM_WINDOW`].
    pub stream_window: u32,
    /// See [`DEFAULT_CONNECTION_WINDOW`].
    pub connection_window: u32,
    /// See [`DEFAULT_SEND_WINDOW`].
    pub send_window: u64,
    /// See [`DEFAULT_IDLE_TIMEOUT`]. The smaller one of both ends holds.
    pub idle_timeout: Duration,
    /// Signs of life are sent so often while nothing else is.
    pub keep_alive: Option<Duration>,
    /// See [`DEFAULT_HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// See [`DEFAULT_MAX_HANDSHAKES`].
    pub max_handshakes: usize,
    /// See [`DEFAULT_RETRY_FROM`]; 0 asks everybody.
    pub retry_from: usize,
}

impl QuicOptions {
    /// The defaults, with these secrets.
    pub fn new(keys: Arc<QuicKeys>) -> Self {
        Self {
            keys,
            max_streams: DEFAULT_MAX_STREAMS,
            stream_window: DEFAULT_STREAM_WINDOW,
            connection_window: DEFAULT_CONNECTION_WINDOW,
            send_window: DEFAULT_SEND_WINDOW,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            keep_alive: None,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            max_handshakes: DEFAULT_MAX_HANDSHAKES,
            retry_from: DEFAULT_RETRY_FROM,
        }
    }

    /// The same for a client that comes while the process is short of memory.
    pub(super) fn tight(&self) -> Self {
        let (stream, connection) = TIGHT_WINDOWS;
        Self {
            stream_window: self.stream_window.min(stream),
            connection_window: self.connection_window.min(connection),
            ..self.clone()
        }
    }
}

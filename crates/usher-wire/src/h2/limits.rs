//! What one connection may cost.

use usher_http::parse::HeadLimits;

/// What a connection of HTTP/2 may cost, and what it offers.
///
/// In the worst case a connection holds `connection_window` bytes of bodies that nobody has read, about 512 KiB of
/// output, a head per stream, and tables of 4 KiB for the compression of heads in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams at once. Of a server: those that the client may open (SETTINGS_MAX_CONCURRENT_STREAMS); a stream that was
    /// reset counts until the work on it has ended. Of a client: those that are opened at most, if the server allows
    /// as many.
    pub max_streams: u32,
    /// Heads and trailers.
    pub head: HeadLimits,
    /// How much of a body may be on its way on one stream before somebody reads it (bytes). It grows, up to half of
    /// `connection_window`, where the way is long.
    pub stream_window: u32,
    /// The same for all streams together (bytes).
    pub connection_window: u32,
}

/// While the process is short of memory: the least window that the protocol knows before settings are there (RFC 9113
/// section 6.9.2), for all streams together, and streams at once.
const TIGHT: (u32, u32) = (65_535, 16);

impl Limits {
    /// The same for a connection that begins while the process is short of memory.
    #[must_use]
    pub fn tight(self) -> Self {
        let (window, streams) = TIGHT;
        Self {
            max_streams: self.max_streams.min(streams),
            stream_window: self.stream_window.min(window),
            connection_window: self.connection_window.min(window),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 100,
            head: HeadLimits::default(),
            stream_window: 256 << 10,
            connection_window: 1 << 20,
        }
    }
}

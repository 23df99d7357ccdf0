//! How a route's WebSockets are kept and closed, with all defaults applied.

use std::time::Duration;

use usher_config::config::{self, WebSocketDrain};

/// How WebSockets are kept and closed.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketPolicy {
    /// Pings and pongs count as activity.
    pub pings: bool,
    /// They are closed in order when the process ends.
    pub close: bool,
    /// How long one may stay at an endpoint that is no longer to be used.
    pub stay: Option<Duration>,
}

impl Default for WebSocketPolicy {
    fn default() -> Self {
        Self::from(&config::WebSocket::default())
    }
}

impl From<&config::WebSocket> for WebSocketPolicy {
    fn from(websocket: &config::WebSocket) -> Self {
        let drain = websocket.drain.unwrap_or(WebSocketDrain::Close);
        Self {
            pings: websocket.pings.unwrap_or(true),
            close: drain == WebSocketDrain::Close,
            stay: websocket.stay,
        }
    }
}

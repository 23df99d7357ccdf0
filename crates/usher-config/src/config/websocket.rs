//! `websocket = …` of routes, bundles and `[defaults]`

use std::time::Duration;

crate::names! {
    /// What becomes of open WebSockets when this process ends, also after an upgrade.
    pub enum WebSocketDrain {
        /// Within the first part of `timeouts.drain`, each at a moment of its own, they are closed in order: at the end
        /// of a message, with a Close frame to both sides. This is the default.
        Close = "close",
        /// They stay until they end by themselves; what is left is cut off at the end of `timeouts.drain`.
        Wait = "wait",
    }
}

crate::section! {
    /// How WebSockets are kept and closed. How long one may be silent is `timeouts.tunnel_idle`.
    pub default struct WebSocket {
        /// Whether a WebSocket on which nothing but pings and pongs passes counts as active. Without it, it does. `false`
        /// ends it after `timeouts.tunnel_idle` without a message.
        pub pings: Option<bool>,
        /// What becomes of open WebSockets when this process ends, also after an upgrade: `close` or `wait`. Without it,
        /// `close`.
        pub drain: Option<WebSocketDrain>,
        /// How long a WebSocket may stay at an endpoint that is no longer to be used: an administrator drains or disables
        /// it, or a reload, a name or a change has removed it. Within that time, it is closed in order, as at the end of
        /// the process. Without it, it stays until it ends by itself.
        #[range(Duration::from_millis(1)..=Duration::from_secs(30 * 86_400))]
        pub stay: Option<Duration>,
    }
}

impl WebSocket {
    /// These, and where they say nothing, the other's.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            pings: self.pings.or(other.pings),
            drain: self.drain.or(other.drain),
            stay: self.stay.or(other.stay),
        }
    }
}

//! `[timeouts]`

use std::time::Duration;

/// The longest wait that makes sense to write.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(1);

crate::section! {
    /// How long to wait for what. Each of these starts anew whenever something moves; none limits how long a whole
    /// request or response takes, so long downloads are safe.
    pub default struct Timeouts {
        /// For a TLS handshake, from connecting.
        #[range(SHORTEST..=LONGEST)]
        pub handshake: Duration = super::tls::HANDSHAKE,
        /// From the first byte of a request (or from connecting) to the end of its head. The answer is 408.
        #[range(SHORTEST..=LONGEST)]
        pub head: Duration = Duration::from_secs(15),
        /// Without a byte of the request's body arriving.
        #[range(SHORTEST..=LONGEST)]
        pub body_idle: Duration = Duration::from_secs(30),
        /// An open connection of a client without a request.
        #[range(SHORTEST..=LONGEST)]
        pub keep_alive: Duration = Duration::from_secs(75),
        /// Without the client taking a byte of the response.
        #[range(SHORTEST..=LONGEST)]
        pub write_stall: Duration = Duration::from_secs(30),
        /// A tunnel (WebSocket, `CONNECT`) without a byte in either direction.
        #[range(SHORTEST..=LONGEST)]
        pub tunnel_idle: Duration = Duration::from_secs(3600),
        /// When the process is told to end: how long requests that are running may go on.
        pub drain: Duration = Duration::from_secs(30),
        /// Towards endpoints.
        pub upstream: UpstreamTimeouts = UpstreamTimeouts::default(),
    }
}

crate::section! {
    /// How long to wait for endpoints.
    pub default struct UpstreamTimeouts {
        /// To connect to an endpoint. Another endpoint is tried then, if there is one; otherwise the answer is 504.
        #[range(SHORTEST..=LONGEST)]
        pub connect: Duration = Duration::from_secs(5),
        /// From the end of the request to the first byte of the response. The answer is 504.
        #[range(SHORTEST..=LONGEST)]
        pub first_byte: Duration = Duration::from_secs(60),
        /// Without a byte moving, once the response has started.
        #[range(SHORTEST..=LONGEST)]
        pub idle: Duration = Duration::from_secs(60),
    }
}

crate::section! {
    /// Timeouts in place of those in `[timeouts]`, for one listener.
    pub default struct ListenerTimeouts {
        /// In place of `timeouts.handshake`.
        #[range(SHORTEST..=LONGEST)]
        pub handshake: Option<Duration>,
        /// In place of `timeouts.head`.
        #[range(SHORTEST..=LONGEST)]
        pub head: Option<Duration>,
        /// In place of `timeouts.body_idle`.
        #[range(SHORTEST..=LONGEST)]
        pub body_idle: Option<Duration>,
        /// In place of `timeouts.keep_alive`.
        #[range(SHORTEST..=LONGEST)]
        pub keep_alive: Option<Duration>,
        /// In place of `timeouts.write_stall`.
        #[range(SHORTEST..=LONGEST)]
        pub write_stall: Option<Duration>,
        /// In place of `timeouts.tunnel_idle`.
        #[range(SHORTEST..=LONGEST)]
        pub tunnel_idle: Option<Duration>,
    }
}

crate::section! {
    /// Timeouts in place of those in `[timeouts]`, for the requests of one route, or for one cluster.
    pub default struct RouteTimeouts {
        /// In place of `timeouts.body_idle`.
        #[range(SHORTEST..=LONGEST)]
        pub body_idle: Option<Duration>,
        /// In place of `timeouts.write_stall`.
        #[range(SHORTEST..=LONGEST)]
        pub write_stall: Option<Duration>,
        /// In place of `timeouts.tunnel_idle`.
        #[range(SHORTEST..=LONGEST)]
        pub tunnel_idle: Option<Duration>,
        /// In place of `timeouts.upstream.connect`.
        #[range(SHORTEST..=LONGEST)]
        pub connect: Option<Duration>,
        /// In place of `timeouts.upstream.first_byte`.
        #[range(SHORTEST..=LONGEST)]
        pub first_byte: Option<Duration>,
        /// In place of `timeouts.upstream.idle`.
        #[range(SHORTEST..=LONGEST)]
        pub idle: Option<Duration>,
    }
}

impl Timeouts {
    /// These timeouts with those of a listener in their place.
    #[must_use]
    pub fn with_listener(&self, own: &ListenerTimeouts) -> Self {
        Self {
            handshake: own.handshake.unwrap_or(self.handshake),
            head: own.head.unwrap_or(self.head),
            body_idle: own.body_idle.unwrap_or(self.body_idle),
            keep_alive: own.keep_alive.unwrap_or(self.keep_alive),
            write_stall: own.write_stall.unwrap_or(self.write_stall),
            tunnel_idle: own.tunnel_idle.unwrap_or(self.tunnel_idle),
            ..self.clone()
        }
    }

    /// These timeouts with those of a route or a cluster in their place. A route's come before its cluster's: apply
    /// the cluster's first.
    #[must_use]
    pub fn with_route(&self, own: &RouteTimeouts) -> Self {
        Self {
            body_idle: own.body_idle.unwrap_or(self.body_idle),
            write_stall: own.write_stall.unwrap_or(self.write_stall),
            tunnel_idle: own.tunnel_idle.unwrap_or(self.tunnel_idle),
            upstream: UpstreamTimeouts {
                connect: own.connect.unwrap_or(self.upstream.connect),
                first_byte: own.first_byte.unwrap_or(self.upstream.first_byte),
                idle: own.idle.unwrap_or(self.upstream.idle),
            },
            ..self.clone()
        }
    }
}

impl RouteTimeouts {
    /// These, and where they say nothing, the other's.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            body_idle: self.body_idle.or(other.body_idle),
            write_stall: self.write_stall.or(other.write_stall),
            tunnel_idle: self.tunnel_idle.or(other.tunnel_idle),
            connect: self.connect.or(other.connect),
            first_byte: self.first_byte.or(other.first_byte),
            idle: self.idle.or(other.idle),
        }
    }
}

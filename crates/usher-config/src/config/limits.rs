//! `[limits]`

use crate::value::{ByteSize, SizeLimit};

crate::section! {
    /// What one client may ask for, and all of them together. Whoever asks for more is refused: a connection is
    /// closed, a request is answered with 413, 414 or 431.
    pub default struct Limits {
        /// Connections of clients that may be open at once, over all listeners and workers.
        #[range(1..)]
        pub connections: u32 = 20_000,
        /// Connections that one client address may have open at once; `0` is no limit. Mind that many people may
        /// share one address, and that everybody does behind another proxy, unless it sends PROXY headers.
        pub connections_per_client: u32 = 0,
        /// TLS handshakes that may be under way at once, over all listeners and workers; more are refused.
        #[range(1..)]
        pub handshakes: u32 = 2000,
        /// Requests that may be under way at once on one connection of HTTP/2 or HTTP/3.
        #[range(1..=10_000)]
        pub streams: u32 = 100,
        /// The longest request line: method, target and version. The answer to a longer one is 414.
        #[range(ByteSize(64)..=ByteSize::mib(1))]
        pub request_line: ByteSize = ByteSize::kib(8),
        /// The largest head: request line and all fields. The answer to a larger one is 431.
        #[range(ByteSize(256)..=ByteSize::mib(1))]
        pub head: ByteSize = ByteSize::kib(32),
        /// How many fields a head may have. The answer to more is 431.
        #[range(1..=10_000)]
        pub fields: u32 = 100,
        /// The largest body of a request. Bodies are passed on as they come and not kept, so there is no limit
        /// unless you set one; the answer to a larger one is 413.
        pub body: SizeLimit = SizeLimit::Unlimited,
    }
}

crate::section! {
    /// Limits in place of those in `[limits]`, for one listener.
    pub default struct ListenerLimits {
        /// Connections that may be open at once on this listener; those in `[limits]` still count.
        #[range(1..)]
        pub connections: Option<u32>,
        /// In place of `limits.connections_per_client`.
        pub connections_per_client: Option<u32>,
        /// In place of `limits.streams`.
        #[range(1..=10_000)]
        pub streams: Option<u32>,
        /// In place of `limits.request_line`.
        #[range(ByteSize(64)..=ByteSize::mib(1))]
        pub request_line: Option<ByteSize>,
        /// In place of `limits.head`.
        #[range(ByteSize(256)..=ByteSize::mib(1))]
        pub head: Option<ByteSize>,
        /// In place of `limits.fields`.
        #[range(1..=10_000)]
        pub fields: Option<u32>,
    }
}

crate::section! {
    /// Limits in place of those in `[limits]`, for one route.
    pub default struct RouteLimits {
        /// In place of `limits.body`.
        pub body: Option<SizeLimit>,
    }
}

impl Limits {
    /// These limits with those of a listener in their place. `connections` stays: both count.
    #[must_use]
    pub fn with_listener(&self, own: &ListenerLimits) -> Self {
        Self {
            connections: self.connections,
            connections_per_client: own.connections_per_client.unwrap_or(self.connections_per_client),
            handshakes: self.handshakes,
            streams: own.streams.unwrap_or(self.streams),
            request_line: own.request_line.unwrap_or(self.request_line),
            head: own.head.unwrap_or(self.head),
            fields: own.fields.unwrap_or(self.fields),
            body: self.body,
        }
    }
}

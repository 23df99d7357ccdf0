//! `sessions = …` of a listener of UDP

use std::time::Duration;

use crate::value::Rate;

/// The shortest silence that ends a session.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(86_400);

crate::section! {
    /// Sessions of a listener that carries UDP. A session is what one client, by its address and port, sends and is sent; it
    /// stays at one endpoint. How many there may be is `limits.connections` (10,000 unless it is set) and
    /// `limits.connections_per_client`.
    pub default struct Sessions {
        /// A session ends when there was no datagram in either direction for so long.
        #[range(SHORTEST..=LONGEST)]
        pub idle: Duration = Duration::from_secs(60),
        /// How many datagrams the endpoint sends for each one of the client's. Once they have come, the session ends
        /// without waiting to be idle; if fewer come until then, the endpoint has failed. `1` suits DNS.
        #[range(1..=1_000_000)]
        pub responses: Option<u32>,
        /// After so many datagrams of the client, its next one begins a new session, perhaps at another endpoint. Answers
        /// to the former still reach it.
        #[range(1..=1_000_000)]
        pub requests: Option<u32>,
        /// How many sessions may begin, over all clients and workers; whoever else comes is not served. Without it, as many
        /// as there may be.
        pub rate: Option<Rate>,
    }
}

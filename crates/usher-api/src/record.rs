//! What is known of an exchange when it ends: for access logs and metrics.

mod failures;

use crate::exchange::Exchange;
pub use failures::Failures;

/// Filled on the way; microseconds count from when the request head was complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The whole exchange, in microseconds.
    pub total: u64,
    /// Making the connection to the endpoint, in microseconds; 0 if one was reused.
    pub connect: u64,
    /// Until the endpoint's response head was complete, in microseconds; 0 if none came.
    pub first_byte: u64,
    /// Bytes received from the client: head and body.
    pub received: u64,
    /// Bytes sent to the client: head and body.
    pub sent: u64,
    /// Bytes of the response's body sent to the client, without framing.
    pub body_sent: u64,
    /// Index of the route in the snapshot.
    pub route: Option<u32>,
    /// Index of the cluster in the snapshot.
    pub cluster: Option<u32>,
    /// Index of the target that was chosen, where the route splits; another cluster may have taken its place.
    pub split: Option<u32>,
    /// Index of the endpoint in the cluster.
    pub endpoint: Option<u32>,
    /// How often another endpoint or connection was tried.
    pub retries: u16,
    /// The connection to the endpoint was reused.
    pub reused: bool,
    /// Why the proxy answered itself or the exchange broke off; empty if the response is the endpoint's.
    pub reason: &'static str,
    /// More detail on the reason; what endpoints failed at is in [`Exchange::failures`].
    pub detail: &'static str,
    /// The status that went to the client; 0 if none did.
    pub status: u16,
    /// The status of gRPC in the trailers of the endpoint's response, if there was one.
    pub call: Option<u8>,
}

/// A finished exchange with the names that its record's indices stand for.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    /// The exchange; its `record` is complete.
    pub exchange: &'a Exchange,
    /// The method as it came. Empty where the head could not be parsed; likewise the next two.
    pub method: &'a str,
    /// The target as it came, before rewriting.
    pub target: &'a [u8],
    /// The protocol version.
    pub version: &'a str,
    /// The route's name; empty if none was found.
    pub route: &'a str,
    /// The cluster's name; empty if none was chosen.
    pub cluster: &'a str,
    /// The endpoint's address; empty if none was chosen.
    pub endpoint: &'a str,
    /// When the request head was complete, in microseconds since 1970.
    pub started_unix_micros: u64,
}

/// Takes the records of finished exchanges. Called on the path: it formats and hands over, it never waits.
pub trait AccessSink: Send + Sync {
    /// Takes one; drops it and counts if its queue is full.
    fn record(&self, view: &RecordView<'_>);

    /// Opens its file anew, after the old one was moved away.
    fn reopen(&self) {}

    /// Records that were dropped so far.
    fn dropped(&self) -> u64 {
        0
    }

    /// Writes out what is queued, for the end of the process; waits at most a second.
    fn flush(&self) {}
}

//! What one connection may cost.

use usher_http::parse::HeadLimits;

use crate::qpack::TABLE_CAPACITY;

/// What a connection of HTTP/3 may cost, beside what QUIC's own options say (streams at once, windows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Heads.
    pub head: HeadLimits,
    /// The table for the compression of heads that the peer is offered (bytes); 0 offers none.
    pub table: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: HeadLimits::default(), table: TABLE_CAPACITY }
    }
}

/// What trailers may cost: what they may in HTTP/1.
pub(super) const TRAILERS: HeadLimits = HeadLimits { line: 0, head: 8 << 10, fields: 32 };

/// What one field takes at most of a head beside what the limits count: its lengths and references, encoded.
const PER_FIELD: usize = 8;

/// The largest section (bytes, encoded) that can hold a head within these limits.
pub(super) fn largest_section(limits: &HeadLimits) -> usize {
    limits.head.saturating_add(limits.fields.saturating_mul(PER_FIELD)).saturating_add(64)
}

/// How long after the first GOAWAY requests that were on their way are still taken, in round trips, and between which
/// bounds (milliseconds).
pub(super) const GRACE_ROUND_TRIPS: u32 = 2;
pub(super) const GRACE_MS: (u64, u64) = (50, 1000);

//! What was done for want of memory or descriptors: counted, as it is what an operator asks for afterwards.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Something that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Deed {
    /// A connection at rest was closed.
    ClosedIdle = 0,
    /// A request of a route of low criticality was refused.
    RefusedLow = 1,
    /// One of normal criticality was.
    RefusedNormal = 2,
    /// A listener stopped accepting for a moment.
    PausedAccept = 3,
    /// A connection was closed as it was accepted: its descriptor is one that is kept for others.
    TurnedAway = 4,
    /// A client that was slow to take its response, or to send its request, was ended.
    EndedSlow = 5,
    /// A body was not gathered for a filter: its request was refused.
    RefusedBody = 6,
    /// What was sent of a body was forgotten: its request is not sent again.
    ForgotBody = 7,
}

impl Deed {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::ClosedIdle,
        Self::RefusedLow,
        Self::RefusedNormal,
        Self::PausedAccept,
        Self::TurnedAway,
        Self::EndedSlow,
        Self::RefusedBody,
        Self::ForgotBody,
    ];

    /// As metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClosedIdle => "closed_idle",
            Self::RefusedLow => "refused_low",
            Self::RefusedNormal => "refused_normal",
            Self::PausedAccept => "paused_accept",
            Self::TurnedAway => "turned_away",
            Self::EndedSlow => "ended_slow",
            Self::RefusedBody => "refused_body",
            Self::ForgotBody => "forgot_body",
        }
    }
}

static COUNTS: [AtomicU64; Deed::ALL.len()] = [const { AtomicU64::new(0) }; Deed::ALL.len()];

/// Notes that something was done, so many times.
#[cold]
pub fn did(deed: Deed, times: u64) {
    if let Some(count) = COUNTS.get(deed as usize) {
        count.fetch_add(times, Relaxed);
    }
}

/// How often everything was done.
pub fn deeds() -> impl Iterator<Item = (Deed, u64)> {
    Deed::ALL.into_iter().zip(COUNTS.iter().map(|count| count.load(Relaxed)))
}

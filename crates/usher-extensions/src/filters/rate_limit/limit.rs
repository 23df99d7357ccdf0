//! The limit itself: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"), which counts exactly as a
//! token bucket does and needs one number for each client.
//!
//! That number is the theoretical arrival time: when the bucket will be full again, in nanoseconds of a monotonic
//! clock. A request moves it one interval into the future; it is refused if that were more than `burst` intervals.

/// No limit reaches further into the future, so that sums of times do not overflow (nanoseconds; 73 years).
const HORIZON: u64 = u64::MAX / 8;

/// A rate and a burst, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The time in which one request is earned; at least 1.
    interval: u64,
    /// The time in which a whole burst is earned.
    span: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass; the new arrival time.
    Pass(u64),
    /// It may not; after so many nanoseconds one may.
    Wait(u64),
}

impl Limit {
    /// One request per `interval` nanoseconds, `burst` at once.
    pub fn new(interval: u64, burst: u32) -> Self {
        let interval = interval.clamp(1, HORIZON);
        Self { interval, span: interval.saturating_mul(u64::from(burst.max(1))).min(HORIZON) }
    }

    /// A request at `now` of a client whose arrival time is `arrival` (0 for one that is new).
    pub fn decide(&self, arrival: u64, now: u64) -> Verdict {
        let next = arrival.max(now).saturating_add(self.interval);
        let latest = now.saturating_add(self.span);
        if next > latest { Verdict::Wait(next - latest) } else { Verdict::Pass(next) }
    }

    /// How many requests may pass now, and after how many nanoseconds the whole burst may again.
    pub fn left(&self, arrival: u64, now: u64) -> (u64, u64) {
        let owed = arrival.saturating_sub(now);
        (self.span.saturating_sub(owed) / self.interval, owed)
    }
}

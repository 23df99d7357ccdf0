//! Limits against floods: frames that are legal one by one, and cost more to answer than to send.
//!
//! Each kind has an allowance that is used up by one per frame and grows with time, and with what is worth its cost. A
//! peer that uses it up is told ENHANCE_YOUR_CALM (RFC 9113 section 10.5). The clock is read only when one is used up.

use std::time::Instant;

use super::frame::{Code, Wrong};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Streams that the peer resets ("rapid reset", CVE-2023-44487), and RST_STREAM for those that have ended.
    Reset,
    /// Streams that are reset for what the peer did on them ("made you reset", CVE-2025-8671).
    Mistake,
    /// SETTINGS, acknowledgements too (CVE-2019-9515).
    Settings,
    /// PING (CVE-2019-9512).
    Ping,
    /// DATA without data that does not end its stream either (CVE-2019-9518).
    Empty,
    /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    Priority,
    /// WINDOW_UPDATE.
    Window,
    /// Frames of unknown kinds.
    Unknown,
}

/// What may come at once, what per second, and the phrase for the log.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    per_second: u32,
    phrase: &'static str,
}

const KINDS: usize = 8;

static RATES: [Rate; KINDS] = [
    // A browser that leaves a page cancels what is on its way: a hundred at once. What ends in order gives one back.
    Rate { burst: 500, per_second: 50, phrase: "flood of reset streams" },
    Rate { burst: 100, per_second: 10, phrase: "flood of malformed streams" },
    // gRPC changes its windows with them, as it learns what the path carries.
    Rate { burst: 256, per_second: 16, phrase: "flood of SETTINGS" },
    // gRPC measures with them, at most one per DATA; what is sent gives some back.
    Rate { burst: 500, per_second: 50, phrase: "flood of PING" },
    Rate { burst: 200, per_second: 20, phrase: "flood of empty frames" },
    // A request may come with one, and change its mind.
    Rate { burst: 1000, per_second: 200, phrase: "flood of PRIORITY" },
    // What is sent gives some back.
    Rate { burst: 1000, per_second: 200, phrase: "flood of WINDOW_UPDATE" },
    Rate { burst: 200, per_second: 20, phrase: "flood of unknown frames" },
];

/// Frames of a header block behind its first (CVE-2024-27316).
pub(super) const MAX_CONTINUATIONS: u32 = 32;

/// What is left of the allowances.
#[derive(Debug)]
pub(super) struct Flood {
    left: [u32; KINDS],
    since: [Instant; KINDS],
}

impl Flood {
    pub(super) fn new() -> Self {
        Self { left: RATES.map(|rate| rate.burst), since: [Instant::now(); KINDS] }
    }

    /// Counts one.
    #[inline]
    pub(super) fn count(&mut self, kind: Kind) -> Result<(), Wrong> {
        let left = &mut self.left[kind as usize];
        match left.checked_sub(1) {
            Some(less) => {
                *left = less;
                Ok(())
            }
            None => self.refill(kind),
        }
    }

    /// Gives some back.
    #[inline]
    pub(super) fn give_back(&mut self, kind: Kind, number: u32) {
        let left = &mut self.left[kind as usize];
        *left = left.saturating_add(number).min(RATES[kind as usize].burst);
    }

    fn refill(&mut self, kind: Kind) -> Result<(), Wrong> {
        let Rate { burst, per_second, phrase } = RATES[kind as usize];
        let now = Instant::now();
        let passed = now.duration_since(self.since[kind as usize]).as_millis();
        let grown = (passed * u128::from(per_second) / 1000).min(burst.into()) as u32;
        if grown == 0 {
            return Err(Wrong::Connection(Code::EnhanceYourCalm, phrase));
        }
        self.since[kind as usize] = now;
        self.left[kind as usize] = grown - 1;
        Ok(())
    }
}

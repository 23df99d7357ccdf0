//! A limit on requests that finds itself, by how long responses take to begin.
//!
//! As Envoy's adaptive concurrency filter and Netflix's `concurrency-limits` (Gradient2) do it: per window, the limit is
//! multiplied by how long responses take without load over how long they take now, and a square root of it is added as
//! headroom. What differs, and why:
//!
//! - **Without load** is measured, as Envoy does, and not averaged, as Gradient2 does: an average learns an overload that
//!   lasts as if it were normal. But Envoy goes down to three requests for that, which refuses nearly everybody of a busy
//!   cluster; here it is half of the limit, as BBRv2 probes for its round-trip time (draft-cardwell-iccrg-bbr-congestion-
//!   control-02 section 4.3.4.4). Where that finds less than was known, there was load yet, and it is done again soon, until
//!   there is nothing more to be found.
//! - **When half as many requests are not served any faster**, load was not what made them slow: a database did, or
//!   another version. Then the way they are is the new normal, at once; else a limit would fall to its minimum.
//! - **The mean of a window is geometric.** A few responses that take very long hardly move it, where an arithmetic mean
//!   follows them; and where some requests are fast and others slow, it moves smoothly as their shares do, where a median
//!   jumps.
//! - **A window is at least two responses long**, so that the effect of the last change shows in it.
//!
//! A limit of which less than half is used stays as it is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use usher_config::config;

/// The shortest window (milliseconds) …
const WINDOW: u64 = 100;
/// … and the longest, where responses take very long.
const LONGEST_WINDOW: u64 = 5_000;
/// Fewer responses than this say nothing: of times that are distributed exponentially, the mean of so many is right within
/// a fifth or so.
const ENOUGH: u32 = 50;
/// So many say how long they take without load.
const ENOUGH_WITHOUT_LOAD: u32 = 100;
/// A measurement without load takes this long at most (milliseconds).
const LONGEST_MEASUREMENT: u64 = 10_000;
/// After the first measurement, and after each that found less than was known, it is done again so soon (milliseconds).
const SOON: u64 = 2_000;
/// The limit changes by no more than these factors in a window.
const STEEPEST: (f64, f64) = (0.5, 2.0);
/// Times that differ by less than this (a tenth, as a binary logarithm) are the same.
const SAME: f64 = 0.14;
/// Binary logarithms are summed up in steps of this.
const SCALE: f64 = 65_536.0;

/// The limit of one cluster, over all workers; it outlives reloads.
#[derive(Debug, Default)]
pub struct Adaptive {
    /// The limit that holds now; 0 before there was a response.
    limit: AtomicU32,
    /// Responses of this window, and the sum of the logarithms of their times.
    seen: (AtomicU32, AtomicU64),
    /// The most requests that were under way at once in it.
    peak: AtomicU32,
    /// When the window may end (milliseconds), and after how many responses.
    due: (AtomicU64, AtomicU32),
    /// How long responses take without load (microseconds); 0 if that is not known.
    base_micros: AtomicU64,
    /// Clients of this window that left before there was a response.
    lost: AtomicU32,
    control: Mutex<Control>,
}

#[derive(Debug, Default)]
struct Control {
    /// The limit, but for a measurement.
    limit: f64,
    /// The logarithm of the time that responses take without load.
    base: Option<f64>,
    stage: Stage,
    /// When it is measured next how long they take without load.
    next: u64,
    /// Before the limit was lowered for that: how long responses took, and the most requests that were under way.
    before: (f64, u32),
    /// While the limit falls: what it was before, the most requests that were under way since, and how long responses took
    /// then.
    fall: Option<(f64, u32, f64)>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Usual,
    /// The limit was lowered; there are more requests yet.
    Draining { since: u64 },
    /// Those that are under way do not count, as they began with more.
    Passing { since: u64, left: u32 },
    /// What ends now began without load.
    Measuring { since: u64 },
}

/// A response, and what is known as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Response {
    /// How long it took to begin (microseconds).
    pub micros: u64,
    /// When that was (milliseconds).
    pub now: u64,
    /// Requests under way.
    pub under_way: u32,
    /// Something random.
    pub random: u64,
}

impl Adaptive {
    /// The limit that holds now.
    pub fn limit(&self, settings: &config::Adaptive) -> u32 {
        let limit = match self.limit.load(Relaxed) {
            0 => settings.initial,
            limit => limit,
        };
        limit.clamp(settings.min, settings.max)
    }

    /// How long responses take without load (microseconds), if that is known.
    pub fn base_micros(&self) -> Option<u64> {
        Some(self.base_micros.load(Relaxed)).filter(|micros| *micros > 0)
    }

    /// So many requests are under way.
    pub fn used(&self, under_way: u32) {
        if under_way > self.peak.load(Relaxed) {
            self.peak.fetch_max(under_way, Relaxed);
        }
    }

    /// Counts a response; true if the limit is higher for it.
    pub fn note(&self, settings: &config::Adaptive, response: Response) -> bool {
        // Where there is no room, nobody who comes tells how many there are.
        self.used(response.under_way);
        let logarithm = (response.micros.max(1) as f64).log2();
        self.seen.1.fetch_add((logarithm * SCALE) as u64, Relaxed);
        let seen = self.seen.0.fetch_add(1, Relaxed).saturating_add(1);
        if seen < self.due.1.load(Relaxed) || response.now < self.due.0.load(Relaxed) {
            return false;
        }
        // Another worker does it just now.
        let Ok(mut control) = self.control.try_lock() else { return false };
        let before = self.limit(settings);
        self.step(settings, &mut control, response);
        self.limit(settings) > before
    }

    /// A client has left before there was a response, after so long. That says something where it is longer than twice what
    /// is usual: a limit that heard of none but those who waited long enough would never find out that nobody does.
    pub fn left(&self, settings: &config::Adaptive, response: Response) {
        match self.base_micros() {
            Some(base) if response.micros > base.saturating_mul(2) => {
                self.lost.fetch_add(1, Relaxed);
                self.note(settings, response);
            }
            Some(_) => {}
            // So many have left, and it is not even known how long it should take: there are too many.
            None if self.lost.fetch_add(1, Relaxed) + 1 >= ENOUGH => {
                self.lost.store(0, Relaxed);
                if let Ok(mut control) = self.control.try_lock() {
                    control.limit = f64::from((self.limit(settings) / 2).max(settings.min));
                    self.limit.store(control.limit as u32, Relaxed);
                }
            }
            None => {}
        }
    }

    /// A window, or a step of a measurement, is over.
    fn step(&self, settings: &config::Adaptive, control: &mut Control, response: Response) {
        let Response { now, under_way, .. } = response;
        match control.stage {
            Stage::Usual => {
                if let Some(window) = self.take(ENOUGH) {
                    self.usual(settings, control, window, response);
                }
            }
            Stage::Draining { since } if under_way <= self.limit.load(Relaxed) => {
                control.stage = Stage::Passing { since, left: under_way };
            }
            Stage::Passing { since, left } => {
                control.stage = match left.checked_sub(1) {
                    Some(left) => Stage::Passing { since, left },
                    None => {
                        self.take(0);
                        Stage::Measuring { since }
                    }
                };
            }
            Stage::Measuring { .. } => {
                if let Some(window) = self.take(ENOUGH_WITHOUT_LOAD) {
                    self.measured(settings, control, (window, response));
                }
            }
            Stage::Draining { .. } => {}
        }
        if let Stage::Draining { since } | Stage::Passing { since, .. } | Stage::Measuring { since } =
            control.stage
            && now.saturating_sub(since) > LONGEST_MEASUREMENT
        {
            self.resume(settings, control, (settings.interval.as_millis() as u64, response));
        }
    }

    /// The limit for the next window.
    fn usual(
        &self,
        settings: &config::Adaptive,
        control: &mut Control,
        (mean, peak, is_cut): (f64, u32, bool),
        response: Response,
    ) {
        if control.limit == 0.0 {
            control.limit = settings.initial.into();
        }
        let Some(base) = control.base else {
            self.measured(settings, control, ((mean, peak, is_cut), response));
            return;
        };
        let tolerance = 1.0 + f64::from(settings.tolerance.millionths()) / 1e6;
        let gradient = ((base - mean).exp2() * tolerance).clamp(STEEPEST.0, STEEPEST.1);
        let before = control.limit;
        // A limit that is not used governs nothing: that it grows would make it worth nothing when it is needed, and it
        // would shrink by chance.
        if f64::from(peak) * 2.0 >= before {
            control.limit = before * gradient + before.sqrt();
        }
        control.limit = control.limit.clamp(settings.min.into(), settings.max.into());
        // Times that clients cut short say only that it took longer.
        if is_cut {
            control.fall = None;
        } else {
            self.watch(control, (before, peak, mean), response.now);
        }
        let window = (mean.exp2() * 2.0 / 1000.0) as u64;
        self.due.0.store(response.now + window.clamp(WINDOW, LONGEST_WINDOW), Relaxed);
        self.due.1.store(ENOUGH, Relaxed);
        self.limit.store(control.limit as u32, Relaxed);
        if response.now >= control.next {
            self.begin(settings, control, (mean, peak, response.now));
        }
    }

    /// Looks whether a limit that falls makes responses any faster. If not, they take as long as they do.
    fn watch(&self, control: &mut Control, (before, peak, mean): (f64, u32, f64), now: u64) {
        // Twice as fast as without load: what was slow then is over.
        if control.base.is_some_and(|base| mean < base - 1.0) {
            self.learn(control, mean);
        }
        if control.limit >= before {
            control.fall = None;
            return;
        }
        let (first_limit, most, slowest) = control.fall.get_or_insert((before, peak, mean));
        // Times follow load later: what responses took that began with as many shows in a window to come.
        if peak > *most / 2 {
            (*most, *slowest) = (peak.max(*most), mean.max(*slowest));
            return;
        }
        let (first_limit, slowest) = (*first_limit, *slowest);
        control.fall = None;
        if mean > slowest - SAME {
            self.learn(control, mean);
            control.limit = first_limit;
            control.next = control.next.min(now + SOON);
        }
    }

    /// Begins to measure how long responses take without load.
    fn begin(&self, settings: &config::Adaptive, control: &mut Control, (mean, peak, now): (f64, u32, u64)) {
        let lowered = ((control.limit / 2.0) as u32).max(settings.min);
        self.limit.store(lowered, Relaxed);
        self.due.0.store(0, Relaxed);
        self.due.1.store(0, Relaxed);
        control.before = (mean, peak);
        control.stage = Stage::Draining { since: now };
    }

    /// It was measured.
    fn measured(
        &self,
        settings: &config::Adaptive,
        control: &mut Control,
        ((mean, peak, is_cut), response): ((f64, u32, bool), Response),
    ) {
        let (known, before) = (control.base, control.before);
        // If it takes longer than was known, that may be load yet, or load that came meanwhile. It is not where nobody was
        // refused, or where half as many requests were served no faster.
        let is_refusing = peak >= self.limit.load(Relaxed);
        let has_helped = mean < before.0 - SAME || u64::from(peak) * 3 > u64::from(before.1) * 2;
        // There is nothing below `min`: as in Envoy, what is measured there is without load.
        let is_least = self.limit.load(Relaxed) <= settings.min;
        let is_telling = is_cut || is_refusing && has_helped && !is_least;
        let is_loaded = known.is_some_and(|known| mean > known) && is_telling;
        if !is_loaded {
            self.learn(control, mean);
        }
        let is_settled = !is_loaded && known.is_some_and(|known| (mean - known).abs() < SAME);
        let next = if is_settled { settings.interval.as_millis() as u64 } else { SOON };
        self.resume(settings, control, (next, response));
    }

    fn learn(&self, control: &mut Control, mean: f64) {
        control.base = Some(mean);
        self.base_micros.store((mean.exp2() as u64).max(1), Relaxed);
    }

    /// Goes on as usual, until it is measured again after so long.
    fn resume(&self, settings: &config::Adaptive, control: &mut Control, (next, response): (u64, Response)) {
        let spread = next / 5;
        let off = ((u128::from(response.random) * u128::from(spread)) >> 64) as u64;
        control.stage = Stage::Usual;
        control.next = response.now + next - spread / 2 + off;
        control.limit = control.limit.clamp(settings.min.into(), settings.max.into());
        self.take(0);
        self.limit.store(control.limit as u32, Relaxed);
        self.due.0.store(response.now + WINDOW, Relaxed);
        self.due.1.store(ENOUGH, Relaxed);
    }

    /// The logarithm of the mean time of what was seen, the peak, and whether clients cut those times short by leaving, if
    /// it was so much; it begins anew then.
    fn take(&self, enough: u32) -> Option<(f64, u32, bool)> {
        let seen = self.seen.0.load(Relaxed);
        if seen < enough {
            return None;
        }
        self.seen.0.store(0, Relaxed);
        let sum = self.seen.1.swap(0, Relaxed);
        let peak = self.peak.swap(0, Relaxed);
        let is_cut = self.lost.swap(0, Relaxed) > seen / 10;
        (seen > 0).then(|| (sum as f64 / SCALE / f64::from(seen), peak, is_cut))
    }
}

#[cfg(test)]
mod tests;

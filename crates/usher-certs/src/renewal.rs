//! When to renew, and how long to wait after failures. Pure.

use std::time::{Duration, SystemTime};

use crate::random::part;
use crate::storage::Window;

/// The wait after the first failure.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_secs(60);
/// The longest wait between attempts.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(24 * 3600);
/// How much a wait is changed at random, as a share of it: many names that failed together do not return together.
const BACKOFF_JITTER: f64 = 0.2;
/// While there is a certificate that has not expired, attempts are at least so many in what is left of it …
const ATTEMPTS_LEFT: u32 = 12;
/// … but no closer to each other than this.
const ATTEMPTS_EVERY: Duration = Duration::from_secs(3600);
/// Certificates that live less are renewed at half of their lifetime.
const SHORT_LIVED: Duration = Duration::from_secs(10 * 24 * 3600);
/// The share of the lifetime that must be left at a renewal, whatever the CA suggests.
const LAST_SHARE: f64 = 0.05;
/// Renewal is moved forward by up to this share of the lifetime, differently for each certificate.
const SPREAD: f64 = 0.02;
/// Bounds of the time between two questions for the renewal window (RFC 9773 section 4.3.2).
const WINDOW_CHECK_MIN: Duration = Duration::from_secs(60);
const WINDOW_CHECK_MAX: Duration = Duration::from_secs(24 * 3600);

/// From when to when a certificate is valid, and something that differs between certificates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// At least 0, less than 1; the same whenever the same certificate is looked at.
    pub(crate) spread: f64,
}

impl Lifetime {
    fn length(&self) -> Duration {
        self.not_after.duration_since(self.not_before).unwrap_or_default()
    }

    /// When this share of the lifetime is left.
    fn with_left(&self, share: f64) -> SystemTime {
        self.not_after.checked_sub(part(self.length(), share)).unwrap_or(self.not_before)
    }

    /// When to renew by the lifetime alone.
    pub(crate) fn share_point(&self, share: Option<f64>) -> SystemTime {
        let default = if self.length() < SHORT_LIVED { 0.5 } else { 1.0 / 3.0 };
        self.with_left(share.unwrap_or(default) + SPREAD * self.spread)
    }

    /// When to renew: in the CA's window if it has one, but not when hardly anything is left.
    pub(crate) fn due(&self, share: Option<f64>, window: Option<&Window>) -> SystemTime {
        match window {
            Some(window) => window.chosen.min(self.with_left(LAST_SHARE)),
            None => self.share_point(share),
        }
    }
}

/// A window as the CA gave it, with a moment in it. The moment of before is kept while the window stays the same.
///
/// None if its end is not after its start: then it means nothing (RFC 9773 section 4.2).
pub(crate) fn choose(
    (start, end): (SystemTime, SystemTime),
    check: SystemTime,
    before: Option<&Window>,
    fraction: f64,
) -> Option<Window> {
    let length = end.duration_since(start).ok().filter(|length| !length.is_zero())?;
    let same = before.filter(|window| window.start == start && window.end == end);
    // To the second, as it is kept in storage.
    let length = Duration::from_secs(part(length, fraction).as_secs());
    let chosen = same.map_or_else(|| start + length, |window| window.chosen);
    Some(Window { start, end, chosen, check })
}

/// When to ask for the window again, of what the CA said.
pub(crate) fn window_check(now: SystemTime, retry_after: Duration) -> SystemTime {
    now + retry_after.clamp(WINDOW_CHECK_MIN, WINDOW_CHECK_MAX)
}

/// The wait after so many failures: a minute, doubled each time up to a day, and changed by up to a fifth.
pub(crate) fn backoff(failures: u32, fraction: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let plain = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MAX);
    part(plain, 1.0 + BACKOFF_JITTER * (2.0 * fraction - 1.0)).min(BACKOFF_MAX)
}

/// The wait after a failure where a certificate is still valid for so long: a day is too long for one that lives for six.
pub(crate) fn in_time(wait: Duration, left: Option<Duration>) -> Duration {
    match left.filter(|left| !left.is_zero()) {
        Some(left) => wait.min((left / ATTEMPTS_LEFT).max(ATTEMPTS_EVERY)),
        None => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const DAY: Duration = Duration::from_secs(86_400);

    fn day(number: u32) -> SystemTime {
        UNIX_EPOCH + DAY * (1000 + number)
    }

    fn lifetime(days: u32) -> Lifetime {
        Lifetime { not_before: day(0), not_after: day(days), spread: 0.0 }
    }

    #[test]
    fn renews_at_a_third_or_half_or_what_is_asked() {
        let near = |at: SystemTime, wanted: SystemTime| {
            at.duration_since(wanted).unwrap_or_else(|error| error.duration()) < Duration::from_secs(2)
        };
        assert!(near(lifetime(90).share_point(None), day(60)));
        assert!(near(lifetime(6).share_point(None), day(3)));
        assert!(near(lifetime(90).share_point(Some(0.5)), day(45)));
        let spread = Lifetime { spread: 0.999, ..lifetime(90) };
        assert!(spread.share_point(None) < day(60) && spread.share_point(None) > day(57));
    }

    #[test]
    fn follows_the_window_but_not_past_the_end() {
        let window = choose((day(10), day(12)), day(1), None, 0.5).unwrap();
        assert_eq!(lifetime(90).due(None, Some(&window)), day(11));
        let late = choose((day(89), day(100)), day(1), None, 0.9).unwrap();
        assert!(lifetime(90).due(None, Some(&late)) < day(86));
        assert_eq!(choose((day(12), day(10)), day(1), None, 0.5), None);
        assert_eq!(choose((day(12), day(12)), day(1), None, 0.5), None);
    }

    #[test]
    fn the_moment_stays_while_the_window_does() {
        let first = choose((day(10), day(12)), day(1), None, 0.25).unwrap();
        let same = choose((day(10), day(12)), day(2), Some(&first), 0.75).unwrap();
        assert_eq!((same.chosen, same.check), (first.chosen, day(2)));
        let other = choose((day(10), day(13)), day(2), Some(&first), 0.75).unwrap();
        assert_ne!(other.chosen, first.chosen);
    }

    #[test]
    fn asks_within_bounds() {
        assert_eq!(window_check(day(0), Duration::ZERO), day(0) + Duration::from_secs(60));
        assert_eq!(window_check(day(0), DAY * 30), day(1));
        assert_eq!(window_check(day(0), DAY / 4), day(0) + DAY / 4);
    }

    #[test]
    fn waits_double_up_to_a_day() {
        let plain: Vec<u64> =
            [1, 2, 3, 11, 12, 50, u32::MAX].iter().map(|n| backoff(*n, 0.5).as_secs()).collect();
        assert_eq!(plain, [60, 120, 240, 61_440, 86_400, 86_400, 86_400]);
        assert_eq!(backoff(1, 0.0), Duration::from_secs(48));
        assert!(backoff(1, 0.999) > Duration::from_secs(70));
    }

    #[test]
    fn a_certificate_that_is_about_to_expire_is_not_left_for_a_day() {
        let hour = Duration::from_secs(3600);
        let cases = [
            (DAY, Some(DAY * 30), DAY),
            (DAY, Some(DAY * 3), hour * 6),
            (DAY, Some(DAY / 4), hour),
            (DAY, Some(Duration::from_secs(1)), hour),
            (DAY / 24 / 60, Some(DAY * 3), DAY / 24 / 60),
            // It is too late, or there is none: the wait grows as always.
            (DAY, Some(Duration::ZERO), DAY),
            (DAY, None, DAY),
        ];
        for (wait, left, wanted) in cases {
            assert_eq!(in_time(wait, left), wanted, "{left:?}");
        }
    }
}

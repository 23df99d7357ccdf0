//! Random numbers for jitter and choices.

use std::time::Duration;

/// At least 0, less than 1. Falls back to the middle if the system gives no randomness: jitter is not a secret.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// Part of a duration: `fraction` of it.
pub(crate) fn part(of: Duration, fraction: f64) -> Duration {
    Duration::try_from_secs_f64(of.as_secs_f64() * fraction.max(0.0)).unwrap_or(of)
}

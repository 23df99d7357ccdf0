//! What the process says about itself: one line each on standard error, with the time (UTC) and a level.

use std::fmt::{Arguments, Display, Formatter, Write as _};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Says what happened.
pub(crate) fn info(text: Arguments<'_>) {
    line("info ", text);
}

/// Says what is likely not meant so, or is worth a look.
pub(crate) fn warn(text: Arguments<'_>) {
    line("warn ", text);
}

/// Says what failed.
pub(crate) fn error(text: Arguments<'_>) {
    line("error", text);
}

/// One write for the whole line, so that lines of several threads do not mix.
fn line(level: &str, text: Arguments<'_>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut line = String::with_capacity(128);
    let _ = write!(line, "{} {level} ", Utc(since.as_secs()));
    let start = line.len();
    let _ = write!(line, "{text}");
    // One line each: what others wrote into an error must not look like a line of ours.
    let rest = line.split_off(start);
    line.extend(rest.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }));
    line.push('\n');
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Seconds since 1970 as `2026-01-31T23:59:59Z` (RFC 3339).
struct Utc(u64);

impl Display for Utc {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar (Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms"): years begin in March there, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::Utc;

    #[test]
    fn writes_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(Utc(seconds).to_string(), expected);
        }
    }
}

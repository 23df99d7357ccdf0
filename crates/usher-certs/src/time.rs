//! Times as they are stored and shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, negative before.
pub(crate) fn unix_seconds(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// The time of these seconds since 1970; None if it cannot be represented.
pub(crate) fn from_unix(seconds: i64) -> Option<SystemTime> {
    match u64::try_from(seconds) {
        Ok(after) => UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    }
}

/// Year, month (1 to 12), day, hour, minute and second in UTC.
pub(crate) fn civil(at: SystemTime) -> (i64, u8, u8, u8, u8, u8) {
    let seconds = unix_seconds(at);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March of year 0, in eras of 400 years, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u8::try_from(value).unwrap_or_default();
    (year, small(month), small(day), small(rest / 3600), small(rest / 60 % 60), small(rest % 60))
}

/// As in RFC 3339, in UTC, to the second.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = civil(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The time of these fields of the calendar in UTC; None if they are out of range.
pub(crate) fn from_civil(year: i64, month: i64, day: i64, seconds_of_day: i64) -> Option<SystemTime> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    from_unix((era * 146_097 + day_of_era - 719_468) * 86_400 + seconds_of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, text) in cases {
            let at = from_unix(seconds).unwrap();
            assert_eq!(rfc3339(at), text);
            let (year, month, day, hour, minute, second) = civil(at);
            let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
            assert_eq!(from_civil(year, month.into(), day.into(), of_day), Some(at), "{text}");
        }
    }
}

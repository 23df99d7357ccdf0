//! Dates in fields (RFC 9110 section 5.6.7), as seconds since the Unix epoch.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date as it is sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type ImfFixdate = [u8; 29];

/// The last second that has a date of four-digit year, 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes a date without allocation. Seconds after the year 9999 count as its end.
pub fn format(unix_seconds: u64) -> ImfFixdate {
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_SECOND));
    let mut rest: &mut [u8] = &mut text;
    // It is 29 bytes by its grammar, so it fits.
    let _ = write!(rest, "{}", httpdate::HttpDate::from(time));
    text
}

/// Reads any of the three formats of RFC 9110 section 5.6.7; nothing before 1970.
pub fn parse(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    seconds(httpdate::parse_http_date(text).ok()?)
}

/// Whole seconds since the epoch, as fields can express it; `None` before 1970.
pub fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The current date for one thread: written once per second, however many responses there are.
#[derive(Clone, Copy, Debug)]
pub struct DateCache {
    second: u64,
    text: ImfFixdate,
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

impl DateCache {
    /// A cache that holds the epoch.
    pub fn new() -> Self {
        Self { second: 0, text: format(0) }
    }

    /// The date of this second.
    pub fn get(&mut self, unix_seconds: u64) -> &ImfFixdate {
        if self.second != unix_seconds {
            *self = Self { second: unix_seconds, text: format(unix_seconds) };
        }
        &self.text
    }
}

#[cfg(test)]
mod tests;

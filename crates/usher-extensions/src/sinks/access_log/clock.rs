//! Times as text. The text of a second is kept, as requests come many to a second.

use super::text::{push_three, push_two};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The texts of one second.
#[derive(Default)]
pub(super) struct Clock {
    second: Option<u64>,
    /// `2026-01-02T03:04:05`
    rfc3339: Vec<u8>,
    /// `02/Jan/2026:03:04:05 +0000`
    clf: Vec<u8>,
}

impl Clock {
    /// `2026-01-02T03:04:05.678Z` (RFC 3339).
    pub(super) fn rfc3339(&mut self, unix_micros: u64, out: &mut Vec<u8>) {
        self.tune(unix_micros / 1_000_000);
        out.extend_from_slice(&self.rfc3339);
        out.push(b'.');
        push_three(out, (unix_micros / 1_000 % 1_000) as u32);
        out.push(b'Z');
    }

    /// `2026-01-02T03:04:05Z`.
    pub(super) fn rfc3339_seconds(&mut self, unix_seconds: u64, out: &mut Vec<u8>) {
        self.tune(unix_seconds);
        out.extend_from_slice(&self.rfc3339);
        out.push(b'Z');
    }

    /// `02/Jan/2026:03:04:05 +0000`, as the common log format has it.
    pub(super) fn clf(&mut self, unix_micros: u64, out: &mut Vec<u8>) {
        self.tune(unix_micros / 1_000_000);
        out.extend_from_slice(&self.clf);
    }

    #[inline]
    fn tune(&mut self, second: u64) {
        if self.second != Some(second) {
            self.second = Some(second);
            self.render(second);
        }
    }

    #[cold]
    fn render(&mut self, second: u64) {
        let (year, month, day) = date_of(second / 86_400);
        let of_day = (second % 86_400) as u32;
        let time = [of_day / 3_600, of_day / 60 % 60, of_day % 60];

        self.rfc3339.clear();
        push_year(&mut self.rfc3339, year);
        for (mark, part) in [(b'-', month), (b'-', day), (b'T', time[0]), (b':', time[1]), (b':', time[2])] {
            self.rfc3339.push(mark);
            push_two(&mut self.rfc3339, part);
        }

        self.clf.clear();
        push_two(&mut self.clf, day);
        self.clf.push(b'/');
        self.clf.extend_from_slice(MONTHS.get(month as usize - 1).copied().unwrap_or(b"???"));
        self.clf.push(b'/');
        push_year(&mut self.clf, year);
        for part in time {
            self.clf.push(b':');
            push_two(&mut self.clf, part);
        }
        self.clf.extend_from_slice(b" +0000");
    }
}

fn push_year(out: &mut Vec<u8>, year: u64) {
    push_two(out, (year / 100 % 100) as u32);
    push_two(out, (year % 100) as u32);
}

/// Year, month and day of a day since 1970, by counting in eras of 400 years that begin on the first of March.
fn date_of(days: u64) -> (u64, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = (if shifted < 10 { shifted + 3 } else { shifted - 9 }) as u32;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

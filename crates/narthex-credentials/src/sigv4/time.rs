//! Times as signatures write them: in UTC, without a calendar of the system.

use std::time::{SystemTime, UNIX_EPOCH};

/// One moment.
pub(super) struct Stamp {
    /// `20150830`.
    pub(super) day: String,
    /// `20150830T123600Z`.
    pub(super) time: String,
}

impl Stamp {
    pub(super) fn of(now: SystemTime) -> Self {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (year, month, date) = civil(seconds / 86_400);
        let second = seconds % 86_400;
        let day = format!("{year:04}{month:02}{date:02}");
        let time = format!("{day}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60);
        Self { day, time }
    }
}

/// Year, month and day of the month, of so many days after 1970-01-01, in the proleptic Gregorian calendar
/// (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, if month < 10 { month + 3 } else { month - 9 });
    (if month <= 2 { year + 1 } else { year }, month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_written_in_utc() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_709_164_800, "20240229T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (253_402_300_799, "99991231T235959Z"),
        ] {
            let stamp = Stamp::of(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(stamp.time, expected);
            assert_eq!(stamp.day, expected[..8]);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let (mut year, mut month, mut date) = civil(0);
        for day in 1..146_097 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, date) = match (date == length, month) {
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
                (false, _) => (year, month, date + 1),
            };
            assert_eq!(civil(day), (year, month, date));
        }
    }
}

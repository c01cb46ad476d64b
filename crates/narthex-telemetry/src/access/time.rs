//! Timestamps as RFC 3339 wants them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of `2026-11-22T21:45:42`.
const SECOND_LEN: usize = 19;
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: RFC 3339 has four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes timestamps, and remembers the text of the last second, which is mostly the next one's too.
pub(super) struct Stamp {
    second: u64,
    text: [u8; SECOND_LEN],
}

impl Stamp {
    /// Appends `at` in UTC with milliseconds: `2026-11-22T21:45:42.123Z`. Times before 1970 are 1970.
    pub(super) fn write(&mut self, at: SystemTime, out: &mut Vec<u8>) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let second = since.as_secs().min(LAST_SECOND);
        if second != self.second {
            (self.second, self.text) = (second, format(second));
        }
        out.extend_from_slice(&self.text);
        let millis = since.subsec_millis();
        out.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
    }
}

/// `at` in UTC with milliseconds, by RFC 3339: `2026-11-22T21:45:42.123Z`. Times before 1970 are 1970.
#[must_use]
pub fn rfc3339(at: SystemTime) -> String {
    let mut text = Vec::with_capacity(SECOND_LEN + 5);
    Stamp::default().write(at, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

impl Default for Stamp {
    fn default() -> Self {
        Self { second: 0, text: format(0) }
    }
}

fn format(second: u64) -> [u8; SECOND_LEN] {
    let (year, month, day) = date(second / SECONDS_PER_DAY);
    let time = second % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], time / 3600);
    put(&mut text[14..16], time / 60 % 60);
    put(&mut text[17..19], time % 60);
    text
}

/// The Gregorian date of a day counted from 1970-01-01: Howard Hinnant's `civil_from_days`,
/// in years that begin in March, so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn put(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(stamp: &mut Stamp, millis: u64) -> String {
        let mut out = Vec::new();
        stamp.write(UNIX_EPOCH + Duration::from_millis(millis), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_are_rfc_3339_in_utc_with_milliseconds() {
        // Expected values: `date -u -d @N +%FT%TZ`.
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_007, "2000-03-01T00:00:00.007Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_120, "2024-12-31T23:59:59.120Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.000Z"),
        ];
        let mut stamp = Stamp::default();
        for (millis, text) in cases {
            assert_eq!(written(&mut stamp, millis), text);
            assert_eq!(written(&mut stamp, millis), text, "from memory");
        }
    }

    #[test]
    fn a_time_before_1970_is_1970() {
        let mut out = Vec::new();
        Stamp::default().write(UNIX_EPOCH - Duration::from_secs(1), &mut out);
        assert_eq!(out, b"1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(0);
        for day in 1..200_000 {
            let today = date(day);
            let next_day = (before.0, before.1, before.2 + 1);
            let next_month = (before.0, before.1 + 1, 1);
            assert!(
                today == next_day && today.2 <= 31
                    || today == next_month && before.2 >= 28 && today.1 <= 12
                    || today == (before.0 + 1, 1, 1) && (before.1, before.2) == (12, 31),
                "{before:?} {today:?}"
            );
            before = today;
        }
    }
}

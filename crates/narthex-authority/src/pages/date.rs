//! Dates for people: days in UTC, as no page knows where its reader is.

use maud::{Markup, html};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// `26 November 2026`, marked up as a date.
pub(super) fn day(time: SystemTime) -> Markup {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Ok(date) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return html! { "a distant day" };
    };
    let machine = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    html! { time datetime=(machine) { (date.day()) " " (date.month()) " " (date.year()) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, machine, people) in [
            (0, "1970-01-01", "1 January 1970"),
            (951_782_400, "2000-02-29", "29 February 2000"),
            (1_795_651_199, "2026-11-25", "25 November 2026"),
            (1_795_651_200, "2026-11-26", "26 November 2026"),
        ] {
            let shown = day(UNIX_EPOCH + Duration::from_secs(seconds)).into_string();
            assert_eq!(shown, format!("<time datetime=\"{machine}\">{people}</time>"));
        }
        assert_eq!(day(UNIX_EPOCH + Duration::from_secs(1 << 50)).into_string(), "a distant day");
    }
}

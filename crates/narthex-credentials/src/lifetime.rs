//! How long an obtained token is used.

use std::time::{Duration, SystemTime};

/// Taken when the answer has no `expires_in` (RFC 6749 §5.1 only recommends it).
pub(crate) const DEFAULT: Duration = Duration::from_secs(300);

/// Longest time that one token is used, whatever its issuer says: revocations show within it.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// Most that a token is given up before its end.
const MARGIN: Duration = Duration::from_secs(30);

/// The time from which on a token asked for at `now` is not presented any more: a tenth of its
/// lifetime, at most 30 s, before its own end; and never after `caller_expires`.
pub(crate) fn usable_until(
    now: SystemTime,
    expires_in: Option<Duration>,
    caller_expires: Option<SystemTime>,
) -> SystemTime {
    let lifetime = expires_in.unwrap_or(DEFAULT).min(LONGEST);
    let end = now + (lifetime - (lifetime / 10).min(MARGIN));
    caller_expires.map_or(end, |caller| caller.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn tokens_are_given_up_shortly_before_their_end() {
        let now = after(1000);
        for (expires_in, caller, expected) in [
            (Some(3600), None, 3570),
            (Some(300), None, 270),
            (Some(100), None, 90),
            (Some(10), None, 9),
            (None, None, 270),
            (Some(u64::from(u32::MAX)), None, 3570),
            (Some(300), Some(1100), 100),
            (Some(100), Some(1095), 90),
            (Some(100), Some(1000), 0),
        ] {
            let end = usable_until(now, expires_in.map(Duration::from_secs), caller.map(after));
            assert_eq!(end, now + Duration::from_secs(expected), "{expires_in:?} {caller:?}");
        }
    }

    proptest! {
        #[test]
        fn no_token_outlives_itself_its_caller_or_an_hour(
            now in 0_u64..10_000_000_000,
            expires_in in proptest::option::of(1_u64..u64::from(u32::MAX)),
            caller in proptest::option::of(0_u64..20_000_000_000),
        ) {
            let end = usable_until(after(now), expires_in.map(Duration::from_secs), caller.map(after));
            prop_assert!(end < after(now) + expires_in.map_or(DEFAULT, Duration::from_secs));
            prop_assert!(end < after(now) + LONGEST);
            prop_assert!(caller.is_none_or(|caller| end <= after(caller)));
        }
    }
}

//! Random values and their comparison.

use crate::error::{Code, OAuthError};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `N` random bytes.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], OAuthError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| OAuthError::new(Code::ServerError, "The server failed.").detail("no randomness"))?;
    Ok(bytes)
}

/// `N` random bytes in base64url.
pub(crate) fn random<const N: usize>() -> Result<String, OAuthError> {
    random_bytes::<N>().map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether both are the same; takes as long for those that are not, unless their lengths differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// SHA-256 in base64url.
pub(crate) fn sha256(text: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text))
}

/// Whole seconds since 1970; a clock before that stands at 0.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of so many seconds since 1970.
pub(crate) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799))
}

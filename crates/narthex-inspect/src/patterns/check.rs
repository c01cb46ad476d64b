//! What a format has that a regular expression cannot say.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::ops::Range;

/// Takes everything.
#[allow(clippy::unnecessary_wraps, reason = "one of the checks, which may find nothing")]
pub(super) fn all(found: &str) -> Option<Range<usize>> {
    Some(0..found.len())
}

/// A key that was drawn at random has digits and letters; a name that looks like a key has not.
pub(super) fn random(found: &str) -> Option<Range<usize>> {
    let has = |of: fn(&u8) -> bool| found.as_bytes().iter().any(of);
    (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)).then_some(0..found.len())
}

/// A JSON Web Token says in its header how it is signed (RFC 7515, section 4.1.1).
pub(super) fn web_token(found: &str) -> Option<Range<usize>> {
    let (header, _) = found.split_once('.')?;
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok()?;
    memchr::memmem::find(&header, b"\"alg\"").map(|_| 0..found.len())
}

/// A password as it is written into text: not the name of one, and not a placeholder.
pub(super) fn password(found: &str) -> Option<Range<usize>> {
    const CALLS: [&str; 6] = ["environ", "getenv", "process.env", "config.", "settings.", "secrets."];
    let is_word = found.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b'-'));
    let is_call = CALLS.iter().any(|call| found.contains(call));
    (!is_word && !is_call && !is_placeholder(found) && found.len() <= 256).then_some(0..found.len())
}

/// A password within a URL, where a plain word may be one.
pub(super) fn url_password(found: &str) -> Option<Range<usize>> {
    (!is_placeholder(found) && found.len() <= 512).then_some(0..found.len())
}

fn is_placeholder(found: &str) -> bool {
    let variable = found.starts_with(['$', '%', '{']);
    let path = ["/", "~/", "./", "../"].iter().any(|start| found.starts_with(start));
    variable || path || found.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'#'))
}

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

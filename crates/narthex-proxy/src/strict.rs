//! HTTP/1.1 framing that pingora would repair is refused instead.

use http::Version;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use memchr::memchr_iter;
use pingora::protocols::http::ServerSession;

/// What is wrong with a request's framing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// The header block is over the limit.
    TooLarge,
    /// Anything that two servers could read differently.
    Ambiguous,
    /// Not HTTP/1.1 or HTTP/2.
    Version,
}

/// Checks what the parsed header no longer shows.
pub(crate) fn check(session: &ServerSession, header_limit: usize) -> Result<(), Framing> {
    let header = session.req_header();
    if let Some(h1) = session.as_http1() {
        if header.version != Version::HTTP_11 {
            return Err(Framing::Version);
        }
        let raw = h1.get_headers_raw_bytes();
        if raw.len() > header_limit {
            return Err(Framing::TooLarge);
        }
        if !lines_end_in_crlf(&raw) {
            return Err(Framing::Ambiguous);
        }
        // RFC 9112 §3.2; that there is no second one is seen where the header is read.
        if !header.headers.contains_key(HOST) {
            return Err(Framing::Ambiguous);
        }
        if let Some(encoding) = header.headers.get(TRANSFER_ENCODING) {
            // pingora drops Content-Length when both are there (RFC 9112 §6.3 allows it); we do not.
            if !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") || names_content_length(&raw) {
                return Err(Framing::Ambiguous);
            }
        }
    } else {
        let size: usize = header.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 32).sum();
        if size > header_limit {
            return Err(Framing::TooLarge);
        }
        if header.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Framing::Ambiguous);
        }
    }
    match header.headers.get(CONTENT_LENGTH) {
        Some(length) if length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit) => {
            Err(Framing::Ambiguous)
        }
        _ => Ok(()),
    }
}

/// Every line ends in CRLF, none is folded, and no bare CR or NUL stands anywhere (RFC 9112 §2.2, §5.2).
fn lines_end_in_crlf(raw: &[u8]) -> bool {
    let mut ends = 0;
    for at in memchr_iter(b'\n', raw) {
        if at == 0 || raw[at - 1] != b'\r' || matches!(raw.get(at + 1), Some(b' ' | b'\t')) {
            return false;
        }
        ends += 1;
    }
    memchr_iter(b'\r', raw).count() == ends && memchr::memchr(0, raw).is_none()
}

fn names_content_length(raw: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    raw.split(|b| *b == b'\n')
        .any(|line| line.len() >= NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_line_feeds_folds_and_nuls_are_seen() {
        assert!(lines_end_in_crlf(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"));
        for bad in [
            &b"POST / HTTP/1.1\nHost: a\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nHost: a\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n",
            b"POST / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            b"POST / HTTP/1.1\r\nX: a\0b\r\n\r\n",
        ] {
            assert!(!lines_end_in_crlf(bad), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_content_length_that_was_dropped_is_still_seen() {
        assert!(names_content_length(b"POST / HTTP/1.1\r\ncOnTent-LENGTH: 3\r\n\r\n"));
        assert!(!names_content_length(b"POST / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n"));
    }
}

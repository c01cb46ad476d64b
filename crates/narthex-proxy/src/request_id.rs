//! The id that every record of a request carries.

use http::{HeaderMap, HeaderValue};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest id that is taken over from a client, bytes.
const CAP: usize = 64;

/// A request id: the client's own `X-Request-Id` if it is well-formed, else one of ours.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request with this header. One that is part of a credential is not taken over: it
    /// would end up in logs and at the upstream.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get("x-request-id") {
            Some(given) if well_formed(given.as_bytes()) && !is_in_credential(given, headers) => {
                Self(given.clone())
            }
            _ => Self::make(),
        }
    }

    /// A new id.
    pub(crate) fn make() -> Self {
        // Unique, not secret: a random start per process and a counter.
        static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("request id"));
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut text = [0; 32];
        hex(*START, &mut text[..16]);
        hex(mix(START.wrapping_add(n)), &mut text[16..]);
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    pub(crate) fn value(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }
}

fn is_in_credential(given: &HeaderValue, headers: &HeaderMap) -> bool {
    const CREDENTIALS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "dpop", "x-api-key"];
    // Shorter than that, a part of a value is no secret, and may well stand in an honest id.
    const SECRET: usize = 8;
    let holds = |all: &[u8], part: &[u8]| memchr::memmem::find(all, part).is_some();
    let mut values = CREDENTIALS.iter().flat_map(|name| headers.get_all(*name)).map(HeaderValue::as_bytes);
    values.any(|value| {
        let mut parts = value.split(|b| b" =;,".contains(b)).filter(|part| part.len() >= SECRET);
        holds(value, given.as_bytes()) || parts.any(|part| holds(given.as_bytes(), part))
    })
}

fn well_formed(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= CAP && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
}

/// The finaliser of splitmix64: one to one, so ids do not repeat.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hex(value: u64, out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (i, byte) in out.iter_mut().rev().enumerate() {
        *byte = DIGITS[((value >> (4 * i)) & 0xf) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn taken(fields: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_well_formed_id_is_taken_over() {
        assert_eq!(taken(&[("x-request-id", "trace-1.2:3_x")]), "trace-1.2:3_x");
    }

    #[test]
    fn an_ill_formed_id_is_replaced() {
        let long = "a".repeat(65);
        for bad in ["", "a b", "a\"b", "é", "{}", long.as_str()] {
            assert_eq!(taken(&[("x-request-id", bad)]).len(), 32, "{bad}");
        }
    }

    #[test]
    fn a_credential_is_not_taken_for_an_id() {
        for name in ["authorization", "proxy-authorization", "cookie", "dpop", "x-api-key"] {
            let id = taken(&[("x-request-id", "opaque-token-1"), (name, "Bearer opaque-token-1")]);
            assert_eq!(id.len(), 32, "{name}");
        }
    }

    #[test]
    fn an_id_around_a_credential_is_not_taken_either() {
        for (name, value) in
            [("authorization", "Bearer opaque-token-1"), ("cookie", "a=1; session=opaque-token-1")]
        {
            let id = taken(&[("x-request-id", "my-opaque-token-1-id"), (name, value)]);
            assert_eq!(id.len(), 32, "{name}");
        }
        assert_eq!(taken(&[("x-request-id", "a-1-b"), ("cookie", "a=1")]), "a-1-b");
    }

    #[test]
    fn ids_do_not_repeat() {
        let ids: HashSet<String> = (0..10_000).map(|_| RequestId::make().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}

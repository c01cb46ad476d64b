//! What a request's headers say about who sent it, with the secret part masked.

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The answer of the tool `whoami`.
#[derive(Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) struct WhoAmI {
    /// Headers of this HTTP request that carry a credential: name and masked values.
    credentials: BTreeMap<String, Vec<String>>,
    /// Names of all headers of this HTTP request.
    headers: BTreeSet<String>,
    /// The X-Request-Id of this HTTP request.
    request_id: Option<String>,
}

impl From<&HeaderMap> for WhoAmI {
    fn from(headers: &HeaderMap) -> Self {
        let mut credentials = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in headers.iter().filter(|(name, _)| is_credential(name.as_str())) {
            credentials
                .entry(name.to_string())
                .or_default()
                .push(mask(&String::from_utf8_lossy(value.as_bytes())));
        }
        let request_id = headers.get("x-request-id").and_then(|value| value.to_str().ok());
        Self {
            credentials,
            headers: headers.keys().map(ToString::to_string).collect(),
            request_id: request_id.map(str::to_owned),
        }
    }
}

/// Whether a header by this (lower-case) name may hold a credential; rather one too many.
fn is_credential(name: &str) -> bool {
    const HINTS: [&str; 9] =
        ["auth", "token", "key", "secret", "cookie", "cert", "dpop", "passw", "credential"];
    HINTS.iter().any(|hint| name.contains(hint))
}

/// Keeps an authentication scheme and the first three letters; nothing at all of a value so short
/// that three letters would give a good part of it away.
fn mask(value: &str) -> String {
    let (scheme, secret) = match value.split_once(' ') {
        Some((scheme, secret)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (Some(scheme), secret)
        }
        _ => (None, value),
    };
    let shown: String =
        if secret.chars().count() < SHORT { String::new() } else { secret.chars().take(3).collect() };
    match scheme {
        Some(scheme) => format!("{scheme} {shown}***"),
        None => format!("{shown}***"),
    }
}

/// Values shorter than this are masked whole.
const SHORT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_letters_and_the_scheme_are_shown_and_short_values_not_at_all() {
        let cases = [
            ("", "***"),
            ("abc", "***"),
            ("1234567", "***"),
            ("12345678", "123***"),
            ("demo-key-4711", "dem***"),
            ("Bearer eyJhbGciOi", "Bearer eyJ***"),
            ("Bearer short", "Bearer ***"),
            ("a=1234567; b=2", "a=1***"),
            ("ääääääää", "äää***"),
        ];
        for (value, expected) in cases {
            assert_eq!(mask(value), expected, "{value:?}");
        }
    }

    #[test]
    fn credential_headers_are_told_by_name_with_every_value() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer 0123456789"),
            ("x-api-key", "first-key-1"),
            ("x-api-key", "other-key-2"),
            ("accept", "application/json"),
            ("x-request-id", "r-1"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let answer = WhoAmI::from(&headers);
        assert_eq!(answer.credentials["authorization"], ["Bearer 012***"]);
        assert_eq!(answer.credentials["x-api-key"], ["fir***", "oth***"]);
        assert_eq!(answer.credentials.len(), 2);
        assert_eq!(answer.request_id.as_deref(), Some("r-1"));
        assert!(answer.headers.contains("accept"));
    }

    #[test]
    fn names_that_hint_at_a_credential_count_as_one() {
        for name in
            ["cookie", "proxy-authorization", "x-goog-api-key", "x-amz-security-token", "dpop", "client-cert"]
        {
            assert!(is_credential(name), "{name}");
        }
        for name in
            ["accept", "host", "mcp-session-id", "mcp-protocol-version", "x-request-id", "traceparent"]
        {
            assert!(!is_credential(name), "{name}");
        }
    }
}

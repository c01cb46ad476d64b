//! What an upstream's `WWW-Authenticate` says (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::{ChallengeParser, ChallengeRef};

/// Longest field value that is looked at, bytes, and most of them.
const MAX_FIELD: usize = 8 * 1024;
const MAX_FIELDS: usize = 8;

/// Most scopes that one challenge may name, and their longest.
pub(crate) const MAX_SCOPES: usize = 64;
const MAX_SCOPE: usize = 256;

/// A challenge to present a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// `resource_metadata`.
    pub(crate) resource_metadata: Option<String>,
    /// `scope`, if it names any.
    pub(crate) scopes: Vec<String>,
    /// `error`.
    pub(crate) error: Option<String>,
}

impl Challenge {
    /// The challenge for a token among all that an answer has; the one that says where the metadata is
    /// goes before others.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        Self::among(fields)
    }

    /// The same of fields' values.
    pub(crate) fn among<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Self> {
        let fields = fields.take(MAX_FIELDS).filter(|field| field.len() <= MAX_FIELD);
        // A parser ends at the first mistake: what was read before it stands.
        let challenges = fields.flat_map(|field| ChallengeParser::new(field).map_while(Result::ok));
        let mut found: Vec<Self> = challenges.filter_map(|challenge| Self::read(&challenge)).collect();
        let named = found.iter().position(|challenge| challenge.resource_metadata.is_some());
        (!found.is_empty()).then(|| found.swap_remove(named.unwrap_or(0)))
    }

    /// `None`: for something else than a token, or with a parameter twice (RFC 9110 §11.2).
    fn read(challenge: &ChallengeRef<'_>) -> Option<Self> {
        if !["Bearer", "DPoP"].iter().any(|scheme| challenge.scheme.eq_ignore_ascii_case(scheme)) {
            return None;
        }
        let mut names: Vec<_> = challenge.params.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return None;
        }
        let mut read = Self::default();
        for (name, value) in &challenge.params {
            let value = value.to_unescaped();
            match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => read.resource_metadata = Some(value),
                "scope" => read.scopes = scopes(&value).unwrap_or_default(),
                "error" => read.error = Some(value),
                _ => {}
            }
        }
        Some(read)
    }
}

/// The scopes of a space-separated list (RFC 6749 §3.3), each once; `None`: it is no such list, or too long.
pub(crate) fn scopes(text: &str) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
        if !is_scope(scope) || scopes.len() >= MAX_SCOPES {
            return None;
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Some(scopes)
}

/// RFC 6749 §3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub(crate) fn is_scope(text: &str) -> bool {
    let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.len() <= MAX_SCOPE && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

    fn of(fields: &[&str]) -> Option<Challenge> {
        Challenge::among(fields.iter().copied())
    }

    #[test]
    fn the_challenge_for_a_token_is_found_wherever_it_stands() {
        let quoted = format!("Bearer resource_metadata=\"{METADATA}\", scope=\"a b\"");
        let among = format!("Basic realm=\"a, Bearer resource_metadata=x\", {quoted}, Digest nonce=\"1\"");
        let later = format!("Bearer realm=\"x\", {quoted}");
        let dpop = format!("Bearer realm=\"x\", DPoP algs=\"ES256\", resource_metadata=\"{METADATA}\"");
        for fields in [
            vec![quoted.as_str()],
            vec![&quoted.replace("Bearer", "bEARER")],
            vec![&among],
            vec!["Basic realm=\"x\"", &quoted],
            vec!["not a challenge = at all =", &quoted],
            vec![&later],
            vec![&dpop],
        ] {
            let found = of(&fields).unwrap();
            assert_eq!(found.resource_metadata.as_deref(), Some(METADATA), "{fields:?}");
        }
        assert_eq!(of(&[&among]).unwrap().scopes, ["a", "b"]);
    }

    #[test]
    fn a_quoted_string_is_read_with_its_escapes() {
        let found = of(&[r#"Bearer error="insuff\icient_scope", scope="re\po:read", x="\"""#]).unwrap();
        assert_eq!(found.error.as_deref(), Some("insufficient_scope"));
        assert_eq!(found.scopes, ["repo:read"]);
        // What looks like a parameter inside a string is none.
        let found = of(&[r#"Bearer error="x\", resource_metadata=\"https://evil.example\"""#]).unwrap();
        assert_eq!(found.resource_metadata, None);
    }

    #[test]
    fn what_is_no_challenge_for_a_token_is_none() {
        for field in [
            "",
            "Basic realm=\"x\"",
            "Negotiate",
            "BearerX resource_metadata=\"x\"",
            "Bearer resource_metadata=\"a\", resource_metadata=\"b\"",
            "Bearer scope=\"a\", Scope=\"b\"",
        ] {
            assert_eq!(of(&[field]), None, "{field}");
        }
        let long = format!("Bearer realm=\"{}\"", "x".repeat(MAX_FIELD));
        assert_eq!(of(&[&long]), None);
        assert_eq!(of(&["Bearer"]), Some(Challenge::default()));
    }

    #[test]
    fn scopes_that_are_none_or_too_many_are_left_out() {
        let many = (0..=MAX_SCOPES).map(|i| i.to_string()).collect::<Vec<_>>().join(" ");
        for scope in [&many, "a \u{7f}", "a\tb", &"x".repeat(MAX_SCOPE + 1)] {
            assert_eq!(scopes(scope), None, "{scope}");
        }
        assert_eq!(scopes(" a  b a "), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(of(&["Bearer scope=\"a\\\\b\""]).unwrap().scopes.is_empty());
    }

    proptest! {
        #[test]
        fn no_field_is_too_odd_to_be_read(fields in prop::collection::vec("[ -~\t]{0,80}|(Bearer|Basic)?[ ,=\"\\\\a-c]{0,40}", 0..4)) {
            let _ = Challenge::among(fields.iter().map(String::as_str));
        }
    }
}

//! `WWW-Authenticate` values (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1): how a client learns what to do next.

use crate::TokenError;
use http::HeaderValue;
use narthex_config::model::ScopeName;

/// The challenge of a 401, or of a 400 for a malformed request.
///
/// `metadata_url` is that of the resource metadata, if there is any: a route that needs no token has none.
///
/// `scopes` is what the route needs, without `offline_access`, which is between the client and its
/// authorization server. Without an `error` (or with one that is not about a token that was sent)
/// there is no error code, as RFC 6750 §3.1 asks.
#[must_use]
pub fn unauthorized<'s>(
    metadata_url: Option<&str>,
    scopes: impl IntoIterator<Item = &'s ScopeName>,
    error: Option<&TokenError>,
) -> HeaderValue {
    Challenge::new("Bearer").unauthorized(metadata_url, scopes, error).into_value()
}

/// The same for a client that is to send, or has sent, a proof of possession; `algorithms` are the `alg` values
/// that are accepted, with a space between (RFC 9449 §7.1).
#[must_use]
pub fn dpop_unauthorized<'s>(
    algorithms: &str,
    metadata_url: Option<&str>,
    scopes: impl IntoIterator<Item = &'s ScopeName>,
    error: Option<&TokenError>,
) -> HeaderValue {
    let mut challenge = Challenge::new("DPoP").unauthorized(metadata_url, scopes, error);
    challenge.parameter("algs", algorithms);
    challenge.into_value()
}

/// The challenge of a 403: the token is good, but lacks scopes. `scopes` is all that the call needs,
/// so that one step up is enough.
#[must_use]
pub fn insufficient_scope<'s>(
    metadata_url: Option<&str>,
    scopes: impl IntoIterator<Item = &'s ScopeName>,
) -> HeaderValue {
    Challenge::new("Bearer").insufficient_scope(metadata_url, scopes).into_value()
}

/// The same for a caller whose token came with a proof of possession.
#[must_use]
pub fn dpop_insufficient_scope<'s>(
    algorithms: &str,
    metadata_url: Option<&str>,
    scopes: impl IntoIterator<Item = &'s ScopeName>,
) -> HeaderValue {
    let mut challenge = Challenge::new("DPoP").insufficient_scope(metadata_url, scopes);
    challenge.parameter("algs", algorithms);
    challenge.into_value()
}

/// Scopes that a resource server neither asks for nor advertises.
pub(crate) fn is_asked_for(scope: &ScopeName) -> bool {
    scope.as_str() != "offline_access"
}

struct Challenge {
    scheme: &'static str,
    text: String,
}

impl Challenge {
    fn new(scheme: &'static str) -> Self {
        Self { scheme, text: String::from(scheme) }
    }

    fn unauthorized<'s>(
        mut self,
        metadata_url: Option<&str>,
        scopes: impl IntoIterator<Item = &'s ScopeName>,
        error: Option<&TokenError>,
    ) -> Self {
        metadata_url.into_iter().for_each(|url| self.parameter("resource_metadata", url));
        self.scopes(scopes);
        if let Some(code) = error.and_then(TokenError::error_code) {
            self.parameter("error", code);
        }
        self
    }

    fn insufficient_scope<'s>(
        mut self,
        metadata_url: Option<&str>,
        scopes: impl IntoIterator<Item = &'s ScopeName>,
    ) -> Self {
        self.parameter("error", "insufficient_scope");
        self.scopes(scopes);
        metadata_url.into_iter().for_each(|url| self.parameter("resource_metadata", url));
        self
    }

    fn parameter(&mut self, name: &str, value: &str) {
        self.begin(name);
        self.quoted(value);
        self.text.push('"');
    }

    fn scopes<'s>(&mut self, scopes: impl IntoIterator<Item = &'s ScopeName>) {
        let mut scopes = scopes.into_iter().filter(|scope| is_asked_for(scope)).peekable();
        if scopes.peek().is_none() {
            return;
        }
        self.begin("scope");
        while let Some(scope) = scopes.next() {
            self.quoted(scope.as_str());
            self.text.push(if scopes.peek().is_some() { ' ' } else { '"' });
        }
    }

    fn begin(&mut self, name: &str) {
        self.text.push_str(if self.text == self.scheme { " " } else { ", " });
        self.text.push_str(name);
        self.text.push_str("=\"");
    }

    /// The inside of a quoted-string (RFC 9110 §5.6.4): `"` and `\` escaped, and nothing that is not
    /// visible ASCII, so that no value can end the string or the header.
    fn quoted(&mut self, value: &str) {
        for c in value.chars().filter(|c| matches!(c, ' '..='~')) {
            if matches!(c, '"' | '\\') {
                self.text.push('\\');
            }
            self.text.push(c);
        }
    }

    fn into_value(self) -> HeaderValue {
        HeaderValue::try_from(self.text).unwrap_or_else(|_| HeaderValue::from_static(self.scheme))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpop::DpopError;
    use proptest::prelude::*;

    const URL: &str = "https://gw.example/.well-known/oauth-protected-resource/github";

    fn scopes(names: &[&str]) -> Vec<ScopeName> {
        names.iter().map(|name| ScopeName::from(*name)).collect()
    }

    #[test]
    fn no_token_is_told_where_to_go_and_no_error() {
        for error in [None, Some(&TokenError::Missing), Some(&TokenError::AuthScheme)] {
            assert_eq!(
                unauthorized(Some(URL), &scopes(&["mcp:read", "mcp:list"]), error),
                format!("Bearer resource_metadata=\"{URL}\", scope=\"mcp:read mcp:list\"")
            );
        }
    }

    #[test]
    fn without_metadata_none_is_named() {
        assert_eq!(
            unauthorized(None, &[], Some(&TokenError::TokenInQuery)),
            "Bearer error=\"invalid_request\""
        );
    }

    #[test]
    fn a_bad_token_is_told_so() {
        assert_eq!(
            unauthorized(Some(URL), &scopes(&["mcp:read"]), Some(&TokenError::Expired)),
            format!("Bearer resource_metadata=\"{URL}\", scope=\"mcp:read\", error=\"invalid_token\"")
        );
        assert_eq!(
            unauthorized(Some(URL), &[], Some(&TokenError::Malformed)),
            format!("Bearer resource_metadata=\"{URL}\", error=\"invalid_request\"")
        );
    }

    #[test]
    fn a_missing_scope_is_challenged_with_all_that_is_needed() {
        assert_eq!(
            insufficient_scope(Some(URL), &scopes(&["mcp:read", "mcp:write"])),
            format!(
                "Bearer error=\"insufficient_scope\", scope=\"mcp:read mcp:write\", resource_metadata=\"{URL}\""
            )
        );
    }

    #[test]
    fn a_client_with_a_key_is_told_the_algorithms_too() {
        assert_eq!(
            dpop_unauthorized(
                "ES256 EdDSA",
                Some(URL),
                &scopes(&["a"]),
                Some(&TokenError::Dpop(DpopError::NoNonce))
            ),
            format!(
                "DPoP resource_metadata=\"{URL}\", scope=\"a\", error=\"use_dpop_nonce\", algs=\"ES256 EdDSA\""
            )
        );
        assert_eq!(
            dpop_unauthorized("ES256", Some(URL), &[], None),
            format!("DPoP resource_metadata=\"{URL}\", algs=\"ES256\"")
        );
        assert_eq!(
            dpop_insufficient_scope("ES256", Some(URL), &scopes(&["b"])),
            format!(
                "DPoP error=\"insufficient_scope\", scope=\"b\", resource_metadata=\"{URL}\", algs=\"ES256\""
            )
        );
    }

    #[test]
    fn offline_access_is_never_asked_for() {
        assert_eq!(
            unauthorized(Some(URL), &scopes(&["offline_access"]), None),
            format!("Bearer resource_metadata=\"{URL}\"")
        );
        assert_eq!(
            insufficient_scope(Some(URL), &scopes(&["offline_access", "a"])),
            format!("Bearer error=\"insufficient_scope\", scope=\"a\", resource_metadata=\"{URL}\"")
        );
    }

    proptest! {
        #[test]
        fn no_value_escapes_its_quotes(url in any::<String>(), scope in any::<String>()) {
            let value = unauthorized(Some(&url), &[ScopeName::from(scope.as_str())], Some(&TokenError::Expired));
            let text = value.to_str().unwrap();
            let mut quotes = 0;
            let mut chars = text.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => { chars.next(); }
                    '"' => quotes += 1,
                    _ => {}
                }
            }
            prop_assert_eq!(quotes, if scope == "offline_access" { 4 } else { 6 });
        }
    }
}

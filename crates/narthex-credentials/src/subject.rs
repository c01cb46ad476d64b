//! What stands for the caller at an authorization server.

use crate::error::{CredentialError, Reason};
use crate::secret::Secret;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_identity::Caller;
use serde_json::Value;
use std::time::SystemTime;

/// Knows the ID tokens of callers who logged in at the gateway.
#[async_trait]
pub trait SubjectTokens: Send + Sync {
    /// An ID token that the caller's identity provider issued to the gateway and that has not ended; `None`:
    /// there is none, and the caller has to log in again.
    async fn id_token(&self, caller: &Caller, now: SystemTime) -> Option<Secret>;
}

/// A claim, which has to be text, of a token that has been verified already.
pub(crate) fn claim(token: &str, name: &str) -> Result<String, CredentialError> {
    let read = || {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        claims.get(name)?.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    read().ok_or_else(|| CredentialError::with_detail(Reason::NoSubjectClaim, &format!("no text `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn only_text_of_a_token_is_a_subject() {
        assert_eq!(claim(&token(r#"{"email":"a@b","sub":"x"}"#), "email").unwrap(), "a@b");
        for bad in [
            token(r#"{"sub":"x"}"#),
            token(r#"{"email":["a@b"]}"#),
            token(r#"{"email":7}"#),
            token(r#"{"email":""}"#),
            token("canary"),
            "opaque-canary".into(),
            "a.b".into(),
            String::new(),
        ] {
            let error = claim(&bad, "email").unwrap_err();
            assert_eq!(error.reason(), "no_subject_claim");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}

//! What a token endpoint answered to a code or a refresh token (RFC 6749 §5).

use crate::answer::{MAX_TOKEN, error_code, is_b64token, is_json, is_same_token};
use crate::discovery::challenge;
use crate::error::{CredentialError, Reason};
use crate::secret::wipe;
use http::StatusCode;
use narthex_upstreams::egress::Answer;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::time::Duration;
use zeroize::Zeroizing;

/// Tokens that were issued.
pub(super) struct Tokens {
    pub(super) access_token: Zeroizing<String>,
    pub(super) expires_in: Option<Duration>,
    pub(super) refresh_token: Option<Zeroizing<String>>,
    /// Those granted, if it says that they are others than asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why none were.
#[derive(Debug)]
pub(super) enum Refused {
    /// `invalid_grant`: the code or refresh token is good no more.
    Grant,
    /// `invalid_client`, `unauthorized_client`: the registration is good no more.
    Client,
    /// Anything else.
    Other(CredentialError),
}

#[derive(Deserialize)]
struct Success {
    access_token: Zeroizing<String>,
    token_type: String,
    #[serde(default)]
    expires_in: Option<NonZeroU32>,
    #[serde(default)]
    refresh_token: Option<Zeroizing<String>>,
    #[serde(default)]
    scope: Option<String>,
}

/// Takes the tokens out of an answer. `sent` must not come back as a token.
pub(super) fn read(answer: Answer, sent: &str) -> Result<Tokens, Refused> {
    let Answer { status, headers, body } = answer;
    let read = match status {
        StatusCode::OK if is_json(&headers) => parse(&body, sent).map_err(Refused::Other),
        StatusCode::OK => Err(Refused::Other(bad("not application/json"))),
        _ => Err(refused(status, &body)),
    };
    wipe(body);
    read
}

fn parse(body: &[u8], sent: &str) -> Result<Tokens, CredentialError> {
    // serde's own messages may quote the document, so only the place is taken over.
    let answer: Success = serde_json::from_slice(body)
        .map_err(|e| bad(&format!("not a token response, line {} column {}", e.line(), e.column())))?;
    if !answer.token_type.eq_ignore_ascii_case("Bearer") {
        return Err(bad("token_type is not Bearer"));
    }
    if !is_b64token(&answer.access_token) {
        return Err(bad("access_token is empty, too long, or not a Bearer token"));
    }
    if is_same_token(&answer.access_token, sent) {
        return Err(bad("access_token is what was sent"));
    }
    let refresh_token = answer.refresh_token.filter(|token| !token.is_empty());
    if refresh_token.as_ref().is_some_and(|token| !is_vschar(token)) {
        return Err(bad("refresh_token is too long or has odd characters"));
    }
    Ok(Tokens {
        access_token: answer.access_token,
        expires_in: answer.expires_in.map(|seconds| Duration::from_secs(seconds.get().into())),
        refresh_token,
        scopes: answer.scope.and_then(|scope| challenge::scopes(&scope)),
    })
}

fn refused(status: StatusCode, body: &[u8]) -> Refused {
    if status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
    {
        let detail = status.as_u16().to_string();
        return Refused::Other(CredentialError::with_detail(Reason::ExchangeUnreachable, &detail));
    }
    if !status.is_client_error() {
        return Refused::Other(bad(&format!("status {}", status.as_u16())));
    }
    let code = error_code(body);
    match code.as_deref() {
        Some("invalid_grant") => Refused::Grant,
        Some("invalid_client" | "unauthorized_client") => Refused::Client,
        _ => {
            let detail = format!("{}: {}", status.as_u16(), code.as_deref().unwrap_or("no error code"));
            Refused::Other(CredentialError::with_detail(Reason::ExchangeRefused, &detail))
        }
    }
}

/// RFC 6749 appendix A.17.
fn is_vschar(token: &str) -> bool {
    token.len() <= MAX_TOKEN && token.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

fn bad(detail: &str) -> CredentialError {
    CredentialError::with_detail(Reason::BadTokenResponse, detail)
}

//! What a token endpoint answered, and whether it can be used.

use crate::error::{CredentialError, Reason};
use crate::grant::Grant;
use crate::secret::wipe;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use narthex_upstreams::egress::Answer;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::time::Duration;

/// Longest token that is put into a header, bytes: servers take header blocks of 8 to 32 KiB.
const MAX_TOKEN: usize = 16 * 1024;

/// A token that may be presented to the upstream.
pub(crate) struct Issued {
    /// RFC 6750 §2.1 b64token.
    pub(crate) token: SecretString,
    /// `expires_in`.
    pub(crate) expires_in: Option<Duration>,
}

/// RFC 6749 §5.1, RFC 8693 §2.2.1.
#[derive(Deserialize)]
struct Success {
    access_token: SecretString,
    token_type: String,
    #[serde(default)]
    expires_in: Option<NonZeroU32>,
    #[serde(default)]
    issued_token_type: Option<String>,
}

/// RFC 6749 §5.2. Its description is not read: it may repeat what was sent.
#[derive(Deserialize)]
struct Failure {
    error: String,
}

/// Takes the token out of an answer.
pub(crate) fn read(
    answer: Answer,
    grant: &Grant,
    subject_token: Option<&str>,
) -> Result<Issued, CredentialError> {
    let Answer { status, headers, body } = answer;
    let issued = match status {
        StatusCode::OK => parse(&headers, &body, grant, subject_token),
        _ => Err(refusal(status, &body)),
    };
    wipe(body);
    issued
}

fn parse(
    headers: &HeaderMap,
    body: &[u8],
    grant: &Grant,
    subject_token: Option<&str>,
) -> Result<Issued, CredentialError> {
    if !is_json(headers) {
        return Err(bad("not application/json"));
    }
    // serde's own messages may quote the document, so only the place is taken over.
    let answer: Success = serde_json::from_slice(body)
        .map_err(|e| bad(&format!("not a token response, line {} column {}", e.line(), e.column())))?;
    if !answer.token_type.eq_ignore_ascii_case("Bearer") {
        return Err(bad("token_type is not Bearer"));
    }
    if !grant.accepts(answer.issued_token_type.as_deref()) {
        return Err(bad("issued_token_type is missing or not what was requested"));
    }
    let token = answer.access_token.expose_secret();
    if !is_b64token(token) {
        return Err(bad("access_token is empty, too long, or not a Bearer token"));
    }
    // Without padding: a lenient upstream would take both for the same.
    let bare = |token: &str| token.trim_end_matches('=').len();
    if subject_token.is_some_and(|subject| subject[..bare(subject)] == token[..bare(token)]) {
        return Err(Reason::EchoedSubjectToken.into());
    }
    let expires_in = answer.expires_in.map(|seconds| Duration::from_secs(seconds.get().into()));
    Ok(Issued { token: answer.access_token, expires_in })
}

/// The server said no, or could not say: overload and its own failures may pass.
fn refusal(status: StatusCode, body: &[u8]) -> CredentialError {
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Reason::ExchangeUnreachable,
        _ if status.is_server_error() => Reason::ExchangeUnreachable,
        _ if status.is_client_error() => Reason::ExchangeRefused,
        _ => Reason::BadTokenResponse,
    };
    let code = match serde_json::from_slice::<Failure>(body) {
        Ok(Failure { error }) if is_error_code(&error) => error,
        _ => String::from("no error code"),
    };
    CredentialError::with_detail(reason, &format!("{}: {code}", status.as_u16()))
}

/// Whether it looks like the registered codes. RFC 6749 §5.2 allows more; what does not look like a
/// name could be a token that the server repeats.
fn is_error_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// RFC 6750 §2.1: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(token: &str) -> bool {
    let text = token.trim_end_matches('=');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    !text.is_empty() && token.len() <= MAX_TOKEN && text.bytes().all(allowed)
}

fn bad(detail: &str) -> CredentialError {
    CredentialError::with_detail(Reason::BadTokenResponse, detail)
}

#[cfg(test)]
mod tests;

//! What a token endpoint answered, and whether it can be used.

use crate::error::{CredentialError, Reason};
use crate::secret::wipe;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use narthex_upstreams::egress::Answer;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::num::NonZeroU32;
use std::time::Duration;

/// Longest token that is put into a header, bytes: servers take header blocks of 8 to 32 KiB.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// `urn:ietf:params:oauth:token-type:access_token` (RFC 8693 §3).
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// `urn:ietf:params:oauth:token-type:jwt` (RFC 8693 §3).
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// `urn:ietf:params:oauth:token-type:id-jag` (draft-ietf-oauth-identity-assertion-authz-grant).
pub(crate) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'a> {
    /// A token to be presented as a Bearer token.
    AccessToken,
    /// The same, from an exchange, which has to say so (RFC 8693 §2.2.1): an access token, which may also be
    /// called by its format, or what was requested.
    Exchanged(Option<&'a str>),
    /// An identity assertion, which is no access token and must not be presented as one (`N_A`).
    IdJag,
}

/// A token that was asked for.
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
    /// Microsoft's: what it is about in particular.
    #[serde(default)]
    suberror: Option<String>,
    /// Microsoft's: what the user must prove. Its presence is all that is looked at.
    #[serde(default)]
    claims: Option<IgnoredAny>,
}

/// Takes the token out of an answer. `sent` are the tokens that went out: none of them may come back.
pub(crate) fn read(answer: Answer, expected: Expected<'_>, sent: &[&str]) -> Result<Issued, CredentialError> {
    let Answer { status, headers, body } = answer;
    let issued = match status {
        StatusCode::OK => parse(&headers, &body, expected, sent),
        _ => Err(refusal(status, &body)),
    };
    wipe(body);
    issued
}

fn parse(
    headers: &HeaderMap,
    body: &[u8],
    expected: Expected<'_>,
    sent: &[&str],
) -> Result<Issued, CredentialError> {
    if !is_json(headers) {
        return Err(bad("not application/json"));
    }
    // serde's own messages may quote the document, so only the place is taken over.
    let answer: Success = serde_json::from_slice(body)
        .map_err(|e| bad(&format!("not a token response, line {} column {}", e.line(), e.column())))?;
    if !answer.token_type.eq_ignore_ascii_case(expected.token_type()) {
        return Err(bad("token_type is not what was asked for"));
    }
    if !expected.accepts(answer.issued_token_type.as_deref()) {
        return Err(bad("issued_token_type is missing or not what was requested"));
    }
    let token = answer.access_token.expose_secret();
    if !is_b64token(token) {
        return Err(bad("access_token is empty, too long, or not a Bearer token"));
    }
    if sent.iter().any(|sent| is_same_token(sent, token)) {
        return Err(Reason::EchoedSubjectToken.into());
    }
    let expires_in = answer.expires_in.map(|seconds| Duration::from_secs(seconds.get().into()));
    Ok(Issued { token: answer.access_token, expires_in })
}

impl Expected<'_> {
    fn token_type(self) -> &'static str {
        match self {
            Self::AccessToken | Self::Exchanged(_) => "Bearer",
            Self::IdJag => "N_A",
        }
    }

    fn accepts(self, issued: Option<&str>) -> bool {
        match self {
            Self::AccessToken => issued.is_none_or(|issued| issued == ACCESS_TOKEN || issued == JWT),
            Self::Exchanged(requested) => issued
                .is_some_and(|issued| issued == ACCESS_TOKEN || issued == JWT || Some(issued) == requested),
            Self::IdJag => issued == Some(ID_JAG),
        }
    }
}

/// The server said no, or could not say: overload and its own failures may pass.
fn refusal(status: StatusCode, body: &[u8]) -> CredentialError {
    let failure = serde_json::from_slice::<Failure>(body).ok();
    let code = failure.as_ref().map(|failure| failure.error.as_str()).filter(|code| is_error_code(code));
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Reason::ExchangeUnreachable,
        _ if status.is_server_error() => Reason::ExchangeUnreachable,
        _ if status.is_client_error() && failure.as_ref().is_some_and(Failure::wants_the_user) => {
            Reason::InteractionRequired
        }
        _ if status.is_client_error() => Reason::ExchangeRefused,
        _ => Reason::BadTokenResponse,
    };
    let more = failure.as_ref().and_then(|failure| failure.suberror.as_deref());
    let more = more.filter(|more| is_error_code(more)).map(|more| format!(" ({more})"));
    let (code, more) = (code.unwrap_or("no error code"), more.unwrap_or_default());
    CredentialError::with_detail(reason, &format!("{}: {code}{more}", status.as_u16()))
}

impl Failure {
    /// Whether only the user can put it right: OpenID Connect Core §3.1.2.6, and Microsoft Entra ID, which says
    /// what is missing as a challenge of claims.
    fn wants_the_user(&self) -> bool {
        const CODES: [&str; 4] =
            ["interaction_required", "login_required", "consent_required", "account_selection_required"];
        CODES.contains(&self.error.as_str()) || self.claims.is_some()
    }
}

/// The code of an error (RFC 6749 §5.2), if it has one.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let Failure { error, .. } = serde_json::from_slice(body).ok()?;
    is_error_code(&error).then_some(error)
}

/// Whether it looks like the registered codes. RFC 6749 §5.2 allows more; what does not look like a
/// name could be a token that the server repeats.
fn is_error_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// RFC 6750 §2.1: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(crate) fn is_b64token(token: &str) -> bool {
    let text = token.trim_end_matches('=');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    !text.is_empty() && token.len() <= MAX_TOKEN && text.bytes().all(allowed)
}

/// Whether both are the same but for padding: a lenient upstream would take either.
pub(crate) fn is_same_token(one: &str, other: &str) -> bool {
    one.trim_end_matches('=') == other.trim_end_matches('=')
}

fn bad(detail: &str) -> CredentialError {
    CredentialError::with_detail(Reason::BadTokenResponse, detail)
}

#[cfg(test)]
mod tests;

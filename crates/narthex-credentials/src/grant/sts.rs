//! Temporary keys of AWS for a token of the gateway's own workload.

use crate::error::{CredentialError, Reason};
use crate::secret::{Secret, wipe};
use crate::sigv4::AwsCredentials;
use http::StatusCode;
use narthex_upstreams::egress::{Answer, Egress};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// `AssumeRoleWithWebIdentity`.
pub(crate) struct WebIdentity {
    pub(crate) url: Url,
    pub(crate) egress: Egress,
    pub(crate) role: String,
    pub(crate) session: String,
    pub(crate) token: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Success {
    assume_role_with_web_identity_response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    assume_role_with_web_identity_result: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: SecretString,
    secret_access_key: SecretString,
    session_token: SecretString,
    /// Seconds since the epoch, in JSON.
    expiration: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    error: FailureError,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailureError {
    code: String,
}

impl WebIdentity {
    pub(super) async fn ask(
        &self,
        now: SystemTime,
    ) -> Result<(AwsCredentials, Option<Duration>), CredentialError> {
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role),
            ("RoleSessionName", &self.session),
            ("WebIdentityToken", self.token.expose()),
        ];
        let answer = self.egress.post_form(&self.url, &form, None).await;
        let answer =
            answer.map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))?;
        read(answer, now)
    }
}

fn read(answer: Answer, now: SystemTime) -> Result<(AwsCredentials, Option<Duration>), CredentialError> {
    let Answer { status, body, .. } = answer;
    if status != StatusCode::OK {
        return Err(refusal(status, &body));
    }
    // serde's own messages may quote the document.
    let parsed = serde_json::from_slice::<Success>(&body);
    wipe(body);
    let bad = |detail: &str| CredentialError::with_detail(Reason::BadTokenResponse, detail);
    let parsed = parsed.map_err(|_| bad("not an answer of STS"))?;
    let given =
        parsed.assume_role_with_web_identity_response.assume_role_with_web_identity_result.credentials;
    let end = Duration::try_from_secs_f64(given.expiration).ok().and_then(|end| UNIX_EPOCH.checked_add(end));
    let lifetime =
        end.and_then(|end| end.duration_since(now).ok()).ok_or_else(|| bad("keys that have ended"))?;
    let secret = |text: &SecretString| {
        let text = text.expose_secret();
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| Secret::from(text)).ok_or_else(|| bad("keys that make no header"))
    };
    let keys = AwsCredentials {
        id: secret(&given.access_key_id)?,
        secret: secret(&given.secret_access_key)?,
        session_token: Some(secret(&given.session_token)?),
    };
    Ok((keys, Some(lifetime)))
}

fn refusal(status: StatusCode, body: &[u8]) -> CredentialError {
    let is_down = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let reason = if is_down { Reason::ExchangeUnreachable } else { Reason::ExchangeRefused };
    let code = serde_json::from_slice::<Failure>(body).map(|failure| failure.error.code);
    let code = code.ok().filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic()));
    let code = code.unwrap_or_else(|| "no error code".to_owned());
    CredentialError::with_detail(reason, &format!("STS: {}: {code}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) }
    }

    fn keys(expiration: &str, secret: &str) -> String {
        format!(
            r#"{{"AssumeRoleWithWebIdentityResponse":{{"AssumeRoleWithWebIdentityResult":{{"Credentials":{{
            "AccessKeyId":"ASIA1","SecretAccessKey":"{secret}","SessionToken":"token-canary","Expiration":{expiration}}}}}}}}}"#
        )
    }

    #[test]
    fn the_keys_of_an_answer_are_used_until_they_end() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let (keys, lifetime) = read(answer(200, &keys("1.6E3", "secret-canary")), now).unwrap();
        assert_eq!((keys.id.expose(), keys.secret.expose()), ("ASIA1", "secret-canary"));
        assert_eq!(keys.session_token.unwrap().expose(), "token-canary");
        assert_eq!(lifetime, Some(Duration::from_secs(600)));
    }

    #[test]
    fn other_answers_are_refused_without_showing_them() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (status, body, reason) in [
            (200, keys("999", "secret-canary"), "bad_token_response"),
            (200, keys("-1", "secret-canary"), "bad_token_response"),
            (200, keys("1e300", "secret-canary"), "bad_token_response"),
            (200, keys("2000", "secret canary"), "bad_token_response"),
            (200, keys("2000", ""), "bad_token_response"),
            (200, "<canary/>".into(), "bad_token_response"),
            (
                400,
                r#"{"Error":{"Code":"ExpiredTokenException","Message":"canary"}}"#.into(),
                "exchange_refused",
            ),
            (403, r#"{"Error":{"Code":"canary 1"}}"#.into(), "exchange_refused"),
            (503, "canary".into(), "exchange_unreachable"),
            (429, "canary".into(), "exchange_unreachable"),
        ] {
            let error = read(answer(status, &body), now).map(drop).unwrap_err();
            assert_eq!(error.reason(), reason, "{body}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}

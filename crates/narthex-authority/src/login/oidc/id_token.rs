//! ID tokens (OpenID Connect Core 1.0 §3.1.3.7).

use super::discovery::IssuerName;
use crate::login::Problem;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_identity::{JwtKind, Signer};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Clock difference that is accepted.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest ID token, bytes.
const CAP: usize = 64 * 1024;

/// An ID token that is good.
#[derive(Debug)]
pub(super) struct IdToken {
    /// `iss`.
    pub(super) issuer: String,
    /// `exp`.
    pub(super) expires: SystemTime,
    pub(super) claims: Map<String, Value>,
}

/// What an ID token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e IssuerName,
    pub(super) client: &'e str,
    pub(super) nonce: &'e str,
    /// The access token that came with it.
    pub(super) access_token: Option<&'e str>,
}

impl IdToken {
    /// The claims of `jwt`, if it was signed by the provider for this client and this login.
    pub(super) async fn verify(
        jwt: &str,
        signer: &Signer,
        expected: &Expected<'_>,
        now: SystemTime,
    ) -> Result<Self, Problem> {
        if jwt.len() > CAP {
            return Err(Problem::IdToken("too large"));
        }
        signer.refresh_due(now).await;
        let claims = signer.verify(jwt, JwtKind::IdToken, now).await;
        let claims = claims.map_err(|error| Problem::IdToken(error.reason()))?;
        let issuer = expected.check(&claims, jwt, now).map_err(Problem::IdToken)?;
        // It is there, and a number: that was checked.
        let seconds = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
        Ok(Self { issuer, expires, claims })
    }
}

impl IdToken {
    /// Whether the user has logged in since `begun` (§3.1.3.7 number 13): where that is not said, the provider is
    /// believed to have done what it was asked, unless it had to say it.
    pub(super) fn check_fresh(&self, begun: SystemTime, says_when: bool) -> Result<(), Problem> {
        let begun = begun.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(LEEWAY);
        match self.claims.get("auth_time").map(Value::as_u64) {
            Some(Some(seconds)) if Duration::from_secs(seconds) >= begun => Ok(()),
            Some(_) => Err(Problem::IdToken("auth_time is of a login of before")),
            None if says_when => Err(Problem::IdToken("no auth_time, though it was asked for")),
            None => Ok(()),
        }
    }
}

impl Expected<'_> {
    /// Checks everything but the signature; returns `iss`.
    fn check(&self, claims: &Map<String, Value>, jwt: &str, now: SystemTime) -> Result<String, &'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let issuer = text("iss").ok_or("no iss")?;
        let directory = self.issuer.directory_of(issuer).ok_or("iss is another's")?;
        if !directory.is_empty() && text("tid") != Some(directory) {
            return Err("iss and tid differ");
        }
        self.check_audience(claims)?;
        check_times(claims, now)?;
        let nonce = text("nonce").ok_or("no nonce")?;
        if verify_slices_are_equal(nonce.as_bytes(), self.nonce.as_bytes()).is_err() {
            return Err("nonce is another login's");
        }
        self.check_access_token(claims, jwt)?;
        Ok(issuer.to_owned())
    }

    /// For this client, and, if for others as well, on behalf of this one.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), &'static str> {
        let several = match claims.get("aud") {
            Some(Value::String(one)) if one == self.client => false,
            Some(Value::Array(many)) => {
                if !many.iter().any(|one| one.as_str() == Some(self.client)) {
                    return Err("aud is another client");
                }
                many.len() > 1
            }
            _ => return Err("aud is another client"),
        };
        match claims.get("azp") {
            Some(party) if party.as_str() != Some(self.client) => Err("azp is another client"),
            None if several => Err("several aud and no azp"),
            _ => Ok(()),
        }
    }

    /// `at_hash`, where there is one: the left half of the access token's hash, by the hash of the token's
    /// own signature algorithm (OpenID Connect Core §3.1.3.6).
    fn check_access_token(&self, claims: &Map<String, Value>, jwt: &str) -> Result<(), &'static str> {
        let Some(said) = claims.get("at_hash") else { return Ok(()) };
        let (Some(said), Some(token)) = (said.as_str(), self.access_token) else {
            return Err("at_hash without an access token");
        };
        let algorithm = match algorithm_of(jwt).as_deref() {
            Some("RS256" | "PS256" | "ES256") => &digest::SHA256,
            Some("RS384" | "PS384" | "ES384") => &digest::SHA384,
            Some("RS512" | "PS512" | "EdDSA") => &digest::SHA512,
            _ => return Err("at_hash of an unknown kind"),
        };
        let hash = digest(algorithm, token.as_bytes());
        let half = hash.as_ref().get(..algorithm.output_len() / 2).unwrap_or_default();
        let good = BASE64_URL_SAFE_NO_PAD.encode(half);
        verify_slices_are_equal(good.as_bytes(), said.as_bytes()).map_err(|_| "at_hash is another token's")
    }
}

fn check_times(claims: &Map<String, Value>, now: SystemTime) -> Result<(), &'static str> {
    let now = now.duration_since(UNIX_EPOCH).map_err(|_| "the clock stands before 1970")?;
    let date = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_u64().map(|seconds| Some(Duration::from_secs(seconds))).ok_or("a date is none")
        }
    };
    if date("exp")?.ok_or("no exp")? <= now.saturating_sub(LEEWAY) {
        return Err("expired");
    }
    if date("iat")?.ok_or("no iat")? > now + LEEWAY {
        return Err("issued in the future");
    }
    if date("nbf")?.is_some_and(|start| start > now + LEEWAY) {
        return Err("not valid yet");
    }
    Ok(())
}

/// `alg` of a JWT whose signature was verified.
fn algorithm_of(jwt: &str) -> Option<String> {
    let header = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header.get("alg")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;

//! What the vault answered.

use super::problem::VaultProblem;
use crate::error::printable;
use crate::secret::{MAX_SECRET, Secret, wipe};
use http::StatusCode;
use narthex_upstreams::egress::Answer;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The fields that were wanted of one version of a secret.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) fields: BTreeMap<String, Result<Secret, VaultProblem>>,
}

/// What a login or a renewal gave.
pub(super) struct Granted {
    pub(super) token: Secret,
    /// Seconds; zero: without end.
    pub(super) lease: u64,
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
struct Enveloped<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct Kv<'a> {
    /// `null` in a deleted version. What nobody asked for is not even unescaped.
    #[serde(borrow)]
    data: Option<BTreeMap<String, &'a RawValue>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

#[derive(Deserialize)]
struct Authenticated {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: SecretString,
    lease_duration: u64,
    renewable: bool,
}

/// What a token says of itself.
#[derive(Deserialize)]
pub(super) struct Lookup {
    /// Seconds that are left; zero: without end.
    pub(super) ttl: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<String>,
}

/// The answer to a reading of a secret.
pub(super) fn version(answer: Answer, wanted: &[&str]) -> Result<Version, VaultProblem> {
    let found = match answer.status {
        StatusCode::OK => fields(&answer.body, wanted),
        StatusCode::NOT_FOUND => Err(not_found(&answer.body)),
        StatusCode::FORBIDDEN => Err(VaultProblem::Denied),
        other => Err(VaultProblem::BadAnswer(format!("status {}", other.as_u16()))),
    };
    wipe(answer.body);
    found
}

fn fields(body: &[u8], wanted: &[&str]) -> Result<Version, VaultProblem> {
    let no_kv = |_| VaultProblem::BadAnswer("no secret with a version".to_owned());
    let answer: Enveloped<Kv<'_>> = serde_json::from_slice(body).map_err(no_kv)?;
    let kv = answer.data.ok_or_else(|| VaultProblem::BadAnswer("no data".to_owned()))?;
    let data = kv.data.ok_or(VaultProblem::Deleted)?;
    let field = |name: &&str| (name.to_string(), data.get(*name).ok_or(VaultProblem::NoField).and_then(text));
    Ok(Version { number: kv.metadata.version, fields: wanted.iter().map(field).collect() })
}

fn text(raw: &&RawValue) -> Result<Secret, VaultProblem> {
    let text: SecretString = serde_json::from_str(raw.get()).map_err(|_| VaultProblem::NotText)?;
    if text.expose_secret().len() > MAX_SECRET {
        return Err(VaultProblem::BadAnswer(format!("the field is larger than {MAX_SECRET} bytes")));
    }
    Ok(Secret(text))
}

/// A deleted version comes with its metadata; a path where nothing is, without a word; a mount that is not
/// there, with an error.
fn not_found(body: &[u8]) -> VaultProblem {
    if serde_json::from_slice::<Enveloped<Kv<'_>>>(body).is_ok_and(|answer| answer.data.is_some()) {
        return VaultProblem::Deleted;
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    if refusal.errors.is_empty() { VaultProblem::Missing } else { VaultProblem::NoMount }
}

/// The answer to a login or a renewal, for which `sent` was sent.
pub(super) fn granted(answer: Answer, sent: &[&str]) -> Result<Granted, VaultProblem> {
    let granted = match answer.status {
        StatusCode::OK => auth(&answer.body),
        status => Err(VaultProblem::Login(refusal(status, &answer.body, sent))),
    };
    wipe(answer.body);
    granted
}

fn auth(body: &[u8]) -> Result<Granted, VaultProblem> {
    let strange = || VaultProblem::Login("the answer is none to a login".to_owned());
    let answer: Authenticated = serde_json::from_slice(body).map_err(|_| strange())?;
    let auth = answer.auth.ok_or_else(strange)?;
    if auth.client_token.expose_secret().is_empty() {
        return Err(VaultProblem::Login("it asks for a second factor".to_owned()));
    }
    Ok(Granted { token: Secret(auth.client_token), lease: auth.lease_duration, renewable: auth.renewable })
}

/// The answer to a token's question about itself; `None`: it is not good, or may not ask.
pub(super) fn lookup(answer: Answer) -> Result<Option<Lookup>, VaultProblem> {
    let found = match answer.status {
        StatusCode::OK => serde_json::from_slice::<Enveloped<Lookup>>(&answer.body)
            .map_err(|_| VaultProblem::BadAnswer("no token".to_owned()))
            .map(|answer| answer.data),
        StatusCode::FORBIDDEN => Ok(None),
        status => Err(VaultProblem::Login(format!("status {}", status.as_u16()))),
    };
    wipe(answer.body);
    found
}

/// The vault's own words, made printable and short; none of them if they repeat what was sent.
fn refusal(status: StatusCode, body: &[u8], sent: &[&str]) -> String {
    let status = status.as_u16();
    let said = serde_json::from_slice::<Refusal>(body).unwrap_or_default().errors.join(", ");
    let repeats = sent.iter().any(|secret| said.contains(secret));
    if said.is_empty() || repeats {
        format!("status {status}")
    } else {
        format!("status {status}, {}", printable(&said))
    }
}

#[cfg(test)]
mod tests;

//! One proof: what it must be, before anybody asks whether it has been used.

use super::key::ProofKey;
use super::nonce::Worth;
use super::{DpopError, Nonces, ProofId, Request, Rules};
use crate::Thumbprint;
use crate::keys::is_name_of;
use crate::object::{Object, WrongType};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_config::model::Algorithm;
use serde_json::value::RawValue;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest proof that is looked at, bytes. An RSA key of 8192 bits and its signature fit.
const LONGEST: usize = 8 * 1024;
/// Longest `jti`, bytes.
const LONGEST_JTI: usize = 255;
/// Header parameters that change what is verified, or with which key.
const REFUSED: [&str; 8] = ["crit", "b64", "enc", "zip", "jku", "x5u", "x5c", "cty"];
/// Last second of the year 9999: a date after it is no date.
const LAST_DATE: u64 = 253_402_300_799;

/// A proof that is good, if it has not been used before.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) key: Thumbprint,
    pub(super) id: ProofId,
    /// When it is good no more.
    pub(super) until: SystemTime,
    /// A newer nonce is handed out by now.
    pub(super) wants_nonce: bool,
}

/// The one proof among the `DPoP` headers of a request.
pub(super) fn only<'h>(mut proofs: impl Iterator<Item = &'h [u8]>) -> Result<&'h str, DpopError> {
    let proof = proofs.next().ok_or(DpopError::Missing)?;
    if proofs.next().is_some() || proof.contains(&b',') {
        return Err(DpopError::Several);
    }
    if proof.len() > LONGEST {
        return Err(DpopError::TooLarge);
    }
    std::str::from_utf8(proof).map_err(|_| DpopError::Malformed)
}

impl Proof {
    /// The checks of RFC 9449 §4.3 but for single use, the cheap ones first.
    pub(super) fn check(
        text: &str,
        request: &Request<'_>,
        rules: &Rules,
        now: SystemTime,
    ) -> Result<Self, DpopError> {
        let (message, signature) = text.rsplit_once('.').ok_or(DpopError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(DpopError::Malformed)?;
        if !signature.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(DpopError::Malformed);
        }
        let (header, payload) = (decode(header)?, decode(payload)?);
        let (algorithm, key) = read_header(&header, &rules.algorithms)?;
        let claims = Object::parse(&payload).ok_or(DpopError::Malformed)?;
        check_request(&claims, request)?;
        let until = check_time(&claims, rules, now)?;
        if request.key.is_some_and(|wanted| *wanted != key.thumbprint) {
            return Err(DpopError::OtherKey);
        }
        if !key.key.verifies(message, signature, algorithm) {
            return Err(DpopError::Signature);
        }
        let id = ProofId::new(&key.thumbprint, request.target, &jti(&claims)?);
        let wants_nonce = check_nonce(&claims, rules.nonces.as_deref(), now)?;
        Ok(Self { key: key.thumbprint, id, until, wants_nonce })
    }
}

fn read_header(json: &str, allowed: &[Algorithm]) -> Result<(Algorithm, ProofKey), DpopError> {
    let header = Object::parse(json).ok_or(DpopError::Malformed)?;
    let text = |name| header.get::<String>(name).map_err(|WrongType| DpopError::Malformed);
    if text("typ")?.as_deref() != Some("dpop+jwt") {
        return Err(DpopError::Type);
    }
    if REFUSED.iter().any(|name| header.has(name)) {
        return Err(DpopError::Header);
    }
    let name = text("alg")?.ok_or(DpopError::Algorithm)?;
    let algorithm = allowed.iter().copied().find(|algorithm| is_name_of(&name, *algorithm));
    let algorithm = algorithm.ok_or(DpopError::Algorithm)?;
    let jwk = header.get::<&RawValue>("jwk").map_err(|WrongType| DpopError::Key)?.ok_or(DpopError::NoKey)?;
    Ok((algorithm, ProofKey::parse(jwk.get())?))
}

/// Whether the proof is for this request: its method, its URL, its token.
fn check_request(claims: &Object<'_>, request: &Request<'_>) -> Result<(), DpopError> {
    if needed(claims, "htm")? != request.method {
        return Err(DpopError::Method);
    }
    if !request.target.is(&needed(claims, "htu")?) {
        return Err(DpopError::Target);
    }
    let Some(token) = request.token else { return Ok(()) };
    let ath = claims.get::<String>("ath").map_err(bad)?;
    if ath.as_deref() == Some(hash(token).as_str()) { Ok(()) } else { Err(DpopError::Token) }
}

/// `ath` of a token (RFC 9449 §4.2).
pub(super) fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

/// Until when the proof is good.
fn check_time(claims: &Object<'_>, rules: &Rules, now: SystemTime) -> Result<SystemTime, DpopError> {
    let issued = date(claims, "iat")?.ok_or(DpopError::Claims)?;
    let until = issued + rules.window + rules.leeway;
    if now >= until || date(claims, "exp")?.is_some_and(|end| now >= end + rules.leeway) {
        return Err(DpopError::TooOld);
    }
    let ahead = now + rules.leeway;
    if issued > ahead || date(claims, "nbf")?.is_some_and(|start| start > ahead) {
        return Err(DpopError::TooNew);
    }
    Ok(until)
}

fn jti(claims: &Object<'_>) -> Result<String, DpopError> {
    let jti = needed(claims, "jti")?;
    if jti.is_empty() || jti.len() > LONGEST_JTI { Err(DpopError::Claims) } else { Ok(jti) }
}

/// Whether the client should be given a newer nonce. Without `nonces` none is looked at.
fn check_nonce(claims: &Object<'_>, nonces: Option<&Nonces>, now: SystemTime) -> Result<bool, DpopError> {
    let Some(nonces) = nonces else { return Ok(false) };
    let nonce = claims.get::<String>("nonce").map_err(bad)?.ok_or(DpopError::NoNonce)?;
    match nonces.worth(&nonce, now) {
        Worth::Fresh => Ok(false),
        Worth::Good => Ok(true),
        Worth::Nothing => Err(DpopError::Nonce),
    }
}

fn needed(claims: &Object<'_>, name: &str) -> Result<String, DpopError> {
    claims.get::<String>(name).map_err(bad)?.ok_or(DpopError::Claims)
}

/// A `NumericDate` that is a whole number.
fn date(claims: &Object<'_>, name: &str) -> Result<Option<SystemTime>, DpopError> {
    match claims.get::<u64>(name).map_err(bad)? {
        Some(seconds) if seconds > LAST_DATE => Err(DpopError::Claims),
        seconds => Ok(seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds))),
    }
}

fn bad(_: WrongType) -> DpopError {
    DpopError::Claims
}

fn decode(part: &str) -> Result<String, DpopError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| DpopError::Malformed)?;
    String::from_utf8(bytes).map_err(|_| DpopError::Malformed)
}

//! JWTs as access tokens (RFC 7519, RFC 9068, RFC 8725): the form, the header, the signature.
//!
//! The order is the order of trust: first the form, then whose token it claims to be, then whether
//! the signature bears that out, and only then what the claims say ([`claims`]).

pub(crate) mod claims;

use crate::TokenError;
use crate::bearer::TOKEN_CAP;
use crate::keys::{Fitting, KeySet, algorithm_name};
use crate::object::{Object, WrongType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_config::model::Algorithm;
use serde_json::{Map, Value};

/// Longest encoded header, bytes.
const HEADER_CAP: usize = 4 * 1024;

/// Header parameters that would have us trust a key because the token says so.
const EMBEDDED_KEY: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

/// What a token is by its outer form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// Three parts: a JWS in compact form.
    Jws,
    /// Five parts that begin as a JOSE header does: a JWE.
    Jwe,
    /// Anything else: a reference that means something only to its issuer.
    Opaque,
}

impl Form {
    pub(crate) fn of(token: &str) -> Self {
        match token.bytes().filter(|b| *b == b'.').count() {
            2 => Self::Jws,
            4 if token.starts_with("ey") => Self::Jwe,
            _ => Self::Opaque,
        }
    }
}

/// A well-formed token whose signature has not been checked.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    header: Header,
    /// Header and payload as they were signed.
    message: &'t str,
    signature: &'t str,
    payload: String,
}

#[derive(Debug)]
struct Header {
    algorithm: String,
    key_id: Option<String>,
}

impl<'t> Unverified<'t> {
    /// Takes a compact JWS apart that may be an access token.
    pub(crate) fn parse(token: &'t str) -> Result<Self, TokenError> {
        Self::parse_as(token, &Types::ACCESS)
    }

    /// Takes a compact JWS of one of the `types` apart.
    pub(crate) fn parse_as(token: &'t str, types: &Types) -> Result<Self, TokenError> {
        if token.len() > TOKEN_CAP {
            return Err(TokenError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::MalformedToken)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::MalformedToken)?;
        if header.len() > HEADER_CAP {
            return Err(TokenError::TooLarge);
        }
        if !signature.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(TokenError::MalformedToken);
        }
        let header = Header::parse(&decode(header)?, types)?;
        Ok(Self { header, message, signature, payload: decode(payload)? })
    }

    /// The claims. Nothing that they say is proven.
    pub(crate) fn claims(&self) -> Result<Object<'_>, TokenError> {
        Object::parse(&self.payload).ok_or(TokenError::MalformedToken)
    }

    /// The claims as a map; [`claims`](Self::claims) has seen to it that no name is there twice.
    pub(crate) fn claims_map(&self) -> Result<Map<String, Value>, TokenError> {
        serde_json::from_str(&self.payload).map_err(|_| TokenError::MalformedToken)
    }

    /// The algorithm, which must be one of `allowed`.
    pub(crate) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, TokenError> {
        let named = |algorithm: &&Algorithm| algorithm_name(**algorithm) == self.header.algorithm;
        allowed.iter().find(named).copied().ok_or(TokenError::AlgNotAllowed)
    }

    /// Checks the signature.
    pub(crate) fn check_signature(&self, keys: &KeySet, algorithm: Algorithm) -> Result<(), TokenError> {
        match keys.fitting(self.header.key_id.as_deref(), algorithm) {
            Fitting::Nothing | Fitting::Ambiguous => Err(TokenError::UnknownKey),
            Fitting::Keys(keys) => keys
                .iter()
                .any(|key| key.verifies(self.message, self.signature, algorithm))
                .then_some(())
                .ok_or(TokenError::BadSignature),
        }
    }

    /// Whether this error may be due to keys that changed since they were fetched. A signature that
    /// is wrong under the key that the token names is just wrong.
    pub(crate) fn may_need_newer_keys(&self, error: TokenError) -> bool {
        match error {
            TokenError::UnknownKey => true,
            TokenError::BadSignature => self.header.key_id.is_none(),
            _ => false,
        }
    }
}

impl Header {
    fn parse(json: &str, types: &Types) -> Result<Self, TokenError> {
        let header = Object::parse(json).ok_or(TokenError::MalformedToken)?;
        let text = |name| header.get::<String>(name).map_err(|WrongType| TokenError::MalformedToken);
        if header.has("crit") {
            return Err(TokenError::Crit);
        }
        if header.has("b64") {
            return Err(TokenError::UnencodedPayload);
        }
        if EMBEDDED_KEY.iter().any(|name| header.has(name)) {
            return Err(TokenError::EmbeddedKey);
        }
        if header.has("enc") {
            return Err(TokenError::Encrypted);
        }
        types.check(text("typ")?.as_deref(), text("cty")?.as_deref())?;
        let algorithm = text("alg")?.ok_or(TokenError::MalformedToken)?;
        Ok(Self { algorithm, key_id: text("kid")? })
    }
}

/// What a token may say that it is (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Types {
    /// `typ`, without `application/`.
    pub(crate) accepted: &'static [&'static str],
    /// Whether it may say nothing.
    pub(crate) or_none: bool,
}

impl Types {
    /// Only access tokens (RFC 9068 §2.1) and tokens of no declared kind pass; ID tokens, logout tokens,
    /// assertions and proofs that say what they are do not.
    const ACCESS: Self = Self { accepted: &["JWT", "at+jwt"], or_none: true };

    /// `cty: JWT` is a token within a token.
    fn check(&self, typ: Option<&str>, cty: Option<&str>) -> Result<(), TokenError> {
        let accepted = match typ {
            None => self.or_none,
            Some(typ) => {
                let name = strip_application(typ);
                self.accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(name))
            }
        };
        let nested = cty.is_some_and(|cty| cty.to_ascii_lowercase().ends_with("jwt"));
        if accepted && !nested { Ok(()) } else { Err(TokenError::Type) }
    }
}

/// A media type may be written without what all of them begin with (RFC 7515 §4.1.9).
fn strip_application(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        // `application/JWT` is no registered type.
        Some((prefix, name)) if prefix.eq_ignore_ascii_case(PREFIX) && !name.eq_ignore_ascii_case("JWT") => {
            name
        }
        _ => typ,
    }
}

fn decode(part: &str) -> Result<String, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::MalformedToken)?;
    String::from_utf8(bytes).map_err(|_| TokenError::MalformedToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_parts() {
        assert_eq!(Form::of("a.b.c"), Form::Jws);
        assert_eq!(Form::of("eyJhbGciOiJkaXIifQ.a.b.c.d"), Form::Jwe);
        for opaque in ["", "abc", "a.b", "a.b.c.d", "x.a.b.c.d", "a.b.c.d.e.f"] {
            assert_eq!(Form::of(opaque), Form::Opaque, "{opaque}");
        }
    }
}

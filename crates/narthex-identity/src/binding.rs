//! Tokens that are of use only to their sender: what a token is bound to, and whether that was proven.
//!
//! A token that was verified is [`Presented`]; who wants its [`Caller`] has to have its binding proven. There
//! is no other way to it, also for a token that comes out of the cache.

use crate::dpop::{Request, Target, Verifier};
use crate::object::Object;
use crate::{Caller, Thumbprint, TokenError};
use http::HeaderValue;
use narthex_config::model::SenderConstrained;
use std::sync::Arc;
use std::time::SystemTime;

/// The `Authorization` scheme that a token came with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750).
    #[default]
    Bearer,
    /// `DPoP` (RFC 9449 §7.1).
    Dpop,
}

/// What a token is bound to (`cnf`, RFC 7800 §3.1). At least one of the two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// `jkt`: a key (RFC 9449 §6.1).
    pub key: Option<Thumbprint>,
    /// `x5t#S256`: a TLS client certificate (RFC 8705 §3.1).
    pub certificate: Option<Thumbprint>,
}

/// A token that is good, for whoever can prove that it is theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presented {
    caller: Arc<Caller>,
    binding: Option<Arc<Binding>>,
}

/// What came with a token, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'r> {
    /// The token itself.
    pub token: &'r str,
    /// How it came.
    pub scheme: Scheme,
    /// All `DPoP` headers.
    pub proofs: &'r [HeaderValue],
    /// The HTTP method.
    pub method: &'r str,
    /// The URL.
    pub target: &'r Target,
    /// The digest of the certificate that the client has shown in the TLS handshake with us.
    pub certificate: Option<Thumbprint>,
    /// What the route demands.
    pub required: Option<SenderConstrained>,
}

/// A caller who has proven that the token is theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admitted {
    /// The caller.
    pub caller: Arc<Caller>,
    /// The client should be sent a newer nonce with the answer.
    pub wants_nonce: bool,
}

impl Binding {
    /// Reads `cnf` of a token's claims. Of its members those are ignored that are not known (RFC 7800 §3.1); but
    /// where none says something that can be proven here, or one names the key in another way, the token is
    /// for nobody.
    pub(crate) fn read(claims: &Object<'_>) -> Result<Option<Arc<Self>>, TokenError> {
        const OTHERS: [&str; 5] = ["jwk", "jwe", "kid", "jku", "osc"];
        if !claims.has("cnf") {
            return Ok(None);
        }
        let fail = TokenError::SenderConstrained;
        let cnf = claims.get::<Object<'_>>("cnf").ok().flatten().ok_or(fail)?;
        let thumbprint = |name| match cnf.get::<String>(name).map_err(|_| fail)? {
            None => Ok(None),
            Some(text) => Thumbprint::parse(&text).map(Some).ok_or(fail),
        };
        let binding = Self { key: thumbprint("jkt")?, certificate: thumbprint("x5t#S256")? };
        let nothing = binding.key.is_none() && binding.certificate.is_none();
        if nothing || OTHERS.iter().any(|name| cnf.has(name)) {
            return Err(fail);
        }
        Ok(Some(Arc::new(binding)))
    }
}

impl Presented {
    pub(crate) fn new(caller: Arc<Caller>, binding: Option<Arc<Binding>>) -> Self {
        Self { caller, binding }
    }

    /// What the token is bound to, if anything.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_deref()
    }

    /// The caller of a token that is bound to nothing and came as such a token does, on a route that asks for
    /// no more. Gives everything else back, for [`proven`](Self::proven).
    ///
    /// # Errors
    /// The token itself.
    pub fn unbound(self, scheme: Scheme, required: Option<SenderConstrained>) -> Result<Arc<Caller>, Self> {
        if self.binding.is_none() && scheme == Scheme::Bearer && required.is_none() {
            Ok(self.caller)
        } else {
            Err(self)
        }
    }

    /// The caller, if all that the token is bound to is proven, and it is bound to what the route demands.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn proven(
        self,
        evidence: &Evidence<'_>,
        verifier: &Verifier,
        now: SystemTime,
    ) -> Result<Admitted, TokenError> {
        let (key, certificate) = match self.binding.as_deref() {
            Some(binding) => (binding.key, binding.certificate),
            None => (None, None),
        };
        check_scheme(evidence.scheme, key)?;
        if let Some(required) = evidence.required {
            let meets = (required.accepts_key() && key.is_some())
                || (required.accepts_certificate() && certificate.is_some());
            if !meets {
                return Err(TokenError::BindingRequired);
            }
        }
        if let Some(wanted) = certificate {
            let shown = evidence.certificate.ok_or(TokenError::NoCertificate)?;
            if shown != wanted {
                return Err(TokenError::OtherCertificate);
            }
        }
        let mut wants_nonce = false;
        if let Some(key) = &key {
            let Evidence { method, target, token, proofs, .. } = *evidence;
            let request = Request { method, target, token: Some(token), key: Some(key) };
            let proofs = proofs.iter().map(HeaderValue::as_bytes);
            wants_nonce = verifier.verify(proofs, &request, now).await?.wants_nonce;
        }
        Ok(Admitted { caller: self.caller, wants_nonce })
    }
}

/// A token that is bound to a key comes as `DPoP`, and no other does: whoever could have it taken for a bearer
/// token would need no key (RFC 9449 §7.2).
fn check_scheme(scheme: Scheme, key: Option<Thumbprint>) -> Result<(), TokenError> {
    match (scheme, key) {
        (Scheme::Bearer, Some(_)) => Err(TokenError::Downgraded),
        (Scheme::Dpop, None) => Err(TokenError::NotBound),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

//! What a client has its tokens bound to: a key that it proves to hold (DPoP, RFC 9449 §5), or else the
//! certificate that it has shown in the TLS handshake (RFC 8705 §3).

use super::access::Binding;
use crate::Request;
use crate::authority::Authority;
use crate::client::Client;
use crate::error::{Code, OAuthError};
use http::HeaderValue;
use narthex_config::model::SenderConstrained;
use narthex_identity::Thumbprint;
use narthex_identity::dpop::{self, DpopError};
use std::time::SystemTime;

/// What a request binds the tokens to that are made for it.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) to: Option<Binding>,
    /// The nonce that the client's next proof is to have, if it should take a newer one.
    pub(crate) nonce: Option<String>,
}

impl Authority {
    /// What the client proves to have. A proof that is there has to be good, whether anybody wants one or not.
    pub(super) async fn binding(
        &self,
        client: &Client,
        request: &Request,
        now: SystemTime,
    ) -> Result<Bound, OAuthError> {
        let mut proofs = request.headers.get_all("dpop").iter().map(HeaderValue::as_bytes).peekable();
        if proofs.peek().is_none() {
            if client.dpop {
                return Err(self.unproven(DpopError::Missing, now));
            }
            let certificate = request.client_certificate.map(Thumbprint::from_digest);
            let to = certificate.map(|certificate| Binding::Certificate(certificate.to_string()));
            return Ok(Bound { to, nonce: None });
        }
        let (method, target) = (request.method.as_str(), &self.token_target);
        let asked = dpop::Request { method, target, token: None, key: None };
        match self.proofs.verify(proofs, &asked, now).await {
            Ok(proven) => {
                let nonce = if proven.wants_nonce { self.proofs.nonce(now) } else { None };
                Ok(Bound { to: Some(Binding::Key(proven.key.to_string())), nonce })
            }
            Err(error) => Err(self.unproven(error, now)),
        }
    }

    /// RFC 9449 §5 and §8.
    fn unproven(&self, error: DpopError, now: SystemTime) -> OAuthError {
        let (code, description) = match error {
            DpopError::Full | DpopError::Unavailable => {
                (Code::TemporarilyUnavailable, "The server cannot remember anything just now.")
            }
            DpopError::TooMany => (Code::SlowDown, "Too many proofs of this key are in use."),
            DpopError::NoNonce | DpopError::Nonce => {
                (Code::UseDpopNonce, "The proof has to have the nonce that is in DPoP-Nonce.")
            }
            _ => (Code::InvalidDpopProof, "The proof of possession is no good."),
        };
        OAuthError { nonce: self.proofs.nonce(now), ..OAuthError::new(code, description) }
            .detail(error.reason())
    }

    /// Whether a token that is bound so is of any use at `resource`, whose route may demand more.
    pub(super) fn check_demands(
        &self,
        resource: &str,
        binding: Option<&Binding>,
        now: SystemTime,
    ) -> Result<(), OAuthError> {
        let demanded = self.resources.find(resource).and_then(|found| found.sender_constrained);
        let Some(demanded) = demanded else { return Ok(()) };
        let meets = match binding {
            Some(Binding::Key(_)) => demanded.accepts_key(),
            Some(Binding::Certificate(_)) => demanded.accepts_certificate(),
            None => false,
        };
        match demanded {
            _ if meets => Ok(()),
            SenderConstrained::Mtls => Err(OAuthError::new(
                Code::InvalidRequest,
                "This resource takes only tokens that are bound to a client certificate (RFC 8705).",
            )),
            SenderConstrained::Dpop | SenderConstrained::Any => {
                let text =
                    "This resource takes only tokens that are bound to a key: a DPoP proof is missing.";
                Err(OAuthError {
                    nonce: self.proofs.nonce(now),
                    ..OAuthError::new(Code::InvalidDpopProof, text)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;

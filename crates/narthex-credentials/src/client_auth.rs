//! How the gateway authenticates at a token endpoint (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::assertion::{ASSERTION_TYPE, ClientAssertion, Signer};
use crate::error::{BuildProblem, CredentialError};
use crate::fixed;
use crate::grant::Form;
use crate::secret::Secret;
use crate::values::Values;
use http::HeaderValue;
use narthex_config::model::{OAuthClient, OAuthClientAuth};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// A client's authentication, ready to be added to a request.
pub(crate) enum ClientAuth {
    /// `client_secret_basic`: this `Authorization` header.
    Basic(HeaderValue),
    /// `client_secret_post`.
    Post { id: String, secret: Secret },
    /// `private_key_jwt`.
    Assertion(Box<ClientAssertion>),
    /// `tls_client_auth` (RFC 8705 §2.1), by the certificate of the connection; or a public client.
    Id { id: String },
    /// Nobody: what is sent speaks for itself.
    Nobody,
}

impl ClientAuth {
    /// Made from the configuration and what it refers to.
    pub(crate) fn new(client: &OAuthClient, values: &Values) -> Result<Self, BuildProblem> {
        let id = client.id.clone();
        Ok(match &client.auth {
            OAuthClientAuth::Basic(secret) => Self::Basic(basic(&id, values.secret(secret)?)?),
            OAuthClientAuth::Post(secret) => Self::Post { id, secret: values.secret(secret)?.clone() },
            OAuthClientAuth::PrivateKeyJwt { key, algorithm, key_id } => {
                let signer = Signer::new(values.secret(key)?, *algorithm, key_id.as_deref())?;
                Self::Assertion(Box::new(ClientAssertion { signer, client_id: id }))
            }
            OAuthClientAuth::Tls { .. } | OAuthClientAuth::None => Self::Id { id },
        })
    }

    /// With a secret that is no reference, in the header or in the body; without, a public client.
    pub(crate) fn of_secret(id: &str, secret: Option<Secret>, post: bool) -> Result<Self, BuildProblem> {
        let id = id.to_owned();
        Ok(match secret {
            None => Self::Id { id },
            Some(secret) if post => Self::Post { id, secret },
            Some(secret) => Self::Basic(basic(&id, &secret)?),
        })
    }

    /// The same client with its secret in the form, if it has one that is in a header.
    pub(crate) fn in_the_form(client: &OAuthClient, values: &Values) -> Result<Option<Self>, BuildProblem> {
        let OAuthClientAuth::Basic(secret) = &client.auth else { return Ok(None) };
        Ok(Some(Self::Post { id: client.id.clone(), secret: values.secret(secret)?.clone() }))
    }

    /// Adds its parameters to `form` and signs what must be signed, for `audience`: the authorization server's
    /// issuer (draft-ietf-oauth-rfc7523bis), or where that is not known, the token endpoint (RFC 7523 §3).
    pub(crate) fn add_to(
        &self,
        form: &mut Form,
        audience: &str,
        now: std::time::SystemTime,
    ) -> Result<(), CredentialError> {
        match self {
            Self::Basic(_) | Self::Nobody => {}
            Self::Post { id, secret } => {
                form.add("client_id", id);
                form.add("client_secret", secret.expose());
            }
            Self::Assertion(assertion) => {
                form.add("client_id", &assertion.client_id);
                form.add("client_assertion_type", ASSERTION_TYPE);
                form.add("client_assertion", &assertion.sign(audience, now)?);
            }
            Self::Id { id } => form.add("client_id", id),
        }
        Ok(())
    }

    /// The `Authorization` header, if that is the way.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        match self {
            Self::Basic(value) => Some(value.clone()),
            Self::Post { .. } | Self::Assertion(_) | Self::Id { .. } | Self::Nobody => None,
        }
    }
}

/// RFC 6749 §2.3.1: both are form-urlencoded before they are joined and encoded in base64.
fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, BuildProblem> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    fixed::basic_value(&encode(id), &Zeroizing::new(encode(secret.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn decoded(id: &str, secret: &str) -> String {
        let value = basic(id, &secret.into()).unwrap();
        let encoded = value.as_bytes().strip_prefix(b"Basic ").unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn the_basic_secret_is_form_urlencoded_first() {
        for (id, secret, expected) in [
            ("narthex", "s3cret", "narthex:s3cret"),
            ("https://gw.example/", "a:b", "https%3A%2F%2Fgw.example%2F:a%3Ab"),
            ("id", "100% & more+", "id:100%25+%26+more%2B"),
            ("id", "gr\u{fc}n\u{20ac}", "id:gr%C3%BCn%E2%82%AC"),
        ] {
            assert_eq!(decoded(id, secret), expected);
        }
    }

    proptest! {
        #[test]
        fn every_id_and_secret_comes_out_as_it_went_in(id in ".{1,40}", secret in ".{1,40}") {
            let pair = decoded(&id, &secret);
            let (left, right) = pair.split_once(':').unwrap();
            let decode = |text: &str| form_urlencoded::parse(format!("v={text}").as_bytes()).next().unwrap().1.into_owned();
            prop_assert_eq!((decode(left), decode(right)), (id, secret));
        }
    }
}

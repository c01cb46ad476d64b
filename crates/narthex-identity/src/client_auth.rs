//! How the gateway itself authenticates to an authorization server (RFC 6749 §2.3, RFC 7523 §2.2).

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jsonwebtoken::{EncodingKey, Header};
use narthex_config::model::{Algorithm, OAuthClient, OAuthClientAuth, SecretRef};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// Life of a client assertion.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// Where the values of secrets come from.
pub trait SecretSource: Send + Sync {
    /// The value of a secret, as it is now.
    ///
    /// # Errors
    /// Why it cannot be read; never with any part of it.
    fn read(&self, secret: &SecretRef) -> Result<SecretString, String>;
}

/// What a request needs to be authenticated.
#[derive(Default)]
pub struct Credentials {
    /// `Authorization`.
    pub authorization: Option<HeaderValue>,
    /// Form parameters.
    pub form: Vec<(&'static str, Zeroizing<String>)>,
}

/// The credentials of `client` at the authorization server `audience`.
///
/// # Errors
/// Its secret cannot be read, or is no key. Never with any part of it.
pub fn credentials(
    client: &OAuthClient,
    audience: &str,
    secrets: &dyn SecretSource,
    now: SystemTime,
) -> Result<Credentials, String> {
    let id = || ("client_id", Zeroizing::new(client.id.clone()));
    match &client.auth {
        // The configuration has no certificate for an introspection endpoint.
        OAuthClientAuth::None | OAuthClientAuth::Tls { .. } => {
            Ok(Credentials { form: vec![id()], ..Credentials::default() })
        }
        OAuthClientAuth::Basic(secret) => basic(&client.id, &secrets.read(secret)?),
        OAuthClientAuth::Post(secret) => {
            let secret = Zeroizing::new(secrets.read(secret)?.expose_secret().to_owned());
            Ok(Credentials { form: vec![id(), ("client_secret", secret)], ..Credentials::default() })
        }
        OAuthClientAuth::PrivateKeyJwt { key, algorithm, key_id } => {
            let key = encoding_key(&secrets.read(key)?, *algorithm)?;
            let assertion = assertion(&client.id, audience, &key, *algorithm, key_id.as_deref(), now)?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let kind = Zeroizing::new(kind.to_owned());
            let form = vec![id(), ("client_assertion_type", kind), ("client_assertion", assertion)];
            Ok(Credentials { form, ..Credentials::default() })
        }
    }
}

/// RFC 6749 §2.3.1: both parts form-encoded before they are joined.
fn basic(id: &str, secret: &SecretString) -> Result<Credentials, String> {
    let mut pair = Zeroizing::new(byte_serialize(id.as_bytes()).collect::<String>());
    pair.push(':');
    pair.extend(byte_serialize(secret.expose_secret().as_bytes()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| String::from("no header value"))?;
    value.set_sensitive(true);
    Ok(Credentials { authorization: Some(value), form: Vec::new() })
}

fn encoding_key(pem: &SecretString, algorithm: Algorithm) -> Result<EncodingKey, String> {
    let pem = pem.expose_secret().as_bytes();
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        _ => EncodingKey::from_rsa_pem(pem),
    }
    .map_err(|_| String::from("the key is no PEM private key (PKCS#8) of its algorithm"))
}

fn assertion(
    id: &str,
    audience: &str,
    key: &EncodingKey,
    algorithm: Algorithm,
    key_id: Option<&str>,
    now: SystemTime,
) -> Result<Zeroizing<String>, String> {
    #[derive(Serialize)]
    struct Claims<'c> {
        iss: &'c str,
        sub: &'c str,
        aud: &'c str,
        jti: String,
        iat: u64,
        exp: u64,
    }
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_| String::from("no randomness"))?;
    let iat = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let jti = URL_SAFE_NO_PAD.encode(nonce);
    let claims = Claims { iss: id, sub: id, aud: audience, jti, iat, exp: iat + ASSERTION_LIFE.as_secs() };
    let mut header = Header::new(crate::keys::jws_algorithm(algorithm));
    header.kid = key_id.map(str::to_owned);
    jsonwebtoken::encode(&header, &claims, key)
        .map(Zeroizing::new)
        .map_err(|_| String::from("the client assertion cannot be signed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, Secrets};

    fn client(auth: OAuthClientAuth) -> OAuthClient {
        OAuthClient { id: String::from("gate way"), auth }
    }

    fn secret() -> SecretRef {
        SecretRef::Env(String::from("S"))
    }

    fn made(auth: OAuthClientAuth, value: &str) -> Credentials {
        credentials(&client(auth), "https://idp.example", &Secrets::of(value), UNIX_EPOCH).unwrap()
    }

    #[test]
    fn basic_is_form_encoded_before_it_is_joined() {
        let made = made(OAuthClientAuth::Basic(secret()), "a:b+c");
        let value = made.authorization.unwrap();
        assert!(value.is_sensitive());
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"gate+way:a%3Ab%2Bc");
    }

    #[test]
    fn post_sends_both_in_the_form() {
        let made = made(OAuthClientAuth::Post(secret()), "s3cret");
        assert!(made.authorization.is_none());
        let form: Vec<_> = made.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(form, [("client_id", "gate way"), ("client_secret", "s3cret")]);
    }

    #[test]
    fn a_private_key_jwt_is_for_the_issuer_and_short_lived() {
        let key = fixtures::p256();
        let auth = OAuthClientAuth::PrivateKeyJwt {
            key: secret(),
            algorithm: Algorithm::ES256,
            key_id: Some(String::from("k1")),
        };
        let made = made(auth, &key.pem());
        let (_, assertion) = made.form.iter().find(|(name, _)| *name == "client_assertion").unwrap();
        let (header, claims) = fixtures::peek(assertion);
        assert_eq!(header["kid"], "k1");
        assert_eq!((&claims["iss"], &claims["aud"]), (&"gate way".into(), &"https://idp.example".into()));
        assert_eq!(claims["exp"], 60);
    }

    #[test]
    fn an_unreadable_secret_or_key_is_an_error_that_does_not_show_it() {
        let auth =
            OAuthClientAuth::PrivateKeyJwt { key: secret(), algorithm: Algorithm::RS256, key_id: None };
        let failed = credentials(&client(auth), "a", &Secrets::of("hush"), UNIX_EPOCH);
        assert!(!failed.err().unwrap().contains("hush"));
        let failed =
            credentials(&client(OAuthClientAuth::Basic(secret())), "a", &Secrets::none(), UNIX_EPOCH);
        assert!(failed.is_err());
    }
}

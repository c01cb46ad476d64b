//! The public key that a proof brings along.

use super::DpopError;
use crate::Thumbprint;
use crate::keys::Key;
use crate::object::Object;

/// Members that only private or symmetric keys have (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key and its thumbprint.
pub(super) struct ProofKey {
    pub(super) key: Key,
    pub(super) thumbprint: Thumbprint,
}

impl ProofKey {
    /// Reads a JWK, which must be a public one of a supported kind.
    pub(super) fn parse(json: &str) -> Result<Self, DpopError> {
        let members = Object::parse(json).ok_or(DpopError::Key)?;
        if PRIVATE.iter().any(|name| members.has(name)) {
            return Err(DpopError::PrivateKey);
        }
        let key = Key::parse(json).ok_or(DpopError::Key)?;
        let thumbprint = thumbprint(&members).ok_or(DpopError::Key)?;
        Ok(Self { key, thumbprint })
    }
}

/// RFC 7638 §3: the required members of the key's kind, in the order of their names, without blanks. The values
/// are base64url or registered names, so there is nothing to escape.
fn thumbprint(jwk: &Object<'_>) -> Option<Thumbprint> {
    let member = |name| jwk.get::<String>(name).ok().flatten();
    let form = match member("kty")?.as_str() {
        "EC" => {
            let (crv, x, y) = (member("crv")?, member("x")?, member("y")?);
            format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, member("crv")?, member("x")?),
        "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member("e")?, member("n")?),
        _ => return None,
    };
    Some(Thumbprint::of(form.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::json;

    fn of(jwk: &serde_json::Value) -> Result<String, DpopError> {
        ProofKey::parse(&jwk.to_string()).map(|key| key.thumbprint.to_string())
    }

    #[test]
    fn the_thumbprint_of_rfc_7638_is_made() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK\
                 RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic\
                 AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3\
                 XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(of(&jwk).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_thumbprints_of_rfc_9449_and_rfc_8037_are_made() {
        // RFC 9449 §4.1 and §6.1.
        let ec = json!({
            "kty": "EC", "crv": "P-256",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        });
        assert_eq!(of(&ec).unwrap(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        // RFC 8037 appendix A.3.
        let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(of(&okp).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_thumbprint_depends_on_the_key_alone() {
        for key in [fixtures::rsa(), fixtures::p256(), fixtures::p384(), fixtures::ed25519()] {
            let bare = of(&key.jwk("a")).unwrap();
            let mut dressed = key.jwk("b");
            dressed["ext"] = json!(true);
            assert_eq!(of(&dressed), Ok(bare), "{:?}", key.algorithm());
        }
        assert_ne!(of(&fixtures::p256().jwk("k")), of(&fixtures::other_p256().jwk("k")));
    }

    #[test]
    fn no_private_or_symmetric_key_is_a_proofs_key() {
        for (base, members) in [(fixtures::p256(), vec!["d"]), (fixtures::rsa(), PRIVATE.to_vec())] {
            for member in members {
                for value in [json!("AQAB"), json!(""), json!(1), json!(null)] {
                    let mut jwk = base.jwk("k");
                    jwk[member] = value;
                    assert_eq!(of(&jwk), Err(DpopError::PrivateKey), "{member}");
                }
            }
        }
        assert_eq!(of(&json!({"kty": "oct", "k": "AQAB"})), Err(DpopError::PrivateKey));
    }

    #[test]
    fn what_is_no_key_that_is_supported_is_refused() {
        for json in ["", "1", "[]", "null", "{}", "\"k\"", r#"{"kty":"EC","kty":"RSA"}"#, r#"{"kty":"oct"}"#]
        {
            assert!(matches!(ProofKey::parse(json), Err(DpopError::Key)), "{json}");
        }
    }
}

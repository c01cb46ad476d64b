//! Who may use which token.

use super::*;
use crate::dpop::{DpopError, Rules, Seen};
use crate::fixtures::{self, NOW, TestKey, now, raw_token};
use aws_lc_rs::digest::{SHA256, digest};
use narthex_config::model::{Auth, TenantId};
use serde_json::{Value, json};

const TOKEN: &str = "a.b.c";

fn verifier() -> Verifier {
    let nonces = Arc::new(crate::dpop::Nonces::new(&[[7; 32]]));
    Verifier::new(Rules::new(&Auth::default(), nonces), Arc::new(Seen::new(100)))
}

fn jwk(key: &TestKey) -> Value {
    let mut jwk = key.jwk("k");
    jwk.as_object_mut().unwrap().retain(|name, _| name != "kid" && name != "use");
    jwk
}

fn thumbprint(key: &TestKey) -> Thumbprint {
    let jwk = jwk(key);
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    Thumbprint::of(text.as_bytes())
}

fn proof(key: &TestKey) -> HeaderValue {
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(key)});
    let ath = fixtures::b64(digest(&SHA256, TOKEN.as_bytes()));
    let claims = json!({"jti": "1", "htm": "POST", "htu": fixtures::RESOURCE, "iat": NOW, "ath": ath});
    HeaderValue::try_from(raw_token(&header.to_string(), &claims.to_string(), key)).unwrap()
}

fn presented(key: Option<Thumbprint>, certificate: Option<Thumbprint>) -> Presented {
    let caller = Arc::new(Caller::anonymous(TenantId::from("acme")));
    let bound = key.is_some() || certificate.is_some();
    Presented::new(caller, bound.then(|| Arc::new(Binding { key, certificate })))
}

/// A request, as it may come.
#[derive(Clone, Copy)]
struct Came {
    scheme: Scheme,
    proof: bool,
    certificate: Option<Thumbprint>,
    required: Option<SenderConstrained>,
}

async fn outcome(presented: Presented, came: Came) -> Result<Arc<Caller>, TokenError> {
    let presented = match presented.unbound(came.scheme, came.required) {
        Ok(caller) => return Ok(caller),
        Err(presented) => presented,
    };
    let target = Target::new(fixtures::RESOURCE).unwrap();
    let proofs: Vec<_> = came.proof.then(|| proof(fixtures::p256())).into_iter().collect();
    let evidence = Evidence {
        token: TOKEN,
        scheme: came.scheme,
        proofs: &proofs,
        method: "POST",
        target: &target,
        certificate: came.certificate,
        required: came.required,
    };
    presented.proven(&evidence, &verifier(), now()).await.map(|admitted| admitted.caller)
}

#[tokio::test]
async fn what_is_bound_must_be_proven_and_what_is_demanded_must_be_bound() {
    use Scheme::{Bearer, Dpop};
    use SenderConstrained as Need;
    let key = Some(thumbprint(fixtures::p256()));
    let (cert, other) = (Some(Thumbprint::of(b"cert")), Some(Thumbprint::of(b"other")));
    let other_key = Some(thumbprint(fixtures::other_p256()));
    let stolen = |error| Err(TokenError::Dpop(error));
    // Bound to (key, certificate); came with (scheme, proof, certificate); demanded; what becomes of it.
    let cases = [
        ("a bearer token", (None, None), (Bearer, false, None), None, Ok(())),
        ("a bearer token with a proof", (None, None), (Bearer, true, None), None, Ok(())),
        ("a bearer token with a certificate", (None, None), (Bearer, false, cert), None, Ok(())),
        ("an unbound token as DPoP", (None, None), (Dpop, true, None), None, Err(TokenError::NotBound)),
        ("a key, proven", (key, None), (Dpop, true, None), None, Ok(())),
        ("a key, not proven", (key, None), (Dpop, false, None), None, stolen(DpopError::Missing)),
        ("a key, as bearer", (key, None), (Bearer, false, None), None, Err(TokenError::Downgraded)),
        ("a key, as bearer, proven", (key, None), (Bearer, true, None), None, Err(TokenError::Downgraded)),
        ("another key", (other_key, None), (Dpop, true, None), None, stolen(DpopError::OtherKey)),
        ("a key, and a certificate", (key, None), (Bearer, false, cert), None, Err(TokenError::Downgraded)),
        ("a certificate, shown", (None, cert), (Bearer, false, cert), None, Ok(())),
        (
            "a certificate, not shown",
            (None, cert),
            (Bearer, false, None),
            None,
            Err(TokenError::NoCertificate),
        ),
        (
            "another certificate",
            (None, cert),
            (Bearer, false, other),
            None,
            Err(TokenError::OtherCertificate),
        ),
        ("a certificate, as DPoP", (None, cert), (Dpop, true, cert), None, Err(TokenError::NotBound)),
        ("both, proven", (key, cert), (Dpop, true, cert), None, Ok(())),
        ("both, no proof", (key, cert), (Dpop, false, cert), None, stolen(DpopError::Missing)),
        ("both, no certificate", (key, cert), (Dpop, true, None), None, Err(TokenError::NoCertificate)),
        (
            "unbound, dpop",
            (None, None),
            (Bearer, false, None),
            Some(Need::Dpop),
            Err(TokenError::BindingRequired),
        ),
        (
            "unbound, mtls",
            (None, None),
            (Bearer, false, cert),
            Some(Need::Mtls),
            Err(TokenError::BindingRequired),
        ),
        (
            "unbound, any",
            (None, None),
            (Bearer, true, cert),
            Some(Need::Any),
            Err(TokenError::BindingRequired),
        ),
        ("a key, dpop", (key, None), (Dpop, true, None), Some(Need::Dpop), Ok(())),
        ("a key, any", (key, None), (Dpop, true, None), Some(Need::Any), Ok(())),
        ("a key, mtls", (key, None), (Dpop, true, cert), Some(Need::Mtls), Err(TokenError::BindingRequired)),
        ("a certificate, mtls", (None, cert), (Bearer, false, cert), Some(Need::Mtls), Ok(())),
        ("a certificate, any", (None, cert), (Bearer, false, cert), Some(Need::Any), Ok(())),
        (
            "a certificate, dpop",
            (None, cert),
            (Bearer, false, cert),
            Some(Need::Dpop),
            Err(TokenError::BindingRequired),
        ),
        ("both, dpop", (key, cert), (Dpop, true, cert), Some(Need::Dpop), Ok(())),
        ("both, mtls", (key, cert), (Dpop, true, cert), Some(Need::Mtls), Ok(())),
    ];
    for (name, (key, certificate), (scheme, proof, shown), required, expected) in cases {
        let came = Came { scheme, proof, certificate: shown, required };
        let found = outcome(presented(key, certificate), came).await.map(drop);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn only_known_confirmations_are_a_binding() {
    let print = Thumbprint::of(b"x").to_string();
    let read = |cnf: Value| Binding::read(&Object::parse(&json!({"cnf": cnf}).to_string()).unwrap());
    let key = Some(Thumbprint::of(b"x"));
    let bound = |key, certificate| Ok(Some(Arc::new(Binding { key, certificate })));
    assert_eq!(Binding::read(&Object::parse("{}").unwrap()), Ok(None));
    assert_eq!(read(json!({"jkt": print})), bound(key, None));
    assert_eq!(read(json!({"x5t#S256": print})), bound(None, key));
    assert_eq!(read(json!({"jkt": print, "x5t#S256": print})), bound(key, key));
    assert_eq!(read(json!({"jkt": print, "unheard-of": 1})), bound(key, None), "ignored (RFC 7800)");
    for cnf in [
        json!(null),
        json!({}),
        json!([]),
        json!("jkt"),
        json!({"jkt": null}),
        json!({"jkt": "x"}),
        json!({"jkt": [print]}),
        json!({"jkt": format!("{print}=")}),
        json!({"JKT": print}),
        json!({"x5t": print}),
        json!({"x5t#s256": print}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"jkt": print, "jwk": {"kty": "EC"}}),
        json!({"jkt": print, "kid": "k"}),
        json!({"jkt": print, "x5t#S256": "x"}),
        json!({"unheard-of": print}),
    ] {
        assert_eq!(read(cnf.clone()), Err(TokenError::SenderConstrained), "{cnf}");
    }
    let twice = format!(r#"{{"cnf":{{"jkt":"{print}","jkt":"{print}"}}}}"#);
    assert_eq!(Binding::read(&Object::parse(&twice).unwrap()), Err(TokenError::SenderConstrained));
}

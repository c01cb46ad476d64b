//! What the gateway signs for each request: assertions, and requests themselves.

use super::*;
use crate::{Outgoing, Presented, SigningKeys};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use narthex_config::model::{Assertion, AssertionAlgorithm, AwsKeys, AwsSigV4};
use serde_json::{Value, json};

const AUDIENCE: &str = "https://mcp.example.com/mcp";

fn assertion() -> Assertion {
    Assertion {
        audience: AUDIENCE.into(),
        lifetime: Duration::from_secs(60),
        header: None,
        algorithm: AssertionAlgorithm::Es256,
        per_request: true,
    }
}

fn signing() -> (SigningKeys, Context) {
    let keys = SigningKeys::ephemeral(at(0)).unwrap();
    (keys.clone(), Context { signing_keys: Some(keys), ..Context::default() })
}

/// The fields that a request with this id gets.
fn made(
    credential: &UpstreamCredential,
    id: Option<&str>,
    now: SystemTime,
) -> Result<Vec<(HeaderName, HeaderValue)>, CredentialError> {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("mcp.example.com"));
    if let Some(id) = id {
        headers.insert("x-request-id", HeaderValue::from_str(id).unwrap());
    }
    let request =
        Outgoing { origin: ORIGIN, method: &Method::POST, target: "/mcp", headers: &headers, body: b"{}" };
    match credential.present(&request, now)? {
        Presented::Made(fields) => Ok(fields),
        Presented::Kept(name, value) => Ok(vec![(name.clone(), value.clone())]),
        Presented::Nothing => Ok(Vec::new()),
    }
}

/// The claims of a JWT that verifies with the published keys.
fn verified(keys: &SigningKeys, token: &str) -> Value {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let set: JwkSet = serde_json::from_slice(&keys.jwks().unwrap()).unwrap();
    let jwk = set.find(header.kid.as_deref().unwrap()).expect("a published key");
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[PUBLIC_URL]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &rules).unwrap().claims
}

fn token(fields: &[(HeaderName, HeaderValue)]) -> &str {
    let [(name, value)] = fields else { panic!("one field") };
    assert_eq!(name, "authorization");
    assert!(value.is_sensitive());
    value.to_str().unwrap().strip_prefix("Bearer ").unwrap()
}

#[test]
fn an_assertion_says_who_calls_and_with_which_request() {
    let (keys, context) = signing();
    let source = build_in(Credential::Assertion(assertion()), &context);
    assert!(source.is_per_caller() && !source.needs_subject_token() && !source.is_renewable());
    let mut alice = caller("acme", "alice", 3600);
    alice.scopes = vec!["mcp:read".into(), "mcp:write".into()];
    let credential = source.ready(&alice, Some("inbound-canary"), at(0)).unwrap();
    let fields = made(&credential, Some("request-1"), at(10)).unwrap();
    let claims = verified(&keys, token(&fields));
    let seconds = at(10).duration_since(UNIX_EPOCH).unwrap().as_secs();
    let jti = claims["jti"].clone();
    assert_eq!(
        claims,
        json!({
            "iss": PUBLIC_URL, "sub": "alice", "aud": AUDIENCE, "iat": seconds, "exp": seconds + 60, "jti": jti,
            "tenant": "acme", "idp": "https://idp.example.com", "client_id": "cli", "scope": "mcp:read mcp:write",
            "request_id": "request-1",
        })
    );
    let next = made(&credential, Some("request-2"), at(10)).unwrap();
    let next = verified(&keys, token(&next));
    assert_eq!(next["request_id"], "request-2");
    assert_ne!(next["jti"], jti);
    assert!(!format!("{credential:?} {source:?} {fields:?}").contains("canary"));
}

#[test]
fn an_assertion_is_for_its_own_upstream_alone_and_ends_with_the_callers_token() {
    let (keys, context) = signing();
    let source = build_in(Credential::Assertion(assertion()), &context);
    let credential = source.ready(&caller("acme", "alice", 30), Some("inbound"), at(0)).unwrap();
    assert_eq!(credential.header_for("https://evil.example").unwrap_err().reason(), "wrong_origin");
    let claims = verified(&keys, token(&made(&credential, None, at(10)).unwrap()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 20);
    assert!(claims.get("request_id").is_none());
    assert_eq!(made(&credential, None, at(30)).unwrap_err().reason(), "caller_expired");
}

#[test]
fn an_anonymous_caller_is_asserted_as_such() {
    let (keys, context) = signing();
    let source = build_in(Credential::Assertion(assertion()), &context);
    let credential = source.ready(&Caller::anonymous("acme".into()), None, at(0)).unwrap();
    let claims = verified(&keys, token(&made(&credential, None, at(0)).unwrap()));
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("anonymous"), &json!("")));
    assert!(claims.get("idp").is_none() && claims.get("client_id").is_none());
}

#[test]
fn an_assertion_for_a_caller_is_kept_for_that_caller_and_that_token() {
    let (keys, context) = signing();
    let kept = Assertion { per_request: false, algorithm: AssertionAlgorithm::EdDsa, ..assertion() };
    let source = build_in(Credential::Assertion(kept), &context);
    let of = |name: &str, token: &str, seconds| {
        let credential = source.ready(&caller("acme", name, 3600), Some(token), at(seconds)).unwrap();
        made(&credential, Some("request-1"), at(seconds)).unwrap()
    };
    let first = of("alice", "t", 0);
    assert_eq!(first, of("alice", "t", 53));
    for other in [of("alice", "t", 54), of("bob", "t", 0), of("alice", "with other scopes", 0)] {
        assert_ne!(first, other);
    }
    let claims = verified(&keys, token(&first));
    assert!(claims.get("request_id").is_none());
}

#[test]
fn an_assertion_may_have_a_header_of_its_own() {
    let (keys, context) = signing();
    let named = Assertion { header: Some("x-caller".into()), ..assertion() };
    let source = build_in(Credential::Assertion(named), &context);
    let credential = source.ready(&caller("acme", "alice", 3600), None, at(0)).unwrap();
    let fields = made(&credential, None, at(0)).unwrap();
    assert_eq!(fields[0].0, "x-caller");
    assert!(fields[0].1.is_sensitive());
    verified(&keys, fields[0].1.to_str().unwrap());
}

#[test]
fn without_keys_there_is_no_source() {
    let all = upstreams(Credential::Assertion(assertion()));
    let error = build_all(&all, None, &events().1, &Context::default()).unwrap_err();
    assert_eq!(error.to_string(), "upstream github: there are no signing keys");
}

#[test]
fn a_signature_is_bound_to_its_upstream_too() {
    let source = build(Credential::AwsSigV4(AwsSigV4 {
        region: "r".into(),
        service: "s".into(),
        keys: AwsKeys::Given { id: env("KEY"), secret: env("OTHER_KEY"), session_token: None },
    }));
    assert!(!source.is_per_caller() && !source.is_renewable());
    let credential = source.ready(&Caller::anonymous("acme".into()), None, at(0)).unwrap();
    assert_eq!(credential.header_for("https://evil.example").unwrap_err().reason(), "wrong_origin");
    let names: Vec<String> =
        made(&credential, None, at(0)).unwrap().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["x-amz-date", "x-amz-content-sha256", "authorization"]);
    assert!(!format!("{credential:?} {source:?}").contains("canary"));
}

/// `cargo test -p narthex-credentials --release -- --ignored what_it_costs --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_it_costs_to_sign() {
    let alice = caller("acme", "alice", 3600);
    let mut all = Vec::new();
    for (name, algorithm) in [("ES256", AssertionAlgorithm::Es256), ("EdDSA", AssertionAlgorithm::EdDsa)] {
        let (_, context) = signing();
        all.push((name, build_in(Credential::Assertion(Assertion { algorithm, ..assertion() }), &context)));
    }
    let (_, context) = signing();
    let kept = Assertion { per_request: false, ..assertion() };
    all.push(("ES256 per caller", build_in(Credential::Assertion(kept), &context)));
    let keys = AwsKeys::Given { id: env("KEY"), secret: env("OTHER_KEY"), session_token: None };
    let signed = AwsSigV4 { region: "r".into(), service: "s".into(), keys };
    all.push(("SigV4", build(Credential::AwsSigV4(signed))));
    all.push(("header", build(Credential::Header { name: "x-api-key".into(), value: env("KEY") })));
    for (name, source) in all {
        let once = || made(&source.ready(&alice, Some("inbound"), at(0)).unwrap(), Some("r"), at(0)).unwrap();
        (0..1000).for_each(|_| drop(once()));
        let started = std::time::Instant::now();
        (0..20_000).for_each(|_| drop(once()));
        println!("{name}: {:.2} us", started.elapsed().as_secs_f64() * 1e6 / 20_000.0);
    }
}

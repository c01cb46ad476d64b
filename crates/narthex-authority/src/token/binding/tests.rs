//! Tokens that are bound to a client's key or certificate, from the token endpoint.

use crate::fixtures::{self, DOCS, authority, now, pkce, post, text, user};
use crate::token::code::{self, Code};
use crate::{Authority, Request, Response};
use ::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_config::model::SenderConstrained;
use narthex_testkit::ProofKey;
use serde_json::{Value, json};

const ENDPOINT: &str = "https://gw.example/oauth/token";

/// A code of ann's for `client`, as if she had just approved; with `dpop_jkt` if there is a key.
async fn code(authority: &Authority, client: &str, key: Option<String>) -> String {
    let code = Code {
        client: client.to_owned(),
        redirect_uri: "https://app.example/cb".to_owned(),
        challenge: pkce().1,
        resource: DOCS.to_owned(),
        scopes: vec!["mcp:read".to_owned()],
        user: user(),
        key,
        refresh: true,
        made: crate::secret::seconds(now()),
        family: crate::token::new_family().unwrap(),
    };
    code::give(&authority.lasting.vault, &code).await.unwrap()
}

fn redeeming(client: &str, code: &str) -> Request {
    let verifier = pkce().0;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "https://app.example/cb"),
        ("client_id", client),
        ("code_verifier", &verifier),
    ];
    post("/oauth/token", &form)
}

fn refreshing(client: &str, token: &Value) -> Request {
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap()), ("client_id", client)];
    post("/oauth/token", &form)
}

fn with_secret(mut request: Request) -> Request {
    let body = format!("{}&client_secret={}", String::from_utf8_lossy(&request.body), fixtures::SECRET);
    request.body = body.into();
    request
}

fn proof_with(key: &ProofKey, changes: &Value) -> String {
    let mut claims = key.claims("POST", ENDPOINT, None);
    claims["iat"] = json!(crate::secret::seconds(now()));
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    key.sign(&key.header(), &claims)
}

fn proof(key: &ProofKey) -> String {
    proof_with(key, &json!({}))
}

fn with(mut request: Request, proof: &str) -> Request {
    request.headers.append("dpop", HeaderValue::from_str(proof).unwrap());
    request
}

fn certified(mut request: Request, certificate: [u8; 32]) -> Request {
    request.client_certificate = Some(certificate);
    request
}

async fn answer(authority: &Authority, request: Request) -> Response {
    authority.answer(request, now()).await
}

fn tokens(response: &Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK, "{}", text(response));
    fixtures::json(response)
}

fn error(response: &Response) -> String {
    assert_ne!(response.status(), StatusCode::OK, "{}", text(response));
    fixtures::json(response)["error"].as_str().unwrap_or_default().to_owned()
}

fn cnf(authority: &Authority, tokens: &Value) -> Option<Value> {
    let claims = authority.claims(tokens["access_token"].as_str().unwrap(), now()).unwrap();
    claims.get("cnf").cloned()
}

#[tokio::test]
async fn a_client_that_proves_a_key_gets_tokens_bound_to_it() {
    let (authority, key) = (authority("").await, ProofKey::new());
    let code = code(&authority, "web", None).await;
    let got = tokens(&answer(&authority, with(redeeming("web", &code), &proof(&key))).await);
    assert_eq!(got["token_type"], "DPoP");
    assert_eq!(cnf(&authority, &got), Some(json!({"jkt": key.thumbprint()})));
    let claims = authority.claims(got["access_token"].as_str().unwrap(), now()).unwrap();
    assert_eq!(claims["token_type"], "DPoP", "introspection says so, too");
}

#[tokio::test]
async fn without_a_proof_tokens_are_bearer_tokens() {
    let authority = authority("").await;
    let code = code(&authority, "web", None).await;
    let got = tokens(&answer(&authority, redeeming("web", &code)).await);
    assert_eq!((got["token_type"].as_str(), cnf(&authority, &got)), (Some("Bearer"), None));
}

#[tokio::test]
async fn a_refresh_token_of_a_public_client_is_of_no_use_without_the_key() {
    let (authority, key, thief) = (authority("").await, ProofKey::new(), ProofKey::new());
    let code = code(&authority, "web", None).await;
    let got = tokens(&answer(&authority, with(redeeming("web", &code), &proof(&key))).await);
    let refresh = || refreshing("web", &got["refresh_token"]);
    assert_eq!(error(&answer(&authority, refresh()).await), "invalid_grant", "no proof");
    assert_eq!(
        error(&answer(&authority, with(refresh(), &proof(&thief))).await),
        "invalid_grant",
        "another key"
    );
    assert_eq!(
        error(&answer(&authority, certified(refresh(), [7; 32])).await),
        "invalid_grant",
        "a certificate"
    );
    let next = tokens(&answer(&authority, with(refresh(), &proof(&key))).await);
    assert_eq!(cnf(&authority, &next), Some(json!({"jkt": key.thumbprint()})), "and the thief ended nothing");
}

#[tokio::test]
async fn a_client_that_proves_who_it_is_may_change_its_key() {
    let (authority, key, next_key) = (authority("").await, ProofKey::new(), ProofKey::new());
    let code = code(&authority, "agent", None).await;
    let request = with_secret(redeeming("agent", &code));
    let got = tokens(&answer(&authority, with(request, &proof(&key))).await);
    let refresh = with_secret(refreshing("agent", &got["refresh_token"]));
    let next = tokens(&answer(&authority, with(refresh, &proof(&next_key))).await);
    assert_eq!(cnf(&authority, &next), Some(json!({"jkt": next_key.thumbprint()})));
}

#[tokio::test]
async fn a_bad_proof_gets_nothing_and_uses_up_nothing() {
    let (authority, key) = (authority("").await, ProofKey::new());
    let code = code(&authority, "web", None).await;
    let used = proof(&key);
    let other = self::code(&authority, "web", None).await;
    tokens(&answer(&authority, with(redeeming("web", &other), &used)).await);
    let mut symmetric = key.header();
    symmetric["alg"] = json!("HS256");
    for (case, bad) in [
        ("used before", used),
        ("another URL", proof_with(&key, &json!({"htu": DOCS}))),
        ("another method", proof_with(&key, &json!({"htm": "GET"}))),
        ("old", proof_with(&key, &json!({"iat": 1}))),
        ("of the future", proof_with(&key, &json!({"iat": 2_000_000_000}))),
        ("no jti", proof_with(&key, &json!({"jti": null}))),
        ("symmetric", key.sign(&symmetric, &key.claims("POST", ENDPOINT, None))),
        ("not a JWT", "x".to_owned()),
        ("empty", String::new()),
    ] {
        let response = answer(&authority, with(redeeming("web", &code), &bad)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{case}");
        assert_eq!(error(&response), "invalid_dpop_proof", "{case}");
        assert!(!text(&response).contains(&bad) || bad.len() < 2, "{case}");
    }
    let two = with(with(redeeming("web", &code), &proof(&key)), &proof(&key));
    assert_eq!(error(&answer(&authority, two).await), "invalid_dpop_proof", "two proofs");
    tokens(&answer(&authority, with(redeeming("web", &code), &proof(&key))).await);
}

#[tokio::test]
async fn a_code_that_was_asked_for_with_a_key_is_good_with_that_key_only() {
    let (authority, key, thief) = (authority("").await, ProofKey::new(), ProofKey::new());
    for (case, proof) in [("no proof", None), ("another key", Some(proof(&thief)))] {
        let code = code(&authority, "web", Some(key.thumbprint())).await;
        let request = match &proof {
            Some(proof) => with(redeeming("web", &code), proof),
            None => redeeming("web", &code),
        };
        assert_eq!(error(&answer(&authority, request).await), "invalid_grant", "{case}");
    }
    let code = code(&authority, "web", Some(key.thumbprint())).await;
    let certified = certified(redeeming("web", &code), [7; 32]);
    assert_eq!(error(&answer(&authority, certified).await), "invalid_grant", "a certificate");
    let code = self::code(&authority, "web", Some(key.thumbprint())).await;
    tokens(&answer(&authority, with(redeeming("web", &code), &proof(&key))).await);
}

#[tokio::test]
async fn a_nonce_is_handed_out_where_it_is_demanded() {
    let (authority, key) = (authority("  dpop: { nonce: required }\n").await, ProofKey::new());
    let code = code(&authority, "web", None).await;
    let first = answer(&authority, with(redeeming("web", &code), &proof(&key))).await;
    assert_eq!((first.status(), error(&first).as_str()), (StatusCode::BAD_REQUEST, "use_dpop_nonce"));
    let nonce = first.headers()["dpop-nonce"].to_str().unwrap().to_owned();
    let exposed = first.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("DPoP-Nonce"), "{exposed}");
    let wrong = proof_with(&key, &json!({"nonce": "AAAAAAA"}));
    let wrong = answer(&authority, with(redeeming("web", &code), &wrong)).await;
    assert_eq!(error(&wrong), "use_dpop_nonce");
    let good = proof_with(&key, &json!({"nonce": nonce}));
    tokens(&answer(&authority, with(redeeming("web", &code), &good)).await);
}

#[tokio::test]
async fn a_client_with_a_certificate_gets_tokens_bound_to_it() {
    let authority = authority("").await;
    let code = code(&authority, "web", None).await;
    let got = tokens(&answer(&authority, certified(redeeming("web", &code), [7; 32])).await);
    assert_eq!(got["token_type"], "Bearer", "RFC 8705");
    assert_eq!(cnf(&authority, &got), Some(json!({"x5t#S256": BASE64_URL_SAFE_NO_PAD.encode([7; 32])})));
    let refresh = || refreshing("web", &got["refresh_token"]);
    for (case, request) in [("none", refresh()), ("another", certified(refresh(), [8; 32]))] {
        assert_eq!(error(&answer(&authority, request).await), "invalid_grant", "{case}");
    }
    tokens(&answer(&authority, certified(refresh(), [7; 32])).await);
}

#[tokio::test]
async fn no_header_stands_for_a_certificate() {
    let authority = authority("").await;
    let code = code(&authority, "web", None).await;
    let mut request = redeeming("web", &code);
    for name in ["x-client-cert", "x-forwarded-client-cert", "client-cert", "x-ssl-client-cert"] {
        request.headers.insert(name, HeaderValue::from_static("MIIB"));
    }
    let got = tokens(&answer(&authority, request).await);
    assert_eq!(cnf(&authority, &got), None);
}

#[tokio::test]
async fn a_token_that_its_resource_would_refuse_is_not_given() {
    let key = ProofKey::new();
    for (demanded, by_key, by_certificate, refused) in [
        (SenderConstrained::Dpop, true, false, "invalid_dpop_proof"),
        (SenderConstrained::Mtls, false, true, "invalid_request"),
        (SenderConstrained::Any, true, true, "invalid_dpop_proof"),
    ] {
        let mut config = fixtures::config("");
        config.routes.get_mut("docs").unwrap().sender_constrained = Some(demanded);
        let authority = fixtures::build(&config, fixtures::vault());
        authority.refresh(now()).await;
        let ask = async |proven: bool, shown: bool| {
            let mut request = redeeming("web", &code(&authority, "web", None).await);
            if proven {
                request = with(request, &proof(&key));
            }
            if shown {
                request.client_certificate = Some([7; 32]);
            }
            answer(&authority, request).await
        };
        assert_eq!(error(&ask(false, false).await), refused, "{demanded:?}");
        assert_eq!(ask(true, false).await.status() == StatusCode::OK, by_key, "{demanded:?}");
        assert_eq!(ask(false, true).await.status() == StatusCode::OK, by_certificate, "{demanded:?}");
    }
}

#[tokio::test]
async fn a_client_that_says_that_its_tokens_are_bound_gets_no_others() {
    let config = fixtures::config("    dynamic_registration: { redirect_hosts: [app.example] }\n");
    let authority = fixtures::build(&config, fixtures::vault());
    authority.refresh(now()).await;
    let registration = json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
        "dpop_bound_access_tokens": true,
    });
    let answer = answer(&authority, fixtures::post_json("/oauth/register", &registration)).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    let registered = fixtures::json(&answer);
    assert_eq!(registered["dpop_bound_access_tokens"], true);
    let (client, key) = (registered["client_id"].as_str().unwrap(), ProofKey::new());
    let code = code(&authority, client, None).await;
    let bare = self::answer(&authority, redeeming(client, &code)).await;
    assert_eq!(error(&bare), "invalid_dpop_proof");
    let certified = certified(redeeming(client, &code), [7; 32]);
    assert_eq!(error(&self::answer(&authority, certified).await), "invalid_dpop_proof");
    let proven = with(redeeming(client, &code), &proof(&key));
    assert_eq!(tokens(&self::answer(&authority, proven).await)["token_type"], "DPoP");
}

#[tokio::test]
async fn the_metadata_says_how_clients_can_prove_keys() {
    let authority = authority("").await;
    let document = answer(&authority, fixtures::get("/.well-known/oauth-authorization-server")).await;
    let document = fixtures::json(&document);
    let algorithms = document["dpop_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&json!("ES256")) && !algorithms.iter().any(|alg| alg == "none"));
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], false, "there is no TLS here");
}

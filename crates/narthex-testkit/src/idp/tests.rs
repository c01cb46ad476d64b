use super::*;
use crate::client::RawResponse;
use crate::mcp;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use std::collections::BTreeSet;

const AUDIENCE: &str = "http://localhost:8080/docs";

async fn fetch(idp: &MockIdp, endpoint: Endpoint) -> RawResponse {
    mcp::get(idp.address, endpoint.path(), None).await.unwrap()
}

async fn post_form(idp: &MockIdp, endpoint: Endpoint, headers: &[(&str, &str)], form: &str) -> RawResponse {
    mcp::exchange(idp.address, &mcp::post(endpoint.path(), None, headers, form)).await.unwrap()
}

/// A plain verifier: keys by id, the algorithms of the issuer, all the claims that there must be.
fn verify(idp: &MockIdp, token: &str) -> Result<Value, String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let keys: JwkSet = serde_json::from_value(idp.keys().jwks()).unwrap();
    let key = header.kid.as_deref().and_then(|kid| keys.find(kid)).ok_or("no such key")?;
    if key.common.key_algorithm.map(|alg| alg.to_string()) != Some(format!("{:?}", header.alg)) {
        return Err("the key is for another algorithm".to_owned());
    }
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_issuer(&[idp.issuer()]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    decode::<Value>(token, &key, &validation).map(|token| token.claims).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_good_token_of_each_algorithm_verifies_with_the_published_keys() {
    let idp = MockIdp::start().await;
    for alg in Alg::ALL {
        let claims = verify(&idp, &idp.mint(alg, &idp.claims(AUDIENCE))).unwrap();
        assert_eq!((&claims["sub"], &claims["org_id"]), (&json!("alice"), &json!("acme")));
    }
    let changed = verify(&idp, &idp.token_with(AUDIENCE, json!({"sub": "bob"}))).unwrap();
    assert_eq!(changed["sub"], "bob");
}

/// What [`verify`] does not look at, so that only the gateway's own rules can refuse it.
const BEYOND_A_PLAIN_VERIFIER: [&str; 9] = [
    "crit names an unknown extension",
    "crit names an absent extension",
    "crit is empty",
    "crit turns base64 off",
    "iss a list with ours",
    "sub empty",
    "tenant missing",
    "tenant empty",
    "tenant a list",
];

#[tokio::test]
async fn hostile_tokens_are_many_each_named_once_and_refused_by_a_plain_verifier() {
    let idp = MockIdp::start().await;
    let tokens = idp.hostile_tokens(AUDIENCE);
    assert!(tokens.len() >= 100, "{}", tokens.len());
    assert_eq!(tokens.iter().map(|hostile| hostile.name).collect::<BTreeSet<_>>().len(), tokens.len());
    let accepted = tokens.iter().filter(|hostile| verify(&idp, &hostile.token).is_ok());
    assert_eq!(accepted.map(|hostile| hostile.name).collect::<Vec<_>>(), BEYOND_A_PLAIN_VERIFIER);
}

#[tokio::test]
async fn metadata_leads_to_the_keys_by_both_ways() {
    let idp = MockIdp::start().await;
    for endpoint in [Endpoint::OauthMetadata, Endpoint::OidcMetadata] {
        let metadata = fetch(&idp, endpoint).await.json();
        assert_eq!(metadata["issuer"], idp.issuer());
        assert_eq!(metadata["jwks_uri"], idp.url(Endpoint::Jwks));
        assert_eq!(idp.hits(endpoint), 1);
    }
    idp.change_metadata(json!({"issuer": "https://evil.example.com"}));
    assert_eq!(fetch(&idp, Endpoint::OauthMetadata).await.json()["issuer"], "https://evil.example.com");
}

#[tokio::test]
async fn rotation_puts_new_keys_under_new_ids() {
    let idp = MockIdp::start().await;
    let old = idp.token(AUDIENCE);
    let before = fetch(&idp, Endpoint::Jwks).await.json();
    idp.rotate_keys();
    let after = fetch(&idp, Endpoint::Jwks).await.json();
    assert_ne!(before["keys"][0]["kid"], after["keys"][0]["kid"]);
    assert!(verify(&idp, &old).is_err() && verify(&idp, &idp.token(AUDIENCE)).is_ok());
}

#[tokio::test]
async fn every_way_of_client_authentication_is_told_and_checked() {
    let idp = MockIdp::start().await;
    let (id, secret) = MockIdp::CLIENT;
    let basic = |secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    let assertion = idp.mint(Alg::ES256, &json!({"iss": id, "sub": id, "aud": "x"}));
    let jwt = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let cases = [
        (Some(basic(secret)), String::new(), "client_secret_basic", 200),
        (Some(basic("wrong")), String::new(), "client_secret_basic", 401),
        (None, format!("&client_id={id}&client_secret={secret}"), "client_secret_post", 200),
        (None, format!("&client_id={id}&client_secret=wrong"), "client_secret_post", 401),
        (None, format!("&{jwt}&client_assertion={assertion}"), "private_key_jwt", 200),
        (None, format!("&client_id={id}"), "none", 401),
    ];
    for (authorization, form, method, status) in cases {
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        let form = format!("grant_type=client_credentials{form}");
        let answer = post_form(&idp, Endpoint::Token, &headers, &form).await;
        let call = idp.token_calls().pop().unwrap();
        assert_eq!((call.client_auth, answer.status), (method, status), "{form}");
        assert_eq!(call.issued.as_deref(), answer.json()["access_token"].as_str());
    }
    assert_eq!(idp.hits(Endpoint::Token), 6);
}

#[tokio::test]
async fn an_exchange_needs_a_subject_token_and_its_type_and_gives_a_token_of_its_own() {
    let idp = MockIdp::start().await;
    idp.set_expires_in(Duration::from_secs(7));
    let client = format!("client_id={}&client_secret={}", MockIdp::CLIENT.0, MockIdp::CLIENT.1);
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
    let kind = "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    let whole = format!("{client}&{grant}&{kind}&subject_token=abc&audience=a&audience=b");
    let answer = post_form(&idp, Endpoint::Token, &[], &whole).await.json();
    assert_eq!(answer["expires_in"], 7);
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let call = idp.token_calls().pop().unwrap();
    assert_eq!(call.form("subject_token"), Some("abc"));
    assert_eq!(call.form_all("audience").collect::<Vec<_>>(), ["a", "b"]);
    for form in [format!("{client}&{grant}&{kind}"), format!("{client}&{grant}&subject_token=abc")] {
        assert_eq!(post_form(&idp, Endpoint::Token, &[], &form).await.status, 400, "{form}");
    }
}

#[tokio::test]
async fn introspection_knows_its_opaque_tokens_until_they_are_revoked() {
    let idp = MockIdp::start().await;
    let token = idp.opaque_token(json!({"sub": "alice"}));
    let form = format!("token={token}&client_id={}&client_secret={}", MockIdp::CLIENT.0, MockIdp::CLIENT.1);
    let active = post_form(&idp, Endpoint::Introspection, &[], &form).await.json();
    assert_eq!(active, json!({"active": true, "sub": "alice"}));
    idp.revoke(&token);
    let inactive = post_form(&idp, Endpoint::Introspection, &[], &form).await.json();
    assert_eq!(inactive, json!({"active": false}));
    assert_eq!(post_form(&idp, Endpoint::Introspection, &[], "token=x").await.status, 401);
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_counted_and_gets_well_again() {
    let idp = MockIdp::start().await;
    let cases = [
        (Trouble::Status(500), 500, ""),
        (Trouble::Body("text/html", b"<html>".to_vec()), 200, "<html>"),
        (Trouble::Json(400, json!({"error": "invalid_grant"})), 400, r#"{"error":"invalid_grant"}"#),
        (Trouble::Redirect("http://127.0.0.1:9/".to_owned()), 302, ""),
    ];
    for (trouble, status, body) in cases {
        idp.trouble(Endpoint::Jwks, trouble);
        let answer = fetch(&idp, Endpoint::Jwks).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
    }
    idp.trouble(Endpoint::Jwks, Trouble::Close);
    assert!(mcp::get(idp.address, Endpoint::Jwks.path(), None).await.is_err());
    idp.trouble(Endpoint::Jwks, Trouble::None);
    assert_eq!(fetch(&idp, Endpoint::Jwks).await.status, 200);
    assert_eq!(idp.hits(Endpoint::Jwks), 6);
}

#[tokio::test]
async fn stopped_it_refuses_connections_and_resumed_it_is_the_same_again() {
    let idp = MockIdp::start().await;
    let before = fetch(&idp, Endpoint::Jwks).await.json();
    idp.stop().await;
    assert!(mcp::get(idp.address, Endpoint::Jwks.path(), None).await.is_err());
    idp.resume().await;
    assert_eq!(fetch(&idp, Endpoint::Jwks).await.json(), before);
}

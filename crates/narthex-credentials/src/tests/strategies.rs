use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, Validation};
use narthex_config::model::Algorithm;
use serde::Deserialize;

const EXCHANGE: [(&str, &str); 7] = [
    ("audience", "https://mcp.example.com/mcp"),
    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
    ("requested_token_type", ACCESS_TOKEN),
    ("resource", "https://mcp.example.com/"),
    ("scope", "repo.read user"),
    ("subject_token", "inbound+token/=&"),
    ("subject_token_type", ACCESS_TOKEN),
];

#[tokio::test]
async fn fixed_credentials_are_ready_and_cannot_be_renewed() {
    let anonymous = Caller::anonymous("acme".into());
    for (credential, expected) in [
        (Credential::None, None),
        (
            Credential::Header { name: "x-api-key".into(), value: env("KEY") },
            Some(("x-api-key", "api-key-canary")),
        ),
        (
            Credential::Basic { username: "narthex".into(), password: env("KEY") },
            Some(("authorization", "Basic bmFydGhleDphcGkta2V5LWNhbmFyeQ==")),
        ),
    ] {
        let source = build(credential);
        let ready = source.ready(&anonymous, None, at(0)).unwrap();
        let header = ready.header_for(ORIGIN).unwrap().map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
        assert_eq!(header, expected);
        assert!(source.obtain(&anonymous, None, at(0)).await.unwrap().is(&ready));
        assert!(!source.is_renewable() && !source.needs_subject_token());
        assert_eq!(reason(source.renew(&ready, &anonymous, None, at(0)).await), "not_renewable");
        assert_eq!(ready.header_for("https://evil.example").unwrap_err().reason(), "wrong_origin");
    }
}

#[tokio::test]
async fn client_credentials_asks_for_the_gateways_own_token() {
    let server = Server::issuing(600).await;
    let source = build(client_credentials(&server));
    let caller = caller("acme", "alice", 3600);
    assert!(source.is_renewable() && !source.needs_subject_token());
    assert!(source.ready(&caller, Some("inbound"), at(0)).is_none());
    let credential = source.obtain(&caller, Some("inbound"), at(0)).await.unwrap();
    assert_eq!(value(&credential), "Bearer token-1");
    let asked = &server.asked()[0];
    assert!(asked.head.starts_with("POST /token?tenant=a HTTP/1.1\r\n"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    let expected = [
        ("client_id", "https://gw.example.com/id"),
        ("grant_type", "client_credentials"),
        ("resource", "https://mcp.example.com/"),
        ("scope", "repo.read"),
    ];
    assert_eq!(asked.parameters(), BTreeMap::from(expected));
}

#[tokio::test]
async fn client_credentials_takes_an_answer_without_issued_token_type() {
    let body = r#"{"access_token":"abc","token_type":"bearer"}"#;
    let server = Server::answering(|_, _| server::json(200, body)).await;
    let source = build(client_credentials(&server));
    let credential = source.obtain(&Caller::anonymous("acme".into()), None, at(0)).await.unwrap();
    assert_eq!(credential.usable_until(), Some(at(270)));
}

async fn exchanged(auth: OAuthClientAuth) -> server::Asked {
    let server = Server::issuing(600).await;
    let source = build(Credential::TokenExchange(exchange_at(&server, auth)));
    assert!(source.is_renewable() && source.needs_subject_token());
    let caller = caller("acme", "alice", 3600);
    let credential = source.obtain(&caller, Some("inbound+token/=&"), at(0)).await.unwrap();
    assert_eq!(value(&credential), "Bearer token-1");
    server.asked().remove(0)
}

#[tokio::test]
async fn a_public_client_exchanges_with_its_id_alone() {
    let asked = exchanged(OAuthClientAuth::None).await;
    let mut expected = BTreeMap::from(EXCHANGE);
    expected.insert("client_id", "https://gw.example.com/id");
    assert_eq!(asked.parameters(), expected);
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn client_secret_basic_is_a_header_and_nothing_in_the_form() {
    let asked = exchanged(OAuthClientAuth::Basic(env("SECRET"))).await;
    assert_eq!(asked.parameters(), BTreeMap::from(EXCHANGE));
    let pair = "https%3A%2F%2Fgw.example.com%2Fid:secret%3Acanary%25+%C3%BC";
    let expected = format!("Basic {}", STANDARD.encode(pair));
    assert_eq!(asked.header("authorization"), Some(expected.as_str()));
}

#[tokio::test]
async fn client_secret_post_is_in_the_form_and_no_header() {
    let asked = exchanged(OAuthClientAuth::Post(env("SECRET"))).await;
    let mut expected = BTreeMap::from(EXCHANGE);
    expected.insert("client_id", "https://gw.example.com/id");
    expected.insert("client_secret", "secret:canary% \u{fc}");
    assert_eq!(asked.parameters(), expected);
    assert_eq!(asked.header("authorization"), None);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    iat: u64,
    exp: u64,
}

#[tokio::test]
async fn private_key_jwt_is_signed_for_the_token_endpoint_and_never_the_same() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key.serialize_pem()).unwrap();
    let server = Server::issuing(600).await;
    let auth = OAuthClientAuth::PrivateKeyJwt {
        key: SecretRef::File(file.path().to_owned()),
        algorithm: Algorithm::ES256,
        key_id: Some("2026-11".into()),
    };
    let source = build(Credential::TokenExchange(exchange_at(&server, auth)));
    for token in ["inbound-1", "inbound-2"] {
        source.obtain(&caller("acme", "alice", 3600), Some(token), at(0)).await.unwrap();
    }

    let public = DecodingKey::from_ec_pem(key.public_key_pem().as_bytes()).unwrap();
    let mut seen = Vec::new();
    for asked in server.asked() {
        let parameters = asked.parameters();
        assert_eq!(
            parameters["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        assert_eq!(parameters["client_id"], "https://gw.example.com/id");
        assert!(!parameters.contains_key("client_secret") && asked.header("authorization").is_none());
        let mut rules = Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&[server.url()]);
        rules.validate_exp = false;
        let jwt = jsonwebtoken::decode::<Claims>(parameters["client_assertion"], &public, &rules).unwrap();
        assert_eq!(jwt.header.kid.as_deref(), Some("2026-11"));
        let Claims { iss, sub, aud, jti, iat, exp } = jwt.claims;
        assert_eq!((iss.as_str(), sub.as_str()), (parameters["client_id"], parameters["client_id"]));
        assert_eq!(aud, server.url().as_str());
        assert_eq!((iat, exp - iat), (1_800_000_000, 60));
        assert_eq!(jti.len(), 32);
        seen.push(jti);
    }
    assert_ne!(seen[0], seen[1]);
}

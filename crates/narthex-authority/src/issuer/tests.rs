use super::*;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

const ISSUER: &str = "http://localhost:8080";

fn issuer() -> (tempfile::TempDir, DevelopmentIssuer) {
    let dir = tempfile::tempdir().unwrap();
    let issuer = DevelopmentIssuer::open(dir.path(), ISSUER).unwrap();
    (dir, issuer)
}

fn request() -> TokenRequest {
    TokenRequest {
        subject: "alice".to_owned(),
        tenant: "acme".to_owned(),
        scopes: vec!["mcp:read".to_owned(), "mcp:write".to_owned()],
        audience: "http://localhost:8080/docs".to_owned(),
        client: "narthex-cli".to_owned(),
        lifetime: Duration::from_secs(3600),
    }
}

/// What a resource server does with the published key set and nothing else.
fn verify(issuer: &DevelopmentIssuer, token: &str) -> Value {
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let keys: JwkSet = serde_json::from_str(&issuer.jwks()).unwrap();
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.validate_aud = false;
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

#[test]
fn a_minted_token_verifies_with_the_published_keys() {
    let (_dir, issuer) = issuer();
    let now = SystemTime::now();
    let mut claims = verify(&issuer, &issuer.mint(&request(), now).unwrap());
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 22);
    let iat = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expected = json!({
        "iss": ISSUER, "sub": "alice", "aud": "http://localhost:8080/docs",
        "iat": iat, "exp": iat + 3600, "client_id": "narthex-cli",
        "scope": "mcp:read mcp:write", "tenant": "acme",
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_token_outlives_the_process_that_minted_it() {
    let (dir, first) = issuer();
    let token = first.mint(&request(), SystemTime::now()).unwrap();
    let second = DevelopmentIssuer::open(dir.path(), ISSUER).unwrap();
    assert_eq!(first.jwks(), second.jwks());
    verify(&second, &token);
}

#[test]
fn a_lifetime_over_a_day_is_cut_to_a_day() {
    let (_dir, issuer) = issuer();
    let asked = TokenRequest { lifetime: Duration::MAX, ..request() };
    let claims = verify(&issuer, &issuer.mint(&asked, SystemTime::now()).unwrap());
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, MAX_LIFETIME.as_secs());
}

#[test]
fn without_scopes_there_is_no_scope_claim() {
    let (_dir, issuer) = issuer();
    let claims = verify(
        &issuer,
        &issuer.mint(&TokenRequest { scopes: vec![], ..request() }, SystemTime::now()).unwrap(),
    );
    assert_eq!(claims.get("scope"), None);
}

#[test]
fn no_two_tokens_share_an_id() {
    let (_dir, issuer) = issuer();
    let now = SystemTime::now();
    let [a, b] = [0; 2].map(|_| verify(&issuer, &issuer.mint(&request(), now).unwrap())["jti"].clone());
    assert_ne!(a, b);
}

#[test]
fn a_request_that_verifiers_would_refuse_is_refused_here() {
    let (_dir, issuer) = issuer();
    let empty = String::new;
    let scope = |scope: &str| TokenRequest { scopes: vec![scope.to_owned()], ..request() };
    let cases = [
        (TokenRequest { subject: empty(), ..request() }, MintError::Empty("subject")),
        (TokenRequest { tenant: empty(), ..request() }, MintError::Empty("tenant")),
        (TokenRequest { audience: empty(), ..request() }, MintError::Empty("audience")),
        (TokenRequest { client: empty(), ..request() }, MintError::Empty("client")),
        (scope(""), MintError::Scope(String::new())),
        (scope("a b"), MintError::Scope("a b".to_owned())),
        (scope("a\"b"), MintError::Scope("a\"b".to_owned())),
        (scope("a\\b"), MintError::Scope("a\\b".to_owned())),
        (scope("é"), MintError::Scope("é".to_owned())),
    ];
    for (request, expected) in cases {
        assert_eq!(issuer.mint(&request, SystemTime::now()), Err(expected), "{request:?}");
    }
    let before_time = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(issuer.mint(&request(), before_time), Err(MintError::Clock));
}

#[test]
fn metadata_names_the_issuer_and_its_keys() {
    let (_dir, issuer) = issuer();
    let metadata: Value = serde_json::from_str(&issuer.metadata()).unwrap();
    let expected = json!({
        "issuer": ISSUER, "jwks_uri": "http://localhost:8080/oauth/jwks",
        "response_types_supported": [], "grant_types_supported": [],
    });
    assert_eq!(metadata, expected);
}

#[test]
fn the_key_id_is_the_thumbprint_and_no_private_part_is_published() {
    let (_dir, issuer) = issuer();
    let keys: JwkSet = serde_json::from_str(&issuer.jwks()).unwrap();
    let thumbprint = keys.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    assert_eq!(keys.keys[0].common.key_id.as_deref(), Some(thumbprint.as_str()));
    let published: Value = serde_json::from_str(&issuer.jwks()).unwrap();
    assert_eq!(published["keys"][0].get("d"), None);
}

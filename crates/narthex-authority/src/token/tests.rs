//! The token endpoint: refresh reuse, assertions, revocation, introspection, client authentication.

use super::code::{self, Code};
use crate::fixtures::{self, DOCS, ISSUER, SECRET, authority, now, pkce, post, result, text, user};
use crate::signing::SigningKey;
use crate::{Authority, Request, Response};
use ::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use ::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use narthex_config::model::Algorithm;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const TOOLS: &str = "https://gw.example/tools";

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

/// A code of ann's for `web`, as if she had just approved.
async fn code(authority: &Authority) -> String {
    let code = Code {
        client: "web".to_owned(),
        redirect_uri: "https://app.example/cb".to_owned(),
        challenge: pkce().1,
        resource: DOCS.to_owned(),
        scopes: vec!["mcp:read".to_owned(), "mcp:write".to_owned()],
        user: user(),
        key: None,
        refresh: true,
        made: crate::secret::seconds(now()),
        family: super::new_family().unwrap(),
    };
    code::give(&authority.lasting.vault, &code).await.unwrap()
}

async fn tokens(authority: &Authority) -> Value {
    let (code, (verifier, _)) = (code(authority).await, pkce());
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "https://app.example/cb"),
        ("client_id", "web"),
        ("code_verifier", &verifier),
    ];
    let answer = authority.answer(post("/oauth/token", &form), now()).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    fixtures::json(&answer)
}

async fn refresh(authority: &Authority, token: &Value, changes: &[(&str, &str)], at: SystemTime) -> Response {
    let token = token.as_str().unwrap();
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "web")];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    authority.answer(post("/oauth/token", &form), at).await
}

fn error(response: &Response) -> String {
    fixtures::json(response)["error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_refresh_token_is_good_for_the_next_one() {
    let authority = authority("").await;
    let mut token = tokens(&authority).await["refresh_token"].clone();
    for round in 1..5 {
        let answer = refresh(&authority, &token, &[], after(round * 60)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
        let next = fixtures::json(&answer);
        assert_eq!(next["scope"], "mcp:read mcp:write");
        assert!(authority.claims(next["access_token"].as_str().unwrap(), after(round * 60)).is_some());
        assert_ne!(next["refresh_token"], token);
        token = next["refresh_token"].clone();
    }
}

#[tokio::test]
async fn refresh_reuse_ends_the_grant_whoever_has_the_other_token() {
    let authority = authority("").await;
    let first = tokens(&authority).await["refresh_token"].clone();
    let second = fixtures::json(&refresh(&authority, &first, &[], now()).await);
    // The thief comes later, with the token that the client has used; or the client does, after the thief.
    let again = refresh(&authority, &first, &[], after(11)).await;
    assert_eq!(error(&again), "invalid_grant");
    let after_that = refresh(&authority, &second["refresh_token"], &[], after(12)).await;
    assert_eq!(error(&after_that), "invalid_grant", "the good one has ended with it");
    let access = second["access_token"].as_str().unwrap();
    assert!(authority.claims(access, after(12)).is_none(), "and the access tokens");
}

#[tokio::test]
async fn a_retry_of_the_same_moment_gets_the_same_successor_and_is_no_reuse() {
    let authority = authority("").await;
    let first = tokens(&authority).await["refresh_token"].clone();
    let one = fixtures::json(&refresh(&authority, &first, &[], now()).await);
    let other = fixtures::json(&refresh(&authority, &first, &[], after(10)).await);
    assert_eq!(one["refresh_token"], other["refresh_token"]);
    assert_ne!(one["access_token"], other["access_token"]);
    // But after one of both went on, the other is found out.
    refresh(&authority, &one["refresh_token"], &[], after(20)).await;
    assert_eq!(error(&refresh(&authority, &other["refresh_token"], &[], after(40)).await), "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_for_its_resource_and_its_scopes() {
    let authority = authority("").await;
    let token = tokens(&authority).await["refresh_token"].clone();
    let ask = async |changes: &[(&str, &str)]| error(&refresh(&authority, &token, changes, now()).await);
    assert_eq!(ask(&[("client_id", "other")]).await, "invalid_grant");
    assert_eq!(ask(&[("client_id", "nobody")]).await, "invalid_client");
    assert_eq!(ask(&[("resource", TOOLS)]).await, "invalid_target");
    assert_eq!(ask(&[("scope", "mcp:admin")]).await, "invalid_scope");
    assert_eq!(ask(&[("refresh_token", "nrt_x")]).await, "invalid_grant");
    assert_eq!(ask(&[("refresh_token", "")]).await, "invalid_request");
    let narrowed = refresh(&authority, &token, &[("scope", "mcp:read"), ("resource", DOCS)], now()).await;
    let narrowed = fixtures::json(&narrowed);
    assert_eq!(narrowed["scope"], "mcp:read");
    let full = fixtures::json(&refresh(&authority, &narrowed["refresh_token"], &[], after(60)).await);
    assert_eq!(full["scope"], "mcp:read mcp:write", "what was granted stays");
}

#[tokio::test]
async fn a_refresh_token_ends_unused_and_ends_anyway() {
    let authority = authority("    refresh_token: { lifetime: 3h, idle: 1h }").await;
    let token = tokens(&authority).await["refresh_token"].clone();
    assert_eq!(error(&refresh(&authority, &token, &[], after(3600)).await), "invalid_grant");
    let mut token = tokens(&authority).await["refresh_token"].clone();
    for round in 1..=3 {
        let answer = refresh(&authority, &token, &[], after(round * 3500)).await;
        token = fixtures::json(&answer)["refresh_token"].clone();
    }
    assert_eq!(error(&refresh(&authority, &token, &[], after(10_800)).await), "invalid_grant");
}

#[tokio::test]
async fn what_the_configuration_takes_away_a_refresh_does_not_give_again() {
    let vault = fixtures::vault();
    let config = fixtures::config("");
    let before = fixtures::build(&config, vault.clone());
    before.refresh(now()).await;
    let token = tokens(&before).await["refresh_token"].clone();
    let after_change = |change: &dyn Fn(&mut narthex_config::Config)| {
        let mut config = fixtures::config("");
        change(&mut config);
        fixtures::build(&config, vault.clone())
    };
    let less = after_change(&|config| {
        config.auth.authority.as_mut().unwrap().grants.pop();
    });
    less.refresh(now()).await;
    let answer = fixtures::json(&refresh(&less, &token, &[], after(1)).await);
    assert_eq!(answer["scope"], "mcp:read", "the scope that nobody grants any more is gone");
    let none = after_change(&|config| {
        config.tenants.remove("acme");
    });
    none.refresh(now()).await;
    assert_eq!(error(&refresh(&none, &answer["refresh_token"], &[], after(2)).await), "invalid_grant");
    before.lasting.keys.ring().unwrap();
    assert_eq!(
        error(&refresh(&before, &answer["refresh_token"], &[], after(3)).await),
        "invalid_grant",
        "it has ended"
    );
}

#[tokio::test]
async fn state_survives_a_reload() {
    let config = fixtures::config("");
    let first = fixtures::build(&config, fixtures::vault());
    first.refresh(now()).await;
    let issued = tokens(&first).await;
    let parts = crate::AuthorityParts {
        previous: Some(&first),
        vault: first.lasting.vault.clone(),
        secrets: std::sync::Arc::new(fixtures::Secrets),
        events: fixtures::events(),
        connections: None,
        nonces: fixtures::nonces(),
    };
    let second = Authority::build(&config, &parts).unwrap().unwrap();
    assert!(
        second.claims(issued["access_token"].as_str().unwrap(), now()).is_some(),
        "the keys are there at once"
    );
    assert_eq!(refresh(&second, &issued["refresh_token"], &[], now()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_without_sense_is_told_so() {
    let authority = authority("").await;
    for (form, expected) in [
        (&[("client_id", "web")][..], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[("grant_type", "password"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "client_credentials"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "implicit"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "refresh_token"), ("client_id", "web"), ("client_id", "web")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("grant_type", "x"), ("client_id", "web")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("client_id", "agent")], "invalid_client"),
        (&[("grant_type", "refresh_token"), ("client_id", "web"), ("client_secret", "x")], "invalid_client"),
    ] {
        let answer = authority.answer(post("/oauth/token", form), now()).await;
        assert_eq!(error(&answer), expected, "{form:?}");
        assert_eq!(result(&answer), expected);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
    let mut as_json = fixtures::post_json("/oauth/token", &json!({"grant_type": "refresh_token"}));
    assert_eq!(error(&authority.answer(as_json.clone(), now()).await), "invalid_request");
    as_json.method = ::http::Method::GET;
    let answer = authority.answer(as_json, now()).await;
    assert_eq!(
        (answer.status(), &answer.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST, OPTIONS"))
    );
}

fn basic(mut request: Request, id: &str, secret: &str) -> Request {
    let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    request.headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
    request
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_all_of_it_and_only_its_client_can() {
    let authority = authority("").await;
    let issued = tokens(&authority).await;
    let (access, token) =
        (issued["access_token"].as_str().unwrap(), issued["refresh_token"].as_str().unwrap());
    let revoke = async |client: &str, token: &str| {
        authority.answer(post("/oauth/revoke", &[("client_id", client), ("token", token)]), now()).await
    };
    assert_eq!(revoke("other", token).await.status(), StatusCode::OK);
    assert_eq!(revoke("other", access).await.status(), StatusCode::OK);
    assert!(authority.claims(access, now()).is_some(), "another client's word is none");
    assert_eq!(revoke("web", "no token at all").await.status(), StatusCode::OK);
    assert_eq!(error(&revoke("nobody", token).await), "invalid_client");
    assert_eq!(revoke("web", token).await.status(), StatusCode::OK);
    assert_eq!(error(&refresh(&authority, &issued["refresh_token"], &[], now()).await), "invalid_grant");
    assert!(authority.claims(access, now()).is_none(), "the access tokens go with it");
    let other = tokens(&authority).await;
    let access = other["access_token"].as_str().unwrap();
    assert_eq!(revoke("web", access).await.status(), StatusCode::OK);
    assert!(authority.claims(access, now()).is_none());
    assert_eq!(refresh(&authority, &other["refresh_token"], &[], now()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_gateway_is_told_of_revoked_tokens_at_once() {
    let authority = authority("").await;
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&told);
    authority.when_keys_change(move |issuer, jwks, revoked| {
        seen.lock().push((issuer.to_owned(), jwks.len(), revoked.len()));
    });
    let access = tokens(&authority).await["access_token"].as_str().unwrap().to_owned();
    let form = [("client_id", "web"), ("token", access.as_str())];
    authority.answer(post("/oauth/revoke", &form), now()).await;
    let told = told.lock();
    assert_eq!(told.len(), 2, "the keys, and the token");
    assert_eq!((told[1].0.as_str(), told[1].2), (ISSUER, 1));
}

#[tokio::test]
async fn only_clients_that_may_are_told_what_a_token_is() {
    let authority = authority("").await;
    let issued = tokens(&authority).await;
    let ask = async |client: &str, secret: &str, token: &Value| {
        let request = post("/oauth/introspect", &[("token", token.as_str().unwrap())]);
        authority.answer(basic(request, client, secret), now()).await
    };
    let known = fixtures::json(&ask("probe", SECRET, &issued["access_token"]).await);
    assert_eq!(
        (&known["active"], &known["sub"], &known["aud"]),
        (&json!(true), &json!("corp|ann"), &json!(DOCS))
    );
    let known = fixtures::json(&ask("probe", SECRET, &issued["refresh_token"]).await);
    assert_eq!((&known["active"], &known["client_id"]), (&json!(true), &json!("web")));
    for token in ["x", "a.b.c", "nrt_x", issued["access_token"].as_str().unwrap().rsplit_once('.').unwrap().0]
    {
        let unknown = fixtures::json(&ask("probe", SECRET, &json!(token)).await);
        assert_eq!(unknown, json!({"active": false}), "{token}");
    }
    assert_eq!(error(&ask("agent", SECRET, &issued["access_token"]).await), "unauthorized_client");
    let wrong = ask("probe", "wrong", &issued["access_token"]).await;
    assert_eq!((wrong.status(), error(&wrong).as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert!(wrong.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
    let public = post("/oauth/introspect", &[("client_id", "web"), ("token", "x")]);
    assert_eq!(error(&authority.answer(public, now()).await), "unauthorized_client");
}

#[tokio::test]
async fn who_guesses_is_stopped_and_others_are_not() {
    let authority = authority("").await;
    let guess = |peer: &str| {
        let mut request = post(
            "/oauth/token",
            &[("grant_type", "refresh_token"), ("client_id", "agent"), ("client_secret", "x")],
        );
        request.peer = Some(peer.parse().unwrap());
        request
    };
    let mut last = String::new();
    for _ in 0..70 {
        last = error(&authority.answer(guess("192.0.2.1"), now()).await);
    }
    assert_eq!(last, "slow_down");
    assert_eq!(error(&authority.answer(guess("192.0.2.2"), now()).await), "invalid_client");
}

// === assertions ===

/// An identity provider that signs ID-JAGs, and what the configuration says of it.
struct Idp(SigningKey);

impl Idp {
    fn new() -> Self {
        let pkcs8 = SigningKey::generate(Algorithm::ES256).unwrap();
        Self(SigningKey::from_pkcs8(Algorithm::ES256, &pkcs8).unwrap())
    }

    async fn authority(&self) -> Authority {
        let config = fixtures::config(
            "    assertions: { corp: { issuer: https://idp.example, jwks_uri: https://idp.example/keys, \
             tenant: { claim: org }, groups: groups } }",
        );
        let mut config = config;
        let settings = config.auth.authority.as_mut().unwrap();
        let jwks = json!({"keys": [self.0.jwk()]}).to_string();
        settings.assertions.get_mut("corp").unwrap().keys = narthex_config::model::KeySource::Inline(jwks);
        let authority = fixtures::build(&config, fixtures::vault());
        authority.refresh(now()).await;
        authority
    }

    /// A good one, with `changes`; `null` leaves a claim out.
    fn assertion(&self, typ: &str, changes: &Value) -> String {
        let at = crate::secret::seconds(now());
        let mut claims = json!({
            "iss": "https://idp.example", "sub": "ann", "aud": ISSUER, "resource": DOCS, "client_id": "agent",
            "jti": crate::secret::random::<16>().unwrap(), "iat": at, "exp": at + 300, "org": "acme",
            "groups": ["staff"], "scope": "mcp:read mcp:write",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.0.sign(typ, &claims).unwrap()
    }
}

async fn exchange(authority: &Authority, assertion: &str, extra: &[(&str, &str)]) -> Response {
    let mut form = vec![("grant_type", super::JWT_BEARER), ("assertion", assertion)];
    form.extend(extra);
    authority.answer(basic(post("/oauth/token", &form), "agent", SECRET), now()).await
}

const ID_JAG: &str = "oauth-id-jag+jwt";

#[tokio::test]
async fn an_assertion_of_a_known_provider_is_exchanged_for_a_token() {
    let idp = Idp::new();
    let authority = idp.authority().await;
    let answer = exchange(&authority, &idp.assertion(ID_JAG, &json!({})), &[]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    let tokens = fixtures::json(&answer);
    assert_eq!((&tokens["scope"], tokens.get("refresh_token")), (&json!("mcp:read mcp:write"), None));
    let claims = authority.claims(tokens["access_token"].as_str().unwrap(), now()).unwrap();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("corp|ann"), &json!(DOCS)));
    assert_eq!((&claims["client_id"], &claims["tenant"]), (&json!("agent"), &json!("acme")));
    let scope = async |changes: Value, asked: &str| {
        let answer = exchange(&authority, &idp.assertion(ID_JAG, &changes), &[("scope", asked)]).await;
        fixtures::json(&answer)["scope"].clone()
    };
    assert_eq!(scope(json!({}), "mcp:write").await, "mcp:write");
    assert_eq!(scope(json!({"scope": "mcp:read"}), "mcp:read mcp:write").await, "mcp:read", "asserted");
    assert_eq!(scope(json!({"groups": []}), "mcp:read mcp:write").await, "mcp:read", "may be granted");
    assert_eq!(scope(json!({"scope": null}), "").await, "mcp:read", "what the route needs");
}

#[tokio::test]
async fn an_assertion_that_is_not_what_it_should_be_is_refused() {
    let idp = Idp::new();
    let authority = idp.authority().await;
    let at = crate::secret::seconds(now());
    for changes in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "https://other.example"}),
        json!({"aud": [ISSUER, "https://other.example"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"aud": format!("{ISSUER}/")}),
        json!({"aud": format!("{ISSUER}/oauth/token")}),
        json!({"resource": "https://other.example/docs"}),
        json!({"resource": null}),
        json!({"resource": [DOCS]}),
        json!({"client_id": "probe"}),
        json!({"client_id": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"org": "initech"}),
        json!({"org": null}),
        json!({"org": "globex", "resource": TOOLS}),
        json!({"exp": at - 61}),
        json!({"exp": at + 3600}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"iat": at + 120}),
        json!({"nbf": at + 120}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"scope": 7}),
    ] {
        let answer = exchange(&authority, &idp.assertion(ID_JAG, &changes), &[]).await;
        assert_eq!(error(&answer), "invalid_grant", "{changes}");
    }
    for typ in ["JWT", "at+jwt", "", "application/jwt", "dpop+jwt"] {
        let answer = exchange(&authority, &idp.assertion(typ, &json!({})), &[]).await;
        assert_eq!(error(&answer), "invalid_grant", "{typ}");
    }
    let stranger = Idp::new().assertion(ID_JAG, &json!({}));
    assert_eq!(error(&exchange(&authority, &stranger, &[]).await), "invalid_grant", "another key");
    for bad in ["x", "a.b.c", ""] {
        assert!(exchange(&authority, bad, &[]).await.status().is_client_error(), "{bad}");
    }
    let good = idp.assertion(ID_JAG, &json!({}));
    let other = exchange(&authority, &good, &[("resource", TOOLS)]).await;
    assert_eq!(error(&other), "invalid_target");
    assert_eq!(
        exchange(&authority, &good, &[("resource", DOCS)]).await.status(),
        StatusCode::OK,
        "not used up by that"
    );
}

#[tokio::test]
async fn assertion_replay_is_refused() {
    let idp = Idp::new();
    let authority = idp.authority().await;
    let assertion = idp.assertion(ID_JAG, &json!({}));
    assert_eq!(exchange(&authority, &assertion, &[]).await.status(), StatusCode::OK);
    assert_eq!(error(&exchange(&authority, &assertion, &[]).await), "invalid_grant");
}

#[tokio::test]
async fn only_clients_that_authenticate_and_may_exchange_assertions() {
    let idp = Idp::new();
    let authority = idp.authority().await;
    let assertion = idp.assertion(ID_JAG, &json!({"client_id": "web"}));
    let form = [("grant_type", super::JWT_BEARER), ("assertion", assertion.as_str()), ("client_id", "web")];
    assert_eq!(error(&authority.answer(post("/oauth/token", &form), now()).await), "unauthorized_client");
    let assertion = idp.assertion(ID_JAG, &json!({"client_id": "probe"}));
    let form = [("grant_type", super::JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = authority.answer(basic(post("/oauth/token", &form), "probe", SECRET), now()).await;
    assert_eq!(error(&answer), "unauthorized_client");
}

// === private_key_jwt ===

#[tokio::test]
async fn a_client_that_signs_is_known_by_its_signature_once() {
    let key = Idp::new();
    let mut config = fixtures::config("");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, json!({"keys": [key.0.jwk()]}).to_string()).unwrap();
    let clients = &mut config.auth.authority.as_mut().unwrap().clients;
    clients.get_mut("probe").unwrap().auth = narthex_config::model::RegisteredAuth::KeyFile(path);
    let authority = fixtures::build(&config, fixtures::vault());
    authority.refresh(now()).await;
    let at = crate::secret::seconds(now());
    let sign = |changes: Value| {
        let mut claims = json!({"iss": "probe", "sub": "probe", "aud": ISSUER, "jti": crate::secret::random::<8>().unwrap(), "exp": at + 60, "iat": at});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key.0.sign("JWT", &claims).unwrap()
    };
    let ask = async |assertion: &str, kind: &str, id: &str| {
        let mut form = vec![("token", "x"), ("client_assertion", assertion), ("client_assertion_type", kind)];
        if !id.is_empty() {
            form.push(("client_id", id));
        }
        authority.answer(post("/oauth/introspect", &form), now()).await
    };
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for good in [json!({}), json!({"aud": format!("{ISSUER}/oauth/token")}), json!({"aud": [ISSUER]})] {
        let assertion = sign(good);
        assert_eq!(ask(&assertion, kind, "probe").await.status(), StatusCode::OK);
        assert_eq!(error(&ask(&assertion, kind, "").await), "invalid_client", "twice");
    }
    for bad in [
        json!({"iss": "agent"}),
        json!({"sub": "agent"}),
        json!({"aud": "https://other.example"}),
        json!({"aud": [ISSUER, "https://other.example"]}),
        json!({"aud": null}),
        json!({"exp": at - 61}),
        json!({"exp": at + 3600}),
        json!({"exp": null}),
        json!({"jti": null}),
        json!({"iat": at + 3600}),
    ] {
        assert_eq!(error(&ask(&sign(bad.clone()), kind, "").await), "invalid_client", "{bad}");
    }
    assert_eq!(error(&ask(&sign(json!({})), kind, "agent").await), "invalid_client");
    assert_eq!(error(&ask(&sign(json!({})), "x", "").await), "invalid_request");
    let secret = basic(post("/oauth/introspect", &[("token", "x")]), "probe", SECRET);
    assert_eq!(error(&authority.answer(secret, now()).await), "invalid_client", "a secret instead");
}

// === speed ===

/// How many tokens a second the core issues on one thread, with its vault in memory. Not a test:
/// `cargo test --release -p narthex-authority -- --ignored --nocapture tokens_a_second`.
#[tokio::test]
#[ignore = "a measurement"]
async fn tokens_a_second() {
    const COUNT: u32 = 10_000;
    for algorithm in ["ES256", "EdDSA"] {
        let authority = authority(&format!("    algorithm: {algorithm}")).await;
        let mut token = tokens(&authority).await["refresh_token"].clone();
        let begun = std::time::Instant::now();
        for _ in 0..COUNT {
            token = fixtures::json(&refresh(&authority, &token, &[], now()).await)["refresh_token"].clone();
        }
        println!("{algorithm} refresh: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
    }
    let idp = Idp::new();
    let authority = idp.authority().await;
    let signed: Vec<String> = (0..COUNT).map(|_| idp.assertion(ID_JAG, &json!({}))).collect();
    let begun = std::time::Instant::now();
    for assertion in &signed {
        assert_eq!(exchange(&authority, assertion, &[]).await.status(), StatusCode::OK);
    }
    println!("ES256 ID-JAG: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
}

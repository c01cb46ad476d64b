//! The way that a client goes: discovery, approval, login, tokens, a call, a refresh, the end.

use super::stage::{SECRET, Stage, error};
use narthex_testkit::visitor::{destination, parameter};
use serde_json::json;

#[tokio::test]
async fn a_client_finds_its_way_from_the_challenge_to_a_call() {
    let stage = Stage::start().await;
    let challenge = stage.call("none", "/mcp").await;
    assert_eq!(challenge.status, 401);
    let challenge = challenge.header("www-authenticate").unwrap().to_owned();
    let metadata = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let resource = stage.visitor().get(metadata).await.unwrap().json();
    assert_eq!(resource["authorization_servers"][0], stage.issuer());
    let server = stage.visitor().get("/.well-known/oauth-authorization-server").await.unwrap();
    assert_eq!(server.header("access-control-allow-origin"), Some("*"));
    let server = server.json();
    assert_eq!(server["issuer"], stage.issuer());
    assert_eq!(server["authorization_endpoint"], format!("{}/oauth/authorize", stage.issuer()));

    let tokens = stage.tokens("ann").await;
    let access = tokens["access_token"].as_str().unwrap();
    let answer = stage.call(access, "/mcp").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stage.upstream.requests().len(), 1);
    assert_eq!(stage.call(access, "/other").await.status, 401, "it is for one resource");

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "web")];
    let next = stage.token(&form).await.json();
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
    assert_eq!(stage.call(next["access_token"].as_str().unwrap(), "/mcp").await.status, 200);
    stage
        .gateway
        .wait_for_metric("narthex_authority_requests_total{endpoint=\"token\",result=\"ok\"}", |n| n >= 2.0)
        .await;
}

#[tokio::test]
async fn a_token_that_was_revoked_is_refused_by_the_gateway_at_once() {
    let stage = Stage::start().await;
    let tokens = stage.tokens("ann").await;
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(stage.call(access, "/mcp").await.status, 200);
    let answer =
        stage.visitor().post("/oauth/revoke", &[("client_id", "web"), ("token", refresh)]).await.unwrap();
    assert_eq!(answer.status, 200);
    let refused = stage.call(access, "/mcp").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"));
    let other = stage.tokens("bob").await;
    assert_eq!(stage.call(other["access_token"].as_str().unwrap(), "/mcp").await.status, 200, "others go on");
    let form = [("token", access), ("client_id", "probe"), ("client_secret", SECRET)];
    let known = stage.visitor().post("/oauth/introspect", &form).await.unwrap();
    assert_eq!(known.json(), json!({"active": false}));
}

#[tokio::test]
async fn scopes_and_tenants_are_the_users() {
    let stage = Stage::start().await;
    assert_eq!(stage.tokens("ann").await["scope"], "mcp:read mcp:write");
    assert_eq!(stage.tokens("bob").await["scope"], "mcp:read");
    let back = stage.approve(&mut stage.visitor(), &stage.authorize(&[]), "gus").await;
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "iss"), Some(stage.issuer()));
}

#[tokio::test]
async fn what_was_given_outlives_a_reload_and_what_was_taken_away_does_not() {
    let stage = Stage::start().await;
    let tokens = stage.tokens("ann").await;
    let config = std::fs::read_to_string(stage.gateway.place().config()).unwrap();
    assert!(stage.gateway.reload(&format!("{config}\n# changed\n")).await);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(stage.call(access, "/mcp").await.status, 200);
    let refresh = |token: &str| {
        [
            ("grant_type".to_owned(), "refresh_token".to_owned()),
            ("refresh_token".to_owned(), token.to_owned()),
            ("client_id".to_owned(), "web".to_owned()),
        ]
    };
    let ask = async |token: &str| {
        let form = refresh(token);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        stage.token(&form).await
    };
    let next = ask(tokens["refresh_token"].as_str().unwrap()).await.json();
    assert_eq!(next["scope"], "mcp:read mcp:write");
    let less = config.replace("scopes: [mcp:write] }", "scopes: [mcp:other] }");
    assert_ne!(less, config);
    assert!(stage.gateway.reload(&less).await);
    let next = ask(next["refresh_token"].as_str().unwrap()).await.json();
    assert_eq!(next["scope"], "mcp:read");
    let none = config.replace("acme: { routes: [main, other] }", "acme: { routes: [other] }");
    assert!(stage.gateway.reload(&none).await);
    assert_eq!(error(&ask(next["refresh_token"].as_str().unwrap()).await), "invalid_grant");
}

#[tokio::test]
async fn clients_of_2025_03_26_find_the_endpoints_at_the_origin() {
    let stage = Stage::start().await;
    let path = stage.authorize(&[]).replace("/oauth/authorize", "/authorize");
    let page = stage.visitor().get(&path).await.unwrap();
    assert_eq!((page.status, destination(&page)), (200, None));
    let answer = stage
        .visitor()
        .post("/token", &[("grant_type", "refresh_token"), ("client_id", "web")])
        .await
        .unwrap();
    assert_eq!(error(&answer), "invalid_request");
    let answer = stage.visitor().post("/register", &[("a", "b")]).await.unwrap();
    assert_eq!(error(&answer), "invalid_client_metadata");
}

#[tokio::test]
async fn eddsa_signs_as_well() {
    let stage = Stage::with("    algorithm: EdDSA\n    access_token_lifetime: 5m").await;
    let tokens = stage.tokens("ann").await;
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(stage.call(tokens["access_token"].as_str().unwrap(), "/mcp").await.status, 200);
    let keys = stage.visitor().get("/oauth/jwks").await.unwrap().json();
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
}

//! Assertions of identity providers (ID-JAG).

use super::*;
use narthex_config::model::SenderConstrained;

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
    for (changes, asked) in
        [(json!({"scope": "mcp:read"}), "mcp:write"), (json!({"groups": []}), "mcp:write")]
    {
        let answer = exchange(&authority, &idp.assertion(ID_JAG, &changes), &[("scope", asked)]).await;
        assert_eq!(error(&answer), "invalid_scope", "nothing of {asked} is left");
    }
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
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str()), ("client_id", "web")];
    assert_eq!(error(&authority.answer(post("/oauth/token", &form), now()).await), "unauthorized_client");
    let assertion = idp.assertion(ID_JAG, &json!({"client_id": "probe"}));
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = authority.answer(basic(post("/oauth/token", &form), "probe", SECRET), now()).await;
    assert_eq!(error(&answer), "unauthorized_client");
}

#[tokio::test]
async fn an_assertion_that_came_without_a_proof_that_its_resource_demands_is_not_used_up() {
    let idp = Idp::new();
    let demand = |config: &mut Config| {
        config.routes.get_mut("docs").unwrap().sender_constrained = Some(SenderConstrained::Dpop);
    };
    let authority = idp.authority_with(fixtures::vault(), demand).await;
    let assertion = idp.assertion(ID_JAG, &json!({}));
    for _ in 0..2 {
        assert_eq!(error(&exchange(&authority, &assertion, &[]).await), "invalid_dpop_proof");
    }
}

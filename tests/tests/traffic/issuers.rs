//! Where callers' tokens are verified: keys that move, issuers that are down, opaque tokens.

use super::stage::{Setup, eventually, setup};
use narthex_testkit::{Alg, Endpoint, MockIdp, RecordingUpstream, Trouble, mcp};
use serde_json::json;

#[tokio::test]
async fn keys_are_found_by_either_metadata_by_url_or_in_a_file() {
    let idp = MockIdp::start().await;
    let file = idp.keys().jwks().to_string();
    drop(idp);
    let found = "issuer: {idp}\n      tenant: { claim: org_id }\n";
    let cases: [(&str, String, &[Endpoint], Option<Endpoint>); 3] = [
        ("RFC 8414", found.to_owned(), &[], Some(Endpoint::OauthMetadata)),
        ("OIDC", found.to_owned(), &[Endpoint::OauthMetadata], Some(Endpoint::OidcMetadata)),
        (
            "jwks_uri",
            format!("{found}      jwks_uri: {{idp}}/jwks\n"),
            &[Endpoint::OauthMetadata, Endpoint::OidcMetadata],
            Some(Endpoint::Jwks),
        ),
    ];
    for (case, issuer, missing, used) in cases {
        let idp = MockIdp::start().await;
        for &endpoint in missing {
            idp.trouble(endpoint, Trouble::Status(404));
        }
        let stage = setup().issuer(&issuer).start_with_idp(RecordingUpstream::start().await, idp).await;
        assert_eq!(stage.call(mcp::STATEFUL).await.status, 200, "{case}");
        if let Some(endpoint) = used {
            assert!(stage.idp.hits(endpoint) >= 1, "{case}");
        }
        for alg in Alg::ALL {
            let claims = stage.idp.claims(&format!("{}/main", stage.gateway.place().public_url()));
            assert_eq!(
                stage.call_as("/main", &stage.idp.mint(alg, &claims)).await.status,
                200,
                "{case}: {alg:?}"
            );
        }
    }
    // The keys of a file are those of the file, whatever the issuer serves.
    let from_file = format!("{found}      jwks: {{ file: \"{{dir}}/keys.jwks\" }}\n");
    let stage = setup().issuer(&from_file).file("keys.jwks", &file).start().await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 401, "signed with another key");
    assert_eq!(stage.idp.hits(Endpoint::Jwks), 0);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_made_up_names_fetch_nothing_more() {
    let stage = setup().start().await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    let before = stage.idp.hits(Endpoint::Jwks);
    stage.idp.rotate_keys();
    let fresh = stage.token_for("main", json!({}));
    assert_eq!(stage.call_as("/main", &fresh).await.status, 200, "the new key");
    assert_eq!(stage.call_as("/main", &stage.token).await.status, 401, "the key that was taken away");
    for n in 0..30 {
        let claims = stage.idp.claims(&format!("{}/main", stage.gateway.place().public_url()));
        let forged = stage.idp.jws(Alg::RS256, &claims).header(json!({"kid": format!("made-up-{n}")}));
        assert_eq!(stage.call_as("/main", &forged.sign(&stage.idp.keys())).await.status, 401);
    }
    assert_eq!(stage.idp.hits(Endpoint::Jwks), before + 1, "one fetch for all of them");
}

#[tokio::test]
async fn known_keys_go_on_while_the_issuer_is_down() {
    let stage = setup().start().await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    stage.idp.stop().await;
    assert_eq!(stage.call_as("/main", &stage.token_for("main", json!({"sub": "bob"}))).await.status, 200);
    stage.idp.rotate_keys();
    let unknown = stage.token_for("main", json!({}));
    assert_eq!(stage.call_as("/main", &unknown).await.status, 401, "a key that nobody can vouch for");
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200, "and a failed fetch loses nothing");
    assert_eq!(stage.gateway.admin("/readyz").await.unwrap().status, 200);
}

fn introspected(cache: &str) -> Setup {
    setup().issuer(&format!(
        "issuer: {{idp}}\n      tenant: {{ claim: org_id }}\n      introspection:\n        url: {{idp}}/introspect\n        \
         client: {{ id: narthex, secret: {{ file: \"{{dir}}/client-secret\" }} }}\n        cache: {cache}\n"
    ))
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_once_and_its_answer_is_held_to_the_same_rules() {
    let stage = introspected("60s").start().await;
    let audience = format!("{}/main", stage.gateway.place().public_url());
    let good = stage.idp.claims(&audience);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        stage.idp.opaque_token(claims)
    };
    let token = stage.idp.opaque_token(good.clone());
    for _ in 0..3 {
        assert_eq!(stage.call_as("/main", &token).await.status, 200);
    }
    assert_eq!(stage.idp.hits(Endpoint::Introspection), 1);
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200, "a JWT of the same issuer");
    assert_eq!(stage.idp.hits(Endpoint::Introspection), 1, "is verified here");
    let bad = [
        ("unknown", "opaque-token-of-nobody".to_owned()),
        ("inactive", with("active", false.into())),
        ("for another route", with("aud", "http://localhost/other".into())),
        ("of another issuer", with("iss", "https://other.example.com".into())),
        ("expired", with("exp", 1.into())),
        ("not yet good", with("nbf", 99_999_999_999_u64.into())),
        ("without a tenant", with("org_id", json!(null))),
    ];
    let asked = stage.upstream.count();
    for (case, token) in bad {
        assert_eq!(stage.call_as("/main", &token).await.status, 401, "{case}");
    }
    assert_eq!(stage.upstream.count(), asked);
    assert!(!stage.gateway.output().contains("opaque-token-"));
}

#[tokio::test]
async fn a_revoked_token_is_refused_when_its_answer_is_stale() {
    let stage = introspected("1s").start().await;
    let token =
        stage.idp.opaque_token(stage.idp.claims(&format!("{}/main", stage.gateway.place().public_url())));
    assert_eq!(stage.call_as("/main", &token).await.status, 200);
    stage.idp.revoke(&token);
    let stage = &stage;
    eventually("revocation", || async { (stage.call_as("/main", &token).await.status == 401).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_token_that_cannot_be_asked_about_is_not_accepted() {
    for (case, trouble) in [
        ("500", Trouble::Status(500)),
        ("closed", Trouble::Close),
        ("HTML", Trouble::Body("text/html", b"<p>".to_vec())),
    ] {
        let stage = introspected("60s").start().await;
        let token =
            stage.idp.opaque_token(stage.idp.claims(&format!("{}/main", stage.gateway.place().public_url())));
        stage.idp.trouble(Endpoint::Introspection, trouble);
        let answer = stage.call_as("/main", &token).await;
        assert!(matches!(answer.status, 401 | 503), "{case}: {}", answer.status);
        assert_eq!(stage.upstream.count(), 0, "{case}");
    }
}

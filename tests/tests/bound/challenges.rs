//! What clients are told that come without a good proof.

use super::stage::{Setup, Stage, echo, whole};
use narthex_testkit::{RawResponse, mcp};
use serde_json::{Value, json};

const ALGORITHMS: &str = "ES256 ES384 EdDSA RS256 PS256 Ed25519";

fn challenges(answer: &RawResponse) -> Vec<&str> {
    answer.headers.all("www-authenticate").collect()
}

#[tokio::test]
async fn without_a_token_each_route_says_what_it_takes() {
    let stage = Stage::start().await;
    let metadata = |path: &str| {
        format!(
            "resource_metadata=\"{}\"",
            stage.url(&format!("/.well-known/oauth-protected-resource{path}"))
        )
    };
    let scope = "scope=\"mcp:read\"";
    for (path, expected) in [
        ("/free", vec![format!("Bearer {}, {scope}", metadata("/free"))]),
        ("/keyed", vec![format!("DPoP {}, {scope}, algs=\"{ALGORITHMS}\"", metadata("/keyed"))]),
        (
            "/either",
            vec![
                format!("Bearer {}", metadata("/either")),
                format!("DPoP {}, algs=\"{ALGORITHMS}\"", metadata("/either")),
            ],
        ),
    ] {
        let answer = stage.send(&mcp::post(path, None, &[], &echo())).await;
        assert_eq!(answer.status, 401);
        assert_eq!(challenges(&answer), expected, "{path}");
        assert_eq!(answer.header("dpop-nonce"), None);
    }
}

#[tokio::test]
async fn a_bad_proof_and_a_bad_binding_are_told_apart() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/free");
    let thief = narthex_testkit::ProofKey::new();
    let other_key = thief.proof("POST", &stage.url("/free"), Some(&token));
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    for (authorization, proofs, error) in [
        (&dpop, vec![], "invalid_dpop_proof"),
        (&dpop, vec!["x"], "invalid_dpop_proof"),
        (&dpop, vec![other_key.as_str()], "invalid_token"),
        (&bearer, vec![], "invalid_token"),
    ] {
        let answer = stage.call_with("/free", authorization, &proofs).await;
        let [only] = challenges(&answer)[..] else { panic!("{}", whole(&answer)) };
        assert!(only.starts_with("DPoP resource_metadata="), "{only}");
        assert!(only.ends_with(&format!("error=\"{error}\", algs=\"{ALGORITHMS}\"")), "{only}");
    }
}

#[tokio::test]
async fn a_scope_that_is_missing_is_asked_for_in_the_scheme_that_was_used() {
    let stage = Stage::start().await;
    let scopeless =
        |path: &str, cnf: Value| stage.idp.token_with(&stage.url(path), json!({"scope": "", "cnf": cnf}));
    let token = scopeless("/keyed", json!({"jkt": stage.key.thumbprint()}));
    let answer = stage.call("/keyed", &token).await;
    assert_eq!(answer.status, 403);
    let [only] = challenges(&answer)[..] else { panic!("{}", whole(&answer)) };
    assert!(only.starts_with("DPoP error=\"insufficient_scope\", scope=\"mcp:read\""), "{only}");
}

#[tokio::test]
async fn the_metadata_says_how_tokens_must_be_bound() {
    let stage = Stage::start().await;
    for (path, required) in [("/free", false), ("/keyed", true), ("/either", false)] {
        let url = format!("/.well-known/oauth-protected-resource{path}");
        let document = stage.send(&mcp::bodiless("GET", &url, None, &[])).await.json();
        let algorithms: Vec<&str> = ALGORITHMS.split(' ').collect();
        assert_eq!(document["dpop_signing_alg_values_supported"], json!(algorithms), "{path}");
        assert_eq!(document["dpop_bound_access_tokens_required"] == true, required, "{path}");
        assert_eq!(document.get("tls_client_certificate_bound_access_tokens"), None);
    }
}

#[tokio::test]
async fn the_algorithms_are_those_of_the_configuration() {
    let stage = Setup { dpop: "algorithms: [EdDSA]".into(), ..Setup::default() }.start().await;
    let answer = stage.send(&mcp::post("/keyed", None, &[], &echo())).await;
    assert!(challenges(&answer)[0].ends_with("algs=\"EdDSA Ed25519\""), "{}", whole(&answer));
    let token = stage.keyed_token("/keyed");
    let answer = stage.call("/keyed", &token).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_algorithm"));
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_send_proofs_and_read_nonces() {
    let stage = Stage::start().await;
    let headers = [
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, dpop"),
    ];
    let answer = stage.send(&mcp::bodiless("OPTIONS", "/keyed", None, &headers)).await;
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.split(", ").any(|name| name == "DPoP"), "{allowed}");
    let answer = stage.send(&mcp::post("/keyed", None, &headers[..1], &echo())).await;
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.split(", ").any(|name| name == "DPoP-Nonce"), "{exposed}");
}

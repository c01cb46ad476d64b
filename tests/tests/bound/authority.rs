//! From the gateway's own authorization server to its routes: tokens that are bound to what the client proved.

use super::certificates::{OPTIONAL, tls_setup};
use super::stage::{Setup, Stage, whole};
use narthex_testkit::{Alg, Pki, ProofKey, RawResponse};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-the-agent";

/// An authority that takes the identity provider's assertions (ID-JAG) of the client `agent`.
fn with_authority(mut setup: Setup) -> Setup {
    setup.auth = "  authority:\n    grants: [{ scopes: [mcp:read] }]\n    \
                  clients: { agent: { secret: { file: \"{dir}/agent\" }, assertions: true } }\n    \
                  assertions: { corp: { issuer: \"{idp}\", tenant: { claim: org_id } } }\n"
        .into();
    setup.files.push(("agent", SECRET.to_owned()));
    setup
}

impl Stage {
    /// A request for a token for the route at `path`, with these further header fields.
    fn asking(&self, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let mut claims = self.idp.claims(&self.url(""));
        claims["client_id"] = json!("agent");
        claims["resource"] = json!(self.url(path));
        let header = json!({"typ": "oauth-id-jag+jwt"});
        let assertion = self.idp.jws(Alg::ES256, &claims).header(header).sign(&self.idp.keys());
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id=agent&client_secret={SECRET}\
             &assertion={assertion}"
        );
        let mut head = format!(
            "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n",
            body.len()
        );
        more.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        format!("{head}\r\n{body}").into_bytes()
    }

    fn token_proof(&self) -> String {
        self.key.proof("POST", &self.url("/oauth/token"), None)
    }
}

fn tokens(answer: &RawResponse) -> (String, Value) {
    assert_eq!(answer.status, 200, "{}", whole(answer));
    let json = answer.json();
    (json["access_token"].as_str().unwrap().to_owned(), json["token_type"].clone())
}

#[tokio::test]
async fn a_token_of_the_authority_is_good_with_the_key_that_asked_for_it_and_with_no_other() {
    let stage = with_authority(Setup::default()).start().await;
    let proof = stage.token_proof();
    let (token, kind) = tokens(&stage.send(&stage.asking("/keyed", &[("DPoP", &proof)])).await);
    assert_eq!(kind, "DPoP");
    for _ in 0..2 {
        let answer = stage.call("/keyed", &token).await;
        assert_eq!(answer.status, 200, "{}", whole(&answer));
    }
    let thief = ProofKey::new().proof("POST", &stage.url("/keyed"), Some(&token));
    let answer = stage.call_with("/keyed", &format!("DPoP {token}"), &[&thief]).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_other_key"));
    let answer = stage.call_with("/keyed", &format!("Bearer {token}"), &[]).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_downgrade"));
}

#[tokio::test]
async fn the_token_endpoint_takes_no_bad_proof() {
    let stage = with_authority(Setup::default()).start().await;
    let used = stage.token_proof();
    tokens(&stage.send(&stage.asking("/keyed", &[("DPoP", &used)])).await);
    let elsewhere = stage.key.proof("POST", &stage.url("/keyed"), None);
    for (case, headers) in [
        ("used", vec![("DPoP", used.as_str())]),
        ("for another URL", vec![("DPoP", elsewhere.as_str())]),
        ("two", vec![("DPoP", "a"), ("DPoP", "b")]),
        ("none, for a route that demands one", vec![]),
    ] {
        let answer = stage.send(&stage.asking("/keyed", &headers)).await;
        assert_eq!(answer.status, 400, "{case}: {}", whole(&answer));
        assert_eq!(answer.json()["error"], "invalid_dpop_proof", "{case}");
    }
    let (_, kind) = tokens(&stage.send(&stage.asking("/free", &[])).await);
    assert_eq!(kind, "Bearer", "where none is demanded");
}

#[tokio::test]
async fn the_token_endpoint_hands_out_nonces_where_they_are_demanded() {
    let stage = with_authority(Setup { dpop: "nonce: required".into(), ..Setup::default() }).start().await;
    let proof = stage.token_proof();
    let first = stage.send(&stage.asking("/keyed", &[("DPoP", &proof)])).await;
    assert_eq!((first.status, &first.json()["error"]), (400, &json!("use_dpop_nonce")), "{}", whole(&first));
    let nonce = first.header("dpop-nonce").unwrap();
    let mut claims = stage.key.claims("POST", &stage.url("/oauth/token"), None);
    claims["nonce"] = nonce.into();
    let proof = stage.key.sign(&stage.key.header(), &claims);
    let (token, _) = tokens(&stage.send(&stage.asking("/keyed", &[("DPoP", &proof)])).await);
    let mut claims = stage.key.claims("POST", &stage.url("/keyed"), Some(&token));
    claims["nonce"] = nonce.into();
    let proof = stage.key.sign(&stage.key.header(), &claims);
    let answer = stage.call_with("/keyed", &format!("DPoP {token}"), &[&proof]).await;
    assert_eq!(answer.status, 200, "the same nonce is good at the routes: {}", whole(&answer));
}

#[tokio::test]
async fn a_token_of_the_authority_is_good_with_the_certificate_that_asked_for_it() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_authority(tls_setup(&pki, OPTIONAL, &clients)).start().await;
    let (mine, thiefs) = (clients.leaf(&["agent"]), clients.leaf(&["agent"]));
    let (token, kind) =
        tokens(&stage.tls(&pki, Some(&mine), &stage.asking("/certified", &[])).await.unwrap());
    assert_eq!(kind, "Bearer");
    let call = super::certificates::bearer("/certified", &token);
    for (identity, status) in [(Some(&mine), 200), (Some(&thiefs), 401), (None, 401)] {
        let answer = stage.tls(&pki, identity, &call).await.unwrap();
        assert_eq!(answer.status, status, "{}", whole(&answer));
    }
    let refused = stage.tls(&pki, None, &stage.asking("/certified", &[])).await.unwrap();
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn the_authoritys_metadata_says_how_tokens_can_be_bound() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let stage = with_authority(tls_setup(&pki, OPTIONAL, &clients)).start().await;
    let request = narthex_testkit::mcp::bodiless("GET", "/.well-known/oauth-authorization-server", None, &[]);
    let document = stage.tls(&pki, None, &request).await.unwrap().json();
    assert!(document["dpop_signing_alg_values_supported"].as_array().unwrap().contains(&json!("ES256")));
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
}

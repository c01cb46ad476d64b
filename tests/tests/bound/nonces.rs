//! `auth.dpop.nonce: required`.

use super::stage::{Setup, Stage, echo, whole};
use narthex_testkit::{RawResponse, mcp};
use serde_json::json;

async fn demanding() -> Stage {
    Setup { dpop: "nonce: required".into(), ..Setup::default() }.start().await
}

impl Stage {
    /// A call with a proof that has this nonce, or none.
    async fn call_by_nonce(&self, token: &str, nonce: Option<&str>) -> RawResponse {
        let mut claims = self.key.claims("POST", &self.url("/keyed"), Some(token));
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let proof = self.key.sign(&self.key.header(), &claims);
        self.call_with("/keyed", &format!("DPoP {token}"), &[&proof]).await
    }
}

#[tokio::test]
async fn a_client_is_given_a_nonce_and_gets_through_with_it() {
    let stage = demanding().await;
    let token = stage.keyed_token("/keyed");
    let first = stage.call_by_nonce(&token, None).await;
    assert_eq!((first.status, stage.reason(&first).await.as_str()), (401, "dpop_no_nonce"));
    let challenge = first.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"use_dpop_nonce\""), "{challenge}");
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    for _ in 0..3 {
        let answer = stage.call_by_nonce(&token, Some(&nonce)).await;
        assert!(answer.tool_text().is_some(), "{}", whole(&answer));
    }
}

#[tokio::test]
async fn a_nonce_of_anybody_else_is_refused_and_a_good_one_given() {
    let stage = demanding().await;
    let token = stage.keyed_token("/keyed");
    let good = stage.call_by_nonce(&token, None).await.header("dpop-nonce").unwrap().to_owned();
    let mut flipped = good.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for nonce in ["", "x", "eyJ7S_zG.eyJH0-Z.HX4w-7v", &flipped, &good[1..], &format!("{good}A")] {
        let answer = stage.call_by_nonce(&token, Some(nonce)).await;
        assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_nonce"), "{nonce}");
        assert!(answer.header("www-authenticate").unwrap().contains("use_dpop_nonce"));
        assert!(answer.header("dpop-nonce").is_some());
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn the_first_answer_to_a_client_without_a_token_has_the_nonce_already() {
    let stage = demanding().await;
    let answer = stage.send(&mcp::post("/keyed", None, &[], &echo())).await;
    let nonce = answer.header("dpop-nonce").unwrap_or_else(|| panic!("{}", whole(&answer))).to_owned();
    let token = stage.keyed_token("/keyed");
    assert_eq!(stage.call_by_nonce(&token, Some(&nonce)).await.status, 200);
    let free = stage.send(&mcp::post("/free", None, &[], &echo())).await;
    assert_eq!(free.header("dpop-nonce"), None, "where bearer tokens are asked for there is none");
}

#[tokio::test]
async fn a_used_proof_stays_used_whatever_its_nonce() {
    let stage = demanding().await;
    let token = stage.keyed_token("/keyed");
    let nonce = stage.call_by_nonce(&token, None).await.header("dpop-nonce").unwrap().to_owned();
    let mut claims = stage.key.claims("POST", &stage.url("/keyed"), Some(&token));
    claims["nonce"] = json!(nonce);
    let proof = stage.key.sign(&stage.key.header(), &claims);
    let dpop = format!("DPoP {token}");
    assert_eq!(stage.call_with("/keyed", &dpop, &[&proof]).await.status, 200);
    let again = stage.call_with("/keyed", &dpop, &[&proof]).await;
    assert_eq!((again.status, stage.reason(&again).await.as_str()), (401, "dpop_replayed"));
}

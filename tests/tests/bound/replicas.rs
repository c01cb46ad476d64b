//! Several gateways, and one that is reloaded.

use super::stage::{Setup, Stage, echo, post, whole};
use narthex_testkit::{MockIdp, RecordingUpstream, RedisServer};
use std::sync::Arc;

#[tokio::test]
async fn a_used_proof_stays_used_over_a_reload() {
    let stage = Setup::default().start().await;
    let token = stage.keyed_token("/keyed");
    let proof = stage.key.proof("POST", &stage.url("/keyed"), Some(&token));
    let bytes = post("/keyed", &format!("DPoP {token}"), &[&proof], &echo());
    assert_eq!(stage.send(&bytes).await.status, 200);
    let yaml = std::fs::read_to_string(stage.gateway.place().config()).unwrap();
    assert!(stage.gateway.reload(&format!("{yaml}# reloaded\n")).await);
    let again = stage.send(&bytes).await;
    assert_eq!((again.status, stage.reason(&again).await.as_str()), (401, "dpop_replayed"));
}

#[tokio::test]
async fn what_a_reload_demands_holds_for_tokens_that_are_known_already() {
    let stage = Setup::default().start().await;
    let token = stage.idp.token(&stage.url("/free"));
    let bytes = post("/free", &format!("Bearer {token}"), &[], &echo());
    assert_eq!(stage.send(&bytes).await.status, 200);
    let yaml = std::fs::read_to_string(stage.gateway.place().config()).unwrap();
    let demanding = yaml.replace("path: /free,", "path: /free, auth: { sender_constrained: dpop },");
    assert_ne!(demanding, yaml);
    assert!(stage.gateway.reload(&demanding).await);
    let answer = stage.send(&bytes).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "binding_required"));
    assert!(stage.gateway.reload(&yaml).await);
    assert_eq!(stage.send(&bytes).await.status, 200);
}

/// Replicas that share seal keys take each other's nonces.
#[tokio::test]
async fn a_nonce_of_one_replica_is_good_at_the_other() {
    let idp = Arc::new(MockIdp::start().await);
    let upstream = Arc::new(RecordingUpstream::start().await);
    let setup = Setup { dpop: "nonce: required".into(), ..Setup::default() };
    let one = setup.between(Arc::clone(&idp), Arc::clone(&upstream)).await;
    let other = setup.between(idp, upstream).await;
    let challenged = one.call("/keyed", &one.keyed_token("/keyed")).await;
    let nonce = challenged.header("dpop-nonce").unwrap_or_else(|| panic!("{}", whole(&challenged)));
    let token = other.keyed_token("/keyed");
    let mut claims = other.key.claims("POST", &other.url("/keyed"), Some(&token));
    claims["nonce"] = nonce.into();
    let proof = other.key.sign(&other.key.header(), &claims);
    let answer = other.call_with("/keyed", &format!("DPoP {token}"), &[&proof]).await;
    assert_eq!(answer.status, 200, "{}", whole(&answer));
}

/// Two replicas behind one name, which share a store.
async fn replicas(redis: &RedisServer) -> (Stage, Stage) {
    let idp = Arc::new(MockIdp::start().await);
    let upstream = Arc::new(RecordingUpstream::start().await);
    let setup = Setup {
        public_url: Some("http://gateway.example"),
        more: format!(
            "store:\n  redis: {{ url: \"redis://127.0.0.1:{}\" }}\n  keys: [{{ file: \"{{dir}}/store-key\" }}]\n",
            redis.port()
        ),
        files: vec![("store-key", "09".repeat(32))],
        ..Setup::default()
    };
    let one = setup.between(Arc::clone(&idp), Arc::clone(&upstream)).await;
    (one, setup.between(idp, upstream).await)
}

#[tokio::test]
async fn a_proof_that_one_replica_has_taken_no_other_takes() {
    let redis = RedisServer::start();
    let (one, other) = replicas(&redis).await;
    let token = one.keyed_token("/keyed");
    let proof = || one.key.proof("POST", &one.url("/keyed"), Some(&token));
    let bytes = |proof: &str| post("/keyed", &format!("DPoP {token}"), &[proof], &echo());
    let (first, second) = (bytes(&proof()), bytes(&proof()));
    let answer = one.send(&first).await;
    assert_eq!(answer.status, 200, "{}", whole(&answer));
    for stage in [&other, &one, &other] {
        let again = stage.send(&first).await;
        assert_eq!((again.status, stage.reason(&again).await.as_str()), (401, "dpop_replayed"));
    }
    assert_eq!(other.send(&second).await.status, 200, "a proof of its own");
    assert_eq!(one.send(&second).await.status, 401);
    assert_eq!(one.upstream.requests_for("tools/call").len(), 2);
}

#[tokio::test]
async fn without_the_store_that_replicas_share_no_proof_is_taken() {
    let mut redis = RedisServer::start();
    let (one, _other) = replicas(&redis).await;
    let token = one.keyed_token("/keyed");
    assert_eq!(one.call("/keyed", &token).await.status, 200);
    redis.kill();
    let answer = one.call("/keyed", &token).await;
    assert_eq!(answer.status, 503, "{}", whole(&answer));
    assert_eq!(one.reason(&answer).await, "dpop_store_unavailable");
    let bearer = one.idp.token(&one.url("/free"));
    let answer = one.call_with("/free", &format!("Bearer {bearer}"), &[]).await;
    assert_eq!(answer.status, 200, "who has no proof needs no store: {}", whole(&answer));
}

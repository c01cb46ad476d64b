//! Session ids: sealed, and good for their owner alone.

use super::stage::{Failures, SEAL_KEY, Stage, whole};
use narthex_mcp::seal::{Binding, Sealer};
use narthex_mcp::session::SessionHandle;
use narthex_testkit::{RawResponse, mcp};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

async fn open(stage: &Stage) -> String {
    let token = stage.token();
    let session = mcp::open_session(stage.gateway.address(), "/mcp", Some(&token), mcp::STATEFUL);
    session.await.expect("a session")
}

/// Uses `session` on `path` by POST, GET and DELETE.
async fn used(stage: &Stage, path: &str, token: &str, session: &str) -> [RawResponse; 3] {
    let headers = [("Mcp-Session-Id", session), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let body = mcp::tools_call("echo", json!({}));
    [
        stage.send(&mcp::post(path, Some(token), &headers, &body)).await,
        stage.send(&mcp::bodiless("GET", path, Some(token), &headers)).await,
        stage.send(&mcp::bodiless("DELETE", path, Some(token), &headers)).await,
    ]
}

fn seal(stage: &Stage, key: [u8; 32], subject: &str, expires: SystemTime) -> String {
    let sealer = Sealer::new(vec![key]).expect("a key");
    let binding =
        Binding { tenant: "acme", issuer: stage.idp.issuer(), subject, route: "main", upstream: "main" };
    let session = SessionHandle::from_upstream(b"upstream-session-0").expect("an id");
    session.seal(&sealer, &binding, expires).expect("a handle")
}

#[tokio::test]
async fn a_session_id_is_sealed_and_works_for_its_owner() {
    let stage = Stage::start().await;
    let session = open(&stage).await;
    assert!(!session.contains("upstream-session"), "{session}");
    assert!(session.len() > 60 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
    let [post, get, delete] = used(&stage, "/mcp", &stage.token(), &session).await;
    assert_eq!([post.status, get.status, delete.status], [200, 405, 204]);
    let theirs: Vec<_> = stage.upstream.requests().into_iter().skip(1).collect();
    assert_eq!(theirs.len(), 4);
    for request in theirs {
        let id = request.header("mcp-session-id").expect("the upstream's own id");
        assert!(id.starts_with("upstream-session-"), "{id}");
    }
    assert!(!stage.upstream.seen(&session), "the sealed id went upstream");
    for answer in [post, get, delete] {
        assert!(!whole(&answer).contains("upstream-session"), "{}", whole(&answer));
    }
}

#[tokio::test]
async fn anybody_elses_session_does_not_exist() {
    let stage = Stage::start().await;
    let session = open(&stage).await;
    let count = stage.upstream.count();
    let week = SystemTime::now() + Duration::from_secs(7 * 24 * 3600);
    let past = SystemTime::now() - Duration::from_secs(1);
    let mut flipped = session.clone().into_bytes();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let cut = &session[..session.len() - 4];
    let (longer, padded) = (format!("{session}AAAA"), format!("{session}=="));
    let other = stage.idp.token(&stage.resource("/other"));
    let (alice, token) = (stage.token(), |claims| stage.token_with(claims));
    let (bob, globex) = (token(json!({"sub": "bob"})), token(json!({"org_id": "globex"})));
    let capital = token(json!({"sub": "Alice"}));
    let cases: Vec<(&str, &str, &str, String)> = vec![
        ("another subject", "/mcp", &bob, session.clone()),
        ("a subject in other letters", "/mcp", &capital, session.clone()),
        ("another tenant", "/mcp", &globex, session.clone()),
        ("another route", "/other", &other, session.clone()),
        ("a bit flipped", "/mcp", &alice, flipped),
        ("cut short", "/mcp", &alice, cut.to_owned()),
        ("longer", "/mcp", &alice, longer),
        ("padded", "/mcp", &alice, padded),
        ("expired", "/mcp", &alice, seal(&stage, SEAL_KEY, "alice", past)),
        ("sealed with another key", "/mcp", &alice, seal(&stage, [8; 32], "alice", week)),
        ("sealed for another subject", "/mcp", &alice, seal(&stage, SEAL_KEY, "bob", week)),
        ("the upstream's own id", "/mcp", &alice, "upstream-session-0".to_owned()),
        ("a made-up id", "/mcp", &alice, "5f2c1c7e-1c3b-4a53-9a56-1c2d3e4f5a6b".to_owned()),
        ("a path", "/mcp", &alice, "../../etc/passwd".to_owned()),
        ("4 KiB", "/mcp", &alice, "A".repeat(4200)),
    ];
    let mut failures = Failures::default();
    for (name, path, token, session) in cases {
        for answer in used(&stage, path, token, &session).await {
            failures.unless(answer.status == 404, name, || whole(&answer));
        }
        failures.unless(stage.upstream.count() == count, name, || "reached the upstream".to_owned());
    }
    // The same way of sealing, with nothing wrong, is accepted: the cases above say what they mean to.
    let good = seal(&stage, SEAL_KEY, "alice", week);
    let answers = used(&stage, "/mcp", &alice, &good).await;
    assert_eq!(answers[0].status, 200, "{}", whole(&answers[0]));
}

#[tokio::test]
async fn a_session_is_no_proof_of_who_calls() {
    let stage = Stage::start().await;
    let session = open(&stage).await;
    let count = stage.upstream.count();
    let headers = [("Mcp-Session-Id", session.as_str())];
    for verb in ["POST", "GET", "DELETE"] {
        let answer = stage.send(&mcp::bodiless(verb, "/mcp", None, &headers)).await;
        assert_eq!(answer.status, 401, "{verb}");
    }
    let weaker = stage.token_with(json!({"scope": "nothing"}));
    assert_eq!(used(&stage, "/mcp", &weaker, &session).await.map(|answer| answer.status), [403; 3]);
    assert_eq!(stage.upstream.count(), count);
}

#[tokio::test]
async fn a_replica_with_the_same_key_opens_it_and_one_with_another_does_not() {
    let first = Stage::start().await;
    let session = open(&first).await;
    let (idp, upstream) = (Arc::clone(&first.idp), Arc::clone(&first.upstream));
    drop(first);
    let same = Stage::between(Arc::clone(&idp), Arc::clone(&upstream), SEAL_KEY, "").await;
    assert_eq!(used(&same, "/mcp", &same.token(), &session).await[0].status, 200);
    let count = upstream.count();
    let other = Stage::between(idp, Arc::clone(&upstream), [9; 32], "").await;
    assert_eq!(used(&other, "/mcp", &other.token(), &session).await.map(|answer| answer.status), [404; 3]);
    assert_eq!(upstream.count(), count);
}

#[tokio::test]
async fn requests_of_2026_07_28_have_no_session() {
    let stage = Stage::start().await;
    let session = open(&stage).await;
    for value in [session.as_str(), "upstream-session-0", "whatever"] {
        stage.upstream.forget();
        let mut headers = mcp::stateless_headers("tools/call", Some("echo"));
        headers.extend([("Mcp-Session-Id", value), ("Last-Event-ID", "7")]);
        let body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
        let answer = stage.post(&stage.token(), &headers, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let request = stage.upstream.requests().pop().unwrap();
        assert_eq!((request.header("mcp-session-id"), request.header("last-event-id")), (None, None));
    }
}

#[tokio::test]
async fn events_are_not_resumed_without_a_session() {
    let stage = Stage::start().await;
    let headers = [("Last-Event-ID", "7")];
    let get = stage.send(&mcp::bodiless("GET", "/mcp", Some(&stage.token()), &headers)).await;
    assert_eq!(get.status, 400, "{}", whole(&get));
    let post = stage.post(&stage.token(), &headers, &mcp::tools_call("echo", json!({}))).await;
    assert_eq!(post.status, 400, "{}", whole(&post));
    let bare = stage.send(&mcp::bodiless("GET", "/mcp", Some(&stage.token()), &[])).await;
    assert_eq!(bare.status, 405, "{}", whole(&bare));
    assert_eq!(stage.upstream.count(), 0);
}

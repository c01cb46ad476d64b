//! Tokens that are bound to a key.

use super::stage::{Setup, Stage, echo, post, whole};
use narthex_testkit::{Answer, MockIdp, ProofKey, RawClient, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_with_a_proof_of_its_key_opens_every_route_that_it_is_for() {
    let stage = Stage::start().await;
    for path in ["/free", "/keyed", "/either"] {
        let token = stage.keyed_token(path);
        for round in 0..3 {
            let answer = stage.call(path, &token).await;
            assert!(answer.tool_text().is_some(), "{path} {round}: {}", whole(&answer));
        }
    }
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 9);
    let hits = stage.gateway.metric("narthex_token_cache_hits_total").await.unwrap();
    assert!(hits >= 6.0, "tokens are known from the cache, and proven all the same: {hits}");
}

#[tokio::test]
async fn a_stolen_token_is_of_no_use_without_its_key() {
    let stage = Stage::start().await;
    let thief = ProofKey::new();
    let token = stage.keyed_token("/free");
    assert_eq!(stage.call("/free", &token).await.status, 200, "known to the cache from now on");
    stage.upstream.forget();
    let dpop = format!("DPoP {token}");
    let own = thief.proof("POST", &stage.url("/free"), Some(&token));
    let other_token = stage.keyed_token("/keyed");
    let for_other_token = stage.key.proof("POST", &stage.url("/free"), Some(&other_token));
    let for_get = stage.key.proof("GET", &stage.url("/free"), Some(&token));
    let elsewhere = stage.key.proof("POST", &stage.url("/keyed"), Some(&token));
    for (case, proofs, reason) in [
        ("no proof", vec![], "dpop_missing"),
        ("the thief's own proof", vec![own.as_str()], "dpop_other_key"),
        ("a proof for another token", vec![for_other_token.as_str()], "dpop_other_token"),
        ("a proof for another method", vec![for_get.as_str()], "dpop_method"),
        ("a proof for another route", vec![elsewhere.as_str()], "dpop_target"),
        ("two proofs", vec![own.as_str(), own.as_str()], "dpop_several"),
    ] {
        let answer = stage.call_with("/free", &dpop, &proofs).await;
        assert_eq!(answer.status, 401, "{case}: {}", whole(&answer));
        assert_eq!(stage.reason(&answer).await, reason, "{case}");
    }
    assert_eq!(stage.upstream.count(), 0);
    assert!(
        stage.gateway.metric("narthex_denied_total{reason=\"dpop_other_key\",route=\"free\"}").await
            == Some(1.0)
    );
}

#[tokio::test]
async fn a_bound_token_does_not_pass_for_a_bearer_token() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/free");
    let proof = || stage.key.proof("POST", &stage.url("/free"), Some(&token));
    let proofs = [proof(), proof()];
    for (case, authorization, proofs) in [
        ("as bearer", format!("Bearer {token}"), vec![]),
        ("as bearer with a proof", format!("bearer {token}"), vec![proofs[0].as_str()]),
    ] {
        let answer = stage.call_with("/free", &authorization, &proofs).await;
        assert_eq!(answer.status, 401, "{case}: {}", whole(&answer));
        assert_eq!(stage.reason(&answer).await, "dpop_downgrade", "{case}");
    }
    let mut both = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    both.push(("Authorization".to_owned(), format!("DPoP {token}")));
    both.push(("DPoP".to_owned(), proofs[1].clone()));
    let headers: Vec<_> = both.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = stage.send(&mcp::post("/free", None, &headers, &echo())).await;
    assert_eq!(answer.status, 400, "two schemes: {}", whole(&answer));
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn an_unbound_token_does_not_pass_for_a_bound_one() {
    let stage = Stage::start().await;
    let free = stage.idp.token(&stage.url("/free"));
    let proof = stage.key.proof("POST", &stage.url("/free"), Some(&free));
    let answer = stage.call_with("/free", &format!("DPoP {free}"), &[&proof]).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "not_bound"));
    for path in ["/keyed", "/either"] {
        let unbound = stage.idp.token(&stage.url(path));
        let answer = stage.call_with(path, &format!("Bearer {unbound}"), &[]).await;
        assert_eq!(
            (answer.status, stage.reason(&answer).await.as_str()),
            (401, "binding_required"),
            "{path}"
        );
    }
    assert_eq!(stage.upstream.count(), 0);
    assert_eq!(stage.call_with("/free", &format!("Bearer {free}"), &[]).await.status, 200);
    let beside = stage.key.proof("POST", &stage.url("/free"), Some(&free));
    let answer = stage.call_with("/free", &format!("Bearer {free}"), &[&beside]).await;
    assert_eq!(answer.status, 200, "a proof that nobody asked for does no harm");
}

#[tokio::test]
async fn a_proof_is_taken_once() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let proof = stage.key.proof("POST", &stage.url("/keyed"), Some(&token));
    let bytes = post("/keyed", &format!("DPoP {token}"), &[&proof], &echo());
    assert_eq!(stage.send(&bytes).await.status, 200);
    for _ in 0..3 {
        let answer = stage.send(&bytes).await;
        assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_replayed"));
    }
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn of_many_at_once_with_one_proof_one_gets_through() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let proof = stage.key.proof("POST", &stage.url("/keyed"), Some(&token));
    let bytes = post("/keyed", &format!("DPoP {token}"), &[&proof], &echo());
    let address = stage.gateway.address();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let bytes = bytes.clone();
            tokio::spawn(async move { mcp::exchange(address, &bytes).await.unwrap().status })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
}

/// A session is no second way in: each of its requests has a proof of its own.
#[tokio::test]
async fn sessions_and_streams_need_a_proof_for_each_request() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let authorization = format!("DPoP {token}");
    let url = stage.url("/keyed");
    let opening = stage.key.proof("POST", &url, Some(&token));
    let opened =
        stage.send(&post("/keyed", &authorization, &[&opening], &mcp::initialize(mcp::STATEFUL))).await;
    let session = opened.header("mcp-session-id").unwrap_or_else(|| panic!("{}", whole(&opened))).to_owned();
    let bodiless = |verb: &str, proof: Option<&str>| {
        let mut headers = vec![
            ("Authorization", authorization.as_str()),
            ("Mcp-Session-Id", &session),
            ("MCP-Protocol-Version", mcp::STATEFUL),
            ("Accept", "text/event-stream"),
        ];
        headers.extend(proof.map(|proof| ("DPoP", proof)));
        mcp::bodiless(verb, "/keyed", None, &headers)
    };
    stage.upstream.forget();
    for verb in ["GET", "DELETE"] {
        let of_post = stage.key.proof("POST", &url, Some(&token));
        for (case, proof) in
            [("none", None), ("used", Some(opening.as_str())), ("of a POST", Some(&*of_post))]
        {
            let answer = stage.send(&bodiless(verb, proof)).await;
            assert_eq!(answer.status, 401, "{verb}, {case}: {}", whole(&answer));
        }
    }
    assert_eq!(stage.upstream.count(), 0);
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    let proof = stage.key.proof("GET", &url, Some(&token));
    client.send(bodiless("GET", Some(&proof))).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    feed.event(
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}})
            .to_string(),
    );
    assert!(client.sse_event().await.unwrap().is_some());
    let proof = stage.key.proof("DELETE", &url, Some(&token));
    assert_eq!(stage.send(&bodiless("DELETE", Some(&proof))).await.status, 204);
}

#[tokio::test]
async fn nothing_of_a_proof_goes_upstream_or_to_operators() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let mut secrets = vec![token.clone()];
    let (url, dpop) = (stage.url("/keyed"), format!("DPoP {token}"));
    let mut claims = stage.key.claims("POST", &url, Some(&token));
    claims["jti"] = json!("jti-canary-7f3a9c");
    let good = stage.key.sign(&stage.key.header(), &claims);
    let mut answers = String::new();
    for proof in [&good, &good, &format!("{good}x")] {
        answers.push_str(&whole(&stage.call_with("/keyed", &dpop, &[proof]).await));
        secrets.extend(proof.split('.').map(str::to_owned));
    }
    let of_bearer = stage.idp.token(&stage.url("/free"));
    answers.push_str(&whole(
        &stage.call_with("/free", &format!("Bearer {of_bearer}"), &["proof-canary-7f3a9c"]).await,
    ));
    secrets.extend([
        "jti-canary-7f3a9c".to_owned(),
        "proof-canary-7f3a9c".to_owned(),
        stage.key.thumbprint(),
    ]);
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 2);
    let marker = stage.send(&mcp::bodiless("GET", "/end", None, &[("X-Request-Id", "the-end-of-it")])).await;
    stage.log_line(marker.header("x-request-id").unwrap()).await;
    let told = format!("{}{}", stage.gateway.output(), stage.gateway.metrics().await);
    for secret in secrets {
        assert!(!stage.upstream.seen(&secret), "{secret} went upstream");
        assert!(!told.contains(&secret), "{secret} was told to operators");
        assert!(!answers.contains(&secret), "{secret} is in an answer");
    }
    let names: Vec<_> = stage.upstream.requests().iter().flat_map(|got| got.headers.names()).collect();
    assert!(!names.iter().any(|name| name.contains("dpop") || name == "authorization"), "{names:?}");
}

#[tokio::test]
async fn an_opaque_token_is_bound_as_introspection_says() {
    let setup = Setup {
        issuer: "      introspection: { url: {introspect}, client: { id: narthex, secret: { file: \"{dir}/secret\" } } }\n"
            .into(),
        files: vec![("secret", MockIdp::CLIENT.1.to_owned())],
        ..Setup::default()
    };
    let stage = setup.start().await;
    let opaque = |changed: Value| {
        let mut claims = stage.idp.claims(&stage.url("/keyed"));
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        stage.idp.opaque_token(claims)
    };
    let jkt = json!({"jkt": stage.key.thumbprint()});
    let bound = opaque(json!({"token_type": "DPoP", "cnf": jkt}));
    for round in 0..2 {
        let answer = stage.call("/keyed", &bound).await;
        assert_eq!(answer.status, 200, "{round}: {}", whole(&answer));
        let stolen = stage.call_with("/keyed", &format!("Bearer {bound}"), &[]).await;
        assert_eq!((stolen.status, stage.reason(&stolen).await.as_str()), (401, "dpop_downgrade"));
    }
    let without_saying = opaque(json!({"cnf": jkt}));
    assert_eq!(stage.call("/keyed", &without_saying).await.status, 200);
    let to_nothing = opaque(json!({"token_type": "DPoP"}));
    let answer = stage.call("/keyed", &to_nothing).await;
    assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "sender_constrained"));
}

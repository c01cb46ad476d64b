use super::*;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_credential_is_kept_until_shortly_before_its_end() {
    let server = Server::issuing(600).await;
    for (credential, calls) in [(exchange(&server), 2), (client_credentials(&server), 4)] {
        let (source, alice) = (build(credential), caller("acme", "alice", 36_000));
        let first = source.obtain(&alice, Some("inbound"), at(0)).await.unwrap();
        for seconds in [0, 1, 569] {
            assert!(source.ready(&alice, Some("inbound"), at(seconds)).unwrap().is(&first));
            assert!(source.obtain(&alice, Some("inbound"), at(seconds)).await.unwrap().is(&first));
        }
        assert!(source.ready(&alice, Some("inbound"), at(570)).is_none());
        let second = source.obtain(&alice, Some("inbound"), at(570)).await.unwrap();
        assert!(!second.is(&first));
        assert_eq!(server.count(), calls);
    }
}

#[tokio::test]
async fn an_exchanged_credential_ends_with_the_callers_token() {
    let server = Server::issuing(3600).await;
    let (source, alice) = (build(exchange(&server)), caller("acme", "alice", 100));
    source.obtain(&alice, Some("inbound"), at(0)).await.unwrap();
    assert!(source.ready(&alice, Some("inbound"), at(99)).is_some());
    assert!(source.ready(&alice, Some("inbound"), at(100)).is_none());
    // Within the clock leeway a token may be over already: what it is exchanged for is used once.
    for calls in [2, 3] {
        source.obtain(&alice, Some("inbound"), at(101)).await.unwrap();
        assert!(source.ready(&alice, Some("inbound"), at(101)).is_none());
        assert_eq!(server.count(), calls);
    }
}

#[tokio::test]
async fn the_gateways_own_token_does_not_end_with_a_caller() {
    let server = Server::issuing(600).await;
    let source = build(client_credentials(&server));
    source.obtain(&caller("acme", "alice", 10), Some("inbound"), at(0)).await.unwrap();
    assert!(source.ready(&caller("globex", "bob", 1000), Some("other"), at(500)).is_some());
    assert!(source.ready(&Caller::anonymous("acme".into()), None, at(500)).is_some());
}

#[tokio::test]
async fn no_two_tenants_issuers_subjects_clients_or_tokens_share_a_credential() {
    let server = Server::issuing(600).await;
    let source = build(exchange(&server));
    let alice = caller("acme", "alice", 3600);
    let of = |change: fn(&mut Caller)| {
        let mut other = alice.clone();
        change(&mut other);
        other
    };
    // Names of the same length: it is what they say that counts.
    let callers = [
        (alice.clone(), "inbound"),
        (of(|c| c.tenant = "acne".into()), "inbound"),
        (of(|c| c.issuer = "https://idq.example.com".into()), "inbound"),
        (of(|c| c.subject = "alick".into()), "inbound"),
        (of(|c| c.client = Some("clj".into())), "inbound"),
        (of(|c| c.client = None), "inbound"),
        (alice.clone(), "inbound-with-fewer-scopes"),
    ];
    let mut values = std::collections::BTreeSet::new();
    for (caller, token) in &callers {
        assert!(source.ready(caller, Some(token), at(0)).is_none(), "{caller:?} {token}");
        values.insert(value(&source.obtain(caller, Some(token), at(0)).await.unwrap()));
    }
    assert_eq!(values.len(), callers.len());
    for (caller, token) in &callers {
        let again = source.ready(caller, Some(token), at(1)).unwrap();
        assert!(values.remove(&value(&again)));
    }
}

#[tokio::test]
async fn a_crowd_that_needs_the_same_makes_one_call() {
    let server = Server::issuing(600).await;
    for (calls, credential) in [(1, exchange(&server)), (2, client_credentials(&server))] {
        let source = build(credential);
        server.hold();
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let source = Arc::clone(&source);
            crowd.spawn(async move {
                source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await.unwrap()
            });
        }
        server.until_asked(calls).await;
        server.release();
        let all = crowd.join_all().await;
        assert!(all.iter().all(|credential| credential.is(&all[0])));
        assert_eq!(server.count(), calls);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_several_threads_make_one_call_for_each_token() {
    let server = Server::issuing(600).await;
    let source = build(exchange(&server));
    let mut crowd = JoinSet::new();
    for i in 0..1000 {
        let source = Arc::clone(&source);
        crowd.spawn(async move {
            let token = format!("inbound-{}", i % 20);
            source.obtain(&caller("acme", "alice", 3600), Some(&token), at(0)).await.unwrap();
        });
    }
    crowd.join_all().await;
    assert_eq!(server.count(), 20);
}

#[tokio::test]
async fn a_crowd_shares_a_failure_and_it_is_remembered_for_a_second() {
    let server = Server::answering(|_, _| server::json(400, r#"{"error":"invalid_grant"}"#)).await;
    let source = build(exchange(&server));
    server.hold();
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let source = Arc::clone(&source);
        crowd.spawn(async move {
            reason(source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await)
        });
    }
    server.until_asked(1).await;
    server.release();
    assert_eq!(crowd.join_all().await, ["exchange_refused"; 20]);

    let alice = caller("acme", "alice", 3600);
    assert_eq!(reason(source.obtain(&alice, Some("inbound"), at(0)).await), "exchange_refused");
    assert_eq!(server.count(), 1);
    server.answer(|_, _| server::success("token", 600));
    source.obtain(&caller("acme", "bob", 3600), Some("bobs"), at(0)).await.unwrap();
    source.obtain(&alice, Some("inbound"), at(60)).await.unwrap();
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_call_goes_on_when_the_one_who_asked_goes_away() {
    let server = Server::issuing(600).await;
    let source = build(exchange(&server));
    let ask = || {
        let source = Arc::clone(&source);
        tokio::spawn(
            async move { source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await },
        )
    };
    server.hold();
    let leader = ask();
    server.until_asked(1).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    let follower = ask();
    server.release();
    assert_eq!(value(&follower.await.unwrap().unwrap()), "Bearer token-1");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn renewing_drops_the_rejected_credential_and_no_newer_one() {
    let server = Server::issuing(600).await;
    for credential in [exchange(&server), client_credentials(&server)] {
        let (source, alice) = (build(credential), caller("acme", "alice", 3600));
        let before = server.count();
        let old = source.obtain(&alice, Some("inbound"), at(0)).await.unwrap();
        let new = source.renew(&old, &alice, Some("inbound"), at(1)).await.unwrap();
        assert!(!new.is(&old));
        assert!(source.ready(&alice, Some("inbound"), at(1)).unwrap().is(&new));
        // Another request that had used the old one gets the new one without a call.
        assert!(source.renew(&old, &alice, Some("inbound"), at(2)).await.unwrap().is(&new));
        assert_eq!(server.count(), before + 2);
    }
}

#[tokio::test]
async fn renewing_for_one_caller_leaves_the_others_credentials() {
    let server = Server::issuing(600).await;
    let source = build(exchange(&server));
    let (alice, bob) = (caller("acme", "alice", 3600), caller("acme", "bob", 3600));
    let alices = source.obtain(&alice, Some("a"), at(0)).await.unwrap();
    let bobs = source.obtain(&bob, Some("b"), at(0)).await.unwrap();
    source.renew(&alices, &alice, Some("a"), at(1)).await.unwrap();
    assert!(source.ready(&bob, Some("b"), at(1)).unwrap().is(&bobs));
    // Nor can one caller's rejected credential push out another's.
    source.renew(&alices, &bob, Some("b"), at(1)).await.unwrap();
    assert!(source.ready(&bob, Some("b"), at(1)).unwrap().is(&bobs));
}

#[tokio::test]
async fn an_upstream_that_refuses_everything_does_not_cost_a_call_for_each_request() {
    let server = Server::issuing(600).await;
    let (source, alice) = (build(exchange(&server)), caller("acme", "alice", 3600));
    let first = source.obtain(&alice, Some("inbound"), at(0)).await.unwrap();
    let renewed = source.renew(&first, &alice, Some("inbound"), at(1)).await.unwrap();
    for seconds in [1, 5, 10] {
        assert_eq!(
            reason(source.renew(&renewed, &alice, Some("inbound"), at(seconds)).await),
            "not_renewable"
        );
    }
    assert_eq!(server.count(), 2);
    source.renew(&renewed, &alice, Some("inbound"), at(11)).await.unwrap();
    assert_eq!(server.count(), 3);
}

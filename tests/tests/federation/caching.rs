//! What is read once is used for all who may share it, and for no one else.

use super::client::{Client, items};
use super::peer::{Peer, tool};
use super::stage::{Setup, Stage, eventually, mixed};
use narthex_testkit::{Answer, MockIdp, UpstreamRequest};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[tokio::test]
async fn one_list_serves_many_clients_and_none_is_read_for_a_call() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    for claims in [json!({}), json!({"sub": "bob"}), json!({"org_id": "globex"})] {
        for client in
            stage.both_as("/mcp", claims.clone()).await.iter().chain(&stage.both_as("/other", claims).await)
        {
            assert_eq!(client.tools().await.len(), 4);
            client.call("new__echo", json!({})).await;
            client.call("old__echo", json!({})).await;
        }
    }
    assert_eq!((new.count("tools/list"), old.count("tools/list")), (1, 1));
    assert_eq!((new.count("tools/call"), old.count("tools/call")), (12, 12));
}

#[tokio::test]
async fn a_page_that_is_kept_is_given_to_nobody_who_is_shown_something_else() {
    let new = Peer::modern("new").await.tools(&["read", "write", "drop"]);
    let old = Peer::legacy("old").await.tools(&["read", "write"]);
    let setup = Setup::route(&["page_size: 2"]).globex(&["expose: { main: { exclude: [\"*__write\"] } }"]);
    let stage = setup.start(&[&new, &old]).await;
    let all = ["new__read", "new__write", "new__drop", "old__read", "old__write"];
    let some = ["new__read", "new__drop", "old__read"];
    let mut clients = Vec::new();
    for (sub, tenant) in [("alice", "acme"), ("gina", "globex"), ("bob", "acme")] {
        clients
            .extend(stage.both_as("/mcp", json!({"sub": sub, "org_id": tenant})).await.map(|c| (c, tenant)));
    }
    const KEPT: &str = "narthex_kept_pages_bytes";
    assert_eq!(stage.gateway.metric(KEPT).await, Some(0.0));
    for _ in 0..3 {
        for (client, tenant) in &clients {
            assert_eq!(client.tools().await, if *tenant == "acme" { &all[..] } else { &some[..] });
        }
    }
    // Three pages of all, two of what one tenant is shown, each for two kinds of clients.
    stage.gateway.wait_for_metric(KEPT, |bytes| (10.0 * 1024.0..20.0 * 1024.0).contains(&bytes)).await;
    let mut cursors = Vec::new();
    for (number, (client, _)) in clients.iter().enumerate() {
        let id = json!(format!("\"}}{{ {number}"));
        let answer = client.send_with_id(&id, "tools/list", json!({})).await.whole().await.rpc();
        assert_eq!(answer["id"], id);
        cursors.push(answer["result"]["nextCursor"].clone());
    }
    for (owner, cursor) in cursors.iter().enumerate() {
        for (number, (client, _)) in clients.iter().enumerate() {
            // A caller's two clients are the same caller.
            let is_own = owner / 2 == number / 2;
            let answer = client.ask("tools/list", json!({"cursor": cursor})).await.rpc();
            assert_eq!(answer["result"].is_object(), is_own, "{answer}");
        }
    }
    assert_eq!((new.count("tools/list"), old.count("tools/list")), (1, 1));
}

/// Lists the tools that the credential is for.
fn by_credential(peer: &Peer, idp: &Arc<MockIdp>) {
    let (idp, modern) = (Arc::clone(idp), peer.id == "new");
    peer.rule("tools/list", move |request: &UpstreamRequest| {
        let bearer = request.header("authorization").unwrap_or_default().to_owned();
        let whose = idp.token_calls().into_iter().find_map(|call| {
            let issued = call.issued.clone()?;
            (bearer == format!("Bearer {issued}"))
                .then(|| call.form("subject_token").unwrap_or_default().to_owned())
        });
        let claims =
            whose.as_deref().and_then(|token| token.split('.').nth(1)).unwrap_or_default().to_owned();
        let subject = ["alice", "bob"].into_iter().find(|name| decoded(&claims)["sub"] == *name);
        let result = json!({"tools": [tool(&format!("for_{}", subject.unwrap_or("nobody")))]});
        if modern {
            let mut result = result;
            (result["ttlMs"], result["cacheScope"]) = (60_000.into(), "public".into());
            return Answer::complete(request, result);
        }
        Answer::result(request, result)
    });
}

fn decoded(part: &str) -> Value {
    let digits: Vec<u32> = part
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'-' => 62,
            _ => 63,
        })
        .collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().enumerate().fold(0, |bits, (at, digit)| bits | digit << (18 - 6 * at));
        bytes.extend(bits.to_be_bytes()[1..].iter().take(four.len() * 3 / 4));
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[tokio::test]
async fn what_one_callers_credential_lists_no_other_caller_sees() {
    let (new, old) = mixed().await;
    let setup = Setup::default().upstream(&[
        "credential:",
        "  token_exchange:",
        "    token_url: {idp}/token",
        "    client: { id: narthex, secret: { file: \"{dir}/client-secret\" } }",
    ]);
    let stage = setup.start(&[&new, &old]).await;
    let Stage { idp, gateway } = stage;
    let idp = Arc::new(idp);
    by_credential(&new, &idp);
    by_credential(&old, &idp);
    let token =
        |sub: &str| idp.token_with(&format!("{}/mcp", gateway.place().public_url()), json!({"sub": sub}));
    let mut clients = Vec::new();
    for subject in ["alice", "bob"] {
        let mut client = Client {
            address: gateway.address(),
            path: "/mcp".to_owned(),
            token: token(subject),
            session: None,
            capabilities: super::client::everything(),
        };
        clients.push((subject, client.clone()));
        client.session = client.initialize().await.header("mcp-session-id").map(str::to_owned);
        clients.push((subject, client));
    }
    for _ in 0..2 {
        for (subject, client) in &clients {
            let other = if *subject == "alice" { "bob" } else { "alice" };
            let page = client.result("tools/list", json!({})).await;
            let names: Vec<_> = items(&page).iter().map(|tool| tool["name"].clone()).collect();
            assert_eq!(names, [format!("new__for_{subject}"), format!("old__for_{subject}")], "{page}");
            assert_eq!(client.call_fault(&format!("new__for_{other}")).await, (200, json!(-32602)));
            assert_eq!(
                client.call(&format!("old__for_{subject}"), json!({})).await,
                format!("old for_{subject} {{}}")
            );
        }
    }
    assert_eq!((new.count("tools/list"), old.count("tools/list")), (2, 2), "once for each caller");
    assert_eq!(new.count("tools/call"), 0);
    for (_, client) in &clients {
        assert!(!new.upstream.seen(&client.token) && !old.upstream.seen(&client.token));
    }
}

#[tokio::test]
async fn a_callers_credential_that_expires_is_no_outage() {
    let new = Peer::modern("new").await.tools(&["a"]).caching(1000, "private").silent();
    let old = Peer::legacy("old").await.tools(&["a"]).silent();
    let setup = Setup::default().catalogue(", ttl: 1s").upstream(&[
        "credential:",
        "  token_exchange:",
        "    token_url: {idp}/token",
        "    client: { id: narthex, secret: { file: \"{dir}/client-secret\" } }",
    ]);
    let stage = setup.start(&[&new, &old]).await;
    stage.idp.set_expires_in(Duration::from_secs(2));
    for peer in [&new, &old] {
        let seen: Mutex<HashMap<String, Instant>> = Mutex::default();
        peer.refuse(move |request| {
            let bearer = request.header("authorization").unwrap_or_default().to_owned();
            let first = *seen.lock().unwrap().entry(bearer).or_insert_with(Instant::now);
            first.elapsed() > Duration::from_secs(2)
        });
    }
    for client in stage.both().await {
        let mut stream = client.listen(&[]).await;
        if client.is_modern() {
            stream.event().await;
        }
        client.tools().await;
        stream.within(Duration::from_millis(300)).await;
        for pause in [100, 300, 900, 2300, 100, 700, 3100, 100] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let page = client.result("tools/list", json!({})).await;
            assert_eq!(items(&page).len(), 2, "after {pause} ms: {page}");
            assert_eq!(client.call("old__a", json!({})).await, "old a {}");
        }
        let told = stream.within(Duration::from_millis(200)).await;
        assert!(told.is_empty(), "nothing has changed: {told:?}");
    }
}

#[tokio::test]
async fn how_long_a_page_may_be_kept_is_what_all_of_it_may() {
    let a = Peer::modern("new").await.tools(&["a", "b"]).caching(40_000, "public");
    let b = Peer::modern("two").await.tools(&["a", "b"]).caching(20_000, "public");
    let setup = Setup::route(&["page_size: 1"]).globex(&["expose: { main: { exclude: [two__b] } }"]);
    let stage = setup.start(&[&a, &b]).await;
    let pages = async |client: &Client| {
        let (mut all, mut params) = (Vec::new(), json!({}));
        loop {
            let page = client.result("tools/list", params.clone()).await;
            all.push((page["ttlMs"].clone(), page["cacheScope"].clone()));
            match page.get("nextCursor") {
                Some(cursor) => params["cursor"] = cursor.clone(),
                None => return all,
            }
        }
    };
    let said = |ttl: u64, scope: &str| (json!(ttl), json!(scope));
    assert_eq!(pages(&stage.modern()).await, vec![said(20_000, "public"); 4]);
    let filtered = Client::modern(&stage, "/mcp", json!({"org_id": "globex"}));
    assert_eq!(pages(&filtered).await, vec![said(20_000, "private"); 3], "what is filtered is not for all");
    // One upstream for which it is private, or that cannot say, makes it so for the whole list.
    let (c, d) = (Peer::modern("three").await.tools(&["c"]), Peer::legacy("old").await.tools(&["d"]));
    for other in [&c, &d] {
        let stage = Setup::route(&["page_size: 1"]).start(&[&a, other]).await;
        let all = pages(&stage.modern()).await;
        assert_eq!(all, vec![said(40_000, "private"); 3], "{}", other.id);
        let legacy = stage.legacy().await.result("tools/list", json!({})).await;
        assert!(legacy.get("ttlMs").is_none() && legacy.get("cacheScope").is_none(), "{legacy}");
    }
}

#[tokio::test]
async fn a_list_is_read_again_when_it_is_too_old_or_has_changed() {
    let new = Peer::modern("new").await.tools(&["a"]).silent().caching(1000, "private");
    let old = Peer::legacy("old").await.tools(&["a"]);
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    assert_eq!(clients[0].tools().await, ["new__a", "old__a"]);
    new.set("tools/list", vec![tool("b")]);
    old.set("tools/list", vec![tool("b")]);
    eventually("too old", async || (clients[0].tools().await == ["new__b", "old__a"]).then_some(())).await;
    eventually("it listens", async || (old.listeners() == 1).then_some(())).await;
    assert_eq!(old.count("tools/list"), 1, "it would have told");
    old.changed("tools");
    for client in &clients {
        eventually("changed", async || (client.tools().await == ["new__b", "old__b"]).then_some(())).await;
        assert_eq!(client.call("old__b", json!({})).await, "old b {}");
        assert_eq!(client.call_fault("old__a").await, (200, json!(-32602)));
    }
}

#[tokio::test]
async fn nobody_is_given_a_list_that_has_been_too_old_for_long() {
    let new = Peer::modern("new").await.tools(&["a"]).silent().caching(1000, "private");
    let old = Peer::legacy("old").await.tools(&["a"]).silent();
    let stage = Setup::default().catalogue(", ttl: 1s").start(&[&new, &old]).await;
    let clients = stage.both().await;
    assert_eq!(clients[0].tools().await, ["new__a", "old__a"]);
    // Nobody asks for a while, so nobody reads it.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let read = new.count("tools/list");
    new.set("tools/list", vec![tool("b")]);
    old.set("tools/list", vec![tool("b")]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(new.count("tools/list"), read, "what nobody wants is not read");
    assert_eq!(clients[1].tools().await, ["new__b", "old__b"], "the first to ask gets what is true now");
}

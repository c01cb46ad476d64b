//! How a client of 2025-11-25 or earlier is asked.

use super::client::{Client, forms, link, pages, text};
use super::consents::Consents;
use super::peer::Peer;
use super::stage::{Setup, eventually};
use narthex_testkit::mcp;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_client_that_opens_pages_is_told_which_and_when_that_is_done() {
    let consents = Consents::start().await;
    for (number, modern) in [true, false].into_iter().enumerate() {
        let gh =
            if modern { Peer::modern("gh", &consents).await } else { Peer::legacy("gh", &consents).await };
        let docs = Peer::open("docs").await;
        for (prefix, peers) in [("", vec![&gh]), ("gh__", vec![&gh, &docs])] {
            let stage = Setup::default().start(&consents, &peers).await;
            let sub = format!("alice{number}{}", prefix.len());
            let client = Client::legacy(&stage, &sub, "2025-11-25", pages()).await;
            let mut stream = client.listen().await;
            let asked = client.call(&format!("{prefix}echo")).await;
            let error = asked.rpc()["error"].clone();
            assert_eq!((asked.status, &error["code"]), (200, &json!(-32042)), "{}", asked.text());
            let elicitation = &error["data"]["elicitations"][0];
            assert_eq!(elicitation["mode"], "url");
            let message = elicitation["message"].as_str().unwrap();
            assert!(message.contains("localhost:8080") && message.contains("The gh"), "{message}");
            let id = elicitation["elicitationId"].as_str().unwrap();
            let url = elicitation["url"].as_str().unwrap();
            assert!(!url.contains(id), "the id does not give the link away");
            // Asked again, it is the same link, and is told of once.
            let again = client.call(&format!("{prefix}connect")).await;
            assert_eq!(again.rpc()["error"]["data"]["elicitations"][0]["elicitationId"], id);
            stage.connect(&consents, &sub, url).await;
            let told = stream.hears("notifications/elicitation/complete").await;
            assert_eq!(told["params"]["elicitationId"], id);
            assert_eq!(client.said(&format!("{prefix}echo")).await, format!("echo for {sub} of read"));
            let more = stream.within(Duration::from_millis(200)).await;
            assert!(
                more.iter().all(|event| event["method"] != "notifications/elicitation/complete"),
                "{more:?}"
            );
            let said = client.said(&format!("{prefix}connect")).await;
            assert!(said.contains("is connected"), "there is nothing left to do: {said}");
            let labels = r#"how="url_elicitation_required",route="main",upstream="gh""#;
            stage.counts(&format!("narthex_consent_asked_total{{{labels}}} 2"));
        }
    }
}

#[tokio::test]
async fn all_others_get_the_link_in_words() {
    let consents = Consents::start().await;
    let (gh, docs) = (Peer::legacy("gh", &consents).await, Peer::open("docs").await);
    for (prefix, peers) in [("", vec![&gh]), ("gh__", vec![&gh, &docs])] {
        let stage = Setup::default().start(&consents, &peers).await;
        for (revision, capabilities) in [
            ("2025-11-25", json!({})),
            ("2025-11-25", forms()),
            ("2025-11-25", json!({"elicitation": {}})),
            // It has not been invented yet, whatever a client declares.
            ("2025-06-18", pages()),
            ("2025-06-18", json!({"elicitation": {}})),
            ("2025-03-26", pages()),
            ("2025-03-26", json!({})),
        ] {
            let client = Client::legacy(&stage, "alice", revision, capabilities).await;
            let answer = client.call(&format!("{prefix}echo")).await;
            assert_eq!(answer.status, 200, "{revision}");
            assert!(link(&text(&answer)).starts_with("http://localhost:8080/connect/"), "{revision}");
            assert_eq!(answer.rpc()["result"]["isError"], true, "{revision}");
            let answer = client.call(&format!("{prefix}connect")).await;
            assert!(link(&text(&answer)).starts_with("http://localhost:8080/connect/"), "{revision}");
            assert_eq!(answer.rpc()["result"]["isError"], false, "{revision}");
            for (method, params) in [
                ("prompts/get", json!({"name": format!("{prefix}hello")})),
                ("resources/read", json!({"uri": "note://gh"})),
            ] {
                let answer = client.ask(method, params).await;
                let error = answer.rpc()["error"].clone();
                assert_eq!((answer.status, &error["code"]), (200, &json!(-32603)), "{}", answer.text());
                assert_eq!(error["data"]["url"], link(error["message"].as_str().unwrap()));
            }
        }
    }
}

#[tokio::test]
async fn a_batch_asks_for_what_is_missing_and_does_the_rest() {
    let consents = Consents::start().await;
    let (gh, docs) = (Peer::modern("gh", &consents).await, Peer::open("docs").await);
    let stage = Setup::default().start(&consents, &[&gh, &docs]).await;
    let client = Client::legacy(&stage, "alice", "2025-03-26", json!({})).await;
    let (session, _) = client.session.clone().unwrap();
    let of = |id: u64, name: &str| mcp::request(id, "tools/call", json!({"name": name, "arguments": {}}));
    let body = format!("[{},{}]", of(1, "gh__echo"), of(2, "docs__echo"));
    let bytes = mcp::post("/mcp", Some(&client.token), &[("Mcp-Session-Id", &session)], &body);
    let answer = mcp::exchange(stage.address, &bytes).await.unwrap();
    let all = answer.json();
    assert!(all[0]["result"]["content"][0]["text"].as_str().unwrap().contains("/connect/"), "{all}");
    assert_eq!(all[1]["result"]["content"][0]["text"], "echo for anybody of ", "{all}");
}

#[tokio::test]
async fn a_user_consents_to_more_when_the_upstream_wants_more() {
    let consents = Consents::start().await;
    for modern in [true, false] {
        let gh =
            if modern { Peer::modern("gh", &consents).await } else { Peer::legacy("gh", &consents).await };
        let stage = Setup::default().start(&consents, &[&gh]).await;
        let client = Client::legacy(&stage, "alice", "2025-11-25", pages()).await;
        let mut stream = client.listen().await;
        let asked = async |name: &str| {
            let answer = client.call(name).await;
            assert!(!answer.text().contains("challenge-canary"));
            let error = answer.rpc()["error"].clone();
            assert_eq!(error["code"], -32042, "{}", answer.text());
            error["data"]["elicitations"][0].clone()
        };
        let first = asked("connect").await;
        stage.connect(&consents, "alice", first["url"].as_str().unwrap()).await;
        stream.hears("notifications/elicitation/complete").await;
        eventually("its tools", async || (client.tools().await.len() == 3).then_some(())).await;
        let more = asked("needs_write").await;
        assert_ne!(more["url"], first["url"]);
        stage.connect(&consents, "alice", more["url"].as_str().unwrap()).await;
        let told = stream.hears("notifications/elicitation/complete").await;
        assert_eq!(told["params"]["elicitationId"], more["elicitationId"]);
        assert_eq!(client.said("needs_write").await, "needs_write for alice of read write");
    }
}

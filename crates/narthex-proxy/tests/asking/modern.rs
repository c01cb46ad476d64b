//! How a client of 2026-07-28 is asked.

use super::client::{Client, call, forms, link, pages, question, retry, text};
use super::consents::Consents;
use super::peer::Peer;
use super::stage::{Setup, Stage, eventually};
use serde_json::json;
use std::time::Duration;

/// Every kind of route, with the name that the upstream's `echo` has there and that of the tool to connect it.
async fn stages(consents: &Consents) -> Vec<(Stage, Vec<Peer>, String, String)> {
    let mut all = Vec::new();
    for modern in [true, false] {
        for merged in [false, true] {
            let peer = async || match modern {
                true => Peer::modern("gh", consents).await,
                false => Peer::legacy("gh", consents).await,
            };
            let mut peers = vec![peer().await];
            if merged {
                peers.push(Peer::open("docs").await);
            }
            let stage = Setup::default().start(consents, &peers.iter().collect::<Vec<_>>()).await;
            let prefix = if merged { "gh__" } else { "" };
            all.push((stage, peers, format!("{prefix}echo"), format!("{prefix}connect")));
        }
    }
    all
}

#[tokio::test]
async fn a_call_goes_on_once_its_user_has_connected_what_it_is_for() {
    let consents = Consents::start().await;
    for (number, (stage, peers, echo, _)) in stages(&consents).await.into_iter().enumerate() {
        let client = Client::modern(&stage, "alice", pages());
        let asked = client.call(&echo).await;
        let question = question(&asked);
        assert_eq!((asked.status, &question["mode"]), (200, &json!("url")), "{number}");
        let message = question["message"].as_str().unwrap();
        assert!(message.contains("localhost:8080") && message.contains("The gh"), "{message}");
        let url = question["url"].as_str().unwrap();
        assert!(url.starts_with("http://localhost:8080/connect/"), "{url}");
        assert_eq!(peers[0].count("tools/call"), 0, "{number}: nothing was done");
        stage.connect(&consents, "alice", url).await;
        let done = client.ask("tools/call", retry(call(&echo), &asked, "accept")).await;
        assert_eq!(text(&done), "echo for alice of read", "{number}");
        assert_eq!(client.said(&echo).await, "echo for alice of read", "{number}: and nobody is asked again");
        assert_eq!(peers[0].count("tools/call"), 2, "{number}");
        let labels = r#"how="input_required",route="main",upstream="gh""#;
        stage.counts(&format!("narthex_consent_asked_total{{{labels}}} 1"));
        let line = stage.log().lines().find(|line| line.contains("consent_required")).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("{}", stage.log()));
        assert!(line.contains(r#""decision":"deny""#), "{line}");
    }
}

#[tokio::test]
async fn whoever_comes_back_too_soon_waits_for_the_user() {
    let consents = Consents::start().await;
    for (stage, _peers, echo, connect) in stages(&consents).await {
        let client = Client::modern(&stage, "alice", pages());
        for name in [&echo, &connect] {
            let sub = format!("{name}-{}", stage.address.port());
            let client = Client { token: stage.token("/mcp", &sub), ..client.clone() };
            let asked = client.call(name).await;
            let url = question(&asked)["url"].as_str().unwrap().to_owned();
            let waiting = {
                let (client, params) = (client.clone(), retry(call(name), &asked, "accept"));
                tokio::spawn(async move { client.ask("tools/call", params).await })
            };
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(!waiting.is_finished(), "the page is open, and nothing more");
            stage.connect(&consents, &sub, &url).await;
            let answer = waiting.await.unwrap();
            let said =
                if *name == echo { format!("echo for {sub} of read") } else { "is connected".to_owned() };
            assert!(text(&answer).contains(&said), "{}", answer.text());
            assert_eq!(answer.rpc()["result"]["isError"], false);
        }
    }
}

#[tokio::test]
async fn a_user_who_does_nothing_is_asked_a_few_times_and_then_told_the_link() {
    let consents = Consents::start().await;
    let gh = Peer::modern("gh", &consents).await;
    let stage = Setup { patience: "1s", ..Setup::default() }.start(&consents, &[&gh]).await;
    let client = Client::modern(&stage, "alice", pages());
    let mut answer = client.call("echo").await;
    let url = question(&answer)["url"].clone();
    for _ in 1..4 {
        answer = client.ask("tools/call", retry(call("echo"), &answer, "accept")).await;
        assert_eq!(question(&answer)["url"], url, "one link is enough");
    }
    // One that does not say what became of the question does not wait either.
    let mut silent = retry(call("echo"), &answer, "accept");
    silent.as_object_mut().unwrap().remove("inputResponses");
    answer = client.ask("tools/call", silent).await;
    assert_eq!(link(&text(&answer)), url.as_str().unwrap());
    assert_eq!(answer.rpc()["result"]["isError"], true);
}

#[tokio::test]
async fn a_user_who_does_not_want_to_is_not_asked_again() {
    let consents = Consents::start().await;
    for (stage, peers, echo, connect) in stages(&consents).await {
        let client = Client::modern(&stage, "alice", pages());
        for (name, action) in [(&echo, "decline"), (&echo, "cancel"), (&connect, "decline")] {
            let asked = client.call(name).await;
            question(&asked);
            let answer = client.ask("tools/call", retry(call(name), &asked, action)).await;
            assert!(text(&answer).contains("has not connected"), "{}", answer.text());
            assert_eq!(answer.rpc()["result"]["isError"], true);
            assert_eq!(answer.rpc()["result"]["resultType"], "complete");
        }
        assert_eq!(peers[0].count("tools/call"), 0);
        assert!(stage.log().contains("consent_declined"));
    }
}

#[tokio::test]
async fn a_client_that_cannot_open_pages_gets_the_link_in_words() {
    let consents = Consents::start().await;
    for (stage, _peers, echo, connect) in stages(&consents).await {
        for capabilities in [json!({}), forms(), json!({"elicitation": {}})] {
            let client = Client::modern(&stage, "alice", capabilities);
            let answer = client.call(&echo).await;
            assert!(link(&text(&answer)).starts_with("http://localhost:8080/connect/"));
            assert_eq!(answer.rpc()["result"]["isError"], true);
            // It is what that tool is for.
            let answer = client.call(&connect).await;
            assert!(link(&text(&answer)).starts_with("http://localhost:8080/connect/"));
            assert_eq!(answer.rpc()["result"]["isError"], false);
        }
        let labels = r#"how="tool_result",route="main",upstream="gh""#;
        stage.counts(&format!("narthex_consent_asked_total{{{labels}}} 6"));
    }
}

#[tokio::test]
async fn prompts_and_resources_ask_too() {
    let consents = Consents::start().await;
    for (number, (stage, _peers, echo, _)) in stages(&consents).await.into_iter().enumerate() {
        let prompt = json!({"name": echo.replace("echo", "hello")});
        let resource = json!({"uri": "note://gh"});
        let plain = Client::modern(&stage, "alice", json!({}));
        for (method, params) in [("prompts/get", &prompt), ("resources/read", &resource)] {
            let answer = plain.ask(method, params.clone()).await;
            let error = answer.rpc()["error"].clone();
            assert_eq!((answer.status, &error["code"]), (200, &json!(-32603)), "{number}: {}", answer.text());
            let message = error["message"].as_str().unwrap();
            assert_eq!(error["data"]["url"], link(message), "{number}");
        }
        let client = Client::modern(&stage, "alice", pages());
        let asked = client.ask("prompts/get", prompt.clone()).await;
        let resource_asked = client.ask("resources/read", resource.clone()).await;
        stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
        let answer = client.ask("prompts/get", retry(prompt, &asked, "accept")).await;
        assert_eq!(answer.rpc()["result"]["messages"][0]["content"]["text"], "hello alice", "{number}");
        let answer = client.ask("resources/read", retry(resource, &resource_asked, "accept")).await;
        assert_eq!(
            answer.rpc()["result"]["contents"][0]["text"],
            "note of alice",
            "{number}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_user_consents_to_more_when_the_upstream_wants_more() {
    let consents = Consents::start().await;
    for (number, (stage, peers, echo, connect)) in stages(&consents).await.into_iter().enumerate() {
        let client = Client::modern(&stage, "alice", pages());
        let asked = client.call(&connect).await;
        stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
        let connected = client.ask("tools/call", retry(call(&connect), &asked, "accept")).await;
        assert!(text(&connected).contains("is connected"), "{number}: {}", connected.text());
        let write = echo.replace("echo", "needs_write");
        let asked = client.call(&write).await;
        let url = question(&asked)["url"].as_str().unwrap().to_owned();
        assert!(!asked.text().contains("challenge-canary"), "{number}");
        let waiting = {
            let (client, params) = (client.clone(), retry(call(&write), &asked, "accept"));
            tokio::spawn(async move { client.ask("tools/call", params).await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.connect(&consents, "alice", &url).await;
        let answer = waiting.await.unwrap();
        assert_eq!(text(&answer), "needs_write for alice of read write", "{number}: what was held is held");
        assert_eq!(peers[0].count("tools/call"), 3, "{number}: refused twice, done once");
    }
}

#[tokio::test]
async fn a_user_is_not_asked_again_for_what_was_just_not_granted() {
    let consents = Consents::start().await;
    consents.grant_little();
    for (number, (stage, _peers, echo, connect)) in stages(&consents).await.into_iter().enumerate() {
        let client = Client::modern(&stage, "alice", pages());
        let url = question(&client.call(&connect).await)["url"].as_str().unwrap().to_owned();
        stage.connect(&consents, "alice", &url).await;
        assert_eq!(client.said(&echo).await, "echo for alice of read");
        let write = echo.replace("echo", "needs_write");
        let asked = client.call(&write).await;
        stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
        let answer = client.ask("tools/call", retry(call(&write), &asked, "accept")).await;
        assert!(text(&answer).contains("has not granted"), "{number}: {}", answer.text());
        assert_eq!(answer.rpc()["result"]["isError"], true, "{number}");
        for revision in ["2025-11-25", "2025-06-18"] {
            let older = Client::legacy(&stage, "alice", revision, pages()).await;
            let answer = older.call(&write).await;
            assert!(text(&answer).contains("has not granted"), "{number}: {}", answer.text());
        }
        assert_eq!(client.said(&echo).await, "echo for alice of read", "{number}: what is held is held");
        assert!(stage.log().contains("scope_not_granted"));
    }
}

#[tokio::test]
async fn a_token_is_refreshed_once_and_its_user_asked_when_that_fails() {
    let consents = Consents::start().await;
    for (number, (stage, peers, echo, _)) in stages(&consents).await.into_iter().enumerate() {
        let sub = format!("alice-{number}");
        let client = Client::modern(&stage, &sub, pages());
        let asked = client.call(&echo).await;
        stage.connect(&consents, &sub, question(&asked)["url"].as_str().unwrap()).await;
        assert_eq!(client.said(&echo).await, format!("echo for {sub} of read"));
        consents.expire();
        let (calls, before) = (peers[0].count("tools/call"), consents.calls());
        assert_eq!(client.said(&echo).await, format!("echo for {sub} of read"), "{number}");
        assert!(consents.calls() > before, "{number}: it was refreshed");
        assert_eq!(peers[0].count("tools/call"), calls + 2, "{number}: refused once, done once");
        // A token that was refreshed is not refreshed again at once.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        consents.forget();
        let asked = client.call(&echo).await;
        let url = question(&asked)["url"].as_str().unwrap().to_owned();
        assert!(!asked.text().contains("challenge-canary"), "{number}");
        eventually("the tool to connect it is back", async || {
            client.tools().await.contains(&echo.replace("echo", "connect")).then_some(())
        })
        .await;
        stage.connect(&consents, &sub, &url).await;
        let answer = client.ask("tools/call", retry(call(&echo), &asked, "accept")).await;
        assert_eq!(text(&answer), format!("echo for {sub} of read"), "{number}");
        if number == 1 {
            return;
        }
    }
}

#[tokio::test]
async fn what_a_server_had_asked_before_is_not_lost() {
    let consents = Consents::start().await;
    let gh = Peer::modern("gh", &consents).await;
    let stage = Setup::default().start(&consents, &[&gh]).await;
    let client = Client::modern(&stage, "alice", pages());
    let asked = client.call("echo").await;
    stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
    assert_eq!(client.said("echo").await, "echo for alice of read");
    // The server asks something of its own, and the connection ends before that is answered.
    gh.ask_next(
        json!({"size": {"method": "elicitation/create", "params": {"mode": "form", "message": "Size?",
        "requestedSchema": {"type": "object", "properties": {}}}}}),
        "state-canary",
    );
    let first = client.call("echo").await;
    assert!(first.rpc()["result"]["inputRequests"]["size"].is_object(), "{}", first.text());
    stage.disconnect("alice", "gh").await;
    let mut params = call("echo");
    params["requestState"] = first.rpc()["result"]["requestState"].clone();
    params["inputResponses"] = json!({"size": {"action": "accept", "content": {"size": 7}}});
    let asked = client.ask("tools/call", params).await;
    assert!(!asked.text().contains("state-canary"), "the state is sealed");
    stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
    let done = client.ask("tools/call", retry(call("echo"), &asked, "accept")).await;
    assert_eq!(text(&done), "echo for alice of read", "{}", done.text());
    let last = gh.upstream.requests_for("tools/call").pop().unwrap().json();
    assert_eq!(last["params"]["requestState"], "state-canary");
    assert_eq!(last["params"]["inputResponses"]["size"]["content"]["size"], 7);
    assert!(last["params"]["inputResponses"].get("connect").is_none());
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_is_forgotten() {
    let consents = Consents::start().await;
    let gh = Peer::modern("gh", &consents).await;
    let stage = Setup::default().start(&consents, &[&gh]).await;
    let client = Client::modern(&stage, "alice", pages());
    let asked = client.call("echo").await;
    let mut wire = narthex_testkit::RawClient::connect(stage.address).await.unwrap();
    wire.send(client.bytes("tools/call", retry(call("echo"), &asked, "accept"))).await.unwrap();
    eventually("it waits", async || (stage.gateway.in_flight() == 1).then_some(())).await;
    drop(wire);
    eventually("nobody waits", async || (stage.gateway.in_flight() == 0).then_some(())).await;
    stage.connect(&consents, "alice", question(&asked)["url"].as_str().unwrap()).await;
    assert_eq!(gh.count("tools/call"), 0, "it is not called for nobody");
}

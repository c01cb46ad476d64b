//! What an upstream asks a client in the middle of a call, across eras, and who may answer.

use super::client::{Client, Coming, everything, fault, whole};
use super::peer::Peer;
use super::stage::{Setup, Stage};
use narthex_testkit::{Answer, RawResponse, SseFeed, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn form(message: &str) -> Value {
    json!({"mode": "form", "message": message, "requestedSchema": {"type": "object", "properties": {}}})
}

fn accept() -> Value {
    json!({"action": "accept", "content": {"sure": true}})
}

/// A modern upstream whose tool asks `rounds` times, and then says what it was told.
async fn asking(id: &'static str, rounds: usize) -> Peer {
    let peer = Peer::modern(id).await.tools(&["ask", "other"]).prompts(&["ask"]);
    for method in ["tools/call", "prompts/get"] {
        peer.rule(method, move |request| {
            let params = request.json()["params"].clone();
            let round: usize = params["requestState"]
                .as_str()
                .map_or(0, |state| state.strip_prefix("state-canary-").expect("its own state").parse().unwrap());
            if round < rounds {
                let ask = json!({"q": {"method": "elicitation/create", "params": form(&format!("round {round}?"))}});
                return Answer::input_required(request, ask, json!(format!("state-canary-{}", round + 1)));
            }
            let text = format!("{} heard {}", params["name"], params["inputResponses"]["q"]["action"]);
            Answer::complete(request, json!({"content": [{"type": "text", "text": text}]}))
        });
    }
    peer
}

/// A legacy upstream whose tool asks once on its stream; the answer's action is the result.
async fn asking_in_session(id: &'static str) -> Peer {
    let peer = Peer::legacy(id).await.tools(&["ask", "other"]);
    let waiting: Arc<Mutex<Option<(Value, SseFeed)>>> = Arc::default();
    let begun = Arc::clone(&waiting);
    peer.rule("tools/call", move |request| {
        let (answer, feed) = Answer::sse();
        feed.event(mcp::notification(
            "notifications/message",
            json!({"level": "warning", "logger": "db", "data": "slow"}),
        ));
        feed.event(mcp::request("ask-1", "elicitation/create", form("sure?")));
        *begun.lock().unwrap() = Some((request.json()["id"].clone(), feed));
        answer
    });
    peer.heard(move |request: &UpstreamRequest| {
        let message = request.json();
        if message["id"] == "ask-1"
            && let Some((id, feed)) = waiting.lock().unwrap().take()
        {
            let text = format!("heard {}", message["result"]["action"]);
            let result = json!({"content": [{"type": "text", "text": text}]});
            feed.event(json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
        }
    });
    peer
}

fn call(name: &str) -> Value {
    json!({"name": name, "arguments": {"n": 1}})
}

fn retry(name: &str, asked: &RawResponse) -> Value {
    let result = &asked.rpc()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", whole(asked));
    let keys = result["inputRequests"].as_object().expect("questions").keys();
    let responses: serde_json::Map<_, _> = keys.map(|key| (key.clone(), accept())).collect();
    let mut params = call(name);
    params["requestState"] = result["requestState"].clone();
    params["inputResponses"] = responses.into();
    params
}

fn question(asked: &RawResponse) -> String {
    let requests = asked.rpc()["result"]["inputRequests"].clone();
    let (_, ask) = requests.as_object().and_then(|all| all.iter().next()).expect("a question");
    ask["params"]["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn a_modern_client_is_asked_in_rounds_by_a_modern_upstream() {
    let (new, twin) = (asking("new", 3).await, asking("twin", 1).await);
    let stage = Stage::start(&[&new, &twin]).await;
    let client = stage.modern();
    let mut answer = client.ask("tools/call", call("new__ask")).await;
    for round in 0..3 {
        assert_eq!(question(&answer), format!("[new] round {round}?"));
        let state = answer.rpc()["result"]["requestState"].as_str().unwrap().to_owned();
        assert!(!state.contains("canary"), "the state is sealed: {state}");
        answer = client.ask("tools/call", retry("new__ask", &answer)).await;
    }
    assert_eq!(answer.tool_text().as_deref(), Some(r#""ask" heard "accept""#), "{}", whole(&answer));
}

#[tokio::test]
async fn a_state_is_good_for_its_caller_route_and_tool_only() {
    let (new, twin) = (asking("new", 1).await, asking("twin", 1).await);
    let old = asking_in_session("old").await;
    let stage = Setup::default().start(&[&new, &twin, &old]).await;
    let client = stage.modern();
    for name in ["new__ask", "old__ask"] {
        let asked = client.ask("tools/call", call(name)).await;
        let good = retry(name, &asked);
        let with = |member: &str, value: &str| {
            let mut params = good.clone();
            params[member] = value.into();
            params
        };
        let state = good["requestState"].as_str().unwrap();
        let mut flipped = state.to_owned().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let heard = [new.count("tools/call"), twin.count("tools/call"), old.count("tools/call")];
        let of = |path: &str, claims: Value| Client::modern(&stage, path, claims);
        for (what, client, params) in [
            ("another subject", of("/mcp", json!({"sub": "bob"})), good.clone()),
            ("another tenant", of("/mcp", json!({"org_id": "globex"})), good.clone()),
            ("another route", of("/other", json!({})), good.clone()),
            ("another upstream's tool", client.clone(), with("name", "twin__ask")),
            ("another tool", client.clone(), with("name", &name.replace("ask", "other"))),
            ("tampered", client.clone(), with("requestState", std::str::from_utf8(&flipped).unwrap())),
            ("cut", client.clone(), with("requestState", &state[1..])),
            ("an upstream's own", client.clone(), with("requestState", "state-canary-1")),
            ("what may be within", client.clone(), with("requestState", "narthex:of:new\nstate-canary-1")),
        ] {
            let answer = client.ask("tools/call", params).await;
            assert_eq!(fault(&answer), (400, json!(-32602)), "{name}: {what}: {}", whole(&answer));
        }
        assert_eq!(
            heard,
            [new.count("tools/call"), twin.count("tools/call"), old.count("tools/call")],
            "{name}"
        );
        let answer = client.ask("tools/call", good).await;
        assert!(answer.tool_text().unwrap_or_default().contains("accept"), "{name}: {}", whole(&answer));
    }
}

#[tokio::test]
async fn a_modern_client_is_asked_by_an_older_upstream() {
    let (new, old) = (asking("new", 1).await, asking_in_session("old").await);
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.modern();
    let mut params = call("old__ask");
    params["_meta"]["io.modelcontextprotocol/logLevel"] = "info".into();
    let asked = client.ask("tools/call", params).await;
    let log = asked
        .events()
        .iter()
        .map(narthex_testkit::SseEvent::json)
        .find(|m| m["method"] == "notifications/message");
    assert_eq!(log.expect("a log message")["params"]["logger"], "old/db");
    assert_eq!(question(&asked), "[old] sure?");
    let answer = client.ask("tools/call", retry("old__ask", &asked)).await;
    assert_eq!(answer.tool_text().as_deref(), Some(r#"heard "accept""#), "{}", whole(&answer));
}

async fn answered(client: &Client, mut stream: Coming, messages: &[&str]) -> Value {
    stream.stream().await;
    for message in messages {
        let asked = loop {
            let event = stream.event().await;
            if event["method"] == "elicitation/create" {
                break event;
            }
            assert_eq!(event["params"]["logger"], "old/db", "{event}");
        };
        assert_eq!(asked["params"]["message"], *message);
        let reply = json!({"jsonrpc": "2.0", "id": asked["id"], "result": accept()}).to_string();
        assert_eq!(client.post(&reply).await.status, 202);
    }
    stream.response().await
}

#[tokio::test]
async fn an_older_client_is_asked_by_upstreams_of_both_eras() {
    let (new, old) = (asking("new", 2).await, asking_in_session("old").await);
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.legacy().await;
    let stream = client.send("tools/call", call("new__ask")).await;
    let answer = answered(&client, stream, &["[new] round 0?", "[new] round 1?"]).await;
    assert_eq!(answer["result"]["content"][0]["text"], r#""ask" heard "accept""#, "{answer}");
    let stream = client.send("tools/call", call("old__ask")).await;
    let answer = answered(&client, stream, &["[old] sure?"]).await;
    assert_eq!(answer["result"]["content"][0]["text"], r#"heard "accept""#, "{answer}");
}

#[tokio::test]
async fn what_a_client_does_not_offer_it_is_not_asked_for() {
    let (new, old) = (asking("new", 1).await, asking_in_session("old").await);
    let stage = Stage::start(&[&new, &old]).await;
    let mut unable = everything();
    unable.as_object_mut().unwrap().remove("elicitation");
    let client = stage.modern().able(unable);
    let answer = client.ask("tools/call", call("new__ask")).await;
    assert_eq!(answer.rpc()["error"]["code"], -32603, "{}", whole(&answer));
}

#[tokio::test]
async fn prompts_may_ask_too() {
    let (new, twin) = (asking("new", 1).await, asking("twin", 1).await);
    let stage = Stage::start(&[&new, &twin]).await;
    let client = stage.modern();
    let asked = client.ask("prompts/get", json!({"name": "new__ask"})).await;
    assert_eq!(question(&asked), "[new] round 0?");
    let good = retry("new__ask", &asked);
    let mut other = good.clone();
    other["name"] = "twin__ask".into();
    assert_eq!(client.fault("prompts/get", other).await, (400, json!(-32602)));
    assert_eq!(client.fault("tools/call", good.clone()).await, (400, json!(-32602)), "a tool is no prompt");
    assert_eq!(client.ask("prompts/get", good).await.status, 200);
}

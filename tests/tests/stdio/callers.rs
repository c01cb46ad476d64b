//! One child for all callers, or one for each.

use super::stage::{PER_CALLER, Setup, Stage, lives, until};
use narthex_testkit::mcp;
use serde_json::json;
use std::collections::HashSet;

#[tokio::test]
async fn a_child_is_a_server_for_clients_of_both_eras() {
    let stage = Stage::start(Setup { arguments: ", banner", ..Setup::default() }).await;
    let alice = stage.alice();
    let discovered = alice.ask("server/discover", json!({})).await.rpc();
    assert!(discovered["result"]["capabilities"]["tools"].is_object(), "{discovered}");
    // Nothing says whose they would be.
    assert!(discovered["result"]["capabilities"]["logging"].is_null(), "{discovered}");
    let listed = alice.ask("tools/list", json!({})).await.rpc();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(alice.text("echo", json!({"text": "Zo\u{eb}"})).await, "Zo\u{eb}");
    let refused = alice.call("nothing", json!({})).await.rpc();
    assert_eq!(refused["error"]["code"], -32602, "{refused}");

    let address = stage.gateway.address();
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let session = mcp::open_session(address, "/mcp", Some(&alice.token), revision).await.unwrap();
        let mut headers = vec![("Mcp-Session-Id", session.as_str())];
        if revision != "2025-03-26" {
            headers.push(("MCP-Protocol-Version", revision));
        }
        let call =
            mcp::post("/mcp", Some(&alice.token), &headers, &mcp::tools_call("echo", json!({"text": "old"})));
        let answer = mcp::exchange(address, &call).await.unwrap();
        assert_eq!(answer.tool_text().as_deref(), Some("old"), "{revision} {}", answer.text());
    }
    assert_eq!(stage.count("narthex_child_starts_total", "again=\"false\",").await, 1.0);
}

#[tokio::test]
async fn a_shared_child_is_one_process_and_per_caller_children_are_as_many_as_callers() {
    for (upstream, children) in [("", 1), (PER_CALLER, 3)] {
        let stage = Stage::start(Setup { upstream, ..Setup::default() }).await;
        let mut pids = HashSet::new();
        for subject in ["alice", "bob", "alice", "carol", "bob"] {
            pids.insert(stage.client(subject).pid().await);
        }
        assert_eq!(pids.len(), children, "{upstream}");
    }
}

#[tokio::test]
async fn two_thousand_calls_at_once_over_one_child_each_get_their_own_answer() {
    const CALLS: usize = 2000;
    let stage = Stage::start(Setup { upstream: "    timeout: 60s\n", ..Setup::default() }).await;
    let clients = ["alice", "bob"].map(|subject| stage.client(subject));
    clients[0].pid().await;
    // The child answers none of them before it has all, and then the last one first.
    let calls = (0..CALLS).map(|n| {
        let client = clients[n % 2].clone();
        tokio::spawn(async move {
            let text = format!("call {n} of {}", n % 2);
            (client.text("hold", json!({"text": text, "count": CALLS})).await, text)
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (answered, sent) = call.await.unwrap();
        assert_eq!(answered, sent);
    }
    assert_eq!(stage.count("narthex_child_starts_total", "again=\"false\",").await, 1.0);
}

#[tokio::test]
async fn callers_of_a_shared_child_never_hear_what_is_meant_for_another() {
    let heard = tempfile::NamedTempFile::new().unwrap();
    let upstream = format!("    env: {{ HEARD: {} }}\n", heard.path().display());
    let stage = Stage::start(Setup { upstream: &upstream, ..Setup::default() }).await;
    let (alice, bob) = (stage.alice(), stage.client("bob"));
    let waiting = {
        let (bob, params) = (
            bob.clone(),
            json!({"name": "hold", "arguments": {"text": "bob's", "count": 2},
            "_meta": {"progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"}}),
        );
        tokio::spawn(async move { bob.ask("tools/call", params).await })
    };
    let held = async || std::fs::read_to_string(heard.path()).unwrap().contains("bob's");
    until("bob's call is held", held).await;
    let params = json!({"name": "chatter", "arguments": {"secret": "alice-canary"},
        "_meta": {"progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug"}});
    let answer = alice.ask("tools/call", params).await;
    assert_eq!(answer.rpc()["result"]["content"][0]["text"], "True", "{}", answer.text());
    // Her progress is hers; whose a message of the log is, nothing says.
    assert!(answer.text().contains("notifications/progress"), "{}", answer.text());
    assert!(!answer.text().contains("notifications/message"), "{}", answer.text());
    assert!(!answer.text().contains("inputRequests"), "she is asked nothing: {}", answer.text());
    alice.text("hold", json!({"text": "hers", "count": 2})).await;
    let heard = waiting.await.unwrap();
    assert_eq!(heard.tool_text().as_deref(), Some("bob's"));
    assert!(!heard.text().contains("alice-canary"), "{}", heard.text());
    assert!(!stage.gateway.output().contains("alice-canary"), "{}", stage.gateway.output());
}

#[tokio::test]
async fn a_message_cannot_be_hidden_in_the_white_space_of_another() {
    let heard = tempfile::NamedTempFile::new().unwrap();
    let upstream = format!("    env: {{ HEARD: {} }}\n", heard.path().display());
    let stage = Stage::start(Setup { upstream: &upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    // Taken for lines, the second would be a request of its own.
    let body =
        mcp::stateless_request(5, "tools/call", json!({"name": "echo", "arguments": {"text": "ARGS"}}));
    let hidden =
        "[\n{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"tools/call\",\"params\":{\"name\":\"die\"}}\r\n]";
    let body = body.replace("\"ARGS\"", hidden);
    let headers = mcp::stateless_headers("tools/call", Some("echo"));
    let bytes = mcp::post("/mcp", Some(&alice.token), &headers, &body);
    let answer = mcp::exchange(stage.gateway.address(), &bytes).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(alice.text("echo", json!({"text": "still here \u{2028}"})).await, "still here \u{2028}");
    let heard = std::fs::read_to_string(heard.path()).unwrap();
    // Its tools are asked for once, to know their schemas.
    assert_eq!(heard.lines().count(), 5, "{heard}");
    assert!(heard.lines().all(|line| line.starts_with("{\"jsonrpc\":\"2.0\",")), "{heard}");
}

#[tokio::test]
async fn a_caller_cannot_have_more_than_a_few_children_and_costs_others_none() {
    let stage = Stage::start(Setup { upstream: PER_CALLER, ..Setup::default() }).await;
    let bobs = stage.client("bob").pid().await;
    let mut pids = Vec::new();
    for n in 0..11 {
        let able = json!({"experimental": {"n": {"v": n}}});
        pids.push(stage.alice().able(able).pid().await);
    }
    let alive = || pids.iter().filter(|pid| lives(**pid)).count();
    until("the ones that were idle the longest have ended", async || alive() == 8).await;
    assert!(pids[3..].iter().all(|pid| lives(*pid)), "the newest stay");
    assert_eq!(stage.client("bob").pid().await, bobs);
}

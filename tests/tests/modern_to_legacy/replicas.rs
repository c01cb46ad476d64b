//! Two gateways that share their keys: what one keeps in memory the other does not have, and says so.

use super::stage::{Client, Setup, Stage, accept, fault, fed, gateway, retry, whole};
use narthex_testkit::{Answer, GatewayProcess};
use serde_json::{Value, json};

const SETUP: Setup = Setup {
    limits: "",
    upstream: "",
    seal_key: Some("0909090909090909090909090909090909090909090909090909090909090909"),
};

/// Two gateways before one server. A token is for the resource of one; each has its own client.
async fn two() -> (Stage, GatewayProcess, Client) {
    let stage = Stage::with(SETUP).await;
    let second = gateway(&stage.idp, &stage.server.upstream().url("/mcp"), SETUP).await;
    let there = Client::new(&second, &stage.idp, "/mcp", json!({}));
    (stage, second, there)
}

fn answered() -> Value {
    json!({"ask-1": accept()})
}

#[tokio::test]
async fn a_call_that_waits_at_one_is_not_lost_by_asking_the_other() {
    let (stage, _second, there) = two().await;
    let alice = stage.alice();
    let (call, state) = alice.suspended(&stage).await;
    let elsewhere = there.ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&elsewhere), (503, json!(-32603)), "{}", whole(&elsewhere));
    assert!(elsewhere.header("retry-after").is_some(), "{}", whole(&elsewhere));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1, "nothing is begun anew");
    let coming = alice.send("tools/call", retry(&state, answered())).await;
    call.text("at the first");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("at the first"));
}

#[tokio::test]
async fn somebody_elses_state_is_refused_at_the_other_as_at_the_first() {
    let (stage, second, _) = two().await;
    let (_call, state) = stage.alice().suspended(&stage).await;
    let bob = Client::new(&second, &stage.idp, "/mcp", json!({"sub": "bob"}));
    let answer = bob.ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&answer), (400, json!(-32602)), "{}", whole(&answer));
}

#[tokio::test]
async fn what_needs_no_memory_works_at_either() {
    let (stage, _second, there) = two().await;
    stage.server.rule(|request| {
        let params = request.json()["params"].clone();
        match request.rpc_method().as_deref() {
            Some("prompts/list") if params["cursor"] == "page-2" => {
                Some(Answer::result(request, json!({"prompts": [{"name": "second"}]})))
            }
            Some("prompts/list") => {
                Some(Answer::result(request, json!({"prompts": [], "nextCursor": "page-2"})))
            }
            Some("tools/call") => {
                let url =
                    json!({"mode": "url", "elicitationId": "1", "message": "m", "url": "https://e.example"});
                let error = json!({"code": -32042, "message": "m", "data": {"elicitations": [url]}});
                Some(Answer::json(200, json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error})))
            }
            _ => None,
        }
    });
    let here = stage.alice();
    let cursor = here.result("prompts/list", json!({})).await["nextCursor"].clone();
    let page = there.result("prompts/list", json!({"cursor": cursor})).await;
    assert_eq!(page["prompts"][0]["name"], "second");
    // A visit of URLs leaves nothing behind at the gateway.
    let visit = super::stage::state(&here.ask("tools/call", fed()).await);
    stage.server.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| Answer::text(request, "visited"))
    });
    let last = there.ask("tools/call", retry(&visit, json!({"visit-1": {"action": "accept"}}))).await;
    assert_eq!(last.tool_text().as_deref(), Some("visited"), "{}", whole(&last));
}

//! URLs that have to be visited before a call can be made at all (-32042 of 2025-11-25).

use super::stage::{Stage, answers, asked, fault, fed, retry, state, whole};
use narthex_testkit::Answer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn needed() -> Value {
    let url = |n: u8| {
        json!({"mode": "url", "elicitationId": format!("id-{n}"), "message": "sign in",
            "url": format!("https://auth.example/{n}")})
    };
    json!({"elicitations": [url(1), url(2)]})
}

/// A server that wants URLs visited until it is told otherwise.
async fn stage(data: Value) -> (Stage, Arc<AtomicBool>) {
    let (stage, visited) = (Stage::start().await, Arc::new(AtomicBool::new(false)));
    let done = Arc::clone(&visited);
    stage.server.rule(move |request| {
        if request.rpc_method().as_deref() != Some("tools/call") || done.load(Ordering::SeqCst) {
            return (request.rpc_method().as_deref() == Some("tools/call"))
                .then(|| Answer::text(request, "welcome"));
        }
        let error = json!({"code": -32042, "message": "sign in first", "data": data});
        Some(Answer::json(200, json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error})))
    });
    (stage, visited)
}

fn calls(stage: &Stage) -> usize {
    stage.server.upstream().requests_for("tools/call").len()
}

#[tokio::test]
async fn the_call_is_made_again_only_after_every_url_was_accepted() {
    let (stage, visited) = stage(needed()).await;
    let alice = stage.alice();
    let first = alice.ask("tools/call", fed()).await;
    let mut urls: Vec<_> = asked(&first).into_iter().map(|(_, ask)| ask["params"]["url"].clone()).collect();
    urls.sort_by_key(Value::to_string);
    assert_eq!(urls, [json!("https://auth.example/1"), json!("https://auth.example/2")]);
    let ask = &asked(&first)[0].1;
    assert_eq!((&ask["method"], &ask["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert!(ask["params"].get("elicitationId").is_none(), "{ask}");
    assert_eq!(calls(&stage), 1);
    let accepted = answers(&first, &json!({"action": "accept"}));
    let mut one_declined = accepted.clone();
    *one_declined.as_object_mut().unwrap().values_mut().next().unwrap() = json!({"action": "decline"});
    for refused in [json!({}), one_declined, answers(&first, &json!({"action": "cancel"}))] {
        let answer = alice.ask("tools/call", retry(&state(&first), refused.clone())).await;
        assert_eq!(fault(&answer), (200, json!(-32603)), "{refused}: {}", whole(&answer));
        assert_eq!(calls(&stage), 1, "{refused}: the call was made");
    }
    let again = alice.ask("tools/call", retry(&state(&first), accepted.clone())).await;
    assert_eq!((asked(&again).len(), calls(&stage)), (2, 2), "not visited after all: asked once more");
    visited.store(true, Ordering::SeqCst);
    let last = alice.ask("tools/call", retry(&state(&again), accepted)).await;
    assert_eq!(last.tool_text().as_deref(), Some("welcome"), "{}", whole(&last));
    assert_eq!(calls(&stage), 3);
}

#[tokio::test]
async fn accepting_one_of_several_urls_is_not_enough() {
    let (stage, _) = stage(needed()).await;
    let first = stage.alice().ask("tools/call", fed()).await;
    let one = json!({asked(&first)[0].0.as_str(): {"action": "accept"}});
    let answer = stage.alice().ask("tools/call", retry(&state(&first), one)).await;
    assert_eq!(calls(&stage), 1, "the call was made: {}", whole(&answer));
}

#[tokio::test]
async fn a_client_that_visits_no_urls_is_told_what_it_lacks() {
    let (stage, _) = stage(needed()).await;
    for capabilities in [json!({}), json!({"elicitation": {"form": {}}})] {
        let answer = stage.alice().able(capabilities).ask("tools/call", fed()).await;
        assert_eq!(fault(&answer), (400, json!(-32021)), "{}", whole(&answer));
        let needs = &answer.rpc()["error"]["data"]["requiredCapabilities"];
        assert_eq!(*needs, json!({"elicitation": {"url": {}}}));
    }
}

#[tokio::test]
async fn an_error_that_names_no_url_is_an_error() {
    for data in
        [json!({}), json!({"elicitations": []}), json!({"elicitations": [{"mode": "form"}]}), json!(7)]
    {
        let (stage, _) = stage(data.clone()).await;
        let answer = stage.alice().ask("tools/call", fed()).await;
        assert_eq!(fault(&answer), (200, json!(-32603)), "{data}: {}", whole(&answer));
    }
}

//! What a server asks in mid-call: the client is asked by a result, and the same call goes on.

use super::stage::{Stage, accept, answers, asked, fault, fed, form, retry, state, whole};
use serde_json::{Value, json};

/// The responses that the server was sent, as `(id, result)`.
fn responses(stage: &Stage) -> Vec<(Value, Value)> {
    let requests = stage.server.upstream().requests();
    let messages = requests.iter().map(narthex_testkit::UpstreamRequest::json);
    let responses = messages.filter(|m| m.get("method").is_none() && m.get("id").is_some());
    responses.map(|m| (m["id"].clone(), m.get("result").unwrap_or_else(|| &m["error"]).clone())).collect()
}

#[tokio::test]
async fn a_question_is_put_to_the_client_and_the_same_call_goes_on_with_its_answer() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let message = json!({"role": "user", "content": {"type": "text", "text": "2+2?"}});
    let sampling = json!({"messages": [message], "maxTokens": 7});
    let sampled = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "4"}});
    let accepted = json!({"action": "accept", "content": {"name": "x", "n": 1.50}});
    let roots = json!({"roots": [{"uri": "file:///r"}]});
    let cases = [
        ("elicitation/create", form(), accepted),
        ("elicitation/create", form(), json!({"action": "decline"})),
        ("sampling/createMessage", sampling, sampled),
        ("roots/list", json!({}), roots),
    ];
    for (n, (method, params, result)) in cases.into_iter().enumerate() {
        let (call, coming) = alice.feed(&stage, fed()).await;
        call.ask(format!("own-{n}"), method, params.clone());
        let first = coming.whole().await;
        assert_eq!(asked(&first)[0].1, json!({"method": method, "params": params}), "{}", whole(&first));
        assert_eq!((asked(&first).len(), responses(&stage).len()), (1, n), "nothing is answered yet");
        let again = retry(&state(&first), answers(&first, &result));
        let coming = alice.send("tools/call", again).await;
        stage.server.hears(|m| m["id"] == format!("own-{n}") && m.get("result").is_some()).await;
        call.text("went on");
        let last = coming.whole().await;
        assert_eq!(last.tool_text().as_deref(), Some("went on"), "{}", whole(&last));
        assert_eq!(responses(&stage)[n], (json!(format!("own-{n}")), result));
        assert_eq!(stage.server.upstream().requests_for("tools/call").len(), n + 1, "one call each");
    }
    assert_eq!(stage.server.sessions().len(), 1, "all in one session");
}

#[tokio::test]
async fn prompts_and_resources_may_ask_too_and_nothing_else_may() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    for (method, key) in [("prompts/get", "name"), ("resources/read", "uri")] {
        let coming = alice.send(method, json!({key: "fed://1"})).await;
        let call = stage.server.opened().await;
        call.ask(1, "roots/list", json!({}));
        let first = coming.whole().await;
        let params = json!({key: "fed://1", "requestState": state(&first),
            "inputResponses": answers(&first, &json!({"roots": []}))});
        let coming = alice.send(method, params).await;
        stage.server.hears(|m| m["id"] == 1 && m["result"] == json!({"roots": []})).await;
        call.result(json!({"description": method}));
        assert_eq!(coming.whole().await.rpc()["result"]["description"], method);
        stage.server.upstream().forget();
    }
    let coming = alice.send("completion/complete", json!({"name": "fed"})).await;
    let call = stage.server.opened().await;
    call.ask(2, "roots/list", json!({}));
    let answer = coming.whole().await;
    assert_eq!(fault(&answer), (200, json!(-32603)), "{}", whole(&answer));
    stage.server.hears(|m| m["method"] == "notifications/cancelled").await;
}

#[tokio::test]
async fn questions_that_come_together_are_put_together() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask("a", "roots/list", json!({}));
    call.ask("b", "elicitation/create", form());
    call.ask(3, "elicitation/create", form());
    let first = coming.whole().await;
    assert_eq!(asked(&first).len(), 3, "{}", whole(&first));
    let given: serde_json::Map<_, _> = asked(&first)
        .into_iter()
        .map(|(key, ask)| match ask["method"].as_str() {
            Some("roots/list") => (key, json!({"roots": []})),
            _ => (key, accept()),
        })
        .collect();
    let coming = alice.send("tools/call", retry(&state(&first), given.into())).await;
    stage.server.hears(|m| m["id"] == 3 && m.get("result").is_some()).await;
    call.text("done");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
    let mut answered = responses(&stage);
    answered.sort_by_key(|(id, _)| id.to_string());
    let expected = [("a", json!({"roots": []})), ("b", accept())];
    assert_eq!(answered[..2], expected.map(|(id, result)| (json!(id), result)));
    assert_eq!(answered[2..], [(json!(3), accept())]);
}

#[tokio::test]
async fn what_was_not_answered_is_asked_again_and_each_answer_goes_up_once() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask("a", "roots/list", json!({}));
    call.ask("b", "elicitation/create", form());
    let first = coming.whole().await;
    let (roots, elicited) = match &asked(&first)[..] {
        [(a, ask), (b, _)] if ask["method"] == "roots/list" => (a.clone(), b.clone()),
        [(b, _), (a, _)] => (a.clone(), b.clone()),
        other => panic!("{other:?}"),
    };
    let nothing = alice.ask("tools/call", retry(&state(&first), json!({}))).await;
    assert_eq!(asked(&nothing), asked(&first), "the same questions by the same keys");
    assert_ne!(state(&nothing), state(&first));
    let some = json!({roots.as_str(): {"roots": []}, "no-such-key": {"roots": [{"uri": "file:///evil"}]}});
    let second = alice.ask("tools/call", retry(&state(&nothing), some)).await;
    assert_eq!(asked(&second).len(), 1, "{}", whole(&second));
    assert_eq!(asked(&second)[0].0, elicited);
    // An answer to what was answered before is not passed on twice.
    let rest = json!({elicited.as_str(): accept(), roots.as_str(): {"roots": [{"uri": "file:///late"}]}});
    let coming = alice.send("tools/call", retry(&state(&second), rest)).await;
    stage.server.hears(|m| m["id"] == "b" && m.get("result").is_some()).await;
    call.text("done");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
    assert_eq!(responses(&stage), [(json!("a"), json!({"roots": []})), (json!("b"), accept())]);
}

#[tokio::test]
async fn a_call_may_ask_again_and_again() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask(0, "elicitation/create", form());
    let mut answer = coming.whole().await;
    for n in 1..5 {
        let coming = alice
            .send("tools/call", retry(&state(&answer), answers(&answer, &json!({"action": "cancel"}))))
            .await;
        stage.server.hears(|m| m["id"] == n - 1 && m["result"]["action"] == "cancel").await;
        call.ask(n, "elicitation/create", form());
        answer = coming.whole().await;
    }
    assert_eq!((asked(&answer).len(), responses(&stage).len()), (1, 4));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn a_question_that_the_server_takes_back_is_not_put() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask("gone", "elicitation/create", form());
    call.notify("notifications/cancelled", json!({"requestId": "gone"}));
    call.ask("kept", "roots/list", json!({}));
    let first = coming.whole().await;
    assert_eq!(asked(&first).len(), 1, "{}", whole(&first));
    assert_eq!(asked(&first)[0].1["method"], "roots/list");
}

#[tokio::test]
async fn the_client_is_never_asked_for_what_it_has_not_declared() {
    let stage = Stage::start().await;
    let url = json!({"mode": "url", "message": "m", "url": "https://e.example", "elicitationId": "1"});
    let cases = [
        ("nothing", json!({}), "elicitation/create", form()),
        ("no sampling", json!({"elicitation": {}}), "sampling/createMessage", json!({"messages": []})),
        ("no roots", json!({"sampling": {}}), "roots/list", json!({})),
        ("no URLs", json!({"elicitation": {}}), "elicitation/create", url.clone()),
        ("forms only", json!({"elicitation": {"form": {}}}), "elicitation/create", url),
        ("URLs only", json!({"elicitation": {"url": {}}}), "elicitation/create", form()),
        ("a method of no revision", super::stage::everything(), "client/shutdown", json!({})),
    ];
    for (name, capabilities, method, params) in cases {
        let (call, coming) = stage.alice().able(capabilities).feed(&stage, fed()).await;
        call.ask(name, method, params);
        let refused = stage.server.hears(|m| m["id"] == name && m.get("error").is_some()).await;
        assert_eq!(refused["error"]["code"], -32601, "{name}");
        call.text("without");
        let answer = coming.whole().await;
        assert_eq!(answer.tool_text().as_deref(), Some("without"), "{name}: {}", whole(&answer));
        assert!(!answer.text().contains(method), "{name}: {}", whole(&answer));
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_are_refused_and_the_call_still_waits() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask("a", "roots/list", json!({}));
    let first = coming.whole().await;
    for wrong in [json!("text"), json!([1]), json!({"ask-1": "text"}), json!({"ask-1": [1]}), json!(7)] {
        let answer = alice.ask("tools/call", retry(&state(&first), wrong.clone())).await;
        assert_eq!(fault(&answer), (400, json!(-32602)), "{wrong}: {}", whole(&answer));
    }
    assert!(responses(&stage).is_empty());
    let good = answers(&first, &json!({"roots": []}));
    let coming = alice.send("tools/call", retry(&state(&first), good)).await;
    stage.server.hears(|m| m["id"] == "a").await;
    call.text("done");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
}

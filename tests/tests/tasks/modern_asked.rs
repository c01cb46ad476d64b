//! What an older server's task asks a client of 2026-07-28 for.

use super::legacy_server::{Job, Waiting, job, knows_none};
use super::stage::{THEIRS, filled, form, text};
use serde_json::{Value, json};

/// The first look at a task that asks `message`.
async fn first_look(server: &mut Job, id: &str, message: &str) -> (Value, Waiting) {
    server.is("input_required");
    let call = server.bytes(
        "/main",
        &server.stage.token,
        "tasks/get",
        json!({"taskId": id}),
        &super::legacy_server::knows_tasks(),
    );
    let mut client = server.stage.connect().await;
    client.send(call).await.unwrap();
    let waiting = server.waiting().await;
    waiting.ask("q-1", "elicitation/create", form(message));
    let answer = client.response().await.unwrap();
    assert!(!answer.text().contains(THEIRS), "{}", answer.text());
    (answer.json()["result"].clone(), waiting)
}

/// Key and request of the only question.
fn only_question(found: &Value) -> (String, Value) {
    let requests = found["inputRequests"].as_object().unwrap_or_else(|| panic!("no question: {found}"));
    assert_eq!((requests.len(), &found["status"]), (1, &json!("input_required")), "{found}");
    let (key, request) = requests.iter().next().unwrap();
    (key.clone(), request.clone())
}

/// What the server was answered to its request `id`.
async fn answered(server: &Job, id: &str) -> Value {
    let is_answer = |body: &Value| body["id"] == id && body.get("method").is_none();
    server.stage.heard(|request| Some(request.json()).filter(is_answer)).await
}

#[tokio::test]
async fn what_a_task_asks_for_is_shown_until_it_is_brought() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    let (found, waiting) = first_look(&mut server, &id, "who?").await;
    let (key, request) = only_question(&found);
    assert_eq!(request, json!({"method": "elicitation/create", "params": form("who?")}));

    let again = server.about("tasks/get", &id).await;
    assert_eq!(only_question(&again).0, key, "the question is the same");
    assert_eq!(server.stage.count("tasks/result"), 1, "the stream is opened once and held");

    let before = server.stage.upstream.count();
    let ignored = server.update(&id, json!({"nobody-asked": filled("x")})).await;
    assert_eq!(ignored["result"]["resultType"], "complete", "{ignored}");
    assert_eq!(server.stage.upstream.requests()[before..].len(), 1, "but for the look at it, nothing");

    let done = server.update(&id, json!({key.clone(): filled("ann")})).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    assert_eq!(answered(&server, "q-1").await["result"], filled("ann"));

    waiting.ask("q-2", "elicitation/create", form("how old?"));
    let (second, request) = only_question(&server.about("tasks/get", &id).await);
    assert_ne!(second, key, "a key is good for one question in the life of a task");
    assert_eq!(request["params"]["message"], "how old?");
    server.update(&id, json!({second: {"action": "decline"}})).await;
    assert_eq!(answered(&server, "q-2").await["result"], json!({"action": "decline"}));

    server.ends("completed", "result", text("ann", false));
    let found = server.about("tasks/get", &id).await;
    assert_eq!(
        (&found["status"], &found["result"]["content"][0]["text"]),
        (&json!("completed"), &json!("ann"))
    );
    waiting.gone().await;
    assert_eq!(server.stage.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_question_that_comes_beside_another_is_shown_beside_it() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    let (found, waiting) = first_look(&mut server, &id, "who?").await;
    let (first, _) = only_question(&found);
    waiting.ask("q-2", "elicitation/create", form("where?"));
    let both = loop {
        let found = server.about("tasks/get", &id).await;
        if found["inputRequests"].as_object().is_some_and(|asks| asks.len() == 2) {
            break found["inputRequests"].clone();
        }
    };
    let (second, _) = both.as_object().unwrap().iter().find(|(key, _)| **key != first).unwrap();
    server.update(&id, json!({second.clone(): filled("here")})).await;
    assert_eq!(answered(&server, "q-2").await["result"], filled("here"));
    assert_eq!(only_question(&server.about("tasks/get", &id).await).0, first, "that one is still open");
}

#[tokio::test]
async fn two_looks_at_once_see_the_same_question() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    server.is("input_required");
    let caps = super::legacy_server::knows_tasks();
    let look = server.bytes("/main", &server.stage.token, "tasks/get", json!({"taskId": id}), &caps);
    let (mut one, mut other) = (server.stage.connect().await, server.stage.connect().await);
    one.send(&look).await.unwrap();
    other.send(&look).await.unwrap();
    let waiting = server.waiting().await;
    waiting.ask("q-1", "elicitation/create", form("who?"));
    let (one, other) = (one.response().await.unwrap().json(), other.response().await.unwrap().json());
    assert_eq!(only_question(&one["result"]), only_question(&other["result"]));
    assert_eq!(server.stage.count("tasks/result"), 1);
}

#[tokio::test]
async fn a_task_that_does_not_say_what_it_needs_is_at_work() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    server.is("input_required");
    assert_eq!(server.about("tasks/get", &id).await["status"], "working");
    let waiting = server.waiting().await;
    waiting.ask("q-1", "elicitation/create", form("who?"));
    only_question(&server.about("tasks/get", &id).await);
}

#[tokio::test]
async fn a_stream_that_broke_while_it_was_held_is_opened_again() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    let (found, waiting) = first_look(&mut server, &id, "who?").await;
    let (key, _) = only_question(&found);
    server.update(&id, json!({key.clone(): filled("ann")})).await;
    answered(&server, "q-1").await;
    waiting.cut();
    let (found, _waiting) = first_look(&mut server, &id, "who else?").await;
    let (second, request) = only_question(&found);
    assert_eq!(request["params"]["message"], "who else?");
    assert_ne!(second, key);
}

#[tokio::test]
async fn cancelling_lets_go_of_what_was_asked() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    let (_, waiting) = first_look(&mut server, &id, "who?").await;
    server.about("tasks/cancel", &id).await;
    waiting.gone().await;
    assert_eq!(server.about("tasks/get", &id).await["status"], "cancelled");
}

#[tokio::test]
async fn what_the_client_has_not_declared_is_not_asked_of_it() {
    let mut server = Job::start().await;
    let id = server.begin().await;
    let (found, waiting) = first_look(&mut server, &id, "who?").await;
    only_question(&found);
    waiting.ask("q-2", "sampling/createMessage", json!({"messages": [], "maxTokens": 1}));
    // It is heard with one of the next looks.
    let was_refused = |server: &Job| {
        let is_refusal = |r: &narthex_testkit::UpstreamRequest| r.json()["id"] == "q-2";
        server.stage.upstream.requests().iter().any(is_refusal)
    };
    while !was_refused(&server) {
        only_question(&server.about("tasks/get", &id).await);
    }
    assert_eq!(answered(&server, "q-2").await["error"]["code"], -32601);
}

#[tokio::test]
async fn a_client_without_the_extension_is_asked_in_the_call() {
    let mut server = Job::start().await;
    let call = server.bytes("/main", &server.stage.token, "tools/call", job(), &knows_none());
    let mut client = server.stage.connect().await;
    client.send(call).await.unwrap();
    let waiting = server.waiting().await;
    waiting.ask("q-1", "elicitation/create", form("who?"));
    let answer = client.response().await.unwrap();
    assert!(!answer.text().contains(THEIRS), "{}", answer.text());
    let asked = answer.rpc()["result"].clone();
    assert_eq!(asked["resultType"], "input_required");
    let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let mut retry = job();
    retry["requestState"] = asked["requestState"].clone();
    retry["inputResponses"] = json!({key: filled("ann")});
    let retry = server.bytes("/main", &server.stage.token, "tools/call", retry, &knows_none());
    let mut client = server.stage.connect().await;
    client.send(retry).await.unwrap();
    assert_eq!(answered(&server, "q-1").await["result"], filled("ann"));
    waiting.end(text("hello ann", false));
    assert_eq!(client.response().await.unwrap().tool_text().as_deref(), Some("hello ann"));
    assert_eq!(server.stage.count("tools/call"), 1, "a tool is called once");
    assert_eq!(server.stage.count("tasks/cancel"), 0);
}

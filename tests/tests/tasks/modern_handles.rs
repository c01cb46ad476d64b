//! Whose task it is: what a client of 2026-07-28 gets for it is good for that caller, there, and for nothing else.

use super::legacy_server::{Job, knows_tasks};
use serde_json::json;

const METHODS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];

#[tokio::test]
async fn nobody_else_and_nowhere_else_gets_at_a_task() {
    let server = Job::start().await;
    let id = server.begin().await;
    let mut tampered = id.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let stage = &server.stage;
    let tenant = stage.token_for("main", json!({"org_id": "globex"}));
    let subject = stage.token_for("main", json!({"sub": "mallory"}));
    let other = stage.token_for("other", json!({}));
    let token = stage.token.clone();
    let attempts = [
        ("unknown", "/main", &token, "upstream-task-canary"),
        ("empty", "/main", &token, ""),
        ("tampered", "/main", &token, tampered.as_str()),
        ("another tenant", "/main", &tenant, id.as_str()),
        ("another subject", "/main", &subject, id.as_str()),
        ("another route", "/other", &other, id.as_str()),
    ];
    for (who, path, token, id) in attempts {
        for method in METHODS {
            let bytes = server.bytes(path, token, method, json!({"taskId": id}), &knows_tasks());
            let answer = stage.exchange(&bytes).await;
            assert_eq!(answer.json()["error"]["code"], -32602, "{who} {method}: {}", answer.text());
        }
    }
    assert_eq!(stage.task_requests(), 0, "the server was not asked");
    assert_eq!(server.about("tasks/get", &id).await["status"], "working", "its owner still has it");
}

#[tokio::test]
async fn the_header_has_to_name_the_same_task() {
    let server = Job::start().await;
    let id = server.begin().await;
    for method in METHODS {
        let bytes = server.bytes("/main", &server.stage.token, method, json!({"taskId": id}), &knows_tasks());
        let text = String::from_utf8(bytes).unwrap();
        for header in ["Mcp-Name: other\r\n", ""] {
            let changed = text.replace(&format!("Mcp-Name: {id}\r\n"), header);
            assert_ne!(changed, text);
            let answer = server.stage.exchange(changed.as_bytes()).await;
            assert_eq!(
                (answer.status, &answer.json()["error"]["code"]),
                (400, &json!(-32020)),
                "{method} {header}"
            );
        }
    }
    assert_eq!(server.stage.task_requests(), 0);
}

#[tokio::test]
async fn what_the_extension_does_not_have_is_not_there() {
    let server = Job::start().await;
    let id = server.begin().await;
    for (method, params) in [
        ("tasks/result", json!({"taskId": id})),
        ("tasks/result", json!({"taskId": "x"})),
        ("tasks/list", json!({})),
    ] {
        let answer = server.ask(method, params, &knows_tasks()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!(-32601)), "{method}");
    }
    assert_eq!(server.stage.task_requests(), 0);
}

#[tokio::test]
async fn answers_that_are_none_are_refused_before_the_server_is_asked() {
    let server = Job::start().await;
    let id = server.begin().await;
    for responses in [json!([]), json!("x"), json!({"k": 1})] {
        let answer = server.update(&id, responses.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{responses}: {answer}");
    }
    assert_eq!(server.stage.task_requests(), 0);
}

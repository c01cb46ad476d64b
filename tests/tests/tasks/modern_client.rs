//! A client of 2026-07-28 and the tasks of an older server.

use super::legacy_server::{Job, job, knows_none, knows_tasks};
use super::stage::{EXTENSION, Stage, THEIRS, text};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn the_extension_is_offered_where_the_server_runs_tasks_and_nowhere_else() {
    let server = Job::start().await;
    let result = server.ask("server/discover", json!({}), &knows_tasks()).await.json()["result"].clone();
    assert_eq!(result["capabilities"], json!({"tools": {}, "extensions": {EXTENSION: {}}}));
    let tools = server.ask("tools/list", json!({}), &knows_tasks()).await.json()["result"]["tools"].clone();
    assert_eq!(tools[1]["name"], "job");
    assert_eq!(tools[1].get("execution"), None, "here the server decides");

    let server = Stage::start("2025-11-25").await;
    for (method, status) in [("server/discover", 200), ("tasks/get", 404), ("tasks/cancel", 404)] {
        let headers = mcp::stateless_headers(method, Some("x"));
        let body = mcp::stateless_request(1, method, json!({"taskId": "x"}));
        let answer = server.exchange(&mcp::post("/main", Some(&server.token), &headers, &body)).await;
        assert_eq!(answer.status, status, "{method}: {}", answer.text());
        assert_eq!(answer.json()["result"]["capabilities"].get("extensions"), None);
        assert_eq!(answer.json()["error"]["code"].as_i64(), (status == 404).then_some(-32601));
    }
}

#[tokio::test]
async fn a_tool_that_only_runs_as_a_task_becomes_one_and_no_other_does() {
    let server = Job::start().await;
    let result = server.ask("tools/call", job(), &knows_tasks()).await.json()["result"].clone();
    let sent = server.stage.upstream.requests_for("tools/call")[0].json();
    assert!(sent["params"]["task"]["ttl"].as_u64().is_some_and(|ttl| ttl > 0), "{sent}");
    let id = result["taskId"].as_str().unwrap();
    assert!(!result.to_string().contains(THEIRS), "{result}");
    let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "job-server", "version": "1"}});
    let expected = json!({"resultType": "task", "taskId": id, "status": "working",
        "statusMessage": "so it stands", "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:01Z", "ttlMs": 60000, "pollIntervalMs": 70, "_meta": info});
    assert_eq!(result, expected);

    let params = json!({"name": "echo", "arguments": {}, "task": {"ttl": 1}});
    let result = server.ask("tools/call", params, &knows_tasks()).await.json()["result"].clone();
    assert_eq!(result["resultType"], "complete");
    let sent = server.stage.upstream.requests_for("tools/call")[1].json();
    assert_eq!(sent["params"].get("task"), None, "what 2026-07-28 does not have is not passed on");
}

#[tokio::test]
async fn a_look_at_a_task_says_where_it_stands_with_its_result_or_error() {
    let server = Job::start().await;
    let id = server.begin().await;
    let found = server.about("tasks/get", &id).await;
    assert_eq!(
        (&found["resultType"], &found["status"], &found["taskId"]),
        (&json!("complete"), &json!("working"), &json!(id))
    );
    assert_eq!(
        (&found["ttlMs"], &found["pollIntervalMs"], found.get("ttl")),
        (&json!(60000), &json!(70), None)
    );
    assert_eq!((found.get("result"), found.get("error"), found.get("inputRequests")), (None, None, None));

    server.ends("completed", "result", text("done", false));
    let found = server.about("tasks/get", &id).await;
    assert_eq!(found["status"], "completed");
    assert_eq!(found["result"]["content"][0]["text"], "done");
    assert_eq!(found["result"].get("_meta"), None, "whose it is, it says itself");

    // There a tool's own error fails the task; here it is a result like any other.
    server.ends("failed", "result", text("bad", true));
    let found = server.about("tasks/get", &id).await;
    assert_eq!((&found["status"], &found["result"]["isError"]), (&json!("completed"), &json!(true)));
    assert_eq!(found.get("error"), None);

    server.ends("failed", "error", json!({"code": -32603, "message": "burnt", "data": {"why": 1}}));
    let found = server.about("tasks/get", &id).await;
    assert_eq!(found["status"], "failed");
    assert_eq!(found["error"], json!({"code": -32603, "message": "burnt", "data": {"why": 1}}));
    assert_eq!(found.get("result"), None);

    // The Python SDK's server has no result for a task that failed: what went wrong is in its status.
    server.ends("failed", "result", json!({}));
    let found = server.about("tasks/get", &id).await;
    assert_eq!((&found["status"], found.get("result")), (&json!("failed"), None));
    assert_eq!(found["error"], json!({"code": -32603, "message": "so it stands"}));

    server.is("cancelled");
    let before = server.stage.count("tasks/result");
    let found = server.about("tasks/get", &id).await;
    assert_eq!((&found["status"], found.get("result")), (&json!("cancelled"), None));
    assert_eq!(server.stage.count("tasks/result"), before);
}

#[tokio::test]
async fn cancelling_is_acknowledged_also_when_the_task_has_ended() {
    let server = Job::start().await;
    let id = server.begin().await;
    for status in ["working", "cancelled", "completed"] {
        server.is(status);
        let result = server.about("tasks/cancel", &id).await;
        assert_eq!(result["resultType"], "complete", "{status}: {result}");
        assert_eq!((result.get("status"), result.get("taskId")), (None, None), "{status}");
    }
    assert_eq!(server.stage.count("tasks/cancel"), 3);
}

#[tokio::test]
async fn a_task_that_the_server_has_forgotten_is_unknown() {
    let server = Job::start().await;
    let id = server.begin().await;
    server.stage.upstream.always(|request| match request.rpc_method() {
        Some(method) if method.starts_with("tasks/") => Answer::error(request, -32602, "no such task"),
        _ => Answer::mcp(request),
    });
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = server.ask(method, json!({"taskId": id}), &knows_tasks()).await;
        assert_eq!(answer.json()["error"]["code"], -32602, "{method}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_session_that_the_server_has_lost_costs_a_look_at_a_task_nothing() {
    let server = Job::start().await;
    let id = server.begin().await;
    server.stage.upstream.next(Answer::status(404));
    assert_eq!(server.about("tasks/get", &id).await["status"], "working");
    assert_eq!(server.stage.count("initialize"), 2);
}

#[tokio::test]
async fn a_client_without_the_extension_waits_for_the_result() {
    let mut server = Job::start().await;
    let mut client = server.stage.connect().await;
    let call = server.bytes("/main", &server.stage.token, "tools/call", job(), &knows_none());
    client.send(call).await.unwrap();
    let waiting = server.waiting().await;
    waiting.tell("notifications/tasks/status", json!({"taskId": THEIRS, "status": "working"}));
    waiting.end(text("at last", false));
    let answer = client.response().await.unwrap();
    assert!(!answer.text().contains(THEIRS), "{}", answer.text());
    let result = answer.rpc()["result"].clone();
    assert_eq!((&result["resultType"], answer.tool_text().as_deref()), (&json!("complete"), Some("at last")));
    let looked = server.ask("tasks/get", json!({"taskId": "x"}), &knows_none()).await;
    assert_eq!((looked.status, &looked.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn a_client_without_the_extension_hears_why_a_task_failed() {
    let server = Job::start().await;
    // The task has ended before its result is asked for.
    server.ends("failed", "result", json!({}));
    let failed = server.ask("tools/call", job(), &knows_none()).await;
    assert_eq!(failed.json()["error"], json!({"code": -32603, "message": "so it stands"}));
    server.ends("failed", "result", text("bad", true));
    let failed = server.ask("tools/call", job(), &knows_none()).await;
    assert_eq!(failed.json()["result"]["isError"], true, "{}", failed.text());
    assert_eq!(server.stage.count("tasks/cancel"), 0);
}

#[tokio::test]
async fn a_client_without_the_extension_that_leaves_ends_the_task() {
    let mut server = Job::start().await;
    let mut client = server.stage.connect().await;
    let call = server.bytes("/main", &server.stage.token, "tools/call", job(), &knows_none());
    client.send(call).await.unwrap();
    let waiting = server.waiting().await;
    drop(client);
    let is_cancel = |body: &Value| body["method"] == "tasks/cancel";
    let cancelled = server.stage.heard(|request| Some(request.json()).filter(is_cancel)).await;
    assert_eq!(cancelled["params"]["taskId"], THEIRS);
    waiting.gone().await;
    assert_eq!(server.stage.count("notifications/cancelled"), 0, "tasks are not cancelled by it");
}

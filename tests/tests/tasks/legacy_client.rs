//! A client of 2025-11-25 and the tasks of a server of 2026-07-28.

use super::modern_server::{Job, job, task};
use super::stage::{EXTENSION, RELATED, THEIRS, text};
use narthex_testkit::mcp;
use serde_json::{Value, json};

#[tokio::test]
async fn tasks_are_offered_by_the_revision_that_has_them_where_the_server_does() {
    let offered = json!({"cancel": {}, "requests": {"tools": {"call": {}}}});
    let cases: [(&str, &[&str], Option<Value>); 4] = [
        (mcp::STATEFUL, &[EXTENSION], Some(offered)),
        (mcp::STATEFUL, &["com.example/other"], None),
        ("2025-06-18", &[EXTENSION], None),
        ("2025-03-26", &[EXTENSION], None),
    ];
    for (revision, extensions, tasks) in cases {
        let server = Job::start_with(revision, extensions, "").await;
        let result = server.open("/main", &server.stage.token).await.json()["result"].clone();
        assert_eq!(result["capabilities"].get("tasks"), tasks.as_ref(), "{revision} {extensions:?}");
        assert_eq!(result["capabilities"].get("extensions"), None, "{revision}");
        let tools = server.ask("tools/list", json!({})).await.json()["result"]["tools"].clone();
        let execution = tasks.is_some().then(|| json!({"taskSupport": "optional"}));
        assert_eq!(tools[0]["name"], "job");
        assert_eq!(tools[0].get("execution"), execution.as_ref(), "{revision} {extensions:?}");
    }
}

#[tokio::test]
async fn without_the_extension_or_the_revision_a_call_is_a_call_and_tasks_are_unknown() {
    for (revision, extension) in [(mcp::STATEFUL, "com.example/other"), ("2025-06-18", EXTENSION)] {
        let server = Job::start_with(revision, &[extension], "").await;
        let answer = server.ask("tools/call", job("quick")).await;
        assert_eq!(answer.tool_text().as_deref(), Some("quick"), "{revision}");
        let sent = server.stage.upstream.requests_for("tools/call")[0].json();
        assert_eq!(sent["params"].get("task"), None);
        let declared = &sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(declared.get("extensions"), None, "{revision}");
        for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/list"] {
            let answer = server.ask(method, json!({"taskId": "x"})).await;
            assert_eq!((answer.status, &answer.json()["error"]["code"]), (200, &json!(-32601)), "{method}");
        }
        assert_eq!(server.stage.task_requests(), 0);
    }
}

#[tokio::test]
async fn a_call_as_a_task_becomes_one_of_the_servers() {
    let server = Job::start().await;
    let answer = server.ask("tools/call", job("job")).await;
    assert!(!answer.text().contains(THEIRS), "{}", answer.text());
    let result = answer.json()["result"].clone();
    let id = result["task"]["taskId"].clone();
    assert!(id.is_string(), "{result}");
    let expected = json!({"task": {"taskId": id, "status": "working", "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:01Z", "ttl": 60000, "pollInterval": 60}});
    assert_eq!(result, expected);
    let sent = server.stage.upstream.requests_for("tools/call")[0].json();
    assert_eq!(sent["params"].get("task"), None, "there the server decides");
    let declared = &sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared["extensions"], json!({EXTENSION: {}}));
    assert_eq!(declared["elicitation"], json!({}));
}

#[tokio::test]
async fn a_call_that_is_to_be_none_does_not_become_a_task() {
    let server = Job::start().await;
    // This server starts one all the same, against the rules.
    let answer = server.ask("tools/call", json!({"name": "job", "arguments": {}})).await;
    let sent = server.stage.upstream.requests_for("tools/call")[0].json();
    let declared = &sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared.get("extensions"), None);
    assert_eq!(answer.json()["error"]["code"], -32603, "{}", answer.text());
    assert!(!answer.text().contains(THEIRS), "{}", answer.text());
}

#[tokio::test]
async fn a_call_that_is_over_at_once_is_a_task_that_has_ended_and_keeps_its_result() {
    let server = Job::start().await;
    for (tool, status) in [("quick", "completed"), ("sour", "failed")] {
        let created = server.ask("tools/call", job(tool)).await.json()["result"]["task"].clone();
        assert_eq!(created["status"], status, "{tool}: {created}");
        assert!(created["createdAt"].is_string() && created["ttl"].is_u64(), "{created}");
        let id = created["taskId"].as_str().unwrap().to_owned();
        let found = server.about("tasks/get", &id).await["result"].clone();
        assert_eq!(found, created, "{tool}");
        for _ in 0..2 {
            let result = server.about("tasks/result", &id).await["result"].clone();
            assert_eq!(result["content"][0]["text"], tool, "{result}");
            assert_eq!(result["isError"], tool == "sour");
            assert_eq!(result["_meta"][RELATED], json!({"taskId": id}));
        }
        let cancelled = server.about("tasks/cancel", &id).await;
        assert_eq!(cancelled["error"]["code"], -32602, "{cancelled}");
        // It is the caller's, not the session's.
        let session = server.open("/main", &server.stage.token).await;
        let session = session.header("mcp-session-id").unwrap().to_owned();
        let body = mcp::request(1, "tasks/get", json!({"taskId": id}));
        let bytes = server.bytes_in(&session, "/main", &server.stage.token, &body);
        assert_eq!(server.stage.exchange(&bytes).await.json()["result"]["status"], status, "{tool}");
    }
    assert_eq!(server.stage.task_requests(), 0, "the server knows nothing of it");
}

#[tokio::test]
async fn a_look_at_a_task_says_where_it_stands() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    let cases = [
        (task("working", json!({"statusMessage": "half"})), "working"),
        (task("input_required", json!({"inputRequests": {}})), "input_required"),
        (task("completed", json!({"result": text("x", false)})), "completed"),
        // In 2025-11-25 a tool's own error fails its task.
        (task("completed", json!({"result": text("x", true)})), "failed"),
        (task("failed", json!({"error": {"code": 1, "message": "m"}})), "failed"),
        (task("cancelled", json!({})), "cancelled"),
    ];
    for (theirs, status) in cases {
        server.finds([theirs.clone()]);
        let found = server.about("tasks/get", &id).await["result"].clone();
        assert_eq!((&found["status"], &found["taskId"]), (&json!(status), &json!(id)), "{theirs}");
        assert_eq!((&found["ttl"], &found["pollInterval"]), (&json!(60000), &json!(60)));
        assert_eq!(found.get("statusMessage"), theirs.get("statusMessage"));
        for absent in ["result", "error", "inputRequests", "resultType", "ttlMs"] {
            assert_eq!(found.get(absent), None, "{absent} in {found}");
        }
    }
    let looks = server.stage.upstream.requests_for("tasks/get");
    assert!(looks.iter().all(|look| look.header("mcp-name") == Some(THEIRS)));
    let declared = &looks[0].json()["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared["extensions"], json!({EXTENSION: {}}));
}

#[tokio::test]
async fn the_result_is_waited_for() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    let mut result = text("done", false);
    result["resultType"] = "complete".into();
    let working = task("working", json!({}));
    server.finds([working.clone(), working, task("completed", json!({"result": result}))]);
    let found = server.about("tasks/result", &id).await["result"].clone();
    let mut expected = text("done", false);
    expected["_meta"] = json!({RELATED: {"taskId": id}});
    assert_eq!(found, expected);
    assert_eq!(server.stage.count("tasks/get"), 3);
}

#[tokio::test]
async fn a_task_that_failed_or_was_cancelled_has_an_error_for_a_result() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    let error = json!({"code": -32603, "message": "burnt", "data": {"why": 1}});
    server.finds([task("failed", json!({"error": error}))]);
    assert_eq!(server.about("tasks/result", &id).await["error"], error);
    server.finds([task("cancelled", json!({}))]);
    assert_eq!(server.about("tasks/result", &id).await["error"]["code"], -32603);
    server.finds([task("completed", json!({"result": text("bad", true)}))]);
    assert_eq!(server.about("tasks/result", &id).await["result"]["isError"], true);
}

#[tokio::test]
async fn cancelling_waits_until_the_task_is_cancelled() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    let working = task("working", json!({}));
    server.finds_after_cancel([working.clone(), working, task("cancelled", json!({}))]);
    let found = server.about("tasks/cancel", &id).await["result"].clone();
    assert_eq!((&found["status"], &found["taskId"]), (&json!("cancelled"), &json!(id)));
    assert_eq!(server.stage.count("tasks/cancel"), 1);
    let again = server.about("tasks/cancel", &id).await;
    assert_eq!(again["error"]["code"], -32602, "{again}");
    assert_eq!(server.stage.count("tasks/cancel"), 1, "what has ended is not cancelled again");
}

#[tokio::test]
async fn nobody_else_and_nowhere_else_gets_at_a_task() {
    let server = Job::start().await;
    let ours = server.begin("quick").await;
    let theirs = server.begin("job").await;
    let stage = &server.stage;
    let tenant = stage.token_for("main", json!({"org_id": "globex"}));
    let subject = stage.token_for("main", json!({"sub": "mallory"}));
    let other = stage.token_for("other", json!({}));
    for (path, token) in [("/main", &tenant), ("/main", &subject), ("/other", &other)] {
        let session = server.open(path, token).await.header("mcp-session-id").unwrap().to_owned();
        for id in [ours.as_str(), theirs.as_str(), THEIRS, "narthex:x", ""] {
            for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
                let body = mcp::request(1, method, json!({"taskId": id}));
                let answer = stage.exchange(&server.bytes_in(&session, path, token, &body)).await;
                assert_eq!(answer.json()["error"]["code"], -32602, "{path} {method}: {}", answer.text());
            }
        }
    }
    let tampered = theirs.replacen(|c: char| c.is_ascii_lowercase(), "Z", 1);
    assert_eq!(server.about("tasks/get", &tampered).await["error"]["code"], -32602);
    assert_eq!(stage.task_requests(), 0, "the server was not asked");
    assert_eq!(server.about("tasks/list", &theirs).await["error"]["code"], -32601);
    assert_eq!(server.about("tasks/get", &theirs).await["result"]["status"], "working");
}

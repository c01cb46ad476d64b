//! Tasks of several upstreams (SEP-2663): each is its caller's and its upstream's.

use super::client::{Client, everything, whole};
use super::peer::Peer;
use super::stage::Stage;
use narthex_testkit::Answer;
use serde_json::{Value, json};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A modern upstream whose tool becomes a task; both upstreams call theirs the same.
async fn working(id: &'static str) -> Peer {
    let peer = Peer::modern(id).await.tools(&["work"]);
    peer.rule("tools/call", |request| {
        let task = json!({"resultType": "task", "taskId": "task-canary", "status": "working", "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": 60000, "pollIntervalMs": 100});
        Answer::result(request, task)
    });
    peer.rule("tasks/get", move |request| {
        let task = request.json()["params"]["taskId"].clone();
        let link = json!({"type": "resource_link", "uri": format!("task://{id}"), "name": "l"});
        let content = json!([{"type": "text", "text": id}, link]);
        Answer::complete(
            request,
            json!({"taskId": task, "status": "completed", "createdAt": "2026-01-01T00:00:00Z",
                "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": 60000, "result": {"content": content}}),
        )
    });
    peer.rule("tasks/cancel", |request| Answer::complete(request, json!({})));
    peer.rule("tasks/update", |request| Answer::complete(request, json!({})));
    peer
}

fn able() -> Value {
    let mut all = everything();
    all["extensions"] = json!({EXTENSION: {}});
    all
}

async fn created(client: &Client, tool: &str) -> String {
    let answer = client.ask("tools/call", json!({"name": tool, "arguments": {}})).await;
    let result = answer.rpc()["result"].clone();
    assert_eq!(result["resultType"], "task", "{}", whole(&answer));
    result["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_is_sealed_and_asked_for_where_it_runs() {
    let (one, two) =
        (working("one").await.resources(&["one://1"]), working("two").await.resources(&["two://1"]));
    let stage = Stage::start(&[&one, &two]).await;
    let client = stage.modern().able(able());
    let found = client.result("server/discover", json!({})).await;
    assert!(found["capabilities"]["extensions"][EXTENSION].is_object(), "{found}");
    for peer in [&one, &two] {
        let task = created(&client, &format!("{}__work", peer.id)).await;
        assert!(!task.contains("canary"), "{task}");
        let got = client.result("tasks/get", json!({"taskId": task})).await;
        assert_eq!((&got["taskId"], &got["status"]), (&json!(task), &json!("completed")), "{got}");
        assert_eq!(got["result"]["content"][0]["text"], peer.id);
        client.result("tasks/update", json!({"taskId": task, "inputResponses": {}})).await;
        client.result("tasks/cancel", json!({"taskId": task})).await;
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let asked = peer.last(method);
            assert_eq!(asked.json()["params"]["taskId"], "task-canary");
            assert_eq!(asked.header("mcp-name"), Some("task-canary"));
            assert_eq!(peer.count(method), 1);
        }
        // What its result links to can be read.
        let read = client.result("resources/read", json!({"uri": format!("task://{}", peer.id)})).await;
        assert_eq!(read["contents"][0]["text"], format!("{0} task://{0} null", peer.id));
    }
}

#[tokio::test]
async fn a_task_is_unknown_to_anybody_else() {
    let (one, two) = (working("one").await, working("two").await);
    let stage = Stage::start(&[&one, &two]).await;
    let client = stage.modern().able(able());
    let task = created(&client, "one__work").await;
    let of = |path: &str, claims: Value| Client::modern(&stage, path, claims).able(able());
    let strangers =
        [of("/mcp", json!({"sub": "bob"})), of("/mcp", json!({"org_id": "globex"})), of("/other", json!({}))];
    let mut bad: Vec<(Client, String)> = strangers.into_iter().map(|client| (client, task.clone())).collect();
    bad.extend(
        ["task-canary", "", &task[1..], &format!("{task}x")].map(|id| (client.clone(), id.to_owned())),
    );
    for (client, id) in bad {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let params = json!({"taskId": id, "inputResponses": {}});
            assert_eq!(client.fault(method, params).await.1, json!(-32602), "{method} {id}");
        }
    }
    assert_eq!(one.count("tasks/get") + two.count("tasks/get") + one.count("tasks/cancel"), 0);
    // Whoever does not know tasks has none, in either era.
    assert_eq!(stage.modern().fault("tasks/get", json!({"taskId": task})).await, (404, json!(-32601)));
    let legacy = stage.legacy().await;
    for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel"] {
        assert_eq!(legacy.fault(method, json!({"taskId": task})).await, (200, json!(-32601)), "{method}");
    }
}

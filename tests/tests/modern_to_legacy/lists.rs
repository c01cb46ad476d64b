//! What is read, and how it is dressed for a client of 2026-07-28.

use super::stage::{Stage, fault, whole};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

const INFO: &str = "io.modelcontextprotocol/serverInfo";

fn server_info() -> Value {
    json!({"name": "legacy-server", "version": "7"})
}

#[tokio::test]
async fn a_server_with_sessions_is_discovered_by_what_it_says_in_initialize() {
    let stage = Stage::start().await;
    let result = stage.alice().result("server/discover", json!({})).await;
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"], json!([mcp::STATELESS]));
    assert_eq!(result["capabilities"]["resources"], json!({"listChanged": true, "subscribe": true}));
    assert_eq!(result["instructions"], "be kind");
    assert_eq!(result["_meta"][INFO], server_info());
    assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "private", "{result}");
    let first = stage.server.upstream().requests()[0].json();
    assert_eq!(first["method"], "server/discover", "it was asked once which era it speaks");
    let opened = stage.server.upstream().requests_for("initialize").remove(0).json();
    assert_eq!(opened["params"]["protocolVersion"], mcp::STATEFUL);
    assert_eq!(opened["params"]["clientInfo"], json!({"name": "narthex-testkit", "version": "1"}));
    let asked: Vec<_> = opened["params"]["capabilities"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(asked, ["elicitation", "roots", "sampling"]);
    assert_eq!(stage.server.said(), ["server/discover", "initialize", "notifications/initialized"]);
}

/// What a server answers, and whether by events.
fn answer(request: &narthex_testkit::UpstreamRequest, result: Value, events: bool) -> Answer {
    match events {
        true => {
            Answer::sse_events(&[json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result})])
        }
        false => Answer::result(request, result),
    }
}

#[tokio::test]
async fn results_get_what_the_revision_demands_whether_they_came_as_json_or_events() {
    let stage = Stage::start().await;
    let lists = [
        ("prompts/list", json!({}), json!({"prompts": [{"name": "p"}], "nextCursor": "c2"})),
        ("resources/list", json!({"cursor": "c1"}), json!({"resources": []})),
        ("resources/templates/list", json!({}), json!({"resourceTemplates": []})),
        ("resources/read", json!({"uri": "a://b"}), json!({"contents": [{"uri": "a://b", "text": "t"}]})),
        ("tools/list", json!({}), json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]})),
    ];
    let rest = [
        ("prompts/get", json!({"name": "p"}), json!({"messages": [], "_meta": {"own/key": 1}})),
        ("completion/complete", json!({}), json!({"completion": {"values": []}})),
        ("tools/call", json!({"name": "t"}), json!({"content": [], "structuredContent": {"a": 1.0}})),
    ];
    for events in [false, true] {
        for (cacheable, table) in [(true, &lists[..]), (false, &rest[..])] {
            for (method, params, theirs) in table {
                let (of, result) = ((*method).to_owned(), theirs.clone());
                stage.server.rule(move |request| {
                    let is_it = request.rpc_method().as_deref() == Some(&of);
                    is_it.then(|| answer(request, result.clone(), events))
                });
                let mut result = stage.alice().result(method, params.clone()).await;
                assert_eq!(result["resultType"], "complete", "{method}");
                assert_eq!(result["_meta"][INFO], server_info(), "{method}");
                assert_eq!(result.get("ttlMs").is_some_and(Value::is_u64), cacheable, "{method} {result}");
                assert_eq!(
                    result.get("cacheScope"),
                    cacheable.then(|| json!("private")).as_ref(),
                    "{method}"
                );
                let members = result.as_object_mut().unwrap();
                members.retain(|name, _| !["resultType", "ttlMs", "cacheScope"].contains(&name.as_str()));
                members["_meta"].as_object_mut().unwrap().remove(INFO);
                if members["_meta"] == json!({}) {
                    members.remove("_meta");
                }
                assert_eq!(result, *theirs, "{method}: the rest is the server's");
            }
        }
    }
    let cursor = stage.server.upstream().requests_for("resources/list").remove(0).json();
    assert_eq!(cursor["params"], json!({"cursor": "c1"}), "and nothing of the other era goes up");
}

#[tokio::test]
async fn a_servers_shared_cache_scope_is_never_believed() {
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let result = json!({"prompts": [], "cacheScope": "public", "ttlMs": 999_999_999});
        (request.rpc_method().as_deref() == Some("prompts/list")).then(|| Answer::result(request, result))
    });
    let result = stage.alice().result("prompts/list", json!({})).await;
    assert_eq!(result["cacheScope"], "private");
    assert_ne!(result["ttlMs"], 999_999_999);
}

#[tokio::test]
async fn removed_and_unknown_methods_are_not_found() {
    let stage = Stage::start().await;
    let removed = [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/get",
    ];
    for method in removed {
        let answer = stage.alice().ask(method, json!({"level": "info"})).await;
        assert_eq!(fault(&answer), (404, json!(-32601)), "{method}: {}", whole(&answer));
        assert_eq!(answer.rpc()["id"], 5);
        let sent = stage.server.upstream().requests_for(method);
        assert!(sent.is_empty(), "{method} went up");
    }
    let answer = stage.alice().ask("no/such", json!({})).await;
    assert_eq!(fault(&answer), (404, json!(-32601)), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("no/such").len(), 1);
}

#[tokio::test]
async fn errors_of_the_older_revisions_are_said_in_the_newer_ones_words() {
    let stage = Stage::start().await;
    let error = |code: i64, data: Value| json!({"code": code, "message": "m", "data": data});
    let cases = [
        (-32002, json!({}), 200, -32602, json!({"uri": "a://gone"})),
        (-32002, json!({"uri": "a://b", "x": 1}), 200, -32602, json!({"uri": "a://b", "x": 1})),
        (-32602, json!({"x": 1}), 200, -32602, json!({"x": 1})),
        (-32020, json!(null), 200, -32603, json!(null)),
        (-32021, json!(null), 200, -32603, json!(null)),
        (-31999, json!("text"), 200, -31999, json!("text")),
        (7, json!(null), 200, 7, json!(null)),
    ];
    for (theirs, data, status, code, said) in cases {
        for events in [false, true] {
            let error = error(theirs, data.clone());
            stage.server.rule(move |request| {
                let body = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
                let answer = || if events { Answer::sse_events(&[body]) } else { Answer::json(200, body) };
                (request.rpc_method().as_deref() == Some("resources/read")).then(answer)
            });
            let answer = stage.alice().ask("resources/read", json!({"uri": "a://gone"})).await;
            assert_eq!(fault(&answer), (status, json!(code)), "{theirs}: {}", whole(&answer));
            assert_eq!(answer.rpc()["error"]["data"], said, "{theirs}");
        }
    }
}

#[tokio::test]
async fn tools_that_policy_hides_stay_hidden_and_cannot_be_called() {
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let tools = ["echo", "whoami", "secret_door"].map(tool);
        (request.rpc_method().as_deref() == Some("tools/list"))
            .then(|| Answer::result(request, json!({"tools": tools, "nextCursor": "more"})))
    });
    for params in [json!({}), json!({"cursor": "more"})] {
        let result = stage.alice().result("tools/list", params).await;
        let names: Vec<_> = result["tools"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
        assert_eq!((names, &result["nextCursor"]), (vec![json!("echo")], &json!("more")));
    }
    for name in ["whoami", "secret_door", "secret_passage"] {
        let answer = stage.alice().ask("tools/call", json!({"name": name})).await;
        assert_eq!(fault(&answer), (200, json!(-32602)), "{}", whole(&answer));
    }
    assert!(stage.server.upstream().requests_for("tools/call").is_empty());
}

#[tokio::test]
async fn mirrored_arguments_must_agree_with_the_tools_schema() {
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let schema = json!({"type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "free": {"type": "string"}}});
        let bad = json!({"type": "object", "properties": {"a": {"type": "object", "x-mcp-header": "A"}}});
        let tools = json!([{"name": "echo", "inputSchema": schema}, {"name": "odd", "inputSchema": bad}]);
        (request.rpc_method().as_deref() == Some("tools/list"))
            .then(|| Answer::result(request, json!({"tools": tools})))
    });
    let alice = stage.alice();
    let tools = alice.result("tools/list", json!({})).await;
    assert_eq!(tools["tools"].as_array().unwrap().len(), 1, "the other's annotations are invalid: {tools}");
    let call = json!({"name": "echo", "arguments": {"region": "eu", "free": "x"}});
    let cases = [
        ("the same", Some(("Mcp-Param-Region", "eu")), true),
        ("encoded", Some(("mcp-param-region", "=?base64?ZXU=?=")), true),
        ("another value", Some(("Mcp-Param-Region", "us")), false),
        ("none", None, false),
        ("undecodable", Some(("Mcp-Param-Region", "=?base64?!?=")), false),
    ];
    for (name, header, good) in cases {
        let bytes = alice.bytes("tools/call", call.clone(), header.as_slice());
        let before = stage.server.upstream().requests_for("tools/call").len();
        let answer = mcp::exchange(stage.gateway.address(), &bytes).await.unwrap();
        let after = stage.server.upstream().requests_for("tools/call").len();
        match good {
            true => assert_eq!((answer.status, after - before), (200, 1), "{name}: {}", whole(&answer)),
            false => {
                assert_eq!(fault(&answer), (400, json!(-32020)), "{name}: {}", whole(&answer));
                assert_eq!(after, before, "{name}: it went up");
            }
        }
    }
}

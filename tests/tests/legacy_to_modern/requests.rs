//! What a server of 2026-07-28 is sent for an older client's request.

use super::stage::{LEGACY, Setup, Stage, completed, everything};
use narthex_testkit::{Answer, UpstreamRequest, mcp};
use serde_json::{Value, json};

/// The members of `_meta` that 2026-07-28 wants on every request.
fn reserved(request: &UpstreamRequest) -> [Value; 3] {
    let meta = &request.json()["params"]["_meta"];
    ["protocolVersion", "clientCapabilities", "clientInfo"]
        .map(|name| meta[format!("io.modelcontextprotocol/{name}")].clone())
}

/// Names of the `Mcp-*` fields, in lower case, and their values.
fn mirrors(request: &UpstreamRequest) -> Vec<(String, String)> {
    let fields = request.headers.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut fields: Vec<_> = fields.filter(|(name, _)| name.starts_with("mcp-")).collect();
    fields.sort();
    fields
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn each_method_has_the_header_fields_that_mirror_it() {
    let stage = Stage::start().await;
    for method in ["prompts/get", "resources/read", "completion/complete", "prompts/list"] {
        stage.server.always(method, |request| Answer::complete(request, json!({})));
    }
    let version = ("mcp-protocol-version", "2026-07-28");
    let cases = [
        ("tools/list", json!({}), None),
        ("tools/call", json!({"name": "echo", "arguments": {}}), Some("echo")),
        ("prompts/list", json!({"cursor": "c1"}), None),
        ("prompts/get", json!({"name": "greet"}), Some("greet")),
        ("resources/read", json!({"uri": "file:///a b"}), Some("file:///a b")),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {}}),
            None,
        ),
    ];
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        for (method, params, name) in &cases {
            let answer = client.ask(method, params.clone()).await;
            assert!(answer.get("error").is_none(), "{revision} {method}: {answer}");
            let request = stage.upstream.requests_for(method).pop().unwrap();
            let mut expected = vec![("mcp-method", *method), version];
            expected.extend(name.map(|name| ("mcp-name", name)));
            expected.sort_unstable();
            assert_eq!(mirrors(&request), pairs(&expected), "{revision} {method}");
            let sent = request.json()["params"].clone();
            for (member, value) in params.as_object().unwrap() {
                assert_eq!(&sent[member], value, "{revision} {method}");
            }
        }
    }
}

#[tokio::test]
async fn names_that_no_header_can_carry_are_coded() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    for (name, field) in [
        ("wetter für köln", "=?base64?d2V0dGVyIGbDvHIga8O2bG4=?="),
        (" echo", "=?base64?IGVjaG8=?="),
        ("a\nb", "=?base64?YQpi?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
    ] {
        let answer = client.call(name, json!({})).await;
        assert!(answer.get("error").is_none(), "{name}: {answer}");
        let request = stage.upstream.requests_for("tools/call").pop().unwrap();
        assert_eq!(request.header("mcp-name"), Some(field), "{name}");
        assert_eq!(request.json()["params"]["name"], name);
    }
}

#[tokio::test]
async fn every_request_says_what_the_session_was_opened_with() {
    let stage = Stage::start().await;
    let mut offered = everything();
    offered["tasks"] = json!({"list": {}});
    offered["extensions"] = json!({"io.example/x": {}});
    let client = stage.open("2025-11-25", offered).await;
    let bare = stage.open("2025-06-18", json!({})).await;
    client.call("echo", json!({})).await;
    bare.call("echo", json!({})).await;
    let calls = stage.upstream.requests_for("tools/call");
    let info = json!({"name": "old-client", "version": "1.2"});
    let capabilities = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
    assert_eq!(reserved(&calls[0]), [json!("2026-07-28"), capabilities, info.clone()]);
    assert_eq!(reserved(&calls[1]), [json!("2026-07-28"), json!({}), info]);
    // What the gateway asks on its own is asked in the client's name, too.
    for request in stage.upstream.requests_for("server/discover") {
        assert_eq!(reserved(&request)[0], "2026-07-28");
    }
}

#[tokio::test]
async fn nothing_of_the_newer_revision_comes_from_an_older_client() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({"roots": {}})).await;
    let meta = json!({
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "forged", "version": "9"},
        "io.modelcontextprotocol/logLevel": "debug",
        "io.modelcontextprotocol/subscriptionId": 4,
        "io.modelcontextprotocol/serverInfo": {"name": "forged"},
        "com.example/trace": "kept",
    });
    let params = json!({
        "name": "echo", "arguments": {"a": 1}, "_meta": meta, "task": {"ttl": 1},
        "inputResponses": {"k": {"action": "accept"}}, "requestState": "forged",
    });
    let forged = [
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "forged"),
        ("Mcp-Param-Region", "forged"),
        ("Mcp-Param-Any", "forged"),
    ];
    let answer = client.post_with(&forged, &mcp::request(1, "tools/call", params)).await;
    assert_eq!(answer.tool_text().as_deref(), Some(r#"echo {"a":1}"#), "{}", answer.text());
    let request = stage.upstream.requests_for("tools/call").pop().unwrap();
    let expected =
        [("mcp-method", "tools/call"), ("mcp-name", "echo"), ("mcp-protocol-version", "2026-07-28")];
    assert_eq!(mirrors(&request), pairs(&expected));
    let sent = request.json()["params"].clone();
    assert_eq!(
        sent["_meta"],
        json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "old-client", "version": "1.2"},
            "io.modelcontextprotocol/logLevel": "info",
            "com.example/trace": "kept",
        })
    );
    for member in ["task", "inputResponses", "requestState"] {
        assert!(sent.get(member).is_none(), "{member}");
    }
    assert!(!stage.upstream.seen("forged"));
}

/// It would be a request of that revision, which has to say so in its header.
#[tokio::test]
async fn a_request_that_names_a_revision_in_its_body_is_no_older_clients() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    let count = stage.upstream.count();
    for version in ["2025-11-25", "2026-07-28", "1"] {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
        let params = json!({"name": "echo", "arguments": {}, "_meta": meta});
        let answer = client.post(&mcp::request(1, "tools/call", params)).await;
        assert_eq!(answer.status, 400, "{version}: {}", answer.text());
    }
    assert_eq!(stage.upstream.count(), count);
}

#[tokio::test]
async fn a_name_written_twice_in_meta_carries_nothing_past() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    let twice =
        r#"{"x":1,"io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/logLevel":"alert"}"#;
    let body = mcp::request(1, "tools/call", json!({"name": "echo", "arguments": {}, "_meta": "META"}));
    let answer = client.post(&body.replace("\"META\"", twice)).await;
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    for request in stage.upstream.requests_for("tools/call") {
        assert_eq!(request.json()["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
        assert!(!String::from_utf8_lossy(&request.body).contains("alert"));
    }
}

#[tokio::test]
async fn ids_of_clients_stay_theirs() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    for id in [json!(0), json!(-5), json!(9_007_199_254_740_993_i64), json!("a \"b\""), json!("narthex-1")] {
        let body = mcp::request(id.clone(), "tools/call", json!({"name": "echo", "arguments": {}}));
        assert_eq!(client.post(&body).await.json()["id"], id);
    }
    assert!(!stage.upstream.seen("narthex-1"));
}

#[tokio::test]
async fn a_session_works_at_every_gateway_with_the_same_keys() {
    let stage = Stage::start().await;
    let (idp, upstream) = (stage.idp.clone(), stage.upstream.clone());
    let second = Setup::default().between(idp, upstream, stage.server.clone()).await;
    let first = stage.open("2025-06-18", everything()).await;
    // Its tokens are for another address, so that the session alone is what they share.
    let mut there = first.at(second.gateway.address());
    there.token = second.token("/mcp", json!({}));
    stage.upstream.forget();
    let answer = there.call("echo", json!({"from": "afar"})).await;
    assert_eq!(answer["result"]["content"][0]["text"], r#"echo {"from":"afar"}"#);
    let call = stage.upstream.requests_for("tools/call").pop().unwrap();
    assert_eq!(
        reserved(&call)[1],
        json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
    );
    // And a conversation in mid-call, too, as long as it stays at one of them.
    let ask = json!({"method": "roots/list"});
    stage.server.next("tools/call", move |r| Answer::input_required(r, json!({"k": ask}), Value::Null));
    stage.next_text("done");
    let mut stream = there.begin_call().await;
    let asked = stream.message().await;
    assert_eq!(there.respond(&asked["id"], json!({"roots": []})).await.status, 202);
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_call_is_read_from_a_stream_as_well() {
    let stage = Stage::start().await;
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let feed = stage.next_stream();
        let mut answer = client.begin_call().await;
        let call = stage.upstream.wait_for_method("tools/call", 1).await.pop().unwrap();
        feed.event(completed(&call.json()["id"], "streamed"));
        drop(feed);
        let whole = answer.whole().await;
        assert_eq!(whole.tool_text().as_deref(), Some("streamed"), "{revision}: {}", whole.text());
        assert_eq!(whole.header("content-type"), Some("application/json"), "nothing came before it");
    }
}

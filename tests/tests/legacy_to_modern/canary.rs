//! Whatever a caller shows the gateway to prove who it is stays there, on bridged requests too.

use super::stage::{LEGACY, Stage, everything};
use super::standalone::Listens;
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

/// Header fields that nobody but the gateway may see.
const CARRIERS: [(&str, &str); 8] = [
    ("Cookie", "canary-cookie-7f3a9c"),
    ("Proxy-Authorization", "canary-proxy-7f3a9c"),
    ("DPoP", "canary-dpop-7f3a9c"),
    ("X-Api-Key", "canary-key-7f3a9c"),
    ("X-Forwarded-For", "canary-for-7f3a9c"),
    ("User-Agent", "canary-agent-7f3a9c"),
    ("Mcp-Param-Token", "canary-param-7f3a9c"),
    ("X-Anything", "canary-anything-7f3a9c"),
];

#[tokio::test]
async fn the_callers_token_never_reaches_a_server_of_the_other_era() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let mut needles = vec!["canary".to_owned()];
    for revision in LEGACY {
        let client = stage.open(revision, everything()).await;
        needles.extend(client.token.split('.').filter(|part| part.len() >= 20).map(str::to_owned));
        needles.push(client.session.clone());
        // A call that is retried with other headers, asks, and is answered.
        stage.server.next("tools/call", |r| Answer::failure(r, 400, -32020, "again", Value::Null));
        let ask = json!({"k": {"method": "roots/list"}});
        stage.server.next("tools/call", move |r| Answer::input_required(r, ask, json!("s")));
        stage.next_text("done");
        let mut stream = client.begin_call().await;
        let question = stream.message().await;
        client.respond(&question["id"], json!({"roots": []})).await;
        assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
        for (method, params) in [
            ("tools/list", json!({})),
            ("resources/subscribe", json!({"uri": "x:y"})),
            ("completion/complete", json!({"ref": {}})),
        ] {
            let answer = client.post_with(&CARRIERS, &mcp::request(7, method, params)).await;
            assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        }
        listens.next().await;
        let get = client.listen(None).await;
        assert_eq!(get.status, 200);
        // Where it does not belong, it is refused.
        let token = client.token.clone();
        let leaked = client.post(&mcp::tools_call("echo", json!({"token": token}))).await;
        assert_eq!(leaked.status, 400, "{}", leaked.text());
        client.delete().await;
    }
    for needle in needles {
        assert!(!stage.upstream.seen(&needle), "{needle} was seen by the upstream");
        assert!(!stage.gateway.output().contains(&needle), "{needle} was told to operators");
    }
    let accepted = |name: &str| {
        ["accept", "content-length", "content-type", "host", "x-request-id", "traceparent", "user-agent"]
            .contains(&name)
            || name.starts_with("mcp-")
    };
    for request in stage.upstream.requests() {
        for (name, _) in &request.headers.0 {
            assert!(accepted(&name.to_ascii_lowercase()), "{name} went upstream");
        }
    }
}

/// A token in what answers a question would go upstream in the call's retry.
#[tokio::test]
async fn a_token_in_an_answer_to_the_server_is_refused() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", everything()).await;
    let ask = json!({"k": {"method": "roots/list"}});
    stage.server.next("tools/call", move |r| Answer::input_required(r, ask, json!("s")));
    stage.next_text("done");
    let mut stream = client.begin_call().await;
    let question = stream.message().await;
    let uri = format!("file:///{}", client.token);
    let answer = client.respond(&question["id"], json!({"roots": [{"uri": uri}]})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    client.respond(&question["id"], json!({"roots": []})).await;
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
    assert!(!stage.upstream.seen(&client.token));
}

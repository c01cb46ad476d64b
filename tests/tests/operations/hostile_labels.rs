//! What callers make up never becomes a label.

use super::exposition::Exposition;
use super::stage::{Config, Stage};
use narthex_testkit::{RawClient, mcp};
use serde_json::{Value, json};

const MADE_UP: usize = 60;

/// One kind of request, with its number in whatever the caller can choose.
struct Kind {
    name: &'static str,
    request: fn(&Stage, usize) -> Vec<u8>,
}

fn post(stage: &Stage, body: &str) -> Vec<u8> {
    mcp::post("/tools", Some(&stage.token()), &[], body)
}

fn post_as(stage: &Stage, claims: Value) -> Vec<u8> {
    mcp::post("/tools", Some(&stage.token_with(claims)), &[], &mcp::tools_call("echo", json!({})))
}

fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "method",
            request: |stage, n| post(stage, &mcp::request(1, &format!("made/up{n}"), json!({}))),
        },
        Kind {
            name: "tool",
            request: |stage, n| post(stage, &mcp::tools_call(&format!("tool{n}\"}}\n"), json!({}))),
        },
        Kind { name: "tenant", request: |stage, n| post_as(stage, json!({"org_id": format!("tenant{n}")})) },
        Kind { name: "subject", request: |stage, n| post_as(stage, json!({"sub": format!("subject{n}")})) },
        Kind {
            name: "client",
            request: |stage, n| post_as(stage, json!({"client_id": format!("client{n}")})),
        },
        Kind { name: "scope", request: |stage, n| post_as(stage, json!({"scope": format!("scope{n}")})) },
        Kind {
            name: "issuer",
            request: |stage, n| post_as(stage, json!({"iss": format!("https://issuer{n}")})),
        },
        Kind {
            name: "audience",
            request: |stage, n| post_as(stage, json!({"aud": format!("https://aud{n}")})),
        },
        Kind { name: "path", request: |_, n| mcp::bodiless("GET", &format!("/path{n}"), None, &[]) },
        Kind {
            name: "route's path",
            request: |_, n| mcp::bodiless("GET", &format!("/tools/{n}"), None, &[]),
        },
        Kind { name: "HTTP method", request: |_, n| mcp::bodiless(&format!("M{n}"), "/tools", None, &[]) },
        Kind {
            name: "host",
            request: |_, n| format!("GET /tools HTTP/1.1\r\nHost: host{n}\r\n\r\n").into_bytes(),
        },
        Kind {
            name: "revision",
            request: |stage, n| {
                let revision = format!("2025-01-{n}");
                let headers = [("MCP-Protocol-Version", revision.as_str())];
                mcp::post("/tools", Some(&stage.token()), &headers, &mcp::request(1, "ping", json!({})))
            },
        },
        Kind { name: "token", request: |_, n| mcp::post("/tools", Some(&format!("made-up-{n}")), &[], "{}") },
        Kind {
            name: "origin",
            request: |stage, n| {
                let origin = format!("https://origin{n}.example.com");
                mcp::post("/tools", Some(&stage.token()), &[("Origin", &origin)], "{}")
            },
        },
    ]
}

async fn send(stage: &Stage, bytes: &[u8]) {
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    client.send(bytes).await.unwrap();
    client.response().await.unwrap();
}

/// Each kind may make the series of its own kind of request, and its later requests none.
#[tokio::test]
async fn made_up_names_make_no_series() {
    let limits = "    limits: { requests: 100000/1m, per: client }\n";
    let stage = Stage::with(&Config { route: limits.to_owned(), ..Config::new() }).await;
    for Kind { name, request } in kinds() {
        for number in 0..3 {
            send(&stage, &request(&stage, number)).await;
        }
        let before = Exposition::read(&stage.gateway.metrics().await).series;
        for number in 3..MADE_UP {
            send(&stage, &request(&stage, number)).await;
        }
        let after = Exposition::read(&stage.gateway.metrics().await).series;
        let new: Vec<_> = after.difference(&before).collect();
        assert!(new.is_empty(), "{name}: {new:#?}");
    }
}

/// Tools are known by their upstream's own list, up to a bound.
#[tokio::test]
async fn tools_are_known_by_the_upstreams_list_only() {
    let stage = Stage::new().await;
    let call = async |tool: &str| send(&stage, &post(&stage, &mcp::tools_call(tool, json!({})))).await;
    call("echo").await;
    send(&stage, &post(&stage, &mcp::request(1, "tools/list", json!({})))).await;
    call("echo").await;
    call("no-such-tool").await;
    let counted = |tool: &str| {
        format!("narthex_tool_calls_total{{code=\"200\",route=\"tools\",tenant=\"acme\",tool=\"{tool}\"}}")
    };
    assert_eq!(stage.gateway.metric(&counted("echo")).await, Some(1.0));
    assert_eq!(stage.gateway.metric(&counted("other")).await, Some(2.0));
}

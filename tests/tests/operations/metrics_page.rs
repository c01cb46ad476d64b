//! docs/metrics.md, held against the running gateway.

use super::exposition::Exposition;
use super::prometheus::promtool;
use super::repository::{quoted, read, table};
use super::stage::{Config, PATIENCE, Stage, eventually};
use narthex_testkit::{Answer, ConsentingUpstream, MockIdp, free_port, mcp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A gateway with something of everything that metrics count, and the traffic that counts it.
pub(super) async fn busy_gateway() -> Stage {
    let stage = Stage::new().await;
    let secret = stage.gateway.place().file("secret", MockIdp::CLIENT.1).display().to_string();
    let client = format!("client: {{ id: narthex, secret: {{ file: {secret} }} }}");
    let idp = stage.idp.issuer().to_owned();
    let consenting = ConsentingUpstream::start().await;
    let config = Config {
        issuer: format!("      introspection: {{ url: {idp}/introspect, {client} }}\n"),
        tenant_limits: "{ requests: 1000/1h, concurrent: 100 }".to_owned(),
        upstream: format!("    credential:\n      token_exchange: {{ token_url: {idp}/token, {client} }}\n"),
        auth: "  authority: { login: { users: [{ name: carol, tenant: acme }] } }\n".to_owned(),
        // Nobody answers at the pair, which is counted as well.
        upstreams: format!(
            "  own:\n    url: {}\n    credential: {{ authorization_code: {{}} }}\n  child:\n    command: [sh, -c, \"read line; sleep 2\"]\n  pair:\n    urls: [\"http://127.0.0.1:{}/one\", \"http://127.0.0.1:{}/two\"]\n",
            consenting.url(),
            free_port(),
            free_port()
        ),
        route: "    tools:\n      - match: [add]\n        limits: { requests: 1/1h, per: subject }\nstore: { memory: {} }\n"
            .to_owned(),
        routes: "  own: { path: /own, upstream: own }\n  child: { path: /child, upstream: child, scopes: [mcp:read] }\n  looked: { path: /looked, upstream: main, inspect: {} }\n".to_owned(),
        granted: ", own, child, looked".to_owned(),
        ..Config::new()
    };
    assert!(!stage.gateway.reload("server: {}\n").await);
    stage.reload(&config).await;
    make_traffic(&stage).await;
    ask_a_user(&stage).await;
    stage
}

/// Calls a tool of an upstream that its user has not connected.
async fn ask_a_user(stage: &Stage) {
    let (address, token) = (stage.gateway.address(), stage.idp.token(&stage.resource("/own")));
    let session = mcp::open_session(address, "/own", Some(&token), mcp::STATEFUL).await.unwrap();
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let call = mcp::tools_call("connect", json!({}));
    let asked = mcp::exchange(address, &mcp::post("/own", Some(&token), &headers, &call)).await.unwrap();
    assert!(asked.text().contains("/connect/"), "{}", asked.text());
    let told = mcp::get(address, "/oauth/authorize", None).await.unwrap();
    assert_eq!(told.status, 400, "{}", told.text());
}

async fn make_traffic(stage: &Stage) {
    let (token, address) = (stage.token(), stage.gateway.address());
    let call = async |token: Option<&str>, body: &str| {
        mcp::call(address, "/tools", token, body).await.unwrap().status
    };
    let add = mcp::tools_call("add", json!({"a": 1, "b": 2}));
    // Learns the tools' names first.
    assert_eq!(call(Some(&token), &mcp::request(1, "tools/list", json!({}))).await, 200);
    assert_eq!(call(Some(&token), &add).await, 200);
    assert_eq!(call(Some(&token), &add).await, 429, "limited");
    assert_eq!(call(None, &add).await, 401, "no token");
    let opaque = stage.idp.opaque_token(json!({
        "iss": stage.idp.issuer(), "sub": "bob", "aud": stage.resource("/tools"), "org_id": "acme", "scope": "mcp:read",
        "exp": 9_999_999_999_u64, "client_id": "agent-2",
    }));
    assert_eq!(call(Some(&opaque), &add).await, 200, "introspected");
    // The credential is refused once and renewed; a pooled connection is stale once.
    stage.upstream.next(Answer::status(401));
    assert_eq!(call(Some(&token), &mcp::request(1, "tools/list", json!({}))).await, 200, "renewed");
    stage.upstream.next(Answer::close());
    assert_eq!(call(Some(&token), &mcp::request(1, "tools/list", json!({}))).await, 200, "sent again");
    let endpoints = || async { stage.gateway.metrics().await.contains("narthex_upstream_endpoint_up{") };
    assert!(eventually(PATIENCE, endpoints).await.is_some(), "{}", stage.gateway.metrics().await);
    let probe = "narthex_store_operations_total{operation=\"probe\",result=\"ok\"}";
    stage.gateway.wait_for_metric(probe, |probes| probes == 1.0).await;
    stage.gateway.wait_for_metric("narthex_upstream_up{upstream=\"main\"}", |up| up == 1.0).await;
}

/// Makes the upstream an older server, in front of which a newer client's call is bridged.
async fn bridge_a_call(stage: &Stage) {
    stage.upstream.next(Answer::status(400));
    let headers = mcp::stateless_headers("tools/list", None);
    let body = mcp::stateless_request(5, "tools/list", json!({}));
    let call = mcp::post("/tools", Some(&stage.token()), &headers, &body);
    let bridged = mcp::exchange(stage.gateway.address(), &call).await.unwrap();
    assert_eq!(bridged.status, 200, "{}", String::from_utf8_lossy(&bridged.body));
}

/// Has a child process started, looked at and ended.
async fn run_a_child(stage: &Stage) {
    let token = stage.idp.token(&stage.resource("/child"));
    let headers = mcp::stateless_headers("tools/list", None);
    let body = mcp::stateless_request(5, "tools/list", json!({}));
    let call = mcp::post("/child", Some(&token), &headers, &body);
    let failed = mcp::exchange(stage.gateway.address(), &call).await.unwrap();
    assert_eq!(failed.status, 502, "{}", String::from_utf8_lossy(&failed.body));
    let exits = "narthex_child_exits_total{reason=\"exited\",upstream=\"child\"}";
    stage.gateway.wait_for_metric(exits, |exits| exits == 1.0).await;
}

/// Calls a tool, with a secret among its arguments, on the route where they are looked into.
async fn find_a_secret(stage: &Stage) {
    let (address, token) = (stage.gateway.address(), stage.idp.token(&stage.resource("/looked")));
    let session = mcp::open_session(address, "/looked", Some(&token), mcp::STATEFUL).await.unwrap();
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let call = mcp::tools_call("echo", json!({"text": "ghp_16C7e42F292c6912E7710c838347Ae178B4a"}));
    let called = mcp::exchange(address, &mcp::post("/looked", Some(&token), &headers, &call)).await.unwrap();
    assert_eq!(called.status, 200, "{}", called.text());
}

fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = table(&read("docs/metrics.md"), "Metrics");
    let row = |cells: Vec<String>| {
        let name = quoted(&cells[0]).remove(0);
        (name, (cells[1].clone(), quoted(&cells[2]).into_iter().collect()))
    };
    rows.into_iter().map(row).collect()
}

#[tokio::test]
async fn every_metric_is_as_it_is_documented_and_there_is_no_other() {
    let stage = busy_gateway().await;
    bridge_a_call(&stage).await;
    run_a_child(&stage).await;
    find_a_secret(&stage).await;
    let text = stage.gateway.metrics().await;
    let scraped = Exposition::read(&text);
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    let mut wrong = Vec::new();
    for (name, (kind, labels)) in &documented {
        if scraped.types.get(name) != Some(kind) {
            wrong.push(format!("{name}: documented as {kind}, is {:?}", scraped.types.get(name)));
        } else if scraped.labels.get(name) != Some(labels) {
            wrong.push(format!("{name}: documented with {labels:?}, has {:?}", scraped.labels.get(name)));
        }
    }
    let is_known = |name: &String| documented.contains_key(name) || name.starts_with("process_");
    wrong.extend(
        scraped.types.keys().filter(|name| !is_known(name)).map(|name| format!("{name}: not documented")),
    );
    assert!(wrong.is_empty(), "{}\n{text}", wrong.join("\n"));
    assert!(scraped.types.contains_key("process_resident_memory_bytes"), "{text}");
    promtool(&["check", "metrics"], Some(&text));
}

#[tokio::test]
async fn what_was_done_is_what_is_counted() {
    let stage = busy_gateway().await;
    let text = stage.gateway.metrics().await;
    for sample in [
        "narthex_http_requests_total{code=\"200\",method=\"tools/list\",route=\"tools\",tenant=\"acme\",upstream=\"main\"} 3",
        "narthex_http_requests_total{code=\"429\",method=\"tools/call\",route=\"tools\",tenant=\"acme\",upstream=\"-\"} 1",
        "narthex_http_requests_total{code=\"401\",method=\"other\",route=\"tools\",tenant=\"unknown\",upstream=\"-\"} 1",
        "narthex_tool_calls_total{code=\"200\",route=\"tools\",tenant=\"acme\",tool=\"add\"} 2",
        "narthex_tool_calls_total{code=\"429\",route=\"tools\",tenant=\"acme\",tool=\"add\"} 1",
        "narthex_rate_limited_total{limit=\"tool:add\",tenant=\"acme\"} 1",
        "narthex_upstream_retries_total{upstream=\"main\"} 1",
        "narthex_credential_renewals_total{upstream=\"main\"} 1",
        "narthex_config_reloads_total{result=\"error\"} 1",
        "narthex_config_reloads_total{result=\"ok\"} 2",
        "narthex_config_last_reload_successful 1",
        "narthex_inflight_requests{route=\"tools\"} 0",
        "narthex_open_streams{route=\"tools\"} 0",
        "narthex_upstream_breaker_open{upstream=\"main\"} 0",
        "narthex_access_log_dropped_total 0",
        "narthex_buffered_bytes 0",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample} is not in:\n{text}");
    }
}

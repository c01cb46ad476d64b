//! Whatever a caller shows the gateway to prove who it is stays there.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

/// Header fields that a client might put a secret into, none of which anybody but the gateway may see.
const CARRIERS: [&str; 34] = [
    "Cookie",
    "Cookie2",
    "Proxy-Authorization",
    "DPoP",
    "X-Api-Key",
    "Api-Key",
    "X-Auth-Token",
    "X-Access-Token",
    "X-Amz-Security-Token",
    "X-Goog-Api-Key",
    "X-Csrf-Token",
    "X-Client-Cert",
    "X-SSL-Client-Cert",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-User",
    "X-Forwarded-Access-Token",
    "X-Real-Ip",
    "X-Original-Url",
    "X-Rewrite-Url",
    "Forwarded",
    "Via",
    "Baggage",
    "User-Agent",
    "Referer",
    "From",
    "Signature",
    "Www-Authenticate",
    "Sec-Websocket-Protocol",
    "X-Anything",
];

/// A text that is nowhere else.
fn canary(place: &str) -> String {
    format!("Canary-{}-7f3a9c", place.to_ascii_lowercase())
}

/// What a test looks for, and everything that it was answered.
struct Watch<'a> {
    stage: &'a Stage,
    needles: Vec<String>,
    answers: Vec<String>,
}

impl<'a> Watch<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self { stage, needles: CARRIERS.iter().map(|name| canary(name)).collect(), answers: Vec::new() }
    }

    /// Looks for this token too, whole and in parts.
    fn token(&mut self, token: String) -> String {
        self.needles.extend(token.split('.').filter(|part| part.len() >= 20).map(str::to_owned));
        self.needles.push(token.clone());
        token
    }

    /// Sends a request that carries a canary wherever there is room for one.
    async fn send(
        &mut self,
        name: &str,
        verb: &str,
        token: &str,
        more: &[(&str, &str)],
        body: Option<&str>,
    ) -> u16 {
        let values: Vec<_> = CARRIERS.iter().map(|name| (*name, canary(name))).collect();
        let mut headers: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(more);
        let path = format!("/mcp?q={}&{}", canary("referer"), canary("x-anything"));
        let bytes = match body {
            Some(body) => mcp::post(&path, Some(token), &headers, body),
            None => mcp::bodiless(verb, &path, Some(token), &headers),
        };
        let answer = self.stage.send(&bytes).await;
        self.answers.push(format!("{name}: {}", whole(&answer)));
        answer.status
    }

    /// Looks everywhere.
    async fn look(self) {
        let told = self.stage.told_operators().await;
        let answers = self.answers.join("\n");
        let mut failures = Failures::default();
        for needle in self.needles {
            let lower = |text: &str| text.to_ascii_lowercase();
            failures
                .unless(!self.stage.upstream.seen(&needle), &needle, || "seen by the upstream".to_owned());
            failures
                .unless(!lower(&told).contains(&lower(&needle)), &needle, || "told to operators".to_owned());
            failures
                .unless(!lower(&answers).contains(&lower(&needle)), &needle, || "in an answer".to_owned());
        }
    }
}

fn call(tool: &str) -> String {
    mcp::tools_call(tool, json!({}))
}

#[tokio::test]
async fn nothing_that_a_caller_shows_is_passed_on_or_told() {
    let stage = Stage::start().await;
    let mut watch = Watch::new(&stage);
    let token = watch.token(stage.token());
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let session =
        mcp::open_session(stage.gateway.address(), "/mcp", Some(&token), mcp::STATEFUL).await.unwrap();
    let in_session = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let modern = mcp::stateless_headers("tools/call", Some("echo"));
    let modern_body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let initialized = mcp::notification("notifications/initialized", json!({}));

    let echo = call("echo");
    assert_eq!(watch.send("a call", "POST", &token, &[], Some(&echo)).await, 200);
    stage.upstream.next(Answer::sse_events(std::slice::from_ref(&message)));
    assert_eq!(watch.send("a stream", "POST", &token, &[], Some(&echo)).await, 200);
    assert_eq!(watch.send("2026-07-28", "POST", &token, &modern, Some(&modern_body)).await, 200);
    assert_eq!(
        watch.send("initialize", "POST", &token, &[], Some(&mcp::initialize("2025-06-18"))).await,
        200
    );
    assert_eq!(watch.send("a notification", "POST", &token, &in_session, Some(&initialized)).await, 202);
    let list = mcp::request(1, "tools/list", json!({}));
    assert_eq!(watch.send("a list", "POST", &token, &in_session, Some(&list)).await, 200);
    let batch = format!("[{echo}]");
    stage.upstream.next(Answer::json(200, json!([message])));
    assert_eq!(watch.send("a batch", "POST", &token, &[], Some(&batch)).await, 200);
    assert_eq!(watch.send("no stream", "GET", &token, &in_session, None).await, 405);
    stage.upstream.next(Answer::sse_events(&[message]));
    assert_eq!(watch.send("a GET stream", "GET", &token, &in_session, None).await, 200);
    assert_eq!(watch.send("a DELETE", "DELETE", &token, &in_session, None).await, 204);
    assert!(stage.upstream.count() >= 10);
    watch.look().await;
}

#[tokio::test]
async fn nothing_that_a_refused_caller_shows_is_passed_on_or_told() {
    let stage = Stage::start().await;
    let mut watch = Watch::new(&stage);
    let token = watch.token(stage.token());
    let claims = |claims: Value| stage.token_with(claims);
    let expired = watch.token(claims(json!({"exp": 1})));
    let stranger = watch.token(claims(json!({"org_id": "stranger"})));
    let scopeless = watch.token(claims(json!({"scope": ""})));
    let foreign = watch.token(stage.idp.token(&stage.resource("/other")));
    let opaque = watch.token(stage.idp.opaque_token(json!({})));
    let echo = call("echo");
    assert_eq!(watch.send("expired", "POST", &expired, &[], Some(&echo)).await, 401);
    assert_eq!(watch.send("another route", "POST", &foreign, &[], Some(&echo)).await, 401);
    assert_eq!(watch.send("opaque", "POST", &opaque, &[], Some(&echo)).await, 401);
    assert_eq!(watch.send("a stranger", "POST", &stranger, &[], Some(&echo)).await, 403);
    assert_eq!(watch.send("no scope", "POST", &scopeless, &[], Some(&echo)).await, 403);
    assert_eq!(watch.send("a tool's scope", "POST", &token, &[], Some(&call("add"))).await, 403);
    assert_eq!(watch.send("a hidden tool", "POST", &token, &[], Some(&call("whoami"))).await, 200);
    assert_eq!(watch.send("an origin", "POST", &token, &[("Origin", "null")], Some(&echo)).await, 403);
    assert_eq!(watch.send("a bad body", "POST", &token, &[], Some("{")).await, 400);
    assert_eq!(
        watch.send("a version", "POST", &token, &[("MCP-Protocol-Version", "1")], Some(&echo)).await,
        400
    );
    assert_eq!(watch.send("a session", "GET", &token, &[("Mcp-Session-Id", "x")], None).await, 404);
    assert_eq!(watch.send("PUT", "PUT", &token, &[], None).await, 405);
    assert_eq!(
        watch
            .send(
                "two tokens",
                "POST",
                &token,
                &[("Authorization", &format!("Bearer {expired}"))],
                Some(&echo)
            )
            .await,
        400
    );
    assert_eq!(stage.upstream.count(), 0);
    watch.look().await;
}

#[tokio::test]
async fn nothing_is_told_when_the_upstream_fails() {
    let stage = Stage::start().await;
    let mut watch = Watch::new(&stage);
    let token = watch.token(stage.token());
    for status in [301, 302, 400, 401, 403, 404, 418, 429, 500, 502, 503] {
        stage.upstream.next(Answer::status(status));
        watch.send(&format!("{status}"), "POST", &token, &[], Some(&call("echo"))).await;
    }
    for (name, answer) in [
        ("closed", Answer::close()),
        ("reset", Answer::reset()),
        ("a page", Answer::full(200, "text/html", "<html>")),
        ("not HTTP", Answer::raw("nonsense\r\n\r\n")),
    ] {
        stage.upstream.next(answer.then_close());
        watch.send(name, "POST", &token, &[], Some(&call("echo"))).await;
    }
    watch.look().await;
}

/// The caller's own token, wherever it does not belong.
#[tokio::test]
async fn a_token_out_of_its_place_goes_nowhere() {
    let stage = Stage::start().await;
    let mut watch = Watch::new(&stage);
    let token = watch.token(stage.token());
    let spaced = format!("x {token} y");
    let state = format!("vendor={token}");
    let mut failures = Failures::default();
    let modern = |more: (&'static str, &str)| -> Vec<(&'static str, String)> {
        let mut headers = mcp::stateless_headers("tools/call", Some("echo"));
        headers.retain(|(name, _)| *name != more.0);
        headers.into_iter().chain([more]).map(|(name, value)| (name, value.to_owned())).collect()
    };
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    for (name, headers) in [
        ("Mcp-Param", modern(("Mcp-Param-Region", &token))),
        ("Mcp-Param, amid other things", modern(("Mcp-Param-Region", &spaced))),
        ("Mcp-Name", modern(("Mcp-Name", &token))),
        ("Mcp-Method", modern(("Mcp-Method", &token))),
        ("MCP-Protocol-Version", modern(("MCP-Protocol-Version", &token))),
        ("tracestate", [modern(parent), vec![("tracestate", state)]].concat()),
        ("traceparent", modern(("traceparent", &token))),
        ("Last-Event-ID", modern(("Last-Event-ID", &token))),
        ("X-Request-Id", modern(("X-Request-Id", &token))),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
        let status = watch.send(name, "POST", &token, &headers, Some(&body)).await;
        failures.unless(status == 400, name, || format!("{status}"));
    }
    for (name, body) in bodies(&token) {
        let status = watch.send(name, "POST", &token, &[], Some(&body)).await;
        failures.unless(status == 400, name, || format!("{status}"));
    }
    let session = watch.send("Mcp-Session-Id", "GET", &token, &[("Mcp-Session-Id", &token)], None).await;
    failures.unless(session == 404, "Mcp-Session-Id", || session.to_string());
    let origin = watch.send("Origin", "POST", &token, &[("Origin", &token)], Some(&call("echo"))).await;
    failures.unless(origin == 403, "Origin", || origin.to_string());
    for path in [format!("/mcp/{token}"), format!("/{token}/mcp"), format!("/mcp?x={token}")] {
        let answer = stage.send(&mcp::bodiless("PUT", &path, Some(&token), &[])).await;
        watch.answers.push(whole(&answer));
    }
    failures
        .unless(stage.upstream.count() == 0, "upstream", || format!("{} requests", stage.upstream.count()));
    drop(failures);
    watch.look().await;
}

/// Everywhere in a body.
fn bodies(token: &str) -> Vec<(&'static str, String)> {
    let escaped: String = token.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect();
    let first = format!("\\u{:04x}{}", u32::from(token.as_bytes()[0]), &token[1..]);
    vec![
        ("body: an argument", mcp::tools_call("echo", json!({"token": token}))),
        ("body: amid an argument", mcp::tools_call("echo", json!({"header": format!("Bearer {token}")}))),
        ("body: a key", mcp::tools_call("echo", json!({token: 1}))),
        ("body: the tool", call(token)),
        ("body: the id", mcp::request(token, "tools/call", json!({"name": "echo"}))),
        ("body: the method", mcp::request(1, token, json!({}))),
        (
            "body: _meta",
            mcp::request(1, "tools/call", json!({"name": "echo", "_meta": {"progressToken": token}})),
        ),
        (
            "body: a member nobody knows",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":"{token}"}}"#),
        ),
        ("body: a bad message", format!(r#"{{"jsonrpc":"1.0","id":"{token}"}}"#)),
        ("body: not JSON", token.to_owned()),
        ("body: a version", mcp::initialize(token)),
        (
            "body: escaped",
            mcp::tools_call("echo", json!({"token": "T"})).replace("\"T\"", &format!("\"{escaped}\"")),
        ),
        (
            "body: one letter escaped",
            mcp::tools_call("echo", json!({"token": "T"})).replace("\"T\"", &format!("\"{first}\"")),
        ),
    ]
}

/// On a route that asks for no token, one that comes all the same is not read, and not passed on.
#[tokio::test]
async fn an_open_route_passes_no_token_on_either() {
    let stage = Stage::start().await;
    let mut watch = Watch::new(&stage);
    let token = watch.token(stage.token());
    let values: Vec<_> = CARRIERS.iter().map(|name| (*name, canary(name))).collect();
    let mut headers: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let second = format!("Bearer {token}");
    headers.push(("Authorization", &second));
    let answer = stage.send(&mcp::post("/open", Some(&token), &headers, &call("echo"))).await;
    assert_eq!(answer.status, 200, "{}", whole(&answer));
    watch.answers.push(whole(&answer));
    assert_eq!(stage.upstream.count(), 1);
    watch.look().await;
}

//! Sessions that are opened and left behind cost nothing for long.

use super::stage::{LATEST, Setup, Stage};
use narthex_testkit::{RawClient, mcp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SESSIONS: usize = 10_000;
/// After so many, all that is kept is there.
const WARM: usize = 2_000;
const CALLERS: usize = 300;
const CAP: usize = 1_000;
/// The allocator alone makes up to 1.7 MiB of difference on a busy machine. A leak of 1 KiB for each session
/// would be almost 8 MiB.
const GROWTH: u64 = 5 << 20;

const OPEN: &str = "narthex_bridge_sessions{side=\"client\"}";

/// Opens sessions and leaves, as one caller after the other; the id of the last.
async fn open_and_leave(stage: &Stage, tokens: &[String], sessions: std::ops::Range<usize>) -> String {
    let mut connection = RawClient::connect(stage.gateway.address()).await.unwrap();
    let params = json!({"protocolVersion": LATEST, "capabilities": {"roots": {}, "sampling": {}},
                        "clientInfo": {"name": "leaver", "version": "1"}});
    let body = mcp::request(0, "initialize", params);
    let mut last = String::new();
    for number in sessions {
        let token = &tokens[number % CALLERS];
        connection.send(mcp::post("/mcp", Some(token), &[], &body)).await.unwrap();
        let answer = connection.response().await.unwrap();
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        answer.header("mcp-session-id").expect("a session").clone_into(&mut last);
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sessions_left_behind_take_no_room() {
    let cap = format!("sessions: {CAP}");
    let stage = Setup::limits(&[&cap, "sessions_per_caller: 10", "session_idle: 30s"]).start().await;
    let tokens: Vec<_> =
        (0..CALLERS).map(|n| stage.token("/mcp", json!({"sub": format!("subject-{n}")}))).collect();
    let begun = Instant::now();
    let first = open_and_leave(&stage, &tokens, 0..1).await;
    open_and_leave(&stage, &tokens, 1..WARM).await;
    stage.upstream.forget();
    let warm = stage.gateway.resident_bytes().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let within = |open: f64| open > 0.0 && open <= CAP as f64;
    stage.gateway.wait_for_metric(OPEN, within).await;
    open_and_leave(&stage, &tokens, WARM..SESSIONS).await;
    let (end, took) = (stage.gateway.resident_bytes().unwrap(), begun.elapsed());
    println!(
        "{SESSIONS} sessions in {took:?}: {} KiB resident after {WARM}, {} KiB at the end",
        warm / 1024,
        end / 1024
    );
    assert!(end < warm + GROWTH, "{} KiB more for {} sessions", (end - warm) / 1024, SESSIONS - WARM);
    assert!(took < Duration::from_secs(120), "{took:?}");
    let open = stage.gateway.metric(OPEN).await.unwrap();
    assert!(within(open), "{open}");
    // The first of all was put aside long ago, and is taken up where it was left.
    let headers = [("Mcp-Session-Id", first.as_str()), ("MCP-Protocol-Version", LATEST)];
    let call = mcp::post("/mcp", Some(&tokens[0]), &headers, &mcp::tools_call("echo", json!({})));
    let answer = mcp::exchange(stage.gateway.address(), &call).await.unwrap();
    assert_eq!(answer.tool_text().as_deref(), Some("echo {}"), "{}", answer.text());
    let sent: Value = stage.upstream.requests_for("tools/call").pop().unwrap().json();
    let declared = &sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*declared, json!({"roots": {}, "sampling": {}}));
}

#[tokio::test]
async fn idle_sessions_are_put_aside_and_can_be_taken_up_again() {
    let stage = Setup::limits(&["session_idle: 5s"]).start().await;
    let client = stage.open(LATEST, json!({"roots": {}})).await;
    let listening = stage.open(LATEST, json!({})).await;
    let mut stream = listening.listen(None).await;
    assert_eq!(stream.status, 200);
    // What listens is in use.
    stage.gateway.wait_for_metric(OPEN, |open| open == 2.0).await;
    stage.gateway.wait_for_metric(OPEN, |open| open == 1.0).await;
    assert_eq!(client.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
    listening.delete().await;
    assert!(stream.ended().await);
    stage.gateway.wait_for_metric(OPEN, |open| open == 0.0).await;
}

//! Values that try to forge, break or flood the log.

use super::stage::{Stage, has_id};
use narthex_testkit::mcp;
use serde_json::{Value, json};

const FORGED: &str = "{\"decision\":\"allow\",\"request_id\":\"forged\"}";

/// Values that would do harm to a log that wrote them as they are.
fn values() -> Vec<(&'static str, String)> {
    vec![
        ("newline", format!("a\n{FORGED}\n")),
        ("carriage return", format!("a\r\n{FORGED}\r\n")),
        ("quotes", "a\",\"decision\":\"allow\",\"x\":\"".to_owned()),
        ("backslash", "a\\".to_owned()),
        ("escaped quote", "\\\",\"decision\":\"allow".to_owned()),
        ("ANSI", "\u{1b}[2J\u{1b}[31mowned\u{1b}[0m\u{7}".to_owned()),
        ("one-byte CSI", "\u{9b}31m".to_owned()),
        ("NUL", "a\0b".to_owned()),
        ("direction", "\u{202e}nimda\u{2066}".to_owned()),
        ("line separators", format!("a\u{2028}{FORGED}\u{2029}\u{85}{FORGED}")),
        ("invisible", "ad\u{200b}min\u{feff}\u{e0041}".to_owned()),
        ("long", "L".repeat(10 * 1024)),
        ("long and wide", "é\n".repeat(5 * 1024)),
        ("format", "{}{:?}%s%n${jndi:ldap://x}".to_owned()),
    ]
}

/// Requests with the value in each place that a caller has.
fn requests(stage: &Stage, value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let token = stage.token();
    let echo = mcp::tools_call("echo", json!({}));
    let post = |token: &str, body: &str| mcp::post("/tools", Some(token), &[], body);
    let as_claim = |claims: Value| post(&stage.token_with(claims), &echo);
    let header: String = value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).take(4096).collect();
    let path: String = value.bytes().take(6000).map(|byte| format!("%{byte:02x}")).collect();
    let raw_path: String = value.chars().filter(char::is_ascii_graphic).take(6000).collect();
    vec![
        ("tool", post(&token, &mcp::tools_call(value, json!({})))),
        ("method", post(&token, &mcp::request(1, value, json!({})))),
        ("id", post(&token, &mcp::request(value, "ping", json!({})))),
        ("subject", as_claim(json!({"sub": value}))),
        ("client", as_claim(json!({"client_id": value}))),
        ("tenant", as_claim(json!({"org_id": value}))),
        ("scope", as_claim(json!({"scope": value}))),
        ("issuer", as_claim(json!({"iss": value}))),
        ("path", mcp::bodiless("GET", &format!("/{path}"), None, &[])),
        ("raw path", mcp::bodiless("GET", &format!("/{raw_path}"), None, &[])),
        ("X-Request-Id", mcp::post("/tools", Some(&token), &[("X-Request-Id", &header)], &echo)),
        ("traceparent", mcp::post("/tools", Some(&token), &[("traceparent", &header)], &echo)),
        ("User-Agent", mcp::post("/tools", Some(&token), &[("User-Agent", &header)], &echo)),
        ("revision", mcp::post("/tools", Some(&token), &[("MCP-Protocol-Version", &header)], &echo)),
        ("session", mcp::post("/tools", Some(&token), &[("Mcp-Session-Id", &header)], &echo)),
        ("origin", mcp::post("/tools", Some(&token), &[("Origin", &header)], &echo)),
    ]
}

/// No character that a viewer of logs would act on.
fn assert_harmless(line: &str, name: &str) {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    assert!(!line.contains(acts), "{name}: {line:?}");
}

#[tokio::test]
async fn no_value_can_forge_break_or_flood_a_line() {
    let stage = Stage::new().await;
    let mut sent = Vec::new();
    for (value_name, value) in values() {
        for (place, request) in requests(&stage, &value) {
            let name = format!("{value_name} in {place}");
            let answer = mcp::exchange(stage.gateway.address(), &request)
                .await
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            let id = answer.header("x-request-id").map(str::to_owned);
            assert!(id.as_ref().is_none_or(|id| id.len() <= 64), "{name}: {id:?}");
            sent.push((name, answer.status, id));
        }
    }
    stage.wait_for_lines(sent.len(), |_| true).await;
    let lines = stage.access_log();
    assert_eq!(lines.len(), sent.len(), "one line for each request");
    for (line, (name, ..)) in lines.iter().zip(&sent) {
        assert_harmless(line, name);
        // Each of at most six texts that callers choose is cut to 256 characters, at worst escaped by 12 bytes each.
        assert!(line.len() < 20_000, "{name}: {} bytes", line.len());
        let line: Value = serde_json::from_str(line).unwrap();
        for (field, text) in line.as_object().unwrap().iter().filter_map(|(f, v)| Some((f, v.as_str()?))) {
            assert!(text.chars().count() <= 257, "{name}: {field} has {} characters", text.chars().count());
        }
        assert_ne!(line["request_id"], "forged", "{name}");
    }
    for (name, status, id) in sent.iter().filter(|(.., id)| id.is_some()) {
        let line = stage.wait_for_lines(1, has_id(id.as_ref().unwrap())).await.remove(0);
        assert_eq!(line["status"], *status, "{name}");
        assert_eq!(line["decision"] == "allow", line["upstream"] == "main", "{name}: {line}");
    }
    for line in stage.gateway.stderr().lines() {
        assert_harmless(line, "the gateway's own log");
        assert!(line.len() < 4096 && !line.starts_with('{'), "{line}");
    }
}

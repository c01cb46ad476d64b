//! The pins of a running gateway: on the admin listener, in its metrics, and with the command line beside it.

use super::cli::narthex;
use super::pins::{show, tool};
use super::stage::{PATIENCE, eventually};
use narthex_testkit::{GatewayProcess, RawResponse, mcp};
use serde_json::{Value, json};
use std::fs;

/// A gateway that, at its last run, has approved `add` of its upstream `demo`, and has seen it change.
async fn gateway() -> GatewayProcess {
    GatewayProcess::start(|place| {
        let (before, after) = ([tool("add", "Adds.")], [tool("add", "Adds all.")]);
        show(&place.dir().join("narthex.pins.json"), &place.dir().join("state"), &[&before, &after]);
        let server = place.server_yaml("");
        format!(
            "{server}auth: {{ embedded: development }}\npins: {{}}\n\
             tenants: {{ acme: {{ routes: [demo] }} }}\n\
             upstreams: {{ demo: {{ url: \"http://127.0.0.1:9/mcp\" }} }}\n\
             routes: {{ demo: {{ path: /mcp, upstream: demo }} }}\n"
        )
    })
    .await
}

async fn send(
    gateway: &GatewayProcess,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> RawResponse {
    let host = if headers.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    mcp::exchange(gateway.admin_address(), request.as_bytes()).await.unwrap()
}

async fn list(gateway: &GatewayProcess) -> Value {
    let answer = send(gateway, "GET", "/pins", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    serde_json::from_slice(&answer.body).unwrap()
}

fn approval(sha256: &str) -> String {
    json!({ "upstream": "demo", "tool": "add", "sha256": sha256 }).to_string()
}

const JSON: &str = "Content-Type: application/json";
const WAITING: &str = "narthex_quarantined_tools{upstream=\"demo\"}";

#[tokio::test]
async fn what_waits_is_shown_and_can_be_approved() {
    let gateway = gateway().await;
    let (before, after) = (tool("add", "Adds.").definition, tool("add", "Adds all.").definition);
    let all = list(&gateway).await;
    assert_eq!(
        all["pinned"],
        json!([{ "upstream": "demo", "tool": "add", "sha256": before.sha256(), "changed": true }])
    );
    let waiting = &all["quarantined"][0];
    assert_eq!((&waiting["why"], &waiting["sha256"]), (&json!("changed"), &json!(after.sha256())));
    assert!(waiting["diff"].as_str().unwrap().contains("  + Adds all.\n"), "{waiting}");
    let one = send(&gateway, "GET", "/pins/demo/add", &[], "").await;
    let one: Value = serde_json::from_slice(&one.body).unwrap();
    assert_eq!(one["approved"]["definition"]["description"], "Adds.");
    assert_eq!(one["quarantined"][0]["definition"]["description"], "Adds all.");
    assert_eq!(send(&gateway, "GET", "/pins/demo/sub", &[], "").await.status, 404);
    gateway.wait_for_metric(WAITING, |count| count == 1.0).await;
    let other = approval(&before.sha256());
    let pinned = send(&gateway, "POST", "/pins/approve", &[JSON], &other).await;
    assert_eq!(pinned.status, 204, "it is approved already, so nothing changes");
    let wrong = send(&gateway, "POST", "/pins/approve", &[JSON], &approval(&"0".repeat(64))).await;
    assert_eq!(wrong.status, 409, "{}", wrong.text());
    assert!(wrong.text().contains(&after.sha256()), "{}", wrong.text());
    let right = send(&gateway, "POST", "/pins/approve", &[JSON], &approval(&after.sha256())).await;
    assert_eq!((right.status, right.body.as_slice()), (204, &b""[..]));
    assert_eq!(list(&gateway).await["quarantined"], json!([]));
    gateway.wait_for_metric(WAITING, |count| count == 0.0).await;
    let file = fs::read_to_string(gateway.place().dir().join("narthex.pins.json")).unwrap();
    assert!(file.contains("Adds all."), "{file}");
    let log = gateway.output();
    assert!(log.contains("approved") && log.contains(&after.sha256()[..12]), "{log}");
    assert!(!log.contains("Adds all."), "what a definition says is not logged: {log}");
}

#[tokio::test]
async fn web_pages_are_refused() {
    let gateway = gateway().await;
    let body = approval(&tool("add", "Adds all.").definition.sha256());
    for (method, path, headers) in [
        ("GET", "/pins", &["Origin: http://localhost:9090"][..]),
        ("GET", "/pins", &["Host: evil.example:9090"]),
        ("GET", "/pins/demo/add", &["Host: evil.example"]),
        ("POST", "/pins/approve", &[JSON, "Origin: null"]),
        ("POST", "/pins/approve", &[JSON, "Host: evil.example"]),
        ("POST", "/pins/approve", &["Content-Type: text/plain"]),
        ("POST", "/pins/approve", &[]),
    ] {
        let answer = send(&gateway, method, path, headers, if method == "POST" { &body } else { "" }).await;
        assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
    }
    let address = format!("Host: {}", gateway.admin_address());
    assert_eq!(send(&gateway, "GET", "/pins", &[&address], "").await.status, 200);
    assert_eq!(list(&gateway).await["quarantined"].as_array().unwrap().len(), 1);
    // Not on the public listener either.
    let public = mcp::get(gateway.address(), "/pins", None).await.unwrap();
    assert_eq!(public.status, 404);
}

#[tokio::test]
async fn a_running_gateway_takes_up_what_the_command_line_approves() {
    let gateway = gateway().await;
    let sha256 = tool("add", "Adds all.").definition.sha256();
    let approved = narthex(gateway.place().dir(), &["pins", "approve", "demo", "add", "--sha256", &sha256]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    let taken_up = eventually(PATIENCE, async || {
        let all = list(&gateway).await;
        all["pinned"][0]["sha256"] == sha256.as_str() && all["quarantined"] == json!([])
    });
    assert!(taken_up.await.is_some(), "{}", gateway.output());
}

#[tokio::test]
async fn a_pins_file_that_breaks_or_goes_leaves_the_pins_as_they_were() {
    let gateway = gateway().await;
    let file = gateway.place().dir().join("narthex.pins.json");
    let good = fs::read_to_string(&file).unwrap();
    let failed = "narthex_config_reloads_total{result=\"error\"}";
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    gateway.wait_for_metric(failed, |count| count >= 1.0).await;
    assert_eq!(list(&gateway).await["pinned"].as_array().unwrap().len(), 1);
    fs::remove_file(&file).unwrap();
    gateway.wait_for_metric(failed, |count| count >= 2.0).await;
    assert_eq!(list(&gateway).await["pinned"].as_array().unwrap().len(), 1);
    fs::write(&file, "{\"upstreams\":{},\"version\":1}").unwrap();
    let emptied = eventually(PATIENCE, async || list(&gateway).await["pinned"] == json!([]));
    assert!(emptied.await.is_some(), "{}", gateway.output());
}

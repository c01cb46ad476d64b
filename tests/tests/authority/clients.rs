//! Clients that register themselves, and clients with documents, on the real binary.

use super::stage::{Stage, error};
use narthex_testkit::visitor::{destination, parameter};
use narthex_testkit::{RawResponse, mcp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn register(stage: &Stage, client: &Value) -> RawResponse {
    let request = mcp::post("/oauth/register", None, &[], &client.to_string());
    mcp::exchange(stage.gateway.address(), &request).await.unwrap()
}

#[tokio::test]
async fn dcr_flood_is_stopped() {
    let stage = Stage::with("    dynamic_registration: { rate: 5/1h }").await;
    let client = json!({"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"});
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(register(&stage, &client).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 5, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test]
async fn a_client_that_registered_is_asked_about_every_time() {
    let stage = Stage::with("    dynamic_registration: {}").await;
    let client = json!({"redirect_uris": ["http://127.0.0.1/cb"], "client_name": "Mine", "token_endpoint_auth_method": "none"});
    let id = register(&stage, &client).await.json()["client_id"].as_str().unwrap().to_owned();
    let path = stage.authorize(&[("client_id", &id), ("redirect_uri", "http://127.0.0.1:43210/cb")]);
    let mut ann = stage.visitor();
    let back = stage.approve(&mut ann, &path, "ann").await;
    assert!(back.starts_with("http://127.0.0.1:43210/cb?code="), "{back}");
    let page = ann.get(&path).await.unwrap();
    assert_eq!((page.status, destination(&page)), (200, None));
    assert!(page.text().contains("Mine"));
    let evil = register(&stage, &json!({"redirect_uris": ["https://evil.test/cb"]})).await;
    assert_eq!((evil.status, error(&evil).as_str()), (400, "invalid_redirect_uri"));
}

#[tokio::test]
async fn a_client_with_a_document_needs_no_registration_and_none_inside_is_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://127.0.0.1:{}/client.json", listener.local_addr().unwrap().port());
    let body =
        json!({"client_id": id, "client_name": "With Document", "redirect_uris": ["https://doc.example/cb"]})
            .to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let stage = Stage::with("    metadata_documents: { allow: ['*'], allow_loopback: true }").await;
    let path = stage.authorize(&[("client_id", &id), ("redirect_uri", "https://doc.example/cb")]);
    let back = stage.approve(&mut stage.visitor(), &path, "ann").await;
    assert!(parameter(&back, "code").is_some(), "{back}");
    let metadata = stage.visitor().get("/.well-known/oauth-authorization-server").await.unwrap().json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    for inside in [
        "https://169.254.169.254/latest",
        "http://10.0.0.1/c",
        "https://[::ffff:10.0.0.1]/c",
        "https://metadata.google.internal/x",
        "file:///etc/passwd",
    ] {
        let path = stage.authorize(&[("client_id", inside), ("redirect_uri", "https://doc.example/cb")]);
        let page = stage.visitor().get(&path).await.unwrap();
        assert_eq!((page.status, destination(&page)), (400, None), "{inside}");
    }
}

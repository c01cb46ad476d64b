//! Clients with a metadata document at a real https server, whose certificate is of a company's own authority.

use super::clients::CLIENTS;
use super::human::Human;
use super::programs::{Desk, assert_logged_in_and_out, texts};
use narthex_testkit::{Pki, free_port};

use narthex_tests::{Peer, installed, node};
use serde_json::json;
use std::process::Command;
use tempfile::TempDir;

const DOCUMENTS: &str = "    metadata_documents: { allow_loopback: true }\n";

/// The https server, and the authority of its certificate.
struct Documents {
    server: Peer,
    dir: TempDir,
}

impl Documents {
    async fn start() -> Self {
        let (pki, dir, port) = (Pki::new(), tempfile::tempdir().unwrap(), free_port());
        let (cert, key) = pki.leaf(&["localhost"]).write(dir.path(), "document");
        let _ = pki.write_ca(dir.path());
        let mut command = Command::new(node());
        command.arg(installed("oauth/document.mjs")).args(["--port", &port.to_string()]);
        command.arg("--cert").arg(cert).arg("--key").arg(key);
        Self { server: Peer::at(port, command).await, dir }
    }

    fn client_id(&self) -> String {
        format!("https://localhost:{}/client.json", self.server.port())
    }

    /// The PEM file of the authority.
    fn ca(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }
}

#[tokio::test]
async fn each_sdk_and_claude_code_are_known_by_a_document_at_an_https_server_that_the_gateway_trusts() {
    let documents = Documents::start().await;
    let id = documents.client_id();
    let desk = Desk::launched(DOCUMENTS, &[("SSL_CERT_FILE", &documents.ca())]).await;
    for client in &CLIENTS {
        let plan = json!({"url": desk.url(), "call": {"name": "test_simple_text", "arguments": {}}, "again": 1,
            "clientMetadataUrl": id});
        let seen = client.follows(&Human::without_browser(), plan).await;
        let said = || format!("{client:?}: {seen:#}\n{}", desk.gateway.output());
        assert_eq!(seen["registered"], *id, "{}", said());
        assert!(seen["call"].as_str().is_some_and(|text| text.contains("simple text")), "{}", said());
    }
    let seen = desk.claude_code(&["--document", &id]).await;
    assert_logged_in_and_out(&seen, &desk);
    let texts = texts(&seen["browser"]["pages"]);
    let asked = texts.first().copied().unwrap_or_default();
    assert!(asked.contains("Allow Documented") && asked.contains(&id), "{seen:#}");
    assert!(asked.contains("Runs on your device."), "{seen:#}");
    assert!(!desk.gateway.output().contains("/oauth/register"), "{}", desk.gateway.output());
}

#[tokio::test]
async fn a_document_at_an_https_server_of_an_unknown_authority_is_nobodys() {
    let documents = Documents::start().await;
    let desk = Desk::with(DOCUMENTS, None).await;
    let query = format!(
        "response_type=code&client_id={}&redirect_uri=http://localhost:1/callback&state=s&resource={}&\
         code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        documents.client_id(),
        desk.url(),
    );
    let url = format!("{}/oauth/authorize?{query}", desk.gateway.place().public_url());
    let visit = Human::without_browser().goes_to(&url).await;
    assert!(visit.pages[0].text.contains("does not know the application"), "{visit:#?}");
    desk.gateway.wait_for_output("client document not fetched", 1).await;
}

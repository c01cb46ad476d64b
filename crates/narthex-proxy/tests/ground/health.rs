//! Health checks, as a gateway starts them and a reload leaves them.

use super::door::{config, settings};
use super::upstream::Played;
use super::wire::{Wire, header};
use narthex_config::model::{Config, Credential, Endpoints, SecretRef, Transport, Upstream as Settings};
use narthex_credentials::secret::Secrets;
use narthex_identity::dpop::{Nonces, Seen};
use narthex_mcp::seal::Sealer;
use narthex_pins::Pins;
use narthex_proxy::{Gateway, Parts, Snapshot};
use narthex_telemetry::{AccessLog, Metrics};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// An upstream at `addrs` with a credential that must not show.
fn upstream(dir: &tempfile::TempDir, addrs: &[SocketAddr]) -> Settings {
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "canary").expect("a file");
    let mut urls = addrs.iter().map(|addr| format!("http://{addr}/mcp").parse().expect("a URL"));
    let endpoints = Endpoints { first: urls.next().expect("a URL"), others: urls.collect() };
    let value = SecretRef::File(secret);
    Settings {
        transport: Transport::Http(endpoints),
        credential: Credential::Header { name: "x-key".into(), value },
        ..settings("http://127.0.0.1:1/")
    }
}

fn snapshot(config: &Config, previous: Option<&Snapshot>, metrics: &Arc<Metrics>) -> Snapshot {
    let sealer = Arc::new(Sealer::new(vec![[7; 32]]).expect("a sealer"));
    let secrets = Arc::new(Secrets::default());
    let pins = Arc::new(Pins::preview(Path::new("pins.json"), Path::new(".")).expect("no pins"));
    let (nonces, proofs) = (Arc::new(Nonces::new(&[[7; 32]])), Arc::new(Seen::new(100)));
    let (credentials, documents) = (&narthex_credentials::Context::default(), Vec::new());
    let parts = Parts {
        previous,
        secrets,
        metrics,
        pins,
        sealer,
        nonces,
        proofs,
        credentials,
        documents,
        authority: None,
    };
    Snapshot::build(config, parts).expect("a snapshot")
}

/// Reads a check off the next connection and answers it.
async fn answer(endpoint: &Played, status: &str) {
    let mut wire: Wire = endpoint.accept().await;
    let head = wire.head().await.expect("a request");
    assert!(head.starts_with("options /mcp http/1.1\r\n"), "{head}");
    assert!(!head.contains("canary") && header(&head, "x-key").is_none(), "{head}");
    wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(wire.until_closed().await, 0, "nothing more comes, and the gateway closes");
}

#[tokio::test]
async fn a_gateway_checks_the_endpoints_of_an_upstream_that_has_several_and_no_other() {
    let (one, other, single) = (Played::bind().await, Played::bind().await, Played::bind().await);
    let dir = tempfile::tempdir().expect("a directory");
    let upstreams = |several: &[SocketAddr]| {
        let several = ("several".into(), upstream(&dir, several));
        config(BTreeMap::from([several, ("single".into(), upstream(&dir, &[single.addr]))]))
    };
    let metrics = Arc::new(Metrics::new("1", "r").expect("metrics"));
    let access_log = AccessLog::new(Box::new(std::io::sink()), metrics.access_log_dropped());
    let first = snapshot(&upstreams(&[one.addr, other.addr]), None, &metrics);
    let gateway = Gateway::new(first, Arc::clone(&metrics), Arc::new(access_log.expect("a log")));

    gateway.check_health();
    answer(&one, "405 Method Not Allowed").await;
    answer(&other, "503 Service Unavailable").await;
    gateway.check_health();

    // Only the one that is new is due at once after a reload.
    let new = Played::bind().await;
    let current = gateway.snapshot();
    let second = snapshot(&upstreams(&[new.addr, other.addr, one.addr]), Some(&current), &metrics);
    gateway.swap(second);
    gateway.check_health();
    answer(&new, "401 Unauthorized").await;
    assert!(!one.is_called() && !other.is_called() && !single.is_called(), "not due, or not of several");
}

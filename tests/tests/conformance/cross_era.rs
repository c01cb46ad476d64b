//! A client of one era, a server of the other: what the suite wants of the client's era has to come out
//! of a server that refuses that era.

use super::expected::{expected, surprises};
use narthex_tests::conformance::{STATEFUL, STATELESS, report, server};
use narthex_tests::{Front, servers};

#[tokio::test]
async fn a_server_without_sessions_serves_clients_that_want_them() {
    let peer = servers::modern_only().await;
    let (alone, _) = server(&peer.localhost_url("/mcp"), STATEFUL).await.scored();
    assert_eq!(alone, 0, "the server itself knows sessions");
    let front = Front::of(&peer.url("/mcp")).await;
    let through = server(&front.relayed("mcp"), STATEFUL).await.scored_only();
    assert_eq!(through.scored(), (30, 30), "{}\n{}", report(&through), front.gateway.output());
    assert_eq!(through.count("WARNING"), 0, "{}", report(&through));
}

#[tokio::test]
async fn a_server_with_sessions_serves_clients_that_have_none() {
    let peer = servers::legacy_only().await;
    let (alone, _) = server(&peer.localhost_url("/mcp"), STATELESS).await.scored();
    assert!(alone <= 1, "the server itself knows {STATELESS}: {alone} scenarios pass");
    let front = Front::of(&peer.url("/mcp")).await;
    let through = server(&front.relayed("mcp"), STATELESS).await.scored_only();
    let surprises = surprises(&through, &expected());
    assert!(surprises.is_empty(), "{}\n{}", surprises.join("\n"), front.gateway.output());
    assert_eq!(through.scored(), (35, 37), "{}", report(&through));
}

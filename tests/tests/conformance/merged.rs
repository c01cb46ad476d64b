//! A route of several upstreams whose names are left as they are: to the suite it is its first server,
//! check by check, whatever else is behind it.

use super::expected::{changes, expected, surprises};
use super::same_era::Figures;
use narthex_tests::conformance::{Outcome, STATEFUL, STATELESS, differences, report, server};
use narthex_tests::{Front, Peer, servers};
use std::fs;
use tempfile::TempDir;

#[tokio::test]
async fn with_sessions_the_python_server_is_the_same_beside_others() {
    // One of the others is a warning.
    let figures = Figures { scored: 30, passed: 81, failed: 0 };
    nothing_else_changes("python", &servers::python().await, STATEFUL, figures).await;
}

#[tokio::test]
async fn without_sessions_the_python_server_is_the_same_beside_others() {
    // All that fail are of the extension for tasks.
    let figures = Figures { scored: 37, passed: 165, failed: 29 };
    nothing_else_changes("python", &servers::python().await, STATELESS, figures).await;
}

#[tokio::test]
async fn a_server_with_sessions_only_is_the_same_beside_others() {
    let figures = Figures { scored: 30, passed: 80, failed: 0 };
    nothing_else_changes("legacy-only", &servers::legacy_only().await, STATEFUL, figures).await;
}

#[tokio::test]
async fn a_server_without_sessions_is_the_same_beside_others() {
    let figures = Figures { scored: 37, passed: 165, failed: 29 };
    nothing_else_changes("modern-only", &servers::modern_only().await, STATELESS, figures).await;
}

#[tokio::test]
async fn beside_others_a_server_without_sessions_serves_clients_that_want_them() {
    let peer = servers::modern_only().await;
    let (alone, merged, said) = both(&peer, STATEFUL).await;
    let (alone, merged) = (alone.scored_only(), merged.scored_only());
    let differences = differences(&alone, &merged);
    assert!(differences.is_empty(), "{}\n{said}", differences.join("\n"));
    assert_eq!(merged.scored(), (30, 30), "{}\n{said}", report(&merged));
    assert_eq!(merged.count("WARNING"), 0, "{}", report(&merged));
}

#[tokio::test]
async fn beside_others_a_server_with_sessions_serves_clients_that_have_none() {
    let peer = servers::legacy_only().await;
    let (alone, merged, said) = both(&peer, STATELESS).await;
    let (alone, merged) = (alone.scored_only(), merged.scored_only());
    let differences = differences(&alone, &merged);
    assert!(differences.is_empty(), "{}\n{said}", differences.join("\n"));
    let surprises = surprises(&merged, &expected());
    assert!(surprises.is_empty(), "{}\n{said}", surprises.join("\n"));
    assert_eq!(merged.scored(), (35, 37), "{}", report(&merged));
}

/// What the suite finds at the route of `peer` alone and at a merged one where it is the first, and what the
/// gateway of the latter said.
async fn both(peer: &Peer, revision: &str) -> (Outcome, Outcome, String) {
    let front = Front::of(&peer.url("/mcp")).await;
    let alone = server(&front.relayed("mcp"), revision).await;
    drop(front);
    let (other, _key) = other().await;
    let urls = (peer.url("/mcp"), other.url("/mcp"));
    let servers = [("first", &*urls.0, "auto"), ("other", &*urls.1, "auto")];
    let front = Front::merging(&servers, "{ prefix: none }").await;
    let merged = server(&front.relayed("mcp"), revision).await;
    (alone, merged, front.gateway.output())
}

/// All that changes on a merged route is what is expected to, and none of that is scored.
async fn nothing_else_changes(name: &str, peer: &Peer, revision: &str, figures: Figures) {
    let (alone, merged, said) = both(peer, revision).await;
    let changes = changes(&format!("{name} {revision}"), &alone, &merged);
    assert!(changes.is_empty(), "{}\n{said}", changes.join("\n"));
    figures.are_those_of(&merged);
    let (alone, merged) = (alone.scored_only(), merged.scored_only());
    let failing = |outcome: &Outcome| outcome.count("FAILURE");
    assert_eq!((failing(&alone), failing(&merged)), (0, 0), "{}", report(&merged));
}

/// The server of this repository, whose tools have other names; the directory has its key.
async fn other() -> (Peer, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, Front::KEY).unwrap();
    (servers::demo(&key).await, dir)
}

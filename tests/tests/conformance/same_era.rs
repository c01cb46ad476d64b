//! Client and server of the same era: the gateway is to make no difference, check by check.

use narthex_tests::conformance::{Outcome, STATEFUL, STATELESS, differences, report, server};
use narthex_tests::{Front, Peer, servers};

#[tokio::test]
async fn what_the_python_server_does_with_sessions_it_does_through_the_gateway() {
    nothing_changes(&servers::python().await, STATEFUL, Figures { scored: 30, passed: 84, failed: 0 }).await;
}

#[tokio::test]
async fn what_the_python_server_does_without_sessions_it_does_through_the_gateway() {
    // The 25 are of the extension for tasks, which no published server has.
    nothing_changes(&servers::python().await, STATELESS, Figures { scored: 37, passed: 169, failed: 25 })
        .await;
}

#[tokio::test]
async fn a_server_with_sessions_only_keeps_all_of_it_through_the_gateway() {
    nothing_changes(&servers::legacy_only().await, STATEFUL, Figures { scored: 30, passed: 84, failed: 0 })
        .await;
}

#[tokio::test]
async fn a_server_without_sessions_keeps_all_of_it_through_the_gateway() {
    nothing_changes(
        &servers::modern_only().await,
        STATELESS,
        Figures { scored: 37, passed: 164, failed: 30 },
    )
    .await;
}

#[tokio::test]
async fn none_of_it_is_open_to_a_client_without_a_token() {
    let front = Front::of(&servers::modern_only().await.url("/mcp")).await;
    let through = server(&front.url("mcp"), STATELESS).await;
    // Three are content with a refusal, whatever its reason.
    assert_eq!(through.scored(), (3, 37), "{}", report(&through));
}

/// What a run finds: scored scenarios, all of which pass, and checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) scored: usize,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Figures {
    /// Fails unless they are what `outcome` comes to.
    pub(crate) fn are_those_of(&self, outcome: &Outcome) {
        let (passing, scored) = outcome.scored();
        let (passed, failed) = (outcome.count("SUCCESS"), outcome.count("FAILURE"));
        let found = Self { scored, passed, failed };
        assert_eq!((passing, &found), (self.scored, self), "{}", report(outcome));
    }
}

async fn nothing_changes(peer: &Peer, revision: &str, expected: Figures) {
    let direct = server(&peer.localhost_url("/mcp"), revision).await;
    let front = Front::of(&peer.url("/mcp")).await;
    let through = server(&front.relayed("mcp"), revision).await;
    let differences = differences(&direct, &through);
    assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), front.gateway.output());
    expected.are_those_of(&through);
}

//! One scenario for clients, with the gateway between the suite's server and a client.

use narthex_tests::built;
use narthex_tests::conformance::{Scenario, client};

/// Runs `scenario` with a server of `revision` and a client of the same: all its checks have to pass,
/// as many as pass without the gateway.
pub(crate) async fn through_gateway(scenario: &str, revision: &str, passed: usize) {
    let found = between(scenario, revision, revision).await;
    assert!(found.passes() && found.count("SUCCESS") == passed, "{scenario}: {found:#?}");
}

/// What `scenario` finds with a server of `upstream` and a client of `downstream`.
pub(crate) async fn between(scenario: &str, upstream: &str, downstream: &str) -> Scenario {
    // The suite counts what a server is asked that it does not speak against its client.
    let protocol = if upstream == downstream { "auto" } else { upstream };
    let command = format!(
        "env NARTHEX_BIN={} {} --protocol {protocol} --as {downstream}",
        built("narthex").display(),
        env!("CARGO_BIN_EXE_through-gateway")
    );
    client(&command, scenario, upstream).await
}

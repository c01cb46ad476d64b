//! One scenario for clients, with the gateway between the suite's server and a client.

use narthex_tests::built;
use narthex_tests::conformance::client;

/// Runs `scenario` with a server of `upstream` and a client of `downstream`: all its checks have to
/// pass, as many as pass without the gateway.
pub(crate) async fn through_gateway(scenario: &str, upstream: &str, downstream: &str, passed: usize) {
    let command = format!(
        "env NARTHEX_BIN={} {} --as {downstream}",
        built("narthex").display(),
        env!("CARGO_BIN_EXE_through-gateway")
    );
    let found = client(&command, scenario, upstream).await;
    assert!(found.passes() && found.count("SUCCESS") == passed, "{scenario}: {found:#?}");
}

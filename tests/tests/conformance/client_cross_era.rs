//! The gateway as the client of the suite's servers, for a client of the other era: whatever the
//! servers find in a request, the gateway has made.

use super::clients::between;
use narthex_tests::conformance::{STATEFUL, STATELESS, Scenario, client};
use narthex_tests::installed;

#[tokio::test]
async fn servers_without_sessions_find_nothing_to_object_to_in_what_is_made_for_them() {
    let scenarios = [
        "tools_call",
        "request-metadata",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
    ];
    for scenario in scenarios {
        as_good_as_alone(scenario, STATELESS, STATEFUL).await;
    }
}

#[tokio::test]
async fn servers_with_sessions_find_nothing_to_object_to_in_what_is_made_for_them() {
    // The client asks `server/discover` first, and opens a session where that is refused.
    for scenario in ["initialize", "tools_call"] {
        as_good_as_alone(scenario, STATEFUL, STATELESS).await;
    }
}

/// What passes for a client of the era of `upstream` passes for one of `downstream` with the gateway
/// between. How often a check is made may differ: the gateway may ask more, or less.
async fn as_good_as_alone(scenario: &str, upstream: &str, downstream: &str) {
    let (alone, between) = (alone(scenario, upstream).await, between(scenario, upstream, downstream).await);
    assert!(alone.passes(), "{scenario}, without the gateway: {alone:#?}");
    assert!(between.passes(), "{scenario}: {between:#?}");
    let (wanted, found) = (alone.succeeded(), between.succeeded());
    assert!(wanted.is_subset(&found), "{scenario}: {wanted:?} is not all of {found:?}");
}

/// What `scenario` finds with a server and a client of `revision`, and no gateway.
async fn alone(scenario: &str, revision: &str) -> Scenario {
    let (python, script) = (installed(".venv/bin/python"), installed(".venv/conformance/client.py"));
    client(&format!("{} {}", python.display(), script.display()), scenario, revision).await
}

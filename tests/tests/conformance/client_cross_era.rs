//! The gateway as the client of the suite's servers, for a client of the other era: whatever the
//! servers find in a request, the gateway has made.

use super::clients::through_gateway;
use narthex_tests::conformance::{STATEFUL, STATELESS};

#[tokio::test]
async fn servers_without_sessions_find_nothing_to_object_to_in_what_is_made_for_them() {
    let scenarios = [
        ("tools_call", 2),
        ("request-metadata", 8),
        ("http-standard-headers", 9),
        ("http-custom-headers", 18),
        ("http-invalid-tool-headers", 12),
        ("json-schema-ref-no-deref", 1),
    ];
    for (scenario, passed) in scenarios {
        through_gateway(scenario, STATELESS, STATEFUL, passed).await;
    }
}

#[tokio::test]
async fn servers_with_sessions_find_nothing_to_object_to_in_what_is_made_for_them() {
    // The client asks `server/discover` first, and opens a session where that is refused.
    for (scenario, passed) in [("initialize", 1), ("tools_call", 2)] {
        through_gateway(scenario, STATEFUL, STATELESS, passed).await;
    }
}

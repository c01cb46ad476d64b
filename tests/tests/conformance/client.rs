//! The gateway as the client of the suite's servers: what it sends on for a client of the same era.
//!
//! Of the scenarios `auth/*`, those in which a client signs in to the upstream as itself.

use super::clients::{between, through_gateway};
use narthex_tests::conformance::{STATEFUL, STATELESS};

#[tokio::test]
async fn servers_with_sessions_find_nothing_to_object_to() {
    let scenarios =
        [("initialize", 1), ("tools_call", 2), ("elicitation-sep1034-client-defaults", 5), ("sse-retry", 3)];
    for (scenario, passed) in scenarios {
        through_gateway(scenario, STATEFUL, passed).await;
    }
}

#[tokio::test]
async fn servers_without_sessions_find_nothing_to_object_to() {
    let scenarios = [
        ("tools_call", 2),
        ("request-metadata", 8),
        ("sep-2322-client-request-state", 5),
        ("json-schema-ref-no-deref", 1),
    ];
    for (scenario, passed) in scenarios {
        through_gateway(scenario, STATELESS, passed).await;
    }
}

#[tokio::test]
async fn the_mirrors_in_the_header_are_what_servers_without_sessions_want() {
    let scenarios =
        [("http-standard-headers", 9), ("http-custom-headers", 18), ("http-invalid-tool-headers", 12)];
    for (scenario, passed) in scenarios {
        through_gateway(scenario, STATELESS, passed).await;
    }
}

#[tokio::test]
async fn the_gateway_signs_in_as_itself_where_the_server_says() {
    for (scenario, revision) in [
        ("auth/client-credentials-jwt", STATEFUL),
        ("auth/client-credentials-basic", STATEFUL),
        ("auth/client-credentials-jwt", STATELESS),
        ("auth/client-credentials-basic", STATELESS),
    ] {
        let found = between(scenario, revision, revision).await;
        assert!(found.passes() && found.count("SUCCESS") > 0, "{scenario} {revision}: {found:#?}");
    }
}

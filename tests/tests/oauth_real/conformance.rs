//! The conformance suite of the MCP project: its scenarios for authorization servers against the gateway's own, and
//! those for clients that log in against the gateway as a client of the suite's servers.

use super::human::Human;
use narthex_testkit::{GatewayProcess, free_port};
use narthex_tests::conformance::{Check, Outcome, STATEFUL, STATELESS, Scenario, client};
use narthex_tests::{built, installed, node};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn the_suite_finds_nothing_to_object_to_in_the_authorization_server() {
    let port = free_port();
    let gateway = GatewayProcess::start(|place| {
        format!(
            "{server}auth:\n  authority:\n    clients:\n      suite:\n        \
             redirect_uris: [\"http://127.0.0.1:{port}/callback\"]\n    grants:\n      - scopes: [mcp:read]\n    \
             login:\n      users:\n        - {{ name: alice, tenant: acme }}\n\
             tenants:\n  acme:\n    routes: [mcp]\nupstreams:\n  mcp:\n    url: http://127.0.0.1:9/mcp\n\
             routes:\n  mcp:\n    path: /mcp\n    upstream: mcp\n    scopes: [mcp:read]\n",
            server = place.server_yaml(""),
        )
    })
    .await;
    let issuer = gateway.place().public_url();
    let results = tempfile::tempdir().unwrap();
    let mut suite = Command::new(node());
    suite.arg(installed("node_modules/@modelcontextprotocol/conformance/dist/index.js")).arg("authorization");
    suite.args(["--url", &issuer, "--client-id", "suite", "--resource", &format!("{issuer}/mcp")]);
    suite.args(["--port", &port.to_string(), "-o"]).arg(results.path());
    let mut suite = suite.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(suite.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        printed.push_str(&line);
        printed.push('\n');
        let url = line.split_whitespace().find(|word| word.contains("/oauth/authorize?"));
        if let Some(url) = url {
            // The page of the suite is where it ends.
            Human::without_browser().goes_to(url).await;
        }
    }
    suite.wait().await.unwrap();
    let outcome = Outcome::read(results.path(), &printed);
    assert!(outcome.scenarios.len() == 2, "{printed}\n{}", gateway.output());
    for (name, scenario) in &outcome.scenarios {
        assert!(
            scenario.passes() && scenario.count("SKIPPED") == 0,
            "{name}: {scenario:#?}\n{}",
            gateway.output()
        );
    }
}

/// Runs `scenario` with a gateway whose `authorization_code` has `keys` in addition.
async fn connecting(scenario: &str, revision: &str, keys: &str) -> Scenario {
    let command = format!(
        "env NARTHEX_BIN={} {} --mode {} --client '{keys}'",
        built("narthex").display(),
        env!("CARGO_BIN_EXE_connect-through-gateway"),
        if revision == STATELESS { revision } else { "legacy" },
    );
    client(&command, scenario, revision).await
}

#[tokio::test]
async fn servers_of_2025_11_25_that_want_a_login_find_nothing_to_object_to() {
    for scenario in STATEFUL_LOGINS {
        let found = connecting(scenario, STATEFUL, "").await;
        assert!(found.passes(), "{scenario}: {found:#?}");
    }
}

const STATEFUL_LOGINS: &[&str] = &[
    "auth/pre-registration",
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
];

#[tokio::test]
async fn servers_of_2026_07_28_that_want_a_login_find_nothing_to_object_to() {
    for scenario in STATELESS_LOGINS {
        let found = connecting(scenario, STATELESS, "").await;
        assert!(found.passes(), "{scenario}: {found:#?}");
    }
}

const STATELESS_LOGINS: &[&str] = &[
    "auth/resource-mismatch",
    "auth/offline-access-scope",
    "auth/offline-access-not-supported",
    "auth/authorization-server-migration",
    "auth/iss-supported",
    "auth/iss-not-advertised",
    "auth/iss-supported-missing",
    "auth/iss-wrong-issuer",
    "auth/iss-unexpected",
    "auth/iss-normalized",
    "auth/metadata-issuer-mismatch",
];

#[tokio::test]
async fn an_upstream_of_enterprise_managed_authorization_finds_nothing_to_object_to() {
    for revision in [STATEFUL, STATELESS] {
        let found = connecting("auth/enterprise-managed-authorization", revision, "").await;
        assert!(found.passes(), "{revision}: {found:#?}");
        for leg in ["complete-flow-token-exchange", "complete-flow-jwt-bearer"] {
            let passed = |check: &&Check| check.id == leg && check.status == "SUCCESS";
            assert_eq!(found.checks.iter().filter(passed).count(), 1, "{revision}: {leg}: {found:#?}");
        }
    }
}

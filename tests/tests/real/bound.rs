//! Bound tokens of a real issuer, sent by libraries that others made: `oauth4webapi` and `dpop` of npm.

use super::peers::{Idp, JWT};
use narthex_testkit::{GatewayProcess, Place, RecordingUpstream};
use narthex_tests::{installed, node, run};
use serde_json::Value;
use std::process::Command;

/// A gateway whose only route takes nothing but tokens that are bound to a key.
async fn gateway(idp: &Idp, upstream: &RecordingUpstream, dpop: &str) -> GatewayProcess {
    let (issuer, url) = (idp.issuer(), upstream.url("/mcp"));
    GatewayProcess::start(|place: &Place| {
        format!(
            "{}auth:\n  dpop: {{ {dpop} }}\n  issuers: [{{ issuer: \"{issuer}\", tenant: {{ claim: org_id }} }}]\n\
             tenants: {{ acme: {{ routes: [main] }} }}\n\
             upstreams: {{ main: {{ url: \"{url}\", protocol: 2025-11-25 }} }}\n\
             routes: {{ main: {{ path: /mcp, upstream: main, auth: {{ sender_constrained: dpop }} }} }}\n",
            place.server_yaml("")
        )
    })
    .await
}

async fn client(idp: &Idp, gateway: &GatewayProcess, alg: &str) -> Value {
    let mut command = Command::new(node());
    command.arg(installed("dpop_client.mjs")).args(["--issuer", &idp.issuer(), "--alg", alg]);
    command.args(["--resource", &format!("{}/mcp", gateway.place().public_url())]);
    serde_json::from_str(&run(command).await).unwrap()
}

#[tokio::test]
async fn libraries_that_others_made_get_in_with_their_key_and_nobody_does_without() {
    let idp = Idp::start(JWT).await;
    let upstream = RecordingUpstream::start().await;
    for (dpop, nonces) in [("", 0), ("nonce: required", 1)] {
        let gateway = gateway(&idp, &upstream, dpop).await;
        for alg in ["ES256", "Ed25519"] {
            upstream.forget();
            let found = client(&idp, &gateway, alg).await;
            assert_eq!(found["token_type"], "dpop", "{alg}: {found}");
            assert_eq!(
                (&found["first"]["status"], &found["first"]["nonces"]),
                (&200.into(), &nonces.into()),
                "{alg}: {found}"
            );
            assert_eq!(
                (&found["second"]["status"], &found["second"]["nonces"]),
                (&200.into(), &0.into()),
                "{alg}: {found}"
            );
            assert_eq!(found["dpop"]["status"], 200, "{alg}: {found}");
            for (case, error) in [
                ("replayed", "invalid_dpop_proof"),
                ("as_bearer", "invalid_token"),
                ("without_proof", "invalid_dpop_proof"),
                ("other_key", "invalid_token"),
            ] {
                let challenge = found[case]["challenge"].as_str().unwrap_or_default();
                let told =
                    challenge.starts_with("DPoP ") && challenge.contains(&format!("error=\"{error}\""));
                assert!(found[case]["status"] == 401 && told, "{alg}, {case}: {found}");
            }
            assert_eq!(upstream.requests_for("tools/call").len(), 3, "{alg}");
        }
    }
}

//! The conformance suite's command for a client that logs in: the suite's server becomes an upstream that each user
//! has to connect, and a client is driven against the gateway whose user connects it.
//!
//! ```text
//! connect-through-gateway [--client KEYS] [--mode MODE] URL
//! ```
//!
//! `--client` has more keys for `credential.authorization_code` (flow style, with a comma first); a client that the
//! suite has registered for us is among them in any case. Where the suite has logged its user in at an identity
//! provider, the upstream is one for tokens of what that asserts (`id_jag`), and that login the user's last at the
//! gateway: the suite's identity provider has no page to log in at and publishes no key. `NARTHEX_BIN` has to name the gateway's binary.

use narthex_testkit::{GatewayProcess, Place};
use narthex_tests::{installed, logins, node};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, ExitCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    let Some(url) = args.pop() else {
        return ExitCode::FAILURE;
    };
    let option = |name| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let client = option("--client").map_or("", String::as_str);
    let mode = option("--mode").map_or("auto", String::as_str);
    let gateway = GatewayProcess::start(|place| yaml(place, &url, client)).await;
    let route = format!("{}/mcp", gateway.place().public_url());
    let human = json!([node(), installed("oauth/forms.mjs"), "--user", "alice"]).to_string();

    let mut token = Command::new(node());
    token.arg(installed("oauth/token.mjs")).args(["--resource", &route]).env("HUMAN", &human);
    let printed = tokio::process::Command::from(token).kill_on_drop(true).output().await;
    let printed = printed.map(|output| output.stdout).unwrap_or_default();
    let token: Value = serde_json::from_slice(&printed).unwrap_or_default();
    let token = token["access_token"].as_str().unwrap_or_default();

    let mut driver = Command::new(node());
    driver.arg(installed("oauth/connecting.mjs")).args(["--token", token, "--mode", mode, &route]);
    driver.env("HUMAN", &human);
    let ended = tokio::process::Command::from(driver).kill_on_drop(true).output().await;
    let (success, said) = ended.map_or((false, String::new()), |output| {
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    });
    if success && std::env::var_os("NARTHEX_TELL").is_none() {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(std::io::stderr(), "the client said:\n{said}\nthe gateway said:\n{}", gateway.output());
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the suite tells of its scenario.
fn context() -> Value {
    serde_json::from_str(&std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default()).unwrap_or_default()
}

/// The client that the suite has registered, if it has.
fn registered(place: &Place, context: &Value) -> String {
    match (context["client_id"].as_str(), context["client_secret"].as_str()) {
        (Some(id), Some(secret)) => {
            let secret = place.file("suite-secret", secret);
            format!(", client: {{ id: {id}, secret: {{ file: {} }} }}", secret.display())
        }
        _ => String::new(),
    }
}

/// An identity provider at which the suite has logged its user in, if it has: more of `login:`, and the credential.
fn asserted(place: &Place, context: &Value, registered: &str) -> Option<(String, String)> {
    let said = |name: &str| context[name].as_str();
    let (issuer, token_url) = (said("idp_issuer")?, said("idp_token_endpoint")?);
    logins::remember(place, "acme", "local|alice", said("idp_id_token")?);
    let secret = place.file("idp-secret", "a secret that nobody looks at");
    let client =
        format!("client: {{ id: {}, secret: {{ file: {} }} }}", said("idp_client_id")?, secret.display());
    let login = format!(
        "      providers:\n        corp: {{ issuer: '{issuer}', {client}, claims: {{ tenant: {{ value: acme }} }} }}\n"
    );
    let server = registered.trim_start_matches(", ");
    let credential = format!(
        "id_jag: {{ identity_provider: {{ token_url: '{token_url}', {client} }}, authorization_server: {{ {server} }} }}"
    );
    Some((login, credential))
}

fn yaml(place: &Place, url: &str, client: &str) -> String {
    let context = context();
    let registered = registered(place, &context);
    let (login, credential) = asserted(place, &context, &registered).unwrap_or_else(|| {
        let code = format!("authorization_code: {{ title: The Suite{client}{registered} }}");
        (String::new(), code)
    });
    // Some scenarios are of servers that nobody can connect: there is nothing to wait for.
    format!(
        "{server}auth:\n  authority:\n    dynamic_registration: {{}}\n    grants:\n      - scopes: [mcp:read]\n    \
         login:\n      users:\n        - {{ name: alice, tenant: acme }}\n{login}\
         tenants:\n  acme:\n    routes: [mcp]\n\
         upstreams:\n  mcp:\n    url: {url}\n    credential:\n      {credential}\n\
         routes:\n  mcp:\n    path: /mcp\n    upstream: mcp\n    scopes: [mcp:read]\n",
        server = place.server_yaml("  limits: { suspend_timeout: 1s }\n"),
    )
}

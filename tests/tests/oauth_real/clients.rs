//! The SDKs' clients, which are given a URL and find everything else: who issues tokens, how to register, where to
//! send their user.

use super::human::Human;
use super::providers::Provider;
use super::stage::Company;
use narthex_tests::{installed, node, run};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// A client that others made, with the programs of `tests/real/oauth`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    name: &'static str,
    program: &'static str,
    script: &'static str,
    revision: &'static str,
}

pub(crate) const CLIENTS: [Client; 3] = [
    Client { name: "typescript", program: "node", script: "oauth/typescript.mjs", revision: "2026-07-28" },
    Client {
        name: "python 2",
        program: ".venv/bin/python",
        script: "oauth/python_2.py",
        revision: "2026-07-28",
    },
    Client {
        name: "python 1",
        program: ".venv-legacy/bin/python",
        script: "oauth/python_1.py",
        revision: "2025-11-25",
    },
];

impl Client {
    /// Logs in, and does what `plan` says; what it saw.
    pub(crate) async fn follows(&self, human: &Human, mut plan: Value) -> Value {
        plan["human"] = human.command().into();
        let program: PathBuf = if self.program == "node" { node() } else { installed(self.program) };
        let mut command = Command::new(program);
        command
            .arg(installed(self.script))
            .env("OAUTH", plan.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let printed = run(command).await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{}: {error}: {printed}", self.name))
    }
}

fn plan(company: &Company) -> Value {
    json!({"url": company.url(), "call": {"name": "test_simple_text", "arguments": {}}, "again": 1})
}

fn assert_called(client: &Client, seen: &Value, company: &Company) {
    let said = || format!("{}: {seen:#}\n{}", client.name, company.gateway.output());
    assert_eq!(seen["protocolVersion"], client.revision, "{}", said());
    assert!(seen["call"].as_str().is_some_and(|text| text.contains("simple text")), "{}", said());
    assert_eq!(seen["scope"], "mcp:read", "{}", said());
}

#[tokio::test]
async fn each_sdk_finds_registers_logs_in_and_calls_with_no_help() {
    let company = Company::at(Provider::OidcProvider, "    dynamic_registration: {}\n").await;
    for client in &CLIENTS {
        let seen = client.follows(&Human::without_browser(), plan(&company)).await;
        assert_called(client, &seen, &company);
    }
}

#[tokio::test]
async fn each_sdk_logs_its_user_in_at_glewlwyd_with_a_real_browser() {
    let company = Company::at(Provider::Glewlwyd, "    dynamic_registration: {}\n").await;
    for client in &CLIENTS {
        let seen = client.follows(&Human::at_chromium(), plan(&company)).await;
        assert_called(client, &seen, &company);
    }
}

#[tokio::test]
async fn a_client_that_was_registered_before_need_not_register() {
    let clients = "    clients:\n      agent:\n        name: The Agent\n        \
                   redirect_uris: [\"http://127.0.0.1/callback\"]\n";
    let company = Company::at(Provider::OidcProvider, clients).await;
    for client in &CLIENTS {
        let mut plan = plan(&company);
        plan["client"] = json!({"client_id": "agent"});
        let seen = client.follows(&Human::without_browser(), plan).await;
        assert_called(client, &seen, &company);
        assert_eq!(seen["registered"], "agent");
    }
}

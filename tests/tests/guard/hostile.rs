//! A hundred and more hostile texts through the gateway, between clients and upstreams of both eras, each with what
//! becomes of it. The table is docs/hostile.md.

use super::client::Client;
use super::server::{Era, Server, message};
use super::stage::{Setup, Stage, tool};
use crate::data::{DATA, Want};
use crate::definitions::{DEFINITIONS, HIDDEN};
use narthex_testkit::Answer;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Arc, Mutex};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hostile.md");

const INTRODUCTION: &str = "# Hostile texts

What becomes of hostile definitions, results and arguments on a route with [content inspection](inspection.md). This table
is written by a test (`tests/tests/guard/hostile.rs`), which sends each of them through the gateway, from servers of
2025-11-25 and 2026-07-28 to clients of both, and sees what comes out at the other end. It is the same for all of them.

| verdict | what |
|---|---|
| quarantined | The tool is in no list, and unknown when called, until somebody [approves](pins.md) exactly this definition. |
| stripped | What nobody sees is taken out, and the rest passes. |
| redacted | `[redacted:<name>]` stands in its place, and the rest passes. |
| refused | Nothing of it passes: the client gets an error, and of arguments the server gets nothing. |
| reported | It passes as it is. It is in the log and counted, as is everything above. |
| passes | It passes as it is, and is not looked for. |
";

/// What two kinds of route do.
const ROUTE: &str = "    inspect: { secrets: redact, personal: redact }\n";
const DEFAULT: &str = "    inspect: {}\n";

#[tokio::test]
async fn every_hostile_text_gets_the_verdict_that_is_documented() {
    let mut table = INTRODUCTION.to_owned();
    let defined = definitions().await;
    write!(table, "\n## Instructions in definitions\n\n| text | what | verdict |\n|---|---|---|\n").unwrap();
    for ((name, _, detail), verdict) in DEFINITIONS.iter().zip(&defined) {
        writeln!(table, "| {name} | `{detail}` | {verdict} |").unwrap();
    }
    write!(table, "\n## Hidden text in definitions\n\n| text | what | verdict |\n|---|---|---|\n").unwrap();
    for ((name, _, _, kind, _), verdict) in HIDDEN.iter().zip(&defined[DEFINITIONS.len()..]) {
        writeln!(table, "| {name} | `{kind}` | {verdict} |").unwrap();
    }
    let (usual, strict) = (all_data(DEFAULT).await, all_data(ROUTE).await);
    table.push_str(
        "\n## Results and arguments\n\nWith the defaults, and with `secrets: redact` and `personal: redact`.\n\n\
         | text | what | result | argument | result, redacting | argument, redacting |\n|---|---|---|---|---|---|\n",
    );
    for (((name, _, kind, _), usual), strict) in DATA.iter().zip(usual).zip(strict) {
        let [result, argument] = usual;
        let [result_strict, argument_strict] = strict;
        writeln!(
            table,
            "| {name} | `{kind}` | {result} | {argument} | {result_strict} | {argument_strict} |"
        )
        .unwrap();
    }
    println!("{table}");
    assert!(DEFINITIONS.len() + HIDDEN.len() + DATA.len() >= 100);
    if std::env::var_os("UPDATE_HOSTILE").is_some() {
        fs::write(DOCUMENT, &table).unwrap();
    }
    let committed = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(committed == table, "docs/hostile.md is stale: run with UPDATE_HOSTILE=1");
}

/// The verdicts on all definitions, each the description of a tool, a part of its schema, and its title.
async fn definitions() -> Vec<&'static str> {
    let texts = || DEFINITIONS.iter().map(|case| case.1).chain(HIDDEN.iter().map(|case| case.1));
    let mut tools = Vec::new();
    for (number, text) in texts().enumerate() {
        tools.push(tool(&format!("d{number}"), text));
        let mut schema = tool(&format!("s{number}"), "Adds.");
        schema["inputSchema"]["properties"]["x"] = serde_json::json!({"type": "string", "description": text});
        tools.push(schema);
        let mut title = tool(&format!("t{number}"), "Adds.");
        title["title"] = text.into();
        tools.push(title);
    }
    tools.push(tool("fine", "Adds."));
    let stage = Setup::route(DEFAULT).start(&tools).await;
    let mut verdicts: Vec<Option<&str>> = vec![None; texts().count()];
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            let shown = client.list("tools").await;
            assert_eq!(shown.last().unwrap()["name"], "fine");
            let waiting = stage.waiting(&path[1..]).await;
            for (number, text) in texts().enumerate() {
                for (place, pointer) in
                    [("d", "/description"), ("s", "/inputSchema/properties/x/description"), ("t", "/title")]
                {
                    let name = format!("{place}{number}");
                    let found = shown.iter().find(|tool| tool["name"] == *name);
                    let waits = waiting.iter().any(|waits| waits.0 == name && waits.1 == "suspicious");
                    let verdict = match found.map(|tool| tool.pointer(pointer).unwrap()) {
                        None if waits => "quarantined",
                        Some(seen) if seen == text => "passes",
                        Some(seen) if is_stripped(number, seen) => "stripped",
                        other => panic!("{path} {name} {text}: {other:?}"),
                    };
                    let known = *verdicts[number].get_or_insert(verdict);
                    assert_eq!(verdict, known, "{path} {:?} {name}: {text}", client.era);
                }
            }
            let called = client.call("d0", serde_json::json!({})).await;
            assert_eq!(called["error"]["code"], -32602, "{called}");
        }
        assert_eq!(server.calls(), 0);
    }
    let verdicts: Vec<_> = verdicts.into_iter().map(Option::unwrap).collect();
    assert!(verdicts[..DEFINITIONS.len()].iter().all(|verdict| *verdict == "quarantined"));
    assert!(!verdicts.contains(&"passes"));
    verdicts
}

fn is_stripped(number: usize, seen: &Value) -> bool {
    number.checked_sub(DEFINITIONS.len()).is_some_and(|at| *seen == HIDDEN[at].2)
}

/// The verdicts on all texts, as results and as arguments.
async fn all_data(route: &'static str) -> Vec<[&'static str; 2]> {
    let stage = Setup::route(route).start(&[tool("get", "Gets.")]).await;
    let mut verdicts: Vec<Option<[&str; 2]>> = vec![None; DATA.len()];
    for (path, server) in stage.servers() {
        let said = Arc::new(Mutex::new(""));
        let saying = Arc::clone(&said);
        server.rule(move |request| {
            (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
                let text = *saying.lock().unwrap();
                let members = format!("\"content\":[],\"structuredContent\":{{\"v\":{text}}}");
                Answer::full(200, "application/json", message(request, &members))
            })
        });
        for client in stage.clients(path).await {
            for (number, (name, text, kind, want)) in DATA.iter().enumerate() {
                *said.lock().unwrap() = text;
                let result = result(&stage, path, &client, (text, kind, want)).await;
                *said.lock().unwrap() = "0";
                let argument = argument(&stage, server, &client, (text, kind, want)).await;
                let known = *verdicts[number].get_or_insert([result, argument]);
                assert_eq!([result, argument], known, "{path} {:?}: {name}", client.era);
            }
        }
    }
    verdicts.into_iter().map(Option::unwrap).collect()
}

type Case<'c> = (&'c str, &'c str, &'c Want);

async fn result(stage: &Stage, path: &str, client: &Client, case: Case<'_>) -> &'static str {
    let before = stage.reported(&path[1..]).await;
    let answer = client.call_with("get", "{}").await;
    let body = answer.text();
    let message = answer.rpc();
    if message["result"].is_null() {
        assert!(message["error"]["code"].is_i64(), "{body}");
        return "refused";
    }
    let verdict = verdict(&body, case);
    with_report(verdict, stage.reported(&path[1..]).await > before)
}

async fn argument(stage: &Stage, server: &Server, client: &Client, case: Case<'_>) -> &'static str {
    let route = if server.era == Era::Modern { "modern" } else { "legacy" };
    let before = stage.reported(route).await;
    let asked = server.calls();
    let answer = client.call_with("get", &format!("{{\"v\":{}}}", case.0)).await;
    if server.calls() == asked {
        let fault = answer.rpc()["error"]["code"].is_i64() || (400..500).contains(&answer.status);
        assert!(fault, "{} {}", answer.status, answer.text());
        return "refused";
    }
    let sent = server.last_call();
    let verdict = verdict(&String::from_utf8_lossy(&sent.body), case);
    with_report(verdict, stage.reported(route).await > before)
}

fn with_report(verdict: &'static str, reported: bool) -> &'static str {
    match verdict {
        "passes" if reported => "reported",
        "stripped" if reported => "stripped, and reported",
        _ => verdict,
    }
}

/// What has become of the text in `body`.
fn verdict(body: &str, (text, kind, want): Case<'_>) -> &'static str {
    match want {
        Want::Changed(changed) if body.contains(&format!("\"v\":{changed}")) => {
            if changed.contains("[redacted:") { "redacted" } else { "stripped" }
        }
        _ if body.contains(&format!("\"v\":{text}")) => "passes",
        // A secret that hidden text was to hide.
        _ if body.contains(&format!("\"v\":{}", text.replace("\\u200b", ""))) => "stripped",
        _ => panic!("{kind}: neither {text} nor {want:?}: {body}"),
    }
}

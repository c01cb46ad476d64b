//! A definition that changes: hidden from all, unknown, told of, and nobody else's trouble.

use super::client::Client;
use super::server::Era;
use super::stage::{ERAS, Setup, Stage, tool, two};
use serde_json::{Value, json};

const TRUST: &str = "{ mode: trust-on-first-use }";

/// What a server may do to a tool, by the member that it changes.
fn changes() -> Vec<(&'static str, Value)> {
    let mut full = tool("mul", "Multiplies.");
    full["title"] = "Mul".into();
    full["annotations"] = json!({"readOnlyHint": true});
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut tool = full.clone();
        change(&mut tool);
        tool
    };
    vec![
        ("nothing", full.clone()),
        ("description", changed(&|tool| tool["description"] = "Multiplies. Canary-4711.".into())),
        (
            "inputSchema",
            changed(&|tool| tool["inputSchema"]["properties"] = json!({"x": {"type": "string"}})),
        ),
        ("outputSchema", changed(&|tool| tool["outputSchema"] = json!({"type": "object"}))),
        ("annotations", changed(&|tool| tool["annotations"] = json!({"readOnlyHint": false}))),
        ("title", changed(&|tool| tool["title"] = "Canary-4711".into())),
    ]
}

#[tokio::test]
async fn a_tool_that_changes_is_unknown_to_everybody_until_it_is_as_it_was() {
    let (mut changes, add) = (changes(), tool("add", "Adds."));
    let good = changes.remove(0).1;
    let stage = Setup::pins(TRUST).start(&[add.clone(), good.clone()]).await;
    for (path, server) in stage.servers() {
        let clients = stage.clients(path).await;
        for client in &clients {
            assert_eq!(client.tools().await, ["add", "mul"]);
        }
        for (member, bad) in &changes {
            let mut ears = [clients[0].listen().await, clients[1].listen().await];
            server.tools(&[add.clone(), bad.clone()]);
            server.changed().await;
            for (client, ear) in clients.iter().zip(&mut ears) {
                ear.hears("notifications/tools/list_changed").await;
                stage.shows(client, &["add"]).await;
                let asked = server.calls();
                let hidden = client.answer("tools/call", json!({"name": "mul", "arguments": {}})).await;
                let unknown = client.answer("tools/call", json!({"name": "nope", "arguments": {}})).await;
                assert_eq!(hidden.rpc()["error"]["code"], -32602, "{path} {member}");
                let text = unknown.text().replace("nope", "mul");
                assert_eq!((hidden.status, hidden.text()), (unknown.status, text), "{path} {member}");
                assert_eq!(server.calls(), asked, "{path} {member}: the upstream is not asked");
                assert!(client.call("add", json!({})).await["result"].is_object(), "{path} {member}");
            }
            stage.waits(&path[1..], 1).await;
            let all = stage.admin().await;
            let waiting = &all["quarantined"][0];
            assert_eq!((&waiting["tool"], &waiting["why"]), (&json!("mul"), &json!("changed")), "{all}");
            assert!(waiting["diff"].as_str().unwrap().contains(member), "{member}: {waiting}");
            server.tools(&[add.clone(), good.clone()]);
            server.changed().await;
            for (client, ear) in clients.iter().zip(&mut ears) {
                ear.hears("notifications/tools/list_changed").await;
                stage.shows(client, &["add", "mul"]).await;
            }
            // What waits stays until it was not seen for a day.
            forget(&stage, path, &clients).await;
        }
    }
    let log = stage.gateway.output();
    let event =
        |line: &&str| line.contains("quarantined") && line.contains("security") && line.contains("mul");
    assert!(log.lines().any(|line| event(&line)), "{log}");
    assert!(!log.contains("Canary-4711"), "{log}");
}

/// Approves the definition that waits, and then the one before again, so that none waits.
async fn forget(stage: &Stage, path: &'static str, clients: &[Client]) {
    for _ in 0..2 {
        let (tool, _, sha256) = stage.waiting(&path[1..]).await.remove(0);
        assert_eq!(stage.approve(&path[1..], &tool, &sha256).await.status, 204);
        clients[0].tools().await;
    }
    stage.waits(&path[1..], 0).await;
    for client in clients {
        stage.shows(client, &["add", "mul"]).await;
    }
}

#[tokio::test]
async fn a_change_that_nobody_tells_of_is_caught_when_the_list_is_read_again() {
    let silent = Setup::pins(TRUST).start(&two()).await;
    for server in [&silent.modern, &silent.legacy] {
        server.is_silent();
    }
    for (path, server) in silent.servers() {
        for client in silent.clients(path).await {
            silent.shows(&client, &["add", "mul"]).await;
            server.tools(&[tool("add", "Adds."), tool("mul", "Multiplies, and tells.")]);
            silent.shows(&client, &["add"]).await;
            assert_eq!(client.call("mul", json!({})).await["error"]["code"], -32602);
            server.tools(&two());
            silent.shows(&client, &["add", "mul"]).await;
        }
        assert_eq!(server.calls(), 0);
    }
}

#[tokio::test]
async fn another_order_and_other_white_space_are_no_change() {
    let stage = Setup::pins(TRUST).start(&two()).await;
    for (path, server) in stage.servers() {
        let clients = stage.clients(path).await;
        for client in &clients {
            stage.shows(client, &["add", "mul"]).await;
        }
        server.says(
            "tools/list",
            "\"tools\": [ {\"inputSchema\": {\"type\":\"\\u006fbject\"}, \"name\":\"mul\",\n\"description\":\"Multiplies.\"}, \
             {\"description\":\"Adds.\", \"inputSchema\":{ \"type\" : \"object\" }, \"name\":\"add\", \"icons\":[]} ]",
        );
        server.changed().await;
        for client in &clients {
            stage.shows(client, &["mul", "add"]).await;
        }
        assert_eq!(stage.waiting(&path[1..]).await, []);
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let setup = Setup::pins(TRUST);
    let stage = setup.start(&two()).await;
    let bad = [tool("add", "Adds."), tool("mul", "Multiplies, and tells.")];
    for (path, server) in stage.servers() {
        let client = stage.client(Era::Legacy, path).await;
        stage.shows(&client, &["add", "mul"]).await;
        server.tools(&bad);
        server.changed().await;
        stage.shows(&client, &["add"]).await;
        stage.waits(&path[1..], 1).await;
    }
    let before = (stage.pins_file(), stage.admin().await);
    let stage = stage.restart(&setup).await;
    assert_eq!(stage.admin().await["quarantined"].as_array().unwrap().len(), 2, "before anything is seen");
    for (path, _) in stage.servers() {
        stage.waits(&path[1..], 1).await;
        for client in stage.clients(path).await {
            assert_eq!(client.tools().await, ["add"]);
        }
    }
    let after = (stage.pins_file(), stage.admin().await);
    assert_eq!(before.0, after.0);
    let digests = |all: &Value| {
        let waits = all["quarantined"].as_array().unwrap().iter();
        waits.map(|waits| (waits["sha256"].clone(), waits["since"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(digests(&before.1), digests(&after.1));
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_never_shown() {
    for era in ERAS {
        let stage = Setup::pins(TRUST).start(&[]).await;
        for (path, server) in stage.servers() {
            server.says(
                "tools/list",
                r#""tools":[{"name":"add","description":"Adds.","inputSchema":{"type":"object"}},
                {"name":"a","description":"x","description":"y","inputSchema":{"type":"object"}},
                {"name":"b","Description":"y","inputSchema":{"type":"object"}},
                {"name":"c","description":"\ud83d","inputSchema":{"type":"object"}},
                {"name":"d","inputSchema":{"type":"object","type":"object"}}]"#,
            );
            let client = stage.client(era, path).await;
            assert_eq!(client.tools().await, ["add"], "{path}");
            for name in ["a", "b", "c", "d"] {
                assert_eq!(client.call(name, json!({})).await["error"]["code"], -32602, "{path} {name}");
            }
        }
    }
}

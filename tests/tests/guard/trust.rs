//! What is trusted, by mode: on first use, afterwards, and where an upstream has a mode of its own.

use super::server::{Era, result};
use super::stage::{ERAS, Setup, tool, two};
use narthex_testkit::MockIdp;
use serde_json::{Value, json};

const TRUST: &str = "{ mode: trust-on-first-use }";

#[tokio::test]
async fn the_first_catalogue_is_trusted_and_written_down() {
    let stage = Setup::pins(TRUST).start(&two()).await;
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            assert_eq!(client.tools().await, ["add", "mul"], "{path} {:?}", client.era);
            assert_eq!(client.list("tools").await[0]["description"], "Adds.");
            let answer = client.call("add", json!({"a": 1})).await;
            assert_eq!(answer["result"]["content"][0]["text"], "called", "{path}: {answer}");
        }
        assert_eq!(server.calls(), 2);
    }
    let file: Value = serde_json::from_str(&stage.pins_file()).unwrap();
    for upstream in ["modern", "legacy"] {
        let add = &file["upstreams"][upstream]["add"];
        assert_eq!(add["definition"], tool("add", "Adds."), "{file}");
        assert_eq!(add["sha256"].as_str().unwrap().len(), 64);
    }
    let (code, listed) = stage.pins(&["list"]);
    assert_eq!((code, listed.matches("approved").count()), (Some(0), 4), "{listed}");
    assert_eq!(stage.pins(&["check"]), (Some(0), "nothing is quarantined\n".to_owned()));
    stage.gateway.wait_for_output("trusted_on_first_use", 1).await;
    stage.waits("modern", 0).await;
}

#[tokio::test]
async fn the_same_catalogue_makes_the_same_file_however_it_is_written() {
    let first = Setup::pins(TRUST).start(&two()).await;
    let second = Setup::pins(TRUST).start(&[]).await;
    let odd = "\"tools\": [ {\"inputSchema\":{\"type\":\"obj\\u0065ct\"} ,\"description\":\"Multiplies.\",\
               \"name\":\"mul\", \"_meta\":{\"x\":1}}, {\"description\":\"Adds.\",\"name\":\"add\",\"inputSchema\":{\"type\":\"object\"}} ]";
    second.modern.says("tools/list", odd);
    second.legacy.says("tools/list", odd);
    for stage in [&first, &second] {
        // In the other order, besides.
        for path in ["/legacy", "/modern"] {
            assert_eq!(stage.client(Era::Modern, path).await.tools().await.len(), 2);
        }
    }
    assert_eq!(first.pins_file(), second.pins_file());
}

#[tokio::test]
async fn a_tool_that_comes_later_waits() {
    let stage = Setup::pins(TRUST).start(&two()).await;
    for (path, server) in stage.servers() {
        let clients = stage.clients(path).await;
        stage.shows(&clients[0], &["add", "mul"]).await;
        server.tools(&[two(), vec![tool("sub", "Subtracts.")]].concat());
        server.changed().await;
        stage.waits(&path[1..], 0).await;
        for client in &clients {
            while stage.waiting(&path[1..]).await.is_empty() {
                assert_eq!(client.tools().await, ["add", "mul"]);
            }
            assert_eq!(client.tools().await, ["add", "mul"]);
            let answer = client.call("sub", json!({})).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        }
        let waiting = stage.waiting(&path[1..]).await;
        assert_eq!((waiting.len(), &*waiting[0].0, &*waiting[0].1), (1, "sub", "new"));
        assert_eq!(server.calls(), 0);
        stage.waits(&path[1..], 1).await;
    }
}

#[tokio::test]
async fn where_only_what_is_approved_is_trusted_nothing_else_is_shown() {
    let stage = Setup::pins("{ mode: locked }").start(&two()).await;
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            assert_eq!(client.tools().await, [""; 0]);
            assert_eq!(client.call("add", json!({})).await["error"]["code"], -32602);
        }
        assert_eq!(server.calls(), 0);
        let waiting = stage.waiting(&path[1..]).await;
        assert!(waiting.len() == 2 && waiting.iter().all(|waits| waits.1 == "unpinned"), "{waiting:?}");
        let (tool, _, sha256) = &waiting[0];
        assert_eq!(stage.approve(&path[1..], tool, sha256).await.status, 204);
        for client in stage.clients(path).await {
            stage.shows(&client, &["add"]).await;
        }
    }
    assert!(!stage.pins_file().contains("Multiplies."), "{}", stage.pins_file());
}

#[tokio::test]
async fn an_upstream_may_have_a_mode_of_its_own() {
    for (pins, own, seen) in [
        ("{ mode: locked }", "    pins: off\n", &["add", "mul"][..]),
        (TRUST, "    pins: locked\n", &[]),
        ("{ mode: off }", "    pins: trust-on-first-use\n", &["add", "mul"]),
    ] {
        let stage = Setup { upstream: own, ..Setup::pins(pins) }.start(&two()).await;
        for (path, _) in stage.servers() {
            for client in stage.clients(path).await {
                assert_eq!(client.tools().await, seen, "{pins} {own}");
            }
        }
        assert_eq!(stage.pins_file().is_empty(), !own.contains("first"), "{pins} {own}");
    }
}

#[tokio::test]
async fn prompts_and_resources_are_not_pinned() {
    let stage = Setup::pins("{ mode: locked }").start(&two()).await;
    for (path, server) in stage.servers() {
        server.says("prompts/list", r#""prompts":[{"name":"ask","description":"Asks."}]"#);
        server.says("resources/list", r#""resources":[{"name":"r","uri":"x://r"}]"#);
        for client in stage.clients(path).await {
            assert_eq!(client.list("prompts").await[0]["name"], "ask");
            assert_eq!(client.list("resources").await[0]["uri"], "x://r");
        }
    }
}

#[tokio::test]
async fn of_two_tools_of_one_name_the_later_waits() {
    let twice = [tool("add", "Adds."), tool("add", "Adds, and tells.")];
    let stage = Setup::pins(TRUST).start(&twice).await;
    for (path, _) in stage.servers() {
        for client in stage.clients(path).await {
            let shown = client.list("tools").await;
            assert_eq!((shown.len(), &shown[0]["description"]), (1, &json!("Adds.")), "{shown:?}");
        }
        let waiting = stage.waiting(&path[1..]).await;
        assert_eq!((waiting.len(), &*waiting[0].1), (1, "duplicate"), "{waiting:?}");
    }
    let all = Setup::route("    inspect: {}\n").start(&twice).await;
    for (path, _) in all.servers() {
        for client in all.clients(path).await {
            let shown = client.list("tools").await;
            assert_eq!((shown.len(), &shown[0]["description"]), (1, &json!("Adds.")), "{shown:?}");
        }
    }
}

#[tokio::test]
async fn callers_who_are_shown_different_tools_do_not_upset_each_other() {
    let setup = Setup {
        upstream: "    credential:\n      token_exchange: { token_url: {idp}/token, \
                   client: { id: narthex, secret: { file: \"{dir}/client-secret\" } } }\n",
        ..Setup::pins(TRUST)
    };
    assert_eq!(MockIdp::CLIENT.0, "narthex");
    let stage = setup.start(&two()).await;
    for (path, server) in stage.servers() {
        let alice = stage.client_of("alice", Era::Modern, path).await;
        assert_eq!(alice.tools().await, ["add", "mul"]);
        let first = server.upstream.requests_for("tools/list")[0].header("authorization").unwrap().to_owned();
        server.rule(move |request| {
            let others = request.header("authorization") != Some(&first);
            let tools = json!([tool("add", "Adds."), tool("sub", "Subtracts.")]);
            let caching = if request.header("mcp-protocol-version") == Some("2026-07-28") {
                r#","ttlMs":0,"cacheScope":"private""#
            } else {
                ""
            };
            let asked = request.rpc_method().as_deref() == Some("tools/list");
            (others && asked).then(|| result(request, &format!("\"tools\":{tools}{caching}")))
        });
        let bob = [
            stage.client_of("bob", Era::Modern, path).await,
            stage.client_of("bob", Era::Legacy, path).await,
        ];
        for _ in 0..4 {
            assert_eq!(alice.tools().await, ["add", "mul"]);
            for bob in &bob {
                assert_eq!(bob.tools().await, ["add"]);
                assert_eq!(bob.call("mul", json!({})).await["error"]["code"], -32602);
            }
            let waiting = stage.waiting(&path[1..]).await;
            assert_eq!((waiting.len(), &*waiting[0].0), (1, "sub"), "{waiting:?}");
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        }
        let log = stage.gateway.output();
        let said = log.lines().filter(|line| line.contains("\"quarantined\"") && line.contains(&path[1..]));
        assert_eq!(said.count(), 1, "{log}");
    }
}

#[tokio::test]
async fn both_eras_are_shown_the_same_on_a_merged_route() {
    let stage = Setup::pins(TRUST).start(&two()).await;
    for era in ERAS {
        let client = stage.client(era, "/both").await;
        let all = ["modern__add", "modern__mul", "legacy__add", "legacy__mul"];
        assert_eq!(client.tools().await, all);
        stage.legacy.tools(&[tool("add", "Adds."), tool("mul", "Multiplies, and tells.")]);
        stage.legacy.changed().await;
        stage.shows(&client, &all[..3]).await;
        let answer = client.call("legacy__mul", json!({})).await;
        let unknown = client.call("legacy__nope", json!({})).await;
        let text = unknown.to_string().replace("legacy__nope", "legacy__mul");
        assert_eq!(answer.to_string(), text);
        stage.legacy.tools(&two());
        stage.legacy.changed().await;
        stage.shows(&client, &all).await;
    }
}

//! What tools and prompts are called, and that each is its own upstream's, under its own name.

use super::client::{fault, header_value, items, whole};
use super::peer::{Peer, tool};
use super::stage::{Setup, Stage, mixed};
use narthex_testkit::Answer;
use serde_json::{Value, json};

#[tokio::test]
async fn each_name_has_its_upstream_before_it_and_leads_there() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["new__echo", "new__add", "old__echo", "old__whoami"]);
        for (peer, name) in [(&new, "echo"), (&new, "add"), (&old, "echo"), (&old, "whoami")] {
            let said = client.call(&format!("{}__{name}", peer.id), json!({"n": 1})).await;
            assert_eq!(said, format!("{} {name} {}", peer.id, json!({"n": 1})));
            assert_eq!(peer.last("tools/call").json()["params"]["name"], name);
        }
        assert_eq!(new.last("tools/call").header("mcp-name"), Some("add"));
    }
    assert_eq!((new.count("tools/call"), old.count("tools/call")), (4, 4));
}

#[tokio::test]
async fn separator_and_alias_are_as_configured() {
    let (new, old) = mixed().await;
    let setup = Setup::route(&["names: { separator: \".\", aliases: { old: legacy_ } }"]);
    let stage = setup.start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["new.echo", "new.add", "legacy_.echo", "legacy_.whoami"]);
        assert_eq!(client.call("legacy_.echo", json!({})).await, "old echo {}");
        assert_eq!(client.call("new.echo", json!({})).await, "new echo {}");
        for other in ["old.echo", "new__echo", "echo", "legacy_echo"] {
            assert_eq!(client.call_fault(other).await, (200, json!(-32602)), "{other}");
        }
    }
}

#[tokio::test]
async fn a_prefix_may_end_in_what_the_separator_is_made_of() {
    let (new, old) = mixed().await;
    let stage = Setup::route(&["names: { aliases: { old: o_, new: n__n } }"]).start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["n__n__echo", "n__n__add", "o___echo", "o___whoami"]);
        assert_eq!(client.call("o___echo", json!({})).await, "old echo {}");
        assert_eq!(client.call("n__n__add", json!({})).await, "new add {}");
    }
}

#[tokio::test]
async fn without_prefixes_the_first_upstream_in_order_has_a_name() {
    let new = Peer::modern("new").await.tools(&["echo", "add"]).prompts(&["hello"]);
    let old = Peer::legacy("old").await.tools(&["echo", "whoami"]).prompts(&["hello", "bye"]);
    for order in [[&new, &old], [&old, &new]] {
        let stage = Setup::route(&["names: { prefix: none }"]).start(&order).await;
        let winner = order[0].id;
        for client in stage.both().await {
            let mut tools = client.tools().await;
            assert_eq!(tools[0], "echo");
            tools.sort_unstable();
            assert_eq!(tools, ["add", "echo", "whoami"], "no name twice");
            assert_eq!(client.call("echo", json!({})).await, format!("{winner} echo {{}}"));
            assert_eq!(client.call("add", json!({})).await, "new add {}");
            assert_eq!(client.call("whoami", json!({})).await, "old whoami {}");
            let mut prompts = client.names("prompts/list").await;
            prompts.sort_unstable();
            assert_eq!(prompts, ["bye", "hello"]);
            let got = client.result("prompts/get", json!({"name": "hello"})).await;
            assert_eq!(got["messages"][0]["content"]["text"], format!("{winner} hello null"));
        }
        let output = stage.gateway.output();
        assert!(output.contains("echo") && output.contains("has the name already"), "it is logged: {output}");
    }
}

#[tokio::test]
async fn a_name_is_not_another_upstreams_while_its_own_is_down() {
    let new = Peer::modern("new").await.tools(&["echo", "add"]);
    let old = Peer::legacy("old").await.tools(&["echo", "whoami"]);
    let stage = Setup::route(&["names: { prefix: none }"]).start(&[&new, &old]).await;
    let clients = stage.both().await;
    assert_eq!(clients[0].call("echo", json!({})).await, "new echo {}");
    let _stopped = new.stop().await;
    super::stage::eventually("the other upstream's are gone", async || {
        (clients[0].tools().await == ["whoami"]).then_some(())
    })
    .await;
    for client in &clients {
        assert_eq!(client.tools().await, ["whoami"], "nobody is handed what another's name stands for");
        let (_, code) = client.call_fault("echo").await;
        assert_eq!(code, -32603);
        assert_eq!(client.call("whoami", json!({})).await, "old whoami {}");
    }
    assert!(old.upstream.requests_for("tools/call").iter().all(|r| r.json()["params"]["name"] == "whoami"));
}

#[tokio::test]
async fn renamed_and_described_tools_are_known_by_that_only() {
    let (new, old) = mixed().await;
    let setup = Setup::route(&[
        "expose:",
        "  rename: { new__echo: say, old__whoami: old__me }",
        "  describe: { say: \"Says it.\", old__echo: \"Says it, too.\" }",
    ]);
    let stage = setup.start(&[&new, &old]).await;
    for client in stage.both().await {
        let list = items(&client.result("tools/list", json!({})).await);
        let told: Vec<_> = list.iter().map(|t| (t["name"].clone(), t["description"].clone())).collect();
        assert_eq!(
            told,
            [
                ("say", "Says it."),
                ("new__add", "does add"),
                ("old__echo", "Says it, too."),
                ("old__me", "does whoami")
            ]
            .map(|(name, description)| (json!(name), json!(description)))
        );
        assert_eq!(client.call("say", json!({})).await, "new echo {}");
        assert_eq!(client.call("old__me", json!({})).await, "old whoami {}");
        for gone in ["new__echo", "old__whoami", "echo", "me"] {
            assert_eq!(client.call_fault(gone).await, (200, json!(-32602)), "{gone}");
        }
    }
}

#[tokio::test]
async fn long_and_strange_names_are_shown_plain_and_called_by_their_own() {
    let long = "x".repeat(120);
    let strange = ["größe", "a b", "a/b:c", "工具 🔧", "=?base64?eA==?=", " lead", long.as_str()];
    let (new, old) = (Peer::modern("new").await.tools(&strange), Peer::legacy("old").await.tools(&strange));
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let shown = client.tools().await;
        assert_eq!(shown.len(), 14);
        for (at, name) in shown.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            assert!(name.len() <= 64 && name.chars().all(plain), "{name}");
            let (peer, own) = (if at < 7 { &new } else { &old }, strange[at % 7]);
            assert_eq!(client.call(name, json!({})).await, format!("{} {own} {{}}", peer.id), "{name}");
            let got = peer.last("tools/call");
            assert_eq!(got.json()["params"]["name"], own);
            if peer.id == "new" {
                assert_eq!(got.header("mcp-name"), Some(header_value(own).as_str()));
            }
        }
    }
}

#[tokio::test]
async fn unknown_names_are_refused_and_nobody_is_asked() {
    let (new, old) = mixed().await;
    let (new, old) = (new.prompts(&["hello"]), old.prompts(&["hello"]));
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        client.tools().await;
        for name in
            ["nope", "new__nope", "old__nope", "new__", "__echo", "newecho", "new__echo ", "NEW__echo", ""]
        {
            assert_eq!(client.call_fault(name).await.1, json!(-32602), "{name:?}");
            let prompt = client.fault("prompts/get", json!({"name": name})).await;
            assert_eq!(prompt.1, json!(-32602), "{name:?}");
        }
    }
    for peer in [&new, &old] {
        assert_eq!((peer.count("tools/call"), peer.count("prompts/get")), (0, 0), "{}", peer.id);
    }
}

#[tokio::test]
async fn prompts_and_what_completes_them_go_to_their_own_upstream() {
    let new = Peer::modern("new").await.prompts(&["hello"]).templates(&["new://{x}"]).resources(&["new://1"]);
    let old = Peer::legacy("old").await.prompts(&["hello"]).templates(&["old://{x}"]).resources(&["old://1"]);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.names("prompts/list").await, ["new__hello", "old__hello"]);
        for peer in [&new, &old] {
            let shown = format!("{}__hello", peer.id);
            let got = client.result("prompts/get", json!({"name": shown})).await;
            assert_eq!(got["messages"][0]["content"]["text"], format!("{} hello null", peer.id));
            let argument = json!({"name": "a", "value": "v"});
            let params = json!({"ref": {"type": "ref/prompt", "name": shown}, "argument": argument});
            let completed = client.result("completion/complete", params).await;
            assert_eq!(completed["completion"]["values"], json!([format!("{} hello", peer.id)]));
            for uri in [format!("{}://{{x}}", peer.id), format!("{}://1", peer.id)] {
                let params = json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": argument});
                let completed = client.result("completion/complete", params).await;
                assert_eq!(completed["completion"]["values"], json!([format!("{} {uri}", peer.id)]));
            }
        }
        for unknown in [
            json!({"type": "ref/prompt", "name": "hello"}),
            json!({"type": "ref/resource", "uri": "nobody://{x}"}),
            json!({"type": "ref/tool", "name": "hello"}),
            Value::Null,
        ] {
            let params = json!({"ref": unknown, "argument": {"name": "a", "value": ""}});
            let (_, code) = client.fault("completion/complete", params).await;
            assert!(code == -32602 || code == -32002, "{unknown}: {code}");
        }
    }
    assert_eq!((new.count("completion/complete"), old.count("completion/complete")), (6, 6));
}

#[tokio::test]
async fn arguments_are_mirrored_anew_and_have_to_be_mirrored_right() {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string", "x-mcp-header": "City"}}});
    let weather = json!({"name": "weather", "inputSchema": schema});
    let new = Peer::modern("new").await;
    new.set("tools/list", vec![weather, tool("plain")]);
    let old = Peer::legacy("old").await.tools(&["echo"]);
    let stage = Stage::start(&[&new, &old]).await;
    let [modern, legacy] = stage.both().await;
    let params = json!({"name": "new__weather", "arguments": {"city": "Köln"}});
    let city = header_value("Köln");
    let answer = modern.ask_with(&[("Mcp-Param-City", city.as_str())], "tools/call", params.clone()).await;
    assert_eq!(answer.status, 200, "{}", whole(&answer));
    assert_eq!(new.last("tools/call").header("mcp-param-city"), Some(city.as_str()));
    for wrong in [vec![("Mcp-Param-City", "Bonn")], vec![]] {
        let answer = modern.ask_with(&wrong, "tools/call", params.clone()).await;
        assert_eq!(fault(&answer), (400, json!(-32020)), "{}", whole(&answer));
    }
    assert_eq!(new.count("tools/call"), 1);
    legacy.call("new__weather", json!({"city": "Köln"})).await;
    assert_eq!(new.last("tools/call").header("mcp-param-city"), Some(city.as_str()));
    // What no tool mirrors is nobody's.
    let extra = [("Mcp-Param-Secret", "s3cr3t-param")];
    modern.ask_with(&extra, "tools/call", json!({"name": "new__plain", "arguments": {}})).await;
    assert!(!new.upstream.seen("s3cr3t-param"));
}

#[tokio::test]
async fn the_route_is_one_server_with_a_name_of_its_own() {
    let (new, old) = mixed().await;
    let new = new.prompts(&["hello"]);
    new.rule("tools/call", |request| {
        let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "evil", "version": "9"}});
        Answer::complete(request, json!({"content": [], "_meta": info}))
    });
    let stage = Stage::start(&[&new, &old]).await;
    let found = stage.modern().result("server/discover", json!({})).await;
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "narthex");
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    let hello = stage.modern().initialize().await.rpc()["result"].clone();
    assert_eq!(hello["serverInfo"]["name"], "narthex");
    for said in [&found, &hello] {
        assert_eq!(said["capabilities"]["tools"], json!({"listChanged": true}), "{said}");
        assert_eq!(said["capabilities"]["prompts"], json!({"listChanged": true}), "{said}");
        let instructions = said["instructions"].as_str().unwrap();
        assert!(instructions.contains("## new\n\nbe new") && instructions.contains("## old\n\nbe old"));
    }
    let result = stage.modern().result("tools/call", json!({"name": "new__echo", "arguments": {}})).await;
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "narthex");
}

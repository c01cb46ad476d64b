//! Approving while the gateway runs: with the command line on its files, and on its admin listener.

use super::stage::{Setup, Stage, tool, two};
use serde_json::json;
use std::time::{Duration, Instant};

fn bad() -> Vec<serde_json::Value> {
    vec![tool("add", "Adds."), tool("mul", "Multiplies two numbers.")]
}

/// A stage where `mul` of both upstreams has changed and waits.
async fn waiting() -> Stage {
    let stage = Setup::pins("{ mode: trust-on-first-use }").start(&two()).await;
    for (path, server) in stage.servers() {
        let client = stage.client(super::server::Era::Modern, path).await;
        stage.shows(&client, &["add", "mul"]).await;
        server.tools(&bad());
        server.changed().await;
        stage.shows(&client, &["add"]).await;
    }
    stage
}

#[tokio::test]
async fn what_the_command_line_approves_is_back_within_seconds_and_told_of() {
    let stage = waiting().await;
    for (path, server) in stage.servers() {
        let upstream = &path[1..];
        let (_, _, sha256) = stage.waiting(upstream).await.remove(0);
        let clients = stage.clients(path).await;
        let mut ears = [clients[0].listen().await, clients[1].listen().await];
        stage.waits(upstream, 1).await;
        wait_for_file(&stage, &sha256).await;
        let (code, said) = stage.pins(&["approve", upstream, "mul", "--sha256", &"0".repeat(64)]);
        assert!(code == Some(1) && said.contains(&sha256), "{said}");
        let (code, said) = stage.pins(&["approve", upstream, "mul", "--sha256", &sha256]);
        assert_eq!(code, Some(0), "{said}");
        let begun = Instant::now();
        for (client, ear) in clients.iter().zip(&mut ears) {
            ear.hears("notifications/tools/list_changed").await;
            stage.shows(client, &["add", "mul"]).await;
            assert_eq!(client.list("tools").await[1]["description"], "Multiplies two numbers.");
            assert!(client.call("mul", json!({})).await["result"].is_object());
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(server.calls(), 2);
        stage.waits(upstream, 0).await;
    }
}

/// The command line knows what waits once it is written.
async fn wait_for_file(stage: &Stage, sha256: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(stage.dir().join("state/quarantine.json"))
        .is_ok_and(|file| file.contains(sha256))
    {
        assert!(Instant::now() < end, "it is not written down");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_approved_on_the_admin_listener_is_back_and_told_of() {
    let stage = waiting().await;
    for (path, _) in stage.servers() {
        let upstream = &path[1..];
        let (_, _, sha256) = stage.waiting(upstream).await.remove(0);
        let clients = stage.clients(path).await;
        let mut ears = [clients[0].listen().await, clients[1].listen().await];
        assert_eq!(stage.approve(upstream, "mul", &"0".repeat(64)).await.status, 409);
        assert_eq!(stage.approve(upstream, "nope", &sha256).await.status, 404);
        assert_eq!(clients[0].tools().await, ["add"]);
        assert_eq!(stage.approve(upstream, "mul", &sha256).await.status, 204);
        for (client, ear) in clients.iter().zip(&mut ears) {
            ear.hears("notifications/tools/list_changed").await;
            stage.shows(client, &["add", "mul"]).await;
        }
        stage.waits(upstream, 0).await;
    }
    assert_eq!(stage.pins_file().matches("Multiplies two numbers.").count(), 2);
}

#[tokio::test]
async fn a_pin_that_is_taken_away_hides_its_tool_from_then_on() {
    let stage = Setup::pins("{ mode: locked }").start(&two()).await;
    for (path, _) in stage.servers() {
        let upstream = &path[1..];
        let clients = stage.clients(path).await;
        assert_eq!(clients[0].tools().await, [""; 0]);
        for (tool, _, sha256) in stage.waiting(upstream).await {
            assert_eq!(stage.approve(upstream, &tool, &sha256).await.status, 204);
        }
        for client in &clients {
            stage.shows(client, &["add", "mul"]).await;
        }
        assert_eq!(stage.pins(&["forget", upstream, "mul"]).0, Some(0));
        for client in &clients {
            stage.shows(client, &["add"]).await;
            assert_eq!(client.call("mul", json!({})).await["error"]["code"], -32602);
        }
    }
}

#[tokio::test]
async fn a_pins_file_that_is_put_back_is_what_holds_from_then_on() {
    let stage = waiting().await;
    let earlier = stage.pins_file();
    for (path, _) in stage.servers() {
        let upstream = &path[1..];
        let (_, _, sha256) = stage.waiting(upstream).await.remove(0);
        assert_eq!(stage.approve(upstream, "mul", &sha256).await.status, 204);
        for client in stage.clients(path).await {
            stage.shows(&client, &["add", "mul"]).await;
        }
    }
    assert_ne!(stage.pins_file(), earlier);
    std::fs::write(stage.dir().join("narthex.pins.json"), earlier).unwrap();
    for (path, _) in stage.servers() {
        for client in stage.clients(path).await {
            stage.shows(&client, &["add"]).await;
        }
    }
}

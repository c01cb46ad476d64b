//! Pins that cannot be written down: nothing is trusted.

use super::stage::{Setup, two};
use std::fs;
use std::os::unix::fs::symlink;

#[tokio::test]
async fn what_cannot_be_written_down_is_not_trusted() {
    let stage = Setup::pins("{ file: away/narthex.pins.json }");
    // The directory is there at the start and is then not one any more.
    let stage = Setup { files: vec![("away/x", String::new())], ..stage }.start(&two()).await;
    fs::remove_dir_all(stage.dir().join("away")).unwrap();
    fs::write(stage.dir().join("away"), "").unwrap();
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            assert_eq!(client.tools().await, [""; 0], "{path}");
            assert_eq!(client.call("add", serde_json::json!({})).await["error"]["code"], -32602);
        }
        assert_eq!(server.calls(), 0);
    }
    let all = stage.admin().await;
    assert!(all["trouble"].is_string(), "{all}");
    stage.gateway.wait_for_output("pins cannot be written down", 1).await;
    for (path, _) in stage.servers() {
        for (tool, why, sha256) in stage.waiting(&path[1..]).await {
            assert_eq!(why, "new");
            let answer = stage.approve(&path[1..], &tool, &sha256).await;
            assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
        }
    }
}

#[tokio::test]
async fn a_symbolic_link_is_read_and_never_written_through() {
    let first = Setup::pins("{}").start(&two()).await;
    for (path, _) in first.servers() {
        assert_eq!(first.clients(path).await[0].tools().await.len(), 2);
    }
    let known = first.pins_file();
    let stage = Setup::pins("{ file: link.json }").start(&two()).await;
    let (real, link) = (stage.dir().join("real.json"), stage.dir().join("link.json"));
    fs::write(&real, &known).unwrap();
    symlink(&real, &link).unwrap();
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            stage.shows(&client, &["add", "mul"]).await;
            server.tools(&[two(), vec![super::stage::tool("sub", "Subtracts.")]].concat());
        }
        server.changed().await;
        while stage.waiting(&path[1..]).await.is_empty() {
            stage.clients(path).await[0].tools().await;
        }
        let (_, _, sha256) = stage.waiting(&path[1..]).await.remove(0);
        assert!(stage.approve(&path[1..], "sub", &sha256).await.status >= 500);
    }
    assert_eq!(fs::read_to_string(&real).unwrap(), known);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

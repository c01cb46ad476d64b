//! However the file is replaced, what it says is in use within a second, or not at all.

use super::stage::{Config, Stage, eventually};
use narthex_testkit::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// A second is promised; this machine may be busy with other things.
const SOON: Duration = Duration::from_secs(3);

/// Waits until a route is at `path`, and says how long it took.
async fn is_live(stage: &Stage, path: &str, how: &str) {
    let token = stage.idp.token(&stage.resource(path));
    let took = eventually(SOON, async || stage.status(path, &token).await == 200).await;
    let took = took.unwrap_or_else(|| panic!("{how}: not live in {SOON:?}:\n{}", stage.gateway.output()));
    println!("{how}: live after {} ms", took.as_millis());
}

fn at(path: &str) -> Config {
    Config { path: path.to_owned(), ..Config::new() }
}

#[tokio::test]
async fn a_file_written_in_place_is_live_at_once() {
    let stage = Stage::new().await;
    fs::write(stage.gateway.place().config(), stage.yaml(&at("/in-place"))).unwrap();
    is_live(&stage, "/in-place", "written in place").await;
}

#[tokio::test]
async fn a_file_put_in_the_place_of_the_old_one_is_live_at_once() {
    let stage = Stage::new().await;
    stage.gateway.write_config(&stage.yaml(&at("/renamed")));
    is_live(&stage, "/renamed", "renamed over").await;
    // Some editors move the old file away first, so that for a moment there is none.
    let config = stage.gateway.place().config();
    fs::rename(&config, config.with_extension("yaml~")).unwrap();
    fs::write(&config, stage.yaml(&at("/moved-away"))).unwrap();
    is_live(&stage, "/moved-away", "old one moved away, new one written").await;
}

/// As kubelet does it: `gateway.yaml` → `..data/gateway.yaml`, `..data` → a directory for each version.
fn publish(dir: &Path, version: &str, yaml: &str) {
    let volume = dir.join("volume");
    fs::create_dir_all(volume.join(version)).unwrap();
    fs::write(volume.join(version).join("gateway.yaml"), yaml).unwrap();
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    let file = volume.join("gateway.yaml");
    if !file.is_symlink() {
        symlink("..data/gateway.yaml", file).unwrap();
    }
}

#[tokio::test]
async fn a_swapped_kubernetes_volume_is_live_at_once() {
    let stage = Stage::new().await;
    let dir = stage.gateway.place().dir().to_owned();
    publish(&dir, "..2026_01", &stage.yaml(&at("/first")));
    symlink("volume/gateway.yaml", dir.join("link")).unwrap();
    fs::rename(dir.join("link"), stage.gateway.place().config()).unwrap();
    is_live(&stage, "/first", "replaced by a link").await;
    for (version, path, before) in
        [("..2026_02", "/second", "..2026_01"), ("..2026_03", "/third", "..2026_02")]
    {
        publish(&dir, version, &stage.yaml(&at(path)));
        fs::remove_dir_all(dir.join("volume").join(before)).unwrap();
        is_live(&stage, path, "..data swapped").await;
    }
}

#[tokio::test]
async fn sighup_reloads_even_a_file_that_has_not_changed() {
    let stage = Stage::new().await;
    let reloads = "narthex_config_reloads_total{result=\"ok\"}";
    let before = stage.gateway.metric(reloads).await.unwrap();
    stage.gateway.signal(Signal::SIGHUP);
    let took = eventually(SOON, async || stage.gateway.metric(reloads).await.unwrap() > before).await;
    println!("SIGHUP: reloaded after {} ms", took.expect("a reload").as_millis());
    assert_eq!(stage.status("/tools", &stage.token()).await, 200);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_said_with_its_place_until_it_is_repaired() {
    let stage = Stage::new().await;
    let successful = "narthex_config_last_reload_successful";
    assert_eq!(stage.gateway.metric(successful).await, Some(1.0));
    let good = stage.yaml(&Config::new());
    let bad = good.replace("    scopes: [mcp:read]", "    scopse: [mcp:admin]");
    let line = 1 + bad.lines().position(|line| line.contains("scopse")).unwrap();
    let (path, token) = ("/tools", stage.token());

    assert!(!stage.gateway.reload(&bad).await);
    stage.gateway.wait_for_metric(successful, |value| value == 0.0).await;
    let place = format!("gateway.yaml:{line}:5");
    let log = stage.gateway.stderr();
    let told = log.lines().find(|line| line.contains("configuration not reloaded")).unwrap();
    assert!(told.contains(&place) && told.contains("unknown key `scopse`"), "{place} is not in: {told}");
    assert_eq!(stage.status(path, &token).await, 200);

    // Well-formed, but it cannot be put to use.
    let unusable = good.replace(
        "/mcp\n",
        "/mcp\n    credential: { header: { name: x-key, value: { env: NOT_THERE_4711 } } }\n",
    );
    assert_ne!(unusable, good);
    assert!(!stage.gateway.reload(&unusable).await);
    assert!(stage.gateway.stderr().contains("NOT_THERE_4711"), "{}", stage.gateway.stderr());
    stage.gateway.wait_for_metric(successful, |value| value == 0.0).await;
    assert_eq!(stage.status(path, &token).await, 200);

    assert!(stage.gateway.reload(&format!("{good}# repaired\n")).await);
    stage.gateway.wait_for_metric(successful, |value| value == 1.0).await;
}

//! In a real Redis.

use super::stage::{WRITES, call, check, eventually, key, reasons, start, yaml};
use narthex_testkit::{GatewayProcess, Launch, Pki, Place, RecordingUpstream, RedisServer, mcp};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn store(place: &Place, port: u16, more: &str, digit: char) -> String {
    let key = place.file(&format!("key-{digit}"), key(digit));
    let url = format!("redis://127.0.0.1:{port}");
    format!("  redis: {{ url: \"{url}\", timeout: 500ms{more} }}\n  keys: [{{ file: {} }}]", key.display())
}

async fn has_written(gateway: &GatewayProcess) {
    gateway.wait_for_metric(WRITES, |writes| writes >= 1.0).await;
}

#[tokio::test]
async fn replicas_share_a_store_and_notice_if_they_do_not_share_its_keys() {
    let redis = RedisServer::start();
    let (first, _upstream) = start(|place| store(place, redis.port(), "", 'a')).await.unwrap();
    has_written(&first).await;
    let (second, _upstream) = start(|place| store(place, redis.port(), "", 'a')).await.unwrap();
    has_written(&second).await;
    let foreign = "replicas must share all keys";
    assert!(!second.output().contains(foreign), "{}", second.output());
    let (third, _upstream) = start(|place| store(place, redis.port(), "", 'b')).await.unwrap();
    third.wait_for_output(foreign, 1).await;
}

#[tokio::test]
async fn a_redis_that_is_down_at_the_start_is_waited_for() {
    let mut again = RedisServer::start();
    again.kill();
    let (upstream, port) = (RecordingUpstream::start().await, again.port());
    let admin = Mutex::new(None::<SocketAddr>);
    let launch = Launch::new(|place: &Place| {
        *admin.lock().unwrap() = Some(place.admin_address());
        yaml(place, &upstream, &store(place, port, "", 'a'))
    });
    let said = async |path| {
        let address = (*admin.lock().unwrap())?;
        mcp::get(address, path, None).await.ok()
    };
    let waits =
        async || said("/readyz").await.is_some_and(|ready| ready.text().contains("store not reached"));
    // Not only that nobody has asked it yet.
    let failed = "result=\"store_unavailable\"";
    let has_failed = async || said("/metrics").await.is_some_and(|metrics| metrics.text().contains(failed));
    let operator = async {
        assert!(eventually(waits).await && eventually(has_failed).await);
        assert_eq!(said("/readyz").await.unwrap().status, 503);
        again.start_again();
    };
    let (gateway, ()) = tokio::join!(launch.start(), operator);
    let gateway = gateway.unwrap_or_else(|failure| panic!("{failure}"));
    has_written(&gateway).await;
    gateway.wait_for_output("the store is back", 1).await;
}

#[tokio::test]
async fn a_redis_that_goes_down_costs_nothing_that_needs_no_store() {
    let mut redis = RedisServer::start();
    let (gateway, upstream) = start(|place| store(place, redis.port(), "", 'a')).await.unwrap();
    has_written(&gateway).await;
    redis.kill();
    let text = yaml(gateway.place(), &upstream, &store(gateway.place(), redis.port(), "", 'a'));
    assert!(gateway.reload(&format!("{text}# changed\n")).await, "a reload needs no store either");
    gateway.wait_for_output("the store fails", 1).await;
    let begun = Instant::now();
    assert_eq!(call(&gateway).await, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(reasons(&gateway).await, [""; 0], "it was reached once");
    let refused = "narthex_store_operations_total{operation=\"read\",result=\"store_unavailable\"}";
    gateway.wait_for_metric(refused, |refused| refused >= 1.0).await;
    redis.start_again();
    gateway.wait_for_output("the store is back", 1).await;
    gateway.wait_for_metric(WRITES, |writes| writes >= 2.0).await;
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nothing_up() {
    let redis = RedisServer::start();
    let (gateway, upstream) = start(|place| store(place, redis.port(), "", 'a')).await.unwrap();
    has_written(&gateway).await;
    redis.hang();
    let text = yaml(gateway.place(), &upstream, &store(gateway.place(), redis.port(), "", 'a'));
    assert!(gateway.reload(&format!("{text}# changed\n")).await);
    gateway.wait_for_output("the store fails", 1).await;
    let begun = Instant::now();
    assert_eq!(call(&gateway).await, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    redis.go_on();
    gateway.wait_for_output("the store is back", 1).await;
}

#[tokio::test]
async fn another_password_is_used_without_a_restart() {
    let redis = RedisServer::start_with(&["user default off", "user narthex on >right ~narthex:* &* +@all"]);
    let upstream = RecordingUpstream::start().await;
    let more = |place: &Place, password: &str| {
        let file = place.file("password", password);
        format!(", username: narthex, password: {{ file: {} }}", file.display())
    };
    let file = Mutex::new(None::<PathBuf>);
    let launch = Launch::new(|place: &Place| {
        *file.lock().unwrap() = Some(place.dir().join("password"));
        yaml(place, &upstream, &store(place, redis.port(), &more(place, "wrong-hunter2"), 'a'))
    });
    let operator = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let path = file.lock().unwrap().clone().unwrap();
        std::fs::write(path, "right").unwrap();
    };
    let (gateway, ()) = tokio::join!(launch.start(), operator);
    let gateway = gateway.unwrap_or_else(|failure| panic!("{failure}"));
    has_written(&gateway).await;
    let output = gateway.output();
    assert!(output.contains("the store fails") && output.contains("WRONGPASS"), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
}

#[tokio::test]
async fn a_redis_is_talked_to_with_tls() {
    let pki = Pki::new();
    let redis = RedisServer::start_with_tls(&pki, &[]);
    let with_ca = |place: &Place| {
        let ca = pki.write_ca(place.dir());
        store(place, redis.port(), &format!(", ca: {{ file: {} }}", ca.display()), 'a')
            .replace("redis://", "rediss://")
    };
    let (gateway, upstream) = start(with_ca).await.unwrap();
    has_written(&gateway).await;
    let without = yaml(gateway.place(), &upstream, &store(gateway.place(), redis.port(), "", 'a'));
    let other = tempfile::tempdir().unwrap();
    let broken = without.replace("redis://", "rediss://").replace("500ms", "500ms, ca: { file: ca.pem }");
    std::fs::write(other.path().join("gateway.yaml"), broken).unwrap();
    let (code, said) = check(other.path());
    assert!(code == Some(1) && said.contains("store.redis.ca"), "{said}");
    std::fs::write(other.path().join("ca.pem"), "no PEM").unwrap();
    let (code, said) = check(other.path());
    assert!(code == Some(1) && said.contains("no certificate"), "{said}");
}

//! Health and readiness.

use super::stage::{Config, PATIENCE, Stage, eventually};
use narthex_testkit::{Launch, MockIdp, Place, RecordingUpstream, mcp};
use std::net::SocketAddr;
use std::sync::Mutex;

#[tokio::test]
async fn it_is_not_ready_until_the_issuers_keys_are_there() {
    let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
    idp.stop().await;
    let admin = Mutex::new(None::<SocketAddr>);
    let launch = Launch::new(|place: &Place| {
        *admin.lock().unwrap() = Some(place.admin_address());
        Config::new().yaml(place, &idp, &upstream)
    });
    let said = async |path: &str| {
        let address = *admin.lock().unwrap();
        mcp::get(address?, path, None).await.ok()
    };
    let operator = async {
        let alive = eventually(PATIENCE, async || said("/healthz").await.is_some()).await;
        alive.expect("it is alive without its issuer");
        let (health, ready) = (said("/healthz").await.unwrap(), said("/readyz").await.unwrap());
        assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json()["ready"], false);
        assert_eq!(ready.json()["reasons"], serde_json::json!(["issuer keys not fetched"]));
        idp.resume().await;
    };
    let (started, ()) = tokio::join!(launch.start(), operator);
    let gateway = started.unwrap_or_else(|failure| panic!("{failure}"));
    let ready = gateway.admin("/readyz").await.unwrap();
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)));
    let token = idp.token(&format!("{}/tools", gateway.place().public_url()));
    let call = mcp::tools_call("echo", serde_json::json!({}));
    assert_eq!(mcp::call(gateway.address(), "/tools", Some(&token), &call).await.unwrap().status, 200);
    let refreshes = "narthex_jwks_refresh_total{issuer=\"";
    let metrics = gateway.metrics().await;
    for result in ["ok", "error"] {
        let is_counted =
            metrics.lines().any(|l| l.starts_with(refreshes) && l.contains(&format!("result=\"{result}\"")));
        assert!(is_counted, "{result}:\n{metrics}");
    }
}

#[tokio::test]
async fn an_issuer_that_goes_away_later_leaves_it_ready() {
    let stage = Stage::new().await;
    stage.idp.stop().await;
    assert_eq!(stage.gateway.admin("/readyz").await.unwrap().status, 200);
    assert_eq!(stage.status("/tools", &stage.token()).await, 200);
}

//! Gateways behind one name, which share a store: what one of them signs verifies with the keys that any publishes.

use super::asserted::{keys, kid, verify};
use jsonwebtoken::jwk::JwkSet;
use narthex_testkit::{
    GatewayProcess, Launch, MockIdp, Place, RecordingUpstream, RedisServer, StartFailure, mcp,
};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

const PUBLIC_URL: &str = "http://gateway.example";

/// The configuration of each of them.
fn yaml(place: &Place, idp: &MockIdp, upstream: &RecordingUpstream, redis: u16) -> String {
    let key = place.file("store-key", "09".repeat(32));
    let own = format!("public_url: {}\n", place.public_url());
    let server = place.server_yaml("").replace(&own, &format!("public_url: {PUBLIC_URL}\n"));
    format!(
        "{server}auth:\n  issuers:\n    - {}tenants: {{ acme: {{ routes: [up] }} }}\n\
         store:\n  redis: {{ url: 'redis://127.0.0.1:{redis}' }}\n  keys: [{{ file: '{}' }}]\n\
         upstreams: {{ up: {{ url: '{}', credential: {{ assertion: {{}} }} }} }}\n\
         routes: {{ up: {{ path: /up, upstream: up }} }}\n",
        idp.issuer_yaml(6),
        key.display(),
        upstream.url("/mcp"),
    )
}

async fn start(
    idp: &MockIdp,
    upstream: &RecordingUpstream,
    redis: u16,
) -> Result<GatewayProcess, StartFailure> {
    Launch::new(|place: &Place| yaml(place, idp, upstream, redis)).start().await
}

/// The token that the upstream gets with a call at this gateway.
async fn presented(gateway: &GatewayProcess, idp: &MockIdp, upstream: &RecordingUpstream) -> String {
    let token = idp.token(&format!("{PUBLIC_URL}/up"));
    let body = mcp::tools_call("echo", json!({}));
    let answer = mcp::exchange(gateway.address(), &mcp::post("/up", Some(&token), &[], &body)).await.unwrap();
    assert!(answer.tool_text().is_some(), "{}\n{}", answer.text(), gateway.output());
    let call = upstream.requests_for("tools/call").pop().unwrap();
    call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

#[tokio::test]
async fn what_any_of_them_signs_verifies_with_the_keys_that_each_publishes() {
    let (redis, idp, upstream) =
        (RedisServer::start(), MockIdp::start().await, RecordingUpstream::start().await);
    // At the same time: neither finds keys of the other.
    let (one, two) = tokio::join!(start(&idp, &upstream, redis.port()), start(&idp, &upstream, redis.port()));
    let [one, two] = [one, two].map(|started| started.unwrap_or_else(|failure| panic!("{failure}")));
    let published: [JwkSet; 2] = [keys(one.address()).await, keys(two.address()).await];
    assert_eq!(published[0], published[1]);
    let mut signers = Vec::new();
    for gateway in [&one, &two] {
        let token = presented(gateway, &idp, &upstream).await;
        for keys in &published {
            verify(keys, &token, PUBLIC_URL, &upstream.url("/mcp")).unwrap();
        }
        signers.push(kid(&token));
        assert!(!gateway.place().dir().join("state/signing.keys").exists());
    }
    assert_eq!(signers[0], signers[1]);
    // One that comes later has them as well.
    let three = start(&idp, &upstream, redis.port()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(keys(three.address()).await, published[0]);
}

#[tokio::test]
async fn a_store_that_is_down_at_the_start_is_waited_for_and_nothing_published_until_then() {
    let mut redis = RedisServer::start();
    redis.kill();
    let (idp, upstream, port) = (MockIdp::start().await, RecordingUpstream::start().await, redis.port());
    let places = Mutex::new(None::<(SocketAddr, SocketAddr)>);
    let launch = Launch::new(|place: &Place| {
        *places.lock().unwrap() = Some((place.address(), place.admin_address()));
        yaml(place, &idp, &upstream, port)
    });
    let ask = async |path: &str| {
        let (public, admin) = (*places.lock().unwrap())?;
        mcp::get(if path == "/readyz" { admin } else { public }, path, None).await.ok()
    };
    let waits = async || ask("/readyz").await.is_some_and(|ready| ready.text().contains("store not reached"));
    let operator = async {
        while !waits().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let published = ask("/.well-known/jwks.json").await.unwrap();
        assert_eq!(published.status, 503, "{}", published.text());
        assert_eq!(published.header("cache-control"), Some("no-store"));
        redis.start_again();
    };
    let (gateway, ()) = tokio::join!(launch.start(), operator);
    let gateway = gateway.unwrap_or_else(|failure| panic!("{failure}"));
    // It is ready, so it signs.
    let token = presented(&gateway, &idp, &upstream).await;
    verify(&keys(gateway.address()).await, &token, PUBLIC_URL, &upstream.url("/mcp")).unwrap();
}

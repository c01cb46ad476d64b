//! What a reload does not change: counts, sessions, caches, streams.

use super::stage::{Config, Stage};
use narthex_testkit::{Answer, Endpoint, mcp};
use serde_json::json;

const HITS: &str = "narthex_token_cache_hits_total";
const MISSES: &str = "narthex_token_cache_misses_total";

/// The same configuration with another text.
fn touched(config: &Config, number: usize) -> Config {
    Config { server: format!("  # touched {number}\n{}", config.server), ..config.clone() }
}

#[tokio::test]
async fn a_used_up_limit_stays_used_up() {
    for (place, config) in [
        ("tenant", Config { tenant_limits: "{ requests: 5/1h }".to_owned(), ..Config::new() }),
        ("route", Config { route: "    limits: { requests: 5/1h }\n".to_owned(), ..Config::new() }),
        (
            "tool",
            Config {
                route:
                    "    tools:\n      - match: [echo]\n        limits: { requests: 5/1h, per: subject }\n"
                        .to_owned(),
                ..Config::new()
            },
        ),
    ] {
        let stage = Stage::with(&config).await;
        let token = stage.token();
        for call in 0..7 {
            stage.reload(&touched(&config, call)).await;
            let expected = if call < 5 { 200 } else { 429 };
            assert_eq!(stage.status("/tools", &token).await, expected, "{place}, call {call}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_was_changed_counts_afresh_and_the_others_go_on() {
    let limits = |tenant: &str, route: &str| Config {
        tenant_limits: tenant.to_owned(),
        route: format!("    limits: {route}\n"),
        ..Config::new()
    };
    let stage = Stage::with(&limits("{ requests: 2/1h }", "{ requests: 4/1h }")).await;
    let token = stage.token();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(stage.status("/tools", &token).await);
    }
    stage.reload(&limits("{ requests: 3/1h }", "{ requests: 4/1h }")).await;
    for _ in 0..3 {
        statuses.push(stage.status("/tools", &token).await);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429], "the route has 2 of its 4 left after the reload");
}

#[tokio::test]
async fn sessions_and_verified_tokens_live_on() {
    let stage = Stage::new().await;
    let token = stage.token();
    let session =
        mcp::open_session(stage.gateway.address(), "/tools", Some(&token), mcp::STATEFUL).await.unwrap();
    let upstreams = stage.upstream.requests().last().unwrap().header("mcp-session-id").map(str::to_owned);
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let call = mcp::post("/tools", Some(&token), &headers, &mcp::tools_call("echo", json!({})));
    let (hits, misses) =
        (stage.gateway.metric(HITS).await.unwrap(), stage.gateway.metric(MISSES).await.unwrap());
    let fetched = stage.idp.hits(Endpoint::Jwks);
    // From here on nobody could verify anything anew.
    stage.idp.stop().await;
    for reload in 0..3 {
        stage.reload(&touched(&Config::new(), reload)).await;
        let answer = mcp::exchange(stage.gateway.address(), &call).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(
        stage.upstream.requests().last().unwrap().header("mcp-session-id").map(str::to_owned),
        upstreams
    );
    assert_eq!(stage.gateway.metric(MISSES).await, Some(misses));
    assert_eq!(stage.gateway.metric(HITS).await, Some(hits + 3.0));
    // The keys live on, too: a token never seen before is verified with them.
    assert_eq!(stage.status("/tools", &stage.token()).await, 200);
    assert_eq!(stage.idp.hits(Endpoint::Jwks), fetched);
}

#[tokio::test]
async fn a_cached_credential_lives_on() {
    let config = |idp_url: &str| Config {
        upstream: format!(
            "    credential:\n      client_credentials:\n        token_url: {idp_url}/token\n        client: {{ id: narthex, secret: {{ env: HOME }}, method: basic }}\n"
        ),
        ..Config::new()
    };
    let stage = Stage::new().await;
    let secret = stage.gateway.place().file("secret", narthex_testkit::MockIdp::CLIENT.1);
    let mut config = config(stage.idp.issuer());
    config.upstream = config.upstream.replace("{ env: HOME }", &format!("{{ file: {} }}", secret.display()));
    stage.reload(&config).await;
    let token = stage.token();
    for reload in 0..3 {
        assert_eq!(stage.status("/tools", &token).await, 200);
        stage.reload(&touched(&config, reload)).await;
    }
    assert_eq!(stage.idp.token_calls().len(), 1);
}

#[tokio::test]
async fn an_open_stream_goes_on() {
    let stage = Stage::new().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    let call = mcp::tools_call("echo", json!({}));
    client.send(mcp::post("/tools", Some(&stage.token()), &[], &call)).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    for reload in 0..3 {
        feed.event(
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"n": reload}})
                .to_string(),
        );
        let event = client.sse_event().await.unwrap().expect("the stream is open");
        assert_eq!(event.json()["params"]["n"], reload);
        // Even one that takes the route away.
        let config = Config { path: format!("/elsewhere-{reload}"), ..Config::new() };
        stage.reload(&config).await;
    }
    drop(feed);
    assert_eq!(client.sse_event().await.unwrap(), None, "it ends as the upstream ends it");
}

//! Browsers: origins, preflights, and the fields that every answer carries.

use super::stage::{Failures, ORIGIN, SEAL_KEY, Stage, whole, yaml};
use narthex_testkit::{Answer, Launch, MockIdp, Place, RawResponse, RecordingUpstream, mcp};
use serde_json::json;

fn hardened(answer: &RawResponse) -> bool {
    answer.header("x-content-type-options") == Some("nosniff")
        && answer.header("content-security-policy") == Some("default-src 'none'; frame-ancestors 'none'")
        && answer.header("referrer-policy") == Some("no-referrer")
        && answer.header("server").is_none()
}

fn call() -> String {
    mcp::tools_call("echo", json!({}))
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_refused_before_anything_is_asked() {
    let stage = Stage::start().await;
    let own = stage.gateway.place().public_url();
    let mut failures = Failures::default();
    for origin in [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example.com",
        "https://evil.example.com/https://app.example.com",
        "https://app.example.com/",
        "https://user@app.example.com",
        "https://app.example.com, https://evil.example.com",
        "null",
        "*",
        "file://",
        own.as_str(),
    ] {
        for verb in ["POST", "GET", "DELETE", "OPTIONS"] {
            let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
            let bytes = match verb {
                "POST" => mcp::post("/mcp", Some(&stage.token()), &headers, &call()),
                verb => mcp::bodiless(verb, "/mcp", Some(&stage.token()), &headers),
            };
            let answer = stage.send(&bytes).await;
            let right = answer.status == 403
                && answer.header("access-control-allow-origin").is_none()
                && answer.header("www-authenticate").is_none()
                && hardened(&answer);
            failures.unless(right, &format!("{verb} from {origin}"), || whole(&answer));
        }
    }
    assert_eq!(stage.upstream.count(), 0);
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_preflight_from_a_listed_origin_is_answered_without_a_token() {
    let stage = Stage::start().await;
    let headers = [
        ("Origin", ORIGIN),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, mcp-session-id, x-anything"),
    ];
    let answer = stage.send(&mcp::bodiless("OPTIONS", "/mcp", None, &headers)).await;
    assert_eq!(answer.status, 204, "{}", whole(&answer));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let methods = answer.header("access-control-allow-methods").unwrap();
    assert!(["POST", "GET", "DELETE"].iter().all(|verb| methods.contains(verb)), "{methods}");
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for field in [
        "authorization",
        "content-type",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
    ] {
        assert!(allowed.contains(field), "{field} is not in {allowed}");
    }
    assert!(!allowed.contains("x-anything") && !allowed.contains('*'));
    assert!(hardened(&answer));
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn metadata_is_for_everybody_and_from_public_url() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (route, path) in [("/mcp", "/mcp"), ("/other", "/other"), ("/lonely", "/lonely")] {
        let well_known = format!("/.well-known/oauth-protected-resource{path}");
        let headers = [("Origin", "https://anywhere.example.com"), ("X-Forwarded-Host", "evil.example.com")];
        let answer = stage.send(&mcp::bodiless("GET", &well_known, None, &headers)).await;
        let body = answer.json();
        let right = answer.status == 200
            && body["resource"] == stage.resource(route)
            && body["authorization_servers"] == json!([stage.idp.issuer()])
            && answer.header("access-control-allow-origin") == Some("*")
            && hardened(&answer);
        failures.unless(right, &well_known, || whole(&answer));
        let preflight = stage.send(&mcp::bodiless("OPTIONS", &well_known, None, &headers)).await;
        failures.unless(preflight.status == 204, &well_known, || whole(&preflight));
        let post = stage.send(&mcp::post(&well_known, None, &headers, "{}")).await;
        failures.unless(post.status == 405, &well_known, || whole(&post));
    }
    let open =
        stage.send(&mcp::bodiless("GET", "/.well-known/oauth-protected-resource/open", None, &[])).await;
    failures.unless(open.status == 404, "an open route has none", || whole(&open));
}

#[tokio::test]
async fn challenges_name_the_metadata_that_there_is_where_public_url_has_a_path() {
    let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
    let launch = Launch::new(|place: &Place| {
        let own = format!("public_url: {}", place.public_url());
        yaml(place, &idp, &upstream, SEAL_KEY, "").replace(&own, &format!("{own}/gw"))
    });
    let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
    let own = gateway.place().public_url();
    let send = async |bytes: Vec<u8>| mcp::exchange(gateway.address(), &bytes).await.unwrap();
    let mut failures = Failures::default();
    for path in ["/mcp", "/gw/mcp"] {
        let answer = send(mcp::post(path, None, &[], &call())).await;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let named = format!("resource_metadata=\"{own}/.well-known/oauth-protected-resource/gw/mcp\"");
        failures.unless(answer.status == 401 && challenge.contains(&named), path, || whole(&answer));
    }
    for (path, is_there) in [("/gw/mcp", true), ("/mcp", false), ("/gw/gw/mcp", false), ("/gw", false)] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let answer = send(mcp::bodiless("GET", &path, None, &[])).await;
        let right = if is_there {
            answer.json()["resource"] == format!("{own}/gw/mcp")
        } else {
            answer.status == 404
        };
        failures.unless(right, &path, || whole(&answer));
    }
}

#[tokio::test]
async fn a_route_that_needs_no_token_names_no_metadata() {
    let stage = Stage::start().await;
    let answer = stage.send(&mcp::post("/open?access_token=x", None, &[], &call())).await;
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.starts_with("Bearer") && !challenge.contains("resource_metadata"),
        "{}",
        whole(&answer)
    );
}

#[tokio::test]
async fn every_kind_of_answer_is_hardened_and_readable_by_a_listed_page() {
    let stage = Stage::start().await;
    let token = stage.token();
    let session =
        mcp::open_session(stage.gateway.address(), "/mcp", Some(&token), mcp::STATEFUL).await.unwrap();
    let with = |more: &[(&'static str, String)]| -> Vec<(&'static str, String)> {
        [&[("Origin", ORIGIN.to_owned())], more].concat()
    };
    let session = with(&[("Mcp-Session-Id", session), ("MCP-Protocol-Version", mcp::STATEFUL.to_owned())]);
    let post = |token: Option<&str>, body: &str| mcp::post("/mcp", token, &[("Origin", ORIGIN)], body);
    let in_session = |verb: &str| {
        let headers: Vec<_> = session.iter().map(|(name, value)| (*name, value.as_str())).collect();
        mcp::bodiless(verb, "/mcp", Some(&token), &headers)
    };
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let plain = |status| Some(Answer::status(status));
    let cases: Vec<(&str, Option<Answer>, Vec<u8>, u16)> = vec![
        ("a result", None, post(Some(&token), &call()), 200),
        (
            "a stream",
            Some(Answer::sse_events(std::slice::from_ref(&message))),
            post(Some(&token), &call()),
            200,
        ),
        (
            "a notification",
            None,
            post(Some(&token), &mcp::notification("notifications/cancelled", json!({}))),
            202,
        ),
        ("a list", None, post(Some(&token), &mcp::request(1, "tools/list", json!({}))), 200),
        ("no token", None, post(None, &call()), 401),
        ("a bad token", None, post(Some("a.b.c"), &call()), 401),
        ("a missing scope", None, post(Some(&token), &mcp::tools_call("add", json!({}))), 403),
        ("a hidden tool", None, post(Some(&token), &mcp::tools_call("whoami", json!({}))), 200),
        ("a bad body", None, post(Some(&token), "{"), 400),
        ("a GET that has no stream", None, in_session("GET"), 405),
        ("a GET stream", Some(Answer::sse_events(&[message])), in_session("GET"), 200),
        ("a DELETE", None, in_session("DELETE"), 204),
        ("the upstream's 500", plain(500), post(Some(&token), &call()), 200),
        ("the upstream's 404", plain(404), post(Some(&token), &call()), 404),
        ("the upstream's 401", plain(401), post(Some(&token), &call()), 200),
        ("no answer", Some(Answer::close()), post(Some(&token), &call()), 200),
        ("PUT", None, mcp::bodiless("PUT", "/mcp", Some(&token), &[("Origin", ORIGIN)]), 405),
    ];
    let mut failures = Failures::default();
    for (name, upstream, bytes, status) in cases {
        if let Some(answer) = upstream {
            stage.upstream.next(answer);
        }
        let answer = stage.send(&bytes).await;
        failures
            .unless(answer.status == status, name, || format!("expected {status}, got {}", whole(&answer)));
        let readable = answer.header("access-control-allow-origin") == Some(ORIGIN)
            && answer.header("vary") == Some("Origin")
            && answer
                .header("access-control-expose-headers")
                .is_some_and(|all| all.contains("WWW-Authenticate"));
        let right = hardened(&answer) && readable && answer.header("x-request-id").is_some();
        failures.unless(right, name, || whole(&answer));
        let cached = answer.header("cache-control").is_some_and(|value| value.starts_with("no-"));
        failures.unless(cached || answer.status == 405, name, || whole(&answer));
    }
    let nowhere = stage.send(&mcp::bodiless("GET", "/nowhere", None, &[])).await;
    failures.unless(nowhere.status == 404 && hardened(&nowhere), "no route", || whole(&nowhere));
    let garbage = stage.send(b"\x00\x01\r\n\r\n").await;
    failures.unless(garbage.status == 400 && hardened(&garbage), "not HTTP", || whole(&garbage));
}

use super::*;
use server::answer;

#[tokio::test]
async fn a_call_without_a_token_has_nothing_to_exchange() {
    let server = Server::issuing(600).await;
    let (source, nobody) = (build(exchange(&server)), Caller::anonymous("acme".into()));
    for token in [None, Some("")] {
        assert!(source.ready(&nobody, token, at(0)).is_none());
        assert_eq!(reason(source.obtain(&nobody, token, at(0)).await), "no_subject_token");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn an_answer_that_echoes_the_inbound_token_is_refused() {
    let server =
        Server::answering(|_, asked| server::success(asked.parameters()["subject_token"], 600)).await;
    let (source, alice) = (build(exchange(&server)), caller("acme", "alice", 3600));
    assert_eq!(reason(source.obtain(&alice, Some("inbound"), at(0)).await), "echoed_subject_token");
    assert!(source.ready(&alice, Some("inbound"), at(0)).is_none());
}

#[tokio::test]
async fn no_bad_answer_makes_a_credential() {
    let good = r#"{"access_token":"canary","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
    let huge = format!("{{\"pad\":\"{}\",{}", "x".repeat(2 * 1024 * 1024), &good[1..]);
    let server = Server::issuing(600).await;
    let elsewhere = format!("Location: {}\r\n", server.url());
    let cases = [
        (answer(200, "text/html", "", "<html>canary</html>"), "bad_token_response"),
        (answer(302, "text/html", &elsewhere, ""), "bad_token_response"),
        (answer(307, "application/json", &elsewhere, good), "bad_token_response"),
        (answer(200, "application/json", "", &huge), "exchange_unreachable"),
        (answer(500, "application/json", "", good), "exchange_unreachable"),
        (answer(502, "text/html", "", "canary"), "exchange_unreachable"),
        (answer(429, "application/json", "Retry-After: 1\r\n", good), "exchange_unreachable"),
        (answer(401, "application/json", "", r#"{"error":"invalid_client"}"#), "exchange_refused"),
        (answer(400, "application/json", "", r#"{"error":"canary-canary"}"#), "exchange_refused"),
        (answer(200, "application/json", "", "{}"), "bad_token_response"),
        (answer(200, "application/json", "", &good.replace("Bearer", "mac")), "bad_token_response"),
        (answer(200, "application/json", "", &good.replace("canary", "canary\\n")), "bad_token_response"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".into(), "exchange_unreachable"),
        ("not http at all\r\n\r\n".into(), "exchange_unreachable"),
        (String::new(), "exchange_unreachable"),
    ];
    let alice = caller("acme", "alice", 3600);
    for (i, (text, expected)) in cases.into_iter().enumerate() {
        let shown = text.chars().take(120).collect::<String>();
        server.answer(move |_, _| text.clone());
        let source = build(exchange(&server));
        let error = source.obtain(&alice, Some("subject-canary"), at(0)).await.unwrap_err();
        assert_eq!(error.reason(), expected, "{shown}");
        assert!(!format!("{error} {error:?} {}", error.detail()).contains("canary"), "{error:?}");
        assert_eq!(server.count(), i + 1, "a redirect was followed: {shown}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_not_there_is_unreachable() {
    let server = Server::issuing(600).await;
    let Credential::TokenExchange(mut exchange) = exchange(&server) else { panic!() };
    // Nothing listens on the discard port, and the second is no server's address.
    for url in ["http://127.0.0.1:9/token", "http://169.254.169.254/token"] {
        exchange.token_url = url.parse().unwrap();
        let source = build(Credential::TokenExchange(exchange.clone()));
        let outcome = source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await;
        assert_eq!(reason(outcome), "exchange_unreachable", "{url}");
    }
}

#[tokio::test]
async fn every_call_of_the_token_endpoint_is_counted() {
    let server = Server::issuing(600).await;
    let (registry, events) = events();
    let all = upstreams(exchange(&server));
    let credentials = build_all(&all, None, &events, &Context::default()).unwrap();
    let source = credentials.upstream(&"github".into()).unwrap();
    let alice = caller("acme", "alice", 3600);
    for _ in 0..3 {
        source.obtain(&alice, Some("inbound"), at(0)).await.unwrap();
    }
    server.answer(|_, _| server::json(500, "{}"));
    source.obtain(&alice, Some("another"), at(0)).await.unwrap_err();
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "narthex_token_exchange_total{result=\"ok\",upstream=\"github\"} 1",
        "narthex_token_exchange_total{result=\"error\",upstream=\"github\"} 1",
        "narthex_token_exchange_duration_seconds_count{upstream=\"github\"} 2",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn no_secret_or_token_is_ever_printed() {
    let server = Server::answering(|_, _| server::success("token-canary", 600)).await;
    let auths = [OAuthClientAuth::Basic(env("SECRET")), OAuthClientAuth::Post(env("SECRET"))];
    let mut all: Vec<Credential> =
        auths.map(|auth| Credential::TokenExchange(exchange_at(&server, auth))).into();
    all.push(Credential::Header { name: "x-api-key".into(), value: env("KEY") });
    all.push(Credential::Basic { username: "narthex".into(), password: env("KEY") });
    let alice = caller("acme", "alice", 3600);
    for credential in all {
        let credentials = build_all(&upstreams(credential), None, &events().1, &Context::default()).unwrap();
        let source = credentials.upstream(&"github".into()).unwrap();
        let minted = source.obtain(&alice, Some("subject-canary"), at(0)).await.unwrap();
        let (_, header) = minted.header_for(ORIGIN).unwrap().unwrap();
        let refused = minted.header_for("https://evil.example").unwrap_err();
        let shown =
            format!("{credentials:#?} {source:?} {minted:?} {minted:#?} {header:?} {refused} {refused:?}");
        for secret in ["canary", "Y2FuYXJ5", "bmFydGhleDphcGkta2V5"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_secret_that_cannot_be_used_fails_the_build_with_upstream_and_reference() {
    for (name, problem) in [
        ("MISSING", "upstream github: secret environment variable MISSING: not set"),
        ("BROKEN", "upstream github: secret environment variable BROKEN: contains a line break"),
    ] {
        let all = upstreams(Credential::Header { name: "x-api-key".into(), value: env(name) });
        let error = build_all(&all, None, &events().1, &Context::default()).unwrap_err();
        assert_eq!(error.to_string(), problem);
        assert_eq!(error.upstream().as_str(), "github");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

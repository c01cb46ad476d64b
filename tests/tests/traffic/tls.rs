//! TLS on either side, HTTP/1.1 and HTTP/2 on either side.

use super::stage::{Setup, Stage, eventually, setup, tool_call};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use narthex_testkit::{
    Answer, Leaf, MockIdp, Pki, RawClient, RecordingUpstream, Signal, UpstreamOptions, mcp,
};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn with_certificate(leaf: &Leaf) -> Setup {
    setup()
        .server("  tls: { cert: { file: \"{dir}/cert.pem\" }, key: { file: \"{dir}/key.pem\" } }\n")
        .file("cert.pem", &leaf.cert_pem)
        .file("key.pem", &leaf.key_pem)
}

/// An HTTP/2 connection, its protocol agreed on by ALPN.
async fn h2(stage: &Stage, pki: &Pki) -> SendRequest<Full<Bytes>> {
    let config = pki.client_config(None, &["h2", "http/1.1"]);
    let tcp = TcpStream::connect(stage.gateway.address()).await.unwrap();
    let tls = TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await;
    let tls = tls.unwrap_or_else(|error| panic!("{error}; the gateway says:\n{}", stage.gateway.output()));
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(tls);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn h2_call(token: &str, id: usize) -> hyper::Request<Full<Bytes>> {
    let body = mcp::request(id, "tools/call", json!({"name": "echo", "arguments": {"n": id}}));
    hyper::Request::post("https://localhost/main")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", mcp::STATEFUL)
        .body(Full::from(body))
        .unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let pki = Pki::new();
    let stage = with_certificate(&pki.leaf(&["localhost"])).start().await;
    let config = pki.client_config(None, &["http/1.1"]);
    let mut client = RawClient::connect_tls(stage.gateway.address(), "localhost", config).await.unwrap();
    for _ in 0..2 {
        client.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    let mut sender = h2(&stage, &pki).await;
    let calls: Vec<_> = (0..20).map(|id| sender.send_request(h2_call(&stage.token, id))).collect();
    for (id, call) in calls.into_iter().enumerate() {
        let answer = call.await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["id"], id);
    }
    let bad = sender.send_request(h2_call("bad", 1)).await.unwrap();
    assert_eq!(bad.status(), 401, "and the connection lives on");
    assert_eq!(sender.send_request(h2_call(&stage.token, 1)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn events_arrive_one_by_one_over_http2_and_a_reset_ends_its_stream_only() {
    let pki = Pki::new();
    let stage = with_certificate(&pki.leaf(&["localhost"])).start().await;
    let mut sender = h2(&stage, &pki).await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut answer = sender.send_request(h2_call(&stage.token, 1)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    for n in 0..3 {
        feed.event(format!("{n}"));
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {n}\n\n"));
    }
    drop(answer);
    assert_eq!(sender.send_request(h2_call(&stage.token, 2)).await.unwrap().status(), 200);
    drop(feed);
}

#[tokio::test]
async fn sigterm_lets_a_call_over_http2_finish() {
    let pki = Pki::new();
    let mut stage = with_certificate(&pki.leaf(&["localhost"])).start().await;
    let mut sender = h2(&stage, &pki).await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let answer = sender.send_request(h2_call(&stage.token, 1)).await.unwrap();
    stage.gateway.signal(Signal::SIGTERM);
    stage.gateway.wait_for_output("draining", 1).await;
    let last = "x".repeat(200_000);
    feed.event(&last);
    drop(feed);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("data: {last}\n\n"));
    let status = stage.gateway.wait_for_exit(Duration::from_secs(10)).await;
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

#[tokio::test]
async fn plain_text_and_strange_authorities_are_no_way_in() {
    let pki = Pki::new();
    let stage = with_certificate(&pki.leaf(&["localhost"])).start().await;
    let mut plain = RawClient::connect(stage.gateway.address()).await.unwrap();
    plain.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
    assert!(plain.response().await.is_err());
    let other = Pki::new().client_config(None, &["http/1.1"]);
    assert!(RawClient::connect_tls(stage.gateway.address(), "localhost", other).await.is_err());
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_certificate_replaced_on_disk_is_shown_to_new_connections() {
    let (old, new) = (Pki::new(), Pki::new());
    let stage = with_certificate(&old.leaf(&["localhost"])).start().await;
    let address = stage.gateway.address();
    let config = old.client_config(None, &["http/1.1"]);
    let mut before = RawClient::connect_tls(address, "localhost", config).await.unwrap();
    before.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
    assert_eq!(before.response().await.unwrap().status, 200);

    let leaf = new.leaf(&["localhost"]);
    // One after the other, as certbot does: what does not match in between changes nothing.
    let _ = stage.gateway.place().file("cert.pem", &leaf.cert_pem);
    let _ = stage.gateway.place().file("key.pem", &leaf.key_pem);
    let (new, token) = (&new, &stage.token);
    let mut after = eventually("the new certificate", || async {
        RawClient::connect_tls(address, "localhost", new.client_config(None, &["http/1.1"])).await.ok()
    })
    .await;
    after.send(tool_call(mcp::STATEFUL, "/main", token, "echo")).await.unwrap();
    assert_eq!(after.response().await.unwrap().status, 200);
    // A client of its own: one that has been here before would resume its TLS session.
    let config = old.client_config(None, &["http/1.1"]);
    assert!(RawClient::connect_tls(address, "localhost", config).await.is_err(), "the old one is gone");
    before.send(tool_call(mcp::STATEFUL, "/main", token, "echo")).await.unwrap();
    assert_eq!(before.response().await.unwrap().status, 200, "an open connection goes on");
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_come_in() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let leaf = pki.leaf(&["localhost"]);
    let stage = setup()
        .server(
            "  tls: { cert: { file: \"{dir}/cert.pem\" }, key: { file: \"{dir}/key.pem\" }, \
             client_ca: { file: \"{dir}/clients.pem\" } }\n",
        )
        .file("cert.pem", &leaf.cert_pem)
        .file("key.pem", &leaf.key_pem)
        .file("clients.pem", &clients.ca_pem())
        .start()
        .await;
    let known = clients.leaf(&["agent"]);
    let stranger = Pki::new().leaf(&["agent"]);
    for (case, identity, welcome) in
        [("known", Some(&known), true), ("none", None, false), ("stranger", Some(&stranger), false)]
    {
        let config = pki.client_config(identity, &["http/1.1"]);
        let address = stage.gateway.address();
        // By TLS 1.3 a client learns only after its handshake that it is not wanted.
        let got = async {
            let mut client = RawClient::connect_tls(address, "localhost", config).await.ok()?;
            client.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.ok()?;
            client.response().await.ok().map(|answer| answer.status)
        };
        assert_eq!(got.await, welcome.then_some(200), "{case}");
    }
    assert_eq!(stage.upstream.count(), 1);
}

async fn behind(upstream: RecordingUpstream, main: &str, ca: &str) -> Stage {
    setup().main(main).file("ca.pem", ca).start_with_idp(upstream, MockIdp::start().await).await
}

#[tokio::test]
async fn upstreams_are_reached_by_tls_and_http2_as_configured() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["localhost"]);
    let tls = || UpstreamOptions::default().tls(&pki, &leaf);
    let tls_h2 = || UpstreamOptions::default().http2().tls(&pki, &leaf);
    let ca = "    ca: { file: \"{dir}/ca.pem\" }\n";
    let cases: Vec<(&str, UpstreamOptions, String, bool)> = vec![
        ("TLS", tls(), ca.to_owned(), false),
        ("TLS, auto, both offered", tls_h2(), ca.to_owned(), true),
        ("TLS, h1", tls_h2(), format!("{ca}    http: h1\n"), false),
        ("TLS, h2", tls_h2(), format!("{ca}    http: h2\n"), true),
        ("plain h2", UpstreamOptions::default().http2(), "    http: h2\n".to_owned(), true),
    ];
    for (case, options, main, http2) in cases {
        let stage = behind(RecordingUpstream::start_with(options).await, &main, &pki.ca_pem()).await;
        for revision in [mcp::STATEFUL, mcp::STATELESS] {
            let answer = stage.call(revision).await;
            assert!(answer.tool_text().is_some(), "{case}: {}\n{}", answer.text(), stage.gateway.stderr());
        }
        let (answer, feed) = Answer::sse();
        stage.upstream.next(answer);
        let mut client = stage.connect().await;
        client.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
        client.response_head().await.unwrap();
        feed.event("one");
        assert_eq!(client.sse_event().await.unwrap().unwrap().data, "one", "{case}");
        drop(feed);
        assert_eq!(client.sse_event().await.unwrap(), None, "{case}");
        let requests = stage.upstream.requests();
        assert!(requests.iter().all(|got| got.http2 == http2), "{case}");
        assert_eq!(stage.upstream.connections(), 1, "{case}: pooled");
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_who_it_is_gets_nothing() {
    let (pki, other) = (Pki::new(), Pki::new());
    let cases = [
        ("unknown authority", pki.leaf(&["localhost"]), other.ca_pem()),
        ("another name", pki.leaf(&["elsewhere.example.com"]), pki.ca_pem()),
    ];
    for (case, leaf, ca) in cases {
        let upstream = RecordingUpstream::start_with(UpstreamOptions::default().tls(&pki, &leaf)).await;
        let stage = behind(upstream, "    ca: { file: \"{dir}/ca.pem\" }\n", &ca).await;
        assert_eq!(stage.call(mcp::STATELESS).await.status, 502, "{case}");
        assert_eq!(stage.upstream.count(), 0, "{case}");
        assert!(stage.upstream.received_bytes().is_empty(), "{case}");
    }
    // And the public authorities know nothing of ours.
    let leaf = pki.leaf(&["localhost"]);
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().tls(&pki, &leaf)).await;
    let stage = behind(upstream, "", "").await;
    assert_eq!(stage.call(mcp::STATELESS).await.status, 502);
    assert_eq!(stage.upstream.count(), 0);
}

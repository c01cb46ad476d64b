//! Certificates that the gateway shows: to upstreams, and to token endpoints.

use super::stage::{Stage, form, parameter};
use narthex_testkit::{Answer, Leaf, Pki, RecordingUpstream, UpstreamOptions, mcp};
use serde_json::json;
use std::path::Path;

/// A server that takes only clients of `clients`.
async fn demanding(pki: &Pki, clients: &Pki, http2: bool) -> RecordingUpstream {
    let options = if http2 { UpstreamOptions::default().http2() } else { UpstreamOptions::default() };
    RecordingUpstream::start_with(options.mutual_tls(clients, &pki.leaf(&["localhost", "127.0.0.1"]))).await
}

fn showing(upstream: &RecordingUpstream, dir: &Path, name: &str) -> String {
    let dir = dir.display();
    format!(
        "url: '{}', ca: {{ file: '{dir}/ca.pem' }}, \
         tls: {{ certificate: {{ file: '{dir}/{name}.pem' }}, key: {{ file: '{dir}/{name}.key' }} }}",
        upstream.url("/mcp")
    )
}

/// Every connection on which a request came, with what was shown on it.
fn shown(upstream: &RecordingUpstream, leaf: &Leaf) -> bool {
    let requests = upstream.requests();
    assert!(!requests.is_empty());
    requests.iter().all(|request| upstream.certificate(request.connection).as_deref() == Some(leaf.der()))
}

#[tokio::test]
async fn an_upstream_that_demands_a_certificate_is_shown_its_own() {
    for http2 in [false, true] {
        let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
        let _ = pki.write_ca(dir.path());
        let (one, two) = (pki.leaf(&["one"]), pki.leaf(&["two"]));
        let _ = (one.write(dir.path(), "one"), two.write(dir.path(), "two"));
        // One server behind two upstreams, which are two identities: connections are not shared.
        let upstream = demanding(&pki, &pki, http2).await;
        let stage = Stage::start(&[
            ("a", showing(&upstream, dir.path(), "one")),
            ("b", showing(&upstream, dir.path(), "two")),
        ])
        .await;
        stage.works("/a").await;
        assert!(shown(&upstream, &one));
        upstream.forget();
        stage.works("/b").await;
        assert!(shown(&upstream, &two));
        upstream.forget();
        stage.works("/a").await;
        assert!(shown(&upstream, &one), "HTTP/2: {http2}");
    }
}

#[tokio::test]
async fn without_a_certificate_or_with_a_strangers_there_is_no_connection() {
    let (pki, stranger, dir) = (Pki::new(), Pki::new(), tempfile::tempdir().unwrap());
    let _ = pki.write_ca(dir.path());
    let _ = stranger.leaf(&["stranger"]).write(dir.path(), "stranger");
    let upstream = demanding(&pki, &pki, false).await;
    let none = format!("url: '{}', ca: {{ file: '{}/ca.pem' }}", upstream.url("/mcp"), dir.path().display());
    let stage =
        Stage::start(&[("none", none), ("stranger", showing(&upstream, dir.path(), "stranger"))]).await;
    for path in ["/none", "/stranger"] {
        let answer = stage.call(path).await;
        assert!(answer.tool_text().is_none(), "{path}: {}", answer.text());
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_request_on() {
    let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
    let _ = pki.write_ca(dir.path());
    let (old, new) = (pki.leaf(&["old"]), pki.leaf(&["new"]));
    let _ = old.write(dir.path(), "mine");
    let upstream = demanding(&pki, &pki, false).await;
    let stage = Stage::start(&[("up", showing(&upstream, dir.path(), "mine"))]).await;
    stage.works("/up").await;
    assert!(shown(&upstream, &old));
    let before = stage.gateway.metric("narthex_config_reloads_total{outcome=\"success\"}").await;
    // Nobody tells the gateway: it watches both files. Between them they do not fit, which changes nothing.
    let _ = new.write(dir.path(), "mine");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        upstream.forget();
        stage.works("/up").await;
        if shown(&upstream, &new) {
            break;
        }
        assert!(std::time::Instant::now() < end, "{before:?}\n{}", stage.gateway.output());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn several_endpoints_are_checked_with_the_certificate_too() {
    let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
    let _ = pki.write_ca(dir.path());
    let mine = pki.leaf(&["mine"]);
    let _ = mine.write(dir.path(), "mine");
    let (one, two) = (demanding(&pki, &pki, false).await, demanding(&pki, &pki, false).await);
    let keys = showing(&one, dir.path(), "mine").replace(
        &format!("url: '{}'", one.url("/mcp")),
        &format!("urls: ['{}', '{}'], health: {{ interval: 200ms }}", one.url("/mcp"), two.url("/mcp")),
    );
    let stage = Stage::start(&[("up", keys)]).await;
    for upstream in [&one, &two] {
        upstream.wait_until(|| upstream.requests().iter().any(|request| request.method == "OPTIONS")).await;
        assert!(shown(upstream, &mine));
    }
    // Calls go to the one or the other.
    let (body, headers) =
        (mcp::stateless_request(1, "tools/list", json!({})), mcp::stateless_headers("tools/list", None));
    let answer = stage.send(&mcp::post("/up", Some(&stage.token("/up")), &headers, &body)).await;
    assert!(answer.text().contains("echo"), "{}", answer.text());
    assert!([&one, &two].iter().all(|upstream| shown(upstream, &mine)));
}

#[tokio::test]
async fn a_client_authenticates_to_a_token_endpoint_by_its_certificate() {
    let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
    let ca = pki.write_ca(dir.path());
    let mine = pki.leaf(&["narthex"]);
    let _ = mine.write(dir.path(), "mine");
    let server = demanding(&pki, &pki, false).await;
    server.always(|_| {
        Answer::json(200, json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 60}))
    });
    let upstream = RecordingUpstream::start().await;
    let keys = format!(
        "url: '{}', credential: {{ client_credentials: {{ token_url: '{}', client: {{ id: narthex, \
         certificate: {{ file: '{dir}/mine.pem' }}, private_key: {{ file: '{dir}/mine.key' }} }} }} }}",
        upstream.url("/mcp"),
        server.url("/token"),
        dir = dir.path().display(),
    );
    let stage = Stage::launch(&[("up", keys)], &[("SSL_CERT_FILE", ca.to_str().unwrap())], |_| ()).await;
    stage.works("/up").await;
    assert!(shown(&server, &mine));
    let asked = form(&server.requests()[0]);
    assert_eq!(parameter(&asked, "client_id"), Some("narthex"));
    assert!(parameter(&asked, "client_secret").is_none() && parameter(&asked, "client_assertion").is_none());
}

#[tokio::test]
async fn a_certificate_that_is_not_its_keys_stops_the_start_with_its_name() {
    let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
    let _ = pki.write_ca(dir.path());
    let (one, two) = (pki.leaf(&["one"]), pki.leaf(&["two"]));
    let _ = one.with_key_of(&two).write(dir.path(), "mixed");
    let upstream = demanding(&pki, &pki, false).await;
    let keys = showing(&upstream, dir.path(), "mixed");
    let yaml = |place: &narthex_testkit::Place| {
        format!(
            "{}auth: {{ embedded: development }}\ntenants: {{ acme: {{ routes: [up] }} }}\nupstreams:\n  up: {{ {keys} }}\n\
             routes: {{ up: {{ path: /up, upstream: up }} }}\n",
            place.server_yaml("")
        )
    };
    let failure = narthex_testkit::Launch::new(yaml).start().await.err().expect("it must not start");
    assert!(failure.output.contains("mixed.pem and its key"), "{failure}");
    assert!(!failure.output.contains("PRIVATE"));
}

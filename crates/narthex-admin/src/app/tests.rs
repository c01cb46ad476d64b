use super::*;
use pingora::apps::http_app::HttpServer;
use pingora::apps::{HttpServerApp, ServerApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Reasons(Vec<&'static str>);

impl Readiness for Reasons {
    fn not_ready(&self) -> Vec<&'static str> {
        self.0.clone()
    }
}

fn admin(reasons: &[&'static str]) -> Admin {
    let metrics = Metrics::new("1.0.0", "rev").unwrap();
    Admin::new(Arc::new(metrics), Arc::new(Reasons(reasons.to_vec())))
}

fn body(response: &Response<Vec<u8>>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn metrics_are_served_in_the_prometheus_text_format() {
    let response = admin(&[]).answer(&Method::GET, "/metrics");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert!(body(&response).contains("# TYPE narthex_build_info gauge\n"));
}

#[test]
fn health_depends_on_nothing() {
    let response = admin(&["draining", "no_keys"]).answer(&Method::GET, "/healthz");
    assert_eq!((response.status(), body(&response)), (StatusCode::OK, "ok\n"));
}

#[test]
fn readiness_names_every_reason_against_it() {
    let ready = admin(&[]).answer(&Method::GET, "/readyz");
    assert_eq!((ready.status(), body(&ready)), (StatusCode::OK, r#"{"ready":true,"reasons":[]}"#));
    let not = admin(&["draining", "no_keys"]).answer(&Method::GET, "/readyz");
    assert_eq!(not.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body(&not), r#"{"ready":false,"reasons":["draining","no_keys"]}"#);
}

#[test]
fn nothing_else_is_served() {
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/metrics/", 404),
        (Method::GET, "/METRICS", 404),
        (Method::GET, "/healthz/../metrics", 404),
        (Method::POST, "/nothing", 404),
        (Method::POST, "/metrics", 405),
        (Method::DELETE, "/healthz", 405),
        (Method::OPTIONS, "/readyz", 405),
    ] {
        let response = admin(&[]).answer(&method, path);
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers().contains_key(ALLOW), status == 405, "{method} {path}");
    }
}

#[test]
fn no_answer_may_be_stored() {
    for path in ["/metrics", "/healthz", "/readyz", "/other"] {
        let response = admin(&[]).answer(&Method::GET, path);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{path}");
    }
}

#[test]
fn head_has_the_header_of_get_and_no_body() {
    let get = admin(&[]).answer(&Method::GET, "/healthz");
    let head = admin(&[]).answer(&Method::HEAD, "/healthz");
    assert_eq!(get.headers(), head.headers());
    assert!(head.body().is_empty());
}

/// Sends `request` to the application through pingora's HTTP server and reads until it closes.
async fn exchange(request: &str) -> String {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let (_stop, shutdown) = tokio::sync::watch::channel(false);
    let app = Arc::new(HttpServer::new_app(admin(&[])));
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let session = ServerSession::new_http1(Box::new(server));
    drop(app.process_new_http(session, &shutdown).await);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_answer_arrives_over_http() {
    let answer = exchange("GET /healthz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[tokio::test]
async fn a_request_body_is_never_waited_for() {
    let answer = exchange("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn the_service_has_one_thread() {
    let service = crate::service("127.0.0.1:0".parse().unwrap(), admin(&[]));
    assert_eq!(service.threads, Some(1));
}

/// Compiles only if the application can be served by pingora.
fn _is_served<A: ServerApp>(_: pingora::services::listening::Service<A>) {}

#[test]
fn the_service_is_one_that_pingora_can_run() {
    _is_served(crate::service("127.0.0.1:0".parse().unwrap(), admin(&[])));
}

use super::*;
use crate::{Admin, Readiness};
use http::HeaderName;
use narthex_telemetry::Metrics;
use pingora::apps::HttpServerApp;
use pingora::apps::http_app::HttpServer;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use std::os::fd::AsRawFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Ready;

impl Readiness for Ready {
    fn not_ready(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A desk where the tool `a` of `up` waits with the hash `11`.
struct Desk;

impl PinDesk for Desk {
    fn list(&self) -> String {
        "{\"all\":1}".to_owned()
    }

    fn tool(&self, upstream: &str, tool: &str) -> Option<String> {
        (upstream == "up" && tool == "a b/c").then(|| "{\"one\":1}".to_owned())
    }

    fn approve(&self, upstream: &str, tool: &str, sha256: &str) -> Approval {
        match (upstream, tool, sha256) {
            ("up", "a", "11") => Approval::Done,
            ("up", "a", _) => Approval::Conflict("another definition is quarantined: 11".to_owned()),
            ("up", "full", _) => Approval::Failed("no space".to_owned()),
            ("up", "bug", _) => panic!("a bug"),
            _ => Approval::NotFound,
        }
    }
}

/// Sends `request` over TCP through pingora's HTTP server and reads until it closes.
async fn exchange(request: &str) -> String {
    let metrics = Metrics::new("1.0.0", "rev").unwrap();
    let admin = Admin::new(Arc::new(metrics), Arc::new(Ready)).with_pins(Arc::new(Desk));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    // As pingora's listener does it.
    let mut stream = Stream::from(server);
    stream.set_socket_digest(SocketDigest::from_raw_fd(stream.as_raw_fd()));
    let session = ServerSession::new_http1(Box::new(stream));
    let (_stop, shutdown) = tokio::sync::watch::channel(false);
    drop(Arc::new(HttpServer::new_app(admin)).process_new_http(session, &shutdown).await);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(path: &str) -> String {
    exchange(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nConnection: close\r\n\r\n")).await
}

async fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    exchange(&format!(
        "POST /pins/approve HTTP/1.1\r\nHost: localhost:9090\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ))
    .await
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

const JSON_TYPE: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn pins_are_shown_as_json() {
    for (path, expected) in
        [("/pins", "{\"all\":1}"), ("/pins?x=1", "{\"all\":1}"), ("/pins/up/a%20b%2Fc", "{\"one\":1}")]
    {
        let answer = get(path).await;
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("content-type: application/json\r\n"), "{answer}");
    }
    for path in ["/pins/", "/pins/up", "/pins/up/", "/pins/up/b", "/pins/up/a%20b/c", "/pins/%ff/a", "/pinsx"]
    {
        assert_eq!(status(&get(path).await), "404", "{path}");
    }
    assert_eq!(status(&get("/pins/approve").await), "405");
}

#[tokio::test]
async fn exactly_what_is_named_is_approved() {
    for (body, expected) in [
        (r#"{"upstream":"up","tool":"a","sha256":"11"}"#, "204"),
        (r#"{"upstream":"up","tool":"a","sha256":"22"}"#, "409"),
        (r#"{"upstream":"up","tool":"b","sha256":"11"}"#, "404"),
        (r#"{"upstream":"up","tool":"full","sha256":"11"}"#, "500"),
        (r#"{"upstream":"up","tool":"bug","sha256":"11"}"#, "500"),
        (r#"{"upstream":"up","tool":"a"}"#, "400"),
        (r#"{"upstream":"up","tool":"a","sha256":11}"#, "400"),
        (r#"{"upstream":"up","tool":"a","sha256":"11","all":true}"#, "400"),
        (r#"{"upstream":"up","tool":"a","sha256":"22","sha256":"11"}"#, "400"),
        (r#"{"upstream":"up","tool":"a","sha256":"11"} x"#, "400"),
        ("[]", "400"),
        ("", "400"),
        ("\u{0}", "400"),
    ] {
        let answer = post(JSON_TYPE, body).await;
        assert_eq!(status(&answer), expected, "{body}: {answer}");
    }
    let charset = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(status(&post(charset, r#"{"upstream":"up","tool":"a","sha256":"11"}"#).await), "204");
}

#[tokio::test]
async fn a_body_is_bounded_whether_its_length_is_said_or_not() {
    let long = format!(r#"{{"upstream":"up","tool":"a","sha256":"{}"}}"#, "1".repeat(MAX_BODY));
    assert_eq!(status(&post(JSON_TYPE, &long).await), "413");
    let chunked = format!(
        "POST /pins/approve HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    assert_eq!(status(&exchange(&chunked).await), "413");
}

#[tokio::test]
async fn nothing_is_for_web_pages() {
    let good = r#"{"upstream":"up","tool":"a","sha256":"11"}"#;
    for headers in [
        "Origin: https://evil.example\r\nContent-Type: application/json\r\n",
        "Origin: null\r\nContent-Type: application/json\r\n",
        "Sec-Fetch-Site: cross-site\r\nContent-Type: application/json\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        "Content-Type: application/jsonp\r\n",
        "",
    ] {
        let answer = post(headers, good).await;
        assert_eq!(status(&answer), "403", "{headers}: {answer}");
    }
}

#[test]
fn only_an_address_or_localhost_is_a_host() {
    for (host, good) in [
        ("127.0.0.1:9090", true),
        ("127.0.0.1", true),
        ("[::1]:9090", true),
        ("10.1.2.3:9090", true),
        ("localhost:9090", true),
        ("LocalHost", true),
        ("evil.example", false),
        ("evil.example:9090", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("127.0.0.1@evil.example", false),
        ("evil.example@127.0.0.1", false),
        ("localhost:9090, evil.example", false),
        ("", false),
    ] {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        assert_eq!(guard(&Method::GET, None, &headers, None).is_ok(), good, "{host}");
    }
    assert!(guard(&Method::GET, None, &HeaderMap::new(), None).is_err(), "none");
    let one = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
    let mut two = one.clone();
    two.append(HOST, HeaderValue::from_static("evil.example"));
    assert!(guard(&Method::GET, None, &two, None).is_err(), "two");
    let authority = Authority::from_static("evil.example");
    assert!(guard(&Method::GET, Some(&authority), &one, None).is_err(), "in the request line");
}

#[test]
fn approving_is_for_this_machine() {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers =
        HeaderMap::from_iter([header(HOST, "10.1.2.3:9090"), header(CONTENT_TYPE, "application/json")]);
    for (peer, good) in [
        (Some("127.0.0.1"), true),
        (Some("127.8.9.1"), true),
        (Some("::1"), true),
        (Some("::ffff:127.0.0.1"), true),
        (Some("10.1.2.3"), false),
        (Some("::ffff:10.1.2.3"), false),
        (None, false),
    ] {
        let peer = peer.map(|peer| peer.parse().unwrap());
        assert_eq!(guard(&Method::POST, None, &headers, peer).is_ok(), good, "{peer:?}");
        assert!(guard(&Method::GET, None, &headers, peer).is_ok(), "{peer:?}");
    }
}

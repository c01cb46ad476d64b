use super::*;
use crate::fixtures::settings;
use crate::group::Group;
use narthex_config::model::{HttpVersion, Upstream as Settings};
use narthex_testkit::{Answer, Pki, RecordingUpstream, UpstreamOptions};
use std::hash::RandomState;
use tokio::net::TcpListener;

const INTERVAL: Duration = Duration::from_secs(10);

// === when ===

#[test]
fn a_check_is_due_at_once_and_then_about_every_interval() {
    let now = Instant::now();
    let after = |seconds: u64| now + Duration::from_secs(seconds);
    for random in [0, 1, 999, 1000, 2000, 2001, u64::MAX] {
        let health = Health::new(now);
        assert!(health.claim(INTERVAL, now, random));
        health.checking.store(false, Ordering::Relaxed);
        assert!(!health.claim(INTERVAL, after(9) - Duration::from_millis(1), random), "{random}");
        assert!(health.claim(INTERVAL, after(11), random), "{random}");
    }
    let (early, late) = (Health::new(now), Health::new(now));
    for (health, random) in [(&early, 0), (&late, 2000)] {
        assert!(health.claim(INTERVAL, now, random));
        health.checking.store(false, Ordering::Relaxed);
    }
    assert!(early.claim(INTERVAL, after(10), 0) && !late.claim(INTERVAL, after(10), 0), "spread out");
}

#[test]
fn no_interval_is_too_odd() {
    let now = Instant::now();
    for interval in [Duration::ZERO, Duration::from_millis(1), Duration::MAX] {
        let health = Health::new(now);
        assert!(health.claim(interval, now, u64::MAX));
        assert!(!health.claim(interval, now + INTERVAL, 0), "still being made");
    }
}

#[test]
fn a_check_is_not_made_twice_at_a_time_and_one_that_is_dropped_is_over() {
    let group = group(&settings(&["http://127.0.0.1:1", "http://127.0.0.1:2"]));
    let now = Instant::now();
    let checks: Vec<_> = group.checks_due(now, 0).collect();
    assert_eq!(checks.len(), 2);
    assert_eq!(group.checks_due(now + 2 * INTERVAL, 0).count(), 0);
    drop(checks);
    assert_eq!(group.checks_due(now, 0).count(), 0, "not before it is due again");
    assert_eq!(group.checks_due(now + 2 * INTERVAL, 0).count(), 2);
}

#[test]
fn two_failures_in_a_row_and_it_is_down_one_success_and_it_is_up() {
    let health = Health::new(Instant::now());
    for (alive, changed, down) in [
        (false, false, false),
        (true, false, false),
        (false, false, false),
        (false, true, true),
        (false, false, true),
        (true, true, false),
        (false, false, false),
    ] {
        assert_eq!((health.note(alive), health.is_down()), (changed, down));
    }
}

// === what ===

fn group(settings: &Settings) -> Group {
    Group::build(&"m".into(), settings, None, &RandomState::new(), Instant::now()).unwrap()
}

/// What a check of `url` finds.
async fn check(settings: &Settings) -> Result<(), Ill> {
    let within = settings.health.timeout;
    // Never dropped, as in a running gateway: a connection that it kept would stay open.
    let connections: &Connections = Box::leak(Box::default());
    let asked = async { ask(group(settings).first(), connections, within).await };
    tokio::time::timeout(within, asked).await.unwrap_or(Err(Ill::Late))
}

async fn check_url(url: &str) -> Result<(), Ill> {
    check(&settings(&[url])).await
}

fn hasty(url: &str) -> Settings {
    let mut settings = settings(&[url]);
    settings.health.timeout = Duration::from_millis(100);
    settings
}

#[tokio::test]
async fn any_answer_is_a_sign_of_life_but_those_of_a_server_that_is_not_there() {
    let server = RecordingUpstream::start().await;
    for status in [200, 204, 301, 400, 401, 403, 404, 405, 406, 429, 500, 501] {
        server.next(Answer::status(status));
        check_url(&server.url("/mcp")).await.unwrap_or_else(|error| panic!("{status}: {error}"));
    }
    for status in [502, 503, 504] {
        server.next(Answer::status(status));
        let found = check_url(&server.url("/mcp")).await;
        assert!(matches!(found, Err(Ill::Status(is)) if is == status), "{found:?}");
    }
    server.next(Answer::status(503).after_informational(103));
    assert!(matches!(check_url(&server.url("/mcp")).await, Err(Ill::Status(_))));
    server.next(Answer::status(405).after_informational(103));
    assert!(check_url(&server.url("/mcp")).await.is_ok());
}

#[tokio::test]
async fn a_check_asks_for_nothing_and_shows_nothing() {
    let server = RecordingUpstream::start().await;
    check_url(&server.url("/mcp?key=canary")).await.unwrap();
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("OPTIONS", "/mcp"));
    assert!(request.body.is_empty() && !server.seen("canary") && !server.seen("authorization"));
    assert_eq!(request.header("host"), Some(server.address().to_string().as_str()));
    assert_eq!(request.header("connection"), Some("close"));
    server.wait_for_no_connections().await;
}

#[tokio::test]
async fn an_endless_answer_is_not_waited_for() {
    let server = RecordingUpstream::start().await;
    let (answer, _feed) = Answer::sse();
    server.next(answer);
    check_url(&server.url("/mcp")).await.unwrap();
    server.wait_for_no_connections().await;
}

#[tokio::test]
async fn a_port_that_refuses_is_no_sign_of_life() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/mcp", listener.local_addr().unwrap())
    };
    assert!(matches!(check_url(&url).await, Err(Ill::Connect(_))));
}

#[tokio::test]
async fn a_server_that_only_listens_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    assert!(matches!(check(&hasty(&url)).await, Err(Ill::Late)));
    let tls = url.replace("http:", "https:");
    assert!(matches!(check(&hasty(&tls)).await, Err(Ill::Late | Ill::Connect(_))));
}

#[tokio::test]
async fn a_server_that_begins_to_answer_and_falls_silent_is_given_up_in_time() {
    let server = RecordingUpstream::start().await;
    server.next(Answer::hang().after_informational(102));
    let found = check(&hasty(&server.url("/mcp"))).await;
    assert!(matches!(found, Err(Ill::Late)), "{found:?}");
}

#[tokio::test]
async fn what_is_not_http_is_no_sign_of_life() {
    let server = RecordingUpstream::start().await;
    for answer in [Answer::close(), Answer::reset(), Answer::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n")] {
        server.next(answer);
        assert!(matches!(check_url(&server.url("/mcp")).await, Err(Ill::Broken(_))));
    }
    server.next((0..20).fold(Answer::status(200), |answer, _| answer.after_informational(103)));
    assert!(matches!(check_url(&server.url("/mcp")).await, Err(Ill::Broken(_))));
}

#[tokio::test]
async fn a_certificate_counts_as_it_does_for_calls() {
    let (pki, other) = (Pki::new(), Pki::new());
    let dir = tempfile::tempdir().unwrap();
    for http2 in [false, true] {
        let options = if http2 { UpstreamOptions::default().http2() } else { UpstreamOptions::default() };
        let server = RecordingUpstream::start_with(options.tls(&pki, &pki.leaf(&["localhost"]))).await;
        let mut settings = settings(&[server.url("/mcp")]);
        settings.ca = Some(pki.write_ca(dir.path()));
        check(&settings).await.unwrap();
        assert_eq!(server.requests()[0].http2, http2);
        server.wait_for_no_connections().await;
        settings.ca = Some(other.write_ca(dir.path()));
        assert!(matches!(check(&settings).await, Err(Ill::Connect(_))), "unknown authority");
        settings.ca = None;
        assert!(matches!(check(&settings).await, Err(Ill::Connect(_))), "not among the system's");
        assert_eq!(server.count(), 1, "nothing was sent to it");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_no_sign_of_life() {
    let pki = Pki::new();
    let dir = tempfile::tempdir().unwrap();
    let options = UpstreamOptions::default().tls(&pki, &pki.leaf(&["mcp.example.com"]));
    let server = RecordingUpstream::start_with(options).await;
    let mut settings = settings(&[server.url("/mcp")]);
    settings.ca = Some(pki.write_ca(dir.path()));
    assert!(matches!(check(&settings).await, Err(Ill::Connect(_))));
}

#[tokio::test]
async fn http2_without_tls_is_checked_as_such() {
    let server = RecordingUpstream::start_with(UpstreamOptions::default().http2()).await;
    let mut settings = settings(&[server.url("/mcp?key=canary")]);
    settings.http = HttpVersion::H2;
    check(&settings).await.unwrap();
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("OPTIONS", "/mcp"));
    server.wait_for_no_connections().await;
}

// === both ===

/// Makes the checks that are due at `now`.
async fn run(group: &Group, connections: &Connections, now: Instant) {
    for check in group.checks_due(now, 0) {
        check.run(connections).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_dies_is_left_out_and_taken_back_when_it_lives() {
    let (one, other) = (RecordingUpstream::start().await, RecordingUpstream::start().await);
    let group = group(&settings(&[one.url("/mcp"), other.url("/mcp")]));
    let connections = Connections::default();
    let start = Instant::now();
    let at = |round: u32| start + round * 2 * INTERVAL;
    run(&group, &connections, at(0)).await;
    assert!(group.iter().all(|endpoint| endpoint.is_up()));
    let port = one.address().port();
    one.stop().await;
    run(&group, &connections, at(1)).await;
    assert!(group.first().is_up(), "once is not enough");
    run(&group, &connections, at(2)).await;
    assert!(!group.first().is_up());
    for random in 0..50 {
        assert_eq!(group.pick(at(2), random).origin, format!("http://{}", other.address()));
    }
    let back = RecordingUpstream::start_with(UpstreamOptions::default().port(port)).await;
    run(&group, &connections, at(3)).await;
    assert!(group.first().is_up());
    assert_eq!((back.count(), other.count()), (1, 4));
}

#[tokio::test]
async fn checks_and_the_endpoints_of_one_host_share_no_connection() {
    let server = RecordingUpstream::start().await;
    let group = group(&settings(&[server.url("/a"), server.url("/b")]));
    let connections = Connections::default();
    let call = async |endpoint: &Upstream| {
        let mut connection = endpoint.connect(&connections, Instant::now()).await.unwrap();
        let mut header = RequestHeader::build_no_case("GET", endpoint.path.as_bytes(), None).unwrap();
        header.insert_header(header::HOST, endpoint.host.clone()).unwrap();
        connection.write_request(&header, &Bytes::new()).await.unwrap();
        connection.session.read_response_header().await.unwrap();
        while connection.session.read_response_body().await.unwrap().is_some() {}
        let reused = connection.reused;
        connections.release(connection, endpoint.keepalive);
        reused
    };
    let [a, b] = &group.iter().collect::<Vec<_>>()[..] else { panic!("two") };
    assert!(!call(a).await && call(a).await, "one endpoint reuses its own");
    assert!(!call(b).await, "but not the other's");
    run(&group, &connections, Instant::now()).await;
    run(&group, &connections, Instant::now() + 2 * INTERVAL).await;
    assert!(call(a).await && call(b).await, "which a check leaves alone");
    assert_eq!(server.connections(), 2 + 4);
}

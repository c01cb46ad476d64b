//! Discovery against servers on sockets.

use super::*;
use crate::tests::server::{Server as Fake, answer, json};
use std::time::UNIX_EPOCH;

/// What the fake answers: by `GET /path`, in order of precedence; else 404, and 401 to the probe.
type Site = Vec<(String, String)>;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// A server that is an upstream at `/mcp` and whatever `site` makes of its origin.
async fn serving(challenge: impl Fn(&str) -> String, site: impl Fn(&str) -> Site) -> Fake {
    let fake = Fake::answering(|_, _| String::new()).await;
    change(&fake, challenge, site);
    fake
}

fn change(fake: &Fake, challenge: impl Fn(&str) -> String, site: impl Fn(&str) -> Site) {
    let (origin, challenge) = (fake.origin(), challenge(&fake.origin()));
    let site = site(&origin);
    fake.answer(move |_, asked| {
        if asked.line().starts_with("POST ") {
            let challenge = if challenge.is_empty() { "" } else { &challenge };
            return answer(401, "text/plain", challenge, "");
        }
        let found = site.iter().find(|(line, _)| line == asked.line());
        found.map_or_else(|| answer(404, "text/html", "", "<html>"), |(_, answer)| answer.clone())
    });
}

fn resource(origin: &str, resource: &str, server: &str) -> String {
    json(
        200,
        &format!(
            r#"{{"resource":"{resource}","authorization_servers":["{server}","{origin}/other"],"scopes_supported":["a","b"]}}"#
        ),
    )
}

fn server(origin: &str, issuer: &str) -> String {
    let methods =
        r#""code_challenge_methods_supported":["plain","S256"],"client_id_metadata_document_supported":true"#;
    json(
        200,
        &format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{origin}/authorize","token_endpoint":"{origin}/token",{methods}}}"#
        ),
    )
}

fn line(path: &str) -> String {
    format!("GET {path}")
}

/// Everything where it should be.
fn good(origin: &str) -> Site {
    let issuer = format!("{origin}/t1");
    vec![
        (
            line("/.well-known/oauth-protected-resource/mcp"),
            resource(origin, &format!("{origin}/mcp"), &issuer),
        ),
        (line("/.well-known/oauth-authorization-server/t1"), server(origin, &issuer)),
    ]
}

fn wanted(fake: &Fake) -> Wanted {
    Wanted {
        upstream: format!("{}/mcp", fake.origin()).parse().unwrap(),
        issuer: None,
        resource: None,
        allow_link_local: false,
        insecure: false,
    }
}

async fn found(fake: &Fake) -> Result<Arc<Found>, CredentialError> {
    Discovery::new(wanted(fake)).found(KEPT, at(0)).await
}

async fn failure(fake: &Fake) -> (&'static str, String) {
    let error = found(fake).await.unwrap_err();
    (error.reason(), error.detail().to_owned())
}

fn lines(fake: &Fake) -> Vec<String> {
    fake.asked().iter().map(|asked| asked.line().to_owned()).collect()
}

#[tokio::test]
async fn metadata_is_found_where_the_challenge_says() {
    let challenge = |origin: &str| {
        format!(
            "WWW-Authenticate: Basic realm=\"x\", Bearer resource_metadata=\"{origin}/prm\", scope=\"x y\"\r\n"
        )
    };
    let fake = serving(challenge, |origin| {
        let mut site = good(origin);
        site[0].0 = line("/prm");
        site
    })
    .await;
    let found = found(&fake).await.unwrap();
    let origin = fake.origin();
    assert_eq!(found.server.issuer, format!("{origin}/t1"));
    assert_eq!(found.resource, format!("{origin}/mcp"));
    assert_eq!(
        (&found.challenged[..], &found.supported[..]),
        (&["x".into(), "y".into()][..], &["a".into(), "b".into()][..])
    );
    assert!(found.server.pkce && found.server.metadata_documents && !found.server.names_itself);
    assert_eq!(lines(&fake), ["POST /mcp", "GET /prm", "GET /.well-known/oauth-authorization-server/t1"]);
    let probe = &fake.asked()[0];
    assert_eq!(probe.header("authorization"), None);
    assert_eq!(probe.json()["method"], "ping");
}

#[tokio::test]
async fn without_a_challenge_it_is_looked_for_below_the_path_and_then_at_the_root() {
    let fake = serving(|_| String::new(), good).await;
    assert!(found(&fake).await.is_ok());
    assert_eq!(lines(&fake)[1], "GET /.well-known/oauth-protected-resource/mcp");
    // A website that answers everything with a page has no metadata there.
    let fake = serving(
        |_| String::new(),
        |origin| {
            let mut site = good(origin);
            site[0] = (
                line("/.well-known/oauth-protected-resource"),
                resource(origin, origin, &format!("{origin}/t1")),
            );
            site.push((
                line("/.well-known/oauth-protected-resource/mcp"),
                answer(200, "text/html", "", "<html>"),
            ));
            site
        },
    )
    .await;
    let found = found(&fake).await.unwrap();
    assert_eq!(found.resource, fake.origin());
    assert_eq!(
        lines(&fake)[1..3],
        ["GET /.well-known/oauth-protected-resource/mcp", "GET /.well-known/oauth-protected-resource"]
    );
}

#[tokio::test]
async fn openid_metadata_is_found_inserted_and_appended() {
    for path in ["/.well-known/openid-configuration/t1", "/t1/.well-known/openid-configuration"] {
        let fake = serving(
            |_| String::new(),
            |origin| {
                let mut site = good(origin);
                site[1].0 = line(path);
                site
            },
        )
        .await;
        assert!(found(&fake).await.is_ok(), "{path}");
        assert_eq!(lines(&fake).last().unwrap(), &line(path));
    }
}

#[tokio::test]
async fn a_server_that_says_it_is_another_is_not_believed() {
    for other in
        ["https://mcp.example.com/mcp", "{origin}/mcp/x", "{origin}/other", "{origin}:1/mcp", "urn:mcp", ""]
    {
        let fake = serving(
            |_| String::new(),
            |origin| {
                let mut site = good(origin);
                site[0].1 = resource(origin, &other.replace("{origin}", origin), &format!("{origin}/t1"));
                site
            },
        )
        .await;
        assert_eq!(failure(&fake).await.0, "discovery_failed", "{other}");
        assert_eq!(fake.count(), 2, "no authorization server was asked");
    }
}

#[tokio::test]
async fn an_issuer_is_compared_as_it_is_written() {
    for other in ["{origin}/t1/", "{origin}/T1", "{origin}", "{origin}/t%31", "https://evil.example", ""] {
        let fake = serving(
            |_| String::new(),
            |origin| {
                let mut site = good(origin);
                site[1].1 = server(origin, &other.replace("{origin}", origin));
                site
            },
        )
        .await;
        let (reason, detail) = failure(&fake).await;
        assert_eq!(reason, "discovery_failed", "{other}");
        assert!(detail.contains("is another"), "{detail}");
    }
}

#[tokio::test]
async fn a_server_of_2025_03_26_is_its_own_authorization_server() {
    let fake = serving(
        |_| String::new(),
        |origin| {
            vec![(line("/.well-known/oauth-authorization-server"), server(origin, &format!("{origin}/")))]
        },
    )
    .await;
    let known = found(&fake).await.unwrap();
    assert_eq!(known.server.issuer, format!("{}/", fake.origin()));
    assert_eq!(known.resource, format!("{}/mcp", fake.origin()));
    let fake = serving(|_| String::new(), |_| Vec::new()).await;
    let guessed = found(&fake).await.unwrap();
    let origin = fake.origin();
    assert_eq!(guessed.server.issuer, origin);
    assert_eq!(
        guessed.server.authorization_endpoint.as_ref().unwrap().as_str(),
        format!("{origin}/authorize")
    );
    assert_eq!(guessed.server.token_endpoint.as_str(), format!("{origin}/token"));
    assert_eq!(guessed.server.registration_endpoint.as_ref().unwrap().as_str(), format!("{origin}/register"));
    // One that does not ask for a token has none.
    let fake = Fake::answering(|_, asked| {
        let status = if asked.line().starts_with("POST") { 200 } else { 404 };
        answer(status, "text/plain", "", "")
    })
    .await;
    assert_eq!(failure(&fake).await.0, "discovery_failed");
}

#[tokio::test]
async fn no_document_is_too_odd_to_be_refused() {
    let huge = format!("{{\"pad\":\"{}\"}}", "x".repeat(300 * 1024));
    let endless = format!("{{\"pad\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let elsewhere = "Location: http://127.0.0.1:9/\r\n";
    for (odd, reason) in [
        (json(200, &huge), "discovery_failed"),
        (json(200, &endless), "exchange_unreachable"),
        (json(200, "[]"), "discovery_failed"),
        (json(200, "{}"), "discovery_failed"),
        (json(200, "{\"resource\":1}"), "discovery_failed"),
        (json(200, "{\"canary"), "discovery_failed"),
        (json(500, "{}"), "exchange_unreachable"),
        (json(429, "{}"), "exchange_unreachable"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".into(), "exchange_unreachable"),
        (answer(302, "application/json", elsewhere, ""), "discovery_failed"),
        (answer(200, "text/html", "", "<html>canary</html>"), "discovery_failed"),
    ] {
        for place in 0..2 {
            let odd = odd.clone();
            let challenge =
                |origin: &str| format!("WWW-Authenticate: Bearer resource_metadata=\"{origin}/prm\"\r\n");
            let fake = serving(challenge, |origin| {
                let mut site = good(origin);
                site[0].0 = line("/prm");
                site[place].1 = odd.clone();
                site
            })
            .await;
            let (found, detail) = failure(&fake).await;
            assert_eq!(found, reason, "{place} {detail}");
            assert!(!detail.contains("canary"));
        }
    }
}

/// Where attackers send servers that fetch what they are told to.
const INSIDE: [&str; 34] = [
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/latest",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.43518/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://168.63.129.16/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://169.254.169.254.nip.io/",
    "https://0.0.0.0/",
    "https://0/",
    "https://[::]/",
    "https://255.255.255.255/",
    "https://224.0.0.1/",
    "https://[ff02::1]/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://[fd00::1]/",
    "http://mcp.internal/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "ftp://127.0.0.1/",
    "https://user@127.0.0.1/",
    "https://127.0.0.1#@evil.example/",
    "//169.254.169.254/",
    "https://169.254.169.254\\@evil.example/",
];

#[tokio::test]
async fn metadata_that_points_inside_is_not_followed() {
    for inside in INSIDE {
        let challenge = |_: &str| {
            format!("WWW-Authenticate: Bearer resource_metadata=\"{}\"\r\n", inside.replace('\\', "\\\\"))
        };
        let fake = serving(challenge, good).await;
        assert_eq!(failure(&fake).await.0, "discovery_failed", "resource_metadata {inside}");
        let written = inside.replace('\\', "\\\\");
        let fake = serving(
            |_| String::new(),
            |origin| {
                let mut site = good(origin);
                site[0].1 = resource(origin, &format!("{origin}/mcp"), &written);
                site
            },
        )
        .await;
        assert_eq!(failure(&fake).await.0, "discovery_failed", "authorization_servers {inside}");
    }
}

/// What a server on the internet must not have us call, however it writes it.
const NOT_PUBLIC: [&str; 22] = [
    "https://127.0.0.1:PORT/",
    "https://localhost:PORT/",
    "https://[::1]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[64:ff9b::7f00:1]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://127.1:PORT/",
    "https://0x7f.1:PORT/",
    "https://2130706433:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://10.0.0.1:PORT/",
    "https://172.16.0.1:PORT/",
    "https://192.168.1.1:PORT/",
    "https://100.64.0.1:PORT/",
    "https://[fc00::1]:PORT/",
    "https://[fd12:3456::1]:PORT/",
    "https://[::ffff:10.0.0.1]:PORT/",
    "https://198.18.0.1:PORT/",
    "https://[fec0::1]:PORT/",
];

#[tokio::test]
async fn a_public_server_cannot_send_us_to_our_own_network() {
    let fake = Fake::answering(|_, _| json(200, "{}")).await;
    let port = fake.origin().rsplit(':').next().unwrap().to_owned();
    let public = Fetcher::new("mcp.example.com", Reach::Public, false, false).unwrap();
    for inside in NOT_PUBLIC {
        let url = public.url(&inside.replace("PORT", &port), "token_endpoint").unwrap();
        // Names are refused when they are resolved.
        let refused = public.get::<serde_json::Value>(&url).await.err().unwrap();
        let named = url.domain().is_some();
        let expected = if named { "exchange_unreachable" } else { "discovery_failed" };
        assert_eq!(refused.reason(), expected, "{inside}: {}", refused.detail());
        assert!(!named || refused.detail().contains("no allowed address"), "{inside}: {}", refused.detail());
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn what_was_found_is_kept_and_a_crowd_asks_once() {
    let fake = serving(|_| String::new(), good).await;
    let discovery = Arc::new(Discovery::new(wanted(&fake)));
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let discovery = Arc::clone(&discovery);
        crowd.spawn(async move { discovery.found(KEPT, at(0)).await.unwrap() });
    }
    assert_eq!(crowd.join_all().await.len(), 100);
    assert_eq!(fake.count(), 3);
    discovery.found(KEPT, at(3599)).await.unwrap();
    assert_eq!(fake.count(), 3);
    discovery.found(Duration::from_secs(1), at(3599)).await.unwrap();
    discovery.found(KEPT, at(3600 + 3599)).await.unwrap();
    assert_eq!(fake.count(), 9);
}

#[tokio::test]
async fn an_outage_is_outlived_but_a_change_is_not() {
    let fake = serving(|_| String::new(), good).await;
    let discovery = Discovery::new(wanted(&fake));
    let first = discovery.found(KEPT, at(0)).await.unwrap();
    fake.answer(|_, _| answer(503, "text/plain", "", ""));
    let kept = discovery.found(KEPT, at(4000)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &kept));
    assert!(discovery.found(KEPT, at(25 * 3600)).await.is_err());
    // Another authorization server, in the words of the server itself.
    change(
        &fake,
        |_| String::new(),
        |origin| {
            let mut site = good(origin);
            site[0].1 = resource(origin, &format!("{origin}/mcp"), &format!("{origin}/t2"));
            site.push((
                line("/.well-known/oauth-authorization-server/t2"),
                server(origin, &format!("{origin}/t2")),
            ));
            site
        },
    );
    assert!(discovery.found(KEPT, at(25 * 3600 + 4)).await.is_err(), "the failure is remembered");
    let moved = discovery.found(KEPT, at(25 * 3600 + 5)).await.unwrap();
    assert_eq!(moved.server.issuer, format!("{}/t2", fake.origin()));
    change(
        &fake,
        |_| String::new(),
        |_| vec![(line("/.well-known/oauth-protected-resource/mcp"), json(200, "{}"))],
    );
    let gone = discovery.found(Duration::ZERO, at(25 * 3600 + 10)).await.unwrap_err();
    assert_eq!(gone.reason(), "discovery_failed");
}

#[tokio::test]
async fn an_issuer_that_the_operator_names_is_asked_and_the_server_is_not() {
    let fake = serving(|_| String::new(), good).await;
    let mut wanted = wanted(&fake);
    wanted.issuer = Some(format!("{}/t1", fake.origin()));
    let found = Discovery::new(wanted.clone()).found(KEPT, at(0)).await.unwrap();
    assert_eq!(lines(&fake), ["GET /.well-known/oauth-authorization-server/t1"]);
    assert_eq!(found.resource, format!("{}/mcp", fake.origin()));
    wanted.resource = Some("api://github".into());
    assert_eq!(Discovery::new(wanted).found(KEPT, at(0)).await.unwrap().resource, "api://github");
}
